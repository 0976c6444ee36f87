//! How segments print.

use super::*;

#[test]
fn flags_print_as_tcpdump_prints_them() {
    let cases = [
        (TcpFlags::SYN, "S"),
        (TcpFlags::SYN | TcpFlags::ACK, "S."),
        (TcpFlags::PSH | TcpFlags::ACK, "P."),
        (TcpFlags::FIN | TcpFlags::ACK, "F."),
        (TcpFlags::RST, "R"),
        (TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR, "SEW"),
        (TcpFlags::empty(), "none"),
    ];
    for (flags, text) in cases {
        assert_eq!(flags.to_string(), text);
    }
}

#[test]
fn a_syn_prints_its_options() {
    let header = TcpHeader {
        src_port: 40_000,
        dst_port: 7,
        seq: SeqNum(1),
        flags: TcpFlags::SYN,
        window: 65_535,
        options: TcpOptions {
            mss: Some(1_460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { val: 5, ecr: 0 }),
            ..TcpOptions::default()
        },
        ..TcpHeader::default()
    };
    let line =
        Pretty { src: [192, 0, 2, 1].into(), dst: [192, 0, 2, 2].into(), header: &header, payload_len: 0 };
    assert_eq!(
        line.to_string(),
        "IP 192.0.2.1.40000 > 192.0.2.2.7: Flags [S], seq 1, win 65535, \
         options [mss 1460,sackOK,TS val 5 ecr 0,wscale 7], length 0"
    );
}

#[test]
fn data_and_sack_print_their_ranges() {
    let mut header = TcpHeader {
        src_port: 7,
        dst_port: 40_000,
        seq: SeqNum(u32::MAX),
        ack: SeqNum(9),
        flags: TcpFlags::PSH | TcpFlags::ACK | TcpFlags::URG,
        window: 10,
        urgent: 3,
        ..TcpHeader::default()
    };
    header.options.sack.push(SackBlock { left: SeqNum(20), right: SeqNum(30) });
    header.options.sack.push(SackBlock { left: SeqNum(40), right: SeqNum(50) });
    let (src, dst) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let line = Pretty { src, dst, header: &header, payload_len: 11 };
    assert_eq!(
        line.to_string(),
        "IP6 2001:db8::1.7 > 2001:db8::2.40000: Flags [P.U], seq 4294967295:10, ack 9, win 10, urg 3, \
         options [sack 2 {20:30}{40:50}], length 11"
    );
}
