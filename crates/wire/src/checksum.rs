//! The Internet checksum (RFC 1071): a one's-complement sum that can be put together from pieces.

#[cfg(test)]
mod tests;

use core::net::IpAddr;

/// Below this length the set-up of the lanes costs more than they save.
const LANES_FROM: usize = 128;

/// The unfolded sum of `data` in native-endian 16-bit words, an odd last octet padded with zero on its right.
///
/// The sum is taken in the machine's own byte order, and swapped only once when it is read: the byte order of a
/// one's-complement sum can be chosen freely (RFC 1071 section 2 (B)).
#[inline]
fn native_sum(data: &[u8]) -> u64 {
    if data.len() < LANES_FROM { short_sum(data) } else { lane_sum(data) }
}

/// The sum of the two 32-bit halves, which cannot overflow.
#[inline]
const fn halves(word: u64) -> u64 {
    (word & 0xffff_ffff) + (word >> 32)
}

#[inline]
fn short_sum(data: &[u8]) -> u64 {
    let (words, tail) = data.as_chunks::<8>();
    let mut sum = 0;
    for word in words {
        sum += halves(u64::from_ne_bytes(*word));
    }
    let (words, tail) = tail.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    let (words, last) = tail.as_chunks::<2>();
    for word in words {
        sum += u64::from(u16::from_ne_bytes(*word));
    }
    if let [last] = last {
        sum += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    sum
}

/// Eight lanes that the compiler turns into vector additions, of two sums each.
///
/// With `high` the sum of the words' upper halves, and `whole` the sum of the words modulo 2^64, that of the lower
/// halves is `whole - high * 2^32`: two additions and a shift for eight octets, and no shuffle. The sums are exact
/// for up to 2^29 blocks (32 GiB). The bench `checksum` tells when a compiler no longer sees the vectors.
fn lane_sum(data: &[u8]) -> u64 {
    let (blocks, tail) = data.as_chunks::<64>();
    let mut whole = [0u64; 8];
    let mut high = [0u64; 8];
    for block in blocks {
        let words = block.as_chunks::<8>().0;
        for ((whole, high), word) in whole.iter_mut().zip(&mut high).zip(words) {
            let word = u64::from_ne_bytes(*word);
            *whole = whole.wrapping_add(word);
            *high += word >> 32;
        }
    }
    let lanes = whole.iter().zip(&high);
    let sum: u64 = lanes.map(|(whole, high)| halves(whole.wrapping_sub(high << 32)) + high).sum();
    sum + short_sum(tail)
}

/// Folds carries back in until 16 bits are left: three times does. The first leaves at most 2^33 - 2, so that the second, of
/// three parts, leaves at most 0x1fffe, and the third 0xffff.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
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
