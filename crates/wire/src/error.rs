//! Why octets could not be parsed.

use core::fmt;

/// The reason a packet, segment or message is not well formed.
///
/// Each reason has a short [`name`](Self::name) under which drops are counted. Only
/// [`Answerable`](Self::Answerable) may be told to the sender; everything else is dropped in silence.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseError {
    /// The data ends before the structure does.
    Truncated,
    /// The IP version is not 4 or 6, or not the one the function reads.
    BadVersion,
    /// The header's own length field is below the minimum or beyond the data (IHL, TCP data offset).
    BadHeaderLength,
    /// The length of the whole packet is below its header or above the octets received.
    BadTotalLength,
    /// The checksum does not match, or is absent where it is required.
    BadChecksum,
    /// An option's length is 0 or 1, or runs past its header.
    BadOption,
    /// An IPv4 fragment that is not the last has a length that is no multiple of 8, or a fragment ends past
    /// octet 65,535.
    BadFragment,
    /// An IPv6 packet has more extension headers or options than the parser is willing to walk.
    TooManyExtensions,
    /// An IPv6 option with an action of "discard silently" is not known (RFC 8200 section 4.2).
    DiscardOption,
    /// An IPv6 packet that is dropped with an ICMPv6 Parameter Problem.
    Answerable(ParameterProblem),
}

/// What an ICMPv6 Parameter Problem about a dropped packet has to say (RFC 4443 section 3.4).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParameterProblem {
    /// 0 erroneous field, 1 unrecognised next header, 2 unrecognised option, 3 incomplete header chain.
    pub code: u8,
    /// Octets from the start of the IPv6 header to the field at fault.
    pub pointer: u32,
    /// Whether the answer is due even when the packet was sent to a multicast address (option types `10xxxxxx`).
    pub even_if_multicast: bool,
}

impl ParameterProblem {
    /// An erroneous field was met.
    pub const ERRONEOUS_FIELD: u8 = 0;
    /// A next header value is not known.
    pub const UNKNOWN_NEXT_HEADER: u8 = 1;
    /// An option is not known.
    pub const UNKNOWN_OPTION: u8 = 2;
    /// The first fragment does not hold the whole header chain (RFC 7112 section 5).
    pub const INCOMPLETE_CHAIN: u8 = 3;

    pub(crate) fn at(code: u8, pointer: usize) -> Self {
        Self { code, pointer: u32::try_from(pointer).unwrap_or(u32::MAX), even_if_multicast: false }
    }
}

impl ParseError {
    /// A short stable name, for counters and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BadVersion => "bad_version",
            Self::BadHeaderLength => "bad_header_length",
            Self::BadTotalLength => "bad_total_length",
            Self::BadChecksum => "bad_checksum",
            Self::BadOption => "bad_option",
            Self::BadFragment => "bad_fragment",
            Self::TooManyExtensions => "too_many_extensions",
            Self::DiscardOption => "discard_option",
            Self::Answerable(_) => "parameter_problem",
        }
    }

    /// The ICMPv6 Parameter Problem that may be sent to the packet's source, if one may.
    pub fn parameter_problem(&self) -> Option<ParameterProblem> {
        match self {
            Self::Answerable(problem) => Some(*problem),
            _ => None,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the data ends inside a header"),
            Self::BadVersion => f.write_str("the IP version is not the expected one"),
            Self::BadHeaderLength => f.write_str("the header length is below the minimum or beyond the data"),
            Self::BadTotalLength => {
                f.write_str("the packet length is below its header or above the data received")
            }
            Self::BadChecksum => f.write_str("the checksum does not match"),
            Self::BadOption => f.write_str("an option's length is impossible"),
            Self::BadFragment => f.write_str("the fragment's length or offset is impossible"),
            Self::TooManyExtensions => f.write_str("the packet has too many extension headers or options"),
            Self::DiscardOption => f.write_str("an unknown option asks for the packet to be discarded"),
            Self::Answerable(problem) => {
                write!(f, "parameter problem: code {}, pointer {}", problem.code, problem.pointer)
            }
        }
    }
}

impl std::error::Error for ParseError {}
