//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use netstack_cli::demo::Scene;
use netstack_cli::draw::Theme;
use netstack_cli::units;
use netstack_sim::JitterDistribution;

/// TCP in virtual time, and the pictures that explain it
///
/// Experiments run on the stack's own TCP over simulated links; nothing leaves the
/// program, and no privileges are needed. The same options and the same seed give the
/// same packets at the same nanoseconds.
#[derive(Debug, Parser)]
#[command(name = "netstack", version, verbatim_doc_comment, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit status:
  0  done
  1  it failed: a file that cannot be read or written, a transfer that did not finish
  2  the command line is wrong; the message says what to write instead";

const UNITS: &str = "\
Units are those of tc(8): rates in bit, kbit, mbit, gbit (bits per second; bps, kbps, mbps are
bytes per second), sizes in b, kb, mb, gb (powers of 1024), times in s, ms, us (a bare number is
microseconds), shares in per cent.

Examples:
  netstack sim --rate 20mbit --delay 25ms --loss 1% --cc cubic --bytes 10MB --seed 7 --plot out/
  netstack sim --rate 10mbit --delay 20ms --queue 100kb --bytes 6mb --plot out
  netstack sim --flows 3 --burst 4 --loss 2% --cc bbr --bytes 4mb

Exit status:
  0  all of it arrived
  1  not all of it arrived within --limit, or a file cannot be written
  2  the command line is wrong";

const DRAW: &str = "\
Examples:
  tcpdump -i any -w capture.pcap tcp
  netstack ladder capture.pcap -o ladder.svg
  netstack plot time-sequence capture.pcap --connection 2 -o sequence.png --theme dark

Exit status: that of netstack(1); 1 if the file cannot be read, or has no such connection.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Transfer data over a simulated link, measure it and draw it
    ///
    /// Runs one or more TCP connections over one link in virtual time and prints what
    /// they did: goodput, what was sent again, percentiles of the round trips, and the
    /// time spent in each state. With --plot it writes, into a folder:
    ///
    ///   trace.jsonl          everything that happened (docs/trace-schema.md)
    ///   trace.pcapng         the packets, an interface for each direction
    ///   ladder.svg           the first connection, segment by segment
    ///   time-sequence.svg    its data, ACKs, window and SACK blocks
    ///   windows.svg          cwnd, ssthresh, flight and round-trip times
    ///   throughput.svg       all connections
    ///   queue.svg            what waited in front of the link
    ///   states-client.svg    the way of its ends through the states
    ///   states-server.svg
    ///
    #[command(verbatim_doc_comment, after_help = UNITS)]
    Sim(Box<Sim>),
    /// Play a classic scene in the terminal, with the reason for each segment
    ///
    /// Waits for Enter between the steps when a person watches, and goes on by itself
    /// when the output goes elsewhere or with --no-wait.
    #[command(verbatim_doc_comment)]
    Demo(Demo),
    /// Draw a connection of a trace or a capture as a ladder
    ///
    /// FILE is a capture of anyone's (pcapng or pcap), or a trace of `netstack sim`
    /// (.jsonl), which knows states, timers and losses as well.
    #[command(verbatim_doc_comment, after_help = DRAW)]
    Ladder(Ladder),
    /// Draw the other pictures of a connection of a trace or a capture
    ///
    /// Of a capture the states are inferred from the segments; congestion windows and
    /// queues are in traces alone.
    #[command(verbatim_doc_comment, after_help = DRAW)]
    Plot(Plot),
    /// Show the connections of a running stack, in the manner of `ss -tin`
    ///
    /// The program that runs the stack has to offer its control socket, which none does
    /// by itself: tokio_netstack::control::serve (feature `control`), or --control of the
    /// echo example. Windows of congestion are in segments, times in milliseconds.
    /// Fails with status 1 if nobody answers there.
    #[cfg(unix)]
    #[command(verbatim_doc_comment)]
    Ss(Ss),
    /// Print a script that completes this command in a shell
    ///
    /// For bash: netstack completions bash > ~/.local/share/bash-completion/completions/netstack
    #[command(verbatim_doc_comment)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// The folder; it is made if it is not there
        folder: PathBuf,
    },
}

