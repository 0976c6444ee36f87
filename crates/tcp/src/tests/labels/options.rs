//! MSS, and options where they are not expected (RFC 9293 3.1, 3.2, 3.7.1).

use netstack_wire::tcp::{TcpFlags, TcpHeader};

use super::{config, ms, secs, sent_lengths};
use crate::connection::Opening;
use crate::segment::Segment;
use crate::testing::{Pair, Script, Side, pattern};
use crate::tuple::FourTuple;

fn opening(mtu: u16) -> Opening {
    Opening { tuple: Script::tuple(), iss: Script::ISS, ts_offset: 0, mtu }
}

fn opening_v6(mtu: u16) -> Opening {
    let tuple = FourTuple::new("[2001:db8::2]:7".parse().unwrap(), "[2001:db8::1]:50000".parse().unwrap());
    Opening { tuple, ..opening(mtu) }
}

#[test]
fn a_syn_announces_what_the_device_takes_whatever_the_options() {
    // req: MUST-14, MUST-67, SHLD-5, R8200-9
    for (opening, mss) in
        [(opening(1500), 1460), (opening(9000), 8960), (opening_v6(1500), 1440), (opening_v6(1280), 1220)]
    {
        for options in [true, false] {
            let mut config = config();
            config.timestamps(options).sack(options);
            let syn = Script::connect_with(&config, opening).expect("S 0:0(0)");
            assert_eq!(syn.header.options.mss, Some(mss), "MTU {}", opening.mtu);
            assert_eq!(syn.header.options.timestamps.is_some(), options);
        }
    }
    let syn_ack = Script::listen(&config(), "S 0:0(0) <mss 536,ts 1 0>").expect("S. 0:0(0) ack 1");
    assert_eq!(syn_ack.header.options.mss, Some(1460));
}

#[test]
fn the_default_mss_is_announced_too() {
    // req: MAY-3
    let syn = Script::connect_with(&config(), opening(576)).expect("S 0:0(0)");
    assert_eq!(syn.header.options.mss, Some(536));
}

#[test]
fn without_an_mss_option_the_peer_gets_the_default() {
    // req: MUST-15
    for (opening, mss) in [(opening(1500), 536), (opening_v6(1500), 1220)] {
        let mut script = Script::connect_with(&config(), opening);
        script.auto_timestamps = false;
        script.inject("S. 0:0(0) ack 1");
        script.forget_sent();
        script.write(3 * mss);
        assert_eq!(sent_lengths(&mut script), vec![mss as usize; 3]);
    }
}

#[test]
fn a_segment_takes_the_lesser_of_peer_and_path_less_its_options() {
    // req: MUST-14, MUST-16
    for (mtu, syn, payload) in [
        (1500, "S. 0:0(0) ack 1 <mss 1460>", 1460),
        (1500, "S. 0:0(0) ack 1 <mss 1460,ts 1 1>", 1448),
        (1400, "S. 0:0(0) ack 1 <mss 1460,ts 1 1>", 1348),
        (1400, "S. 0:0(0) ack 1 <mss 9000>", 1360),
        (9000, "S. 0:0(0) ack 1 <mss 1000,ts 1 1>", 988),
    ] {
        let mut script = Script::connect_with(&config(), opening(mtu));
        script.auto_timestamps = false;
        script.inject(syn);
        script.forget_sent();
        script.write(3 * payload);
        assert_eq!(sent_lengths(&mut script), vec![payload as usize; 3], "MTU {mtu}, {syn}");
        assert_eq!(script.connection.effective_mss(), payload as usize);
    }
}

#[test]
fn sack_blocks_take_their_room_from_the_text_beside_them() {
    // req: MUST-16
    let mut script = Script::established(&config());
    script.inject(". 1001:2001(1000) ack 1");
    script.expect(". 1:1(0) ack 1");
    script.write(3000);
    let segment = script.next_sent().unwrap().1;
    assert!(!segment.header.options.sack.is_empty(), "text carries the blocks");
    assert!(segment.payload.len() + segment.header.header_len() + 20 <= 1500);
}

#[test]
fn an_mss_is_on_a_syn_and_nowhere_else() {
    // req: MUST-65
    let mut pair = Pair::new(config(), config(), ms(10));
    pair.write(Side::A, &[1; 100_000]);
    pair.run_for(secs(2));
    pair.command(Side::A, |connection, _| connection.shutdown_write());
    pair.run_for(secs(1));
    pair.command(Side::B, |connection, _| connection.shutdown_write());
    pair.run_for(secs(1));
    assert_eq!(pair.received(Side::B).len(), 100_000);
    for flight in &pair.log {
        let header = &flight.segment.header;
        assert_eq!(header.options.mss.is_some(), header.flags.contains(TcpFlags::SYN), "{header:?}");
    }
}

