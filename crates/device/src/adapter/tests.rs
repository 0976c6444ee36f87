use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, sink, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};

use super::*;
use crate::testing::{conformance, packet};
use crate::{Device, Meta, RxBatch, RxQueue, SendError, Turn, TxFrame, TxQueue};

mod link;

use link::Link;

#[tokio::test(start_paused = true)]
async fn a_stream_and_sink_conforms() {
    conformance(|slots| {
        let (a, b) = Link::pair();
        (Box::new(StreamSink::new(a, 1500).queue_depth(slots)), Box::new(StreamSink::new(b, 1500)))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_and_writer_conforms() {
    conformance(|slots| {
        let (a, b) = Link::pair();
        (Box::new(ReadWrite::new(a, 1500).queue_depth(slots)), Box::new(ReadWrite::new(b, 1500)))
    })
    .await;
}

/// Says what the list says, then nothing more.
struct Scripted(VecDeque<io::Result<Vec<u8>>>, VecDeque<io::Result<usize>>);

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(next) = self.0.pop_front() else { return Poll::Pending };
        let data = next?;
        let n = data.len().min(buf.remaining());
        buf.put_slice(&data[..n]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.1.pop_front().unwrap_or(Ok(buf.len())))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn passing() -> io::Error {
    // EIO on every Unix; any error with a number passes.
    io::Error::from_raw_os_error(5)
}

async fn recv(rx: &mut dyn RxQueue) -> io::Result<Vec<Bytes>> {
    let mut batch = RxBatch::new();
    while batch.is_empty() {
        poll_fn(|cx| rx.poll_recv(cx, &mut batch)).await?;
    }
    Ok(batch.drain().map(|frame| frame.data).collect())
}

fn send(tx: &dyn TxQueue) -> Result<(), SendError> {
    let (mut head, payload) = packet::datagram(1, 64);
    tx.try_send(
        TxFrame { head: &mut head, payload: &[payload], meta: Meta::default(), flow: 0 },
        &mut Turn::new(),
    )
}

#[tokio::test(start_paused = true)]
async fn reading_errors_that_pass_are_waited_out_and_the_end_ends_it() {
    let script = [
        Err(passing()),
        Err(passing()),
        Ok(vec![1]),
        Ok(vec![0; 2000]),
        Err(passing()),
        Ok(vec![2]),
        Ok(vec![]),
    ];
    let (mut rx, tx) =
        Box::new(ReadWrite::new(Scripted(script.into(), VecDeque::new()), 1500)).split().unwrap();
    let start = Instant::now();
    assert_eq!(recv(&mut *rx[0]).await.unwrap(), [Bytes::from(vec![1])]);
    assert!(start.elapsed() >= Duration::from_millis(30), "10 ms, then 20 ms");
    assert_eq!(recv(&mut *rx[0]).await.unwrap(), [Bytes::from(vec![2])]);
    assert_eq!(recv(&mut *rx[0]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(matches!(send(&*tx), Err(SendError::Closed(_))));
    let counters = tx.counters();
    assert_eq!((counters.rx_errors, counters.rx_frames, counters.rx_dropped), (3, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn errors_on_writing_lose_the_frame_and_the_end_ends_it() {
    let script = [Ok(64), Err(passing()), Ok(3), Ok(64), Err(io::ErrorKind::BrokenPipe.into())];
    let (mut rx, tx) =
        Box::new(ReadWrite::new(Scripted(VecDeque::new(), script.into()), 1500)).split().unwrap();
    for _ in 0..4 {
        send(&*tx).unwrap();
    }
    let idle = timeout(Duration::from_secs(1), recv(&mut *rx[0])).await;
    assert!(idle.is_err(), "errors that pass do not end it: {idle:?}");
    assert_eq!((tx.counters().tx_frames, tx.counters().tx_lost), (2, 2));
    send(&*tx).unwrap();
    send(&*tx).unwrap();
    assert_eq!(recv(&mut *rx[0]).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(tx.counters().tx_lost, 4, "the one that failed and the one behind it");
    assert!(matches!(send(&*tx), Err(SendError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn halves_can_be_joined_and_results_are_packets_too() {
    let items = [Ok(vec![1]), Err(passing()), Ok(vec![2])];
    let (sent, mut received) = stream::iter([Bytes::from_static(b"unused")]).into_future().await;
    assert!(sent.is_some() && received.next().await.is_none());
    let collected = sink::unfold(Vec::new(), |mut all: Vec<Bytes>, packet| async move {
        all.push(packet);
        if all.len() < 2 { Ok(all) } else { Err(io::Error::from(io::ErrorKind::BrokenPipe)) }
    });
    let joined = Join::new(
        stream::iter(items).chain(stream::pending()),
        Box::pin(collected).sink_err_into::<io::Error>(),
    );
    let (mut rx, tx) = Box::new(StreamSink::new(joined, 1500)).split().unwrap();
    assert_eq!(recv(&mut *rx[0]).await.unwrap(), [Bytes::from(vec![1])]);
    assert_eq!(recv(&mut *rx[0]).await.unwrap(), [Bytes::from(vec![2])]);
    send(&*tx).unwrap();
    send(&*tx).unwrap();
    let end =
        timeout(Duration::from_secs(1), recv(&mut *rx[0])).await.expect("the sink's end ends the device");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
