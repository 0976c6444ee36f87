//! The states of both ends of a connection of which only the segments are known (RFC 9293 3.3.2).

use std::borrow::Cow;

use netstack_wire::tcp::TcpFlags;

use super::Seg;

type States = Vec<(u64, Cow<'static, str>)>;

/// One end on its way through the states.
struct End {
    state: &'static str,
    passive: bool,
    /// What acknowledges its FIN, once it was sent.
    fin_end: Option<i64>,
    path: States,
}

impl End {
    fn new(state: &'static str) -> Self {
        Self { state, passive: state == "LISTEN", fin_end: None, path: vec![(0, Cow::Borrowed(state))] }
    }

    fn enter(&mut self, t: u64, state: &'static str) {
        if state != self.state {
            self.state = state;
            self.path.push((t, Cow::Borrowed(state)));
        }
    }

    fn sends(&mut self, t: u64, segment: &Seg) {
        let flags = segment.flags;
        let next = if flags.contains(TcpFlags::RST) {
            // One that is in LISTEN, or that knows nothing of the connection, only answers.
            if self.state == "LISTEN" || segment.ack.is_none() { self.state } else { "CLOSED" }
        } else if flags.contains(TcpFlags::SYN) {
            match (self.state, flags.contains(TcpFlags::ACK)) {
                ("CLOSED", false) => "SYN-SENT",
                ("LISTEN" | "SYN-SENT", true) => "SYN-RECEIVED",
                (state, _) => state,
            }
        } else if flags.contains(TcpFlags::FIN) {
            self.fin_end = Some(segment.end());
            match self.state {
                "ESTABLISHED" | "SYN-RECEIVED" => "FIN-WAIT-1",
                "CLOSE-WAIT" => "LAST-ACK",
                state => state,
            }
        } else {
            self.state
        };
        self.enter(t, next);
    }

    fn receives(&mut self, t: u64, segment: &Seg) {
        let flags = segment.flags;
        if flags.contains(TcpFlags::RST) {
            let listens = self.passive && matches!(self.state, "SYN-RECEIVED" | "LISTEN");
            return self.enter(t, if listens { "LISTEN" } else { "CLOSED" });
        }
        if flags.contains(TcpFlags::SYN) {
            let next = match (self.state, flags.contains(TcpFlags::ACK)) {
                ("LISTEN" | "SYN-SENT", false) => "SYN-RECEIVED",
                ("SYN-SENT" | "SYN-RECEIVED", true) => "ESTABLISHED",
                (state, _) => state,
            };
            return self.enter(t, next);
        }
        if self.state == "SYN-RECEIVED" && segment.ack.is_some_and(|ack| ack >= 1) {
            self.enter(t, "ESTABLISHED");
        }
        if self.fin_end.is_some_and(|end| segment.ack.is_some_and(|ack| ack >= end)) {
            let next = match self.state {
                "FIN-WAIT-1" => "FIN-WAIT-2",
                "CLOSING" => "TIME-WAIT",
                "LAST-ACK" => "CLOSED",
                state => state,
            };
            self.enter(t, next);
        }
        if flags.contains(TcpFlags::FIN) {
            let next = match self.state {
                "ESTABLISHED" => "CLOSE-WAIT",
                "FIN-WAIT-1" => "CLOSING",
                "FIN-WAIT-2" => "TIME-WAIT",
                state => state,
            };
            self.enter(t, next);
        }
    }
}

/// The states of both sides, by what was sent and what arrived.
pub(super) fn states(segments: &[Seg]) -> [States; 2] {
    let opens = segments.first().is_some_and(|first| first.flags.contains(TcpFlags::SYN));
    let mut ends = if opens { ["CLOSED", "LISTEN"] } else { ["ESTABLISHED"; 2] }.map(End::new);
    let mut events: Vec<(u64, bool, &Seg)> = Vec::new();
    for segment in segments {
        events.push((segment.t, false, segment));
        if !segment.is_lost() {
            events.push((segment.arrives.unwrap_or(segment.t), true, segment));
        }
    }
    // Stable: within an instant the order of the log.
    events.sort_by_key(|&(t, ..)| t);
    for (t, arrives, segment) in events {
        match arrives {
            false => ends[segment.from].sends(t, segment),
            true => ends[1 - segment.from].receives(t, segment),
        }
    }
    ends.map(|end| end.path)
}
