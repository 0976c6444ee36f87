//! The chain of extension headers (RFC 8200 section 4).

use super::{FRAGMENT_HEADER_LEN, HEADER_LEN, NEXT_HEADER_OFFSET, PAYLOAD_LENGTH_OFFSET, problem};
use crate::ip::{Fragment, Protocol};
use crate::{ParameterProblem, ParseError};

/// Extension headers walked in one packet; a longer chain is dropped.
pub const MAX_EXTENSIONS: usize = 8;
/// Options walked in one packet, Pad1 and PadN not counted; more are dropped.
pub const MAX_OPTIONS: usize = 16;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

const MAX_PAYLOAD_LEN: usize = 65_535;

const PAD1: u8 = 0;
const PADN: u8 = 1;

/// Where a walk stands.
#[derive(Copy, Clone)]
pub(super) struct Chain {
    pub(super) protocol: Protocol,
    /// Offset of the field that named `protocol`.
    pub(super) named_at: usize,
    /// Offset of the upper layer's header, or of a fragment's data.
    pub(super) end: usize,
    /// Set behind the Fragment header of a packet that is in pieces.
    pub(super) fragment: Option<Fragment>,
}

/// Walks the extension headers of `packet`, which is cut to its total length and holds the fixed header.
#[inline]
pub(super) fn walk(packet: &[u8]) -> Result<Chain, ParseError> {
    let protocol = Protocol(packet[NEXT_HEADER_OFFSET]);
    let start = Chain { protocol, named_at: NEXT_HEADER_OFFSET, end: HEADER_LEN, fragment: None };
    if !is_extension(protocol) {
        return Ok(start);
    }
    let mut walk = Walk { packet, at: start, headers_left: MAX_EXTENSIONS, options_left: MAX_OPTIONS };
    walk.run()?;
    if walk.at.fragment.is_some_and(|fragment| fragment.offset == 0) {
        walk.check_first_fragment()?;
    }
    Ok(walk.at)
}

/// Steps over the extension headers of a quoted packet without judging them, as far as the quote goes. Returns the
/// upper layer's protocol and where it begins.
pub(crate) fn skip(fixed: &[u8; HEADER_LEN], quoted: &[u8]) -> Result<(Protocol, usize), ParseError> {
    let mut protocol = Protocol(fixed[NEXT_HEADER_OFFSET]);
    let mut start = HEADER_LEN;
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(protocol) {
            return Ok((protocol, start));
        }
        let header =
            quoted.get(start..).and_then(|rest| rest.first_chunk::<8>()).ok_or(ParseError::Truncated)?;
        if protocol.0 == FRAGMENT && u16::from_be_bytes([header[2], header[3]]) & !7 != 0 {
            return Err(ParseError::BadFragment);
        }
        start += extension_len(protocol, header);
        protocol = Protocol(header[0]);
    }
    Err(ParseError::TooManyExtensions)
}

/// Offset of the field that names the extension header at `start`, in a packet that was parsed up to there.
pub(super) fn named_at(packet: &[u8], start: usize) -> Option<usize> {
    let (mut named_at, mut at) = (NEXT_HEADER_OFFSET, HEADER_LEN);
    while at < start {
        let fixed = packet.get(at..)?.first_chunk::<8>()?;
        let len = extension_len(Protocol(packet[named_at]), fixed);
        (named_at, at) = (at, at + len);
    }
    (at == start).then_some(named_at)
}

fn extension_len(protocol: Protocol, fixed: &[u8; 8]) -> usize {
    if protocol.0 == FRAGMENT { FRAGMENT_HEADER_LEN } else { 8 + usize::from(fixed[1]) * 8 }
}

const fn is_extension(protocol: Protocol) -> bool {
    matches!(protocol.0, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS)
}

#[derive(Copy, Clone)]
struct Walk<'a> {
    packet: &'a [u8],
    at: Chain,
    headers_left: usize,
    options_left: usize,
}

