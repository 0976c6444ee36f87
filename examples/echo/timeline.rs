//! What happened on the wire and in the stack, in one order: segments as a device saw them, and the
//! changes of state that the stack reports.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netstack_wire::SeqNum;
use netstack_wire::tcp::{TcpFlags, TcpHeader};

/// Longer than an ACK is delayed.
const QUIET: Duration = Duration::from_millis(150);

/// A record that is written to only while it is [recording](Self::record).
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    recording: AtomicBool,
    entries: Mutex<Vec<Entry>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Segment(Captured),
    Change(Change),
    /// A segment that the device did not take after all.
    Refused,
}

/// A segment as it passed the server's device.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) src: SocketAddr,
    pub(crate) dst: SocketAddr,
    pub(crate) header: TcpHeader,
    pub(crate) payload_len: usize,
    /// The client's state as its kernel told it right after this segment, if its kernel was asked.
    pub(crate) client_state: Option<&'static str>,
}

/// A change of state as the stack reported it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) local: SocketAddr,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Timeline {
    pub(crate) fn is_recording(&self) -> bool {
        self.0.recording.load(Ordering::Relaxed)
    }

    /// Starts a new record.
    pub(crate) fn record(&self) {
        self.entries().clear();
        self.0.recording.store(true, Ordering::Relaxed);
    }

    /// Ends the record and takes it.
    pub(crate) fn take(&self) -> Vec<Entry> {
        self.0.recording.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.entries())
    }

    /// Waits until nothing has happened for a while: on a busy machine a step may take its time.
    pub(crate) async fn quiet(&self) {
        let mut seen = usize::MAX;
        loop {
            let now = self.entries().len();
            if now == seen {
                return;
            }
            seen = now;
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Adds a segment, whose place in the order is now, and returns that place.
    pub(crate) fn segment(&self, captured: Captured) -> usize {
        let mut entries = self.entries();
        entries.push(Entry::Segment(captured));
        entries.len() - 1
    }

    /// Completes the segment at `place` with what the client's kernel said afterwards.
    pub(crate) fn client_state(&self, place: usize, state: &'static str) {
        if let Some(Entry::Segment(captured)) = self.entries().get_mut(place) {
            captured.client_state = Some(state);
        }
    }

    /// Takes the segment at `place` back: the device had no room for it.
    pub(crate) fn retract(&self, place: usize) {
        if let Some(entry) = self.entries().get_mut(place) {
            *entry = Entry::Refused;
        }
    }

    pub(crate) fn change(&self, change: Change) {
        if self.is_recording() {
            self.entries().push(Entry::Change(change));
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One segment of a connection with the state of both ends beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) from_client: bool,
    pub(crate) header: TcpHeader,
    pub(crate) payload_len: usize,
    /// Sequence and acknowledgment number, counted from the first of each end.
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) client_state: String,
    pub(crate) server_state: String,
}

/// The segments of the connection to `server`, with both ends' states.
///
/// The states are those that were reported; which segment brought one about is told by RFC 9293's rules,
/// since a report may come when the next segment has passed already. A sender is shown in the state in which
/// it sent, a receiver in the state that the segment brought about.
pub(crate) fn rows(entries: &[Entry], server: SocketAddr) -> Vec<Row> {
    let segments = || {
        entries.iter().enumerate().filter_map(|(place, entry)| match entry {
            Entry::Segment(captured) => Some((place, captured)),
            _ => None,
        })
    };
    let client_of = |captured: &Captured| if captured.dst == server { captured.src } else { captured.dst };
    let Some(client) = segments().map(|(_, captured)| client_of(captured)).next() else { return Vec::new() };
    let mut client = End::new(client, entries);
    let mut server = End::new(server, entries);
    segments()
        .filter_map(|(place, captured)| {
            let from_client = captured.src == client.local && captured.dst == server.local;
            let from_server = captured.src == server.local && captured.dst == client.local;
            let (sender, receiver) = match (from_client, from_server) {
                (true, _) => (&mut client, &mut server),
                (_, true) => (&mut server, &mut client),
                _ => return None,
            };
            let header = captured.header;
            let seq = header.seq.distance_from(*sender.isn.get_or_insert(header.seq));
            let ack = receiver.isn.map_or(0, |isn| header.ack.distance_from(isn));
            sender.sent(place, seq, captured);
            receiver.received(ack, captured);
            let client_state = captured.client_state.unwrap_or(&client.state).to_owned();
            let server_state = server.state.clone();
            let payload_len = captured.payload_len;
            Some(Row { from_client, header, payload_len, seq, ack, client_state, server_state })
        })
        .collect()
}

/// One end on its way through the states.
struct End {
    local: SocketAddr,
    isn: Option<SeqNum>,
    /// What acknowledges its FIN, once that was sent.
    fin_acked_by: Option<u32>,
    state: String,
    /// The changes still to come, each with its place in the order.
    changes: VecDeque<(usize, Change)>,
}

impl End {
    fn new(local: SocketAddr, entries: &[Entry]) -> Self {
        let changes: VecDeque<_> = entries
            .iter()
            .enumerate()
            .filter_map(|(place, entry)| match entry {
                Entry::Change(change) if change.local == local => Some((place, change.clone())),
                _ => None,
            })
            .collect();
        // A connection is made in its first state, which no change leads to.
        let state = changes.front().map_or_else(|| "?".to_owned(), |(_, first)| first.from.clone());
        Self { local, isn: None, fin_acked_by: None, state, changes }
    }

    /// What was reported before the segment left, led to it.
    fn sent(&mut self, place: usize, seq: u32, captured: &Captured) {
        self.advance_while(|at, _| at < place);
        if captured.header.flags.contains(TcpFlags::FIN) {
            self.fin_acked_by = Some(seq + captured.payload_len as u32 + 1);
        }
    }

    fn received(&mut self, ack: u32, captured: &Captured) {
        let flags = captured.header.flags;
        let fin_acked = flags.contains(TcpFlags::ACK) && self.fin_acked_by.is_some_and(|by| ack >= by);
        let explains = |change: &Change| match change.to.as_str() {
            "ESTABLISHED" => flags.contains(TcpFlags::ACK),
            "CLOSE-WAIT" | "CLOSING" => flags.contains(TcpFlags::FIN),
            "FIN-WAIT-2" => fin_acked,
            "TIME-WAIT" => flags.contains(TcpFlags::FIN) || (change.from == "CLOSING" && fin_acked),
            "CLOSED" => fin_acked || flags.contains(TcpFlags::RST),
            _ => false,
        };
        self.advance_while(|_, change| explains(change));
    }

    fn advance_while(&mut self, holds: impl Fn(usize, &Change) -> bool) {
        while self.changes.front().is_some_and(|(at, change)| holds(*at, change))
            && let Some((_, change)) = self.changes.pop_front()
        {
            self.state = change.to;
        }
    }
}

#[cfg(test)]
mod tests {
    use netstack_wire::tcp::TcpOptions;

    use super::*;

    fn addresses() -> (SocketAddr, SocketAddr) {
        (([192, 0, 2, 1], 40_000).into(), ([192, 0, 2, 2], 7).into())
    }

    fn segment(from_client: bool, flags: TcpFlags, seq: u32, ack: u32) -> Entry {
        let (client, server) = addresses();
        let (src, dst) = if from_client { (client, server) } else { (server, client) };
        let header = TcpHeader {
            src_port: src.port(),
            dst_port: dst.port(),
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            flags,
            window: 1000,
            urgent: 0,
            options: TcpOptions::default(),
        };
        Entry::Segment(Captured { src, dst, header, payload_len: 0, client_state: None })
    }

    fn change(at_client: bool, from: &str, to: &str) -> Entry {
        let (client, server) = addresses();
        let local = if at_client { client } else { server };
        Entry::Change(Change { local, from: from.to_owned(), to: to.to_owned() })
    }

    #[test]
    fn the_sender_is_shown_as_it_sent_and_the_receiver_as_it_became() {
        let (_, server) = addresses();
        let entries = [
            segment(true, TcpFlags::SYN, u32::MAX, 0),
            segment(false, TcpFlags::SYN | TcpFlags::ACK, 900, 0),
            change(true, "SYN-SENT", "ESTABLISHED"),
            segment(true, TcpFlags::ACK, 0, 901),
            change(false, "SYN-RECEIVED", "ESTABLISHED"),
            change(false, "ESTABLISHED", "FIN-WAIT-1"),
            segment(false, TcpFlags::FIN | TcpFlags::ACK, 901, 0),
        ];
        let shown: Vec<_> = rows(&entries, server)
            .into_iter()
            .map(|row| (row.seq, row.ack, row.client_state, row.server_state))
            .collect();
        let expected = [
            (0, 0, "SYN-SENT", "SYN-RECEIVED"),
            (0, 1, "ESTABLISHED", "SYN-RECEIVED"),
            (1, 1, "ESTABLISHED", "ESTABLISHED"),
            (1, 1, "ESTABLISHED", "FIN-WAIT-1"),
        ];
        assert_eq!(
            shown,
            expected.map(|(seq, ack, client, server)| (seq, ack, client.into(), server.into()))
        );
    }

    #[test]
    fn a_late_report_belongs_to_the_segment_that_explains_it() {
        let (_, server) = addresses();
        let fin = TcpFlags::FIN | TcpFlags::ACK;
        let entries = [
            change(true, "ESTABLISHED", "FIN-WAIT-1"),
            segment(true, fin, 100, 500),
            segment(false, TcpFlags::ACK, 500, 101),
            segment(false, fin, 500, 101),
            change(true, "FIN-WAIT-1", "FIN-WAIT-2"),
            change(true, "FIN-WAIT-2", "TIME-WAIT"),
            segment(true, TcpFlags::ACK, 101, 501),
        ];
        let shown: Vec<_> = rows(&entries, server).into_iter().map(|row| row.client_state).collect();
        assert_eq!(shown, ["FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "TIME-WAIT"]);
    }

    #[test]
    fn a_segment_that_the_device_refused_is_not_shown() {
        let timeline = Timeline::default();
        timeline.record();
        let Entry::Segment(captured) = segment(true, TcpFlags::SYN, 0, 0) else { unreachable!() };
        let place = timeline.segment(captured);
        timeline.retract(place);
        assert_eq!(rows(&timeline.take(), addresses().1), []);
    }
}
