//! An example as a process.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Beside the folder of this test's own binary: `target/PROFILE/deps` and `target/PROFILE/examples`.
fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("cargo puts tests two folders deep");
    let program = profile.join("examples").join(name);
    assert!(program.exists(), "{} is missing: run `cargo test -p netstack-examples`", program.display());
    program
}

/// Runs an example to its end; what it printed, or `None` where no network namespace or TUN device can be had, which it
/// then says.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Option<String> {
    let output = output(name, arguments);
    let (stdout, stderr) = texts(&output);
    let forbidden = ["cannot make a private network namespace", "/dev/net/tun"];
    if !output.status.success() && forbidden.iter().any(|reason| stderr.contains(reason)) {
        println!("skipped: {stderr}");
        return None;
    }
    assert!(output.status.success(), "{name} {arguments:?}: {}\n{stdout}\n{stderr}", output.status);
    Some(stdout)
}

/// Starts an example whose output the caller reads.
pub(crate) fn start(name: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(path(name));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program that was found can be started")
}

/// Runs an example that has to fail; what it says then.
pub(crate) fn refused(name: &str, arguments: &[&str]) -> String {
    let output = output(name, arguments);
    let (stdout, stderr) = texts(&output);
    assert!(!output.status.success(), "{name} {arguments:?} should have failed\n{stdout}\n{stderr}");
    stderr
}

fn output(name: &str, arguments: &[&str]) -> Output {
    Command::new(path(name)).args(arguments).output().expect("the program that was found can be started")
}

fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
