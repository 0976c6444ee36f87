//! The control flags of the TCP header.

use core::fmt::{self, Write};
use core::ops::{BitOr, BitOrAssign, Sub};

/// A set of TCP control flags.
///
/// It prints as tcpdump does: `S.` for SYN and ACK, `P.`, `F.`, `R`, `none`.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(u16);

impl TcpFlags {
    /// The sender has no more data.
    pub const FIN: Self = Self(0x001);
    /// Synchronises sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Resets the connection.
    pub const RST: Self = Self(0x004);
    /// Asks the receiver to hand over what it has.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x020);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (RFC 9768).
    pub const AE: Self = Self(0x100);

    /// The nine defined bits; the reserved ones are sent as zero and ignored on receipt (RFC 9293 section 3.1).
    const ALL: u16 = 0x1ff;

    /// No flag at all.
    pub const fn empty() -> Self {
        Self(0)
    }

    /// The flags in the low nine bits of `bits`, as in octets 12 and 13 of the header; the rest is ignored.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL)
    }

    /// The flags as in octets 12 and 13 of the header.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These flags with `other` cleared.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Both sets together; as `|`, but usable in constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for TcpFlags {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl Sub for TcpFlags {
    type Output = Self;

    /// The flags of `self` that are not in `other`.
    fn sub(self, other: Self) -> Self {
        self.without(other)
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [char; 9] = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W', 'e'];
        if self.is_empty() {
            return f.write_str("none");
        }
        for (bit, letter) in LETTERS.into_iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}
