//! The table of docs/states.md, walked row by row with real connections.

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use netstack_wire::tcp::TcpFlags;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::reach::{rcv_nxt, reach, snd_una};
use crate::config::TcpConfig;
use crate::reset::reset_for;
use crate::segment::Segment;
use crate::state::State;
use crate::testing::{Line, Pair, Script, Side, pattern};
use crate::timer::Timer;

const TABLE: &str = include_str!("../../../../docs/states.md");

const NOTHING: &str = "—";

/// Every event of the table, in its order.
const EVENTS: [&str; 19] = [
    "SYN",
    "SYN-ACK",
    "ACK of our SYN",
    "ACK of our FIN",
    "data",
    "FIN",
    "FIN with ACK of ours",
    "data and FIN",
    "RST at RCV.NXT",
    "RST with ACK of ours",
    "RST elsewhere in the window",
    "write",
    "shutdown_write",
    "close",
    "abort",
    "retransmission timeout",
    "user timeout",
    "2 MSL timeout",
    "FIN-WAIT-2 timeout",
];

/// One row of the table.
#[derive(Debug)]
struct Row {
    state: State,
    event: &'static str,
    /// The states on the way; `None` where the event cannot happen.
    path: Option<Vec<State>>,
    /// Kinds of segment that leave.
    sent: Vec<&'static str>,
    /// The call fails.
    error: bool,
}

fn state_named(name: &str) -> State {
    let known = State::ALL.into_iter().find(|state| state.name() == name);
    known.unwrap_or_else(|| panic!("docs/states.md: no state is called {name:?}"))
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut state = None;
    for line in TABLE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            state = State::ALL.into_iter().find(|state| state.name() == heading);
        }
        let (Some(state), Some(cells)) = (state, line.strip_prefix("| ")) else { continue };
        let cells: Vec<&str> = cells.trim_end_matches('|').split('|').map(str::trim).collect();
        let [event, next, sent] = cells[..] else { panic!("three cells: {line}") };
        if event == "Event" {
            continue;
        }
        let (kinds, note) = sent.split_once(" (").unwrap_or((sent, ""));
        rows.push(Row {
            state,
            event,
            path: (next != NOTHING).then(|| next.split(" → ").map(state_named).collect()),
            sent: kinds.split(", ").filter(|kind| *kind != NOTHING).collect(),
            error: note == "error)",
        });
    }
    rows
}

/// The kind of a segment, as the table names it.
fn kind(segment: &Segment) -> &'static str {
    let has = |flag| segment.header.flags.contains(flag);
    match () {
        () if has(TcpFlags::RST) => "RST",
        () if has(TcpFlags::SYN | TcpFlags::ACK) => "SYN-ACK",
        () if has(TcpFlags::SYN) => "SYN",
        () if has(TcpFlags::FIN) => "FIN",
        () if !segment.payload.is_empty() => "data",
        () if has(TcpFlags::ACK) => "ACK",
        () => "nothing known",
    }
}

/// The segment that an event of the table stands for in `state`; `None` if the event is none.
fn segment_of(state: State, event: &str) -> Option<String> {
    let next = rcv_nxt(state);
    // The peer's FIN, for the first time or again.
    let fin = if next == 2 { 1 } else { next };
    let (ack, dot) =
        if state.is_synchronized() { (format!(" ack {}", snd_una(state)), ".") } else { (String::new(), "") };
    let ours = snd_una(state).max(1) + u32::from(sent_fin(state) && snd_una(state) == 1);
    let plain = if dot.is_empty() { "-" } else { dot };
    Some(match event {
        "SYN" => "S 0:0(0)".to_owned(),
        "SYN-ACK" => "S. 0:0(0) ack 1".to_owned(),
        "ACK of our SYN" => format!(". {next}:{next}(0) ack 1"),
        "ACK of our FIN" => format!(". {next}:{next}(0) ack 2"),
        "data" => format!("{plain} {next}:{}(10){ack}", next + 10),
        "FIN" => format!("F{dot} {fin}:{fin}(0){ack}"),
        "FIN with ACK of ours" => format!("F. {fin}:{fin}(0) ack {ours}"),
        "data and FIN" => format!("F{dot} {next}:{}(10){ack}", next + 10),
        "RST at RCV.NXT" => format!("R {next}:{next}(0)"),
        "RST with ACK of ours" => format!("R. {next}:{next}(0) ack {ours}"),
        "RST elsewhere in the window" => format!("R {0}:{0}(0)", next + 5),
        _ => return None,
    })
}

