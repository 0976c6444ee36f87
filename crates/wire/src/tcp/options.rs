//! TCP options: kinds 0 to 5, 8, 28, 34, 172 and 174.

mod types;

pub use types::{AccEcn, AccEcnOrder, FastOpenCookie, SackBlock, SackBlocks, Timestamps, UserTimeout};

use super::MAX_OPTIONS_LEN;
use crate::{ParseError, SeqNum};

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const USER_TIMEOUT: u8 = 28;
const FAST_OPEN: u8 = 34;
const ACC_ECN_0: u8 = 172;
const ACC_ECN_1: u8 = 174;

/// The first word of the layout that nearly every segment carries (RFC 7323 appendix A).
const TIMESTAMPS_ONLY: [u8; 4] = [NOP, NOP, TIMESTAMPS, 10];

/// The options of one segment.
///
/// Whether an option may appear in the segment at hand is for the connection to judge; here all are read from any
/// segment. When an option comes twice the last one counts.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size (RFC 9293 section 3.7.1), in octets.
    pub mss: Option<u16>,
    /// Window scale shift (RFC 7323), as received: values above 14 are to be taken as 14.
    pub window_scale: Option<u8>,
    /// SACK permitted (RFC 2018).
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks (RFC 2018), possibly none.
    pub sack: SackBlocks,
    /// User timeout (RFC 5482).
    pub user_timeout: Option<UserTimeout>,
    /// Fast Open cookie or request for one (RFC 7413).
    pub fast_open: Option<FastOpenCookie>,
    /// Accurate ECN counters (RFC 9768).
    pub acc_ecn: Option<AccEcn>,
}

impl TcpOptions {
    /// Reads the option space of a header.
    ///
    /// Unknown kinds are stepped over by their length, and so is a known kind whose length is not its own (an
    /// MSS of length 6, say). Nothing after an End of Option List is looked at.
    ///
    /// # Errors
    ///
    /// [`ParseError::BadOption`] when a length is missing, 0, 1, or runs past the space: the segment is to be
    /// dropped (RFC 9293 MUST-7).
    #[inline]
    pub fn parse(space: &[u8]) -> Result<Self, ParseError> {
        if space.is_empty() {
            return Ok(Self::default());
        }
        if let Ok(space) = <&[u8; 12]>::try_from(space)
            && space.starts_with(&TIMESTAMPS_ONLY)
        {
            let timestamps = Timestamps { val: be32(space, 4), ecr: be32(space, 8) };
            return Ok(Self { timestamps: Some(timestamps), ..Self::default() });
        }
        Self::parse_any(space)
    }

    fn parse_any(mut space: &[u8]) -> Result<Self, ParseError> {
        let mut options = Self::default();
        while let Some((&kind, rest)) = space.split_first() {
            match kind {
                END => break,
                NOP => space = rest,
                kind => {
                    let &len = rest.first().ok_or(ParseError::BadOption)?;
                    let (option, after) =
                        space.split_at_checked(usize::from(len)).ok_or(ParseError::BadOption)?;
                    let body = option.get(2..).ok_or(ParseError::BadOption)?;
                    options.set(kind, body);
                    space = after;
                }
            }
        }
        Ok(options)
    }

