//! The log as a capture, and captures as logs.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use pcap_file::{DataLink, PcapError, TsResolution};

use super::json::ReadError;
use super::link_layer::{header_len, is_known};
use super::{LinkName, Log, Packet, PacketFate, Record};

const LOST: &str = "lost on the wire";
const QUEUE_FULL: &str = "dropped: the queue is full";

impl Log {
    /// Writes the packets as pcapng, an interface for each link: each packet when it was given to the link, those that were
    /// lost there with a comment that says so. Raw IP, nanoseconds, the start of the run at the epoch.
    ///
    /// Only a log that was recorded, or read from a capture, has the packets themselves; of one that was read from JSON lines
    /// nothing is written but the interfaces.
    ///
    /// # Errors
    ///
    /// What `writer` reports.
    pub fn write_pcapng(&self, writer: impl Write) -> std::io::Result<()> {
        self.put_pcapng(writer).map_err(|error| match error {
            PcapError::IoError(error) => error,
            other => std::io::Error::other(other),
        })
    }

    fn put_pcapng(&self, writer: impl Write) -> Result<(), PcapError> {
        let mut file = PcapNgWriter::new(writer)?;
        for link in &self.header.links {
            file.write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::RAW,
                snaplen: 0,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(&link.name)),
                    // Nanoseconds.
                    InterfaceDescriptionOption::IfTsResol(9),
                ],
            })?;
        }
        for packet in self.packets().filter(|packet| !packet.data.is_empty()) {
            let fate = match packet.fate {
                PacketFate::Lost => Some(LOST),
                PacketFate::QueueFull => Some(QUEUE_FULL),
                PacketFate::Delivered { .. } | PacketFate::Seen => None,
            };
            let comments = [fate, packet.note.as_deref()].into_iter().flatten();
            file.write_pcapng_block(EnhancedPacketBlock {
                interface_id: packet.link as u32,
                timestamp: Duration::from_nanos(packet.t),
                original_len: packet.size as u32,
                data: Cow::Borrowed(&packet.data),
                options: comments.map(|text| EnhancedPacketOption::Comment(Cow::Borrowed(text))).collect(),
            })?;
        }
        file.get_mut().flush().map_err(PcapError::IoError)
    }

    /// Reads a capture of anyone's, pcapng or pcap: a log of packets. Times count from the first packet. What is no IP packet is
    /// left out.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what `reader` reports, a damaged file, or one without a link whose packets can be read.
    pub fn read_capture(mut reader: impl Read) -> Result<Self, ReadError> {
        let mut octets = Vec::new();
        reader.read_to_end(&mut octets)?;
        let mut log = match octets.first_chunk::<4>() {
            Some([0x0a, 0x0d, 0x0d, 0x0a]) => read_pcapng(&octets)?,
            Some([0xa1, 0xb2, ..] | [0xd4, 0xc3, ..] | [0x4d, 0x3c, ..]) => read_pcap(&octets)?,
            Some([0x1f, 0x8b, ..]) => {
                return Err(ReadError::Capture(
                    "the file is compressed; unpack it with gunzip first".to_owned(),
                ));
            }
            _ => {
                return Err(ReadError::Capture(
                    "this is neither a pcapng nor a pcap file; write one with tcpdump -w or Wireshark"
                        .to_owned(),
                ));
            }
        };
        let start = log.packets().map(|packet| packet.t).min().unwrap_or(0);
        for packet in log.packets_mut() {
            packet.t -= start;
        }
        Ok(log)
    }
}

/// What is wrong with a capture whose packets up to there are in `log`.
fn damaged(error: &PcapError, log: &Log) -> ReadError {
    let whole = log.packets().count();
    ReadError::Capture(match error {
        // It is read from memory: nothing fails there but the end.
        PcapError::IoError(_) | PcapError::IncompleteBuffer => format!(
            "the capture was cut off: after {whole} packets it ends in the middle of one; stop the program that captures \
             before its file is copied, or take what is whole with editcap (of Wireshark): editcap CUT WHOLE"
        ),
        other => format!("the capture is damaged behind {whole} packets: {other}"),
    })
}

fn unknown_links(seen: &[String]) -> ReadError {
    ReadError::Capture(format!(
        "the capture has no link whose packets can be read: {}; Ethernet, Linux cooked and raw IP can",
        seen.join(", ")
    ))
}

