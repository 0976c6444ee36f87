use super::*;

#[test]
fn the_times_of_a_process_are_found_behind_any_name() {
    let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 12345 1000000 500";
    assert_eq!(ticks_of_process(stat), Some(Duration::from_secs(2)));
    assert_eq!(ticks_of_process("42 (a"), None);
}

#[test]
fn the_time_of_the_machine_leaves_out_idling_and_waiting() {
    let stat = "cpu  100 10 50 9999 8888 20 20 7 0 0\ncpu0 1 2 3 4 5 6 7\n";
    assert_eq!(ticks_of_machine(stat), Some(Duration::from_secs(2)));
    assert_eq!(ticks_of_machine("cpu  1 2"), None);
}