#[test]
fn an_mss_off_a_syn_is_without_effect() {
    // req: MUST-65
    let mut script = Script::established_plain(&config());
    script.inject(". 1:1(0) ack 1 <mss 600>");
    script.write(2920);
    assert_eq!(sent_lengths(&mut script), [1460, 1460]);
}

#[test]
fn text_under_unknown_and_misplaced_options_is_taken() {
    // req: MUST-5
    let mut script = Script::established_plain(&config());
    let plain = TcpHeader {
        src_port: 50_000,
        dst_port: 7,
        seq: Script::IRS + 1,
        ack: Script::ISS + 1,
        flags: TcpFlags::ACK,
        window: 1000,
        urgent: 0,
        options: Default::default(),
    };
    let mut octets = [0u8; 36];
    plain.emit(&mut octets);
    // NOP, an unknown kind, MSS, NOP, window scale, end: 16 octets in front of the text.
    octets[20..].copy_from_slice(&[1, 253, 6, 9, 9, 9, 9, 2, 4, 2, 0, 1, 3, 3, 9, 0]);
    octets[12] = (36 / 4) << 4;
    let (header, len) = TcpHeader::parse(&octets).unwrap();
    assert_eq!(len, 36);
    let payload = pattern(1, 101);
    script.inject_segment(Segment { header, payload, ecn: netstack_wire::Ecn::NotEct, gso_size: 0 });
    assert_eq!(script.octets_read(), 100);
    script.expect(". 1:1(0) ack 101");
    let info = script.connection.info();
    assert_eq!((info.mss, info.snd_wscale, info.snd_wnd), (1460, 0, 1000), "nothing was negotiated anew");
}

#[test]
fn a_tiny_peer_mss_still_makes_progress() {
    // req: MUST-16
    for mss in [0, 1, 47] {
        let mut script = Script::listen(&config(), &format!("S 0:0(0) <mss {mss},ts 1 0>"));
        script.inject(". 1:1(0) ack 1");
        script.forget_sent();
        script.write(200);
        let lengths = sent_lengths(&mut script);
        assert_eq!(lengths.iter().sum::<usize>(), 200);
        assert!(lengths.iter().all(|len| *len > 0), "{lengths:?}");
    }
}

#[test]
fn windows_are_unsigned_and_wide() {
    // req: MUST-1, REC-1
    let mut script = Script::established_plain(&config());
    script.write(200_000);
    for end in (1460..90_000).step_by(1460) {
        script.inject(&format!(". 1:1(0) ack {} win 65535", end + 1));
    }
    let info = script.connection.info();
    assert!(info.cwnd > 65_535, "the window, not cwnd, bounds: {info:?}");
    assert!(info.in_flight > 64_000 && info.in_flight <= 65_535, "{info:?}");

    let mut script = Script::listen(&config(), "S 0:0(0) <mss 1460,wscale 14>");
    script.inject(". 1:1(0) ack 1 win 65535");
    assert_eq!(script.connection.info().snd_wnd, 65_535 << 14);
    script.inject(". 1:1(0) ack 1 win 32768");
    assert_eq!(script.connection.info().snd_wnd, 1 << 29);
}

#[test]
fn a_segment_of_the_stack_parses_by_kind_and_length() {
    // req: MUST-68
    let mut pair = Pair::new(config(), config(), ms(10));
    // Losses, so that SACK blocks are among the options.
    pair.script(|flight| {
        if flight.index % 7 == 3 { crate::testing::Fate::Drop } else { crate::testing::Fate::Deliver }
    });
    pair.write(Side::A, &[1; 100_000]);
    pair.run_for(secs(20));
    let mut kinds = std::collections::BTreeSet::new();
    for flight in &pair.log {
        let mut octets = vec![0xaa; flight.segment.header.header_len()];
        let len = flight.segment.header.emit(&mut octets);
        assert_eq!(len, octets.len());
        let mut rest = &octets[20..];
        while let Some((&kind, tail)) = rest.split_first() {
            kinds.insert(kind);
            rest = match kind {
                0 => {
                    assert!(tail.iter().all(|octet| *octet == 0), "MUST-69");
                    break;
                }
                1 => tail,
                _ => &rest[usize::from(tail[0])..],
            };
        }
    }
    assert!(kinds.is_superset(&[1, 2, 3, 4, 5, 8].into()), "{kinds:?}");
}
