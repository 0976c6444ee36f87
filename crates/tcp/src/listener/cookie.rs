//! SYN cookies (RFC 4987 3.6): a SYN-ACK for which nothing is kept, and the ACK that brings back what a connection needs.
//!
//! The initial sequence number carries the time, a class of MSS and a keyed hash; the timestamp carries window scale and SACK.

#[cfg(test)]
mod tests;

use core::fmt;
use core::hash::Hasher;
use core::time::Duration;
use std::sync::Arc;

use netstack_wire::tcp::{TcpFlags, TcpHeader};
use netstack_wire::{Ecn, SeqNum};
use siphasher::sip::SipHasher24;

use crate::config::TcpConfig;
use crate::connection::{Connection, Opening};
use crate::fast_open::FastOpenAnswer;
use crate::negotiate::{Negotiated, SynRecord};
use crate::segment::Segment;
use crate::time::Instant;
use crate::time_wait::ts_clock;
use crate::tuple::FourTuple;

/// The time that one cookie names.
const SLOT: Duration = Duration::from_secs(64);

/// Slots after its own in which a cookie is still good.
const MAX_AGE: u64 = 2;

/// Of a cookie's 32 bits: the hash, and above it the MSS class and the slot modulo four.
const HASH_BITS: u32 = 27;
const CLASS_BITS: u32 = 3;

/// What a cookie can say of the peer's MSS: the largest that does not exceed it.
const MSS_CLASSES: [u16; 1 << CLASS_BITS] = [88, 536, 1220, 1360, 1400, 1440, 1460, 8940];

/// Low bits of the timestamp: the window scale, or [`NO_SCALE`], and whether SACK is permitted.
const OPTION_BITS: u32 = 5;
const SACK_BIT: u32 = 1 << 4;
const NO_SCALE: u32 = 0xf;

/// Makes SYN-ACKs that need no memory, and reads the ACKs that answer them.
///
/// A cookie is good for two to three minutes, for one tuple and one initial sequence number of the peer; a guess is right
/// less than once in 2^27 times. What it cannot carry is off: ECN always, and where the peer has no timestamps window scaling and
/// SACK as well.
pub struct SynCookies {
    key: [u8; 16],
}

impl SynCookies {
    /// How long after a cookie was sent its answer may still be good.
    pub const LIFETIME: Duration = Duration::from_secs(SLOT.as_secs() * (MAX_AGE + 1));

    /// Cookies under a secret `key` of 128 bits, which must come from the operating system's random source and serve nothing
    /// else.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The SYN-ACK that answers `syn`, with a cookie in the place of `opening.iss`. Nothing is to be kept of either.
    #[must_use]
    pub fn answer(
        &self,
        now: Instant,
        syn: &SynRecord,
        opening: Opening,
        config: &Arc<TcpConfig>,
    ) -> TcpHeader {
        let syn = carried(syn, config);
        let iss = self.cookie(now, &syn);
        let ts_offset = opening.ts_offset.wrapping_sub(timestamp_lag(now, &syn, opening.ts_offset));
        // What a connection would answer, which goes by as soon as it has.
        Connection::accept(now, &syn, Opening { iss, ts_offset, ..opening }, Arc::clone(config)).syn_ack(now)
    }

    /// The SYN behind the cookie that `seg` acknowledges, as far as it could be carried: for
    /// [`Connection::from_cookie`]. `None` if there is no good cookie: forged, too old, or no ACK that opens a connection.
    #[must_use]
    pub fn check(
        &self,
        now: Instant,
        tuple: FourTuple,
        seg: &Segment,
        config: &TcpConfig,
    ) -> Option<SynRecord> {
        if !seg.has(TcpFlags::ACK) || seg.has(TcpFlags::SYN) || seg.has(TcpFlags::RST) {
            return None;
        }
        let irs = seg.header.seq - 1;
        let class = self.read(now, &tuple, irs, seg.header.ack - 1)?;
        let ts = seg.header.options.timestamps.filter(|_| config.timestamps);
        let options = ts.map_or(NO_SCALE, |ts| ts.ecr);
        Some(SynRecord {
            tuple,
            irs,
            window: seg.header.window,
            mss: Some(MSS_CLASSES[class as usize]),
            window_scale: Some(options & NO_SCALE)
                .filter(|&scale| scale != NO_SCALE)
                .map(|scale| scale as u8),
            ts_val: ts.map(|ts| ts.val),
            sack_permitted: options & SACK_BIT != 0,
            ecn_flags: TcpFlags::empty(),
            ecn: Ecn::NotEct,
            fast_open: FastOpenAnswer::Ignored,
            received_at: now,
        })
    }

