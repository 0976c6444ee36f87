//! The command as a person runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of this test alone, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netstack-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for the test can be made");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn netstack(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netstack")).args(arguments).output().expect("the command can be started")
}

fn text(path: &Path) -> String {
    path.to_str().expect("the test's paths are UTF-8").to_owned()
}

fn done(arguments: &[&str]) -> String {
    let output = netstack(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(arguments: &[&str], status: i32) -> String {
    let output = netstack(arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const RUN: [&str; 11] =
    ["sim", "--loss", "2%", "--bytes", "200kb", "--flows", "2", "--seed", "9", "--quiet", "--plot"];

#[test]
fn a_run_is_reported_and_written_and_the_same_seed_gives_the_same_octets() {
    let folder = Folder::new("run");
    let (first, again) = (folder.file("first"), folder.file("again"));
    for path in [&first, &again] {
        let report = done(&[&RUN[..], &[&text(path)]].concat());
        for part in ["goodput", "resent", "RTT 50%", "ESTABLISHED", "TIME-WAIT", "192.0.2.1:40001"] {
            assert!(report.contains(part), "{part} in\n{report}");
        }
    }
    let mut names: Vec<_> = fs::read_dir(&first)
        .expect("it was written")
        .map(|entry| entry.expect("it is there").file_name())
        .collect();
    names.sort();
    let expected = [
        "ladder.svg",
        "queue.svg",
        "states-client.svg",
        "states-server.svg",
        "throughput.svg",
        "time-sequence.svg",
        "trace.jsonl",
        "trace.pcapng",
        "windows.svg",
    ];
    assert_eq!(names, expected);
    for name in names {
        let read = |folder: &Path| fs::read(folder.join(&name)).expect("it was written");
        assert!(read(&first) == read(&again), "{name:?} differs");
    }
}

#[test]
fn pictures_are_drawn_of_traces_and_of_captures() {
    let folder = Folder::new("pictures");
    done(&[&RUN[..], &[&text(&folder.0)]].concat());
    for source in ["trace.jsonl", "trace.pcapng"] {
        let (source, picture) = (text(&folder.file(source)), folder.file("picture.svg"));
        done(&["ladder", &source, "--connection", "2", "-o", &text(&picture)]);
        let drawn = fs::read_to_string(&picture).expect("it was written");
        for part in ["SYN, ACK seq = y, ack = x + 1", "ESTABLISHED", "lost", "sent again", "192.0.2.1:40001"]
        {
            assert!(drawn.contains(part), "{part} in the ladder of {source}");
        }
        for kind in ["time-sequence", "windows", "throughput", "queue", "states"] {
            done(&["plot", kind, &source, "-o", &text(&picture)]);
            assert!(fs::read_to_string(&picture).expect("it was written").starts_with("<svg"), "{kind}");
        }
    }
}

#[cfg(feature = "png")]
#[test]
fn a_png_is_a_png() {
    let folder = Folder::new("png");
    let picture = folder.file("handshake.png");
    done(&["demo", "handshake", "--svg", &text(&picture)]);
    assert!(fs::read(&picture).expect("it was written").starts_with(b"\x89PNG"));
}

#[test]
fn a_demo_says_why_and_draws() {
    let folder = Folder::new("demo");
    let (picture, trace) = (folder.file("demo.svg"), folder.file("demo.jsonl"));
    let told = done(&["demo", "teardown", "--svg", &text(&picture), "--trace", &text(&trace)]);
    assert!(told.contains("| CLOSE-WAIT") && told.contains("4. A acknowledges it."), "{told}");
    assert!(fs::read_to_string(&picture).expect("it was written").contains("2 MSL 60 s"));
    done(&["ladder", &text(&trace), "-o", &text(&picture)]);
    assert!(done(&["demo", "tcp-vs-udp"]).contains("LOST"));
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    assert!(refused(&["sim", "--rate", "quick"], 2).contains("20mbit"));
    assert!(refused(&["ladder", "no-such-file.pcapng"], 1).contains("cannot read no-such-file.pcapng"));
    assert!(refused(&["sim", "--loss", "100%", "--limit", "5s", "--quiet"], 1).contains("--limit"));
    let folder = Folder::new("mistakes");
    let file = folder.file("other.txt");
    fs::write(&file, "neither").expect("it can be written");
    assert!(refused(&["ladder", &text(&file)], 1).contains("neither a pcapng nor a pcap"));
    done(&["sim", "--quiet", "--bytes", "10kb", "--plot", &text(&folder.0)]);
    let trace = text(&folder.file("trace.jsonl"));
    assert!(refused(&["ladder", &trace, "--connection", "2"], 1).contains("1: 192.0.2.1:40000"));
    #[cfg(unix)]
    assert!(refused(&["ss", "--control", "/nowhere/at.all"], 1).contains("control socket"));
}

#[test]
fn help_completions_and_manual_pages_are_there() {
    assert!(done(&["--help"]).contains("Exit status"));
    assert!(done(&["sim", "--help"]).contains("Units are those of tc(8)"));
    assert!(done(&["completions", "bash"]).contains("netstack"));
    let folder = Folder::new("man");
    done(&["man", &text(&folder.0)]);
    assert!(fs::read_to_string(folder.file("netstack-sim.1")).expect("it was written").contains("goodput"));
}
