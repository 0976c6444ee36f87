//! The episode between a loss and its repair: in which state the connection is, where the episode ends, and what shows that
//! there was no loss at all (RFC 6675 5, RFC 6582, RFC 5682, RFC 4015, RFC 2883).

#[cfg(test)]
mod tests;

use netstack_wire::SeqNum;

use super::prr::Prr;
use super::scoreboard::{Echo, News};
use crate::info::RecoveryState;
use crate::time::Instant;

/// Duplicate ACKs that stand for a loss where SACK is not in use (RFC 5681 3.2).
const DUP_THRESH: u8 = 3;

/// New segments that limited transmit (RFC 3042) and F-RTO (RFC 5682) allow.
const NEW_SEGMENTS: u8 = 2;

/// Forward RTO recovery (RFC 5682 2.1, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frto {
    /// The timeout counts as real, or there was none.
    Off,
    /// The first segment was sent again; its ACK is awaited (step 2).
    Resent,
    /// So many new segments may leave; the next ACK tells (step 3).
    Probing(u8),
}

/// The books of one episode, or of the last.
#[derive(Debug)]
struct Episode {
    prr: Prr,
    /// What it did to the window can be taken back: nothing has shown yet that something was lost indeed.
    undoable: bool,
    /// When the first segment was sent again.
    resent_at: Option<Instant>,
    /// Octets sent again that no duplicate was reported of.
    unreported: u32,
    /// From where to where text was sent again.
    span: (SeqNum, SeqNum),
    /// When the window was reduced last.
    reduced_at: Instant,
}

/// An ACK as it bears on the question whether there was a loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) una: SeqNum,
    /// SND.UNA advanced.
    pub(crate) advanced: bool,
    /// It tells of nothing new.
    pub(crate) duplicate: bool,
    pub(crate) echo: Option<Echo>,
    pub(crate) news: &'a News,
    /// Position of the end of the episode.
    pub(crate) point: u64,
    /// Copies are in flight.
    pub(crate) resent: bool,
    /// New text could leave now.
    pub(crate) has_new: bool,
    pub(crate) sack: bool,
}

/// Where the connection is between losses.
#[derive(Debug)]
pub(crate) struct Recovery {
    state: RecoveryState,
    frto: Frto,
    /// Duplicate ACKs in a row, without SACK; more than the threshold are not counted.
    dup_acks: u8,
    /// RecoveryPoint, `recover`: highest sequence number sent when the last loss was found (R6675-7, R6582-1).
    point: SeqNum,
    /// The first hole is to be sent again whatever the windows say (R9937-6, R7323-21).
    pub(crate) due: bool,
    /// A partial ACK of this recovery has restarted the timer (R6582-4).
    timer_restarted: bool,
    episode: Option<Box<Episode>>,
}

impl Recovery {
    pub(crate) fn new(iss: SeqNum) -> Self {
        Self {
            state: RecoveryState::Open,
            frto: Frto::Off,
            dup_acks: 0,
            point: iss,
            due: false,
            timer_restarted: false,
            episode: None,
        }
    }

    /// Open, Recovery or Loss.
    pub(crate) fn state(&self) -> RecoveryState {
        self.state
    }

    /// Fast recovery is in progress.
    pub(crate) fn is_fast(&self) -> bool {
        self.state == RecoveryState::Recovery
    }

    /// No loss is being repaired.
    pub(crate) fn is_open(&self) -> bool {
        self.state == RecoveryState::Open
    }

    pub(crate) fn point(&self) -> SeqNum {
        self.point
    }

    /// SND.UNA is `una`, outside of any episode: the point is kept close, so that it stays comparable while the sequence
    /// space wraps.
    pub(crate) fn keep_close(&mut self, una: SeqNum) {
        if una.after(self.point) {
            self.point = una - 1;
        }
    }

    // ---- Duplicate ACKs, without SACK ----

    /// Counts a duplicate ACK; true when it starts fast retransmit (R5681-12, R6582-1).
    pub(crate) fn on_duplicate(&mut self, una: SeqNum) -> bool {
        self.dup_acks = self.dup_acks.saturating_add(1);
        self.is_open() && self.dup_acks == DUP_THRESH && una.after(self.point)
    }

