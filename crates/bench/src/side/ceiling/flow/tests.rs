use super::*;

fn segment(seq: u32, ack: u32, window: u16) -> TcpHeader {
    TcpHeader { seq: SeqNum(seq), ack: SeqNum(ack), flags: TcpFlags::ACK, window, ..TcpHeader::default() }
}

fn opened() -> Flow {
    let mut syn = TcpHeader { seq: SeqNum(99), flags: TcpFlags::SYN, ..TcpHeader::default() };
    syn.options.window_scale = Some(2);
    let mut flow = Flow::new(&syn);
    let header = flow.syn_ack().unwrap();
    assert_eq!((header.ack, header.options.mss), (SeqNum(100), Some(MSS)));
    assert!(flow.syn_ack().is_none());
    flow
}

#[test]
fn data_goes_as_far_as_the_scaled_window() {
    let mut flow = opened();
    assert!(flow.data(44 * 1460).is_none());
    flow.receive(&segment(100, 1, 1460), 0);
    let (header, len) = flow.data(3 * 1460).unwrap();
    assert_eq!((header.seq, len), (SeqNum(1), 3 * 1460));
    assert_eq!(flow.data(3 * 1460).unwrap().1, 1460);
    assert!(flow.data(3 * 1460).is_none());
}

#[test]
fn what_came_in_order_is_acknowledged_and_nothing_else() {
    let mut flow = opened();
    assert!(flow.ack().is_none());
    flow.receive(&segment(100, 1, 10), 500);
    assert_eq!(flow.ack().unwrap().ack, SeqNum(600));
    flow.receive(&segment(700, 1, 10), 500);
    assert_eq!(flow.ack().unwrap().ack, SeqNum(600));
    assert!(flow.ack().is_none());
}
