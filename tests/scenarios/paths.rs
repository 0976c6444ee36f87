//! Paths that change, and that differ there and back.

use std::net::SocketAddr;
use std::time::Duration;

use netstack_sim::net::{Builder, LinkId, Network, NodeId};
use netstack_sim::{LinkConfig, QueueLimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_netstack::{TcpListener, TcpStream};

use crate::world::{DELAY, twice};

const LEN: usize = 3_000_000;
/// Longer than a transfer takes unless it hangs.
const STUCK: Duration = Duration::from_secs(600);

/// Client, two routers, server; the routers speak ICMP only if `talkative`.
fn chain(seed: u64, talkative: bool) -> (Network, NodeId, NodeId, Vec<LinkId>) {
    let mut net = Builder::new(seed);
    let own: [&[&str]; 2] = if talkative {
        [&["203.0.113.1", "2001:db8:3::1"], &["203.0.113.2", "2001:db8:3::2"]]
    } else {
        [&[], &[]]
    };
    let client = net.host("client", &["192.0.2.1", "2001:db8:1::1"]);
    let left = net.router("left", own[0]);
    let right = net.router("right", own[1]);
    let server = net.host("server", &["198.51.100.2", "2001:db8:2::2"]);
    let mut line = LinkConfig::new();
    line.rate(20_000_000).delay(DELAY).queue(QueueLimit::Bytes(100_000));
    let links = net.chain(&[client, left, right, server], &line);
    (net.build().unwrap(), client, server, links)
}

/// Sends `LEN` bytes while `during` is done to the network.
async fn transfer(net: &Network, client: NodeId, server: NodeId, target: &str, during: impl AsyncFnOnce()) {
    let target = SocketAddr::new(target.parse().unwrap(), 7);
    let listener = TcpListener::bind(&net.stack(server), target).await.unwrap();
    let mut stream = TcpStream::connect(&net.stack(client), target).await.unwrap();
    let sender = tokio::spawn(async move {
        stream.write_all(&vec![9; LEN]).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    });
    let (mut accepted, _) = listener.accept().await.unwrap();
    let reader = tokio::spawn(async move {
        let mut got = Vec::new();
        accepted.read_to_end(&mut got).await.unwrap();
        got
    });
    during().await;
    let got = timeout(STUCK, reader).await.expect("the transfer hangs").unwrap();
    assert!(got == vec![9; LEN], "the stream differs from what was sent");
    drop(sender.await.unwrap());
}

#[test]
fn a_path_that_becomes_narrower_is_learned_from_the_router() {
    // req: R1191-2, R8201-1
    for target in ["198.51.100.2", "2001:db8:2::2"] {
        twice(async |seed| {
            let (net, client, server, links) = chain(seed, true);
            let narrow = links[1];
            transfer(&net, client, server, target, async || {
                sleep(Duration::from_millis(300)).await;
                net.change(narrow, |config| {
                    config.mtu(1_280);
                });
            })
            .await;
            assert_eq!(net.stats(narrow.there()).too_big, 0, "routers do not send what does not fit");
            net
        });
    }
}

#[test]
fn a_path_that_swallows_long_packets_in_silence_is_found_out() {
    // req: R8899-5
    twice(async |seed| {
        let (net, client, server, links) = chain(seed, false);
        let narrow = links[1];
        transfer(&net, client, server, "198.51.100.2", async || {
            sleep(Duration::from_millis(300)).await;
            net.change(narrow, |config| {
                config.mtu(1_280);
            });
        })
        .await;
        net
    });
}

#[test]
fn a_path_that_breaks_for_a_while_slows_down_and_recovers() {
    twice(async |seed| {
        let (net, client, server, links) = chain(seed, true);
        transfer(&net, client, server, "198.51.100.2", async || {
            sleep(Duration::from_millis(200)).await;
            net.cut(links[1]);
            sleep(Duration::from_secs(3)).await;
            net.heal(links[1]);
            net.change(links[1], |config| {
                config.rate(2_000_000).delay(Duration::from_millis(60));
            });
            sleep(Duration::from_secs(3)).await;
            net.change(links[1], |config| {
                config.rate(20_000_000).delay(DELAY);
            });
        })
        .await;
        assert!(net.stats(links[1].there()).cut > 0);
        net
    });
}

#[test]
fn the_way_back_may_be_another_and_much_slower() {
    twice(async |seed| {
        let mut net = Builder::new(seed);
        let client = net.host("client", &["192.0.2.1"]);
        let near = net.router("near", &["203.0.113.1"]);
        let far = net.router("far", &["203.0.113.2"]);
        let satellite = net.router("satellite", &["203.0.113.3"]);
        let server = net.host("server", &["198.51.100.2"]);
        let mut fast = LinkConfig::new();
        fast.rate(50_000_000).delay(DELAY).queue(QueueLimit::Bytes(200_000));
        let mut slow = LinkConfig::new();
        slow.rate(1_000_000).delay(Duration::from_millis(150)).queue(QueueLimit::Packets(50));
        let direct = net.chain(&[client, near, far, server], &fast)[1];
        let over = net.chain(&[far, satellite, near], &slow);
        net.route(far, "192.0.2.1", over[0]);
        let net = net.build().unwrap();
        transfer(&net, client, server, "198.51.100.2", async || {}).await;
        let offered = |way| net.stats(way).offered;
        assert!(offered(direct.there()) > 2_000);
        assert_eq!(offered(direct.back()), 0);
        assert!(offered(over[0].there()) > 100 && offered(over[1].there()) > 100);
        assert_eq!(offered(over[0].back()), 0);
        net
    });
}