    fn set(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (SACK, blocks) if blocks.len().is_multiple_of(8) => {
                self.sack.clear();
                for block in blocks.as_chunks::<8>().0 {
                    self.sack.push(SackBlock { left: SeqNum(be32(block, 0)), right: SeqNum(be32(block, 4)) });
                }
            }
            (TIMESTAMPS, body) => {
                if let Ok(body) = <&[u8; 8]>::try_from(body) {
                    self.timestamps = Some(Timestamps { val: be32(body, 0), ecr: be32(body, 4) });
                }
            }
            (USER_TIMEOUT, &[high, low]) => {
                let timeout = UserTimeout::from_bits(u16::from_be_bytes([high, low]));
                if timeout.value() != 0 {
                    self.user_timeout = Some(timeout);
                }
            }
            (FAST_OPEN, cookie) => {
                if let Some(cookie) = FastOpenCookie::new(cookie) {
                    self.fast_open = Some(cookie);
                }
            }
            (ACC_ECN_0, fields) => self.acc_ecn = Some(AccEcn::from_wire(AccEcnOrder::Zero, fields)),
            (ACC_ECN_1, fields) => self.acc_ecn = Some(AccEcn::from_wire(AccEcnOrder::One, fields)),
            _ => {}
        }
    }

    /// Whether timestamps are all there is.
    #[inline]
    fn only_timestamps(&self) -> Option<Timestamps> {
        let others = self.mss.is_some()
            || self.window_scale.is_some()
            || self.sack_permitted
            || !self.sack.is_empty()
            || self.user_timeout.is_some()
            || self.fast_open.is_some()
            || self.acc_ecn.is_some();
        if others { None } else { self.timestamps }
    }

    /// Octets that [`emit`](Self::emit) writes: at most 40, a multiple of 4.
    #[inline]
    pub fn wire_len(&self) -> usize {
        if self.only_timestamps().is_some() {
            return 12;
        }
        self.write(&mut Measure(0))
    }

    /// Writes the options in their usual layout, each group aligned to four octets with NOPs, and returns the
    /// length.
    ///
    /// What does not fit into 40 octets is left out: SACK blocks from the end first (with timestamps three fit),
    /// then AccECN.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`wire_len`](Self::wire_len).
    #[inline]
    pub fn emit(&self, buf: &mut [u8]) -> usize {
        if let Some(timestamps) = self.only_timestamps() {
            let buf = buf.first_chunk_mut::<12>().expect("the buffer holds the timestamps option");
            buf[..4].copy_from_slice(&TIMESTAMPS_ONLY);
            buf[4..8].copy_from_slice(&timestamps.val.to_be_bytes());
            buf[8..].copy_from_slice(&timestamps.ecr.to_be_bytes());
            return 12;
        }
        self.write(&mut Write { buf, len: 0 })
    }

    /// Lays the options out; measuring and writing share this one walk.
    fn write(&self, out: &mut impl Output) -> usize {
        if let Some(mss) = self.mss {
            out.option(MSS, &[&mss.to_be_bytes()]);
        }
        match (self.sack_permitted, self.timestamps) {
            // SACK permitted takes the place of the two NOPs in front of the timestamps. There is room: but for the MSS they are
            // the first.
            (true, Some(timestamps)) => {
                out.bytes(&[SACK_PERMITTED, 2, TIMESTAMPS, 10]);
                out.bytes(&timestamps.val.to_be_bytes());
                out.bytes(&timestamps.ecr.to_be_bytes());
            }
            (permitted, timestamps) => {
                if permitted {
                    out.option(SACK_PERMITTED, &[]);
                }
                if let Some(timestamps) = timestamps {
                    out.option(TIMESTAMPS, &[&timestamps.val.to_be_bytes(), &timestamps.ecr.to_be_bytes()]);
                }
            }
        }
        if let Some(shift) = self.window_scale {
            out.option(WINDOW_SCALE, &[&[shift]]);
        }
        if let Some(cookie) = &self.fast_open {
            out.option(FAST_OPEN, &[cookie.as_slice()]);
        }
        if let Some(timeout) = self.user_timeout {
            out.option(USER_TIMEOUT, &[&timeout.bits().to_be_bytes()]);
        }
        self.write_sack(out);
        if let Some(counts) = &self.acc_ecn {
            let mut fields = [[0; 3]; 3];
            let used = counts.counters().len();
            for (field, counter) in fields.iter_mut().zip(counts.counters()) {
                field.copy_from_slice(&counter.to_be_bytes()[1..]);
            }
            let kind = if counts.order() == AccEcnOrder::Zero { ACC_ECN_0 } else { ACC_ECN_1 };
            out.option(kind, &[fields[..used].as_flattened()]);
        }
        out.len()
    }

    fn write_sack(&self, out: &mut impl Output) {
        let fit = out.room().saturating_sub(4) / 8;
        let mut edges = [[0; 8]; SackBlocks::CAPACITY];
        let count = self.sack.len().min(fit);
        for (edge, block) in edges.iter_mut().zip(self.sack.iter()).take(count) {
            edge[..4].copy_from_slice(&block.left.0.to_be_bytes());
            edge[4..].copy_from_slice(&block.right.0.to_be_bytes());
        }
        if count > 0 {
            out.option(SACK, &[edges[..count].as_flattened()]);
        }
    }
}

/// Where laid out options go.
trait Output {
    fn len(&self) -> usize;

    fn bytes(&mut self, bytes: &[u8]);

    /// Octets of option space left.
    fn room(&self) -> usize {
        MAX_OPTIONS_LEN - self.len()
    }

    /// Adds one option with NOPs in front to keep the multiple of 4, if there is room for it.
    fn option(&mut self, kind: u8, body: &[&[u8]]) {
        let len = 2 + body.iter().map(|part| part.len()).sum::<usize>();
        let padded = len.next_multiple_of(4);
        if padded > self.room() {
            return;
        }
        self.bytes(&[NOP; 3][..padded - len]);
        self.bytes(&[kind, len as u8]);
        for part in body {
            self.bytes(part);
        }
    }
}

struct Measure(usize);

impl Output for Measure {
    fn len(&self) -> usize {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

struct Write<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl Output for Write<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.buf[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
