use netstack_wire::Ecn;
use netstack_wire::ip::IpHeader;
use proptest::prelude::*;

use super::*;

const NEAR: (&str, &str) = ("192.0.2.1", "2001:db8::1");

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// What a test says about a fragment; the rest is the same for all.
#[derive(Debug, Clone)]
struct Cut {
    src: IpAddr,
    id: u32,
    offset: usize,
    more: bool,
    ecn: Ecn,
    protocol: Protocol,
    data: Vec<u8>,
}

impl Cut {
    fn new(src: &str, id: u32, offset: usize, more: bool, data: &[u8]) -> Self {
        let (ecn, protocol) = (Ecn::NotEct, Protocol::UDP);
        Self { src: ip(src), id, offset, more, ecn, protocol, data: data.to_vec() }
    }

    fn header(&self) -> IpHeader {
        let dst = if self.src.is_ipv4() { NEAR.0 } else { NEAR.1 };
        let mut header = IpHeader::new(self.src, ip(dst), self.protocol, self.data.len());
        header.dont_fragment = false;
        header.ecn = self.ecn;
        header.fragment = Some(Fragment { offset: self.offset as u16, more: self.more, id: self.id });
        header
    }

    fn packet(&self) -> Vec<u8> {
        let header = self.header();
        let mut packet = vec![0; header.header_len()];
        header.emit(&mut packet);
        packet.extend_from_slice(&self.data);
        packet
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.data.len()
    }
}

impl Reassembler {
    fn feed(&mut self, now: Instant, cut: &Cut) -> Outcome {
        let data = cut.packet();
        let packet = ip::parse(&data).unwrap();
        self.handle(now, 0, &packet, packet.fragment.unwrap(), &data)
    }

    /// What must hold at any time.
    fn check(&self) {
        assert!(self.cost <= self.limits.total, "{} of {}", self.cost, self.limits.total);
        assert_eq!(self.sets.len(), self.order.len());
        assert_eq!(self.cost, self.sets.values().map(|set| set.cost).sum::<usize>());
        assert_eq!(self.cost, self.sources.values().map(|source| source.cost).sum::<usize>());
        for source in self.sources.values() {
            assert!(source.cost <= self.limits.per_source && !source.numbers.is_empty());
        }
        for set in self.sets.values() {
            let held = set.pieces.as_ref().map_or(0, Pieces::received);
            assert!(set.cost >= SET + held, "what is held is charged");
        }
    }
}

fn reassembler() -> Reassembler {
    Reassembler::new(Limits::DEFAULT)
}

fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// The datagram of `src` with `data`, cut behind the blocks of 8 octets that `cuts` names.
fn cut_up(src: &str, id: u32, data: &[u8], cuts: &[usize]) -> Vec<Cut> {
    let mut ends: Vec<_> = cuts.iter().map(|&block| block * 8).filter(|&at| at < data.len()).collect();
    ends.retain(|&at| at > 0);
    ends.sort_unstable();
    ends.dedup();
    ends.push(data.len());
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends {
        pieces.push(Cut::new(src, id, start, end < data.len(), &data[start..end]));
        start = end;
    }
    pieces
}

fn assert_whole(outcome: &Outcome, cut: &Cut, data: &[u8]) {
    let Outcome::Whole(packet) = outcome else { panic!("{outcome:?} is not whole") };
    let whole = ip::parse(packet).unwrap();
    let header = cut.header();
    assert_eq!((whole.src, whole.dst, whole.protocol), (header.src, header.dst, header.protocol));
    assert_eq!((whole.fragment, whole.total_len), (None, packet.len()));
    assert_eq!(whole.header_len, if whole.src.is_ipv4() { 20 } else { 40 });
    assert_eq!(whole.payload, data);
}

