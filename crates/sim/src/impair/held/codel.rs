//! Controlled delay (RFC 8289): drops when packets have waited too long for too long, by their own time in the queue.

use std::collections::VecDeque;

use super::{Cause, Dropped, Item};

#[derive(Clone, Debug)]
pub(super) struct Codel {
    target: u64,
    interval: u64,
    ecn: bool,
    /// When the wait will have been above target for an interval; `None` while it is below.
    first_above: Option<u64>,
    dropping: bool,
    drop_next: u64,
    /// Drops in the present spell of dropping, and in the last when it ended.
    count: u32,
    last_count: u32,
    /// The longest packet seen: as little in the queue never counts as too much.
    max_packet: usize,
}

impl Codel {
    pub(super) fn new(target: u64, interval: u64, ecn: bool) -> Self {
        Self {
            target,
            interval,
            ecn,
            first_above: None,
            dropping: false,
            drop_next: 0,
            count: 0,
            last_count: 0,
            max_packet: 0,
        }
    }

    /// The next packet to leave at `now`, of those that wait, `bytes` in all (RFC 8289 5.5).
    pub(super) fn pop(
        &mut self,
        now: u64,
        items: &mut VecDeque<Item>,
        mut bytes: usize,
        dropped: &mut Dropped,
    ) -> Option<Item> {
        let (mut item, mut may_drop) = self.take(now, items, &mut bytes)?;
        if self.dropping {
            if !may_drop {
                self.dropping = false;
            }
            while self.dropping && now >= self.drop_next {
                self.count += 1;
                if self.marks(&mut item) {
                    self.drop_next = self.control_law(self.drop_next);
                    return Some(item);
                }
                dropped.push((item, Cause::Early));
                let Some(next) = self.take(now, items, &mut bytes) else {
                    self.dropping = false;
                    return None;
                };
                (item, may_drop) = next;
                if may_drop {
                    self.drop_next = self.control_law(self.drop_next);
                } else {
                    self.dropping = false;
                }
            }
        } else if may_drop {
            let marked = self.marks(&mut item);
            self.begin(now);
            if !marked {
                dropped.push((item, Cause::Early));
                (item, _) = self.take(now, items, &mut bytes)?;
            }
        }
        Some(item)
    }

    /// Begins to drop: at the rate at which the last spell ended, if that was not long ago.
    fn begin(&mut self, now: u64) {
        self.dropping = true;
        let delta = self.count.saturating_sub(self.last_count);
        let recent = now.saturating_sub(self.drop_next) < self.interval.saturating_mul(16);
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.drop_next = self.control_law(now);
        self.last_count = self.count;
    }

    /// Takes the next packet, and tells whether it may be dropped.
    fn take(&mut self, now: u64, items: &mut VecDeque<Item>, bytes: &mut usize) -> Option<(Item, bool)> {
        let Some(item) = items.pop_front() else {
            self.first_above = None;
            return None;
        };
        *bytes -= item.len;
        self.max_packet = self.max_packet.max(item.len);
        if now.saturating_sub(item.came) < self.target || *bytes <= self.max_packet {
            self.first_above = None;
            return Some((item, false));
        }
        let above = *self.first_above.get_or_insert_with(|| now.saturating_add(self.interval));
        Some((item, now >= above))
    }

    fn marks(&self, item: &mut Item) -> bool {
        let marks = self.ecn && item.can_mark;
        item.marked |= marks;
        marks
    }

    /// The next drop comes sooner with the square root of their number.
    fn control_law(&self, at: u64) -> u64 {
        at.saturating_add((self.interval as f64 / f64::from(self.count).sqrt()) as u64)
    }
}
