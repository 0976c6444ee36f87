//! The fingerprint by which those who explore states tell them apart.

use super::reach::reach;
use crate::state::State;

#[test]
fn connections_with_the_same_past_have_the_same_fingerprint_and_others_do_not() {
    let mut seen = std::collections::HashSet::new();
    for state in State::ALL {
        let print = reach(state).connection.fingerprint();
        assert_eq!(print, reach(state).connection.fingerprint(), "{state}");
        assert!(seen.insert(print), "{state} looks like another state");
    }
    let mut script = reach(State::Established);
    let before = script.connection.fingerprint();
    script.write(1);
    assert_ne!(script.connection.fingerprint(), before, "an octet in flight");
}