    fn cookie(&self, now: Instant, syn: &SynRecord) -> SeqNum {
        let slot = slot(now);
        let class = mss_class(syn.mss.unwrap_or_else(|| Negotiated::default_mss(&syn.tuple)));
        let data = (slot as u32 & 3) << CLASS_BITS | class;
        let hash = self.hash(&syn.tuple, syn.irs, slot << CLASS_BITS | u64::from(class));
        SeqNum((data << HASH_BITS | hash) ^ self.mask(&syn.tuple, syn.irs))
    }

    /// The MSS class of a good cookie.
    fn read(&self, now: Instant, tuple: &FourTuple, irs: SeqNum, cookie: SeqNum) -> Option<u32> {
        let plain = cookie.0 ^ self.mask(tuple, irs);
        let data = plain >> HASH_BITS;
        let class = data & ((1 << CLASS_BITS) - 1);
        let now = slot(now);
        let age = now.wrapping_sub(u64::from(data >> CLASS_BITS)) & 3;
        if age > MAX_AGE {
            return None;
        }
        let made = now.checked_sub(age)?;
        let hash = self.hash(tuple, irs, made << CLASS_BITS | u64::from(class));
        (hash == plain & ((1 << HASH_BITS) - 1)).then_some(class)
    }

    /// Of [`HASH_BITS`].
    fn hash(&self, tuple: &FourTuple, irs: SeqNum, data: u64) -> u32 {
        self.keyed(0, tuple, irs, data) as u32 >> (u32::BITS - HASH_BITS)
    }

    /// Hides what a cookie says, so that it looks like any other initial sequence number.
    fn mask(&self, tuple: &FourTuple, irs: SeqNum) -> u32 {
        self.keyed(1, tuple, irs, 0) as u32
    }

    fn keyed(&self, purpose: u8, tuple: &FourTuple, irs: SeqNum, data: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(purpose);
        tuple.hash_into(&mut hasher);
        hasher.write_u32(irs.0);
        hasher.write_u64(data);
        hasher.finish()
    }
}

impl fmt::Debug for SynCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SynCookies { key: (secret) }")
    }
}

fn slot(now: Instant) -> u64 {
    now.as_nanos() / SLOT.as_nanos() as u64
}

/// The class of the largest MSS that is no larger than `mss`.
fn mss_class(mss: u16) -> u32 {
    MSS_CLASSES.iter().rposition(|&class| class <= mss).unwrap_or(0) as u32
}

/// What of `syn` comes back with the cookie's answer.
fn carried(syn: &SynRecord, config: &TcpConfig) -> SynRecord {
    let timestamps = config.timestamps && syn.ts_val.is_some();
    SynRecord {
        window_scale: syn.window_scale.filter(|_| timestamps).map(|scale| scale.min(14)),
        sack_permitted: syn.sack_permitted && timestamps,
        ecn_flags: TcpFlags::empty(),
        ..*syn
    }
}

/// How far the timestamp of the SYN-ACK lies behind the clock, so that its low bits say what `syn` offers.
fn timestamp_lag(now: Instant, syn: &SynRecord, ts_offset: u32) -> u32 {
    let scale = syn.window_scale.map_or(NO_SCALE, u32::from);
    let options = scale | if syn.sack_permitted { SACK_BIT } else { 0 };
    ts_clock(now).wrapping_add(ts_offset).wrapping_sub(options) & ((1 << OPTION_BITS) - 1)
}