fn sent_fin(state: State) -> bool {
    use State::*;
    matches!(state, FinWait1 | FinWait2 | Closing | LastAck | TimeWait)
}

/// What happened: the kinds of segment that left, and whether a call failed.
type Outcome = (Vec<&'static str>, bool);

fn sent_kinds(script: &mut Script) -> Vec<&'static str> {
    std::iter::from_fn(|| script.next_sent()).map(|(_, segment)| kind(&segment)).collect()
}

/// Lets the event happen to a connection fresh in `state`.
fn act(script: &mut Script, state: State, event: &str) -> Outcome {
    if let Some(line) = segment_of(state, event) {
        let segment = script.build(&line.parse::<Line>().expect("lines of this file are well formed"));
        if state == State::Closed {
            // The owner of a closed connection answers for it.
            let reset =
                reset_for(&segment).map(|header| Segment { header, payload: Bytes::new(), ..segment });
            return (reset.iter().map(kind).collect(), false);
        }
        script.inject_segment(segment);
        return (sent_kinds(script), false);
    }
    let mut error = false;
    match event {
        "write" => script.command(|connection, _| error = connection.write(pattern(1, 11)).is_err()),
        "shutdown_write" => script.shutdown_write(),
        "close" => script.close(),
        "abort" => script.abort(),
        "retransmission timeout" => fire(script, Timer::Retransmit),
        "user timeout" => fire(script, Timer::UserTimeout),
        "2 MSL timeout" => fire(script, Timer::Lifetime),
        "FIN-WAIT-2 timeout" => {
            script.close();
            fire(script, Timer::Lifetime);
        }
        other => panic!("docs/states.md: unknown event {other:?}"),
    }
    (sent_kinds(script), error)
}

/// Lets time pass until `timer` fires; what left before is forgotten.
fn fire(script: &mut Script, timer: Timer) {
    let mut fired = false;
    while !fired {
        let due = script.connection.poll_timeout();
        let deadline = script.connection.deadline(timer);
        assert!(deadline.is_some(), "{timer:?} runs in {}", script.state());
        fired = due == deadline;
        script.forget_sent();
        script.advance(due.expect("a timer runs") - script.now());
    }
}

/// The timer of a timeout event.
fn timer_of(event: &str) -> Option<Timer> {
    match event {
        "retransmission timeout" => Some(Timer::Retransmit),
        "user timeout" => Some(Timer::UserTimeout),
        "2 MSL timeout" | "FIN-WAIT-2 timeout" => Some(Timer::Lifetime),
        _ => None,
    }
}

/// Notes each change of state that a connection reports while it is the default subscriber.
#[derive(Debug, Clone, Default)]
struct Edges(Arc<Mutex<Vec<(State, State)>>>);

#[derive(Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Edges {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(from), Some(to)) = (fields.0.get("from"), fields.0.get("to")) {
            self.0.lock().expect("no test panics with it").push((state_named(from), state_named(to)));
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Walks `row` and says which edges the connection went over.
fn walk(row: &Row) -> Vec<(State, State)> {
    let Row { state, event, .. } = row;
    let mut script = reach(*state);
    if let Some(timer) = timer_of(event) {
        if matches!(state, State::Established | State::CloseWait) {
            script.write(10);
            script.forget_sent();
        }
        if row.path.is_none() {
            // 2 MSL and FIN-WAIT-2 share a timer, which runs in TIME-WAIT for 2 MSL.
            let shared = *state == State::TimeWait && timer == Timer::Lifetime;
            assert_eq!(
                script.connection.deadline(timer).is_some(),
                shared,
                "{state}, {event}: does the timer run?"
            );
            return Vec::new();
        }
    }
    let path = row.path.as_ref().unwrap_or_else(|| panic!("{state}, {event}: only a timeout cannot happen"));
    let edges = Edges::default();
    let (sent, error) = tracing::subscriber::with_default(edges.clone(), || act(&mut script, *state, event));
    let seen = edges.0.lock().expect("no test panics with it").clone();

    assert_eq!(sent, row.sent, "{state}, {event}: what is sent");
    assert_eq!(error, row.error, "{state}, {event}: whether the call fails");
    assert_eq!(script.state(), path[path.len() - 1], "{state}, {event}: the next state");
    let stays = path[..] == [*state];
    let steps: Vec<_> = std::iter::once(*state).chain(path.iter().copied()).collect();
    let told: Vec<_> = steps.windows(2).map(|step| (step[0], step[1])).filter(|_| !stays).collect();
    assert_eq!(seen, told, "{state}, {event}: the edges on the way");
    seen
}

