//! Where the IP packet begins in what a capture kept of a frame.

use pcap_file::DataLink;

const ETHERNET: usize = 14;
const VLAN_TAG: usize = 4;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Octets in front of the IP packet; `None` if the frame carries something else, or the kind of link is not known.
pub(super) fn header_len(link: DataLink, frame: &[u8]) -> Option<usize> {
    let len = match link {
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => 0,
        DataLink::ETHERNET => ethernet(frame)?,
        DataLink::LINUX_SLL => cooked(frame, 14, 16)?,
        DataLink::LINUX_SLL2 => cooked(frame, 0, 20)?,
        // The family is in the byte order of whoever captured; the version below tells it as well.
        DataLink::NULL | DataLink::LOOP => 4,
        // The number that some systems write for RAW.
        DataLink::Unknown(12 | 14) => 0,
        _ => return None,
    };
    matches!(frame.get(len)? >> 4, 4 | 6).then_some(len)
}

/// Whether frames of this kind of link can be read.
pub(super) fn is_known(link: DataLink) -> bool {
    matches!(
        link,
        DataLink::RAW
            | DataLink::IPV4
            | DataLink::IPV6
            | DataLink::ETHERNET
            | DataLink::LINUX_SLL
            | DataLink::LINUX_SLL2
            | DataLink::NULL
            | DataLink::LOOP
            | DataLink::Unknown(12 | 14)
    )
}

fn ethernet(frame: &[u8]) -> Option<usize> {
    let mut len = ETHERNET;
    loop {
        match word(frame, len - 2)? {
            IPV4 | IPV6 => return Some(len),
            // IEEE 802.1Q and 802.1ad.
            0x8100 | 0x88a8 => len += VLAN_TAG,
            _ => return None,
        }
    }
}

fn cooked(frame: &[u8], protocol_at: usize, len: usize) -> Option<usize> {
    matches!(word(frame, protocol_at)?, IPV4 | IPV6).then_some(len)
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    let octets = frame.get(at..at + 2)?;
    Some(u16::from_be_bytes([octets[0], octets[1]]))
}
