//! A client and a server, one link of 10 ms each way between them, and a tape that runs.

use std::net::SocketAddr;
use std::time::Duration;

use netstack_sim::net::{Builder, LinkId, Network, NodeId, block_on};
use netstack_sim::{LinkConfig, Trace};
use tokio_netstack::{Stack, TcpConfig, TcpListener, TcpStream};

use crate::tape::Tape;

/// One way.
pub(crate) const DELAY: Duration = Duration::from_millis(10);
/// Where the client calls from, if it matters, and where the server listens.
pub(crate) const CLIENT: &str = "192.0.2.1:40000";
pub(crate) const SERVER: &str = "192.0.2.2:7";

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Two hosts.
pub(crate) struct Two {
    pub(crate) net: Network,
    pub(crate) client: NodeId,
    pub(crate) server: NodeId,
    pub(crate) link: LinkId,
    pub(crate) tape: Tape,
}

impl Two {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, &TcpConfig::new(), LinkConfig::new().delay(DELAY))
    }

    pub(crate) fn with(seed: u64, tcp: &TcpConfig, config: &LinkConfig) -> Self {
        let tape = Tape::default();
        let mut net = Builder::new(seed);
        net.tcp(tcp.clone()).observer(tape.clone());
        let client = net.host("client", &["192.0.2.1", "2001:db8::1"]);
        let server = net.host("server", &["192.0.2.2", "2001:db8::2"]);
        let link = net.link(client, server, config);
        Self { net: net.build().unwrap(), client, server, link, tape }
    }

    pub(crate) fn client(&self) -> Stack {
        self.net.stack(self.client)
    }

    pub(crate) fn server(&self) -> Stack {
        self.net.stack(self.server)
    }

    pub(crate) async fn listen(&self) -> TcpListener {
        TcpListener::bind(&self.server(), addr(SERVER)).await.unwrap()
    }

    /// A connection: the client's end and the server's.
    pub(crate) async fn connect(&self) -> (TcpStream, TcpStream) {
        let listener = self.listen().await;
        let client = TcpStream::connect_from(&self.client(), addr(CLIENT), addr(SERVER)).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (client, server)
    }

    /// Nothing is left of any connection, but so many records in TIME-WAIT on the client.
    pub(crate) fn assert_over(&self, time_wait: usize) {
        for stack in [self.client(), self.server()] {
            assert_eq!(stack.connection_count(), 0, "{:?}", stack.connections());
        }
        assert_eq!((self.client().time_wait_count(), self.server().time_wait_count()), (time_wait, 0));
    }
}

/// Runs a scenario twice with one seed: the same packets at the same instants.
pub(crate) fn twice(scenario: impl AsyncFn(u64) -> Network) {
    let run = || -> Trace {
        block_on(async {
            let network = scenario(11).await;
            network.trace()
        })
    };
    let first = run();
    assert!(first.packets() > 0);
    assert_eq!(first, run(), "the same seed gave other packets");
}
