use super::*;
use crate::side::client::bulk::Direction;
use crate::side::job::Scale;

const DOWN: Figure = Figure::Bulk(Direction::Download, 1);

fn bench() -> Bench {
    Bench {
        own: "bench".into(),
        programs: BTreeMap::new(),
        candidates: vec![Candidate::Kernel, Candidate::Offload, Candidate::Plain],
        jobs: vec![Job::Bulk(Direction::Download, 1)],
        scale: Scale { runs: 3, quick: false },
        workers: 2,
    }
}

fn results() -> Results {
    let mut results = Results::default();
    for (candidate, values) in [(Candidate::Kernel, [10.0, 8.0, 12.0]), (Candidate::Offload, [4.0, 5.0, 6.0])]
    {
        for value in values {
            results.add(DOWN, candidate, value);
        }
    }
    results.fail(DOWN, Candidate::Plain, "wedged".to_owned());
    results.fail(DOWN, Candidate::Plain, "wedged".to_owned());
    results
}

#[test]
fn a_row_has_medians_spreads_and_what_failed() {
    let text = figures(&results(), &bench());
    let row = "| download, 1 flow, Gbit/s | **10.00** (8.00 to 12.00) | **5.00** (4.00 to 6.00) | failed |\n";
    assert!(text.ends_with(&format!("{row}\n")), "{text}");
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn ratios_are_of_medians_and_empty_where_there_is_none() {
    let text = ratios(&results(), &bench());
    assert!(text.contains("| download, 1 flow, Gbit/s | 0.50 / - |"), "{text}");
    assert_eq!([0.005, 9.0, 12.34, 512.3].map(multiple), ["0.01", "9.00", "12.3", "512"]);
}

#[test]
fn the_same_failure_is_told_once_with_its_number() {
    let text = failures(&results(), &bench());
    assert!(text.contains("- this stack, plain, download, 1 flow, Gbit/s: wedged (2 x)\n"), "{text}");
    assert_eq!(failures(&Results::default(), &bench()), "");
}
