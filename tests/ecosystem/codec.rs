//! `tokio_util::codec`: frames and lines.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_netstack::TcpStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec, LinesCodec};

use crate::world::SERVER;
use crate::{bad_link, noise};

#[tokio::test(start_paused = true)]
async fn length_delimited_frames_keep_their_bounds() {
    let world = bad_link(11);
    let listener = world.listen().await;
    let echo = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (sink, stream) = Framed::new(stream, LengthDelimitedCodec::new()).split();
        stream.map(|frame| frame.map(bytes::BytesMut::freeze)).forward(sink).await
    });

    let stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
    let (mut sink, mut frames) = Framed::new(stream, LengthDelimitedCodec::new()).split();
    let sent: Vec<Bytes> = (0..200).map(|i| noise(i, i as usize * 97).into()).collect();
    let sending = {
        let sent = sent.clone();
        tokio::spawn(async move {
            for frame in sent {
                sink.send(frame).await.unwrap();
            }
            sink.close().await.unwrap();
        })
    };
    for expected in sent {
        assert!(frames.next().await.unwrap().unwrap() == expected);
    }
    assert!(frames.next().await.is_none(), "our end of stream comes back as the echo's");
    sending.await.unwrap();
    echo.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn lines_come_through_borrowed_and_owned_halves() {
    let world = bad_link(12);
    let listener = world.listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, write) = stream.into_split();
        let mut lines = tokio_util::codec::FramedRead::new(read, LinesCodec::new());
        let mut answers = tokio_util::codec::FramedWrite::new(write, LinesCodec::new());
        while let Some(line) = lines.next().await {
            answers.send(line.unwrap().to_uppercase()).await.unwrap();
        }
    });

    let mut stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
    {
        let (read, write) = stream.split();
        let mut answers = tokio_util::codec::FramedRead::new(read, LinesCodec::new());
        let mut lines = tokio_util::codec::FramedWrite::new(write, LinesCodec::new());
        for word in ["first", "second", "third"] {
            lines.send(word).await.unwrap();
            assert_eq!(answers.next().await.unwrap().unwrap(), word.to_uppercase());
        }
    }
    drop(stream);
    server.await.unwrap();
}
