//! Round trips, as they can be seen from outside.

use std::collections::VecDeque;

use super::Seg;

/// Each side's round trips of data that was sent once: until the ACK that covers it was there, a delayed ACK included.
pub(super) fn round_trips(segments: &[Seg]) -> [Vec<(u64, u64)>; 2] {
    let mut events: Vec<(u64, bool, &Seg)> = Vec::new();
    for segment in segments {
        if segment.len > 0 {
            events.push((segment.t, false, segment));
        }
        if segment.ack.is_some() && !segment.is_lost() {
            events.push((segment.arrives.unwrap_or(segment.t), true, segment));
        }
    }
    events.sort_by_key(|&(t, ..)| t);
    let mut timed: [VecDeque<(i64, i64, u64)>; 2] = Default::default();
    let mut trips: [Vec<(u64, u64)>; 2] = Default::default();
    for (t, is_ack, segment) in events {
        if !is_ack {
            let timed = &mut timed[segment.from];
            if segment.retransmission {
                // Karn: nothing that was sent twice is timed.
                timed.retain(|&(seq, end, _)| end <= segment.seq || seq >= segment.end());
            } else {
                timed.push_back((segment.seq, segment.end(), t));
            }
            continue;
        }
        let side = 1 - segment.from;
        let mut newest = None;
        while let Some(&(_, end, sent)) = timed[side].front()
            && segment.ack.is_some_and(|ack| ack >= end)
        {
            newest = Some(sent);
            timed[side].pop_front();
        }
        trips[side].extend(newest.map(|sent| (t, t - sent)));
    }
    trips
}
