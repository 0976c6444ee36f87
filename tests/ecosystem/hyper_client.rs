//! hyper's servers on a stream of connections, and hyper-util's client through the connector.

use std::convert::Infallible;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_netstack::TcpListenerStream;
use tokio_netstack::ext::Connector;

use crate::world::{SERVER, World};
use crate::{bad_link, noise};

pub(crate) type HttpClient = Client<Connector, Full<Bytes>>;

/// A client at the world's client stack.
pub(crate) fn client(world: &World) -> HttpClient {
    Client::builder(TokioExecutor::new()).build(Connector::new(&world.client))
}

/// The status and the body of an answer, or all that the error says.
type Answer = Result<(StatusCode, Vec<u8>), String>;

pub(crate) async fn get(client: &HttpClient, uri: &str) -> Answer {
    request(client, Method::GET, uri, Vec::new()).await
}

pub(crate) async fn post(client: &HttpClient, uri: &str, body: Vec<u8>) -> Answer {
    request(client, Method::POST, uri, body).await
}

async fn request(client: &HttpClient, method: Method, uri: &str, body: Vec<u8>) -> Answer {
    let request = Request::builder().method(method).uri(uri).body(Full::from(body)).unwrap();
    let response = client.request(request).await.map_err(|error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    })?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok((status, body.to_bytes().to_vec()))
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let version = request.version();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::builder().version(version).body(Full::new(body)).unwrap())
}

/// Serves the version of HTTP that the test is about, on connections from the `Stream`.
pub(crate) async fn serve(mut connections: TcpListenerStream, version: Version) {
    while let Some(Ok(stream)) = connections.next().await {
        let io = TokioIo::new(stream);
        tokio::spawn(async move {
            if version == Version::HTTP_2 {
                http2::Builder::new(TokioExecutor::new()).serve_connection(io, service_fn(echo)).await
            } else {
                http1::Builder::new().serve_connection(io, service_fn(echo)).await
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn both_versions_of_http_carry_a_megabyte() {
    for (seed, version) in [(71, Version::HTTP_11), (72, Version::HTTP_2)] {
        let world = bad_link(seed);
        tokio::spawn(serve(world.listen().await.into_stream(), version));
        let client: HttpClient = Client::builder(TokioExecutor::new())
            .http2_only(version == Version::HTTP_2)
            .build(Connector::new(&world.client));
        let sent = noise(seed, 1_000_000);
        let (status, body) = post(&client, &format!("http://{SERVER}/"), sent.clone()).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(body == sent, "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_connections_ends_with_its_stack() {
    let world = bad_link(73);
    let mut connections = world.listen().await.into_stream();
    world.server.shutdown().await;
    let error = connections.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NetworkDown);
    assert!(connections.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_connector_says_what_it_cannot_do() {
    let world = bad_link(74);
    let client = client(&world);
    let name = get(&client, "http://server.example/").await.unwrap_err();
    assert!(name.contains("Connector::resolver"), "{name}");
    let encrypted = get(&client, &format!("https://{SERVER}/")).await.unwrap_err();
    assert!(encrypted.contains("enforce_http(false)"), "{encrypted}");
    let closed = get(&client, &format!("http://{SERVER}/")).await.unwrap_err();
    assert!(closed.contains("refused"), "{closed}");
}

/// A name with two addresses, of which nobody has the first.
#[tokio::test(start_paused = true)]
async fn the_connector_goes_on_to_the_next_address() {
    let world = bad_link(75);
    tokio::spawn(serve(world.listen().await.into_stream(), Version::HTTP_11));
    let addresses = tower::service_fn(|_name| async {
        let silent = ([192, 0, 2, 99], 0).into();
        Ok::<_, Infallible>([silent, SERVER])
    });
    let connector = Connector::new(&world.client).resolver(addresses).connect_timeout(Duration::from_secs(2));
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let started = tokio::time::Instant::now();
    let response = client.get("http://server.example:7/".parse().unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let took = started.elapsed();
    assert!((2.0..3.0).contains(&took.as_secs_f64()), "{took:?}");
}

/// RFC 3986 3.2.2 puts the address in brackets.
#[tokio::test(start_paused = true)]
async fn the_connector_takes_addresses_of_ipv6() {
    let world = bad_link(76);
    let client = client(&world);
    let refused = get(&client, "http://[2001:db8::1]:8080/").await.unwrap_err();
    assert!(refused.contains("no IPv6 address to reach 2001:db8::1"), "{refused}");
}
