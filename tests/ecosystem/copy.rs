//! `tokio::io::copy_bidirectional` in the place of a proxy.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{TcpListener, TcpStream};

use crate::world::SERVER;
use crate::{bad_link, noise};

/// client -> proxy on the first world's server -> echo on the second world's server.
#[tokio::test(start_paused = true)]
async fn a_proxy_passes_data_and_both_ends_of_stream() {
    let (front, back) = (bad_link(21), bad_link(22));
    back.serve_echo().await;
    let listener: TcpListener = front.listen().await;
    let upstream = back.client.clone();
    let proxy = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(&upstream, SERVER).await.unwrap();
        tokio::io::copy_bidirectional(&mut near, &mut far).await.unwrap()
    });

    let sent = noise(21, 1_000_000);
    let (mut read, mut write) = TcpStream::connect(&front.client, SERVER).await.unwrap().into_split();
    let writing = {
        let sent = sent.clone();
        tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
            // Dropped later: an owned half that goes would close what the reader still needs no more.
            write
        })
    };
    let mut returned = Vec::new();
    read.read_to_end(&mut returned).await.unwrap();
    assert!(returned == sent, "what came back differs from what was sent");
    drop(writing.await.unwrap());
    assert_eq!(proxy.await.unwrap(), (1_000_000, 1_000_000));
}