    pub(crate) fn clear_duplicates(&mut self) {
        self.dup_acks = 0;
    }

    /// Octets that duplicates may stand for now: two segments of limited transmit (R3042-1), in recovery what was in flight,
    /// and after a timeout what was sent since: the others answer what was sent before it (R6582-6).
    pub(crate) fn duplicates_limit(&self, mss: u32, nxt: SeqNum) -> u32 {
        match self.state {
            RecoveryState::Recovery => u32::MAX,
            RecoveryState::Loss => nxt.distance_from(self.point),
            _ => u32::from(NEW_SEGMENTS) * mss,
        }
    }

    // ---- Episodes ----

    /// Fast recovery begins, or begins anew: `nxt` is the highest sequence number sent, `recover_fs` was in flight.
    pub(crate) fn enter(&mut self, now: Instant, una: SeqNum, nxt: SeqNum, recover_fs: u32) {
        self.episode = Some(Box::new(Episode {
            prr: Prr::start(recover_fs),
            // A second loss in the same episode is no mistake any more.
            undoable: self.is_open(),
            resent_at: None,
            unreported: 0,
            span: (una, una),
            reduced_at: now,
        }));
        self.state = RecoveryState::Recovery;
        self.frto = Frto::Off;
        self.point = nxt;
        self.due = true;
        self.timer_restarted = false;
    }

    /// A copy that left at `resent_at` is lost: whether that is a new signal of congestion, rather than part of the last
    /// (R8985-20).
    pub(crate) fn is_new_signal(&self, resent_at: Instant) -> bool {
        self.episode.as_ref().is_none_or(|episode| resent_at >= episode.reduced_at)
    }

    /// Segments that the path is too narrow for leave again, smaller, within the window as it is: no congestion took them
    /// (R1191-2, R4821-3). After a timeout the episode goes on, but is no mistake any more.
    pub(crate) fn resize(&mut self, now: Instant, una: SeqNum, nxt: SeqNum) {
        self.episode = Some(Box::new(Episode {
            prr: Prr::default(),
            undoable: false,
            resent_at: None,
            unreported: 0,
            span: (una, una),
            reduced_at: now,
        }));
        if self.state != RecoveryState::Loss {
            self.state = RecoveryState::Resizing;
        }
        self.frto = Frto::Off;
        self.point = nxt;
        self.due = true;
    }

    /// The retransmission timer fired (R6582-6, R6675-10, R5682-1); `repeated` if it had fired for this segment before.
    pub(crate) fn on_timeout(&mut self, now: Instant, una: SeqNum, nxt: SeqNum, repeated: bool) {
        let covered = self.state == RecoveryState::Loss && una.before(self.point);
        self.frto = if covered { Frto::Off } else { Frto::Resent };
        match &mut self.episode {
            // The first copy tells for all of them.
            Some(episode) if repeated => episode.reduced_at = now,
            _ => {
                self.episode = Some(Box::new(Episode {
                    prr: Prr::default(),
                    undoable: true,
                    resent_at: None,
                    unreported: 0,
                    span: (una, una),
                    reduced_at: now,
                }));
            }
        }
        self.state = RecoveryState::Loss;
        self.dup_acks = 0;
        self.point = nxt;
    }

    /// Whether `una` ends the episode (R6675-8).
    pub(crate) fn ends_at(&self, una: SeqNum) -> bool {
        !self.is_open() && !una.before(self.point)
    }

    /// The episode is over. What undoes it may still come.
    pub(crate) fn finish(&mut self) {
        self.state = RecoveryState::Open;
        self.frto = Frto::Off;
        self.dup_acks = 0;
        self.due = false;
    }

    /// The episode was a mistake.
    pub(crate) fn finish_undone(&mut self) {
        self.finish();
        self.let_stand();
    }

