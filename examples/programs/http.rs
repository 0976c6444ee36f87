//! `examples/http.rs`.

use std::process::Command;

use crate::program::{refused, run};

const BYTES: &str = "20000000";

fn check(printed: &str) {
    for family in ["192.0.2.1:", "[2001:db8::1]:"] {
        assert!(printed.contains(&format!("Hello {family}")), "{printed}");
    }
    assert_eq!(printed.matches("200 20,000,000 bytes").count(), 2, "{printed}");
    assert_eq!(printed.matches("which is the SHA-256 of what was sent").count(), 2, "{printed}");
    assert!(printed.ends_with("Every answer was right.\n"), "{printed}");
}

#[test]
fn curl_fetches_from_axum_through_the_kernel() {
    if !Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: curl is not installed");
        return;
    }
    if let Some(printed) = run("http", &["--client", "curl", "--bytes", BYTES]) {
        assert!(printed.contains("$ curl "), "{printed}");
        check(&printed);
    }
}

#[test]
fn hyper_on_kernel_sockets_fetches_from_axum() {
    if let Some(printed) = run("http", &["--client", "own", "--bytes", BYTES]) {
        check(&printed);
    }
}

#[test]
fn a_mistake_on_the_command_line_is_answered_with_what_to_do() {
    let text = refused("http", &["--tun", "nst0"]);
    assert!(text.contains("add --addr 192.0.2.2/24"), "{text}");
    let text = refused("http", &["--tun", "nst0", "--addr", "2001:db8::2/64"]);
    assert!(text.contains("--addr takes an IPv4 address"), "{text}");
}
