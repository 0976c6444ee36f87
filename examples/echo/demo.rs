//! The demonstration: a connection step by step, the other services, and a long echo.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use netstack_device::netns;
use netstack_wire::tcp::TcpFlags;
use tokio::runtime::{Builder, Handle};

use crate::client::Client;
use crate::ladder;
use crate::number::grouped;
use crate::say::say;
use crate::services::{CHARGEN, DAYTIME, DISCARD, ECHO};
use crate::stage::{CLIENT_V4, SERVER_V4, SERVER_V6, Stage};
use crate::states;
use crate::text::wrapped;
use crate::timeline::{Row, Timeline, rows};

const LADDER_BYTES: usize = 10_000;
const SERVICE_BYTES: usize = 1_000_000;
/// Fewer than the buffers on the way hold: nothing is read before all is sent.
const HALF_CLOSE_BYTES: usize = 50_000;
const LONG: u64 = 1 << 30;

/// Runs it all; the exit status tells whether every comparison held.
pub(crate) fn run() -> ExitCode {
    // Before any thread: a process with threads cannot enter a user namespace.
    let private = netns::enter_private().map_err(io::Error::from);
    let timeline = Timeline::default();
    states::install(&timeline);
    match play(private, timeline) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The demonstration failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(private: io::Result<()>, timeline: Timeline) -> io::Result<()> {
    // The client has threads of its own, as another program would: one that sends and one that receives.
    let clients = Builder::new_multi_thread().worker_threads(2).thread_name("client").enable_all().build()?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stage = match private {
            Ok(()) => Stage::with_kernel(timeline.clone()).await,
            Err(error) => Err(error),
        };
        let stage = match stage {
            Ok(stage) => stage,
            Err(error) => {
                say!(
                    "{}",
                    wrapped(&format!("The kernel cannot be the client here: {error}.\n{FALL_BACK}"), "")
                );
                Stage::in_memory(timeline).await?
            }
        };
        let show = Show { stage, clients: clients.handle().clone() };
        show.step_by_step().await?;
        show.other_services().await?;
        show.long_echo().await?;
        show.stage.server.shutdown().await;
        Ok(())
    })
}

struct Show {
    stage: Stage,
    clients: Handle,
}