    /// The window is reduced by something else: what the last episode did to it can not be taken back any more.
    pub(crate) fn let_stand(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.undoable = false;
        }
    }

    /// Nothing is in flight: the last episode is history.
    pub(crate) fn forget(&mut self) {
        self.episode = None;
    }

    /// Whether this partial ACK is the first of the recovery, which alone restarts the timer (R6582-4).
    pub(crate) fn takes_timer_restart(&mut self) -> bool {
        !core::mem::replace(&mut self.timer_restarted, true)
    }

    // ---- What leaves ----

    /// `octets` that end at `end` leave again at `now`.
    pub(crate) fn on_resent(&mut self, now: Instant, octets: u32, end: SeqNum) {
        self.due = false;
        if self.is_open() {
            return;
        }
        if let Some(episode) = &mut self.episode {
            episode.span.1 = episode.span.1.max(end);
            episode.resent_at.get_or_insert(now);
            episode.unreported = episode.unreported.saturating_add(octets);
        }
    }

    /// PRR, while fast recovery is in progress.
    pub(crate) fn prr(&mut self) -> Option<&mut Prr> {
        let fast = self.is_fast();
        self.episode.as_mut().filter(|_| fast).map(|episode| &mut episode.prr)
    }

    /// What PRR lets leave now.
    pub(crate) fn prr_budget(&self) -> u32 {
        self.episode.as_ref().map_or(0, |episode| episode.prr.budget)
    }

    /// New text leaves.
    pub(crate) fn on_new_sent(&mut self, segments: u32) {
        if let Frto::Probing(left) = &mut self.frto {
            *left = left.saturating_sub(u8::try_from(segments).unwrap_or(u8::MAX));
        }
    }

    /// While F-RTO tries new text, how many segments of it; nothing is sent again then (R5682-2).
    pub(crate) fn frto_allows(&self) -> Option<u32> {
        match self.frto {
            Frto::Probing(left) => Some(u32::from(left)),
            _ => None,
        }
    }

    // ---- Mistakes ----

    /// The peer reports the duplicate `left..right`. Whether that is of what the last episode sent again, and not the
    /// network's doing.
    pub(crate) fn on_dsack(&mut self, left: SeqNum, right: SeqNum) -> bool {
        let Some(episode) = &mut self.episode else { return false };
        let ours = !left.before(episode.span.0) && !right.after(episode.span.1);
        if ours {
            episode.unreported = episode.unreported.saturating_sub(right.distance_from(left));
        }
        ours
    }

    /// Whether all that was sent again arrived twice: nothing had been lost (RFC 2883 5, RFC 3708).
    fn all_reported(episode: &Episode) -> bool {
        episode.resent_at.is_some() && episode.unreported == 0
    }

    /// Whether the ACK answers what left before anything was sent again (RFC 3522).
    fn answers_original(episode: &Episode, echo: Option<Echo>) -> bool {
        echo.zip(episode.resent_at).is_some_and(|(echo, resent_at)| echo.is_before(resent_at))
    }

    /// Whether `evidence` shows that the episode was a mistake; moves F-RTO on.
    pub(crate) fn is_spurious(&mut self, evidence: &Evidence<'_>) -> bool {
        let Some(episode) = self.episode.as_deref().filter(|episode| episode.undoable) else { return false };
        if Self::all_reported(episode) {
            return true;
        }
        let eifel = evidence.advanced && Self::answers_original(episode, evidence.echo);
        match self.state {
            RecoveryState::Loss => eifel || self.frto_step(evidence),
            // Copies in flight may yet turn out to have been needed.
            RecoveryState::Recovery => eifel && (!evidence.resent || self.ends_at(evidence.una)),
            _ => false,
        }
    }

    fn frto_step(&mut self, evidence: &Evidence<'_>) -> bool {
        match self.frto {
            Frto::Off => false,
            Frto::Resent => {
                if evidence.advanced {
                    // R5682-2, R5682-3
                    let probing = evidence.has_new && !self.ends_at(evidence.una);
                    self.frto = if probing { Frto::Probing(NEW_SEGMENTS) } else { Frto::Off };
                } else if evidence.duplicate && !evidence.sack {
                    self.frto = Frto::Off;
                }
                false
            }
            Frto::Probing(_) => {
                // R5682-4, R5682-7: what was sent before the timeout, and not again, arrived after it.
                let spurious = evidence.news.original.is_some_and(|end| end <= evidence.point);
                if spurious || evidence.duplicate || evidence.news.delivered > 0 {
                    self.frto = Frto::Off;
                    // R5682-5: what was held back leaves, beside the two new segments.
                    self.due = !spurious;
                }
                spurious
            }
        }
    }
}
