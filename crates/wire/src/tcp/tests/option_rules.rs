//! The rules of option parsing and layout.

use proptest::prelude::*;

use super::strategies::options;
use super::*;

fn with_mss(mss: u16) -> TcpOptions {
    TcpOptions { mss: Some(mss), ..TcpOptions::default() }
}

// req: MUST-4, MUST-14
#[test]
fn end_nop_and_mss_are_understood_in_any_order() {
    for space in [
        &[2, 4, 5, 0xb4][..],
        &[1, 2, 4, 5, 0xb4, 1, 1, 0],
        &[2, 4, 5, 0xb4, 0, 0, 0, 0],
        &[1, 1, 1, 1, 2, 4, 5, 0xb4],
        &[1, 1, 1, 2, 4, 5, 0xb4, 0],
    ] {
        assert_eq!(TcpOptions::parse(space), Ok(with_mss(1_460)), "{space:?}");
    }
    assert_eq!(TcpOptions::parse(&[1, 1, 1, 1]), Ok(TcpOptions::default()));
}

// req: MUST-6, MUST-68
#[test]
fn unknown_kinds_are_stepped_over_by_their_length() {
    let space = [253, 6, 2, 4, 0, 0, 2, 4, 5, 0xb4, 254, 2];
    assert_eq!(TcpOptions::parse(&space), Ok(with_mss(1_460)));
}

// req: MUST-7
#[test]
fn impossible_lengths_are_refused() {
    for space in [
        &[2, 0, 5, 0xb4][..],
        &[2, 1, 5, 0xb4],
        &[2, 40, 5, 0xb4],
        &[1, 1, 1, 2],
        &[253, 5, 0, 0],
        &[1, 253, 0, 2],
    ] {
        assert_eq!(TcpOptions::parse(space), Err(ParseError::BadOption), "{space:?}");
    }
}

// req: MUST-7
// And R5482-1, as far as parsing goes.
#[test]
fn a_known_kind_of_another_length_is_ignored() {
    for space in [
        &[2, 3, 5, 1][..],
        &[2, 6, 5, 0xb4, 0, 0],
        &[3, 2],
        &[4, 3, 0],
        &[5, 9, 0, 0, 0, 0, 0, 0, 0],
        &[8, 9, 0, 0, 0, 0, 0, 0, 0],
        &[28, 3, 9],
        &[28, 6, 9, 9, 9, 9],
        &[28, 4, 0, 0],
        &[28, 4, 0x80, 0],
        &[34, 3, 9],
        &[34, 5, 9, 9, 9],
        &[34, 7, 9, 9, 9, 9, 9],
    ] {
        assert_eq!(TcpOptions::parse(space), Ok(TcpOptions::default()), "{space:?}");
    }
}

