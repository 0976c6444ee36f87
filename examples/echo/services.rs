//! The four services, each as its RFC has it.

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{Stack, TcpListener, TcpStream};

pub(crate) const ECHO: u16 = 7;
pub(crate) const DISCARD: u16 = 9;
pub(crate) const DAYTIME: u16 = 13;
pub(crate) const CHARGEN: u16 = 19;

const BUFFER: usize = 256 * 1024;

/// Serves all four ports at each of the stack's `addresses`, until the stack ends.
///
/// # Errors
/// An address is not the stack's, or a port is taken.
pub(crate) async fn start(stack: &Stack, addresses: &[std::net::IpAddr]) -> io::Result<()> {
    for &address in addresses {
        for port in [ECHO, DISCARD, DAYTIME, CHARGEN] {
            let listener = TcpListener::bind(stack, SocketAddr::new(address, port)).await?;
            tokio::spawn(accept_all(listener, port));
        }
    }
    Ok(())
}

async fn accept_all(listener: TcpListener, port: u16) {
    while let Ok((stream, peer)) = listener.accept().await {
        tokio::spawn(async move {
            let served = match port {
                ECHO => echo(stream).await,
                DISCARD => discard(stream).await,
                DAYTIME => daytime(stream).await,
                _ => chargen(stream).await,
            };
            match served {
                Ok(()) => tracing::debug!(%peer, port, "served"),
                Err(error) => tracing::debug!(%peer, port, %error, "ended early"),
            }
        });
    }
}

/// RFC 862: what comes in goes back; the end of the peer's stream ends ours.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; BUFFER];
    loop {
        match stream.read(&mut buf).await? {
            0 => return stream.shutdown().await,
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

/// RFC 863: what comes in is thrown away.
async fn discard(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; BUFFER];
    while stream.read(&mut buf).await? > 0 {}
    stream.shutdown().await
}

/// RFC 867: one line, and this end closes first, whatever the peer sends.
async fn daytime(mut stream: TcpStream) -> io::Result<()> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    stream.write_all(format!("{}\r\n", date(seconds)).as_bytes()).await?;
    stream.shutdown().await?;
    // What the peer still sends is read, so that it is not answered with a reset that could overtake the line.
    let mut buf = vec![0; 1024];
    while stream.read(&mut buf).await? > 0 {}
    Ok(())
}

/// RFC 864: printable characters without end; the peer ends it by going away.
async fn chargen(mut stream: TcpStream) -> io::Result<()> {
    let mut lines = Vec::new();
    while lines.len() < BUFFER {
        lines.extend_from_slice(&chargen_round());
    }
    loop {
        stream.write_all(&lines).await?;
    }
}

/// The 95 different lines, after which they begin anew: 72 characters each, a step further along the
/// printable characters with each line.
pub(crate) fn chargen_round() -> Vec<u8> {
    let printable = || (b' '..=b'~').cycle();
    let line = |first: usize| printable().skip(first).take(72).chain(*b"\r\n");
    (0..95).flat_map(line).collect()
}

/// A date in the form that RFC 867 gives as its example: `Tuesday, February 22, 1982 17:37:43-UTC`.
fn date(unix_seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    const MONTHS: [(&str, u64); 12] = [
        ("January", 31),
        ("February", 28),
        ("March", 31),
        ("April", 30),
        ("May", 31),
        ("June", 30),
        ("July", 31),
        ("August", 31),
        ("September", 30),
        ("October", 31),
        ("November", 30),
        ("December", 31),
    ];
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = "";
    for (name, length) in MONTHS {
        let length = length + u64::from(name == "February" && leap(year));
        month = name;
        if day < length {
            break;
        }
        day -= length;
    }
    let weekday = DAYS[(days % 7) as usize];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {month} {}, {year} {hour:02}:{minute:02}:{second:02}-UTC", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "Thursday, January 1, 1970 00:00:00-UTC");
        assert_eq!(date(951_782_400), "Tuesday, February 29, 2000 00:00:00-UTC");
        assert_eq!(date(1_767_225_599), "Wednesday, December 31, 2025 23:59:59-UTC");
    }

    #[test]
    fn chargen_shifts_by_one_each_line() {
        let round = chargen_round();
        assert_eq!(round.len(), 95 * 74);
        assert!(round.starts_with(b" !\"#"));
        assert_eq!(&round[74..78], b"!\"#$");
        assert_eq!(&round[72..74], b"\r\n");
    }
}
