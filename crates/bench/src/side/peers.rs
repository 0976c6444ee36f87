//! Builds the programs of the other stacks.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::candidate::{Candidate, Programs};

/// The workspace of the peers.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/Cargo.toml");

/// Builds those of `candidates` that have a package; says which cannot be built, and goes on without them.
///
/// # Errors
/// The place of this program, beside which they are put, is not known, or there is no cargo.
pub(super) fn build(candidates: &[Candidate]) -> io::Result<(PathBuf, Programs)> {
    let own = std::env::current_exe()?;
    let packages: Vec<_> =
        candidates.iter().filter_map(|&candidate| Some((candidate, candidate.package()?))).collect();
    if packages.is_empty() {
        return Ok((own, Programs::new()));
    }
    // target/release/netstack-bench -> target/peers
    let target = own.ancestors().nth(2).map(|target| target.join("peers"));
    let target = target.ok_or_else(|| io::Error::other("this program is not in a target directory"))?;
    let folder = target.join("release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--release",
        "--locked",
        "--keep-going",
        "--manifest-path",
        MANIFEST,
        "--target-dir",
    ]);
    build.arg(&target);
    for (_, package) in &packages {
        build.args(["--package", package]);
        // What an earlier build left is not to be taken for one that cannot be built now. Cargo puts the rest back.
        if let Err(e) = fs::remove_file(folder.join(package))
            && e.kind() != io::ErrorKind::NotFound
        {
            return Err(e);
        }
    }
    let names: Vec<_> = packages.iter().map(|(_, package)| *package).collect();
    eprintln!("building the other stacks: {} ({MANIFEST})", names.join(", "));
    build.status()?;
    let mut programs = Programs::new();
    for (candidate, package) in packages {
        let program = folder.join(package);
        if program.exists() {
            programs.insert(candidate, program);
        } else {
            eprintln!("{package} cannot be built, see above: it will be reported as failed");
        }
    }
    Ok((own, programs))
}
