//! How much each ACK of a recovery lets leave (RFC 9937 6).

use super::{M, ack, at, full, in_flight, open_window, sack, sacking, text_sent};
use crate::testing::Script;

/// Of a window of twenty and more the last five have arrived, and five of the others were sent again. The next segment's
/// place, and how many left.
fn burst() -> (Script, u32, u32) {
    let mut script = sacking();
    let base = open_window(&mut script, 20);
    script.write(80 * M);
    let count = text_sent(&mut script).len() as u32;
    script.advance_ms(100);
    sack(&mut script, base, &[(base + count - 5, base + count)]);
    assert_eq!(text_sent(&mut script), full(base..base + 5));
    script.advance_ms(100);
    (script, base, count)
}

#[test]
fn an_ack_that_advances_lets_one_more_leave_than_it_delivers() {
    // req: R9937-5
    let (mut script, base, _) = burst();
    ack(&mut script, at(base + 1));
    assert_eq!(text_sent(&mut script), full(base + 5..base + 7));
}

#[test]
fn blocks_let_leave_what_they_deliver() {
    // req: R9937-5
    let (mut script, base, count) = burst();
    sack(&mut script, base, &[(base + 1, base + 2), (base + count - 5, base + count)]);
    assert_eq!(text_sent(&mut script), full(base + 5..base + 6));
}

#[test]
fn an_ack_that_shows_more_losses_lets_leave_what_it_delivers() {
    // req: R9937-5, R8985-20
    let (mut script, base, count) = burst();
    ack(&mut script, at(base + 1));
    assert_eq!(text_sent(&mut script), full(base + 5..base + 7));
    script.advance_ms(100);
    // What was sent again first is lost once more, as what left after it shows.
    let lost = script.connection.info().stats.bytes_lost;
    sack(&mut script, base + 2, &[(base + 5, base + 6), (base + count - 5, base + count)]);
    assert_eq!(script.connection.info().stats.bytes_lost - lost, u64::from(3 * M));
    assert_eq!(text_sent(&mut script), full(base + 2..base + 4));
}

#[test]
fn an_ack_that_delivers_nothing_takes_nothing_back() {
    // req: R9937-5, R9937-7
    let mut script = in_flight(10);
    script.advance_ms(100);
    sack(&mut script, 0, &[(7, 10)]);
    assert_eq!(text_sent(&mut script), full(0..3));
    ack(&mut script, at(1));
    assert_eq!(text_sent(&mut script), full(3..5));
    ack(&mut script, at(2));
    assert_eq!(text_sent(&mut script), full(5..7));
    // One more may leave, but there is none.
    ack(&mut script, at(3));
    sack(&mut script, 3, &[(7, 10)]);
    script.write(5 * M);
    assert_eq!(text_sent(&mut script), full(10..11));
}
