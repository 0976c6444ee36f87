//! The client's part: the kernel's sockets, or those of a second stack.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_netstack::{Stack, TcpStream};

use crate::hex::hex;
use crate::number::grouped;
use crate::pattern::Pattern;
use crate::services::chargen_round;
use crate::timeline::Timeline;

const BUFFER: usize = 256 * 1024;

/// Whose TCP the client uses.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    Kernel,
    Stack(Stack),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// What an echo of many bytes came to.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    pub(crate) sent: String,
    pub(crate) returned: String,
}

impl Client {
    async fn connect(&self, server: SocketAddr) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Kernel => Box::new(tokio::net::TcpStream::connect(server).await?),
            Self::Stack(stack) => Box::new(TcpStream::connect(stack, server).await?),
        })
    }

    /// As [`connect`](Self::connect), for a reader and a writer that run side by side.
    async fn connect_halves(&self, server: SocketAddr) -> io::Result<(Reader, Writer)> {
        Ok(match self {
            Self::Kernel => {
                let (reader, writer) = tokio::net::TcpStream::connect(server).await?.into_split();
                (Box::new(reader), Box::new(writer))
            }
            Self::Stack(stack) => {
                let (reader, writer) = TcpStream::connect(stack, server).await?.into_split();
                (Box::new(reader), Box::new(writer))
            }
        })
    }

    /// Connects, sends, reads back, compares, and closes its half; in steps, each once the wire is quiet after
    /// the one before.
    pub(crate) async fn echo_in_steps(
        self,
        server: SocketAddr,
        bytes: usize,
        wire: Timeline,
    ) -> io::Result<()> {
        let sent = some_bytes(bytes);
        let mut stream = self.connect(server).await?;
        wire.quiet().await;
        stream.write_all(&sent).await?;
        read_back(&mut stream, &sent).await?;
        wire.quiet().await;
        stream.shutdown().await?;
        read_end(&mut stream).await
    }

    /// Connects, sends, closes its half, and only then reads back and compares.
    pub(crate) async fn echo_after_end(self, server: SocketAddr, bytes: usize) -> io::Result<()> {
        let sent = some_bytes(bytes);
        let mut stream = self.connect(server).await?;
        stream.write_all(&sent).await?;
        stream.shutdown().await?;
        read_back(&mut stream, &sent).await?;
        read_end(&mut stream).await
    }

    /// Sends bytes that nobody wants, and reads the end.
    pub(crate) async fn discard(self, server: SocketAddr, bytes: usize) -> io::Result<()> {
        let mut stream = self.connect(server).await?;
        stream.write_all(&vec![0x55; bytes]).await?;
        stream.shutdown().await?;
        read_end(&mut stream).await
    }

    /// Reads the line of the daytime service; closes second.
    pub(crate) async fn daytime(self, server: SocketAddr, wire: Timeline) -> io::Result<String> {
        let mut stream = self.connect(server).await?;
        let mut line = String::new();
        stream.read_to_string(&mut line).await?;
        check(line.ends_with("\r\n"), || format!("the daytime service answered {line:?}"))?;
        wire.quiet().await;
        stream.shutdown().await?;
        Ok(line.trim_end().to_owned())
    }

    /// Reads from the chargen service, compares, and goes away while it still sends.
    pub(crate) async fn chargen(self, server: SocketAddr, bytes: usize) -> io::Result<()> {
        let mut stream = self.connect(server).await?;
        let mut got = vec![0; bytes];
        stream.read_exact(&mut got).await?;
        let expected = chargen_round().into_iter().cycle();
        check(expected.take(bytes).eq(got), || "the chargen service's characters are out of step".to_owned())
    }

    /// Sends and reads back at the same time, with a checksum over each direction.
    pub(crate) async fn measure(self, server: SocketAddr, bytes: u64) -> io::Result<Measured> {
        let (mut reader, mut writer) = self.connect_halves(server).await?;
        let began = Instant::now();
        let sending = tokio::spawn(async move {
            let (mut pattern, mut hash) = (Pattern::new(2), Sha256::new());
            let mut buf = vec![0; BUFFER];
            let mut left = bytes;
            while left > 0 {
                let n = left.min(BUFFER as u64) as usize;
                pattern.fill(&mut buf[..n]);
                hash.update(&buf[..n]);
                writer.write_all(&buf[..n]).await?;
                left -= n as u64;
            }
            writer.shutdown().await?;
            io::Result::Ok(hex(&hash.finalize()))
        });
        let mut hash = Sha256::new();
        let mut buf = vec![0; BUFFER];
        let mut received = 0;
        loop {
            match reader.read(&mut buf).await? {
                0 => break,
                n => {
                    hash.update(&buf[..n]);
                    received += n as u64;
                }
            }
        }
        let took = began.elapsed();
        let sent = sending.await.map_err(io::Error::other)??;
        check(received == bytes, || format!("{} of {} bytes came back", grouped(received), grouped(bytes)))?;
        Ok(Measured { bytes, took, sent, returned: hex(&hash.finalize()) })
    }
}

fn some_bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    Pattern::new(1).fill(&mut bytes);
    bytes
}

async fn read_back(stream: &mut dyn Stream, sent: &[u8]) -> io::Result<()> {
    let mut returned = vec![0; sent.len()];
    stream.read_exact(&mut returned).await?;
    check(returned == sent, || {
        format!("the {} bytes that came back are not those that were sent", sent.len())
    })
}

/// Reads the end of the stream, and complains of anything in front of it.
async fn read_end(stream: &mut dyn Stream) -> io::Result<()> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    check(rest.is_empty(), || format!("{} bytes came where the end was due", rest.len()))
}

fn check(holds: bool, complaint: impl FnOnce() -> String) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, complaint())) }
}
