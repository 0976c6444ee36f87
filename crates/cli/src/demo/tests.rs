use clap::ValueEnum;
use netstack_sim::record::{Log, PacketFate, Record, Transport};

use super::{Played, Scene, contrast, rung};
use crate::draw::{Clock, Words};

/// The segments of a scene, with who sends them and what becomes of them.
fn script(scene: Scene) -> Vec<String> {
    let flow = Played::new(scene).unwrap().flow();
    let line = |segment: &crate::flow::Seg| {
        let way = if segment.from == 0 { "A>B" } else { "B>A" };
        let text = format!("{way} {} {}", Words.segment(segment), Words.remark(segment));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    flow.segments.iter().map(line).collect()
}

fn states(scene: Scene, side: usize) -> Vec<String> {
    let flow = Played::new(scene).unwrap().flow();
    flow.states[side].iter().map(|(_, state)| state.to_string()).collect()
}

#[test]
fn the_handshake_is_the_classic_one() {
    let expected =
        ["A>B SYN seq = x", "B>A SYN, ACK seq = y, ack = x + 1", "A>B ACK seq = x + 1, ack = y + 1"];
    assert_eq!(script(Scene::Handshake), expected);
    assert_eq!(states(Scene::Handshake, 0), ["CLOSED", "SYN-SENT", "ESTABLISHED"]);
    assert_eq!(states(Scene::Handshake, 1), ["LISTEN", "SYN-RECEIVED", "ESTABLISHED"]);
}

#[test]
fn the_teardown_is_the_classic_one() {
    let expected = [
        "A>B FIN, ACK seq = x + 1, ack = y + 1",
        "B>A ACK seq = y + 1, ack = x + 2",
        "B>A FIN, ACK seq = y + 1, ack = x + 2",
        "A>B ACK seq = x + 2, ack = y + 2",
    ];
    assert_eq!(script(Scene::Teardown), expected);
    assert_eq!(
        states(Scene::Teardown, 0),
        ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED"]
    );
    assert_eq!(states(Scene::Teardown, 1), ["ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]);
}

#[test]
fn a_simultaneous_open_is_that_of_figure_7() {
    let expected = [
        "A>B SYN seq = x",
        "B>A SYN seq = y",
        "B>A SYN, ACK seq = y, ack = x + 1",
        "A>B SYN, ACK seq = x, ack = y + 1",
    ];
    assert_eq!(script(Scene::SimultaneousOpen), expected);
    for side in 0..2 {
        let path = ["CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED"];
        assert_eq!(states(Scene::SimultaneousOpen, side), path);
    }
}

#[test]
fn a_simultaneous_close_is_that_of_figure_13() {
    let expected = [
        "A>B FIN, ACK seq = x + 1, ack = y + 1",
        "B>A FIN, ACK seq = y + 1, ack = x + 1",
        "B>A ACK seq = y + 2, ack = x + 2",
        "A>B ACK seq = x + 2, ack = y + 2",
    ];
    assert_eq!(script(Scene::SimultaneousClose), expected);
    for side in 0..2 {
        let path = ["ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT", "CLOSED"];
        assert_eq!(states(Scene::SimultaneousClose, side), path);
    }
}

#[test]
fn a_lost_syn_is_sent_again_after_a_second() {
    let expected = [
        "A>B SYN seq = x lost",
        "A>B SYN seq = x sent again",
        "B>A SYN, ACK seq = y, ack = x + 1",
        "A>B ACK seq = x + 1, ack = y + 1",
    ];
    assert_eq!(script(Scene::LostSyn), expected);
    let flow = Played::new(Scene::LostSyn).unwrap().flow();
    assert_eq!(flow.segments[1].t, 1_000_000_000);
    assert_eq!((flow.timers[0][0].name, flow.timers[0][0].fired), ("RTO", true));
}

#[test]
fn an_old_duplicate_syn_is_refused_as_in_figure_8() {
    let expected = [
        "A>B SYN seq = x - 200 old duplicate",
        "A>B SYN seq = x",
        "B>A SYN, ACK seq = y, ack = x - 199",
        "A>B RST seq = x - 199",
        // 135 ms later, at one number each 4 microseconds (RFC 6528).
        "B>A SYN, ACK seq = y + 33750, ack = x + 1",
        "A>B ACK seq = x + 1, ack = y + 33751",
    ];
    assert_eq!(script(Scene::OldDuplicateSyn), expected);
    let path = ["LISTEN", "SYN-RECEIVED", "LISTEN", "SYN-RECEIVED", "ESTABLISHED"];
    assert_eq!(states(Scene::OldDuplicateSyn, 1), path);
}

#[test]
fn time_wait_answers_for_the_lost_last_ack() {
    let expected = [
        "A>B FIN, ACK seq = x + 1, ack = y + 1",
        "B>A ACK seq = y + 1, ack = x + 2",
        "B>A FIN, ACK seq = y + 1, ack = x + 2",
        "A>B ACK seq = x + 2, ack = y + 2 lost",
        "B>A FIN, ACK seq = y + 1, ack = x + 2 sent again",
        "A>B ACK seq = x + 2, ack = y + 2",
    ];
    assert_eq!(script(Scene::TimeWait), expected);
    let flow = Played::new(Scene::TimeWait).unwrap().flow();
    // 2 MSL begins anew.
    let rests: Vec<_> =
        flow.timers[0].iter().filter(|span| span.name == "2 MSL").map(|span| span.fired).collect();
    assert_eq!(rests, [false, true]);
}

#[test]
fn after_a_half_close_data_flows_the_other_way() {
    let expected = [
        "A>B PSH, ACK seq = x + 1, ack = y + 1, 100 bytes",
        "A>B FIN, ACK seq = x + 101, ack = y + 1",
        "B>A ACK seq = y + 1, ack = x + 101",
        "B>A ACK seq = y + 1, ack = x + 102",
        "B>A PSH, ACK seq = y + 1, ack = x + 102, 1000 bytes",
        "A>B ACK seq = x + 102, ack = y + 1001",
        "B>A FIN, ACK seq = y + 1001, ack = x + 102",
        "A>B ACK seq = x + 102, ack = y + 1002",
    ];
    assert_eq!(script(Scene::HalfClose), expected);
    assert!(states(Scene::HalfClose, 0).contains(&"FIN-WAIT-2".to_owned()));
}

#[test]
fn every_segment_has_its_words_and_fits_the_terminal() {
    for &scene in Scene::value_variants() {
        let Some(played) = Played::new(scene) else { continue };
        let flow = played.flow();
        assert_eq!(flow.segments.len(), played.steps.len(), "{scene}: {:#?}", script(scene));
        let clock = Clock::new(flow.segments.iter().map(|segment| segment.t));
        for line in flow.segments.iter().flat_map(|segment| rung(&flow, segment, clock)) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn no_two_labels_of_a_picture_overlap() {
    for &scene in Scene::value_variants() {
        let Some(played) = Played::new(scene) else { continue };
        let picture = played.picture();
        let labels = picture.labels();
        assert!(labels.len() > 8);
        for (place, label) in labels.iter().enumerate() {
            let other = labels[place + 1..].iter().find(|other| label.overlaps(other));
            assert!(other.is_none(), "{scene}: {label:?} and {other:?}");
        }
    }
}

#[test]
fn tcp_brings_all_in_order_and_udp_what_comes() {
    let contrast = contrast(7);
    let done: Vec<_> = contrast.messages.iter().map(|message| message.sent + message.tcp.unwrap()).collect();
    assert!(done.is_sorted());
    let lost = contrast.messages.iter().filter(|message| message.udp.is_none()).count();
    assert!((1..10).contains(&lost), "{lost}");
    assert!(contrast.messages.iter().filter_map(|message| message.udp).all(|late| late == 25_000_000));
    assert!(contrast.messages.iter().any(|message| message.tcp.unwrap() > 50_000_000));
    assert_eq!(contrast.udp.packets().count(), contrast.messages.len());
}

#[test]
fn the_log_of_both_protocols_has_the_packets_of_both() {
    let contrast = contrast(7);
    let log = contrast.log();
    let names: Vec<_> = log.header.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["TCP, A to B", "TCP, B to A", "UDP, A to B"]);
    assert!(log.records.is_sorted_by_key(Record::t));
    let (datagrams, segments): (Vec<_>, Vec<_>) =
        log.packets().partition(|packet| matches!(packet.transport, Transport::Udp { len: 100 }));
    assert_eq!((datagrams.len(), segments.len()), (30, contrast.tcp.packets().count()));
    assert!(datagrams.iter().all(|packet| packet.link == 2));
    let lost = datagrams.iter().filter(|packet| packet.fate == PacketFate::Lost).count();
    assert_eq!(lost, contrast.messages.iter().filter(|message| message.udp.is_none()).count());
    let mut lines = Vec::new();
    log.write_json(&mut lines).unwrap();
    assert_eq!(Log::read_json(&lines[..]).unwrap().packets().count(), log.packets().count());
}
