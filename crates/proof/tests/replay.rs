//! The seeds of the fuzz targets, and what they have found, replayed; and as many random inputs as a second allows.

use std::fs;
use std::path::Path;

use netstack_proof::fuzz::{Body, TARGETS};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

fn kept(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |entry: fs::DirEntry| {
        let input = fs::read(entry.path()).expect("a seed can be read");
        (entry.path().display().to_string(), input)
    };
    let mut kept: Vec<_> = entries.map(|entry| read(entry.expect("the folder can be read"))).collect();
    kept.sort();
    kept
}

#[test]
fn seeds_and_found_cases_pass() {
    for (name, body) in TARGETS {
        let kept = kept(name);
        assert!(!kept.is_empty(), "{name} has seeds");
        for (path, input) in kept {
            println!("{path}");
            body(&input);
        }
    }
}

/// Seeds with some octets changed, cut or repeated: what a fuzzer does first.
fn mutated(kept: &[(String, Vec<u8>)], body: Body, seed: u64, rounds: usize) {
    let mut random = Pcg64::seed_from_u64(seed);
    for _ in 0..rounds {
        let (_, seed) = &kept[random.random_range(0..kept.len())];
        let mut input = seed.clone();
        for _ in 0..random.random_range(1..16) {
            let at = random.random_range(0..=input.len());
            match random.random_range(0..4_u8) {
                0 if at < input.len() => input[at] = random.random(),
                1 => input.truncate(at.max(1)),
                2 => input.splice(at..at, [random.random(), random.random()]).for_each(drop),
                _ => {
                    let from = random.random_range(0..=at);
                    let again = input[from..at].to_vec();
                    input.extend_from_slice(&again[..again.len().min(256)]);
                }
            }
        }
        input.truncate(4096);
        body(&input);
    }
}

#[test]
fn random_changes_of_seeds_pass() {
    for (seed, (name, body)) in TARGETS.into_iter().enumerate() {
        println!("{name}");
        mutated(&kept(name), body, seed as u64, 500);
    }
}

/// As many as wanted, without a fuzzer: `NETSTACK_ROUNDS=1000000 cargo test --release -p netstack-proof -- --ignored`.
#[test]
#[ignore = "as long as NETSTACK_ROUNDS says"]
fn random_changes_without_end_pass() {
    let number =
        |name: &str, other: usize| std::env::var(name).map_or(other, |text| text.parse().expect("a number"));
    for (name, body) in TARGETS {
        println!("{name}");
        mutated(&kept(name), body, number("NETSTACK_SEED", 1) as u64, number("NETSTACK_ROUNDS", 10_000));
    }
}
