use super::*;

#[test]
fn a_chart_has_a_bar_for_each_candidate_that_was_measured() {
    let mut results = Results::default();
    results.add(Figure::Bulk(Download, 1), Candidate::Kernel, 60.0);
    results.add(Figure::Bulk(Download, 1), Candidate::Offload, 45.5);
    results.fail(Figure::Bulk(Download, 1), Candidate::Smoltcp, "wedged".to_owned());
    let path = std::env::temp_dir().join(format!("netstack-bench-chart-{}.svg", std::process::id()));
    draw(&results, &path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(text.starts_with("<svg") && text.contains("download, 1 flow, Gbit/s"));
    assert!(text.contains("kernel, GSO") && text.contains("45.50"));
    assert!(text.contains("smoltcp") && text.contains("failed"));
    assert!(!text.contains("ipstack"));
}
