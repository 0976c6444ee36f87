//! All but the TUN device, its namespaces and the control socket is free of what only some systems have
//! (`docs/portability.md`).

use std::fs;
use std::path::{Path, PathBuf};

/// Names that tell a dependence on one system.
const OF_ONE_SYSTEM: [&str; 7] =
    ["std::os::", "libc::", "nix::", "rtnetlink", "tokio_tun", "\"/proc", "\"/dev"];

/// Where they belong: the first two are built for Linux alone, the last for Unix systems.
const NOT_EVERYWHERE: [&str; 3] =
    ["crates/device/src/tun", "crates/device/src/netns", "crates/stack/src/control"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn only_these_name_what_is_of_one_system() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for package in ["wire", "tcp", "device", "stack", "sim"] {
        sources(&root.join("crates").join(package).join("src"), &mut found);
    }
    let (mut seen, mut wrong) = (0, Vec::new());
    for path in found {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let allowed = NOT_EVERYWHERE.iter().any(|place| name.starts_with(place));
        for (number, line) in (1..).zip(fs::read_to_string(&path).unwrap().lines()) {
            let code = line.split("//").next().unwrap_or_default();
            if OF_ONE_SYSTEM.iter().any(|word| code.contains(word)) {
                seen += 1;
                if !allowed {
                    wrong.push(format!("{name}:{number}: {line}"));
                }
            }
        }
    }
    assert!(seen > 0, "the TUN device has some: the search works");
    assert!(
        wrong.is_empty(),
        "move these to where they belong, or find what every system has:\n{}",
        wrong.join("\n")
    );
}

/// Dependencies of a package in sections that hold for every system.
fn for_every_system(manifest: &str) -> Vec<&str> {
    let mut everywhere = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            everywhere = line == "[dependencies]";
        } else if everywhere && let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            names.push(name);
        }
    }
    names
}

#[test]
fn only_linux_gets_the_crates_of_the_tun_device() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for package in ["wire", "tcp", "device", "stack", "sim"] {
        let manifest = fs::read_to_string(root.join("crates").join(package).join("Cargo.toml")).unwrap();
        let names = for_every_system(&manifest);
        for linux in ["nix", "rtnetlink", "tokio-tun", "libc"] {
            assert!(!names.contains(&linux), "{package} asks for {linux} on every system");
        }
    }
}
