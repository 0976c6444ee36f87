use std::net::Ipv4Addr;
use std::path::Path;

use clap::{CommandFactory, Parser};
use netstack_bench_services::Service;

use super::*;
use crate::Cli;

fn args() -> ServerArgs {
    ServerArgs {
        device: "bench0".to_owned(),
        address: Ipv4Addr::new(192, 0, 2, 2),
        service: Service::Verify,
        connections: 64,
        workers: 2,
        buffer: 1 << 20,
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_server_of_this_program_understands_how_it_is_started() {
    for candidate in Candidate::ALL.into_iter().filter(|candidate| candidate.package().is_none()) {
        let launch = candidate.launch(Path::new("bench"), &Programs::new(), &args()).unwrap();
        let words = [launch.program.display().to_string()].into_iter().chain(launch.arguments);
        let parsed = Cli::try_parse_from(words);
        assert!(parsed.is_ok(), "{}: {}", candidate.name(), parsed.unwrap_err());
    }
}

#[test]
fn a_peer_that_could_not_be_built_cannot_be_started() {
    let mut programs = Programs::from([(Candidate::Ipstack, PathBuf::from("peer"))]);
    assert!(Candidate::Ipstack.launch(Path::new("bench"), &programs, &args()).is_some());
    programs.clear();
    assert!(Candidate::Ipstack.launch(Path::new("bench"), &programs, &args()).is_none());
}
