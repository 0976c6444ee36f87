use super::*;

const SCALE: Scale = Scale { runs: 5, quick: false };

const EVERYTHING: [Measure; 6] =
    [Measure::Bulk, Measure::PingPong, Measure::Connect, Measure::Memory, Measure::Loss, Measure::Verify];

#[test]
fn every_figure_comes_from_one_job_and_has_a_title_of_its_own() {
    let figures: Vec<_> = Job::all(&EVERYTHING, SCALE).into_iter().flat_map(Job::figures).collect();
    for (number, figure) in figures.iter().enumerate() {
        assert!(!figures[..number].contains(figure));
        assert!(figures[..number].iter().all(|other| other.title() != figure.title()));
    }
}

#[test]
fn ceilings_move_bulk_data_alone_and_loss_needs_plain_packets() {
    for job in Job::all(&EVERYTHING, SCALE) {
        let bulk = matches!(job, Job::Bulk(..));
        assert_eq!(job.applies_to(Candidate::CeilingOffload), bulk);
        let lossy = matches!(job, Job::Loss(_) | Job::Bare(_));
        assert_eq!(job.applies_to(Candidate::Kernel), !lossy);
    }
    assert!(Job::Loss(Direction::Upload).applies_to(Candidate::Plain));
    assert!(Job::Bulk(Direction::Upload, 16).applies_to(Candidate::PlainCoalescing));
    assert!(!Job::Bulk(Direction::Download, 16).applies_to(Candidate::PlainCoalescing));
}

#[test]
fn the_one_byte_ping_pong_has_nine_runs_and_everything_else_five() {
    assert_eq!(Job::PingPong { size: 1, connections: 1 }.rounds(SCALE), 9);
    for job in [Job::Bulk(Direction::Upload, 1), Job::Memory, Job::Bare(10_000), Job::Verify, Job::LossVerify]
    {
        assert_eq!(job.rounds(SCALE), 5);
    }
}
