use super::*;

const SIZE: usize = 65_536;

/// Reads `len` bytes of `fill`, behind two of a header.
fn read(buffers: &mut Buffers, len: usize, fill: u8) -> Bytes {
    buffers.read_buf()[2..2 + len].fill(fill);
    buffers.take(2, 2 + len)
}

#[test]
fn frames_keep_their_bytes_while_others_are_read() {
    let mut buffers = Buffers::new(SIZE);
    let lens = [1, 52, 1500, GATHER_UP_TO, GATHER_UP_TO + 1, SIZE / 2 - 2, SIZE / 2 - 1, SIZE - 2];
    for round in 0..5 {
        let mut held = Vec::new();
        for i in 0..200 {
            let (len, fill) = (lens[(i + round) % lens.len()], i as u8);
            held.push((read(&mut buffers, len, fill), len, fill));
            assert_eq!(buffers.read_buf().len(), SIZE, "no read is cut short");
        }
        for (frame, len, fill) in held {
            assert!(frame.len() == len && frame.iter().all(|&byte| byte == fill));
        }
    }
}

#[test]
fn a_reader_that_keeps_up_costs_no_allocation() {
    let mut buffers = Buffers::new(SIZE);
    for len in [1500, 60_000] {
        let mut places = std::collections::HashSet::new();
        for _ in 0..500 {
            let frame = read(&mut buffers, len, 7);
            // Where the memory begins that it lies in.
            places.insert(frame.as_ptr() as usize / BLOCK / 4);
        }
        assert!(places.len() <= 4, "frames of {len} bytes lay in {} places", places.len());
    }
}

#[test]
fn a_small_frame_holds_a_block_and_not_the_read_buffer() {
    let mut buffers = Buffers::new(SIZE);
    let place = buffers.read_buf().as_ptr();
    let kept = read(&mut buffers, 100, 1);
    assert_eq!(buffers.read_buf().as_ptr(), place);
    assert!(kept.try_into_mut().is_err_and(|kept| kept.len() == 100), "it shares its block with the next");
}

#[test]
fn what_is_lent_is_bounded() {
    let mut buffers = Buffers::new(SIZE);
    let held: Vec<_> = (0..3 * LENT).map(|i| read(&mut buffers, SIZE - 2, i as u8)).collect();
    assert_eq!(buffers.lent.len(), LENT);
    drop(held);
    for _ in 0..3 * LENT {
        drop(read(&mut buffers, SIZE - 2, 0));
    }
    assert!(buffers.lent.len() <= LENT);
}

/// A connection whose application does not read keeps frames for good; others must not pay for it.
#[test]
fn frames_that_are_never_read_do_not_keep_others_from_their_buffers() {
    let mut buffers = Buffers::new(SIZE);
    let stalled: Vec<_> = (0..LENT).map(|i| read(&mut buffers, SIZE - 2, i as u8)).collect();
    assert_eq!(buffers.lent.len(), LENT);
    let mut fresh = 0;
    for round in 0..1000 {
        let known: std::collections::HashSet<_> = buffers.lent.iter().map(|lent| lent.as_ptr()).collect();
        drop(read(&mut buffers, SIZE - 2, 0));
        if round >= 600 {
            fresh += usize::from(!known.contains(&buffers.read_buf().as_ptr()));
        }
    }
    assert!(fresh < 200, "{fresh} of 400 buffers were new");
    assert!(stalled.iter().enumerate().all(|(i, frame)| frame.iter().all(|&byte| byte == i as u8)));
}
