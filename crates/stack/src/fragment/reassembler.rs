//! Reassembly of fragments (RFC 791 3.2, RFC 8200 4.5) in bounded memory (RFC 8900 3.7).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use netstack_tcp::Instant;
use netstack_wire::ip::{self, Fragment, IpPacket};
use netstack_wire::{Protocol, icmp};

use super::pieces::{Pieces, Placed};

#[cfg(test)]
mod tests;

/// How long a set waits for the rest of its datagram, from its first fragment on (R791-3, R8200-21).
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// What a set costs beside its pieces: itself, its places in three tables, and their spare room.
pub(super) const SET: usize = 512;

/// Octets of the shortest TCP header.
const TCP_HEADER: usize = 20;

/// How much memory sets may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) total: usize,
    /// For each IPv4 address, and for each IPv6 prefix of 64 bits.
    pub(crate) per_source: usize,
}

impl Limits {
    /// 4 MiB in all, a quarter of it for one source.
    pub(crate) const DEFAULT: Self = Self { total: 4 << 20, per_source: 1 << 20 };
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It waits for others.
    Held,
    /// The packet that it made whole.
    Whole(Bytes),
    /// The same octets are there already.
    Duplicate,
    /// It overlapped with others, or contradicted them: they are all discarded (R5722-1, R791-5).
    Overlap,
    /// It belongs to a datagram that was discarded.
    Late,
    /// A first fragment of TCP that hides a part of its header, or one that could overwrite it (R8900-2).
    Tiny,
    /// A fragment without data that is not the last, or the last one of a datagram that is longer than a packet can be.
    Impossible,
    /// It made a datagram whole in which congestion marks and pieces that cannot carry them were mixed (R3168-11).
    MixedEcn,
    /// There is no room for it.
    NoRoom,
}

/// A set whose time is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// Where the first of its fragments came from.
    pub(crate) interface: usize,
    /// The start of the first fragment, if that has come.
    pub(crate) first: Option<Vec<u8>>,
}

/// What names a datagram (R791-2, R8200-20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    /// Of IPv4 alone.
    protocol: Option<Protocol>,
}

#[derive(Debug)]
struct Set {
    /// Its number, in order of arrival.
    number: u64,
    expires: Instant,
    interface: usize,
    cost: usize,
    /// `None` once discarded: what comes later is dropped as well.
    pieces: Option<Pieces>,
}

/// The sets of one source.
#[derive(Debug, Default)]
struct Source {
    cost: usize,
    numbers: BTreeSet<u64>,
}

/// All sets of a stack. Past a limit the oldest leave; each step takes time in the logarithm of their number.
#[derive(Debug)]
pub(crate) struct Reassembler {
    limits: Limits,
    sets: HashMap<Name, Set>,
    /// Names by number: since all sets live equally long, in the order in which they expire.
    order: BTreeMap<u64, Name>,
    sources: HashMap<IpAddr, Source>,
    cost: usize,
    next_number: u64,
    /// The latest time that was told: queues may be a little apart.
    now: Instant,
    evicted: usize,
}