impl Walk<'_> {
    /// Walks up to the upper layer, or to the data of a fragment.
    fn run(&mut self) -> Result<(), ParseError> {
        while is_extension(self.at.protocol) && self.at.fragment.is_none() {
            self.headers_left = self.headers_left.checked_sub(1).ok_or(ParseError::TooManyExtensions)?;
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), ParseError> {
        let Chain { protocol: Protocol(kind), named_at, end: start, .. } = self.at;
        if kind == HOP_BY_HOP && start != HEADER_LEN {
            return Err(problem(ParameterProblem::UNKNOWN_NEXT_HEADER, named_at));
        }
        let fixed = self.packet[start..].first_chunk::<8>().ok_or(ParseError::Truncated)?;
        let end = start + extension_len(Protocol(kind), fixed);
        let header = self.packet.get(start..end).ok_or(ParseError::Truncated)?;
        let fragment = match kind {
            ROUTING => {
                check_routing(fixed, start)?;
                None
            }
            FRAGMENT => read_fragment(fixed, start, self.packet.len() - end)?,
            _ => {
                self.walk_options(header, start)?;
                None
            }
        };
        self.at = Chain { protocol: Protocol(fixed[0]), named_at: start, end, fragment };
        Ok(())
    }

    fn walk_options(&mut self, header: &[u8], start: usize) -> Result<(), ParseError> {
        let mut at = 2;
        while let Some(&kind) = header.get(at) {
            if kind == PAD1 {
                at += 1;
                continue;
            }
            let &len = header.get(at + 1).ok_or(ParseError::BadOption)?;
            let end = at + 2 + usize::from(len);
            if end > header.len() {
                return Err(ParseError::BadOption);
            }
            if kind != PADN {
                self.options_left = self.options_left.checked_sub(1).ok_or(ParseError::TooManyExtensions)?;
                check_option(kind, start + at)?;
            }
            at = end;
        }
        Ok(())
    }

    /// A first fragment has to hold the whole header chain, the upper layer's header included
    /// (RFC 7112 section 5). Other faults in what follows are found once the packet is whole.
    fn check_first_fragment(&self) -> Result<(), ParseError> {
        let mut rest = Self { at: Chain { fragment: None, ..self.at }, ..*self };
        let complete = match rest.run() {
            Ok(()) => rest.packet.len() - rest.at.end >= upper_header_len(rest.at.protocol),
            Err(error) => error != ParseError::Truncated,
        };
        if complete { Ok(()) } else { Err(problem(ParameterProblem::INCOMPLETE_CHAIN, 0)) }
    }
}

const fn upper_header_len(protocol: Protocol) -> usize {
    match protocol {
        Protocol::TCP => 20,
        Protocol::UDP | Protocol::ICMPV6 => 8,
        _ => 0,
    }
}

/// What to do about an option that is not known stands in its top two bits (RFC 8200 section 4.2). None but the
/// padding is known here.
fn check_option(kind: u8, at: usize) -> Result<(), ParseError> {
    let unknown = ParameterProblem::at(ParameterProblem::UNKNOWN_OPTION, at);
    match kind >> 6 {
        0b00 => Ok(()),
        0b01 => Err(ParseError::DiscardOption),
        0b10 => Err(ParseError::Answerable(ParameterProblem { even_if_multicast: true, ..unknown })),
        _ => Err(ParseError::Answerable(unknown)),
    }
}

/// No routing type is known: with segments left the packet is refused, else the header is stepped over
/// (RFC 8200 section 4.4, RFC 5095 section 3 for type 0).
fn check_routing(fixed: &[u8; 8], start: usize) -> Result<(), ParseError> {
    let segments_left = fixed[3];
    if segments_left == 0 { Ok(()) } else { Err(problem(ParameterProblem::ERRONEOUS_FIELD, start + 2)) }
}

/// The fragment, or `None` for an atomic one, which is whole by itself (RFC 6946).
fn read_fragment(fixed: &[u8; 8], start: usize, data_len: usize) -> Result<Option<Fragment>, ParseError> {
    let word = u16::from_be_bytes([fixed[2], fixed[3]]);
    let (offset, more) = (word & !7, word & 1 == 1);
    if offset == 0 && !more {
        return Ok(None);
    }
    if more && !data_len.is_multiple_of(8) {
        return Err(problem(ParameterProblem::ERRONEOUS_FIELD, PAYLOAD_LENGTH_OFFSET));
    }
    // Whether the payload length of the whole fits; headers between the fixed and the Fragment header count.
    if start - HEADER_LEN + usize::from(offset) + data_len > MAX_PAYLOAD_LEN {
        return Err(problem(ParameterProblem::ERRONEOUS_FIELD, start + 2));
    }
    let id = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    Ok(Some(Fragment { offset, more, id }))
}