#[test]
fn the_table_has_each_event_of_each_state_once() {
    let told: Vec<_> = rows().iter().map(|row| (row.state, row.event)).collect();
    let all: Vec<_> = State::ALL
        .into_iter()
        .flat_map(|state| EVENTS.into_iter().map(move |event| (state, event)))
        .collect();
    assert_eq!(told, all);
}

#[test]
fn each_row_of_the_table_is_what_a_connection_does() {
    for row in rows() {
        walk(&row);
    }
}

#[test]
fn the_rows_go_over_every_legal_edge_and_no_other() {
    let walked: BTreeSet<_> =
        rows().iter().flat_map(walk).map(|(from, to)| (from.name(), to.name())).collect();
    let legal: BTreeSet<_> = State::ALL
        .into_iter()
        .flat_map(|from| State::ALL.into_iter().map(move |to| (from, to)))
        .filter(|(from, to)| from.may_become(*to))
        .map(|(from, to)| (from.name(), to.name()))
        .collect();
    assert_eq!(walked, legal);
}

#[test]
fn the_diagram_draws_every_edge_but_those_that_end_a_connection_early() {
    let drawn: BTreeSet<_> = TABLE
        .lines()
        .filter_map(|line| {
            line.trim().split_once(" : ").map_or_else(|| line.trim(), |(edge, _)| edge).split_once(" --> ")
        })
        .filter(|(from, to)| *from != "[*]" && *to != "[*]")
        .map(|(from, to)| (from.replace('_', "-"), to.replace('_', "-")))
        .collect();
    let orderly =
        |from: State, to: State| to != State::Closed || matches!(from, State::LastAck | State::TimeWait);
    let legal: BTreeSet<_> = State::ALL
        .into_iter()
        .flat_map(|from| State::ALL.into_iter().map(move |to| (from, to)))
        .filter(|(from, to)| from.may_become(*to) && orderly(*from, *to))
        .map(|(from, to)| (from.to_string(), to.to_string()))
        .collect();
    assert_eq!(drawn, legal);
}

#[test]
fn active_open_then_close_first() {
    // req: S-OPEN-1, S-SYNSENT-4, S-ACK-8, S-FIN-6
    let mut script = Script::connect(&TcpConfig::new());
    script.expect("S 0:0(0) win 65535 <mss 1460,wscale 7,sackOK,ts 1000 0>");
    script.inject("S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,ts 1 1000>");
    script.expect(". 1:1(0) ack 1");
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    script.inject(". 1:1(0) ack 11");
    script.shutdown_write();
    script.expect("F. 11:11(0) ack 1");
    assert_eq!(script.state(), State::FinWait1);
    script.inject(". 1:1(0) ack 12");
    assert_eq!(script.state(), State::FinWait2);
    script.inject("F. 1:1(0) ack 12");
    script.expect(". 12:12(0) ack 2");
    assert_eq!(script.state(), State::TimeWait);
    script.advance(Duration::from_secs(61));
    assert_eq!(script.state(), State::Closed);
    script.expect_nothing();
}

#[test]
fn a_megabyte_arrives_whole_in_both_directions() {
    let mut pair = Pair::established(&TcpConfig::new());
    let data: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
    pair.write(Side::A, &data);
    pair.write(Side::B, &data);
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.received(Side::A), data);
    assert_eq!(pair.received(Side::B), data);
    pair.command(Side::A, |connection, _| connection.shutdown_write());
    pair.run_for(Duration::from_secs(1));
    pair.command(Side::B, |connection, _| connection.shutdown_write());
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.connection(Side::A).state(), State::TimeWait);
    assert_eq!(pair.connection(Side::B).state(), State::Closed);
}
