//! Peers that complete the handshake, and then try to make the stack hold memory or do work for them.

use std::time::Duration;

use netstack_wire::tcp::TcpFlags;
use tokio_netstack::{State, TcpConfig};

use crate::scene::{ACK, BUDGET, FIN, MSS, SECOND, Scene, TICK, attack, attack_with};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Answers each segment of the stack for `time`, as `answer` has it, of peers that may take what it brings.
async fn answer(scene: &mut Scene, time: Duration, takes: bool, mut answer: impl FnMut(&mut Scene, usize)) {
    let end = tokio::time::Instant::now() + time;
    while let Some(left) =
        end.checked_duration_since(tokio::time::Instant::now()).filter(|left| !left.is_zero())
    {
        let Some((foe, seen)) = scene.hear(left).await else { return };
        let next = seen.header.seq + seen.header.seg_len(seen.payload.len());
        if takes && next.after(scene.foes[foe].ack) {
            scene.foes[foe].ack = next;
        }
        answer(scene, foe);
    }
}

/// Every peer closes its window, and the application writes what there is room for.
async fn write_to_closed_windows(scene: &mut Scene) {
    for foe in 0..scene.foes.len() {
        scene.foes[foe].window = 0;
        scene.say(foe, ACK, b"");
    }
    scene.settle().await;
    scene.write_all_there_is_room_for();
}

/// Peers that close their window for good, and answer each probe: they are kept, and cost a probe a minute.
// req: MUST-37, MUST-36, SHLD-29
#[test]
fn zero_window_holders() {
    const COUNT: u16 = 64;
    let figures = attack(COUNT, async |scene| {
        write_to_closed_windows(scene).await;
        answer(scene, HOUR, false, |scene, foe| scene.say(foe, ACK, b"")).await;
        assert_eq!(
            scene.stack.connection_count(),
            usize::from(COUNT),
            "a live peer may keep its window closed"
        );
    });
    let each = figures.sent / u64::from(COUNT);
    assert!(each < 80, "{each} segments in an hour, for each");
}

/// Peers that read one octet at a time, and say so each time: silly windows are not filled (RFC 9293 3.8.6.2).
// req: MUST-38
#[test]
fn one_byte_readers() {
    const COUNT: u16 = 64;
    let figures = attack(COUNT, async |scene| {
        write_to_closed_windows(scene).await;
        answer(scene, 10 * MINUTE, true, |scene, foe| {
            // 128 octets of room, by the scale of the window.
            scene.foes[foe].window = 1;
            scene.say(foe, ACK, b"");
        })
        .await;
    });
    assert!(figures.sent <= figures.received + 20 * u64::from(COUNT), "no more than an answer to each");
    let each = figures.sent / u64::from(COUNT);
    assert!(each < 5_000, "{each} segments in ten minutes, for each: no more than the override timer allows");
}

/// One octet of each large frame is news; in order and out of order, with nobody reading. The frames are not kept.
// req: SHLD-31
#[test]
fn octets_that_pin_frames() {
    let figures = attack_with(16, TcpConfig::new(), 65_535, async |scene| {
        let frame = vec![9; 60_000];
        for n in 0..400_u32 {
            for foe in 0..scene.foes.len() {
                // In order: all of it is known, but for one octet.
                scene.say_at(foe, n + 1 - (n + 1).min(59_999), &frame[..((n + 1).min(59_999)) as usize]);
                // Out of order, each with a gap before it and one octet more.
                scene.say_at(foe, 2_000, &frame[..(n + 1) as usize * 50]);
            }
            scene.settle().await;
        }
    });
    assert!(figures.memory.bytes_max < BUDGET as u64, "{}", figures.memory.bytes_max);
}

/// Out of order, an octet at a time with a gap behind each: as dear as reassembly can be made.
// req: SHLD-31
#[test]
fn octets_with_gaps() {
    attack(250, async |scene| {
        for n in 1..2_000_u32 {
            for foe in 0..scene.foes.len() {
                scene.say_at(foe, 4 * n, b"x");
                if foe % 128 == 127 {
                    scene.settle().await;
                }
            }
            scene.settle().await;
        }
        println!(
            "{} bytes accounted for, {:?}",
            scene.stack.buffered(),
            scene.stack.counters().budget_out_of_order
        );
    });
}

/// In order, an octet at a time, with nobody reading.
#[test]
fn octets_in_order() {
    attack(32, async |scene| {
        for n in 0..15_000_u32 {
            for foe in 0..scene.foes.len() {
                scene.say(foe, ACK, b"x");
            }
            if n % 4 == 0 {
                scene.settle().await;
            }
        }
        scene.settle().await;
    });
}