// req: R791-2, R8200-20
#[test]
fn a_datagram_of_full_length_comes_out_whole() {
    for (src, len) in [("192.0.2.9", 65_515), ("2001:db8::9", 65_535)] {
        let data = octets(len);
        let cuts: Vec<_> = (1..data.len() / 1480).map(|n| n * 185).collect();
        let pieces = cut_up(src, 1, &data, &cuts);
        let mut reassembler = reassembler();
        for piece in pieces[1..].iter().rev() {
            assert_eq!(reassembler.feed(at(0), piece), Outcome::Held);
            reassembler.check();
        }
        assert_whole(&reassembler.feed(at(0), &pieces[0]), &pieces[0], &data);
        assert_eq!((reassembler.cost, reassembler.deadline()), (0, None));
    }
}

/// One octet more than fits a packet together with its header.
// req: R791-4
#[test]
fn a_datagram_longer_than_a_packet_is_discarded() {
    let data = octets(65_516);
    let pieces = cut_up("192.0.2.9", 1, &data, &[4000]);
    let mut reassembler = reassembler();
    assert_eq!(reassembler.feed(at(0), &pieces[0]), Outcome::Held);
    assert_eq!(reassembler.feed(at(0), &pieces[1]), Outcome::Impossible);
    assert_eq!(reassembler.cost, 0);
}

/// Fragments that belong to another datagram by one part of its name do not complete this one.
// req: R791-2, R8200-20
#[test]
fn each_part_of_the_name_tells_datagrams_apart() {
    let first = Cut::new("192.0.2.9", 1, 0, true, &octets(24));
    let last = |src, id, protocol| Cut { protocol, ..Cut::new(src, id, 24, false, b"end") };
    let mut reassembler = reassembler();
    assert_eq!(reassembler.feed(at(0), &first), Outcome::Held);
    for other in [
        last("192.0.2.8", 1, Protocol::UDP),
        last("192.0.2.9", 2, Protocol::UDP),
        last("192.0.2.9", 1, Protocol::ICMP),
    ] {
        assert_eq!(reassembler.feed(at(0), &other), Outcome::Held);
    }
    assert!(matches!(reassembler.feed(at(0), &last("192.0.2.9", 1, Protocol::UDP)), Outcome::Whole(_)));
    // Over IPv6 the next header is that of the first fragment, whatever the others say.
    let first = Cut::new("2001:db8::9", 1, 0, true, &octets(24));
    assert_eq!(reassembler.feed(at(0), &last("2001:db8::9", 1, Protocol(200))), Outcome::Held);
    let data = [&octets(24)[..], b"end"].concat();
    assert_whole(&reassembler.feed(at(0), &first), &first, &data);
}

/// Overlaps of every kind, and pieces that disagree about the end, discard the datagram for good.
// req: R5722-1, R791-5
#[test]
fn any_overlap_discards_the_datagram() {
    let data = octets(64);
    let held = |start: usize, end: usize| Cut::new("192.0.2.9", 1, start, end < 64, &data[start..end]);
    let cases = [
        (held(8, 32), held(0, 16), "over the start"),
        (held(8, 32), held(24, 48), "over the end"),
        (held(8, 32), held(16, 24), "inside"),
        (held(8, 32), held(0, 48), "around"),
        (held(8, 32), held(8, 24), "from the same start, shorter"),
        (held(8, 32), held(8, 40), "from the same start, longer"),
        (held(8, 32), Cut { data: vec![0xee; 24], ..held(8, 32) }, "other octets"),
        (held(8, 32), Cut { more: false, ..held(8, 32) }, "the same, now the last"),
        (held(16, 32), Cut::new("192.0.2.9", 1, 8, false, &data[8..15]), "an end before it"),
        (held(48, 64), Cut::new("192.0.2.9", 1, 64, true, &[1; 8]), "past the end"),
        (held(48, 64), Cut::new("192.0.2.9", 1, 40, false, &data[40..48]), "two ends"),
        (held(48, 64), Cut { more: true, ..held(48, 64) }, "the last, now another"),
        (held(48, 64), Cut::new("192.0.2.9", 1, 56, false, b""), "an end inside"),
    ];
    for (one, other, name) in cases {
        for (one, other) in [(&one, &other), (&other, &one)] {
            let mut reassembler = reassembler();
            assert_eq!(reassembler.feed(at(0), one), Outcome::Held, "{name}");
            assert_eq!(reassembler.feed(at(0), other), Outcome::Overlap, "{name}");
            reassembler.check();
            assert_eq!(reassembler.cost, SET, "only the mark is kept");
            for piece in cut_up("192.0.2.9", 1, &data, &[3]) {
                assert_eq!(reassembler.feed(at(59), &piece), Outcome::Late, "{name}");
            }
            assert_eq!(reassembler.pop_expired(at(60)), None, "nobody is told");
            assert_eq!(reassembler.deadline(), None);
        }
    }
}

