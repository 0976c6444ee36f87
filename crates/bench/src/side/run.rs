//! Measures: for each round, each measurement, for each candidate in turn.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use netstack_bench_services::ServerArgs;
use tokio::process::Command;
use tokio::time::timeout;

use super::candidate::{Candidate, Launch, Programs};
use super::client::{self, bulk, crowd, turns, verify};
use super::job::{Job, Scale};
use super::net::{Netlink, Subnet, Subnets};
use super::results::Results;
use super::router;
use super::server::Server;

/// A measurement that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(100);

/// The same for [`Job::Bare`]: 100,000 connections that echo 64 KiB one after the other take a minute on a quiet machine.
const BARE_LIMIT: Duration = Duration::from_secs(600);

/// Bytes that a connection echoes before it idles; those with a poll loop over all sockets would not be done within
/// [`LIMIT`].
const ECHOED: usize = 64 << 10;
const ECHOED_LITTLE: usize = 1 << 10;

/// Bytes of a buffer where there are 10,000 connections, for the other stacks: some allocate them at once.
const SMALL_BUFFER: usize = 16 << 10;

/// Bytes of a buffer elsewhere: the same for all but the kernel, whose buffers size themselves. So would this stack's, unless
/// told otherwise.
const BUFFER: usize = 1 << 20;

/// All that measuring needs.
pub(super) struct Bench {
    pub(super) own: PathBuf,
    pub(super) programs: Programs,
    pub(super) candidates: Vec<Candidate>,
    pub(super) jobs: Vec<Job>,
    pub(super) scale: Scale,
    pub(super) workers: usize,
}

impl Bench {
    /// Measures everything, each round beginning with another candidate.
    pub(super) async fn run(&self) -> io::Result<Results> {
        let netlink = Netlink::new()?;
        let mut subnets = Subnets::default();
        let mut results = Results::default();
        let rounds = |job: Job, candidate| {
            if job.applies_to(candidate) { job.rounds(self.scale) } else { 0 }
        };
        let all = self
            .jobs
            .iter()
            .flat_map(|&job| self.candidates.iter().map(move |&candidate| rounds(job, candidate)));
        let most = all.max().unwrap_or(0);
        let start = Instant::now();
        for round in 0..most {
            let mut candidates = self.candidates.clone();
            let len = candidates.len().max(1);
            candidates.rotate_left(round % len);
            for &job in &self.jobs {
                for &candidate in candidates.iter().filter(|&&candidate| round < rounds(job, candidate)) {
                    let limit = if matches!(job, Job::Bare(_)) { BARE_LIMIT } else { LIMIT };
                    let took = start.elapsed().as_secs();
                    eprintln!("[{took:>4} s] round {} of {most}: {job:?}, {}", round + 1, candidate.name());
                    let measured = timeout(limit, self.measure(&netlink, &mut subnets, job, candidate)).await;
                    let measured =
                        measured.unwrap_or_else(|_| Err(io::Error::other(format!("not done in {limit:?}"))));
                    record(&mut results, job, candidate, measured);
                }
            }
        }
        Ok(results)
    }

    /// Starts a server, measures once, ends it. The values are those of [`Job::figures`].
    async fn measure(
        &self,
        netlink: &Netlink,
        subnets: &mut Subnets,
        job: Job,
        candidate: Candidate,
    ) -> io::Result<Vec<f64>> {
        if let Job::Bare(connections) = job {
            return Ok(vec![self.bare(connections).await?]);
        }
        let subnet = subnets.take();
        let server = match job {
            Job::Loss(_) | Job::Lossless | Job::LossVerify => {
                let launch = self.launch(job, candidate, &subnet)?;
                let loses = job != Job::Lossless;
                router::start(netlink, &self.own, &launch, &subnets.take(), &subnet, loses).await?
            }
            _ => {
                let launch = self.launch(job, candidate, &subnet)?;
                Server::start(netlink, &launch, &subnet.device, subnet.near(), subnet.far()).await?
            }
        };
        let measured = match client::reach(server.service()).await {
            Ok(()) => self.client(&server, job, candidate).await,
            Err(e) => Err(e),
        };
        server.stop().await?;
        measured
    }

    fn launch(&self, job: Job, candidate: Candidate, subnet: &Subnet) -> io::Result<Launch> {
        let args = ServerArgs {
            device: subnet.device.clone(),
            address: subnet.far(),
            service: job.service(),
            connections: job.connections(self.scale),
            workers: self.workers,
            buffer: if job == Job::Memory && candidate.package().is_some() { SMALL_BUFFER } else { BUFFER },
        };
        let launch = candidate.launch(&self.own, &self.programs, &args);
        launch.ok_or_else(|| io::Error::other("could not be built"))
    }

    async fn client(&self, server: &Server, job: Job, candidate: Candidate) -> io::Result<Vec<f64>> {
        let scale = self.scale;
        let service = server.service();
        Ok(match job {
            Job::Bulk(direction, flows) => {
                let moved = bulk::measure(server, direction, flows, scale.warm_up(), scale.bulk()).await?;
                let speed = moved.gigabits_per_second();
                if flows == 1 {
                    let (machine, process) = moved.seconds_per_gigabyte();
                    vec![speed, machine, process]
                } else {
                    vec![speed, moved.fairness(), moved.drops as f64]
                }
            }
            Job::Loss(direction) => {
                let moved = bulk::measure(server, direction, 1, scale.warm_up(), scale.lossy()).await?;
                vec![moved.gigabits_per_second() * 1e3]
            }
            Job::Lossless => {
                let (warm_up, count) = (scale.warm_up(), scale.bulk());
                let moved = bulk::measure(server, bulk::Direction::Download, 1, warm_up, count).await?;
                vec![moved.gigabits_per_second() * 1e3]
            }
            Job::PingPong { size, connections } => {
                let turns = turns::ping_pong(service, connections, size, scale.short()).await?;
                vec![turns.p50, turns.p99, turns.per_second]
            }
            Job::Connect(in_flight) => vec![turns::connections(service, in_flight, scale.short()).await?],
            Job::Memory => {
                let bytes = if candidate.scans() { ECHOED_LITTLE } else { ECHOED };
                let ahead = candidate == Candidate::Smoltcp;
                vec![crowd::resident_per_connection(server, scale.idle(), bytes, ahead).await?]
            }
            Job::Verify => vec![verify::echo(service, scale.verified()).await?],
            Job::LossVerify => vec![verify::echo(service, scale.verified_with_loss()).await? * 1e3],
            Job::Bare(_) => Vec::new(),
        })
    }

    /// The figure of the command `idle`, in a process of its own.
    async fn bare(&self, connections: usize) -> io::Result<f64> {
        let idle = [String::from("idle"), connections.to_string()];
        let output = Command::new(&self.own).args(idle).kill_on_drop(true).output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let before = text.split(" bytes per TcpStream").next();
        let number = before.and_then(|text| text.rsplit(' ').next()).and_then(|number| number.parse().ok());
        number.ok_or_else(|| io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

fn record(results: &mut Results, job: Job, candidate: Candidate, measured: io::Result<Vec<f64>>) {
    match measured {
        Ok(values) => {
            for (figure, value) in job.figures().into_iter().zip(values) {
                results.add(figure, candidate, value);
            }
        }
        Err(e) => {
            eprintln!("         {}: {e}", candidate.name());
            for figure in job.figures() {
                results.fail(figure, candidate, e.to_string());
            }
        }
    }
}
