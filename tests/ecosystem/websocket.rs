//! WebSockets by tokio-tungstenite.

use futures_util::{SinkExt, StreamExt};
use tokio_netstack::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

use crate::world::SERVER;
use crate::{bad_link, noise};

#[tokio::test(start_paused = true)]
async fn messages_come_back_whole_and_the_close_is_answered() {
    let world = bad_link(41);
    let listener = world.listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        let mut echoed = 0;
        while let Some(message) = socket.next().await {
            let message = message.unwrap();
            if message.is_text() || message.is_binary() {
                echoed += 1;
                socket.send(message).await.unwrap();
            }
        }
        echoed
    });

    let stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
    let (mut socket, response) = client_async("ws://server.example/chat", stream).await.unwrap();
    assert_eq!(response.status().as_u16(), 101);
    let mut messages = vec![Message::text("a line of text")];
    messages.extend((0..20).map(|i| Message::binary(noise(i, 1 << i.min(17)))));
    for message in &messages {
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == *message);
    }
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))), "the server answers the close");
    assert!(socket.next().await.is_none());
    assert_eq!(server.await.unwrap(), messages.len());
}