/// The time runs from the first fragment, whatever comes later.
// req: R791-3, R8200-21
#[test]
fn a_set_expires_60_seconds_after_its_first_fragment() {
    let mut reassembler = reassembler();
    let data = octets(64);
    let pieces = cut_up("192.0.2.9", 1, &data, &[2, 4, 6]);
    let other = cut_up("2001:db8::9", 2, &data, &[2, 4, 6]);
    assert_eq!(reassembler.feed(at(10), &pieces[0]), Outcome::Held);
    assert_eq!(reassembler.feed(at(11), &other[1]), Outcome::Held);
    assert_eq!(reassembler.feed(at(69), &pieces[3]), Outcome::Held);
    assert_eq!(reassembler.deadline(), Some(at(70)));
    assert_eq!(reassembler.pop_expired(at(69)), None);
    let expired = reassembler.pop_expired(at(70)).unwrap();
    assert_eq!((expired.src, expired.dst), (ip("192.0.2.9"), ip(NEAR.0)));
    assert_eq!(expired.first, Some(pieces[0].packet()), "as it was received");
    assert_eq!(reassembler.pop_expired(at(70)), None);
    assert_eq!(reassembler.pop_expired(at(71)).unwrap().first, None, "the first has not come");
    assert_eq!((reassembler.deadline(), reassembler.cost), (None, 0));
}

// req: R3168-11
#[test]
fn congestion_marks_are_merged() {
    use Ecn::{Ce, Ect0, Ect1, NotEct};
    for (first, second, expected) in [
        (NotEct, NotEct, Some(NotEct)),
        (Ect0, Ect0, Some(Ect0)),
        (Ect1, Ect1, Some(Ect1)),
        (Ect0, Ect1, Some(Ect0)),
        (Ect0, Ce, Some(Ce)),
        (Ce, Ect1, Some(Ce)),
        (Ce, Ce, Some(Ce)),
        (Ect0, NotEct, Some(NotEct)),
        (NotEct, Ect0, Some(NotEct)),
        (NotEct, Ce, None),
        (Ce, NotEct, None),
    ] {
        for src in ["192.0.2.9", "2001:db8::9"] {
            let mut pieces = cut_up(src, 1, &octets(40), &[2]);
            (pieces[0].ecn, pieces[1].ecn) = (first, second);
            let mut reassembler = reassembler();
            reassembler.feed(at(0), &pieces[1]);
            match reassembler.feed(at(0), &pieces[0]) {
                Outcome::Whole(packet) => assert_eq!(Some(ip::parse(&packet).unwrap().ecn), expected),
                outcome => assert_eq!((outcome, None), (Outcome::MixedEcn, expected)),
            }
        }
    }
}

