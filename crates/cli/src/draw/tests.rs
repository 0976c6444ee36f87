use std::time::Duration;

use proptest::prelude::*;

use super::{LadderOptions, Picture, ladder, state_diagram};
use crate::experiment::Experiment;
use crate::flow::Flow;
use netstack_sim::record::Log;

fn assert_apart(picture: &Picture) {
    let labels = picture.labels();
    for (place, label) in labels.iter().enumerate() {
        let other = labels[place + 1..].iter().find(|other| label.overlaps(other));
        assert!(other.is_none(), "{label:?} and {other:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happened, whoever saw it, and however much of it is folded.
    #[test]
    fn no_two_labels_of_a_ladder_overlap(
        seed in 0_u64..1_000_000,
        loss in 0.0..0.2_f64,
        jitter in 0_u64..40,
        bytes in 1_u64..200_000,
        limit in 6_usize..120,
    ) {
        let experiment = Experiment {
            seed,
            loss,
            loss_back: loss / 2.0,
            bytes,
            jitter: Duration::from_millis(jitter),
            jitter_reorders: true,
            duplicate: 0.02,
            ..Experiment::default()
        };
        let outcome = experiment.run(|_| {});
        let options = LadderOptions { limit, ..LadderOptions::default() };
        assert_apart(&ladder(&outcome.flows[0], &options));
        let mut capture = Vec::new();
        outcome.log.write_pcapng(&mut capture).unwrap();
        let seen = Log::read_capture(&capture[..]).unwrap();
        assert_apart(&ladder(&Flow::all(&seen)[0], &options));
    }
}

#[test]
fn no_two_labels_of_the_state_diagram_overlap() {
    let outcome = Experiment { bytes: 1_000, ..Experiment::default() }.run(|_| {});
    for side in 0..2 {
        let picture = state_diagram(&outcome.flows[0], side);
        assert_apart(&picture);
        assert!(picture.labels().iter().any(|label| label.text.starts_with("1. ")));
    }
}

#[test]
fn the_middle_of_a_long_transfer_is_folded_and_its_losses_are_not() {
    let outcome = Experiment { bytes: 500_000, loss: 0.01, seed: 3, ..Experiment::default() }.run(|_| {});
    let picture = ladder(&outcome.flows[0], &LadderOptions::default());
    let has = |part: &str| picture.labels().iter().any(|label| label.text.contains(part));
    assert!(outcome.flows[0].segments.len() > 400);
    assert!(picture.labels().len() < 300);
    assert!(has("long, not drawn") && has("lost") && has("sent again") && has("SYN, ACK"));
}

#[test]
fn a_capture_has_the_states_that_the_log_has() {
    let outcome = Experiment { bytes: 20_000, ..Experiment::default() }.run(|_| {});
    let mut capture = Vec::new();
    outcome.log.write_pcapng(&mut capture).unwrap();
    let seen = Flow::all(&Log::read_capture(&capture[..]).unwrap());
    for side in 0..2 {
        let names = |flow: &Flow| -> Vec<String> {
            flow.states[side]
                .iter()
                .map(|(_, state)| state.to_string())
                .filter(|state| state != "CLOSED")
                .collect()
        };
        assert_eq!(names(&seen[0]), names(&outcome.flows[0]));
    }
}
