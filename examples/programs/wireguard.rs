//! `examples/wireguard.rs`.

use std::io::{BufRead, BufReader, Read};

use crate::program::{run, start};

#[test]
fn http_passes_a_wireguard_tunnel_without_a_tun_device() {
    let Some(printed) = run("wireguard", &["--bytes", "20000000"]) else { return };
    assert!(printed.contains("192.0.2.1:80: Hello 192.0.2.2:"), "{printed}");
    assert!(printed.contains("[2001:db8::1]:80: Hello [2001:db8::2]:"), "{printed}");
    assert_eq!(printed.matches("    20,000,000 bytes").count(), 2, "{printed}");
}

/// As in `wireguard | head -n 1`.
#[test]
fn it_ends_quietly_when_nobody_reads_on() {
    let mut child = start("wireguard", &["--bytes", "20000000"]);
    let mut printed = BufReader::new(child.stdout.take().expect("its output is ours"));
    printed.read_line(&mut String::new()).expect("its output is text");
    drop(printed);
    let mut said = String::new();
    child.stderr.take().expect("its errors are ours").read_to_string(&mut said).expect("its errors are text");
    let status = child.wait().expect("it was started");
    assert!(status.success() && !said.contains("panicked"), "{status}: {said}");
}
