//! Text that was written in more pieces than one transmission carries.

use super::*;
use crate::testing::Fate;

/// In `count` pieces of `size` octets; whatever there is to say is said in the same turn.
fn write_pieces(script: &mut Script, size: u32, count: u32, and: impl FnOnce(&mut crate::Connection)) {
    script.command(|connection, _| {
        for index in 0..count {
            connection.write(pattern(1 + index * size, 1 + (index + 1) * size)).unwrap();
        }
        and(connection);
    });
}

/// Length and FIN of each segment that left, whose octets are those of the stream.
fn sent(script: &mut Script) -> Vec<(u32, bool)> {
    let segments: Vec<_> = std::iter::from_fn(|| script.next_sent()).map(|(_, segment)| segment).collect();
    let mut next = 1;
    let mut seen = Vec::new();
    for segment in segments {
        let line = script.line(&segment);
        assert_eq!(line.seq, next, "{line}");
        assert_eq!(segment.payload, pattern(next, next + line.len), "{line}");
        next += line.len;
        seen.push((line.len, segment.header.flags.contains(netstack_wire::tcp::TcpFlags::FIN)));
    }
    seen
}

/// Whole segments leave as long as there are enough octets, and the FIN behind the last of them.
// req: SHLD-28, S-CLOSE-1
#[test]
fn many_pieces_leave_in_whole_segments_and_the_fin_behind_them() {
    let mut script = Script::established_plain(&config());
    write_pieces(&mut script, 100, 100, crate::Connection::shutdown_write);
    let mut expected = vec![(M, false); 6];
    expected.push((10_000 - 6 * M, true));
    assert_eq!(sent(&mut script), expected);
}

/// Where a transmission of the most pieces is shorter than a segment it leaves all the same.
// req: MUST-60, S-CLOSE-1
#[test]
fn tiny_pieces_leave_in_short_segments_and_the_fin_behind_them() {
    let mut script = Script::established_plain(config().nodelay(true));
    let most = crate::MAX_SLICES as u32;
    write_pieces(&mut script, 1, most + 30, crate::Connection::shutdown_write);
    assert_eq!(sent(&mut script), [(most, false), (30, true)]);
}

/// What is lost of them leaves again: all of it, the FIN too.
// req: S-TMO-2
#[test]
fn tiny_pieces_that_are_lost_leave_again() {
    let mut pair = Pair::established(config().nodelay(true));
    let mut lost = 0;
    pair.script(move |flight| {
        let first = flight.from == Side::A && lost < 10;
        lost += u32::from(first);
        if first { Fate::Drop } else { Fate::Deliver }
    });
    pair.command(Side::A, |connection, _| {
        for index in 0..3_000 {
            connection.write(pattern(1 + 7 * index, 8 + 7 * index)).unwrap();
        }
        connection.shutdown_write();
    });
    finish(&mut pair, 21_000, Duration::from_secs(10));
    pair.run_for(Duration::from_secs(1));
    assert!(pair.connection(Side::B).peer_closed());
}

/// A probe that has to be shorter, because its text lies in too many pieces, is none: that it arrives does not raise the
/// estimate.
// req: R4821-2, R4821-3
#[test]
fn a_probe_that_falls_short_proves_nothing() {
    let mut pair = sending(&config(), 50_000);
    pair.narrow(1300, Some(1300));
    pair.run_for(Duration::from_secs(601));
    pair.narrow(1300, None);
    for size in [10, 20] {
        for _ in 0..20 {
            pair.command(Side::A, |connection, _| {
                for _ in 0..2_000 {
                    connection.write(vec![7; size].into()).unwrap();
                }
            });
            pair.run_for(Duration::from_secs(1));
            let info = pair.connection(Side::A).info();
            assert_eq!((info.path_mtu, info.unsent, info.stats.timeouts), (1300, 0, 0), "pieces of {size}");
        }
    }
    assert!(packets(&pair, 0).iter().skip(100).all(|size| *size <= 1300));
}
