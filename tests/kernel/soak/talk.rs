//! What two ends say to each other in the soak: a request, and then text in both directions, each with its SHA-256 behind it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use netstack_sim::SimRng;
use sha2::{Digest, Sha256};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio_netstack::{KeepAlive, Stack};

use crate::bytes::check_end;
use crate::pattern::Pattern;

/// When a reset is lost nothing else tells the other end of it: both sides ask after such a silence, so often.
pub(super) const KEEPALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(10), interval: Duration::from_secs(2), count: 3 };

/// One end's sockets.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// From now on, dropping it resets the connection.
    fn reset_on_drop(&self) -> io::Result<()>;
}

impl Socket for tokio::net::TcpStream {
    fn reset_on_drop(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl Socket for tokio_netstack::TcpStream {
    fn reset_on_drop(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

/// What opens one end's connections.
pub(super) trait Dial: Clone + Send + 'static {
    type Socket: Socket;

    fn dial(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Socket>> + Send;
}

/// The kernel's sockets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel;

fn keep_alive(stream: tokio::net::TcpStream) -> io::Result<tokio::net::TcpStream> {
    let KeepAlive { idle, interval, count } = KEEPALIVE;
    let times = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(count.into());
    SockRef::from(&stream).set_tcp_keepalive(&times)?;
    Ok(stream)
}

impl Dial for Kernel {
    type Socket = tokio::net::TcpStream;

    async fn dial(&self, to: SocketAddr) -> io::Result<Self::Socket> {
        tokio::net::TcpStream::connect(to).await.and_then(keep_alive)
    }
}

impl Dial for Stack {
    type Socket = tokio_netstack::TcpStream;

    async fn dial(&self, to: SocketAddr) -> io::Result<Self::Socket> {
        tokio_netstack::TcpStream::connect(self, to).await
    }
}

/// What takes one end's connections.
pub(super) trait Accept: Send + 'static {
    type Socket: Socket;

    fn next(&self) -> impl Future<Output = io::Result<Self::Socket>> + Send;
}

impl Accept for tokio::net::TcpListener {
    type Socket = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Self::Socket> {
        self.accept().await.and_then(|(stream, _)| keep_alive(stream))
    }
}

impl Accept for tokio_netstack::TcpListener {
    type Socket = tokio_netstack::TcpStream;

    async fn next(&self) -> io::Result<Self::Socket> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Who closes first, or goes away without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Both send at once, and each closes its half when it has sent.
    Together,
    /// The server sends when the client has closed its half.
    ClientFirst,
    /// The client sends when the server has closed its half.
    ServerFirst,
    /// The one resets, or drops its socket, when it has sent half of its text.
    ClientResets,
    ClientDrops,
    ServerResets,
    ServerDrops,
}

impl Plan {
    const ALL: [Self; 7] = [
        Self::Together,
        Self::ClientFirst,
        Self::ServerFirst,
        Self::ClientResets,
        Self::ClientDrops,
        Self::ServerResets,
        Self::ServerDrops,
    ];

    /// Whether the server's end, or the client's, is cut off by the other.
    fn cuts_off(self, server: bool) -> bool {
        match self {
            Self::Together | Self::ClientFirst | Self::ServerFirst => false,
            Self::ClientResets | Self::ClientDrops => server,
            Self::ServerResets | Self::ServerDrops => !server,
        }
    }
}

/// What the client tells the server first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    plan: Plan,
    seed: u64,
    /// Octets of text, either way.
    up: u64,
    down: u64,
}

const REQUEST_LEN: usize = 25;
/// Octets of text at most, but for one in [`LARGE`].
const MOST: u32 = 20;
const LARGE: u64 = 64;

impl Request {
    pub(super) fn random(rng: &mut SimRng) -> Self {
        let mut len = || {
            let most = if rng.one_in(LARGE) { 1 << 24 } else { 1 << (6 + rng.below(u64::from(MOST) - 5)) };
            rng.below(most)
        };
        let (up, down) = (len(), len());
        let plan = Plan::ALL[rng.below(Plan::ALL.len() as u64) as usize];
        Self { plan, seed: rng.next_u64(), up, down }
    }

    fn encode(&self) -> [u8; REQUEST_LEN] {
        let mut octets = [0; REQUEST_LEN];
        let fields = [self.seed, self.up, self.down];
        octets[0] = Plan::ALL.iter().position(|plan| *plan == self.plan).unwrap_or_default() as u8;
        for (place, field) in octets[1..].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        octets
    }

    fn decode(octets: [u8; REQUEST_LEN]) -> io::Result<Self> {
        let plan = Plan::ALL.get(usize::from(octets[0])).ok_or(io::ErrorKind::InvalidData)?;
        let mut fields = octets[1..]
            .chunks_exact(8)
            .map(|field| field.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet)));
        let mut field = || fields.next().ok_or(io::ErrorKind::InvalidData);
        Ok(Self { plan: *plan, seed: field()?, up: field()?, down: field()? })
    }

    /// The seeds of the two texts.
    fn texts(&self) -> (u64, u64) {
        (self.seed, !self.seed)
    }
}

/// Octets that an end has read and written, on connections that came to their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) read: u64,
    pub(super) written: u64,
}

/// How a connection ended, as it was to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    /// Both texts arrived, with their checksums, and both ends closed.
    Whole(Moved),
    /// One end went away before.
    Cut,
}

