//! What the server serves.

use std::convert::Infallible;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path};
use axum::routing::{get, post};
use futures_util::stream;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tokio_netstack::TcpListener;
use tokio_netstack::ext::PeerAddr;

use crate::hex::hex;
use crate::pattern::Pattern;

const CHUNK: usize = 64 * 1024;

/// Where the bytes of `/bytes/N` come from.
pub(crate) const SEED: u64 = 1;

/// Serves on a listener until its stack ends.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(greet))
        .route("/bytes/{count}", get(|Path(count): Path<u64>| async move { Body::from_stream(bytes(count)) }))
        .route("/sha256", post(sha256));
    axum::serve(listener, app.into_make_service_with_connect_info::<PeerAddr>()).await
}

async fn greet(ConnectInfo(PeerAddr(peer)): ConnectInfo<PeerAddr>) -> String {
    format!("Hello {peer}, from a TCP/IP stack in user space.\n")
}

/// `count` bytes of the pattern, made as they are sent.
fn bytes(count: u64) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((Pattern::new(SEED), count), |(mut pattern, left)| async move {
        let mut chunk = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
        pattern.fill(&mut chunk);
        let rest = left - chunk.len() as u64;
        (!chunk.is_empty()).then(|| (Ok(chunk.into()), (pattern, rest)))
    })
}

/// The checksum of the body, taken as it comes.
async fn sha256(mut body: Body) -> Result<String, String> {
    let mut sum = Sha256::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the body ended early: {error}"))?;
        if let Some(data) = frame.data_ref() {
            sum.update(data);
        }
    }
    Ok(hex(&sum.finalize()))
}
