//! Explicit congestion notification through a queue that marks, on the event heap.

use std::sync::Arc;
use std::time::Duration;

use netstack_sim::heap::{Pair, PairConfig, Receiver, Sender, Side};
use netstack_sim::{LinkConfig, LinkStats, QueueLimit};
use netstack_tcp::{EcnMode, EcnPolicy, Instant, TcpConfig, TcpInfo};

const RATE: u64 = 50_000_000;
const RTT: Duration = Duration::from_millis(20);
const BDP: usize = 125_000;

/// What A, which sends for 10 s to a B that agrees, and the link saw; and the rate in bits per second.
fn run(policy: EcnPolicy, change: impl FnOnce(&mut LinkConfig)) -> (TcpInfo, TcpInfo, LinkStats, u64) {
    let mut config = PairConfig::new(3);
    let mut tcp = TcpConfig::new();
    tcp.ecn(policy);
    config.a.tcp = Arc::new(tcp.clone());
    config.b.tcp = Arc::new(tcp);
    config.a_to_b.rate(RATE).delay(RTT / 2).queue(QueueLimit::Bytes(2 * BDP));
    change(&mut config.a_to_b);
    config.b_to_a.delay(RTT / 2);
    let mut pair = Pair::new(config, Sender::endless(), Receiver::checking(), ());
    let info = |pair: &Pair<_, _, ()>, side| pair.endpoint(side).connection().expect("it is open").info();
    pair.run_until(Instant::from_duration(Duration::from_secs(10)));
    assert!(pair.app_b().is_intact());
    let rate = pair.app_b().received() * 8 / 10;
    (info(&pair, Side::A), info(&pair, Side::B), pair.link_stats(Side::A), rate)
}

#[test]
fn a_marking_queue_is_kept_short_without_a_loss() {
    // req: R3168-4, R3168-5, R3168-6, R3168-7, R9768-3, SHLD-8
    for (policy, mode) in [(EcnPolicy::On, EcnMode::Classic), (EcnPolicy::Accurate, EcnMode::Accurate)] {
        let (a, b, link, rate) = run(policy, |link| {
            link.mark_above(BDP / 2);
        });
        assert_eq!((a.ecn, b.ecn, a.ecn_sending), (mode, mode, true));
        assert!(link.marked > 10 && a.stats.ecn_reductions > 3, "{policy:?}: {link:?}");
        assert!(a.stats.ecn_reductions <= b.stats.ce_received);
        assert_eq!((link.queue_full, a.stats.bytes_retransmitted, a.stats.timeouts), (0, 0, 0), "{policy:?}");
        assert!(rate > RATE * 85 / 100, "{policy:?}: {rate}");
        if mode == EcnMode::Accurate {
            let (heard, seen) = (a.stats.ce_reported, b.stats.ce_received);
            assert!(heard <= seen && heard + 8 >= seen, "{heard} of {seen}");
        }
    }
}

#[test]
fn without_ecn_the_same_queue_drops() {
    // req: R3168-3
    let (a, b, link, _) = run(EcnPolicy::Off, |link| {
        link.mark_above(BDP / 2);
    });
    assert_eq!((a.ecn, b.ecn, link.marked, b.stats.ce_received), (EcnMode::Off, EcnMode::Off, 0, 0));
    assert!(link.queue_full > 0);
}

#[test]
fn marks_and_losses_together_lose_no_byte() {
    // req: R3168-6, R9768-3
    for policy in [EcnPolicy::On, EcnPolicy::Accurate] {
        let (a, _, link, rate) = run(policy, |link| {
            link.mark_above(BDP / 2).loss(0.001);
        });
        assert!(link.marked > 0 && link.lost > 0 && a.stats.ecn_reductions > 0);
        assert!(rate > RATE / 5, "{policy:?}: {rate}");
    }
}
