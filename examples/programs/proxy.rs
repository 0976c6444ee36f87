//! `examples/proxy.rs`.

use crate::program::{refused, run};

/// The whole, 64 times 100 MB, is in `tests/interop.sh`.
#[test]
fn what_arrives_is_dialled_and_closed_ports_are_refused() {
    let Some(printed) = run("proxy", &["--downloads", "64", "--bytes", "4000000"]) else { return };
    for server in ["198.51.100.10", "2001:db8:1::10"] {
        let scan = format!("{server}: of ports 1 to 1024, open [22, 80, 443], refused 1021, silent 0\n");
        assert!(printed.contains(&scan), "{printed}");
        let echo = format!("{server}: 100 of 100 datagrams came back from where they were sent\n");
        assert!(printed.contains(&echo), "{printed}");
    }
    assert!(printed.ends_with("every SHA-256 is that of what was sent\n"), "{printed}");
}

#[test]
fn an_option_of_the_demonstration_does_not_go_with_a_device() {
    let text = refused("proxy", &["--tun", "nst0", "--addr", "192.0.2.2/24", "--downloads", "3"]);
    assert!(text.contains("cannot be used with"), "{text}");
}
