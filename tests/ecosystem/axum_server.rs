//! A server of axum on a listener of the stack, with hyper-util's client through the other stack.

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use futures_util::future::join_all;
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_netstack::TcpListener;
use tokio_netstack::ext::PeerAddr;

use crate::hyper_client::{client, get as fetch, post as send};
use crate::world::SERVER;
use crate::{bad_link, noise};

const LENGTH: usize = 1_000_000;

fn app() -> Router {
    Router::new()
        .route("/peer", get(|ConnectInfo(PeerAddr(peer))| async move { peer.to_string() }))
        .route("/bytes", get(|| async { noise(61, LENGTH) }))
        .route("/echo", post(|body: Bytes| async move { body }))
}

/// Serves until the sender speaks.
fn serve(listener: TcpListener) -> (oneshot::Sender<()>, JoinHandle<std::io::Result<()>>) {
    let (stop, stopped) = oneshot::channel();
    let service = app().into_make_service_with_connect_info::<PeerAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async {
        // A sender that is gone stops it as well.
        let _ = stopped.await;
    });
    (stop, tokio::spawn(async move { server.await }))
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_of_a_megabyte_share_a_connection() {
    let world = bad_link(61);
    let (stop, server) = serve(world.listen().await);
    let client = client(&world);

    let (status, body) = fetch(&client, &format!("http://{SERVER}/peer")).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let peer = String::from_utf8(body).unwrap();
    assert!(peer.starts_with("192.0.2.1:"), "{peer}");
    let (_, body) = fetch(&client, &format!("http://{SERVER}/bytes")).await.unwrap();
    assert!(body == noise(61, LENGTH));
    let sent = noise(62, LENGTH);
    let (_, body) = send(&client, &format!("http://{SERVER}/echo"), sent.clone()).await.unwrap();
    assert!(body == sent);
    let (status, _) = fetch(&client, &format!("http://{SERVER}/nothing")).await.unwrap();
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(world.client.counters().connections_opened, 1, "the client keeps its connection");

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    let refused = fetch(&self::client(&world), &format!("http://{SERVER}/peer")).await.unwrap_err();
    assert!(refused.contains("refused"), "nobody listens any more: {refused}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_requests_at_once_are_answered() {
    let world = bad_link(63);
    let (_stop, _server) = serve(world.listen().await);
    let client = client(&world);
    let requests = (0..100_u64).map(|i| {
        let client = client.clone();
        async move {
            let sent = noise(i, 10_000);
            let (status, body) = send(&client, &format!("http://{SERVER}/echo"), sent.clone()).await.unwrap();
            assert_eq!(status, StatusCode::OK);
            assert!(body == sent);
        }
    });
    join_all(requests).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_stack_has_stopped_can_still_be_ended() {
    let world = bad_link(64);
    let (stop, server) = serve(world.listen().await);
    world.server.shutdown().await;
    tokio::task::yield_now().await;
    assert!(!server.is_finished(), "axum's listener cannot fail");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
