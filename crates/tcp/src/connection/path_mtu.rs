//! Path MTU discovery: reports of routers, black holes, probes (RFC 1191, RFC 8201, RFC 5927 7.2, RFC 4821).

use netstack_wire::SeqNum;

use super::Connection;
use crate::send::SendHalf;
use crate::send::mtu::{Bounds, PathNews, ReportFloor};
use crate::send::scoreboard::{Fate, Found};
use crate::time::Instant;
use crate::timer::Timer;

/// Octets of options that a segment has at most.
const MAX_OPTIONS: u32 = 40;

/// Segments that are to follow a probe, so that its loss is noticed without a timeout (RFC 4821 7.3).
const FOLLOWERS: u32 = 3;

impl Connection {
    /// Octets of an IP packet of this connection at most: what the path is taken to carry. Starts as the MTU of the device.
    #[must_use]
    pub fn path_mtu(&self) -> u16 {
        let link = self.link_mtu();
        self.snd.path.mtu().map_or(link, |path| path.min(link))
    }

    /// Octets of a packet that the device takes and the settings allow.
    fn link_mtu(&self) -> u16 {
        self.path_mss.saturating_add(self.headers())
    }

    /// The estimate, and the bounds that it keeps to.
    fn bounds(&self) -> Bounds {
        let most = self.path_mss.min(self.agreed.peer_mss).saturating_add(self.headers());
        let floor = ReportFloor::new(self.tuple.is_ipv6(), self.config.min_path_mtu);
        Bounds { mtu: self.path_mtu(), most, floor, raise: self.config.mtu_raise }
    }

    /// What this connection has found out about its path since the last call, for others to the same destination.
    pub fn poll_path_news(&mut self) -> Option<PathNews> {
        self.snd.path.take_news()
    }

    /// Another connection to the same destination has found out that the path takes packets of `mtu` octets, and of no more
    /// if that is less than [`path_mtu`](Self::path_mtu) (R8201-6). What is in flight is sent again in smaller segments only
    /// if it turns out to be lost.
    pub fn set_path_mtu(&mut self, now: Instant, mtu: u16) {
        let bounds = self.bounds();
        let mtu = mtu.max(bounds.floor.least());
        if mtu < bounds.mtu {
            self.snd.path.lower(now, mtu, &bounds, false);
        } else {
            self.snd.path.raise(now, mtu);
        }
        self.fit_segments();
    }

    /// Octets of the headers in front of options and text.
    pub(super) fn headers(&self) -> u16 {
        self.tuple.ip_header_len() as u16 + 20
    }

    /// Octets of the packet that carries `text` octets of text, with the options of every segment.
    fn packet(&self, text: u32) -> u32 {
        u32::from(self.headers()) + text + if self.agreed.timestamps { 12 } else { 0 }
    }

    /// The send MSS follows from what the peer announced, what the link takes and what the path takes (MUST-15, MUST-16).
    pub(super) fn fit_segments(&mut self) {
        let by_path = self.path_mtu().saturating_sub(self.headers());
        self.snd.mss = self.agreed.peer_mss.min(self.path_mss).min(by_path).max(1);
        let full = self.full_segment();
        self.snd.congestion.set_mss(full);
        self.snd.path.set_most(self.bounds().most);
    }

    /// An ICMP error arrived: a router could not forward the segment `seq` of this connection, for its next link takes
    /// packets of `mtu` octets; 0 from a router that does not say, 65,535 for more. Segments get smaller, and what was lost
    /// leaves again at once (R1191-2, R8201-1).
    ///
    /// RFC 5927 7.2 asks for more than a sequence number in the window: the report has to name the first octet of a segment
    /// that is in flight, and a size below it (R5927-4).
    pub fn handle_too_big(&mut self, now: Instant, seq: SeqNum, mtu: u16) {
        if !self.config.path_mtu_discovery || !self.state.sends_text() {
            return;
        }
        let Some(segment) = self.snd.board.segment_at(seq) else { return };
        let bounds = self.bounds();
        let Some(mtu) = bounds.floor.believed(mtu, self.packet(segment.len)) else { return };
        if u32::from(mtu) >= u32::from(self.headers()) + segment.len + MAX_OPTIONS {
            return;
        }
        let probe = self.snd.path.probe().filter(|probe| probe.start == seq);
        if mtu < bounds.mtu {
            tracing::debug!(mtu, "a router's link takes less than the path was taken to");
            self.stats.rare().path_mtu_reductions += 1;
            self.snd.path.lower(now, mtu, &bounds, true);
            self.fit_segments();
        } else if probe.is_some() {
            self.stats.rare().mtu_probes_lost += 1;
            self.snd.path.on_probe_refused(now, mtu);
        }
        // What is larger than that is lost as well, sooner or later; nothing of it tells of congestion.
        if self.snd.board.recut(self.full_segment(), true) > 0 {
            self.snd.path.forget_probe(now);
            self.resend_smaller(now);
        }
    }

