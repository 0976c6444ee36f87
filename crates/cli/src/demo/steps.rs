//! Why each segment of a scene is there.

use super::Scene;

/// The words of a scene.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// One for each segment, in the order in which they are sent.
    pub(super) steps: &'static [&'static str],
    pub(super) end: &'static str,
}

/// The words of a scene of segments.
pub(super) fn words(scene: Scene) -> Option<Words> {
    Some(match scene {
        Scene::Handshake => HANDSHAKE,
        Scene::Teardown => TEARDOWN,
        Scene::SimultaneousOpen => SIMULTANEOUS_OPEN,
        Scene::SimultaneousClose => SIMULTANEOUS_CLOSE,
        Scene::LostSyn => LOST_SYN,
        Scene::OldDuplicateSyn => OLD_DUPLICATE_SYN,
        Scene::TimeWait => TIME_WAIT,
        Scene::HalfClose => HALF_CLOSE,
        Scene::TcpVsUdp => return None,
    })
}

const HANDSHAKE: Words = Words {
    title: "The three-way handshake",
    about: "Each end counts its octets from a number of its own, x at A and y at B, drawn so that nobody can guess it \
            and that no octet of an earlier connection fits in. Before data can flow both ends have to know both \
            numbers, and each has to know that the other knows.",
    steps: &[
        "A tells B the number from which it counts. The SYN takes one number itself, so that it can be acknowledged \
         like an octet of data.",
        "B does two things in one segment: it acknowledges A's SYN by naming the number that it expects next, x + 1, \
         and tells A its own number, y.",
        "A acknowledges y. Only now B knows that its SYN has arrived, and that the first one was no stray from the past \
         or a forgery: whoever sent it has read the answer. Data may follow at once.",
    ],
    end: "Both ends are in ESTABLISHED. It took A one round trip, and B one and a half, until they could send.",
};

const TEARDOWN: Words = Words {
    title: "The four-way teardown",
    about: "A connection is two streams, and each end closes its own when it has nothing more to send. So four segments \
            are needed: a FIN and its ACK for each direction.",
    steps: &[
        "A has sent all it had. Its FIN says so, and takes a number of its own, so that it can be acknowledged and, if it \
         is lost, sent again.",
        "B acknowledges the FIN. Its application reads end of file, but may go on sending as long as it likes: B is in \
         CLOSE-WAIT, A in FIN-WAIT-2.",
        "B has finished too, and sends its own FIN.",
        "A acknowledges it. B is done with it. A stays in TIME-WAIT for two maximum segment lifetimes: this ACK may be \
         lost, and then somebody has to answer B's FIN again; and old duplicates must have died out before the same two \
         ports may be used again.",
    ],
    end: "The end that closes first pays with TIME-WAIT.",
};

const SIMULTANEOUS_OPEN: Words = Words {
    title: "Simultaneous open",
    about: "Both ends know each other's address and port, and open actively at the same time; nobody listens. TCP makes \
            one connection of it, not two.",
    steps: &[
        "A opens, as a client would.",
        "B opens too, before A's SYN has reached it.",
        "Where B waits for a SYN, ACK, a bare SYN comes: the other end is opening as well. B goes to SYN-RECEIVED and \
         acknowledges it, with its own number once more.",
        "A does the same.",
    ],
    end: "Each end has its SYN acknowledged: ESTABLISHED, with four segments where the usual handshake has three.",
};

const SIMULTANEOUS_CLOSE: Words = Words {
    title: "Simultaneous close",
    about: "Both applications close before the other's FIN has arrived.",
    steps: &[
        "A closes and sends its FIN.",
        "B does so at the same moment; it knows nothing of A's FIN yet.",
        "B sees A's FIN while its own is not acknowledged: CLOSING. It acknowledges A's.",
        "A does the same.",
    ],
    end: "With its FIN acknowledged each end goes from CLOSING to TIME-WAIT. Both closed first, and both wait.",
};

const LOST_SYN: Words = Words {
    title: "A lost SYN",
    about: "Nothing acknowledges a SYN that did not arrive, and the network does not tell. Only a timer can help.",
    steps: &[
        "A's SYN is lost on its way. A has set a timer for its retransmission; without any measurement of this path it \
         waits one second (RFC 6298).",
        "The timer fires: the same SYN once more, with the same number. Would it be lost again, A would wait two \
         seconds, then four: a network that loses is not helped by more packets.",
        "B answers as if nothing had happened; it has seen only one SYN.",
        "A acknowledges. Since the SYN was sent twice, A cannot know which of the two was answered, and measures no \
         round trip with it (Karn's algorithm) unless timestamps tell.",
    ],
    end: "A lost SYN costs a second: far more than the round trip of 50 ms. It is the dearest packet to lose.",
};

const OLD_DUPLICATE_SYN: Words = Words {
    title: "An old duplicate SYN",
    about: "A SYN of an earlier connection between the same two ports has been held up somewhere and overtakes the new \
            one. This is why the handshake has three steps and not two.",
    steps: &[
        "The old SYN, with a number from the past. B cannot know that it is old.",
        "A opens anew, with number x; this SYN is slow, and on its way for a while.",
        "B answers the old SYN in good faith, and acknowledges a number that A did not send this time.",
        "A sees an acknowledgment of something that it never sent, and refuses it with a RST that bears just that \
         number. With a handshake of two steps B would now hold a connection that does not exist.",
        "B believes the RST, since its number fits, and is back in LISTEN. When the new SYN arrives it answers it, with a new \
         number: they go up with the clock, one each 4 microseconds, so that no attempt has those of an earlier one.",
        "This acknowledges x: it is the right one. A completes the handshake.",
    ],
    end: "The third step is what makes a connection safe from the past.",
};

const TIME_WAIT: Words = Words {
    title: "The last ACK is lost: what TIME-WAIT is for",
    about: "Who sends the last segment of a connection cannot know whether it has arrived: nothing answers it.",
    steps: &[
        "A closes first.",
        "B acknowledges; its application has yet to close.",
        "Now B closes too, and waits in LAST-ACK for the acknowledgment of its FIN.",
        "A acknowledges and goes to TIME-WAIT. The ACK is lost.",
        "B hears nothing and sends its FIN again. If A had forgotten the connection it could only answer with a RST, and \
         B would report an error although everything had arrived.",
        "TIME-WAIT still knows the connection: it sends the ACK again, and begins its 2 MSL anew.",
    ],
    end: "B is closed in order; A forgets the connection when nothing of it can be on its way any more.",
};

const HALF_CLOSE: Words = Words {
    title: "Half-close",
    about: "A sends a request and says with its FIN that there is no more to it; the answer comes afterwards. An end that \
            has closed its half goes on receiving, and acknowledging, as long as the other sends.",
    steps: &[
        "The request, 100 bytes.",
        "A has nothing to add: FIN. To B's application this is end of file, and may be what it waited for.",
        "B acknowledges the request.",
        "And the FIN, which takes a number as an octet does. A goes to FIN-WAIT-2.",
        "The answer. B is in CLOSE-WAIT, in which it may send as in ESTABLISHED.",
        "A acknowledges, though its own half is closed: an ACK takes no number.",
        "B has finished: FIN.",
        "A acknowledges it, and waits in TIME-WAIT.",
    ],
    end: "Each direction was closed by the end that sends in it, when that end was done.",
};
