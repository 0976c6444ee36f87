use crate::rows::{Row, Scale, rows};
use crate::{Contender, measure};

/// The rows that are quick enough to run in a test.
fn some() -> Vec<Row> {
    let names = ["bdp", "shallow", "response-1", "late-10"];
    let quick = |row: &Row| names.contains(&row.name) && row.contender == Contender::NewReno;
    rows().into_iter().filter(quick).collect()
}

/// A figure that no controller could miss would prove nothing: whatever size a fixed window has, it is too small for one link
/// or too large for another.
#[test]
fn a_window_that_never_changes_fails_the_table() {
    for segments in [10, 40, 450, 600, 5_000] {
        let rows: Vec<_> = some().into_iter().map(|row| row.with(Contender::Fixed(segments))).collect();
        let table = measure(&rows, Scale::Quick, 1);
        assert!(!table.passes(), "{segments} segments pass:\n{table}");
    }
}

#[test]
fn each_row_has_a_name_of_its_own_among_those_of_a_controller() {
    let mut names: Vec<_> = rows().iter().map(|row| (row.name, row.contender.name())).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
