use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn datagram(from: u16, data: Vec<u8>, segment: usize) -> Datagram {
    Datagram {
        data: data.into(),
        segment,
        from: SocketAddr::from(([192, 0, 2, 1], from)),
        to: SocketAddr::from(([192, 0, 2, 2], 7)),
        ecn: Ecn::NotEct,
        hop_limit: 64,
        interface: 0,
    }
}

/// A pool that bounds nothing.
fn ample() -> Arc<Pool> {
    Arc::new(Pool::new(usize::MAX))
}

fn single(from: u16, len: usize) -> Datagram {
    datagram(from, vec![from as u8; len], len)
}

fn next(queue: &Queue) -> Option<Datagram> {
    match queue.poll_next(&Waiter::None) {
        Poll::Ready(result) => Some(result.unwrap()),
        Poll::Pending => None,
    }
}

/// A full queue keeps what is there and drops what comes; reading makes room; one datagram fits whatever the limit.
// req: R8085-3
#[test]
fn a_full_queue_drops_the_newest_and_counts_it() {
    let each = 100 + size_of::<Datagram>();
    let queue = Queue::new(3 * each, &ample());
    let taken: Vec<_> = (1..=5).map(|from| queue.push(single(from, 100))).collect();
    assert_eq!(taken, [true, true, true, false, false]);
    assert_eq!(queue.dropped(), 2);
    assert_eq!(next(&queue).unwrap().from.port(), 1);
    assert!(queue.push(single(6, 100)));
    let left: Vec<_> = std::iter::from_fn(|| next(&queue)).map(|datagram| datagram.from.port()).collect();
    assert_eq!(left, [2, 3, 6]);
    let tight = Queue::new(0, &ample());
    assert!(tight.push(single(1, 65_507)) && !tight.push(single(2, 0)));
}

/// Empty datagrams take memory too, or a flood of them would have no bound.
// req: R8085-3
#[test]
fn empty_datagrams_are_bounded() {
    let queue = Queue::new(10_000, &ample());
    let taken = (0..1000).filter(|_| queue.push(single(1, 0))).count();
    assert!(taken <= 10_000 / size_of::<Datagram>() && taken > 10, "{taken}");
}

/// What sessions hold together has a bound of its own, and is given back when it is read or dropped.
// req: R8085-3
#[test]
fn queues_of_one_pool_share_its_bound() {
    let each = 100 + size_of::<Datagram>();
    let pool = Arc::new(Pool::new(3 * each));
    let [a, b] = [(); 2].map(|()| Queue::new(1 << 20, &pool));
    assert!(a.push(single(1, 100)) && b.push(single(2, 100)) && b.push(single(3, 100)));
    assert!(!a.push(single(4, 100)));
    assert!(next(&b).is_some());
    assert!(a.push(single(5, 100)) && !a.push(single(6, 100)));
    drop(b);
    assert!(a.push(single(7, 100)));
    while next(&a).is_some() {}
    drop(a);
    assert_eq!(pool.held.load(Relaxed), 0);
}

/// Of what a device delivered as one, each call takes one datagram; memory is given back with the last.
#[test]
fn a_super_datagram_is_taken_piece_by_piece() {
    let queue = Queue::new(1 << 20, &ample());
    assert!(queue.push(datagram(1, (0..25).collect(), 10)));
    assert!(queue.push(single(2, 5)));
    let Poll::Ready(Ok(peeked)) = queue.poll_peek(&Waiter::None) else { panic!("nothing to peek at") };
    assert_eq!(peeked.data[..], (0..10).collect::<Vec<u8>>());
    let lens: Vec<_> = std::iter::from_fn(|| next(&queue)).map(|piece| piece.data.len()).collect();
    assert_eq!(lens, [10, 10, 5, 5]);
    assert_eq!(lock(&queue.state).held, 0);
}

proptest! {
    /// However datagrams come and are taken, singly or in batches: each comes out whole, in order, once; a batch is of one sender
    /// and size but for its last and fits the room; and the memory that is charged is that of what is there.
    #[test]
    fn batches_keep_borders_and_order(
        sent in prop::collection::vec((1u16..3, 0usize..5, 1usize..4), 1..40),
        takes in prop::collection::vec((any::<bool>(), 0usize..40), 1..60),
    ) {
        let queue = Queue::new(usize::MAX / 2, &ample());
        let mut expected = VecDeque::new();
        for (serial, &(from, size, count)) in sent.iter().enumerate() {
            let data = vec![serial as u8; size * count];
            for piece in data.chunks(size.max(1)) {
                expected.push_back((from, piece.to_vec()));
            }
            if data.is_empty() {
                expected.push_back((from, Vec::new()));
            }
            prop_assert!(queue.push(datagram(from, data, size)));
        }
        let mut check = |got: &Datagram| {
            let want = expected.pop_front().unwrap();
            (got.from.port(), got.data.to_vec()) == want
        };
        for (batched, room) in takes {
            let batch = if batched { queue.poll_batch(room, &Waiter::None) } else {
                queue.poll_next(&Waiter::None).map_ok(|one| (one, Vec::new()))
            };
            let Poll::Ready(batch) = batch else { break };
            let (first, rest) = batch.unwrap();
            prop_assert!(check(&first));
            let total: usize = first.data.len() + rest.iter().map(|next| next.data.len()).sum::<usize>();
            prop_assert!(rest.is_empty() || total <= room);
            let lens: Vec<_> = std::iter::once(&first).chain(&rest).map(|next| next.data.len()).collect();
            for (at, next) in rest.iter().enumerate() {
                prop_assert!(check(next) && next.from == first.from);
                prop_assert!(lens[at] == lens[0] && (1..=lens[0]).contains(&lens[at + 1]));
            }
        }
        while let Some(one) = next(&queue) {
            prop_assert!(check(&one));
        }
        prop_assert!(expected.is_empty());
        prop_assert_eq!(lock(&queue.state).held, 0);
    }
}
