//! What the kernel's connect says to what the application decides on its SYN, and to a stack that answers for every address.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream as KernelStream;
use tokio_netstack::{ListenConfig, TcpIncoming, TcpListener};

use crate::bytes::echo;
use crate::cases::Family;
use crate::world::{CaseResult, FOREIGN_V4, FOREIGN_V6, Failure, World, ensure, settle};

/// Accepted after a while, with a SYN sent again meanwhile; refused; and left without an answer.
// req: S-LISTEN-3, S-CLOSED-2
pub(crate) async fn decisions(world: Arc<World>) -> CaseResult {
    // Two SYNs, and three seconds in all.
    std::fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1")?;
    let incoming = TcpIncoming::bind(&world.stack, world.at_stack(7), ListenConfig::new())?;
    let connect = || world.on_kernel(KernelStream::connect(world.at_stack(7)));

    let connecting = connect();
    let syn = incoming.next().await.ok_or("the stack has stopped")?;
    ensure!(syn.local_addr() == world.at_stack(7), "the SYN went to {}", syn.local_addr());
    ensure!(syn.peer_addr().ip() == world.kernel_ip(), "the SYN came from {}", syn.peer_addr());
    let probe = || world.stack.counters().drop_undecided;
    settle("SYNs that joined the first", 1, probe).await?;
    ensure!(!connecting.is_finished(), "the kernel has an answer before the decision");
    let (accepted, connected) = tokio::join!(syn.accept(), connecting);
    let (accepted, mut connected) = (accepted?, connected??);
    ensure!(
        accepted.peer_addr()? == connected.local_addr()?,
        "accepted {accepted:?}, connected {connected:?}"
    );
    let echoing = tokio::spawn(echo(accepted));
    let answer = world.on_kernel(async move {
        connected.write_all(b"after a decision").await?;
        connected.shutdown().await?;
        let mut text = String::new();
        connected.read_to_string(&mut text).await?;
        io::Result::Ok(text)
    });
    ensure!(answer.await?? == "after a decision", "not what was sent");
    echoing.await??;

    let (began, connecting) = (Instant::now(), connect());
    incoming.next().await.ok_or("the stack has stopped")?.reject();
    let error = connecting.await?.err().ok_or("connected though rejected")?;
    ensure!(error.kind() == ErrorKind::ConnectionRefused, "not refused but {error:?}");
    ensure!(began.elapsed() < Duration::from_millis(500), "refused only after {:?}", began.elapsed());

    let connecting = connect();
    for attempt in 1..=2 {
        let syn = incoming.next().await.ok_or("the stack has stopped")?;
        ensure!(!connecting.is_finished(), "an answer before SYN {attempt} was decided on");
        syn.ignore();
    }
    let error = connecting.await?.err().ok_or("connected though ignored")?;
    ensure!(error.kind() == ErrorKind::TimedOut, "not timed out but {error:?}");
    Ok(())
}

/// The kernel connects to hosts and ports that are nobody's; the stack takes them all, and knows which they were.
pub(crate) async fn any_address(world: Arc<World>) -> CaseResult {
    let listener = TcpListener::bind_all(&world.stack).await?;
    let host = |n: u8| -> IpAddr {
        match world.family {
            Family::V4 => Ipv4Addr::from_bits(FOREIGN_V4.to_bits() + u32::from(n)).into(),
            Family::V6 => Ipv6Addr::from_bits(FOREIGN_V6.to_bits() + u128::from(n)).into(),
        }
    };
    let targets = [(host(2), 1), (host(77), 443), (host(254), 65_535), (world.stack_ip(), 80)];
    for target in targets.map(SocketAddr::from) {
        let client = world.on_kernel(async move {
            let mut stream = KernelStream::connect(target).await?;
            stream.write_all(target.to_string().as_bytes()).await?;
            stream.shutdown().await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            Ok::<_, Failure>((text, stream.local_addr()?))
        });
        let (stream, peer) = listener.accept().await?;
        ensure!(stream.local_addr()? == target, "{target} was accepted as {}", stream.local_addr()?);
        echo(stream).await?;
        let (text, local) = client.await??;
        ensure!(text == target.to_string(), "{text:?} came back from {target}");
        ensure!(local == peer, "the kernel says {local}, the stack says {peer}");
    }
    Ok(())
}
