//! Deficit round robin (Shreedhar and Varghese 1995).

use std::collections::{BTreeMap, VecDeque};

use super::Item;

#[derive(Clone, Debug)]
pub(super) struct Fair {
    quantum: usize,
    /// The flows that wait, by the number that tells them apart.
    flows: BTreeMap<u64, Flow>,
    /// In the order of their turns.
    turns: VecDeque<u64>,
}

#[derive(Clone, Debug, Default)]
struct Flow {
    items: VecDeque<Item>,
    bytes: usize,
    /// Bytes that it may still send in its turn.
    deficit: usize,
}

impl Fair {
    pub(super) fn new(quantum: usize) -> Self {
        Self { quantum, flows: BTreeMap::new(), turns: VecDeque::new() }
    }

    pub(super) fn push(&mut self, item: Item) {
        let flow = self.flows.entry(item.flow).or_default();
        if flow.items.is_empty() {
            flow.deficit = self.quantum;
            self.turns.push_back(item.flow);
        }
        flow.bytes += item.len;
        flow.items.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        loop {
            let turn = *self.turns.front()?;
            let flow = self.flows.get_mut(&turn)?;
            let len = flow.items.front()?.len;
            if flow.deficit < len {
                flow.deficit += self.quantum;
                self.turns.rotate_left(1);
                continue;
            }
            flow.deficit -= len;
            flow.bytes -= len;
            let item = flow.items.pop_front();
            if flow.items.is_empty() {
                self.turns.pop_front();
                self.flows.remove(&turn);
            }
            return item;
        }
    }

    /// Takes the last packet of the flow that has most bytes waiting.
    pub(super) fn drop_longest(&mut self) -> Option<Item> {
        let (&name, flow) = self.flows.iter_mut().max_by_key(|(_, flow)| flow.bytes)?;
        let item = flow.items.pop_back()?;
        flow.bytes -= item.len;
        if flow.items.is_empty() {
            self.flows.remove(&name);
            self.turns.retain(|&turn| turn != name);
        }
        Some(item)
    }
}
