//! The state diagram of RFC 9293 with the path of a connection.

use super::Picture;
use super::edges::{CLOSED, EDGES, END, NODES, SIZE};
use super::page::{Anchor, Page, Style};
use super::palette::{BLUE, GRID, INK, MUTED, PANEL, PAPER, RED};
use crate::flow::Flow;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 872.0;

/// Draws the states that a TCP connection may take and the edges between them, with those highlighted that the end `side` of
/// `flow` took, numbered in their order.
pub fn state_diagram(flow: &Flow, side: usize) -> Picture {
    let path = places(flow.states[side].iter().map(|(_, state)| state.as_ref()));
    let mut page = Page::new(WIDTH, HEIGHT);
    let end = &flow.ends[side];
    let title = match end.name == end.addr.ip().to_string() {
        true => format!("The states of {}", end.addr),
        false => format!("The states of {} ({})", end.name, end.addr),
    };
    page.text((24.0, 32.0), &title, Style::title());
    let steps: Vec<(usize, usize)> = path.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let taken = |from: usize, to: usize| -> Vec<String> {
        let numbers = steps.iter().enumerate().filter(|(_, step)| **step == (from, to));
        numbers.map(|(place, _)| (place + 1).to_string()).collect()
    };
    let mut resets = false;
    for &(from, to) in &steps {
        if !EDGES.iter().any(|edge| (edge.from, edge.to) == (from, to)) {
            resets = true;
            page.line(NODES[from].at, NODES[to].at, RED, 2.5, Some("7 5"));
        }
    }
    // Those on the path last, and so above the others.
    let mut edges: Vec<_> = EDGES.iter().map(|edge| (taken(edge.from, edge.to), edge)).collect();
    edges.sort_by_key(|(numbers, _)| !numbers.is_empty());
    for (numbers, edge) in &edges {
        let (colour, width) = if numbers.is_empty() { (GRID, 1.5) } else { (BLUE, 3.0) };
        page.path(edge.way, colour, width, true);
    }
    for (numbers, edge) in &edges {
        if numbers.is_empty() {
            page.text(edge.label_at, edge.label, Style::mono(MUTED, edge.anchor).sized(11.5));
        } else {
            let text = format!("{}. {}", numbers.join(", "), edge.label);
            page.text(edge.label_at, &text, Style::mono(BLUE, edge.anchor).sized(11.5).bold());
        }
    }
    for (place, node) in NODES.iter().enumerate() {
        let (fill, stroke, colour) = match path.contains(&place) {
            true => (PANEL, (BLUE, 3.0), INK),
            false => (PAPER, (GRID, 1.5), MUTED),
        };
        let corner = (node.at.0 - SIZE.0 / 2.0, node.at.1 - SIZE.1 / 2.0);
        page.rect(corner, SIZE, fill, Some(stroke), 8.0);
        let style = Style::mono(colour, Anchor::Middle);
        let style = if path.contains(&place) { style.bold() } else { style };
        page.text((node.at.0, node.at.1 + 4.0), node.name, style);
    }
    let mut legend = "Blue: the way that the connection took, in the order of the numbers.".to_owned();
    if resets {
        legend += " Dashed: it was reset or aborted.";
    }
    page.text((24.0, HEIGHT - 20.0), &legend, Style::mono(MUTED, Anchor::Start));
    page.finish()
}

/// The nodes on a way through the states.
fn places<'a>(states: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    for state in states {
        let place = match (state, path.last()) {
            ("CLOSED", None) => CLOSED,
            // What comes of a state that has no connection yet.
            ("CLOSED", Some(1 | 2)) => CLOSED,
            ("CLOSED", Some(_)) => END,
            _ => NODES.iter().position(|node| node.name == state).unwrap_or(CLOSED),
        };
        // A passive open comes out of CLOSED too, before the log begins.
        if path.is_empty() && state == "LISTEN" {
            path.push(CLOSED);
        }
        path.push(place);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_begins_and_ends_in_closed() {
        let names = |states: &[&str]| -> Vec<&str> {
            places(states.iter().copied()).into_iter().map(|place| NODES[place].name).collect()
        };
        assert_eq!(names(&["LISTEN", "SYN-RECEIVED"]), ["CLOSED", "LISTEN", "SYN-RECEIVED"]);
        assert_eq!(names(&["CLOSED", "SYN-SENT", "CLOSED"]), ["CLOSED", "SYN-SENT", "CLOSED"]);
        assert_eq!(places(["LAST-ACK", "CLOSED"].into_iter()).last(), Some(&END));
    }

    #[test]
    fn every_edge_begins_and_ends_at_its_states() {
        let beside = |(x, y): (f64, f64), node: usize| {
            let (dx, dy) = ((x - NODES[node].at.0).abs(), (y - NODES[node].at.1).abs());
            dx <= SIZE.0 / 2.0 && dy <= SIZE.1 / 2.0
        };
        for edge in &EDGES {
            assert!(beside(edge.way[0], edge.from), "{}", edge.label);
            assert!(beside(edge.way[edge.way.len() - 1], edge.to), "{}", edge.label);
        }
    }
}
