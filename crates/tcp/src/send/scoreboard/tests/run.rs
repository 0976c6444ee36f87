//! A run against the plain list of its segments.

use core::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::run::{RUN_SEGMENTS, Run};
use super::at;
use crate::send::rate::DeliveryRate;

const START: u64 = 1 << 32;

/// The bounds of the text of each segment; behind the last a FIN may follow.
type Segments = Vec<Range<u64>>;

fn new_run(len: u32, fin: bool, mss: u32) -> (Run, Segments) {
    let sent = DeliveryRate::default().on_send(at(0), 0, len);
    let run = Run::new(START, len, fin, mss as u16, at(0), sent);
    let end = START + u64::from(len);
    let mut segments: Segments =
        (START..end).step_by(mss as usize).map(|start| start..(start + u64::from(mss)).min(end)).collect();
    if segments.is_empty() {
        segments.push(START..START);
    }
    (run, segments)
}

/// All that can be asked of a run; `a` and `b` are places in it or beside it.
fn check(run: &Run, segments: &Segments, bits: u64, mss: u32, a: u64, b: u64) {
    let last = segments.len() - 1;
    let end = |index: usize| segments[index].end + u64::from(run.fin && index == last);
    let map = |holds: &dyn Fn(usize) -> bool| {
        (0..segments.len()).filter(|index| holds(*index)).fold(0_u64, |map, index| map + (1 << index))
    };
    assert_eq!(run.count() as usize, segments.len());
    assert_eq!((run.start, run.end), (segments[0].start, end(last)));
    assert_eq!(run.all(), map(&|_| true));
    for (index, segment) in segments.iter().enumerate() {
        assert_eq!(run.bounds(index as u32), segment.start..end(index));
        assert_eq!(u64::from(run.text(index as u32)), segment.end - segment.start);
        assert_eq!(run.index(segment.start) as usize, index);
        assert_eq!(run.index(end(index) - 1) as usize, index);
    }
    let bits = bits & run.all();
    let octets = |bits: u64| -> u64 {
        (0..segments.len())
            .filter(|index| bits >> index & 1 != 0)
            .map(|index| end(index) - segments[index].start)
            .sum()
    };
    for bits in [bits, run.all(), 0, 1, 1 << last, run.all() & !1] {
        assert_eq!(u64::from(run.octets(bits)), octets(bits), "{bits:b}");
    }
    // A report of the text stands for the FIN that came with it.
    let reported = |index: usize, from: u64, to: u64| {
        let text = &segments[index];
        from <= text.start && if text.is_empty() { end(index) <= to } else { text.end <= to }
    };
    assert_eq!(run.within(a, b), map(&|index| reported(index, a, b)), "{a}..{b}");
    assert_eq!(run.below(a), map(&|index| end(index) < a), "below {a}");
    let len = |index: usize| segments[index].end - segments[index].start;
    assert_eq!(run.wider_than(mss), map(&|index| len(index) > u64::from(mss)));
    let longest = (0..segments.len()).map(len).max().unwrap();
    assert!((longest..=u64::from(run.mss())).contains(&u64::from(run.largest())));
}

proptest! {
    /// A run, what remains of it, and a part of that are what the list of their segments is.
    #[test]
    fn a_run_is_the_list_of_its_segments(
        (mss, count) in (1..3_000_u32, 0..=RUN_SEGMENTS),
        (short, fin) in (any::<Index>(), any::<bool>()),
        maps in any::<[u64; 5]>(),
        // A bound of a segment, an octet beside it, or any place.
        places in any::<[(Index, Index, u8); 3]>(),
        (cut, part) in (any::<bool>(), any::<(Index, Index)>()),
        other in 1..3_000_u32,
    ) {
        let len = (count * mss).saturating_sub(short.index(mss as usize) as u32);
        prop_assume!(len > 0 || fin);
        let (mut run, mut segments) = new_run(len, fin, mss);
        let place = |run: &Run, (bound, any, which): (Index, Index, u8)| {
            let bound = run.bounds(bound.index(run.count() as usize) as u32);
            match which % 6 {
                0 => bound.start,
                1 => bound.start + 1,
                2 => bound.end - u64::from(run.fin),
                3 => bound.end - 1,
                4 => bound.end,
                _ => run.start - 1 + any.index((run.end - run.start) as usize + 3) as u64,
            }
        };
        let [a, b, to] = places;
        check(&run, &segments, maps[4], other, place(&run, a), place(&run, b));
        let all = run.all();
        (run.sacked, run.lost) = (maps[0] & all, maps[1] & all);
        (run.resent, run.ever) = (maps[2] & all, maps[3] & all);

        let to = place(&run, to);
        if cut && to >= run.start && to < run.end {
            let gone = run.index(to);
            let kept = [run.sacked, run.lost, run.resent, run.ever].map(|map| map >> gone);
            segments.drain(..gone as usize);
            segments[0].start = to;
            run.drop_front(to);
            prop_assert_eq!([run.sacked, run.lost, run.resent, run.ever], kept);
            check(&run, &segments, maps[4], other, place(&run, a), place(&run, b));
        }

        let (from, to) = (part.0.index(segments.len()), part.1.index(segments.len()));
        let (from, to) = (from.min(to), from.max(to) + 1);
        let part = run.part(from as u32..to as u32);
        prop_assert_eq!(part.fin, fin && to == segments.len());
        let kept = [run.sacked, run.lost, run.resent, run.ever].map(|map| map >> from & part.all());
        prop_assert_eq!([part.sacked, part.lost, part.resent, part.ever], kept);
        check(&part, &segments[from..to].to_vec(), maps[4], other, place(&part, a), place(&part, b));
    }
}
