//! What is measured, and the figures that it gives.

use std::time::Duration;

use clap::ValueEnum;
use netstack_bench_services::Service;

use super::candidate::Candidate;
use super::client::bulk::Direction;

/// Interleaved runs of the one-byte ping-pong, at least: its figures move more than others.
const PING_PONG_RUNS: usize = 9;

/// A group of measurements, to choose by.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Measure {
    /// Bulk data with 1 and 16 flows, and its processor time.
    Bulk,
    /// Ping-pong of 1 byte and 1 KiB on 1 and 64 connections.
    PingPong,
    /// Connect, one byte each way, close.
    Connect,
    /// Resident bytes per idle connection.
    Memory,
    /// Bulk data with 1 % random loss.
    Loss,
    /// 1 GB echoed with SHA-256.
    Verify,
}

/// One measurement of one candidate.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Bulk(Direction, usize),
    PingPong {
        size: usize,
        connections: usize,
    },
    Connect(usize),
    Memory,
    Bare(usize),
    Loss(Direction),
    /// A download by the path of `Loss` when it loses nothing: what it carries.
    Lossless,
    /// The same as `Verify`, with loss.
    LossVerify,
    Verify,
}

/// A row of the table.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    Bulk(Direction, usize),
    Fairness(Direction),
    Drops(Direction),
    Machine(Direction),
    Process(Direction),
    P50 { size: usize, connections: usize },
    P99 { size: usize, connections: usize },
    Turns { size: usize, connections: usize },
    Connect(usize),
    Memory,
    Bare(usize),
    Loss(Direction),
    Lossless,
    LossVerify,
    Verify,
}

/// How long and how much.
#[derive(Copy, Clone, Debug)]
pub(super) struct Scale {
    pub(super) runs: usize,
    pub(super) quick: bool,
}

impl Scale {
    /// Before counting of bulk data starts.
    pub(super) fn warm_up(self) -> Duration {
        Duration::from_millis(200)
    }

    /// Counting of bulk data.
    pub(super) fn bulk(self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 800 })
    }

    /// Bulk data with loss: one early time-out must not be all there is.
    pub(super) fn lossy(self) -> Duration {
        Duration::from_millis(if self.quick { 500 } else { 1500 })
    }

    /// Everything in small pieces.
    pub(super) fn short(self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 450 })
    }

    /// Idle connections of the echo server.
    pub(super) fn idle(self) -> usize {
        if self.quick { 1000 } else { 10_000 }
    }

    /// Bytes echoed and verified over a path that loses packets.
    pub(super) fn verified_with_loss(self) -> u64 {
        if self.quick { 10_000_000 } else { 100_000_000 }
    }

    /// Bytes echoed and verified.
    pub(super) fn verified(self) -> u64 {
        if self.quick { 100_000_000 } else { 1_000_000_000 }
    }
}

impl Job {
    /// What is measured over a path that loses packets: data in each direction, what of it the path would carry, and that it
    /// is the same at both ends.
    pub(super) fn lossy() -> Vec<Self> {
        vec![Self::Loss(Direction::Download), Self::Lossless, Self::Loss(Direction::Upload), Self::LossVerify]
    }

    /// All measurements side by side, in their order.
    pub(super) fn all(measures: &[Measure], scale: Scale) -> Vec<Self> {
        use Direction::{Download, Upload};
        let mut jobs = Vec::new();
        for measure in measures {
            match measure {
                Measure::Bulk => jobs.extend([
                    Self::Bulk(Download, 1),
                    Self::Bulk(Upload, 1),
                    Self::Bulk(Download, 16),
                    Self::Bulk(Upload, 16),
                ]),
                Measure::PingPong => jobs.extend([
                    Self::PingPong { size: 1, connections: 1 },
                    Self::PingPong { size: 1024, connections: 1 },
                    Self::PingPong { size: 1, connections: 64 },
                    Self::PingPong { size: 1024, connections: 64 },
                ]),
                Measure::Connect => jobs.extend([Self::Connect(1), Self::Connect(64)]),
                Measure::Memory => {
                    jobs.extend([Self::Memory, Self::Bare(10_000)]);
                    if !scale.quick {
                        jobs.push(Self::Bare(100_000));
                    }
                }
                Measure::Loss => jobs.extend([Self::Loss(Download), Self::Loss(Upload)]),
                Measure::Verify => jobs.push(Self::Verify),
            }
        }
        jobs
    }

    /// How often it is measured.
    pub(super) fn rounds(self, scale: Scale) -> usize {
        match self {
            Self::PingPong { size: 1, connections: 1 } if !scale.quick => scale.runs.max(PING_PONG_RUNS),
            _ => scale.runs,
        }
    }

    /// Whether there is anything to learn.
    pub(super) fn applies_to(self, candidate: Candidate) -> bool {
        match self {
            // It is about what comes in.
            _ if candidate == Candidate::PlainCoalescing => matches!(self, Self::Bulk(Direction::Upload, _)),
            Self::Bulk(..) => true,
            Self::Bare(_) => candidate == Candidate::Offload,
            Self::Loss(_) | Self::Lossless | Self::LossVerify => {
                candidate.is_plain() && !candidate.is_ceiling()
            }
            _ => !candidate.is_ceiling(),
        }
    }