/// `netstack sim`
#[derive(Debug, Group)]
pub(crate) struct Sim {
    /// Rate of the link, both ways; "none" for no limit
    #[arg(long, default_value = "20mbit", value_parser = rate_or_none, help_heading = "The link")]
    pub(crate) rate: Rate,
    /// Propagation delay, one way
    #[arg(long, value_name = "TIME", default_value = "25ms", value_parser = units::time, help_heading = "The link")]
    pub(crate) delay: Duration,
    /// Random delay beside it, for data; how much is what --distribution makes of it
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = units::time, help_heading = "The link")]
    pub(crate) jitter: Duration,
    /// How the jitter is spread
    #[arg(long, value_enum, default_value_t = Distribution::Uniform, help_heading = "The link")]
    pub(crate) distribution: Distribution,
    /// Let packets overtake each other by their jitter
    #[arg(long, help_heading = "The link")]
    pub(crate) jitter_reorders: bool,
    /// Share of data packets that are lost
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = units::percent, help_heading = "The link")]
    pub(crate) loss: f64,
    /// Lose them in runs of this many packets on average (Gilbert-Elliott)
    #[arg(long, default_value_t = 1.0, value_name = "PACKETS", value_parser = burst, help_heading = "The link")]
    pub(crate) burst: f64,
    /// Share of packets that are lost on the way back
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = units::percent, help_heading = "The link")]
    pub(crate) loss_back: f64,
    /// Share of data packets that arrive twice
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = units::percent, help_heading = "The link")]
    pub(crate) duplicate: f64,
    /// Share of data packets that are held back, so that others overtake them
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = units::percent, help_heading = "The link")]
    pub(crate) reorder: f64,
    /// What may wait in front of the link [default: one bandwidth-delay product]
    #[arg(long, value_name = "SIZE", value_parser = units::size, help_heading = "The link")]
    pub(crate) queue: Option<u64>,
    /// Use ECN, and mark packets when more than this waits
    #[arg(long, value_name = "SIZE", value_parser = units::size, help_heading = "The link")]
    pub(crate) mark_above: Option<u64>,
    /// Largest IP packet, octets
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u16).range(576..=9000), help_heading = "The link")]
    pub(crate) mtu: u16,

    /// Congestion control
    #[arg(long, value_enum, default_value = "cubic", help_heading = "The connections")]
    pub(crate) cc: Congestion,
    /// Spread segments over the round trip
    #[arg(long, help_heading = "The connections")]
    pub(crate) pacing: bool,
    /// How much each connection transfers
    #[arg(long, value_name = "SIZE", default_value = "1mb", value_parser = units::size, help_heading = "The connections")]
    pub(crate) bytes: u64,
    /// How many there are; they start 10 ms after each other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "The connections")]
    pub(crate) flows: u16,
    /// IPv6 instead of IPv4
    #[arg(short = '6', long, help_heading = "The connections")]
    pub(crate) ipv6: bool,

    /// Seed of everything random
    #[arg(long, default_value_t = 1, help_heading = "The run")]
    pub(crate) seed: u64,
    /// Give up after this much virtual time
    #[arg(long, value_name = "TIME", default_value = "3600s", value_parser = units::time, help_heading = "The run")]
    pub(crate) limit: Duration,
    /// Write trace, capture and pictures into this folder
    #[arg(long, value_name = "FOLDER", help_heading = "The run")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) style: Style,
    /// Show no progress
    #[arg(short, long, help_heading = "The run")]
    pub(crate) quiet: bool,
}

/// `netstack demo`
#[derive(Debug, Group)]
pub(crate) struct Demo {
    /// What is played
    pub(crate) scene: Scene,
    /// Draw it into this file as well (.svg or .png)
    #[arg(long, value_name = "FILE", value_parser = picture)]
    pub(crate) svg: Option<PathBuf>,
    /// Write its trace into this file as well (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Do not wait between the steps
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Seed of the losses of tcp-vs-udp
    #[arg(long, default_value_t = 2)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) style: Style,
}

/// `netstack ladder`
#[derive(Debug, Group)]
pub(crate) struct Ladder {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The picture: .svg or .png
    #[arg(short, long, value_name = "FILE", default_value = "ladder.svg", value_parser = picture)]
    pub(crate) output: PathBuf,
    /// Draw so many segments one by one, and fold the middle of a longer connection
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(6..=5000))]
    pub(crate) segments: u32,
    /// The heading
    #[arg(long)]
    pub(crate) title: Option<String>,
    #[command(flatten)]
    pub(crate) style: Style,
}