// req: R8900-2
#[test]
fn tcp_headers_are_not_hidden_nor_overwritten() {
    let tcp =
        |offset, len| Cut { protocol: Protocol::TCP, ..Cut::new("192.0.2.9", 1, offset, true, &octets(len)) };
    let mut reassembler = reassembler();
    assert_eq!(reassembler.feed(at(0), &tcp(0, 16)), Outcome::Tiny);
    assert_eq!(reassembler.feed(at(0), &tcp(8, 64)), Outcome::Tiny);
    assert_eq!(reassembler.cost, 0);
    assert_eq!(reassembler.feed(at(0), &tcp(0, 24)), Outcome::Held);
    assert_eq!(reassembler.feed(at(0), &tcp(24, 8)), Outcome::Held);
    assert_eq!(reassembler.feed(at(0), &Cut::new("192.0.2.9", 2, 8, true, &octets(8))), Outcome::Held);
}

/// A source's limit costs that source its oldest datagram, the limit of all the oldest of all.
// req: R8900-1
#[test]
fn the_oldest_leave_first() {
    let limits = Limits { total: 4 * 2048, per_source: 2 * 2048 };
    let mut reassembler = Reassembler::new(limits);
    let piece = |src: &str, id| Cut::new(src, id, 8, true, &[1; 1024]);
    let holds = |reassembler: &Reassembler, src: &str| {
        let of_source = reassembler.order.values().filter(|name| name.src == ip(src));
        of_source.map(|name| name.id).collect::<Vec<_>>()
    };
    reassembler.feed(at(0), &piece("192.0.2.7", 1));
    for id in 1..=5 {
        reassembler.feed(at(0), &piece("192.0.2.8", id));
        reassembler.check();
    }
    assert_eq!(holds(&reassembler, "192.0.2.8"), [4, 5]);
    assert_eq!(holds(&reassembler, "192.0.2.7"), [1], "another source is not touched");
    assert_eq!(reassembler.take_evicted(), 3);
    // Addresses of one IPv6 network count as one source.
    for id in 1..=5 {
        reassembler.feed(at(1), &piece(&format!("2001:db8::{id}"), id));
        reassembler.check();
    }
    assert_eq!(holds(&reassembler, "192.0.2.7"), [0; 0], "the oldest of all has left");
    assert_eq!(reassembler.sources[&ip("2001:db8::")].numbers.len(), 2);
    let mut none = Reassembler::new(Limits { total: 0, per_source: 0 });
    assert_eq!(none.feed(at(0), &piece("192.0.2.7", 1)), Outcome::NoRoom);
    none.check();
}

/// The same rules, in the slowest and simplest way.
#[derive(Default)]
struct Model {
    pieces: Vec<Cut>,
    dead: bool,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Held,
    Duplicate,
    Overlap,
    Late,
    Whole(Vec<u8>),
}

impl Model {
    fn feed(&mut self, cut: &Cut) -> Expected {
        if self.dead {
            return Expected::Late;
        }
        for held in &self.pieces {
            if held.range() == cut.range() && held.data == cut.data && held.more == cut.more {
                return Expected::Duplicate;
            }
        }
        let clash = |held: &Cut| {
            let (a, b) = (held.range(), cut.range());
            let overlap = a.start < b.end && b.start < a.end;
            let two_ends = !held.more && !cut.more;
            let past = !held.more && b.end > a.end || !cut.more && a.end > b.end;
            overlap || two_ends || past
        };
        if self.pieces.iter().any(clash) {
            self.dead = true;
            return Expected::Overlap;
        }
        self.pieces.push(cut.clone());
        let Some(end) = self.pieces.iter().find(|held| !held.more).map(|held| held.range().end) else {
            return Expected::Held;
        };
        let mut whole = vec![None; end];
        for held in &self.pieces {
            for (place, octet) in whole[held.range()].iter_mut().zip(&held.data) {
                *place = Some(*octet);
            }
        }
        match whole.into_iter().collect() {
            Some(whole) => {
                self.pieces.clear();
                Expected::Whole(whole)
            }
            None => Expected::Held,
        }
    }
}

fn seen(outcome: Outcome) -> Expected {
    match outcome {
        Outcome::Held => Expected::Held,
        Outcome::Duplicate => Expected::Duplicate,
        Outcome::Overlap => Expected::Overlap,
        Outcome::Late => Expected::Late,
        Outcome::Whole(packet) => Expected::Whole(ip::parse(&packet).unwrap().payload.to_vec()),
        outcome => panic!("{outcome:?}"),
    }
}

