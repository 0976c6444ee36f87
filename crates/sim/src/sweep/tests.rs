use crate::heap::{Pair, PairConfig, Receiver, Sender};
use crate::sweep;

#[test]
fn results_come_in_the_order_of_the_seeds_and_are_those_of_single_runs() {
    let run = |seed| {
        let mut config = PairConfig::new(seed);
        config.a_to_b.rate(50_000_000).loss(0.02);
        let mut pair = Pair::new(config, Sender::new(50_000), Receiver::checking(), ());
        pair.run();
        assert!(pair.app_b().is_intact());
        pair.trace()
    };
    let single: Vec<_> = (5..25).map(run).collect();
    assert_eq!(sweep(5..25, run), single);
}