/// `netstack plot`
#[derive(Debug, Group)]
pub(crate) struct Plot {
    /// Which picture
    pub(crate) kind: Kind,
    #[command(flatten)]
    pub(crate) source: Source,
    /// The picture: .svg or .png
    #[arg(short, long, value_name = "FILE", value_parser = picture)]
    pub(crate) output: PathBuf,
    /// Which end, for the states: 0 is the one that opened the connection
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) side: u8,
    #[command(flatten)]
    pub(crate) style: Style,
}

/// `netstack ss`
#[cfg(unix)]
#[derive(Debug, Group)]
pub(crate) struct Ss {
    /// The control socket of the program
    #[arg(long, value_name = "PATH")]
    pub(crate) control: PathBuf,
    /// Only connections in this state, as the first column spells it
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
}

/// What a picture is drawn of.
#[derive(Debug, Group)]
pub(crate) struct Source {
    /// A capture (pcapng, pcap) or a trace (.jsonl)
    pub(crate) file: PathBuf,
    /// Which of its connections, counted from 1 in the order of their first packets
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connection: u32,
}

/// How pictures look.
#[derive(Debug, Group)]
pub(crate) struct Style {
    /// Colours; auto follows the reader's browser
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) theme: Theme,
}

/// A picture of [`Plot`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Data, ACKs, window and SACK blocks, in the manner of tcptrace
    TimeSequence,
    /// Congestion window, threshold, flight and round-trip times
    Windows,
    /// Payload per second of all connections
    Throughput,
    /// What waited in front of the links
    Queue,
    /// The way of an end through the states of RFC 9293
    States,
}

/// How random delays are spread.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Distribution {
    /// Up to the jitter on top of the delay
    Uniform,
    /// Around the delay, with the jitter as standard deviation
    Normal,
    /// The same with a long tail
    Pareto,
}

impl From<Distribution> for JitterDistribution {
    fn from(distribution: Distribution) -> Self {
        match distribution {
            Distribution::Uniform => Self::Uniform,
            Distribution::Normal => Self::Normal,
            Distribution::Pareto => Self::Pareto,
        }
    }
}

/// A congestion controller.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Congestion {
    /// RFC 9438
    Cubic,
    /// RFC 5681 and 6582
    #[value(alias = "reno")]
    Newreno,
    /// BBR version 3
    Bbr,
}

/// A rate, or none.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) Option<u64>);

fn rate_or_none(text: &str) -> Result<Rate, String> {
    if text == "none" { Ok(Rate(None)) } else { units::rate(text).map(|rate| Rate(Some(rate))) }
}

/// The file of a picture, whose name says of which kind it is.
fn picture(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let known = |end: &std::ffi::OsStr| ["svg", "png"].iter().any(|known| end.eq_ignore_ascii_case(known));
    match path.extension() {
        Some(end) if known(end) => Ok(path),
        _ => Err("pictures are drawn as SVG or PNG: name the file .svg or .png".to_owned()),
    }
}

fn burst(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|mean: &f64| (1.0..=1e6).contains(mean)).ok_or_else(|| {
        "a run has one packet or more on average: 1 for losses that do not depend on each other, 4 for bursts".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_line_of_the_handbook_is_understood() {
        let line =
            "netstack sim --rate 20mbit --delay 25ms --loss 1% --cc cubic --bytes 10MB --seed 7 --plot out/";
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        let Command::Sim(sim) = args.command else { panic!("{args:?}") };
        assert_eq!((sim.rate, sim.delay), (Rate(Some(20_000_000)), Duration::from_millis(25)));
        assert_eq!((sim.loss, sim.bytes, sim.seed), (0.01, 10 << 20, 7));
        assert_eq!((sim.cc, sim.plot), (Congestion::Cubic, Some(PathBuf::from("out/"))));
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_to_write() {
        let error = |line: &str| Args::try_parse_from(line.split(' ')).unwrap_err();
        assert!(error("netstack sim --rate fast").to_string().contains("20mbit"));
        assert!(error("netstack sim --loss 200%").to_string().contains("between 0 and 100"));
        assert!(error("netstack sim --distribution even").to_string().contains("pareto"));
        assert!(error("netstack sim --burst 0").to_string().contains("one packet or more"));
        assert!(error("netstack demo nothing").to_string().contains("handshake"));
        assert_eq!(error("netstack sim --mtu 1").exit_code(), 2);
        assert!(error("netstack demo handshake --svg picture.pdf").to_string().contains(".svg or .png"));
    }
}