impl Show {
    async fn client<F, T>(&self, future: F) -> io::Result<T>
    where
        F: Future<Output = io::Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.clients.spawn(future).await.map_err(io::Error::other)?
    }

    /// Runs a client's future and returns the segments that passed meanwhile.
    async fn recorded<F, T>(&self, server: SocketAddr, future: F) -> io::Result<(T, Vec<Row>)>
    where
        F: Future<Output = io::Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.stage.timeline.record();
        let outcome = self.client(future).await;
        self.stage.timeline.quiet().await;
        let rows = rows(&self.stage.timeline.take(), server);
        Ok((outcome?, rows))
    }

    async fn step_by_step(&self) -> io::Result<()> {
        let server = SocketAddr::new(SERVER_V4, ECHO);
        let (client, name) = (self.stage.client.clone(), self.stage.client_name());
        let wire = self.stage.timeline.clone();
        let (_, rows) = self.recorded(server, client.echo_in_steps(server, LADDER_BYTES, wire)).await?;
        let (opening, transfer, closing) = phases(&rows)?;

        say!("{}", wrapped(&format!("{}\n\n{INTRODUCTION}", self.stage.scene()), ""));
        say!("{}", ladder::heading(&format!("{name}, {CLIENT_V4}"), "this stack", server));
        say!("{}", ladder::idle("CLOSED", "LISTEN"));
        print_lines(&ladder::rungs(opening));
        say!("{}", wrapped(OPENING, INDENT));
        print_lines(&ladder::folded(transfer));
        let mut note = format!("{} bytes went there and came back; {TRANSFER}", grouped(LADDER_BYTES as u64));
        let mss = opening.iter().find_map(|row| row.header.options.mss).map_or(usize::MAX, usize::from);
        if transfer.iter().any(|row| row.payload_len > mss) {
            note = format!("{note} {SUPER_SEGMENTS}");
        }
        say!("{}", wrapped(&note, INDENT));
        print_lines(&ladder::rungs(closing));
        say!("{}", wrapped(CLOSING, INDENT));
        say!("{}", wrapped(&self.origin_of_states(), ""));
        Ok(())
    }

    /// Where the states in the ladder come from.
    fn origin_of_states(&self) -> String {
        let left = match self.stage.client {
            Client::Kernel => "the left one is what the kernel answered (sock_diag) right after the segment",
            Client::Stack(_) => "the left one what the client's stack reported",
        };
        format!("States: the right one is what this stack reported; {left}.\n")
    }

    async fn other_services(&self) -> io::Result<()> {
        let at = |address, port| SocketAddr::new(address, port);
        let client = || self.stage.client.clone();

        let server = at(SERVER_V4, DAYTIME);
        let (line, rows) =
            self.recorded(server, client().daytime(server, self.stage.timeline.clone())).await?;
        let (_, _, closing) = phases(&rows)?;
        say!(
            "{}",
            wrapped(
                &format!("daytime says {line:?} and closes first, so that TIME-WAIT is at this end:"),
                ""
            )
        );
        print_lines(&ladder::rungs(closing));
        say!("");

        let bytes = grouped(SERVICE_BYTES as u64);
        self.client(client().discard(at(SERVER_V4, DISCARD), SERVICE_BYTES)).await?;
        say!("discard   took {bytes} bytes and gave none back");
        self.client(client().chargen(at(SERVER_V4, CHARGEN), SERVICE_BYTES)).await?;
        say!("chargen   sent {bytes} characters, each the right one, until the client left");
        let bytes = HALF_CLOSE_BYTES;
        self.client(client().echo_after_end(at(SERVER_V6, ECHO), bytes)).await?;
        say!("echo      over IPv6: {} bytes came back after the client's FIN", grouped(bytes as u64));
        say!("");
        Ok(())
    }

    async fn long_echo(&self) -> io::Result<()> {
        say!("echo of {} bytes: {} ...", grouped(LONG), self.stage.conditions());
        let client = self.stage.client.clone();
        let measured = self.client(client.measure(SocketAddr::new(SERVER_V4, ECHO), LONG)).await?;
        let seconds = measured.took.as_secs_f64();
        let rate = measured.bytes as f64 * 8.0 / 1e9 / seconds;
        say!("{seconds:.2} s, {rate:.2} Gbit/s there and as much back at the same time; sha256:");
        say!("sent      {}", measured.sent);
        say!("returned  {}", measured.returned);
        if measured.sent != measured.returned {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksums differ"));
        }
        say!("equal");
        Ok(())
    }
}

const INDENT: &str = "               ";

const FALL_BACK: &str = "So the same is shown between two stacks in this process, over a device in memory.\n";

const INTRODUCTION: &str = "One connection to the echo service (port 7) follows, each segment as it passed the \
     device, with the state of both ends beside it. Time runs down. Sequence and acknowledgment numbers \
     count from each end's first.\n";

const OPENING: &str = "Three-way handshake: each end says with SYN where its numbers start, and learns with \
     ACK that the other knows.";

const TRANSFER: &str = "an ACK names the byte that its sender expects next.";

const SUPER_SEGMENTS: &str = "With offload, several segments pass the device as one.";

const CLOSING: &str = "Four-way teardown: each direction ends by itself, with a FIN and its ACK. The end that \
     closed first stays in TIME-WAIT for a minute, so that old segments cannot disturb a new connection; \
     then it is CLOSED too.\n";

/// The segments of the handshake, of the transfer and of the teardown.
fn phases(rows: &[Row]) -> io::Result<(&[Row], &[Row], &[Row])> {
    let incomplete =
        || io::Error::new(io::ErrorKind::InvalidData, "the capture lacks a part of the connection");
    let is_third = |row: &Row| row.from_client && !row.header.flags.contains(TcpFlags::SYN);
    let third = rows.iter().position(is_third).ok_or_else(incomplete)?;
    let fin = |row: &Row| row.header.flags.contains(TcpFlags::FIN);
    let first_fin = rows.iter().position(fin).filter(|&at| at > third).ok_or_else(incomplete)?;
    Ok((&rows[..=third], &rows[third + 1..first_fin], &rows[first_fin..]))
}

fn print_lines(lines: &[String]) {
    for line in lines {
        say!("{line}");
    }
}