/// Peers that fill each window that they were given, in order and out of order, with nobody reading.
#[test]
fn windows_filled_and_never_read() {
    attack(200, async |scene| {
        let text = vec![5; MSS];
        // Out of order first, then in order what was promised room for.
        for start in [1, 0] {
            for n in 0..50_u32 {
                for foe in 0..scene.foes.len() {
                    if n == 49 || start == 1 || n < 45 {
                        scene.say_at(foe, (n + start) * MSS as u32, &text);
                    }
                    if foe % 64 == 0 {
                        scene.settle().await;
                    }
                }
                scene.settle().await;
            }
        }
        let counters = scene.stack.counters();
        println!(
            "{} bytes accounted for; pressure {}, out of order {}, dropped {}",
            scene.stack.buffered(),
            counters.budget_pressure,
            counters.budget_out_of_order,
            counters.drop_budget
        );
    });
}

/// Numbers that look random, the same on each run.
fn random(seed: &mut u64) -> u32 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as u32
}

/// Blocks that cover octets here and there, that contradict each other, that cover nothing that was sent.
// req: R2018-9
#[test]
fn selective_acknowledgments_at_random() {
    let figures = attack(16, async |scene| {
        scene.write_all_there_is_room_for();
        scene.settle().await;
        let mut seed = 7;
        for round in 0..5_000_u32 {
            for foe in 0..scene.foes.len() {
                let mut block = || {
                    let left = random(&mut seed) % if round % 3 == 0 { 1 << 31 } else { 40_000 };
                    (left, left + 1 + random(&mut seed) % 3_000)
                };
                let blocks = [block(), block(), block(), block()];
                scene.sack(foe, &blocks);
            }
            if round % 8 == 0 {
                scene.settle().await;
            }
        }
        for foe in &mut scene.foes {
            let info = foe.stream().info().await.unwrap();
            assert_eq!(info.state, State::Established);
        }
    });
    assert!(figures.sent < 2 * figures.received, "at most two segments for each ACK");
}

/// ACKs of what has not been sent buy nothing, and are answered within the limit of challenge ACKs (RFC 5961 5).
// req: R5961-5, R5961-6, S-ACK-6
#[test]
fn acknowledgments_of_what_was_not_sent() {
    const COUNT: u16 = 16;
    let figures = attack(COUNT, async |scene| {
        for foe in &mut scene.foes {
            while foe.stream().try_write(&[7; 8192]).is_ok() {}
        }
        let mut flight = [0; COUNT as usize];
        while let Some((foe, seen)) = scene.hear(TICK).await {
            flight[foe] += seen.payload.len();
        }
        assert!(flight.iter().all(|&octets| octets == 10 * MSS), "an initial window each: {flight:?}");
        let before = scene.stack.counters().tx_segments;
        for n in 0..1_000 {
            for foe in 0..scene.foes.len() {
                let mut header = scene.header(foe, ACK);
                header.ack += 10 * MSS as u32 + 1 + n;
                scene.raw.send_header(&header, b"");
            }
            if n % 8 == 0 {
                while let Some((_, seen)) = scene.hear(TICK).await {
                    assert!(seen.payload.is_empty() || seen.payload.len() <= MSS);
                }
            }
        }
        scene.settle().await;
        let sent = scene.stack.counters().tx_segments - before;
        // Ten challenges in five seconds, and what a timer sends again.
        assert!(sent <= u64::from(COUNT) * (10 + 4), "{sent} segments");
    });
    assert!(figures.memory.bytes_max < 2 * BUDGET as u64);
}

