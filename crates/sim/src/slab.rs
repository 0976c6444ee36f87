//! Things by number, in slots that are used again.

/// A slab; a steady state allocates nothing.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Puts `item` into a slot and gives its number.
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(item);
            return slot;
        }
        self.slots.push(Some(item));
        u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 packets are under way at once")
    }

    /// Takes out what is in a slot.
    pub(crate) fn take(&mut self, slot: u32) -> Option<T> {
        let item = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(item)
    }
}

#[cfg(test)]
mod tests;
