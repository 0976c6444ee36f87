//! Networks under paused time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netstack_wire::ip;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{Stack, TcpListener, TcpStream, UdpSocket};

use super::{Builder, LinkId, Network, NodeId, Observer, PacketEvent, Reason, Verdict, What, block_on};
use crate::{LinkConfig, QueueLimit, Trace};

const PORT: u16 = 7;

fn addr(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), PORT)
}

/// A client, two routers in a row, a server; three links in order.
struct Chain {
    net: Network,
    client: NodeId,
    server: NodeId,
    links: Vec<LinkId>,
}

impl Chain {
    fn new(seed: u64, config: &LinkConfig) -> Self {
        Self::build(Builder::new(seed), config)
    }

    fn build(mut net: Builder, config: &LinkConfig) -> Self {
        let client = net.host("client", &["192.0.2.1", "2001:db8:1::1"]);
        let left = net.router("left", &["203.0.113.1", "2001:db8:3::1"]);
        let right = net.router("right", &["203.0.113.2", "2001:db8:3::2"]);
        let server = net.host("server", &["198.51.100.1", "2001:db8:2::1"]);
        let links = net.chain(&[client, left, right, server], config);
        Self { net: net.build().unwrap(), client, server, links }
    }

    fn client(&self) -> Stack {
        self.net.stack(self.client)
    }

    fn server(&self) -> Stack {
        self.net.stack(self.server)
    }