// req: MUST-64
#[test]
fn timestamps_are_read_at_every_offset() {
    let timestamps = Some(Timestamps { val: 0x0102_0304, ecr: 0x0506_0708 });
    for offset in 0..=30 {
        let mut space = vec![1; offset];
        space.extend([8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        let read = TcpOptions::parse(&space).unwrap();
        assert_eq!(read, TcpOptions { timestamps, ..TcpOptions::default() }, "offset {offset}");
    }
}

// req: MUST-69
#[test]
fn nothing_behind_the_end_of_the_list_is_read() {
    assert_eq!(TcpOptions::parse(&[0, 2, 4, 5, 0xb4, 2, 0, 0]), Ok(TcpOptions::default()));
    assert_eq!(TcpOptions::parse(&[2, 4, 5, 0xb4, 0, 2, 4, 1]), Ok(with_mss(1_460)));
}

#[test]
fn the_usual_layouts_have_their_usual_lengths() {
    let timestamps = Some(Timestamps { val: 1, ecr: 2 });
    let data = TcpOptions { timestamps, ..TcpOptions::default() };
    let syn = TcpOptions { mss: Some(1_460), window_scale: Some(7), sack_permitted: true, ..data };
    let mut buf = [0; 40];
    assert_eq!(data.emit(&mut buf), 12);
    assert_eq!(buf[..12], [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!(syn.emit(&mut buf), 20);
    assert_eq!(buf[..20], [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7]);
}

// req: R2018-5
#[test]
fn beside_timestamps_three_sack_blocks_fit() {
    let mut options = TcpOptions::default();
    for edge in 0..4 {
        assert!(options.sack.push(SackBlock { left: SeqNum(edge * 10), right: SeqNum(edge * 10 + 5) }));
    }
    assert!(!options.sack.push(SackBlock::default()), "there is no room for a fifth");
    assert_eq!(options.wire_len(), 36);
    options.timestamps = Some(Timestamps::default());
    assert_eq!(options.wire_len(), 40);
    let mut buf = [0; 40];
    assert_eq!(options.emit(&mut buf), 40);
    let read = TcpOptions::parse(&buf).unwrap();
    assert_eq!(read.sack[..], options.sack[..3], "the first blocks are the ones kept");
}

#[test]
fn what_does_not_fit_is_left_out() {
    let options = TcpOptions {
        mss: Some(1),
        window_scale: Some(2),
        sack_permitted: true,
        timestamps: Some(Timestamps::default()),
        user_timeout: UserTimeout::from_secs(9),
        fast_open: FastOpenCookie::new(&[7; 16]),
        acc_ecn: Some(AccEcn::new(AccEcnOrder::Zero, &[1, 2, 3])),
        ..TcpOptions::default()
    };
    let mut buf = [0; 40];
    let len = options.emit(&mut buf);
    assert_eq!(len, options.wire_len());
    let expected = TcpOptions { user_timeout: None, acc_ecn: None, ..options };
    assert_eq!(TcpOptions::parse(&buf[..len]), Ok(expected));
}

#[test]
fn user_timeouts_turn_to_minutes_where_seconds_end() {
    assert_eq!(UserTimeout::from_secs(0), None);
    assert_eq!(UserTimeout::from_secs(1).unwrap().as_secs(), 1);
    assert_eq!(UserTimeout::from_secs(32_767).unwrap().as_secs(), 32_767);
    assert_eq!(UserTimeout::from_secs(32_768).unwrap().as_secs(), 32_820);
    assert_eq!(UserTimeout::from_secs(u32::MAX).unwrap().as_secs(), 32_767 * 60);
    let read = TcpOptions::parse(&[28, 4, 0x80, 2]).unwrap();
    assert_eq!(read.user_timeout.unwrap().as_secs(), 120);
}

#[test]
fn acc_ecn_counters_follow_the_order_of_their_kind() {
    let fields = [0, 0, 1, 0, 0, 2, 0, 0, 3];
    for (kind, ect0, ect1) in [(172, 1, 3), (174, 3, 1)] {
        let space = [&[kind, 11][..], &fields].concat();
        let counts = TcpOptions::parse(&space).unwrap().acc_ecn.unwrap();
        assert_eq!((counts.ect0(), counts.ce(), counts.ect1()), (Some(ect0), Some(2), Some(ect1)));
    }
    let counts = TcpOptions::parse(&[172, 5, 0, 0, 9]).unwrap().acc_ecn.unwrap();
    assert_eq!((counts.ect0(), counts.ce(), counts.ect1()), (Some(9), None, None));
}

/// Of two SACK options the last counts, and one of another length than that of whole blocks does not count.
#[test]
fn the_last_sack_option_counts() {
    let option = |left: u8, len: u8| [&[5, len, 0, 0, 0, left, 0, 0, 0, 9][..], &[0; 4]].concat();
    let parsed =
        |space: &[u8]| TcpOptions::parse(space).unwrap().sack.iter().map(|b| b.left.0).collect::<Vec<_>>();
    let (first, second) = (option(1, 10), option(2, 10));
    assert_eq!(parsed(&[&first[..10], &second[..10]].concat()), [2]);
    assert_eq!(parsed(&[&first[..10], &option(2, 14)[..]].concat()), [1], "a block and a half");
}

proptest! {
    // req: MUST-64
    #[test]
    fn options_are_read_alike_at_any_alignment(options in options(), nops in 0usize..8) {
        let mut space = vec![1; nops];
        space.resize(nops + options.wire_len(), 0);
        options.emit(&mut space[nops..]);
        prop_assert_eq!(TcpOptions::parse(&space), Ok(options));
    }

    // req: MUST-7
    #[test]
    fn arbitrary_option_space_never_panics(space in proptest::collection::vec(any::<u8>(), 0..=40)) {
        match TcpOptions::parse(&space) {
            Ok(options) => prop_assert!(options.wire_len() <= 40),
            Err(error) => prop_assert_eq!(error, ParseError::BadOption),
        }
    }
}
