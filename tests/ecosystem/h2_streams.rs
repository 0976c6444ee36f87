//! HTTP/2 by h2: many streams in one connection, each with its flow control.

use bytes::Bytes;
use futures_util::future::join_all;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio_netstack::{TcpListener, TcpStream};

use crate::world::SERVER;
use crate::{bad_link, noise};

const STREAMS: u64 = 40;
/// More than a stream's window of 65,535 bytes, so that each waits for updates of it.
const BODY: usize = 100_000;

/// Sends all of `data` as the peer's window allows.
async fn send_all(mut stream: SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let last = room >= data.len();
        stream.send_data(data.split_to(room.min(data.len())), last).unwrap();
    }
}

/// Reads to the end, and gives the window back.
async fn read_all(mut stream: RecvStream) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    body
}

/// Answers each request with its own body.
async fn serve(listener: TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = request.unwrap();
        tokio::spawn(async move {
            let body = read_all(request.into_body()).await;
            let answer = respond.send_response(Response::new(()), false).unwrap();
            send_all(answer, body.into()).await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn forty_streams_share_a_connection() {
    let world = bad_link(51);
    tokio::spawn(serve(world.listen().await));
    let stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);

    let exchanges = (0..STREAMS).map(|i| {
        let client = client.clone();
        async move {
            let mut client = client.ready().await.unwrap();
            let request = Request::post("http://server.example/").body(()).unwrap();
            let (response, stream) = client.send_request(request, false).unwrap();
            let sent = noise(i, BODY);
            tokio::spawn(send_all(stream, sent.clone().into()));
            let body = read_all(response.await.unwrap().into_body()).await;
            assert!(body == sent, "stream {i} got what it sent");
        }
    });
    join_all(exchanges).await;
    assert_eq!(world.server.connection_count(), 1);
}
