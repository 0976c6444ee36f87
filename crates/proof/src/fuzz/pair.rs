//! Two connections over a channel that the input rules: whatever it did, once it is done all arrives, and both ends close.

use core::time::Duration;

use arbitrary::Unstructured;
use netstack_tcp::testing::{Fate, Pair, Side};
use netstack_tcp::{State, TcpConfig};

use super::call;

/// Octets that both applications write at most.
const MOST: usize = 256 << 10;

/// Segments that no run needs.
const STORM: usize = 200_000;

/// How long the ends have once the channel is faithful: a timer's longest back-off, often enough.
const PATIENCE: Duration = Duration::from_secs(48 * 3600);

/// Whether `side` is done: both FINs went through, or nothing of the connection is left.
fn is_closed(pair: &mut Pair, side: Side) -> bool {
    matches!(pair.connection(side).state(), State::Closed | State::TimeWait)
}

fn config(input: &mut Unstructured<'_>) -> arbitrary::Result<TcpConfig> {
    let mut config = call::config(input)?;
    // Nobody gives up while the channel is at its worst.
    let never = Duration::from_secs(1 << 20);
    config.user_timeout(None).syn_timeout(never).syn_ack_timeout(never).keepalive(None);
    Ok(config)
}

/// The channel's fate of each segment, the applications' calls and the time between them are all in the octets.
pub fn pair(data: &[u8]) {
    let _ = run(data);
}

fn run(data: &[u8]) -> arbitrary::Result<()> {
    // The channel has its octets, the applications have theirs.
    let (calls, fates) = data.split_at(data.len() / 2);
    let mut input = Unstructured::new(calls);
    let delay = Duration::from_millis(u64::from(input.arbitrary::<u8>()?));
    let mut pair = Pair::new(config(&mut input)?, config(&mut input)?, delay);
    let mut fates = Vec::from(fates).into_iter();
    pair.script(move |_| match fates.next().unwrap_or(0) {
        0..=127 => Fate::Deliver,
        128..=191 => Fate::Drop,
        192..=223 => Fate::Duplicate,
        late => Fate::Delay(Duration::from_millis(u64::from(late - 223) * 20)),
    });
    if input.arbitrary::<u8>()? & 7 == 0 {
        pair.connect(Side::B);
    }
    let mut written: [Vec<u8>; 2] = Default::default();
    let mut open = [true; 2];
    // B has no connection before A's SYN has come.
    pair.run_until(PATIENCE, |pair| pair.connection(Side::A).state() != State::SynSent);
    while !input.is_empty() {
        let [kind, amount] = input.arbitrary::<[u8; 2]>()?;
        let side = if kind & 1 == 0 { Side::A } else { Side::B };
        let (mine, len) =
            (side as usize, usize::from(amount) * [1, 37, 1460, 4000][usize::from(kind >> 1 & 3)]);
        match kind >> 3 & 7 {
            0..=2 if open[mine] && written[mine].len() + len <= MOST => {
                let start = written[mine].len();
                let octets: Vec<u8> = (start..start + len).map(|at| (at % 251) as u8).collect();
                pair.write(side, &octets);
                written[mine].extend_from_slice(&octets);
            }
            3 => pair.set_reading(side, amount & 1 == 0),
            4 if amount > 128 => {
                open[mine] = false;
                pair.command(side, |connection, _| connection.shutdown_write());
            }
            5 => {
                pair.command(side, |connection, _| {
                    connection.discard_out_of_order();
                    connection.set_recv_limit(usize::from(amount) << 10);
                });
            }
            _ => {
                pair.run_until(Duration::from_millis(u64::from(amount) * 8), |pair| {
                    assert!(is_quiet(pair), "a storm: {pair:?}");
                    false
                });
            }
        }
    }
    finish(&mut pair, &written);
    Ok(())
}

/// No end sends without end: the last of what they sent, if one does.
fn is_quiet(pair: &Pair) -> bool {
    let len = pair.log.len();
    if len > STORM {
        for flight in &pair.log[len - 40..] {
            let header = &flight.segment.header;
            println!(
                "{:?} {:?} {} seq {} ack {} win {} text {} {:?}",
                flight.sent,
                flight.from,
                header.flags,
                header.seq,
                header.ack,
                header.window,
                flight.segment.payload.len(),
                header.options
            );
        }
    }
    len <= STORM
}

fn finish(pair: &mut Pair, written: &[Vec<u8>; 2]) {
    for side in [Side::A, Side::B] {
        pair.set_reading(side, true);
        pair.command(side, |connection, _| {
            connection.set_recv_limit(usize::MAX);
            connection.shutdown_write();
        });
    }
    let closed = pair.run_until(PATIENCE, |pair| {
        assert!(is_quiet(pair), "a storm: {pair:?}");
        is_closed(pair, Side::A) && is_closed(pair, Side::B)
    });
    for side in [Side::A, Side::B] {
        let peer = &written[side.other() as usize];
        assert_eq!(pair.received(side).len(), peer.len(), "{side:?} has read all; {pair:?}");
        assert!(pair.received(side) == peer.as_slice(), "{side:?} has read what was written");
    }
    assert!(closed, "both ends close: {pair:?}");
}
