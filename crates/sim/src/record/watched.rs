//! What an end says of itself, as records: whatever differs from when it was last looked at.

use std::borrow::Cow;
use std::collections::VecDeque;

use netstack_tcp::{Connection, Instant, RecoveryState, State, TcpInfo, Timer};

use super::entry::{Change, Figures, Record, StateChange, TimerChange};

/// An end as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Its place among the ends of the log.
    end: usize,
    state: &'static str,
    deadlines: [Option<u64>; Timer::ALL.len()],
    figures: Figures,
}

/// An end as it is.
#[derive(Copy, Clone, Debug)]
pub(super) struct Look<'a> {
    /// When, nanoseconds.
    pub(super) t: u64,
    pub(super) state: &'static str,
    /// The connection, from its first SYN until TIME-WAIT or CLOSED.
    pub(super) connection: Option<&'a Connection>,
    /// When its clock started, nanoseconds.
    pub(super) started: u64,
    /// When TIME-WAIT ends, nanoseconds, if it rests there.
    pub(super) rests_until: Option<u64>,
}

impl Watched {
    pub(super) fn new(end: usize, state: &'static str) -> Self {
        Self { end, state, deadlines: [None; Timer::ALL.len()], figures: Figures::default() }
    }

    pub(super) fn state(&self) -> &'static str {
        self.state
    }

    /// Adds to `records` what is new.
    pub(super) fn look(&mut self, now: Look<'_>, records: &mut Vec<Record>) {
        let (t, end) = (now.t, self.end);
        self.timers(now, records);
        for to in way(self.state, now.state) {
            self.enter(t, to, records);
        }
        if let Some(connection) = now.connection {
            let figures = figures(t, end, &connection.info());
            if (Figures { t: self.figures.t, ..figures.clone() }) != self.figures {
                self.figures = figures.clone();
                records.push(Record::Figures(figures));
            }
        }
    }

    /// Goes straight to the state `to`, if it is another.
    pub(super) fn enter(&mut self, t: u64, to: &'static str, records: &mut Vec<Record>) {
        if self.state != to {
            let from = Cow::Borrowed(std::mem::replace(&mut self.state, to));
            records.push(Record::State(StateChange { t, end: self.end, from, to: Cow::Borrowed(to) }));
        }
    }

    fn timers(&mut self, now: Look<'_>, records: &mut Vec<Record>) {
        let (t, end) = (now.t, self.end);
        // One that was set in TIME-WAIT is over with it.
        let rests = [self.state, now.state].contains(&State::TimeWait.name());
        for (timer, last) in Timer::ALL.into_iter().zip(&mut self.deadlines) {
            // A batch a millisecond tells nobody anything.
            if timer == Timer::Pacing {
                continue;
            }
            let running = now.connection.and_then(|connection| connection.deadline(timer));
            let running = running.map(|at| Instant::as_nanos(at).saturating_add(now.started));
            let due = running.or_else(|| now.rests_until.filter(|_| timer == Timer::Lifetime));
            if due == *last {
                continue;
            }
            let name = if timer == Timer::Lifetime && rests { "2msl" } else { timer.name() };
            let mut push = |change, due| {
                let timer = Cow::Borrowed(name);
                records.push(Record::Timer(TimerChange { t, end, timer, change, due }));
            };
            match (*last, due) {
                (Some(was), _) if was <= t => push(Change::Fired, None),
                (Some(_), None) => push(Change::Stopped, None),
                _ => {}
            }
            if due.is_some() {
                push(Change::Set, due);
            }
            *last = due;
        }
    }
}

/// The states from `from` to `to`, without the first: what happens at one instant may lead over several edges, and the stack
/// takes the shortest way (see [`State::may_become`]); of two as short, the one over FIN-WAIT-2.
fn way(from: &'static str, to: &'static str) -> Vec<&'static str> {
    let state = |name: &str| State::ALL.into_iter().find(|state| state.name() == name);
    let (Some(start), Some(goal)) = (state(from), state(to)) else {
        return if from == to { Vec::new() } else { vec![to] };
    };
    let mut ways: VecDeque<Vec<State>> = VecDeque::from([vec![start]]);
    while let Some(way) = ways.pop_front() {
        let last = way[way.len() - 1];
        if last == goal {
            return way[1..].iter().map(|state| state.name()).collect();
        }
        for next in State::ALL.into_iter().filter(|&next| last.may_become(next) && !way.contains(&next)) {
            ways.push_back([&way[..], &[next]].concat());
        }
    }
    vec![to]
}

fn figures(t: u64, end: usize, info: &TcpInfo) -> Figures {
    let recovery = match info.recovery {
        RecoveryState::Open => "open",
        RecoveryState::Disorder => "disorder",
        RecoveryState::Recovery => "recovery",
        RecoveryState::Loss => "loss",
        RecoveryState::Resizing => "resizing",
        _ => "other",
    };
    Figures {
        t,
        end,
        cwnd: info.cwnd,
        ssthresh: info.ssthresh,
        flight: info.in_flight,
        unsent: info.unsent,
        snd_wnd: info.snd_wnd,
        rcv_wnd: info.rcv_wnd,
        srtt: info.srtt.map(crate::nanos),
        rttvar: crate::nanos(info.rttvar),
        rto: crate::nanos(info.rto),
        recovery: Cow::Borrowed(recovery),
        phase: Cow::Borrowed(info.controller_phase),
    }
}