/// Writes text in pieces of the size that the seed says.
async fn write_text<W: AsyncWrite + Unpin>(writer: &mut W, seed: u64, len: u64) -> io::Result<Sha256> {
    let (mut text, mut digest) = (Pattern::new(seed), Sha256::new());
    let mut buf = vec![0; 512 << (seed % 8)];
    let mut left = len;
    while left > 0 {
        let piece = left.min(buf.len() as u64) as usize;
        text.fill(&mut buf[..piece]);
        digest.update(&buf[..piece]);
        writer.write_all(&buf[..piece]).await?;
        left -= piece as u64;
    }
    Ok(digest)
}

/// Reads so much text, in pieces that do not depend on how it was written; some readers stop for a while.
async fn read_text<R: AsyncRead + Unpin>(reader: &mut R, seed: u64, len: u64) -> io::Result<Sha256> {
    let mut digest = Sha256::new();
    let mut buf = vec![0; 512 << (seed / 8 % 8)];
    let mut left = len;
    let mut stops = (seed / 64).is_multiple_of(4);
    while left > 0 {
        let want = left.min(buf.len() as u64) as usize;
        let got = reader.read(&mut buf[..want]).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        digest.update(&buf[..got]);
        left -= got as u64;
        if stops && left < len / 2 {
            stops = false;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    Ok(digest)
}

/// Sends a text and its checksum, and closes that half.
async fn put<W: AsyncWrite + Unpin>(writer: &mut W, seed: u64, len: u64) -> io::Result<u64> {
    let digest = write_text(writer, seed, len).await?.finalize();
    writer.write_all(&digest).await?;
    writer.shutdown().await?;
    Ok(len + digest.len() as u64)
}

/// Takes a text, its checksum and the end of the stream.
async fn take<R: AsyncRead + Unpin>(reader: &mut R, seed: u64, len: u64) -> io::Result<u64> {
    let digest: [u8; 32] = read_text(reader, seed, len).await?.finalize().into();
    let mut told = [0; 32];
    reader.read_exact(&mut told).await?;
    if told != digest {
        let message = format!("{len} octets came whose checksum is another than that of what was sent");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    check_end(reader).await?;
    Ok(len + told.len() as u64)
}

/// The client's part of a connection.
pub(super) async fn ask<S: Socket>(stream: S, request: Request) -> io::Result<Ended> {
    if request.plan == Plan::ClientResets {
        stream.reset_on_drop()?;
    }
    let (mut reader, mut writer) = split(stream);
    let (mine, theirs) = request.texts();
    let Request { plan, up, down, .. } = request;
    let talk = async {
        writer.write_all(&request.encode()).await?;
        let (written, read) = match plan {
            Plan::ClientResets | Plan::ClientDrops => {
                write_text(&mut writer, mine, up / 2).await?;
                return Ok(None);
            }
            Plan::ClientFirst => (put(&mut writer, mine, up).await?, take(&mut reader, theirs, down).await?),
            Plan::ServerFirst => {
                let read = take(&mut reader, theirs, down).await?;
                (put(&mut writer, mine, up).await?, read)
            }
            Plan::Together | Plan::ServerResets | Plan::ServerDrops => {
                tokio::try_join!(put(&mut writer, mine, up), take(&mut reader, theirs, down))?
            }
        };
        Ok(Some(Moved { read, written: written + REQUEST_LEN as u64 }))
    };
    let said = talk.await;
    judge(said, plan.cuts_off(false))
}

/// The server's part of a connection.
pub(super) async fn answer<S: Socket>(mut stream: S) -> io::Result<Ended> {
    let mut octets = [0; REQUEST_LEN];
    if let Err(error) = stream.read_exact(&mut octets).await {
        // The client went before its request had come.
        return judge(Err(error), true);
    }
    let request = Request::decode(octets)?;
    let Request { plan, up, down, .. } = request;
    if plan == Plan::ServerResets {
        stream.reset_on_drop()?;
    }
    let (mut reader, mut writer) = split(stream);
    let (theirs, mine) = request.texts();
    let talk = async {
        let (written, read) = match plan {
            Plan::ServerResets | Plan::ServerDrops => {
                read_text(&mut reader, theirs, up / 2).await?;
                write_text(&mut writer, mine, down / 2).await?;
                return Ok(None);
            }
            Plan::ClientFirst => {
                let read = take(&mut reader, theirs, up).await?;
                (put(&mut writer, mine, down).await?, read)
            }
            Plan::ServerFirst => (put(&mut writer, mine, down).await?, take(&mut reader, theirs, up).await?),
            Plan::Together | Plan::ClientResets | Plan::ClientDrops => {
                tokio::try_join!(put(&mut writer, mine, down), take(&mut reader, theirs, up))?
            }
        };
        Ok(Some(Moved { read: read + REQUEST_LEN as u64, written }))
    };
    let said = talk.await;
    judge(said, plan.cuts_off(true))
}

/// Whether a talk ended as it was to: it came to an end, this end gave it up (`None`), or the other end did and this one heard
/// of it.
fn judge(said: io::Result<Option<Moved>>, cut_off: bool) -> io::Result<Ended> {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, TimedOut, UnexpectedEof};
    match said {
        Ok(Some(_)) if cut_off => Err(io::Error::other("the other end went away, and this one was not told")),
        Ok(Some(moved)) => Ok(Ended::Whole(moved)),
        Ok(None) => Ok(Ended::Cut),
        // A reset that is lost is made good by keep-alive, or by the limit on unanswered data.
        Err(error)
            if cut_off
                && matches!(
                    error.kind(),
                    BrokenPipe | ConnectionReset | NotConnected | TimedOut | UnexpectedEof
                ) =>
        {
            Ok(Ended::Cut)
        }
        Err(error) => Err(error),
    }
}
