//! The timers of an end that a reader wants to see.

use netstack_sim::record::{Change, Log, Record};

/// A timer from when it was set to when it fired or was set anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerSpan {
    /// What it is called in a picture: RTO, delayed ACK, 2 MSL, probe, persist, keep-alive.
    pub name: &'static str,
    /// When it was set.
    pub from: u64,
    /// When it fired, or was set anew.
    pub to: u64,
    /// Whether it fired.
    pub fired: bool,
}

/// The timers of the end at `place` that fired, and of 2 MSL those that were set anew too: the others would cover everything.
pub(super) fn spans(log: &Log, place: Option<usize>) -> Vec<TimerSpan> {
    let mut running: Vec<(&str, u64)> = Vec::new();
    let mut spans = Vec::new();
    for record in &log.records {
        let Record::Timer(change) = record else { continue };
        let Some(name) = shown(&change.timer) else { continue };
        if Some(change.end) != place {
            continue;
        }
        let slot = running.iter().position(|(running, _)| *running == change.timer);
        let from = slot.map(|slot| running.swap_remove(slot).1);
        if let Some(from) = from
            && (change.change == Change::Fired || change.timer == "2msl")
        {
            spans.push(TimerSpan { name, from, to: change.t, fired: change.change == Change::Fired });
        }
        if change.change == Change::Set {
            running.push((&change.timer, change.t));
        }
    }
    spans
}

fn shown(timer: &str) -> Option<&'static str> {
    Some(match timer {
        "retransmit" => "RTO",
        "delayed-ack" => "delayed ACK",
        "2msl" => "2 MSL",
        "probe" => "loss probe",
        "persist" => "persist",
        "keep-alive" => "keep-alive",
        _ => return None,
    })
}
