//! PUSH and the Nagle algorithm (RFC 9293 3.7.4, 3.9.1.2).

use bytes::Bytes;

use super::{config, delaying, sent_lengths};
use crate::connection::{Connection, WriteError};
use crate::testing::Script;

#[test]
fn small_writes_wait_while_a_small_segment_is_unacknowledged() {
    // req: SHLD-7
    let mut script = Script::established(&config());
    for _ in 0..3 {
        script.write(1);
    }
    script.expect("P. 1:2(1) ack 1");
    script.expect_nothing();
    script.inject(". 1:1(0) ack 2");
    script.expect("P. 2:4(2) ack 1");
    script.expect_nothing();
}

#[test]
fn a_full_segment_in_flight_does_not_hold_the_short_one_behind_it() {
    // req: SHLD-7
    // The variant that deployed stacks use: only an unacknowledged short segment holds back the next short one.
    let mut script = Script::established_plain(&config());
    script.write(1460);
    script.expect("P. 1:1461(1460) ack 1");
    script.write(10);
    script.expect("P. 1461:1471(10) ack 1");
    script.write(10);
    script.expect_nothing();
    // What completes a full segment leaves at once.
    script.write(1450);
    script.expect("P. 1471:2931(1460) ack 1");
}

#[test]
fn nodelay_sends_each_write_at_once() {
    // req: MUST-17
    let mut config = config();
    config.nodelay(true);
    let mut script = Script::established(&config);
    for _ in 0..3 {
        script.write(1);
    }
    assert_eq!(sent_lengths(&mut script), [1, 1, 1]);

    // Switched on later, it frees what waits; and off again.
    let mut script = Script::established(&super::config());
    script.write(1);
    script.write(1);
    assert_eq!(sent_lengths(&mut script), [1]);
    script.command(|connection, _| connection.set_nodelay(true));
    assert_eq!(sent_lengths(&mut script), [1]);
    assert!(script.connection.nodelay());
    script.command(|connection, _| connection.set_nodelay(false));
    script.write(1);
    script.expect_nothing();
}

#[test]
fn what_is_written_leaves_without_a_push() {
    // req: MUST-60
    let mut script = Script::established(&config());
    script.write(10);
    script.expect("P. 1:11(10) ack 1");
    script.write(10);
    script.expect_nothing();
    script.inject(". 1:1(0) ack 11");
    script.expect("P. 11:21(10) ack 1");
    // And the last octets before a close do not wait for Nagle.
    script.write(10);
    script.expect_nothing();
    script.shutdown_write();
    script.expect("FP. 21:31(10) ack 1");
}

#[test]
fn push_marks_the_end_of_what_is_queued() {
    // req: MUST-61
    let mut script = Script::established_plain(&config());
    script.write(3 * 1460 + 10);
    script.expect(". 1:1461(1460) ack 1");
    script.expect(". 1461:2921(1460) ack 1");
    script.expect(". 2921:4381(1460) ack 1");
    script.expect("P. 4381:4391(10) ack 1");
    script.expect_nothing();
}

#[test]
fn waiting_writes_merge_into_full_segments() {
    // req: SHLD-27, MAY-16, SHLD-28
    let mut script = Script::established_plain(&config());
    script.write(1);
    script.expect("P. 1:2(1) ack 1");
    script.inject(". 1:1(0) ack 2 win 0");
    for _ in 0..100 {
        script.write(100);
    }
    script.expect_nothing();
    script.inject(". 1:1(0) ack 2 win 65535");
    assert_eq!(sent_lengths(&mut script), [1460, 1460, 1460, 1460, 1460, 1460, 1240]);
}

#[test]
fn a_bulk_transfer_is_of_full_segments() {
    // req: SHLD-28
    let mut script = Script::established(&config());
    // Writes of an odd size: their borders leave no trace on the wire.
    for _ in 0..50 {
        script.write(1000);
    }
    let mut acknowledged = 1;
    let mut lengths = Vec::new();
    while let Some((_, segment)) = script.next_sent() {
        lengths.push(segment.payload.len());
        acknowledged += segment.payload.len() as u32;
        script.inject(&format!(". 1:1(0) ack {acknowledged}"));
    }
    assert_eq!(acknowledged, 50_001);
    let (last, full) = lengths.split_last().unwrap();
    // The first write went out alone, into an idle connection.
    assert_eq!(full[0], 1000);
    assert!(full[1..].iter().all(|len| *len == 1448), "{lengths:?}");
    assert_eq!(*last, 49_000 % 1448);
}

#[test]
fn writing_takes_no_push_argument() {
    // req: MAY-15
    // The interface: octets, and nothing that would alter how they are cut into segments.
    let write: fn(&mut Connection, Bytes) -> Result<(), WriteError> = Connection::write;
    let mut script = Script::established_plain(&config());
    script.command(|connection, _| {
        write(connection, Bytes::from(vec![0; 100])).unwrap();
        write(connection, Bytes::from(vec![0; 100])).unwrap();
    });
    assert_eq!(sent_lengths(&mut script), [200], "writes of one turn are one segment");
}

#[test]
fn data_is_readable_with_and_without_push() {
    // req: MAY-17
    let mut script = Script::established(&delaying());
    script.inject(". 1:101(100) ack 1");
    assert_eq!(script.octets_read(), 100);
    script.inject("P. 101:201(100) ack 1");
    assert_eq!(script.octets_read(), 200);
}

#[test]
fn a_small_limit_on_a_transmission_still_leaves_whole_segments() {
    // req: SHLD-28, MUST-60
    let mut script = Script::established_plain(&config());
    script.connection.write(Bytes::from(vec![0; 3000])).unwrap();
    let now = script.now();
    let mut payload = Vec::new();
    let mut lengths = Vec::new();
    while let Some(transmit) = script.connection.poll_transmit(now, &mut payload, 100) {
        lengths.push(transmit.payload_len);
    }
    assert_eq!(lengths, [1460, 1460, 80], "one by one, and none is held back");
}
