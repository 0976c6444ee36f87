//! hickory-resolver over the stack's UDP and TCP, and a client of hyper-util that asks it.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use http::{StatusCode, Version};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::ext::{Connector, Names, StackRuntime};
use tokio_netstack::{TcpListener, TcpStream, UdpSocket};

use crate::bad_link;
use crate::hyper_client::serve;
use crate::world::{SERVER, World};

/// Addresses of `many.example`, more than a datagram of 512 bytes holds.
const MANY: u8 = 100;

#[derive(Clone, Copy, PartialEq)]
enum Over {
    Udp,
    Tcp,
}

/// The answer of a name server that knows two names.
fn answer(query: &[u8], over: Over) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let mut response = Message::response(query.metadata.id, OpCode::Query);
    let asked = query.queries[0].clone();
    let addresses: Vec<Ipv4Addr> = match asked.name().to_string().as_str() {
        "server.example." => vec![Ipv4Addr::new(192, 0, 2, 2)],
        "many.example." => (0..MANY).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect(),
        _ => {
            response.metadata.response_code = ResponseCode::NXDomain;
            Vec::new()
        }
    };
    let wanted = asked.query_type() == RecordType::A;
    response.metadata.truncation = wanted && over == Over::Udp && addresses.len() > 20;
    if wanted && !response.metadata.truncation {
        let name = asked.name().clone();
        response.add_answers(
            addresses.into_iter().map(|ip| Record::from_rdata(name.clone(), 60, RData::A(A(ip)))),
        );
    }
    response.add_query(asked);
    response.to_vec().unwrap()
}

async fn serve_udp(socket: UdpSocket) {
    let mut buf = [0; 4096];
    loop {
        let (len, from) = socket.recv_from(&mut buf).await.unwrap();
        socket.send_to(&answer(&buf[..len], Over::Udp), from).await.unwrap();
    }
}

/// Each message after its length (RFC 1035 4.2.2).
async fn serve_tcp(listener: TcpListener) {
    loop {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            while let Ok(len) = stream.read_u16().await {
                let mut query = vec![0; len.into()];
                stream.read_exact(&mut query).await.unwrap();
                let answer = answer(&query, Over::Tcp);
                stream.write_u16(answer.len() as u16).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
    }
}

/// A name server on the one stack, and a resolver that asks it through the other.
async fn resolver(world: &World) -> Resolver<StackRuntime> {
    let at = (SERVER.ip(), 53);
    tokio::spawn(serve_udp(UdpSocket::bind(&world.server, at).await.unwrap()));
    tokio::spawn(serve_tcp(TcpListener::bind(&world.server, at).await.unwrap()));
    let config = ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(SERVER.ip())]);
    Resolver::builder_with_config(config, StackRuntime::new(&world.client)).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn names_are_asked_for_over_udp_and_what_is_cut_short_over_tcp() {
    let world = bad_link(81);
    let resolver = resolver(&world).await;
    let one: Vec<IpAddr> = resolver.lookup_ip("server.example.").await.unwrap().iter().collect();
    assert_eq!(one, [SERVER.ip()]);
    assert_eq!(world.client.counters().connections_opened, 0, "an answer that fits needs no TCP");

    let many = resolver.lookup_ip("many.example.").await.unwrap();
    assert_eq!(many.iter().count(), usize::from(MANY));
    assert_eq!(world.client.counters().connections_opened, 1);

    let nobody = resolver.lookup_ip("nobody.example.").await.unwrap_err();
    assert!(nobody.is_nx_domain(), "{nobody}");
}

#[tokio::test(start_paused = true)]
async fn a_client_of_hyper_util_reaches_a_server_by_its_name() {
    let world = bad_link(82);
    let names = Names::new(resolver(&world).await);
    tokio::spawn(serve(world.listen().await.into_stream(), Version::HTTP_11));
    let connector = Connector::new(&world.client).resolver(names);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let port = SERVER.port();
    let response = client.get(format!("http://server.example:{port}/").parse().unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let unknown = client.get(format!("http://nobody.example:{port}/").parse().unwrap()).await;
    assert!(unknown.unwrap_err().is_connect());
}
