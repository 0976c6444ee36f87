use super::*;

fn verdicts(results: &Results) -> Vec<String> {
    table(results).lines().skip(2).map(str::to_owned).collect()
}

#[test]
fn a_target_is_judged_against_what_it_names() {
    let mut results = Results::default();
    results.add(Figure::Bulk(Download, 1), Kernel, 50.0);
    results.add(Figure::Bulk(Download, 1), Offload, 30.0);
    results.add(Figure::Bulk(Download, 1), CeilingOffload, 70.0);
    let verdicts = verdicts(&results);
    assert_eq!(verdicts.len(), 2);
    assert!(verdicts[0].ends_with("| 0.55 x the kernel | 30.00 (bound: 27.50) | yes |"), "{}", verdicts[0]);
    assert!(
        verdicts[1].ends_with("| 50 % of the ceiling | 30.00 (bound: 35.00) | **no** |"),
        "{}",
        verdicts[1]
    );
}

#[test]
fn a_failed_run_is_a_target_missed() {
    let mut results = Results::default();
    results.add(Figure::Verify, Offload, 3.0);
    assert!(verdicts(&results)[0].ends_with("| yes |"));
    results.fail(Figure::Verify, Offload, "wedged".to_owned());
    assert!(verdicts(&results)[0].ends_with("| **no** |"));
}

#[test]
fn nothing_measured_is_nothing_told() {
    assert_eq!(table(&Results::default()), "");
}
