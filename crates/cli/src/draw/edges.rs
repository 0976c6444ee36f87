//! Where the states and the edges of RFC 9293, figure 5, stand on the page.

use super::page::Anchor;

/// A state and its middle.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) at: (f64, f64),
}

/// An edge: from and to by place among the nodes, what brings it about and what is done, where that stands, and its way.
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: &'static str,
    pub(super) label_at: (f64, f64),
    pub(super) anchor: Anchor,
    pub(super) way: &'static [(f64, f64)],
}

pub(super) const SIZE: (f64, f64) = (136.0, 38.0);

/// CLOSED is the beginning and, once more, the end.
pub(super) const CLOSED: usize = 0;
pub(super) const END: usize = 11;

const fn node(name: &'static str, x: f64, y: f64) -> Node {
    Node { name, at: (x, y) }
}

pub(super) const NODES: [Node; 12] = [
    node("CLOSED", 500.0, 90.0),
    node("LISTEN", 500.0, 210.0),
    node("SYN-SENT", 810.0, 310.0),
    node("SYN-RECEIVED", 190.0, 310.0),
    node("ESTABLISHED", 500.0, 410.0),
    node("FIN-WAIT-1", 190.0, 520.0),
    node("FIN-WAIT-2", 190.0, 700.0),
    node("CLOSING", 500.0, 650.0),
    node("TIME-WAIT", 500.0, 790.0),
    node("CLOSE-WAIT", 810.0, 520.0),
    node("LAST-ACK", 810.0, 660.0),
    node("CLOSED", 810.0, 790.0),
];

use Anchor::{End as Right, Middle, Start};

const fn edge(
    (from, to): (usize, usize),
    label: &'static str,
    label_at: (f64, f64),
    anchor: Anchor,
    way: &'static [(f64, f64)],
) -> Edge {
    Edge { from, to, label, label_at, anchor, way }
}

pub(super) const EDGES: [Edge; 20] = [
    edge((0, 1), "passive OPEN", (472.0, 154.0), Right, &[(480.0, 109.0), (480.0, 191.0)]),
    edge((1, 0), "CLOSE", (528.0, 154.0), Start, &[(520.0, 191.0), (520.0, 109.0)]),
    edge(
        (0, 2),
        "active OPEN / snd SYN",
        (700.0, 72.0),
        Middle,
        &[(568.0, 80.0), (830.0, 80.0), (830.0, 291.0)],
    ),
    edge((2, 0), "CLOSE", (680.0, 116.0), Middle, &[(800.0, 291.0), (800.0, 100.0), (568.0, 100.0)]),
    edge(
        (1, 3),
        "rcv SYN / snd SYN, ACK",
        (300.0, 192.0),
        Middle,
        &[(432.0, 200.0), (170.0, 200.0), (170.0, 291.0)],
    ),
    edge((3, 1), "rcv RST", (325.0, 236.0), Middle, &[(220.0, 291.0), (220.0, 220.0), (432.0, 220.0)]),
    edge((1, 2), "SEND / snd SYN", (670.0, 202.0), Middle, &[(568.0, 210.0), (770.0, 210.0), (770.0, 291.0)]),
    edge((2, 3), "rcv SYN / snd SYN, ACK", (500.0, 302.0), Middle, &[(742.0, 310.0), (258.0, 310.0)]),
    edge((3, 4), "rcv ACK of SYN", (330.0, 402.0), Middle, &[(210.0, 329.0), (210.0, 410.0), (432.0, 410.0)]),
    edge(
        (2, 4),
        "rcv SYN, ACK / snd ACK",
        (675.0, 402.0),
        Middle,
        &[(810.0, 329.0), (810.0, 410.0), (568.0, 410.0)],
    ),
    edge((3, 5), "CLOSE / snd FIN", (162.0, 424.0), Right, &[(170.0, 329.0), (170.0, 501.0)]),
    edge(
        (4, 5),
        "CLOSE / snd FIN",
        (350.0, 512.0),
        Middle,
        &[(480.0, 429.0), (480.0, 520.0), (258.0, 520.0)],
    ),
    edge(
        (4, 9),
        "rcv FIN / snd ACK",
        (635.0, 512.0),
        Middle,
        &[(520.0, 429.0), (520.0, 520.0), (742.0, 520.0)],
    ),
    edge((5, 6), "rcv ACK of FIN", (162.0, 614.0), Right, &[(170.0, 539.0), (170.0, 681.0)]),
    edge(
        (5, 7),
        "rcv FIN / snd ACK",
        (345.0, 582.0),
        Middle,
        &[(220.0, 539.0), (220.0, 590.0), (500.0, 590.0), (500.0, 631.0)],
    ),
    edge(
        (6, 8),
        "rcv FIN / snd ACK",
        (312.0, 782.0),
        Middle,
        &[(190.0, 719.0), (190.0, 790.0), (432.0, 790.0)],
    ),
    edge((7, 8), "rcv ACK of FIN", (510.0, 724.0), Start, &[(500.0, 669.0), (500.0, 771.0)]),
    edge((8, END), "after 2 MSL", (655.0, 782.0), Middle, &[(568.0, 790.0), (742.0, 790.0)]),
    edge((9, 10), "CLOSE / snd FIN", (820.0, 594.0), Start, &[(810.0, 539.0), (810.0, 641.0)]),
    edge((10, END), "rcv ACK of FIN", (820.0, 730.0), Start, &[(810.0, 679.0), (810.0, 771.0)]),
];
