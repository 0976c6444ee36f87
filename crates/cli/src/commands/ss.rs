//! `netstack ss`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::Failure;
use crate::args::Ss;

/// A stack that is busy answers within much less.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(args: &Ss) -> Result<(), Failure> {
    let path = args.control.display();
    let mut socket = UnixStream::connect(&args.control).map_err(|error| {
        format!(
            "no stack answers on {path}: {error}; start the program with its control socket, as \
             `echo --control {path}` does, or with tokio_netstack::control::serve"
        )
    })?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    socket
        .read_to_string(&mut text)
        .map_err(|error| format!("the stack on {path} does not answer: {error}"))?;
    if text.is_empty() {
        return Err(format!("the stack on {path} has stopped").into());
    }
    io::stdout().write_all(chosen(&text, args.state.as_deref()).as_bytes())?;
    Ok(())
}

/// The head, and the connections in a state with the figures below them.
fn chosen(text: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return text.to_owned() };
    let mut kept = String::new();
    let mut shown = true;
    for (place, line) in text.lines().enumerate() {
        if place > 0 && !line.starts_with('\t') {
            shown = line.split_whitespace().next().is_some_and(|name| name.eq_ignore_ascii_case(state));
        }
        if shown {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn only_the_connections_in_the_state_are_kept_with_their_figures() {
        let text = "State x\nESTAB a\n\t one\nTIME-WAIT b\nESTAB c\n\t two\n";
        assert_eq!(chosen(text, Some("estab")), "State x\nESTAB a\n\t one\nESTAB c\n\t two\n");
        assert_eq!(chosen(text, Some("time-wait")), "State x\nTIME-WAIT b\n");
        assert_eq!(chosen(text, None), text);
    }
}
