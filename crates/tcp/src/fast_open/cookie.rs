//! Cookies as a server makes them: nothing is kept for a client (RFC 7413 4.1.2).

use core::fmt;
use core::hash::Hasher;
use core::net::SocketAddr;
use core::time::Duration;

use netstack_wire::tcp::FastOpenCookie;
use siphasher::sip::SipHasher24;

use crate::time::Instant;
use crate::tuple::FourTuple;

/// How long cookies are made alike. They are valid for as long again, so that each lives one to two days: what is stolen,
/// or belongs to an address that has changed hands, loses its worth (RFC 7413 4.1.2, 5.1).
const PERIOD: Duration = Duration::from_secs(24 * 3600);

/// What a cookie is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    /// Made in this period.
    Current,
    /// Made in the one before.
    Old,
    Invalid,
}

/// The secret behind a server's cookies, each a keyed hash of both addresses and the period. 8 octets are too many to guess, and
/// leave room for all other options of a SYN-ACK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieKey([u8; 16]);

impl CookieKey {
    /// A secret `key` of 128 bits, used for nothing else. Servers that share an address may share it.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// The cookie that `tuple`'s remote address gets at `now`.
    #[must_use]
    pub fn cookie(&self, now: Instant, tuple: &FourTuple) -> FastOpenCookie {
        self.make(period(now), tuple)
    }

    pub(super) fn check(&self, now: Instant, tuple: &FourTuple, cookie: &FastOpenCookie) -> Validity {
        let period = period(now);
        if *cookie == self.make(period, tuple) {
            Validity::Current
        } else if period.checked_sub(1).is_some_and(|last| *cookie == self.make(last, tuple)) {
            Validity::Old
        } else {
            Validity::Invalid
        }
    }

    fn make(&self, period: u64, tuple: &FourTuple) -> FastOpenCookie {
        // A client's ports change from one connection to the next.
        let portless = |end: SocketAddr| SocketAddr::new(end.ip(), 0);
        let addresses = FourTuple::new(portless(tuple.local()), portless(tuple.remote()));
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write_u64(period);
        addresses.hash_into(&mut hasher);
        FastOpenCookie::new(&hasher.finish().to_be_bytes()).expect("8 octets make a cookie")
    }
}

fn period(now: Instant) -> u64 {
    now.as_nanos() / PERIOD.as_nanos() as u64
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(secret)")
    }
}
