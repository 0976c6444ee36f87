//! Segments as one line of text, in relative numbers: `P. 1:6(5) ack 1 win 1000 <mss 1460,sackOK>`.

use core::fmt;
use std::str::FromStr;

use bytes::Bytes;
use netstack_wire::tcp::{
    FastOpenCookie, SackBlock, SackBlocks, TcpFlags, TcpHeader, TcpOptions, Timestamps,
};
use netstack_wire::{Ecn, SeqNum};

use super::relative;
use crate::segment::Segment;

/// The octets of a test stream from `start` to `end`: each tells its place, modulo 251.
#[must_use]
pub fn pattern(start: u32, end: u32) -> Bytes {
    (0..end.wrapping_sub(start)).map(|at| (start.wrapping_add(at) % 251) as u8).collect::<Vec<u8>>().into()
}

/// A segment in notation; what is left out (`None`) is not compared, or takes the sender's default.
///
/// `flags start:end(len) [ack n] [win n] [urg n] [ecn e] [<options>]` with flags out of `S F R P U E W A .` (ECE, CWR, AE;
/// `.` is ACK) or `-` for none, `e` out of `not ect0 ect1 ce` (without: `not` when injected), and options `mss n`, `wscale n`,
/// `sackOK`, `ts val ecr`, `sack left:right ...`, `cookie` in hexadecimal or alone as the request for one, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The flags, all compared.
    pub flags: TcpFlags,
    /// First sequence number, relative to the sender's initial one.
    pub seq: u32,
    /// Payload octets.
    pub len: u32,
    /// Acknowledgment number, relative to the other end's initial one.
    pub ack: Option<u32>,
    /// The window field as it is on the wire.
    pub win: Option<u16>,
    /// The urgent pointer field.
    pub urg: Option<u16>,
    /// The ECN field of the IP header.
    pub ecn: Option<Ecn>,
    /// All options; `None` where no `<...>` was written.
    pub options: Option<TcpOptions>,
}

impl Line {
    /// `seg` as seen by an observer who knows both initial sequence numbers.
    #[must_use]
    pub fn of(seg: &Segment, sender_isn: SeqNum, receiver_isn: SeqNum) -> Self {
        let header = &seg.header;
        let mut options = header.options;
        options.sack = map_blocks(&options.sack, |seq| SeqNum(relative(seq, receiver_isn)));
        Self {
            flags: header.flags,
            seq: relative(header.seq, sender_isn),
            len: seg.payload.len() as u32,
            ack: header.flags.contains(TcpFlags::ACK).then(|| relative(header.ack, receiver_isn)),
            win: Some(header.window),
            urg: Some(header.urgent),
            ecn: Some(seg.ecn),
            options: Some(options),
        }
    }

    /// Whether the segment `seen` is what this line expects.
    #[must_use]
    pub fn matches(&self, seen: &Self) -> bool {
        fn agrees<T: PartialEq>(expected: &Option<T>, seen: &Option<T>) -> bool {
            expected.is_none() || expected == seen
        }
        (self.flags, self.seq, self.len) == (seen.flags, seen.seq, seen.len)
            && agrees(&self.ack, &seen.ack)
            && agrees(&self.win, &seen.win)
            && agrees(&self.urg, &seen.urg)
            && agrees(&self.ecn, &seen.ecn)
            && agrees(&self.options, &seen.options)
    }

    /// The segment itself, with the stream's [`pattern`] as payload.
    #[must_use]
    pub fn to_segment(&self, ports: (u16, u16), sender_isn: SeqNum, receiver_isn: SeqNum) -> Segment {
        let mut options = self.options.unwrap_or_default();
        options.sack = map_blocks(&options.sack, |seq| receiver_isn + seq.0);
        let header = TcpHeader {
            src_port: ports.0,
            dst_port: ports.1,
            seq: sender_isn + self.seq,
            ack: self.ack.map_or(SeqNum(0), |ack| receiver_isn + ack),
            flags: self.flags,
            window: self.win.unwrap_or(u16::MAX),
            urgent: self.urg.unwrap_or(0),
            options,
        };
        // Stream octet 0 is the SYN; text begins at 1.
        let start = self.seq.wrapping_add(u32::from(self.flags.contains(TcpFlags::SYN)));
        let payload = pattern(start, start.wrapping_add(self.len));
        Segment { header, payload, ecn: self.ecn.unwrap_or_default(), gso_size: 0 }
    }
}

const ECN: [(&str, Ecn); 4] =
    [("not", Ecn::NotEct), ("ect1", Ecn::Ect1), ("ect0", Ecn::Ect0), ("ce", Ecn::Ce)];

