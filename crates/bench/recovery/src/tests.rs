use crate::rows::{Row, Scale, rows};
use crate::{Contender, measure};

/// Rows of NewReno that are quick enough to run in a test, the quickest first.
fn quick() -> Vec<Row> {
    let find = |name| {
        let of_newreno = |row: &Row| row.name == name && row.contender == Contender::NewReno;
        rows().into_iter().find(of_newreno).expect("the table has this row")
    };
    ["response-1", "bdp", "shallow"].into_iter().map(find).collect()
}

/// A figure that no controller could miss would prove nothing: whatever size a fixed window has, it is too small for one link
/// or too large for another.
#[test]
fn a_window_that_never_changes_fails_the_table() {
    for segments in [10, 40, 450, 600, 5_000] {
        let fails = |row: Row| {
            let row = row.with(Contender::Fixed(segments));
            !measure(&[row], Scale::Quick, 1).passes()
        };
        assert!(quick().into_iter().any(fails), "{segments} segments pass");
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
