//! What happened on the wire and in the stack, in one order: segments as a device saw them, and the
//! changes of state that the stack reports.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netstack_wire::tcp::TcpHeader;

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

/// The segments of the connections to `server`, with both ends' states.
///
/// The end that sent a segment is shown in the state in which it sent it; the end that received it, in
/// the state that this brought about: the first change before anything else passed the wire.
pub(crate) fn rows(entries: &[Entry], server: SocketAddr) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut client_isn, mut server_isn) = (None, None);
    for (place, entry) in entries.iter().enumerate() {
        let Entry::Segment(captured) = entry else { continue };
        let from_client = captured.dst == server;
        if !from_client && captured.src != server {
            continue;
        }
        let client = if from_client { captured.src } else { captured.dst };
        let (own, other) =
            if from_client { (&mut client_isn, &mut server_isn) } else { (&mut server_isn, &mut client_isn) };
        let first = *own.get_or_insert(captured.header.seq);
        let client_state = match captured.client_state {
            Some(state) => state.to_owned(),
            None => state_at(entries, place, client, from_client),
        };
        rows.push(Row {
            from_client,
            header: captured.header,
            payload_len: captured.payload_len,
            seq: captured.header.seq.distance_from(first),
            ack: other.map_or(0, |isn| captured.header.ack.distance_from(isn)),
            client_state,
            server_state: state_at(entries, place, server, !from_client),
        });
    }
    rows
}

/// The state of the end at `local` once the segment at `place` was sent, or received.
fn state_at(entries: &[Entry], place: usize, local: SocketAddr, sent: bool) -> String {
    let change = |entry: &Entry| match entry {
        Entry::Change(change) if change.local == local => Some(change.clone()),
        _ => None,
    };
    let (before, after) = (&entries[..place], &entries[place + 1..]);
    let brought_about = || {
        let until = after.iter().position(|entry| matches!(entry, Entry::Segment(_))).unwrap_or(after.len());
        after[..until].iter().find_map(change).map(|change| change.to)
    };
    (!sent)
        .then(brought_about)
        .flatten()
        .or_else(|| before.iter().rev().find_map(change).map(|change| change.to))
        // Nothing has changed yet: it is what the first change leads away from.
        .or_else(|| after.iter().find_map(change).map(|change| change.from))
        .unwrap_or_else(|| "?".to_owned())
}

#[cfg(test)]
mod tests {
    use netstack_wire::SeqNum;
    use netstack_wire::tcp::{TcpFlags, TcpOptions};

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
    fn a_segment_that_the_device_refused_is_not_shown() {
        let timeline = Timeline::default();
        timeline.record();
        let Entry::Segment(captured) = segment(true, TcpFlags::SYN, 0, 0) else { unreachable!() };
        let place = timeline.segment(captured);
        timeline.retract(place);
        assert_eq!(rows(&timeline.take(), addresses().1), []);
    }
}
