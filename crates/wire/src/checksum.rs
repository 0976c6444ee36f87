//! The Internet checksum (RFC 1071): a one's-complement sum that can be put together from pieces.

#[cfg(test)]
mod tests;

use core::net::IpAddr;

/// Below this length the set-up of the wide lanes costs more than they save.
const LANES_FROM: usize = 64;

/// The unfolded sum of `data` in native-endian 16-bit words, an odd last octet padded with zero on its right.
///
/// The sum is taken in the machine's own byte order, and swapped only once when it is read: the byte order of a
/// one's-complement sum can be chosen freely (RFC 1071 section 2 (B)).
#[inline]
fn native_sum(data: &[u8]) -> u64 {
    if data.len() < LANES_FROM { short_sum(data) } else { lane_sum(data) }
}

/// One 64-bit addend per eight octets, split in two so that it cannot overflow.
#[inline]
fn short_sum(data: &[u8]) -> u64 {
    let (words, tail) = data.as_chunks::<8>();
    let mut sum = 0u64;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        sum += (word & 0xffff_ffff) + (word >> 32);
    }
    sum + tail_sum(tail)
}

/// The last up to seven octets.
#[inline]
fn tail_sum(tail: &[u8]) -> u64 {
    let mut last = [0u8; 8];
    last[..tail.len()].copy_from_slice(tail);
    let word = u64::from_ne_bytes(last);
    (word & 0xffff_ffff) + (word >> 32)
}

/// Eight independent sums of 32-bit words: the compiler turns the inner loop into vector additions.
///
/// A lane overflows only after 2^32 blocks (128 GiB of data).
fn lane_sum(data: &[u8]) -> u64 {
    let (blocks, tail) = data.as_chunks::<32>();
    let mut lanes = [0u64; 8];
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let sum: u64 = lanes.iter().map(|&lane| u64::from(fold(lane))).sum();
    sum + short_sum(tail)
}

/// Folds carries back in until 16 bits are left.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The folded, not inverted sum of `data` as if it began at an even offset.
///
/// A region that holds its own correct checksum sums to `0xFFFF`.
#[inline]
pub fn sum(data: &[u8]) -> u32 {
    u32::from(u16::from_be(fold(native_sum(data))))
}

/// A running Internet checksum over scattered pieces.
///
/// Pieces are laid end to end: after a piece of odd length the next one starts at an odd offset, and its octets
/// take the other half of each 16-bit word.
///
/// ```
/// use netstack_wire::checksum::Sum;
///
/// let mut whole = Sum::new();
/// whole.add(b"scattered");
/// let mut pieces = Sum::new();
/// pieces.add(b"sca");
/// pieces.add(b"ttered");
/// assert_eq!(whole.finish(), pieces.finish());
/// ```
#[derive(Copy, Clone, Debug, Default)]
pub struct Sum {
    /// Native-endian partial sum.
    sum: u64,
    /// Whether an odd number of octets has been added so far.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub const fn new() -> Self {
        Self { sum: 0, odd: false }
    }

    /// Appends `data`.
    #[inline]
    pub fn add(&mut self, data: &[u8]) {
        let sum = fold(native_sum(data));
        self.add_native(sum);
        self.odd ^= data.len() & 1 == 1;
    }

    /// Appends the two octets of `word` in network order.
    #[inline]
    pub fn add_u16(&mut self, word: u16) {
        self.add_native(word.to_be());
    }

    /// Appends the four octets of `word` in network order.
    #[inline]
    pub fn add_u32(&mut self, word: u32) {
        self.add_u16((word >> 16) as u16);
        self.add_u16(word as u16);
    }

    #[inline]
    fn add_native(&mut self, word: u16) {
        // An odd offset swaps the halves of every word, and so of the sum (RFC 1071 section 2 (B)).
        let word = if self.odd { word.swap_bytes() } else { word };
        self.sum = self.sum.wrapping_add(u64::from(word));
    }

    /// The sum in 16 bits, not inverted: what a device is given to complete (see RFC 1071 section 2), and
    /// `0xFFFF` over data that holds its own correct checksum.
    #[inline]
    pub const fn fold(&self) -> u16 {
        u16::from_be(fold(self.sum))
    }

    /// The checksum as it stands in a header: the sum inverted.
    #[inline]
    pub const fn finish(&self) -> u16 {
        !self.fold()
    }
}

/// The checksum of `data` as it stands in a header.
#[inline]
pub fn checksum(data: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add(data);
    sum.finish()
}

/// The sum of the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1).
///
/// `dst` is the final destination, `protocol` and `len` (in octets) are those of the upper layer, not of an
/// extension header. The IPv6 form is used unless both addresses are IPv4.
#[inline]
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: u32) -> Sum {
    let mut sum = Sum::new();
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            sum.add_u32(src.to_bits());
            sum.add_u32(dst.to_bits());
        }
        (src, dst) => {
            sum.add(&crate::ip::v6_octets(src));
            sum.add(&crate::ip::v6_octets(dst));
        }
    }
    sum.add_u32(len);
    sum.add_u16(u16::from(protocol));
    sum
}
