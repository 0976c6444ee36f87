//! Sending and checking reproducible bytes, over either end's sockets.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::pattern::Pattern;

/// A usual application buffer.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Writes the first `total` bytes of the stream of `seed`, `chunk` at a time.
pub(crate) async fn send<W>(writer: &mut W, seed: u64, total: u64, chunk: usize) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let mut pattern = Pattern::new(seed);
    let mut buf = vec![0; chunk];
    let mut left = total;
    while left > 0 {
        let n = left.min(chunk as u64) as usize;
        pattern.fill(&mut buf[..n]);
        writer.write_all(&buf[..n]).await?;
        left -= n as u64;
    }
    writer.flush().await
}

/// Reads `total` bytes, `chunk` at most at a time, each compared with the stream of `seed`.
pub(crate) async fn check<R>(reader: &mut R, seed: u64, total: u64, chunk: usize) -> io::Result<()>
where
    R: AsyncRead + Unpin,
{
    let mut pattern = Pattern::new(seed);
    let (mut got, mut expected) = (vec![0; chunk], vec![0; chunk]);
    let mut offset = 0;
    while offset < total {
        let want = (total - offset).min(chunk as u64) as usize;
        let n = reader.read(&mut got[..want]).await?;
        if n == 0 {
            let message = format!("the stream ended after {offset} of {total} bytes");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        pattern.fill(&mut expected[..n]);
        if let Some(at) = got[..n].iter().zip(&expected[..n]).position(|(a, b)| a != b) {
            let message = format!("byte {} of {total} is not the one that was sent", offset + at as u64);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        offset += n as u64;
    }
    Ok(())
}

/// Reads on, and fails if anything but the end of the stream follows.
pub(crate) async fn check_end<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<()> {
    match reader.read(&mut [0; 16]).await? {
        0 => Ok(()),
        n => {
            let message = format!("{n} bytes follow where the stream should end");
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    }
}

/// Sends `total` bytes of the stream of `sends`, closes that half, and checks that as many of the stream of `expects` come, and
/// then the end.
pub(crate) async fn exchange<S>(stream: S, sends: u64, expects: u64, total: u64) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = async {
        send(&mut writer, sends, total, CHUNK).await?;
        writer.shutdown().await
    };
    tokio::try_join!(sending, check(&mut reader, expects, total, CHUNK))?;
    check_end(&mut reader).await
}

/// Writes back what it reads until the peer's end of stream, then closes its own half.
pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let mut buf = vec![0; CHUNK];
    loop {
        match stream.read(&mut buf).await? {
            0 => return stream.shutdown().await,
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}
