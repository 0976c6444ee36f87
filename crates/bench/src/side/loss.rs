//! Random loss in a namespace that forwards, by the kernel's packet filter.
//!
//! What `nft` would make of this, without the program:
//!
//! ```text
//! table ip bench {
//!     chain loss {
//!         type filter hook forward priority 0;
//!         numgen random mod 100 == 0 drop
//!     }
//! }
//! ```

use std::io;

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Cmp, DataAttribute, Expressions, Hook, Immediate, InetHookNumber,
    NfTablesMessage, Operator, Register, RuleAttribute, RuleMessage, TableAttribute, TableMessage, Verdict,
    VerdictAttribute,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

const TABLE: &str = "bench";
const CHAIN: &str = "loss";

/// The subsystem that a batch is for, in the header of its first and last message.
const NFNL_SUBSYS_NFTABLES: u16 = 10;

// linux/netfilter/nf_tables.h
const NFT_REG_1: u32 = 1;
const NFTA_NG_DREG: u16 = 1;
const NFTA_NG_MODULUS: u16 = 2;
const NFTA_NG_TYPE: u16 = 3;
const NFTA_NG_OFFSET: u16 = 4;
const NFT_NG_RANDOM: u32 = 1;
// linux/netfilter.h
const NF_DROP: u32 = 0;

/// Of the packets that this namespace forwards, drops one in `n` at random.
///
/// # Errors
/// No right to, or a kernel without nf_tables and its number generator.
pub(super) fn drop_one_in(n: u32) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut batch = Vec::new();
    let parts = parts(n);
    let asked = parts.len() - 2;
    for (sequence, part) in (1..).zip(parts) {
        let mut message = part;
        message.header.sequence_number = sequence;
        message.finalize();
        let start = batch.len();
        batch.resize(start + message.buffer_len(), 0);
        message.serialize(&mut batch[start..]);
    }
    socket.send(&batch, 0)?;
    for _ in 0..asked {
        let (answer, _) = socket.recv_from_full()?;
        check(&answer)?;
    }
    Ok(())
}

/// An answer is an acknowledgement or an error.
fn check(answer: &[u8]) -> io::Result<()> {
    let bad = |e: netlink_packet_core::DecodeError| io::Error::new(io::ErrorKind::InvalidData, e.to_string());
    match NetlinkMessage::<NetfilterMessage>::deserialize(answer).map_err(bad)?.payload {
        NetlinkPayload::Error(message) if message.code.is_some() => {
            let source = message.to_io();
            Err(io::Error::new(
                source.kind(),
                format!("nf_tables refused the rule that loses packets: {source}"),
            ))
        }
        _ => Ok(()),
    }
}

/// The messages of the batch.
fn parts(n: u32) -> Vec<NetlinkMessage<NetfilterMessage>> {
    let table = TABLE.to_owned();
    let chain = CHAIN.to_owned();
    vec![
        control(ControlMessage::BatchBegin),
        change(NfTablesMessage::NewTable(TableMessage {
            attributes: vec![TableAttribute::Name(table.clone())],
        })),
        change(NfTablesMessage::NewChain(ChainMessage {
            attributes: vec![
                ChainAttribute::Table(table.clone()),
                ChainAttribute::Name(chain.clone()),
                ChainAttribute::Type("filter".to_owned()),
                ChainAttribute::Hook(vec![Hook::Number(InetHookNumber::Forward.into()), Hook::Priority(0)]),
            ],
        })),
        change(NfTablesMessage::NewRule(RuleMessage {
            attributes: vec![
                RuleAttribute::Table(table),
                RuleAttribute::Chain(chain),
                RuleAttribute::Expressions(
                    [random(n), is_zero(), drop_it()].into_iter().map(Into::into).collect(),
                ),
            ],
        })),
        control(ControlMessage::BatchEnd),
    ]
}

/// A number below `n` into a register.
fn random(n: u32) -> Expressions {
    let number = |kind, value: u32| DefaultNla::new(kind, value.to_be_bytes().to_vec());
    Expressions::Other {
        expression_type: "numgen".to_owned(),
        attributes: vec![
            number(NFTA_NG_DREG, NFT_REG_1),
            number(NFTA_NG_MODULUS, n),
            number(NFTA_NG_TYPE, NFT_NG_RANDOM),
            number(NFTA_NG_OFFSET, 0),
        ],
    }
}

/// Goes on where it is zero, which is the same in any byte order.
fn is_zero() -> Expressions {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(Operator::Equal),
        Cmp::Data(DataAttribute::Value(vec![0; 4])),
    ])
}

fn drop_it() -> Expressions {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(vec![VerdictAttribute::Code(Verdict::Other(NF_DROP))])),
    ])
}

fn control(message: ControlMessage) -> NetlinkMessage<NetfilterMessage> {
    request(NetfilterProtoFamily::Unspec, NFNL_SUBSYS_NFTABLES, message.into(), 0)
}

fn change(message: NfTablesMessage) -> NetlinkMessage<NetfilterMessage> {
    request(NetfilterProtoFamily::IPv4, 0, message.into(), NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND)
}

fn request(
    family: NetfilterProtoFamily,
    resource: u16,
    inner: NetfilterMessageInner,
    flags: u16,
) -> NetlinkMessage<NetfilterMessage> {
    let message = NetfilterMessage::new(NetfilterHeader::new(family, 0, resource), inner);
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | flags;
    message
}