    /// Segments that were too large for the path wait to be sent again.
    fn resend_smaller(&mut self, now: Instant) {
        let snd = &mut self.snd;
        snd.recovery.resize(now, snd.una, snd.nxt);
        snd.tlp.forget();
        self.timers.stop(Timer::Probe);
        self.arm_retransmit(now);
    }

    /// The segment at SND.UNA timed out again: if it is large, the path may swallow such (R4821-1).
    pub(super) fn suspect_black_hole(&mut self, now: Instant) {
        if !self.config.mtu_probing || !self.state.sends_text() {
            return;
        }
        let Some(segment) = self.snd.board.segment_at(self.snd.una) else { return };
        if self.snd.path.fall_back(now, self.packet(segment.len), &self.bounds()) {
            tracing::debug!(mtu = self.path_mtu(), "full segments vanish: smaller ones are tried");
            self.stats.rare().path_mtu_reductions += 1;
            self.fit_segments();
            self.snd.board.recut(self.full_segment(), true);
            self.snd.path.take_oversize();
        }
    }

    /// Before anything is sent again, or the last segment as a probe: it has to fit.
    pub(super) fn refit(&mut self, now: Instant) {
        if self.snd.path.take_oversize() {
            self.snd.path.forget_probe(now);
            self.snd.board.recut(self.full_segment(), false);
        }
    }

    /// The size of the probe that may leave now, beside segments of `mss` octets, and its octets of text (R4821-2, R4821-3).
    pub(super) fn mtu_probe(&self, now: Instant, mss: u32) -> Option<(u16, u32)> {
        let size = self.snd.path.wanted(now)?;
        let snd = &self.snd;
        let options = u32::from(snd.mss).saturating_sub(mss);
        let len = u32::from(size).saturating_sub(u32::from(self.headers()) + options);
        let with_followers = len + FOLLOWERS * mss;
        let quiet = self.agreed.sack && snd.recovery.is_open() && !snd.has_holes() && snd.board.sacked() == 0;
        let fits = snd.unsent() >= with_followers
            && snd.usable_window() >= with_followers
            && snd.room(mss) >= len
            && snd.congestion.cwnd() >= with_followers;
        (self.config.mtu_probing && quiet && fits).then_some((size, len))
    }

    /// Whether the probe in flight has arrived or is lost. A lost one, if nothing else is lost, is no loss in the sense of
    /// `found`: its text leaves again in smaller segments (R4821-3, R8899-4).
    pub(super) fn judge_mtu_probe(&mut self, now: Instant, mut found: Found) -> Found {
        let Some(probe) = self.snd.path.probe() else { return found };
        match self.snd.board.fate(probe.start, probe.end) {
            Fate::InFlight => {}
            Fate::Delivered => {
                self.snd.path.on_probe_delivered(now);
                tracing::debug!(mtu = self.path_mtu(), "the path takes more");
                self.fit_segments();
            }
            Fate::Lost => {
                self.stats.rare().mtu_probes_lost += 1;
                let octets = probe.end.distance_from(probe.start);
                let SendHalf { board, recovery, .. } = &self.snd;
                let alone = board.held() == octets && recovery.is_open();
                self.snd.board.recut(self.full_segment(), false);
                if alone {
                    self.snd.path.on_probe_lost(now);
                    found.octets -= octets.min(found.octets);
                    self.resend_smaller(now);
                } else {
                    // Congestion may have taken it.
                    self.snd.path.forget_probe(now);
                }
            }
        }
        found
    }
}