const FLAGS: [(char, TcpFlags); 9] = [
    ('S', TcpFlags::SYN),
    ('F', TcpFlags::FIN),
    ('R', TcpFlags::RST),
    ('P', TcpFlags::PSH),
    ('U', TcpFlags::URG),
    ('E', TcpFlags::ECE),
    ('W', TcpFlags::CWR),
    ('A', TcpFlags::AE),
    ('.', TcpFlags::ACK),
];

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.flags.is_empty() {
            f.write_str("-")?;
        }
        for (name, flag) in FLAGS {
            if self.flags.contains(flag) {
                write!(f, "{name}")?;
            }
        }
        write!(f, " {}:{}({})", self.seq, self.seq.wrapping_add(self.len), self.len)?;
        for (name, value) in
            [("ack", self.ack), ("win", self.win.map(u32::from)), ("urg", self.urg.map(u32::from))]
        {
            if let Some(value) = value.filter(|value| name != "urg" || *value != 0) {
                write!(f, " {name} {value}")?;
            }
        }
        if let Some((name, _)) = ECN.iter().skip(1).find(|(_, ecn)| Some(*ecn) == self.ecn) {
            write!(f, " ecn {name}")?;
        }
        let Some(options) = self.options else { return Ok(()) };
        let mut parts = Vec::new();
        parts.extend(options.mss.map(|mss| format!("mss {mss}")));
        parts.extend(options.window_scale.map(|shift| format!("wscale {shift}")));
        parts.extend(options.sack_permitted.then(|| "sackOK".to_owned()));
        parts.extend(options.timestamps.map(|ts| format!("ts {} {}", ts.val, ts.ecr)));
        if !options.sack.is_empty() {
            let blocks = options.sack.iter().map(|b| format!(" {}:{}", b.left.0, b.right.0));
            parts.push(format!("sack{}", blocks.collect::<String>()));
        }
        if let Some(cookie) = &options.fast_open {
            let digits: String = cookie.as_slice().iter().map(|octet| format!("{octet:02x}")).collect();
            parts.push(format!("cookie {digits}").trim_end().to_owned());
        }
        if parts.is_empty() { Ok(()) } else { write!(f, " <{}>", parts.join(",")) }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (head, options) = match text.split_once('<') {
            Some((head, rest)) => {
                (head, Some(rest.trim_end().strip_suffix('>').ok_or("options end with >")?))
            }
            None => (text, None),
        };
        let mut words = head.split_whitespace();
        let flags = parse_flags(words.next().ok_or("no flags")?)?;
        let (seq, len) = parse_range(words.next().ok_or("no range")?)?;
        let mut line = Self { flags, seq, len, ack: None, win: None, urg: None, ecn: None, options: None };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            match word {
                "ack" => line.ack = Some(number(value)?),
                "win" => line.win = Some(number(value)? as u16),
                "ecn" => line.ecn = Some(parse_ecn(value)?),
                "urg" => line.urg = Some(number(value)? as u16),
                _ => return Err(format!("unknown word {word}")),
            }
        }
        line.options = options.map(parse_options).transpose()?;
        Ok(line)
    }
}

fn map_blocks(blocks: &SackBlocks, map: impl Fn(SeqNum) -> SeqNum) -> SackBlocks {
    let mut mapped = SackBlocks::default();
    for block in blocks.iter() {
        mapped.push(SackBlock { left: map(block.left), right: map(block.right) });
    }
    mapped
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn parse_ecn(text: &str) -> Result<Ecn, String> {
    let known = ECN.iter().find(|(name, _)| *name == text);
    known.map(|(_, ecn)| *ecn).ok_or_else(|| format!("unknown ECN field {text}"))
}

fn parse_flags(text: &str) -> Result<TcpFlags, String> {
    text.chars().filter(|name| *name != '-').try_fold(TcpFlags::empty(), |flags, name| {
        let (_, flag) =
            FLAGS.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("unknown flag {name}"))?;
        Ok(flags | *flag)
    })
}

fn parse_range(text: &str) -> Result<(u32, u32), String> {
    let (start, rest) = text.split_once(':').ok_or("a range is start:end(len)")?;
    let (end, len) = rest.split_once('(').ok_or("a range is start:end(len)")?;
    let (start, end, len) = (number(start)?, number(end)?, number(len.trim_end_matches(')'))?);
    if start.wrapping_add(len) == end {
        Ok((start, len))
    } else {
        Err(format!("{text}: the numbers disagree"))
    }
}

fn parse_options(text: &str) -> Result<TcpOptions, String> {
    let mut options = TcpOptions::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let words: Vec<&str> = part.split_whitespace().collect();
        match words.as_slice() {
            ["mss", mss] => options.mss = Some(number(mss)? as u16),
            ["wscale", shift] => options.window_scale = Some(number(shift)? as u8),
            ["sackOK"] => options.sack_permitted = true,
            ["ts", val, ecr] => {
                options.timestamps = Some(Timestamps { val: number(val)?, ecr: number(ecr)? })
            }
            ["sack", blocks @ ..] => options.sack = parse_blocks(blocks)?,
            ["cookie"] => options.fast_open = Some(FastOpenCookie::REQUEST),
            ["cookie", digits] => options.fast_open = Some(parse_cookie(digits)?),
            _ => return Err(format!("unknown option {part}")),
        }
    }
    Ok(options)
}

fn parse_cookie(digits: &str) -> Result<FastOpenCookie, String> {
    let octet = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let octets: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(octet).collect();
    let cookie = octets.and_then(|octets| FastOpenCookie::new(&octets));
    cookie.ok_or_else(|| format!("not a cookie: {digits}"))
}

fn parse_blocks(words: &[&str]) -> Result<SackBlocks, String> {
    let mut blocks = SackBlocks::default();
    for word in words {
        let (left, right) = word.split_once(':').ok_or("a block is left:right")?;
        blocks.push(SackBlock { left: SeqNum(number(left)?), right: SeqNum(number(right)?) });
    }
    Ok(blocks)
}
