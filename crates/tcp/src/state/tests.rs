use std::io::ErrorKind;

use super::*;

/// The kinds that the kernel's sockets give.
#[test]
fn the_ends_of_a_connection_are_told_by_kind_and_sentence() {
    let ends = [
        (CloseReason::Normal, ErrorKind::NotConnected, "closed by both ends"),
        (CloseReason::Refused, ErrorKind::ConnectionRefused, "connection refused"),
        (CloseReason::Reset, ErrorKind::ConnectionReset, "connection reset by peer"),
        (CloseReason::TimedOut, ErrorKind::TimedOut, "the peer did not answer in time"),
        (CloseReason::Aborted, ErrorKind::ConnectionAborted, "connection aborted"),
    ];
    for (reason, kind, sentence) in ends {
        assert_eq!((reason.io_kind(), &*reason.to_string()), (kind, sentence));
    }
}

// SHLD-26, MUST-56, as far as the table goes.
#[test]
fn what_routers_say_is_told_by_kind_and_sentence_and_some_ends_an_attempt() {
    let notices = [
        (IcmpNotice::NetworkUnreachable, ErrorKind::NetworkUnreachable, false, "network unreachable"),
        (IcmpNotice::HostUnreachable, ErrorKind::HostUnreachable, false, "host unreachable"),
        (IcmpNotice::ProtocolUnreachable, ErrorKind::ConnectionRefused, true, "protocol unreachable"),
        (IcmpNotice::PortUnreachable, ErrorKind::ConnectionRefused, true, "port unreachable"),
        (
            IcmpNotice::Prohibited,
            ErrorKind::HostUnreachable,
            true,
            "communication administratively prohibited",
        ),
        (IcmpNotice::SourceRouteFailed, ErrorKind::HostUnreachable, false, "source route failed"),
        (IcmpNotice::TimeExceeded, ErrorKind::HostUnreachable, false, "time exceeded on the path"),
        (IcmpNotice::ParameterProblem, ErrorKind::HostUnreachable, false, "parameter problem reported"),
    ];
    for (notice, kind, hard, sentence) in notices {
        let reason = CloseReason::Unreachable(notice);
        assert_eq!((notice.is_hard(), notice.io_kind(), reason.io_kind()), (hard, kind, kind));
        assert_eq!((notice.to_string(), reason.to_string()), (sentence.to_owned(), sentence.to_owned()));
    }
}
