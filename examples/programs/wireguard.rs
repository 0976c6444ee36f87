//! `examples/wireguard.rs`.

use crate::program::run;

#[test]
fn http_passes_a_wireguard_tunnel_without_a_tun_device() {
    let Some(printed) = run("wireguard", &["--bytes", "20000000"]) else { return };
    assert!(printed.contains("192.0.2.1:80: Hello 192.0.2.2:"), "{printed}");
    assert!(printed.contains("[2001:db8::1]:80: Hello [2001:db8::2]:"), "{printed}");
    assert_eq!(printed.matches("    20,000,000 bytes").count(), 2, "{printed}");
}