/// One ACK for each few octets of a segment opens the window no faster than one for the segment (RFC 3465).
// req: R5681-3
#[test]
fn split_acknowledgments() {
    let mut windows = Vec::new();
    for pieces in [1_u32, 2, 20, 146] {
        attack(1, async |scene| {
            scene.write_all_there_is_room_for();
            let mut heard = Vec::new();
            for _round in 0..2 {
                while let Some((_, seen)) = scene.hear(TICK).await {
                    heard.push(seen);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                for seen in std::mem::take(&mut heard) {
                    let piece = seen.payload.len() as u32 / pieces;
                    for n in 1..=pieces {
                        let all = seen.payload.len() as u32;
                        scene.foes[0].ack = seen.header.seq + if n == pieces { all } else { n * piece };
                        scene.say(0, ACK, b"");
                        if n % 100 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    scene.foes[0].ack = seen.header.seq + seen.payload.len() as u32;
                    tokio::task::yield_now().await;
                }
            }
            windows.push(scene.foes[0].stream().info().await.unwrap().cwnd);
        });
    }
    let honest = windows[0];
    assert!(windows.iter().all(|&cwnd| cwnd <= honest + honest / 10), "{windows:?}");
}

/// Peers that acknowledge our FIN and never send theirs, that never acknowledge it, that keep their window closed before it:
/// once the application is gone each is given up, within a minute, or the five of the user timeout.
// req: S-ACK-8, MUST-21
#[test]
fn peers_that_never_close() {
    let ends = async |scene: &mut Scene, limit: Duration| {
        let start = tokio::time::Instant::now();
        while scene.stack.connection_count() > 0 {
            scene.pass(SECOND).await;
            assert!(start.elapsed() < limit, "{} after {limit:?}", scene.stack.connection_count());
        }
        start.elapsed()
    };
    // FIN-WAIT-2.
    attack(50, async |scene| {
        scene.foes.iter_mut().for_each(|foe| foe.stream = None);
        answer(scene, SECOND, true, |scene, foe| scene.say(foe, ACK, b"")).await;
        assert!(scene.stack.connections().iter().all(|entry| entry.state() == State::FinWait2));
        ends(scene, 61 * SECOND).await;
    });
    // FIN-WAIT-1, and LAST-ACK.
    for fin in [false, true] {
        attack(50, async |scene| {
            for foe in 0..scene.foes.len() {
                if fin {
                    scene.say(foe, ACK | FIN, b"");
                }
            }
            scene.settle().await;
            scene.foes.iter_mut().for_each(|foe| foe.stream = None);
            scene.settle().await;
            let state = if fin { State::LastAck } else { State::FinWait1 };
            assert!(scene.stack.connections().iter().all(|entry| entry.state() == state));
            ends(scene, 330 * SECOND).await;
        });
    }
    // FIN-WAIT-1 with data that finds no room, and a peer that answers each probe.
    attack(50, async |scene| {
        write_to_closed_windows(scene).await;
        scene.foes.iter_mut().for_each(|foe| foe.stream = None);
        let start = tokio::time::Instant::now();
        while scene.stack.connection_count() > 0 {
            answer(scene, 5 * SECOND, false, |scene, foe| scene.say(foe, ACK, b"")).await;
            assert!(start.elapsed() < 400 * SECOND, "{}", scene.stack.connection_count());
        }
    });
}

/// Peers that take an octet a minute of what a dropped stream left for them, and so make progress: while there is room they are
/// served; when the budget runs short they have had five minutes.
#[test]
fn slow_takers_of_what_is_left() {
    async fn take_an_octet_a_minute(scene: &mut Scene, minutes: u32) {
        for _ in 0..minutes {
            answer(scene, MINUTE, true, |_, _| {}).await;
            for foe in 0..scene.foes.len() {
                scene.say(foe, ACK, b"");
            }
        }
    }
    for (count, pressed) in [(2, false), (250, true)] {
        attack(count, async |scene| {
            write_to_closed_windows(scene).await;
            scene.settle().await;
            assert_eq!(scene.stack.counters().budget_pressure > 0, pressed, "{}", scene.stack.buffered());
            scene.foes.iter_mut().for_each(|foe| foe.stream = None);
            take_an_octet_a_minute(scene, 4).await;
            let held = (scene.stack.connection_count(), scene.stack.counters().budget_orphans);
            assert_eq!(held, (usize::from(count), 0), "within five minutes all are served");
            take_an_octet_a_minute(scene, 8).await;
            let reset = scene.stack.counters().budget_orphans as usize;
            assert_eq!(scene.stack.connection_count() + reset, usize::from(count));
            assert_eq!(reset > 0, pressed);
            assert!(scene.stack.buffered() <= BUDGET / 2, "{} bytes are still held", scene.stack.buffered());
            assert!(scene.stack.connection_count() > 0, "with room again those that are left are served on");
        });
    }
}

/// Large frames, as a device with offload delivers them, in order and out of order, with nobody reading.
#[test]
fn large_frames_never_read() {
    for len in [8_000, 33_000, 60_000] {
        attack_with(100, TcpConfig::new(), 65_535, async |scene| {
            let frame = vec![9; len];
            for gap in [1, 0] {
                for n in 0..=(70_000 / len as u32) {
                    for foe in 0..scene.foes.len() {
                        scene.say_at(foe, n * len as u32 + gap, &frame);
                        if foe % 16 == 15 {
                            scene.settle().await;
                        }
                    }
                    scene.settle().await;
                }
            }
        });
    }
}

/// An application that never closes keeps CLOSE-WAIT for as long as it likes; that costs a connection and nothing else.
// req: S-FIN-4
#[test]
fn applications_that_never_close() {
    let figures = attack(100, async |scene| {
        for foe in 0..scene.foes.len() {
            scene.say(foe, ACK | FIN, b"");
        }
        scene.pass(24 * HOUR).await;
        assert!(scene.stack.connections().iter().all(|entry| entry.state() == State::CloseWait));
    });
    assert!(figures.sent <= 100 && figures.memory.bytes_max < 256 << 10, "{}", figures.memory.bytes_max);
}

/// Windows that shrink and come back: what was sent before is waited for, nothing is lost, and work stays within answers.
// req: SHLD-14, SHLD-16, SHLD-17
#[test]
fn window_shrinkers() {
    let figures = attack(16, async |scene| {
        scene.write_all_there_is_room_for();
        scene.settle().await;
        let mut seed = 3;
        for round in 0..2_000_u32 {
            for foe in 0..scene.foes.len() {
                scene.foes[foe].window = if round % 2 == 0 { (random(&mut seed) % 64) as u16 } else { 0 };
                scene.say(foe, ACK, b"");
            }
            if round % 10 == 0 {
                scene.settle().await;
            }
        }
        // Then they behave, and all of it arrives.
        for foe in 0..scene.foes.len() {
            scene.foes[foe].window = u16::MAX;
            scene.say(foe, ACK, b"");
        }
        let mut next: Vec<_> = scene.foes.iter().map(|foe| foe.ack).collect();
        let end = tokio::time::Instant::now() + 10 * MINUTE;
        while tokio::time::Instant::now() < end {
            let Some((foe, seen)) = scene.hear(MINUTE).await else { break };
            if seen.header.seq == next[foe] {
                next[foe] += seen.payload.len() as u32;
            }
            scene.foes[foe].ack = next[foe];
            scene.say(foe, ACK, b"");
        }
        for foe in &mut scene.foes {
            let info = foe.stream().info().await.unwrap();
            assert_eq!((info.unsent, info.in_flight), (0, 0), "all that was written has arrived");
        }
    });
    assert!(figures.sent < 2 * figures.received, "at most two segments for each ACK");
}

/// The peer takes the smallest segments that there are: records of what is in flight stay within bounds.
// req: R2018-9
#[test]
fn narrow_segments_with_every_other_one_reported() {
    let mut tcp = TcpConfig::new();
    tcp.mss(88);
    attack_with(4, tcp, 1500, async |scene| {
        scene.write_all_there_is_room_for();
        for _ in 0..60 {
            scene.write_all_there_is_room_for();
            let mut last = Vec::new();
            while let Some((foe, seen)) = scene.hear(TICK).await {
                let at = seen.header.seq.distance_from(scene.foes[foe].ack);
                last.push((foe, at, seen.payload.len() as u32));
            }
            // Every other segment is reported, the first never.
            for (n, (foe, at, len)) in last.into_iter().enumerate() {
                if n % 2 == 1 && at > 0 {
                    scene.sack(foe, &[(at, at + len)]);
                }
                if n % 128 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    });
}

/// A reset or FIN in the midst of all that leaves nothing behind.
#[test]
fn all_of_it_at_once_and_then_gone() {
    attack(120, async |scene| {
        let text = vec![1; MSS];
        let mut seed = 99;
        scene.write_all_there_is_room_for();
        for round in 0..400 {
            for foe in 0..scene.foes.len() {
                let kind = random(&mut seed) % 8;
                scene.foes[foe].window = (random(&mut seed) % 3) as u16 * 40;
                match kind {
                    0 => scene.say(foe, ACK, b""),
                    1 => scene.say_at(foe, random(&mut seed) % 60_000, &text),
                    2 => scene.say(foe, ACK, &text),
                    3 => scene.say_at(foe, 2 + random(&mut seed) % 60_000, b"x"),
                    4 => {
                        let at = random(&mut seed) % 14_600;
                        scene.sack(foe, &[(at, at + 1460), (at + 3000, at + 3001)]);
                    }
                    5 => scene.foes[foe].ack += random(&mut seed) % 2_000,
                    6 if round > 300 && foe % 7 == 0 => scene.say(foe, ACK | FIN, b""),
                    _ => scene.say(foe, TcpFlags::ACK | TcpFlags::URG, b"!"),
                }
            }
            scene.settle().await;
        }
        for foe in (0..scene.foes.len()).step_by(3) {
            scene.say(foe, TcpFlags::RST, b"");
        }
        scene.settle().await;
    });
}
