//! What tells two connections apart, for those who explore their states.

use core::fmt::{self, Write as _};
use core::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::Connection;

/// A hasher of text.
struct Print(SipHasher13);

impl fmt::Write for Print {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Connection {
    /// A hash of everything that what comes next depends on: all but the configuration, the tuple and the statistics. Two
    /// connections of one configuration that have the same fingerprint answer the same inputs alike.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self { state, passive, snd, rcv, agreed, ecn, timers, events, close_reason, path_mss, .. } = self;
        let Self { ts_offset, nodelay, orphaned, syn_due, syns_sent, syn_sent_at, .. } = self;
        let Self { fast_open, attempt, reset_due, reset_seq, .. } = self;
        let Self { keepalive, keepalive_due, keepalive_probes, last_received, user_timeout, .. } = self;
        let Self { soft_error, dscp, hop_limit, .. } = self;
        let reset_due = reset_due.then_some(reset_seq);
        let mut print = Print(SipHasher13::new());
        let parts: [&dyn fmt::Debug; 27] = [
            state,
            passive,
            snd,
            rcv,
            agreed,
            ecn,
            timers,
            events,
            close_reason,
            path_mss,
            ts_offset,
            nodelay,
            orphaned,
            syn_due,
            syns_sent,
            syn_sent_at,
            fast_open,
            attempt,
            &reset_due,
            keepalive,
            keepalive_due,
            keepalive_probes,
            last_received,
            user_timeout,
            soft_error,
            dscp,
            hop_limit,
        ];
        for part in parts {
            // Nothing that is written into a hasher fails.
            let _ = write!(print, "{part:?}|");
        }
        print.0.finish()
    }
}