    pub(super) fn service(self) -> Service {
        match self {
            Self::Bulk(Direction::Download, _) | Self::Loss(Direction::Download) | Self::Lossless => {
                Service::Source
            }
            Self::Bulk(Direction::Upload, _) | Self::Loss(Direction::Upload) => Service::Discard,
            Self::PingPong { .. } | Self::Connect(_) | Self::Memory | Self::Bare(_) => Service::Echo,
            Self::Verify | Self::LossVerify => Service::Verify,
        }
    }

    /// Connections at a time.
    pub(super) fn connections(self, scale: Scale) -> usize {
        match self {
            Self::Bulk(_, connections) | Self::PingPong { connections, .. } | Self::Connect(connections) => {
                connections
            }
            // Those that warm up come on top.
            Self::Memory => scale.idle() + 100,
            Self::Bare(connections) => connections,
            Self::Loss(_) | Self::Lossless | Self::LossVerify | Self::Verify => 1,
        }
    }

    /// What it gives.
    pub(super) fn figures(self) -> Vec<Figure> {
        match self {
            Self::Bulk(direction, 1) => {
                vec![Figure::Bulk(direction, 1), Figure::Machine(direction), Figure::Process(direction)]
            }
            Self::Bulk(direction, flows) => {
                vec![Figure::Bulk(direction, flows), Figure::Fairness(direction), Figure::Drops(direction)]
            }
            Self::PingPong { size, connections } => vec![
                Figure::P50 { size, connections },
                Figure::P99 { size, connections },
                Figure::Turns { size, connections },
            ],
            Self::Connect(in_flight) => vec![Figure::Connect(in_flight)],
            Self::Memory => vec![Figure::Memory],
            Self::Bare(connections) => vec![Figure::Bare(connections)],
            Self::Loss(direction) => vec![Figure::Loss(direction)],
            Self::Lossless => vec![Figure::Lossless],
            Self::LossVerify => vec![Figure::LossVerify],
            Self::Verify => vec![Figure::Verify],
        }
    }
}

impl Figure {
    /// As in the table, with the unit.
    pub(super) fn title(self) -> String {
        let way = |direction| if direction == Direction::Download { "download" } else { "upload" };
        let flows = |flows| if flows == 1 { "1 flow".to_owned() } else { format!("{flows} flows") };
        let size = |size| if size == 1 { "1-byte" } else { "1 KiB" };
        match self {
            Self::Bulk(direction, n) => format!("{}, {}, Gbit/s", way(direction), flows(n)),
            Self::Fairness(direction) => {
                format!("{}, 16 flows: the slowest flow's share of the fair share", way(direction))
            }
            Self::Drops(direction) => format!("{}, 16 flows: packets dropped at the device", way(direction)),
            Self::Machine(direction) => format!("{}, CPU s/GB, whole machine", way(direction)),
            Self::Process(direction) => format!("{}, CPU s/GB, server process", way(direction)),
            Self::P50 { size: s, connections } => {
                format!("{} ping-pong, {connections} conn., p50, µs", size(s))
            }
            Self::P99 { size: s, connections } => {
                format!("{} ping-pong, {connections} conn., p99, µs", size(s))
            }
            Self::Turns { size: s, connections } => {
                format!("{} ping-pong, {connections} conn., per second", size(s))
            }
            Self::Connect(in_flight) => {
                format!("connect + 1-byte echo + close per second, {in_flight} in flight")
            }
            Self::Memory => "resident bytes per idle connection, echo server".to_owned(),
            Self::Bare(connections) => format!("resident bytes per bare `TcpStream`, {connections} of them"),
            Self::Loss(direction) => format!("{} with 1 % random loss, Mbit/s", way(direction)),
            Self::Lossless => "download by the same path without loss, Mbit/s".to_owned(),
            Self::LossVerify => {
                "echo with SHA-256 and half-close with 1 % random loss, Mbit/s each way".to_owned()
            }
            Self::Verify => "echo with SHA-256 and half-close, Gbit/s each way".to_owned(),
        }
    }

    /// Whether it is good to have much of it.
    pub(super) fn more_is_better(self) -> bool {
        match self {
            Self::Machine(_) | Self::Process(_) | Self::Drops(_) => false,
            Self::P50 { .. } | Self::P99 { .. } | Self::Memory | Self::Bare(_) => false,
            Self::Bulk(..) | Self::Fairness(_) | Self::Turns { .. } => true,
            Self::Connect(_) | Self::Loss(_) | Self::Lossless | Self::LossVerify | Self::Verify => true,
        }
    }

    /// Digits behind the point.
    pub(super) fn digits(self) -> usize {
        match self {
            Self::P50 { .. } | Self::P99 { .. } | Self::Loss(_) | Self::Lossless | Self::LossVerify => 1,
            Self::Turns { .. } | Self::Connect(_) | Self::Memory | Self::Bare(_) | Self::Drops(_) => 0,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests;