    /// Echoes everything on the server, one connection after another.
    async fn serve_echo(&self, ip: &str) {
        let listener = TcpListener::bind(&self.server(), addr(ip)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.into_split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
    }
}

async fn echo(stack: &Stack, server: SocketAddr, len: usize) {
    let stream = TcpStream::connect(stack, server).await.unwrap();
    let sent: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    let (mut reader, mut writer) = stream.into_split();
    let message = sent.clone();
    let sender = tokio::spawn(async move {
        writer.write_all(&message).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    reader.read_to_end(&mut back).await.unwrap();
    assert!(back == sent, "the echo differs");
    sender.await.unwrap();
}

fn dsl() -> LinkConfig {
    let mut config = LinkConfig::new();
    config.rate(20_000_000).delay(Duration::from_millis(5)).queue(QueueLimit::Packets(100));
    config
}

#[test]
fn the_same_seed_gives_the_same_packets_through_routers_and_another_seed_others() {
    let run = |seed| -> Trace {
        block_on(async {
            let chain = Chain::new(seed, dsl().loss(0.01).duplicate(0.01).corrupt(0.01));
            for ip in ["198.51.100.1", "2001:db8:2::1"] {
                chain.serve_echo(ip).await;
                echo(&chain.client(), addr(ip), 200_000).await;
            }
            let lost: u64 = chain.net.ways().iter().map(|(way, ..)| chain.net.stats(*way).lost).sum();
            assert!(lost > 0);
            chain.net.trace()
        })
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn a_hop_takes_its_exact_time_and_one_off_the_hop_limit() {
    block_on(async {
        let seen = Arc::new(Mutex::new(Hops::default()));
        let mut net = Builder::new(1);
        net.observer(Arc::clone(&seen));
        let mut config = LinkConfig::new();
        config.delay(Duration::from_micros(300));
        let chain = Chain::build(net, &config);
        let socket = UdpSocket::bind(&chain.client(), addr("192.0.2.1")).await.unwrap();
        let peer = UdpSocket::bind(&chain.server(), addr("198.51.100.1")).await.unwrap();
        socket.send_to(b"hello", addr("198.51.100.1")).await.unwrap();
        let mut buf = [0; 16];
        peer.recv_from(&mut buf).await.unwrap();
        let seen = seen.lock().unwrap();
        let times: Vec<_> = seen.0.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [0, 300_000, 300_000, 600_000, 600_000, 900_000]);
        let limits: Vec<_> = seen.0.iter().map(|(_, limit)| *limit).collect();
        assert_eq!(limits, [64, 64, 63, 63, 62, 62]);
    });
}

/// When packets were sent and arrived, and their hop limits.
#[derive(Default)]
struct Hops(Vec<(u64, u8)>);

impl Observer for Hops {
    fn packet(&mut self, event: &PacketEvent<'_>) {
        if matches!(event.what, What::Sent | What::Arrived) {
            self.0.push((event.at.as_nanos(), ip::parse(event.bytes).unwrap().hop_limit));
        }
    }
}

#[test]
fn what_waits_in_a_queue_leaves_at_the_rate_that_the_line_has_then() {
    block_on(async {
        let mut slow = LinkConfig::new();
        slow.rate(8_000);
        let chain = Chain::new(1, &slow);
        let socket = UdpSocket::bind(&chain.client(), addr("192.0.2.1")).await.unwrap();
        let peer = UdpSocket::bind(&chain.server(), addr("198.51.100.1")).await.unwrap();
        // 1,000 bytes with the headers: a second each at 8 kbit/s.
        for _ in 0..10 {
            socket.send_to(&[0; 972], addr("198.51.100.1")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(chain.net.waiting(chain.links[0].there()), (8_000, 8));
        for &link in &chain.links {
            chain.net.change(link, |config| {
                config.rate(8_000_000);
            });
        }
        let mut buf = [0; 1_000];
        for _ in 0..10 {
            peer.recv_from(&mut buf).await.unwrap();
        }
        // What was on a line goes on at the old rate: the first packet on the second link until 2 s; the rest follows in ms.
        let now = chain.net.now().as_nanos();
        assert!((2_000_000_000..2_100_000_000).contains(&now), "{now}");
    });
}

#[test]
fn a_packet_too_long_for_the_next_link_is_answered_and_the_sender_adapts() {
    // req: R1191-2, R8201-1
    for ip in ["198.51.100.1", "2001:db8:2::1"] {
        block_on(async {
            let chain = Chain::new(1, &dsl());
            chain.net.change(chain.links[1], |config| {
                config.mtu(1_300);
            });
            chain.serve_echo(ip).await;
            echo(&chain.client(), addr(ip), 100_000).await;
            let stats = chain.net.stats(chain.links[1].there());
            assert_eq!(stats.too_big, 0, "the router answers, it does not send");
            assert!(stats.offered_bytes > 100_000);
        });
    }
}

#[test]
fn a_router_cuts_what_may_be_cut_and_the_host_puts_it_together() {
    block_on(async {
        let chain = Chain::new(1, &dsl());
        chain.net.change(chain.links[1], |config| {
            config.mtu(600);
        });
        let socket = UdpSocket::bind(&chain.client(), addr("192.0.2.1")).await.unwrap();
        socket.set_dont_fragment(false).unwrap();
        let peer = UdpSocket::bind(&chain.server(), addr("198.51.100.1")).await.unwrap();
        let sent: Vec<u8> = (0..1_400).map(|i| i as u8).collect();
        socket.send_to(&sent, addr("198.51.100.1")).await.unwrap();
        let mut buf = [0; 2_000];
        let (len, _) = peer.recv_from(&mut buf).await.unwrap();
        assert_eq!(buf[..len], sent);
        assert_eq!(chain.net.stats(chain.links[1].there()).offered, 3);
    });
}

#[test]
fn routers_answer_pings_and_tell_who_let_a_packet_die() {
    block_on(async {
        let chain = Chain::new(1, &dsl());
        for router in ["203.0.113.2", "2001:db8:3::2"] {
            chain.client().ping(addr(router).ip()).await.unwrap();
        }
        let socket = UdpSocket::bind(&chain.client(), addr("192.0.2.1")).await.unwrap();
        socket.set_ttl(2).unwrap();
        let back = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&back);
        chain.net.policy(chain.links[0].back(), move |packet| {
            heard.lock().unwrap().push(packet.ip().unwrap().src.to_string());
            Verdict::Pass
        });
        socket.send_to(b"x", addr("198.51.100.1")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*back.lock().unwrap(), ["203.0.113.2"]);
    });
}

#[test]
fn exactly_the_nth_packet_that_matches_is_dropped() {
    block_on(async {
        let chain = Chain::new(1, &dsl());
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let way = chain.links[1].there();
        chain.net.drop_nth(way, 3, |packet| packet.has_data());
        let log = Arc::clone(&dropped);
        chain.net.policy(way, move |packet| {
            log.lock().unwrap().push(packet.has_data());
            Verdict::Pass
        });
        chain.serve_echo("198.51.100.1").await;
        echo(&chain.client(), addr("198.51.100.1"), 20_000).await;
        assert_eq!(chain.net.stats(way).policy_dropped, 1);
        let with_data = dropped.lock().unwrap().iter().filter(|data| **data).count();
        // 14 segments, the third of them twice.
        assert_eq!(with_data, 20_000_usize.div_ceil(1_448) + 1);
    });
}

#[test]
fn policies_delay_duplicate_and_alter() {
    block_on(async {
        let chain = Chain::new(1, &LinkConfig::new());
        let way = chain.links[0].there();
        let socket = UdpSocket::bind(&chain.client(), addr("192.0.2.1")).await.unwrap();
        let peer = UdpSocket::bind(&chain.server(), addr("198.51.100.1")).await.unwrap();
        chain.net.policy(way, |packet| match packet.bytes().last() {
            Some(b'd') => Verdict::Delay(Duration::from_millis(10)),
            Some(b't') => Verdict::Duplicate,
            _ => Verdict::Pass,
        });
        for text in ["d", "t", "p"] {
            socket.send_to(text.as_bytes(), addr("198.51.100.1")).await.unwrap();
        }
        let mut got = Vec::new();
        let mut buf = [0; 4];
        for _ in 0..4 {
            let (len, _) = peer.recv_from(&mut buf).await.unwrap();
            got.push(String::from_utf8_lossy(&buf[..len]).into_owned());
        }
        assert_eq!(got, ["t", "t", "p", "d"]);
        chain.net.clear_policies(way);
        // A box that strips window scaling from SYNs: the connection works without.
        chain.net.policy(way, |packet| {
            packet
                .with_tcp(|header| header.options.window_scale = None)
                .map_or(Verdict::Pass, Verdict::Replace)
        });
        chain.serve_echo("198.51.100.1").await;
        echo(&chain.client(), addr("198.51.100.1"), 50_000).await;
    });
}

#[test]
fn a_cut_loses_what_is_under_way_and_a_healed_link_carries_again() {
    block_on(async {
        let mut config = LinkConfig::new();
        config.delay(Duration::from_millis(50));
        let seen = Arc::new(Mutex::new(Dropped::default()));
        let mut net = Builder::new(1);
        net.observer(Arc::clone(&seen));
        let chain = Chain::build(net, &config);
        let socket = UdpSocket::bind(&chain.client(), addr("192.0.2.1")).await.unwrap();
        let peer = UdpSocket::bind(&chain.server(), addr("198.51.100.1")).await.unwrap();
        socket.send_to(b"under way", addr("198.51.100.1")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        chain.net.cut(chain.links[0].there());
        socket.send_to(b"while cut", addr("198.51.100.1")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        chain.net.heal(chain.links[0]);
        socket.send_to(b"healed", addr("198.51.100.1")).await.unwrap();
        let mut buf = [0; 16];
        let (len, _) = peer.recv_from(&mut buf).await.unwrap();
        assert_eq!(buf[..len], *b"healed");
        assert_eq!(chain.net.stats(chain.links[0].there()).cut, 2);
        assert_eq!(seen.lock().unwrap().0, [Reason::Cut; 2]);
    });
}

#[derive(Default)]
struct Dropped(Vec<Reason>);

impl Observer for Dropped {
    fn packet(&mut self, event: &PacketEvent<'_>) {
        if let What::Dropped(reason) = event.what {
            self.0.push(reason);
        }
    }
}

#[test]
fn hosts_apart_do_not_hear_each_other_until_reunited() {
    block_on(async {
        let chain = Chain::new(1, &dsl());
        chain.serve_echo("198.51.100.1").await;
        chain.net.partition(&[&[chain.client], &[chain.server]]);
        let client = chain.client();
        let connect = TcpStream::connect(&client, addr("198.51.100.1"));
        assert!(tokio::time::timeout(Duration::from_secs(10), connect).await.is_err());
        assert!(chain.net.stats(chain.links[0].there()).cut > 2);
        // Routers are in no part.
        chain.client().ping(addr("203.0.113.1").ip()).await.unwrap();
        chain.net.reunite();
        echo(&chain.client(), addr("198.51.100.1"), 1_000).await;
    });
}

#[test]
fn a_restarted_host_knows_nothing_and_its_old_sockets_end() {
    block_on(async {
        let chain = Chain::new(1, &dsl());
        chain.serve_echo("198.51.100.1").await;
        let mut stream = TcpStream::connect(&chain.client(), addr("198.51.100.1")).await.unwrap();
        stream.write_all(b"before").await.unwrap();
        let old = TcpListener::bind(&chain.server(), addr("2001:db8:2::1")).await.unwrap();
        stream.read_exact(&mut [0; 6]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent = chain.net.stats(chain.links[2].back()).offered;
        chain.net.restart(chain.server).unwrap();
        old.accept().await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(chain.net.stats(chain.links[2].back()).offered, sent, "a word from the old stack");
        stream.write_all(b"after").await.unwrap();
        let error = stream.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        chain.serve_echo("198.51.100.1").await;
        echo(&chain.client(), addr("198.51.100.1"), 1_000).await;
    });
}

#[test]
fn a_host_with_two_links_takes_the_shorter_and_a_route_laid_down_wins() {
    block_on(async {
        let mut net = Builder::new(1);
        let client = net.host("client", &["192.0.2.1"]);
        let router = net.router("router", &["203.0.113.1"]);
        let server = net.host("server", &["198.51.100.1"]);
        let around = net.chain(&[client, router, server], &LinkConfig::new());
        let direct = net.link(client, server, &LinkConfig::new());
        net.route(server, "192.0.2.0/24", around[1]);
        let net = net.build().unwrap();
        // A socket bound to an address would prefer the link that this belongs to.
        let socket = UdpSocket::bind(&net.stack(client), addr("0.0.0.0")).await.unwrap();
        let peer = UdpSocket::bind(&net.stack(server), addr("0.0.0.0")).await.unwrap();
        socket.send_to(b"there", addr("198.51.100.1")).await.unwrap();
        let mut buf = [0; 16];
        let (_, from) = peer.recv_from(&mut buf).await.unwrap();
        peer.send_to(b"back", from).await.unwrap();
        socket.recv_from(&mut buf).await.unwrap();
        let offered = |way| net.stats(way).offered;
        assert_eq!((offered(direct.there()), offered(direct.back())), (1, 0));
        assert_eq!(
            (offered(around[0].there()), offered(around[1].back()), offered(around[0].back())),
            (0, 1, 1)
        );
    });
}

#[test]
fn a_host_without_a_link_is_refused_by_name() {
    block_on(async {
        let mut net = Builder::new(1);
        net.host("lonely", &["192.0.2.1"]);
        let error = net.build().unwrap_err().to_string();
        assert!(error.contains("lonely") && error.contains("link"), "{error}");
    });
}

/// A phone with two networks of its own, and a server behind both; counts what came through each.
struct Phone {
    net: Network,
    phone: NodeId,
    server: NodeId,
    links: [LinkId; 2],
}

impl Phone {
    fn new() -> Self {
        let mut net = Builder::new(1);
        let phone = net.host("phone", &[]);
        let server = net.host("server", &["203.0.113.129"]);
        let core = net.router("core", &[]);
        net.link(core, server, &dsl());
        let links = [("wifi", "192.0.2.1"), ("mobile", "198.51.100.1")].map(|(name, address)| {
            let router = net.router(name, &[]);
            let link = net.link(phone, router, &dsl());
            net.address(phone, address, link);
            net.link(router, core, &dsl());
            link
        });
        Self { net: net.build().unwrap(), phone, server, links }
    }

    /// Packets to and from the phone by each of its links.
    fn counts(&self) -> [(u64, u64); 2] {
        self.links.map(|link| (self.net.stats(link.there()).offered, self.net.stats(link.back()).offered))
    }
}

#[test]
fn a_host_sends_by_the_link_of_the_address_that_it_is_bound_to_and_is_answered_there() {
    block_on(async {
        let world = Phone::new();
        let (phone, server) = (world.net.stack(world.phone), world.net.stack(world.server));
        let listener = TcpListener::bind(&server, addr("203.0.113.129")).await.unwrap();
        let mut open = Vec::new();
        for (place, local) in ["192.0.2.1", "198.51.100.1"].into_iter().enumerate() {
            let before = world.counts();
            let local = SocketAddr::new(local.parse().unwrap(), 40_000);
            let stream = TcpStream::connect_from(&phone, local, addr("203.0.113.129")).await.unwrap();
            let (accepted, peer) = listener.accept().await.unwrap();
            assert_eq!((stream.local_addr().unwrap(), peer), (local, local));
            open.push((stream, accepted));
            let after = world.counts();
            assert!(after[place].0 > before[place].0 && after[place].1 > before[place].1, "{after:?}");
            assert_eq!(after[1 - place], before[1 - place]);
        }
        // Without a wish, the first of equal ways and its address.
        let stream = TcpStream::connect(&phone, addr("203.0.113.129")).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "192.0.2.1");
    });
}

#[test]
fn a_host_is_reached_at_the_address_of_a_link_by_that_link() {
    block_on(async {
        let world = Phone::new();
        let (phone, server) = (world.net.stack(world.phone), world.net.stack(world.server));
        let mut open = Vec::new();
        for (place, ip) in ["192.0.2.1", "198.51.100.1"].into_iter().enumerate() {
            let listener = TcpListener::bind(&phone, addr(ip)).await.unwrap();
            let before = world.counts();
            let stream = TcpStream::connect(&server, addr(ip)).await.unwrap();
            open.push((stream, listener.accept().await.unwrap()));
            assert_eq!(world.counts()[1 - place], before[1 - place]);
            assert!(world.counts()[place] > before[place]);
        }
        world.net.cut(world.links[0]);
        let lost = TcpStream::connect(&server, addr("192.0.2.1"));
        assert!(tokio::time::timeout(Duration::from_secs(5), lost).await.is_err(), "its link is cut");
    });
}
