//! Who fetches: curl, or a client of hyper on the kernel's sockets.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use axum::body::{Body, Bytes};
use clap::ValueEnum;
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::pattern::Pattern;

/// A client that the demonstration can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The program curl
    Curl,
    /// A client in this process, on the kernel's sockets
    Own,
}

/// What a request sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    Get,
    /// Posts this many bytes of the pattern of a seed.
    Post {
        seed: u64,
        bytes: u64,
    },
}

/// A body, taken as it came.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    bytes: u64,
    sum: Sha256,
    start: Vec<u8>,
}

impl Taken {
    /// Takes all of a body.
    pub(crate) async fn whole(mut body: Incoming) -> io::Result<Self> {
        let mut taken = Self::default();
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.map_err(io::Error::other)?.data_ref() {
                taken.take(data);
            }
        }
        Ok(taken)
    }

    fn take(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.sum.update(data);
        let room = 200_usize.saturating_sub(self.start.len());
        self.start.extend_from_slice(&data[..data.len().min(room)]);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn sha256(&self) -> String {
        hex(&self.sum.clone().finalize())
    }

    /// How it starts.
    pub(crate) fn start(&self) -> String {
        String::from_utf8_lossy(&self.start).trim_end().to_owned()
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Taken,
}

impl Kind {
    /// curl where it is installed.
    pub(crate) fn available() -> Self {
        let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if curl.is_ok_and(|status| status.success()) { Self::Curl } else { Self::Own }
    }

    /// Fetches with threads of its own: call it where blocking is allowed.
    pub(crate) fn fetch(self, ask: Ask, url: &str) -> io::Result<Answer> {
        match self {
            Self::Curl => curl(ask, url),
            Self::Own => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(own(ask, url))
            }
        }
    }
}

/// The line that curl is called with.
pub(crate) fn curl_arguments(ask: Ask, url: &str) -> Vec<String> {
    let mut arguments = vec!["--silent", "--show-error", "--globoff", "--noproxy", "*"];
    if let Ask::Post { .. } = ask {
        arguments.extend(["--request", "POST", "--upload-file", "-"]);
    }
    // The status follows the body.
    arguments.extend(["--write-out", "\n%{http_code}", url]);
    arguments.into_iter().map(str::to_owned).collect()
}

fn curl(ask: Ask, url: &str) -> io::Result<Answer> {
    let mut command = Command::new("curl");
    command.args(curl_arguments(ask, url)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let sending = child.stdin.take().map(|pipe| thread::spawn(move || send(ask, pipe)));
    let mut taken = Taken::default();
    // The last line is kept back until it is known to be the last.
    let mut tail = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        let mut buf = vec![0; 256 * 1024];
        loop {
            let n = pipe.read(&mut buf)?;
            if n == 0 {
                break;
            }
            tail.extend_from_slice(&buf[..n]);
            let sure = tail.len().saturating_sub("\n200".len());
            taken.take(&tail[..sure]);
            tail.drain(..sure);
        }
    }
    let status = child.wait()?;
    if let Some(sending) = sending {
        sending.join().map_err(|_| io::Error::other("the thread that sends panicked"))??;
    }
    if !status.success() {
        return Err(io::Error::other(format!("curl {url}: {status}")));
    }
    let code = String::from_utf8_lossy(&tail).trim().parse().map_err(io::Error::other)?;
    Ok(Answer { status: code, body: taken })
}

fn send(ask: Ask, mut pipe: impl Write) -> io::Result<()> {
    let Ask::Post { seed, bytes } = ask else { return Ok(()) };
    for_each_chunk(seed, bytes, |chunk| pipe.write_all(chunk))
}

/// Calls `sink` with the pattern of a seed, piece by piece.
pub(crate) fn for_each_chunk(
    seed: u64,
    bytes: u64,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let mut buf = vec![0; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(buf.len()).min(buf.len());
        pattern.fill(&mut buf[..n]);
        sink(&buf[..n])?;
        left -= n as u64;
    }
    Ok(())
}

async fn own(ask: Ask, url: &str) -> io::Result<Answer> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let (method, body) = match ask {
        Ask::Get => (Method::GET, Body::empty()),
        Ask::Post { seed, bytes } => {
            let mut whole = Vec::new();
            for_each_chunk(seed, bytes, |chunk| {
                whole.extend_from_slice(chunk);
                Ok(())
            })?;
            (Method::POST, Body::from(Bytes::from(whole)))
        }
    };
    let request = Request::builder().method(method).uri(url).body(body).map_err(io::Error::other)?;
    let response = client.request(request).await.map_err(io::Error::other)?;
    Ok(Answer { status: response.status().as_u16(), body: Taken::whole(response.into_body()).await? })
}
