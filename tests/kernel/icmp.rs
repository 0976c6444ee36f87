//! The kernel's ping, and its UDP to a port that nobody has.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio_netstack::{IcmpNotice, PingError, PingFailure};

use crate::cases::Family;
use crate::world::{CaseResult, World, ensure};

const PATIENCE: Duration = Duration::from_secs(2);

/// Echo requests of several sizes, up to what fills a packet of the MTU, come back as they were.
// req: R792-1, R4443-1, R4443-7
pub(crate) async fn ping(world: Arc<World>) -> CaseResult {
    // Group 0 is the only one in a user namespace of one's own, and root's.
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0")?;
    let (family, target) = (world.family, world.at_stack(0));
    let largest = match family {
        Family::V4 => 1500 - 20 - 8,
        Family::V6 => 1500 - 40 - 8,
    };
    let pings = move || {
        let mut sizes = [0, 1, 56, largest].into_iter().zip(1..);
        sizes.try_for_each(|(size, sequence)| ping_once(family, target, sequence, size))
    };
    world.kernel.spawn_blocking(pings).await?
}

/// Echo requests that the kernel sends in fragments come back in fragments, up to the longest of all.
// req: R791-2, R8200-20, R8200-10
pub(crate) async fn long_ping(world: Arc<World>) -> CaseResult {
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0")?;
    let (family, target) = (world.family, world.at_stack(0));
    let sizes = [1233, 1473, 3000, 8000, 20_000, 60_000, 65_507];
    let pings =
        move || sizes.into_iter().zip(1..).try_for_each(|(size, seq)| ping_once(family, target, seq, size));
    world.kernel.spawn_blocking(pings).await??;
    let counters = world.stack.counters();
    let expected = counters.rx_reassembled;
    ensure!(expected >= 5, "only {expected} of 7 requests came in fragments");
    ensure!(
        counters.tx_fragmented == expected,
        "{} of {expected} answers in fragments",
        counters.tx_fragmented
    );
    ensure!(counters.tx_lost == 0, "{} packets lost", counters.tx_lost);
    Ok(())
}

fn ping_once(family: Family, target: SocketAddr, sequence: u16, size: usize) -> CaseResult {
    let (domain, protocol, request, reply) = match family {
        Family::V4 => (Domain::IPV4, Protocol::ICMPV4, 8, 0),
        Family::V6 => (Domain::IPV6, Protocol::ICMPV6, 128, 129),
    };
    let mut socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&target.into())?;
    // The kernel fills in checksum and identifier.
    let mut message = vec![request, 0, 0, 0, 0, 0];
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend((0..size).map(|i| i as u8));
    socket.send(&message)?;

    let mut buf = vec![0; 65_536];
    let len =
        socket.read(&mut buf).map_err(|error| format!("no answer to a ping of {size} bytes: {error}"))?;
    let answer = &buf[..len];
    ensure!(answer[..2] == [reply, 0], "type and code {:?} instead of an echo reply", &answer[..2]);
    ensure!(answer[6..] == message[6..], "a ping of {size} bytes came back changed");
    Ok(())
}

/// The stack's own pings: the kernel answers them, says that there is no way, and where the hop limit ran out.
// req: R792-1, R4443-1, R792-7
pub(crate) async fn ping_kernel(world: Arc<World>) -> CaseResult {
    let (stack, kernel) = (&world.stack, world.kernel_ip());
    let largest = if kernel.is_ipv4() { 1472 } else { 1452 };
    for len in [0, 1, 56, largest] {
        let reply = stack.ping(kernel).data_len(len).await?;
        ensure!((reply.from, reply.data_len) == (kernel, len), "{reply:?}");
        ensure!(reply.rtt < Duration::from_secs(1) && reply.hop_limit == 64, "{reply:?}");
    }
    let patience = Duration::from_millis(300);
    let silence = stack.ping(world.silent_ip()).timeout(patience).await;
    ensure!(silence.is_err_and(|e| e.kind() == ErrorKind::TimedOut), "somebody answered, or said why not");
    let forwarding = match world.family {
        Family::V4 => "/proc/sys/net/ipv4/ip_forward",
        Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
    };
    std::fs::write(forwarding, "1")?;
    let far = world.unreachable_ip();
    let error = stack.ping(far).await.err().ok_or("an answer from nowhere")?;
    ensure!(error.kind() == ErrorKind::NetworkUnreachable, "not unreachable but {error:?}");
    let error = stack.ping(world.silent_ip()).hop_limit(1).await.err().ok_or("an answer from nowhere")?;
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<PingError>()).copied();
    ensure!(
        told.is_some_and(
            |told| told.from == kernel && told.reason == PingFailure::Notice(IcmpNotice::TimeExceeded)
        ),
        "no router told that the hop limit ran out, but {error:?}"
    );
    Ok(())
}

/// A datagram to a port of the stack that nobody is bound to: the kernel's socket hears of it.
// req: R768-4, R4443-6, R792-5
pub(crate) async fn udp_to_closed_port(world: Arc<World>) -> CaseResult {
    let (local, target): (IpAddr, _) = (world.kernel_ip(), world.at_stack(9));
    let probe = move || {
        let socket = UdpSocket::bind((local, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(target)?;
        socket.send(b"anybody?")?;
        socket.recv(&mut [0; 16])
    };
    match world.kernel.spawn_blocking(probe).await? {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?} instead of a refusal").into()),
    }
}