impl Reassembler {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sets: HashMap::new(),
            order: BTreeMap::new(),
            sources: HashMap::new(),
            cost: 0,
            next_number: 0,
            now: Instant::ZERO,
            evicted: 0,
        }
    }

    /// When the oldest set expires.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (_, name) = self.order.first_key_value()?;
        Some(self.sets[name].expires)
    }

    /// Takes out a set that has expired, oldest first. Those discarded go unseen.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Expired> {
        while self.deadline()? <= now {
            let (_, &name) = self.order.first_key_value()?;
            let set = self.remove(&name)?;
            if let Some(pieces) = set.pieces {
                let Name { src, dst, .. } = name;
                let first = pieces.first_fragment(icmp::v6::MAX_QUOTE);
                return Some(Expired { src, dst, interface: set.interface, first });
            }
        }
        None
    }

    /// Sets that had to leave before their time, since the last call.
    pub(crate) fn take_evicted(&mut self) -> usize {
        std::mem::take(&mut self.evicted)
    }

    /// Discards the datagram that an impossible IPv4 fragment belongs to (R791-4).
    pub(crate) fn discard_v4(&mut self, src: IpAddr, dst: IpAddr, protocol: Protocol, id: u16) {
        let name = Name { src, dst, id: u32::from(id), protocol: Some(protocol) };
        self.discard(&name);
    }

    /// Takes a fragment: `packet` as parsed from `data`, whose addresses were found good.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        interface: usize,
        packet: &IpPacket<'_>,
        at: Fragment,
        data: &[u8],
    ) -> Outcome {
        self.now = self.now.max(now);
        if packet.payload.is_empty() && at.more {
            return Outcome::Impossible;
        }
        let hides_header = at.offset == 0 && packet.payload.len() < TCP_HEADER;
        if packet.protocol == Protocol::TCP && (at.offset == 8 || hides_header) {
            return Outcome::Tiny;
        }
        let name = Name {
            src: packet.src,
            dst: packet.dst,
            id: at.id,
            protocol: packet.src.is_ipv4().then_some(packet.protocol),
        };
        if !self.sets.contains_key(&name) {
            self.insert(name, interface);
        }
        let Some(Set { pieces, .. }) = self.sets.get_mut(&name) else { return Outcome::NoRoom };
        let Some(pieces) = pieces else { return Outcome::Late };
        let header = data.get(..packet.header_len).unwrap_or_default();
        match pieces.place(at, packet.ecn, header, packet.payload) {
            Placed::Duplicate => Outcome::Duplicate,
            Placed::Conflict => {
                self.discard(&name);
                Outcome::Overlap
            }
            Placed::Held(_) if pieces.is_whole() => {
                let set = self.remove(&name).and_then(|set| set.pieces);
                set.map_or(Outcome::NoRoom, |pieces| whole(&pieces))
            }
            Placed::Held(cost) => {
                self.charge(&name, cost);
                if self.sets.contains_key(&name) { Outcome::Held } else { Outcome::NoRoom }
            }
        }
    }

    fn insert(&mut self, name: Name, interface: usize) {
        let number = self.next_number;
        self.next_number += 1;
        let expires = self.now + TIMEOUT;
        let set = Set { number, expires, interface, cost: 0, pieces: Some(Pieces::default()) };
        self.sets.insert(name, set);
        self.order.insert(number, name);
        self.sources.entry(source_of(name.src)).or_default().numbers.insert(number);
        self.charge(&name, SET);
    }

    /// Charges a set with `cost` more, and makes room for it.
    fn charge(&mut self, name: &Name, cost: usize) {
        let Some(set) = self.sets.get_mut(name) else { return };
        set.cost += cost;
        self.cost += cost;
        let source = source_of(name.src);
        if let Some(source) = self.sources.get_mut(&source) {
            source.cost += cost;
        }
        while let Some(of_source) = self.sources.get(&source)
            && of_source.cost > self.limits.per_source
            && let Some(oldest) = of_source.numbers.first().copied()
        {
            self.evict(oldest);
        }
        while self.cost > self.limits.total
            && let Some((&oldest, _)) = self.order.first_key_value()
        {
            self.evict(oldest);
        }
    }

    fn evict(&mut self, number: u64) {
        if let Some(name) = self.order.get(&number).copied() {
            self.remove(&name);
            self.evicted += 1;
        }
    }

    /// Frees the pieces of a set, and remembers it until its time is over.
    fn discard(&mut self, name: &Name) {
        let Some(set) = self.sets.get_mut(name) else { return };
        set.pieces = None;
        let freed = set.cost - SET;
        set.cost = SET;
        self.refund(name.src, freed);
    }

    fn remove(&mut self, name: &Name) -> Option<Set> {
        let set = self.sets.remove(name)?;
        self.order.remove(&set.number);
        self.refund(name.src, set.cost);
        let source = source_of(name.src);
        if let Some(of_source) = self.sources.get_mut(&source) {
            of_source.numbers.remove(&set.number);
            if of_source.numbers.is_empty() {
                self.sources.remove(&source);
            }
        }
        if self.sets.is_empty() {
            // Tables do not shrink by themselves.
            (self.sets, self.sources) = (HashMap::new(), HashMap::new());
        }
        Some(set)
    }

    fn refund(&mut self, src: IpAddr, cost: usize) {
        self.cost -= cost;
        if let Some(source) = self.sources.get_mut(&source_of(src)) {
            source.cost -= cost;
        }
    }
}

/// The packet that `pieces` are, with the header of the first fragment.
fn whole(pieces: &Pieces) -> Outcome {
    let Some(header) = pieces.header() else { return Outcome::Impossible };
    let mut packet = Vec::with_capacity(header.len() + pieces.received());
    packet.extend_from_slice(header);
    let Some(ecn) = pieces.ecn(ip::ecn_of(header)) else { return Outcome::MixedEcn };
    let Some(header_len) = ip::unite(&mut packet, pieces.received(), ecn) else { return Outcome::Impossible };
    packet.truncate(header_len);
    pieces.gather(&mut packet);
    Outcome::Whole(packet.into())
}

/// Who is charged: a host of IPv6 has all addresses of a prefix of 64 bits for itself.
fn source_of(src: IpAddr) -> IpAddr {
    match src {
        IpAddr::V4(_) => src,
        IpAddr::V6(src) => Ipv6Addr::from_bits(src.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