/// An interface: its kind of link, and nanoseconds for a unit of its clock as a fraction.
struct Interface {
    link: DataLink,
    nanos: (u64, u64),
}

impl Interface {
    fn new(block: &InterfaceDescriptionBlock<'_>) -> Self {
        let resolution = block.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
            _ => None,
        });
        let nanos = match resolution.unwrap_or(6) {
            power @ 0..=9 => (10_u64.pow(9 - u32::from(power)), 1),
            power @ 10..=18 => (1, 10_u64.pow(u32::from(power) - 9)),
            // Powers of two: a fraction that begins with a full second.
            power => (1_000_000_000, 1_u64.checked_shl(u32::from(power & 0x7f)).unwrap_or(u64::MAX)),
        };
        Self { link: block.linktype, nanos }
    }

    /// The time of a packet; the library hands out units of the interface's clock as if they were nanoseconds.
    fn nanos_of(&self, units: Duration) -> u64 {
        let nanos = units.as_nanos() * u128::from(self.nanos.0) / u128::from(self.nanos.1);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

fn read_pcapng(octets: &[u8]) -> Result<Log, ReadError> {
    let mut log = Log::default();
    let mut reader = PcapNgReader::new(octets).map_err(|error| damaged(&error, &log))?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut kinds = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.map_err(|error| damaged(&error, &log))? {
            Block::InterfaceDescription(block) => {
                let name = block.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                let name = name.unwrap_or_else(|| format!("interface {}", interfaces.len()));
                log.header.links.push(LinkName { name });
                kinds.push(format!("{:?}", block.linktype));
                interfaces.push(Interface::new(&block));
            }
            Block::EnhancedPacket(block) => {
                let Some(interface) = interfaces.get(block.interface_id as usize) else { continue };
                let comments: Vec<&str> = block
                    .options
                    .iter()
                    .filter_map(|option| match option {
                        EnhancedPacketOption::Comment(text) => Some(text.as_ref()),
                        _ => None,
                    })
                    .collect();
                let t = interface.nanos_of(block.timestamp);
                let link = (block.interface_id as usize, interface.link);
                push(&mut log, t, link, &block.data, block.original_len as usize, &comments);
            }
            _ => {}
        }
    }
    if !interfaces.iter().any(|interface| is_known(interface.link)) {
        return Err(unknown_links(&kinds));
    }
    Ok(log)
}

fn read_pcap(octets: &[u8]) -> Result<Log, ReadError> {
    let mut log = Log::default();
    let mut reader = PcapReader::new(octets).map_err(|error| damaged(&error, &log))?;
    let (link, resolution) = (reader.header().datalink, reader.header().ts_resolution);
    if !is_known(link) {
        return Err(unknown_links(&[format!("{link:?}")]));
    }
    log.header.links.push(LinkName { name: "capture".to_owned() });
    // Raw: of packets that are longer than what is kept of each (`tcpdump -s`) the library makes an error else.
    while let Some(packet) = reader.next_raw_packet() {
        let packet = packet.map_err(|error| damaged(&error, &log))?;
        let unit = match resolution {
            TsResolution::MicroSecond => 1_000,
            TsResolution::NanoSecond => 1,
        };
        let t = u64::from(packet.ts_sec) * 1_000_000_000 + u64::from(packet.ts_frac) * unit;
        push(&mut log, t, (0, link), &packet.data, packet.orig_len as usize, &[]);
    }
    Ok(log)
}

fn push(
    log: &mut Log,
    t: u64,
    (link, kind): (usize, DataLink),
    frame: &[u8],
    size: usize,
    comments: &[&str],
) {
    let Some(skip) = header_len(kind, frame) else { return };
    let fate = match comments.first() {
        Some(&LOST) => PacketFate::Lost,
        Some(&QUEUE_FULL) => PacketFate::QueueFull,
        _ => PacketFate::Seen,
    };
    let data = Bytes::copy_from_slice(&frame[skip..]);
    if let Some(mut packet) = Packet::parse(t, link, data, size.saturating_sub(skip), fate) {
        let note = comments.iter().find(|text| ![LOST, QUEUE_FULL].contains(text));
        packet.note = note.map(|&text| text.to_owned());
        log.records.push(Record::Packet(packet));
    }
}
