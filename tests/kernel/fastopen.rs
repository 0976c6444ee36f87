//! TCP Fast Open (RFC 7413) with the kernel, in both roles; the kernel's own counters tell whether data went on the SYN.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{FastOpen, TcpStream};

use crate::counters::counter;
use crate::world::{CaseResult, World, ensure, settle};

/// Client and server, the latter for listeners that do not ask for it too (`TFO_SERVER_WO_SOCKOPT1`).
const BOTH_ROLES: &str = "1027";
const SWITCH: &str = "/proc/sys/net/ipv4/tcp_fastopen";
const KEY: &str = "/proc/sys/net/ipv4/tcp_fastopen_key";

/// `MSG_FASTOPEN` of `sendto`.
const MSG_FASTOPEN: i32 = 0x2000_0000;

const REQUEST: &[u8] = b"a request that fits a SYN";
const VISITS: u64 = 4;

/// How often the kernel says that this happened.
fn extended(name: &str) -> io::Result<u64> {
    counter("netstat", "TcpExt:", name)
}

/// Opens with `sendto` and sends all of [`REQUEST`]; what comes back until the end.
fn request(target: SocketAddr) -> io::Result<Vec<u8>> {
    let mut socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let sent = socket.send_to_with_flags(REQUEST, &SockAddr::from(target), MSG_FASTOPEN)?;
    socket.write_all(&REQUEST[sent..])?;
    let mut answer = vec![0; REQUEST.len()];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

/// The kernel asks the stack for a cookie, and from the next time on sends its request on the SYN.
// req: R7413-2, R7413-3
pub(crate) async fn from_kernel(world: Arc<World>) -> CaseResult {
    std::fs::write(SWITCH, BOTH_ROLES)?;
    let listener = world.listen(7).await?;
    listener.set_fastopen(16)?;
    let target = world.at_stack(7);
    for visit in 0..VISITS {
        let client = world.kernel.spawn_blocking(move || request(target));
        let (mut stream, _) = listener.accept().await?;
        let mut data = vec![0; REQUEST.len()];
        stream.read_exact(&mut data).await?;
        stream.write_all(&data).await?;
        ensure!(client.await?? == REQUEST, "visit {visit} brought back something else");
        let outcome = stream.info().await?.fast_open;
        let wanted = if visit == 0 { FastOpen::Cookie } else { FastOpen::Used };
        ensure!(outcome == wanted, "visit {visit} came to {outcome:?}");
    }
    let counters = world.stack.counters();
    let seen = (counters.fast_open_cookies, counters.fast_open_accepted, counters.fast_open_refused);
    ensure!(seen == (1, VISITS - 1, 0), "cookies given, accepted and refused: {seen:?}");
    let (used, failed) = (extended("TCPFastOpenActive")?, extended("TCPFastOpenActiveFail")?);
    ensure!((used, failed) == (VISITS - 1, 0), "the kernel's client counts {used} used, {failed} failed");
    // A stack that will not have it any more is fallen back from.
    listener.set_fastopen(0)?;
    let client = world.kernel.spawn_blocking(move || request(target));
    let (mut stream, _) = listener.accept().await?;
    let mut data = vec![0; REQUEST.len()];
    stream.read_exact(&mut data).await?;
    stream.write_all(&data).await?;
    ensure!(client.await?? == REQUEST, "the plain handshake brought back something else");
    ensure!(world.stack.counters().fast_open_accepted == VISITS - 1, "taken though it is off");
    Ok(())
}

/// The stack asks the kernel for a cookie, and from the next time on sends its request on the SYN; a cookie that the kernel
/// does not know any more is replaced.
// req: R7413-3, R7413-5
pub(crate) async fn to_kernel(world: Arc<World>) -> CaseResult {
    std::fs::write(SWITCH, BOTH_ROLES)?;
    let ip = world.kernel_ip();
    let listener = world.on_kernel(tokio::net::TcpListener::bind((ip, 0))).await??;
    let target = listener.local_addr()?;
    // Four octets say how much follows.
    world.on_kernel(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let len = stream.read_u32().await?;
            let mut data = vec![0; len as usize];
            stream.read_exact(&mut data).await?;
            stream.write_all(&data).await?;
        }
        io::Result::Ok(())
    });
    let lengths = [10, 20, 1_300, 5_000, 30, 40];
    let outcomes = [
        FastOpen::Cookie,
        FastOpen::Used,
        FastOpen::Used,
        FastOpen::Used,
        // The key has changed.
        FastOpen::Fallback,
        FastOpen::Used,
    ];
    for (visit, (len, wanted)) in lengths.into_iter().zip(outcomes).enumerate() {
        if wanted == FastOpen::Fallback {
            std::fs::write(KEY, "01234567-89abcdef-01234567-89abcdef")?;
        }
        let text: Vec<u8> = (0..len).map(|at: u32| at as u8).collect();
        let request = [&len.to_be_bytes()[..], &text].concat();
        let mut stream = TcpStream::connect_fastopen(&world.stack, target, &request).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        ensure!(answer == text, "visit {visit} brought back something else");
        let outcome = stream.info().await?.fast_open;
        ensure!(outcome == wanted, "visit {visit} came to {outcome:?}, not {wanted:?}");
    }
    let counters = world.stack.counters();
    let seen = (counters.fast_open_used, counters.fast_open_fallback);
    ensure!(seen == (4, 1), "the stack counts {seen:?} as used and not");
    let taken = || extended("TCPFastOpenPassive").unwrap_or_default();
    settle("data that the kernel took from SYNs", 4, taken).await?;
    let asked = extended("TCPFastOpenCookieReqd")?;
    ensure!(asked == 1, "the kernel was asked for a cookie {asked} times");
    Ok(())
}
