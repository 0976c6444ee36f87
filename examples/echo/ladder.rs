//! A connection drawn as a ladder: time runs down, the client stands left and the server right, each
//! with its state beside the segment. 80 columns wide.

use std::net::SocketAddr;

use netstack_wire::tcp::TcpFlags;

use crate::number::grouped;
use crate::timeline::Row;

/// Columns of a state, the longest of which is SYN-RECEIVED.
const STATE: usize = 12;
/// Columns between the two rails.
const SPAN: usize = 80 - 2 * (STATE + 2);

/// The heading: who stands where.
pub(crate) fn heading(client: &str, server: &str, address: SocketAddr) -> String {
    let right = format!("{server}, {address}");
    format!("{client}{right:>width$}", width = 80 - client.len())
}

/// A rung without a segment, for the states before the first and after the last.
pub(crate) fn idle(client_state: &str, server_state: &str) -> String {
    format!("{client_state:<STATE$} |{:SPAN$}| {server_state:>STATE$}", "")
}

/// The rungs of these segments.
pub(crate) fn rungs(rows: &[Row]) -> Vec<String> {
    rows.iter().map(rung).collect()
}

/// The first segment with data, and then each direction's others on one line.
pub(crate) fn folded(rows: &[Row]) -> Vec<String> {
    let first = rows.iter().position(|row| row.payload_len > 0);
    let mut lines: Vec<String> = first.map(|first| rung(&rows[first])).into_iter().collect();
    for from_client in [true, false] {
        let mut others =
            rows.iter().enumerate().filter(|(i, row)| Some(*i) != first && row.from_client == from_client);
        let (mut data, mut bytes, mut acks, mut last) = (0, 0, 0, None);
        for (_, row) in &mut others {
            data += u64::from(row.payload_len > 0);
            acks += u64::from(row.payload_len == 0);
            bytes += row.payload_len as u64;
            last = Some(row);
        }
        let Some(last) = last else { continue };
        let more =
            if first.is_some_and(|first| rows[first].from_client == from_client) { " more" } else { "" };
        let mut parts = Vec::new();
        if data > 0 {
            parts.push(format!("{data}{more} with {} bytes", grouped(bytes)));
        }
        if acks > 0 {
            parts.push(format!("{acks} without data"));
        }
        lines.push(joined(last, &arrow(&format!("{} ", parts.join(", ")), ' ', from_client)));
    }
    lines
}

fn rung(row: &Row) -> String {
    joined(row, &arrow(&format!("{} ", describe(row)), '-', row.from_client))
}

fn joined(row: &Row, arrow: &str) -> String {
    format!("{:<STATE$} |{arrow}| {:>STATE$}", row.client_state, row.server_state)
}

fn arrow(text: &str, shaft: char, to_the_right: bool) -> String {
    let shaft_len = SPAN.saturating_sub(text.chars().count() + 3);
    let shafts: String = std::iter::repeat_n(shaft, shaft_len).collect();
    if to_the_right { format!("- {text}{shafts}>") } else { format!("<{shafts} {text}-") }
}

fn describe(row: &Row) -> String {
    let flags = row.header.flags;
    let names = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
    ];
    let names: Vec<&str> =
        names.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect();
    let mut text = format!("{} seq {}", names.join(" "), row.seq);
    if flags.contains(TcpFlags::ACK) {
        text += &format!(" ack {}", row.ack);
    }
    if row.payload_len > 0 {
        text += &format!(", {} bytes", grouped(row.payload_len as u64));
    }
    if let Some(mss) = row.header.options.mss {
        text += &format!(", mss {mss}");
    }
    text
}

#[cfg(test)]
mod tests {
    use netstack_wire::SeqNum;
    use netstack_wire::tcp::{TcpHeader, TcpOptions};

    use super::*;

    fn row(from_client: bool, flags: TcpFlags, seq: u32, ack: u32, payload_len: usize) -> Row {
        let header = TcpHeader {
            src_port: 0,
            dst_port: 0,
            seq: SeqNum(0),
            ack: SeqNum(0),
            flags,
            window: 0,
            urgent: 0,
            options: TcpOptions::default(),
        };
        let state = "SYN-RECEIVED".to_owned();
        Row { from_client, header, payload_len, seq, ack, client_state: state.clone(), server_state: state }
    }

    #[test]
    fn every_line_is_80_columns_wide() {
        let rows = [
            row(true, TcpFlags::SYN, 0, 0, 0),
            row(false, TcpFlags::FIN | TcpFlags::PSH | TcpFlags::ACK, 100_000, 100_000, 65_495),
        ];
        for line in rungs(&rows).into_iter().chain([idle("CLOSED", "LISTEN")]) {
            assert_eq!(line.chars().count(), 80, "{line}");
        }
    }

    #[test]
    fn the_middle_of_a_transfer_is_folded() {
        let ack = TcpFlags::ACK;
        let rows: Vec<Row> = (0..5)
            .flat_map(|i| [row(true, ack, 1 + i * 100, 1, 100), row(false, ack, 1, 101 + i * 100, 0)])
            .collect();
        let lines = folded(&rows);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains("ACK seq 1 ack 1, 100 bytes -"), "{}", lines[0]);
        assert!(lines[1].contains("- 4 more with 400 bytes "), "{}", lines[1]);
        assert!(lines[2].contains(" 5 without data -"), "{}", lines[2]);
        assert!(lines.iter().all(|line| line.chars().count() == 80));
    }
}