fn source() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("192.0.2.9"), Just("2001:db8::9")]
}

proptest! {
    /// Cut in any way, in any order, with duplicates: every datagram comes out as it was, and not before its last piece.
    // req: R791-2, R8200-20
    #[test]
    fn whole_or_not_at_all(
        src in source(),
        len in 9usize..4000,
        cuts in proptest::collection::vec(1usize..500, 1..40),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let data = octets(len);
        let pieces = cut_up(src, 1, &data, &cuts);
        prop_assume!(pieces.len() > 1);
        let mut reassembler = reassembler();
        let mut missing: std::collections::HashSet<_> = (0..pieces.len()).collect();
        // At random, and in the end what that left out.
        let random = order.iter().map(|index| index.index(pieces.len()));
        for n in random.chain((0..pieces.len()).rev()).collect::<Vec<_>>() {
            let news = missing.remove(&n);
            let outcome = reassembler.feed(at(0), &pieces[n]);
            reassembler.check();
            if missing.is_empty() {
                assert_whole(&outcome, &pieces[0], &data);
                return Ok(());
            }
            prop_assert_eq!(outcome, if news { Outcome::Held } else { Outcome::Duplicate });
        }
        prop_assert!(false, "all pieces were fed and nothing came out");
    }

    /// Two datagrams of one name, cut differently, mixed and cut short: what comes out is what the plain rules say, so that
    /// octets of both are never put together where they overlap.
    // req: R5722-1, R791-5
    #[test]
    fn overlaps_never_yield_mixed_data(
        src in source(),
        lens in (9usize..200, 9usize..200),
        cuts in (proptest::collection::vec(1usize..25, 0..6), proptest::collection::vec(1usize..25, 0..6)),
        same_octets in any::<bool>(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 1..30),
    ) {
        let (one, mut other) = (octets(lens.0), octets(lens.1));
        if !same_octets {
            other.iter_mut().for_each(|octet| *octet = !*octet);
        }
        let mut pieces = cut_up(src, 1, &one, &cuts.0);
        pieces.extend(cut_up(src, 1, &other, &cuts.1));
        // An uncut datagram is no fragment, and never comes here.
        pieces.retain(|piece| piece.more || piece.offset > 0);
        prop_assume!(!pieces.is_empty());
        let (mut reassembler, mut model) = (reassembler(), Model::default());
        for index in order {
            let piece = index.get(&pieces);
            prop_assert_eq!(seen(reassembler.feed(at(0), piece)), model.feed(piece));
            reassembler.check();
        }
    }

    /// No flood of fragments takes more than the limits, whatever they look like.
    // req: R8900-1
    #[test]
    fn memory_is_bounded(
        limits in (0usize..20_000, 0usize..10_000),
        flood in proptest::collection::vec(
            (0u8..6, 0u32..12, 0usize..200, any::<bool>(), 0usize..200, 0u64..10),
            1..200,
        ),
    ) {
        let mut reassembler = Reassembler::new(Limits { total: limits.0, per_source: limits.1 });
        let mut now = 0;
        for (host, id, block, more, blocks, step) in flood {
            let src = if host < 3 { format!("192.0.2.{host}") } else { format!("2001:db8:{host}::1") };
            let more = more || block == 0;
            let blocks = if more { blocks.max(1) } else { blocks };
            let cut = Cut::new(&src, id, block * 8, more, &octets(blocks * 8));
            now += step;
            while reassembler.pop_expired(at(now)).is_some() {}
            reassembler.feed(at(now), &cut);
            reassembler.check();
        }
        while reassembler.pop_expired(at(now + 60)).is_some() {}
        prop_assert_eq!((reassembler.cost, reassembler.sets.len(), reassembler.deadline()), (0, 0, None));
    }
}
