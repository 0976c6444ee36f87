//! TCP Fast Open (RFC 7413) where the core meets sockets: who is remembered, and who is handed over before the handshake is over.

use std::sync::Arc;

use bytes::Bytes;
use netstack_tcp::{Connection, FastOpenNews, FourTuple, Segment};

use crate::actor::{Arrival, Input, Shared};
use crate::lane::{Waiter, lock};
use crate::listener::ListenerShared;
use crate::stack::Inner;
use crate::stream::TcpStream;

impl Inner {
    /// `connection`, which is to send `data` on its SYN, gets what is known of the server, and `data` goes into its send buffer
    /// as far as it fits.
    pub(crate) fn open_fast(&self, connection: &mut Connection, shared: &Shared, data: &mut Bytes) {
        let (local, remote) = (shared.local().ip(), shared.remote().ip());
        if let Some(offer) = lock(&self.fast_open).offer(self.clock.now(), local, remote) {
            connection.open_fast(&offer);
        }
        // What finds no room is written once the connection is open.
        let _ = shared.send.write_bytes(data, &Waiter::None);
    }

    /// A connection of ours says what it has learned of its server.
    pub(crate) fn learn_fast_open(&self, tuple: &FourTuple, news: &FastOpenNews) {
        self.counters.fast_open_ended(news.outcome);
        let (local, remote) = (tuple.local().ip(), tuple.remote().ip());
        lock(&self.fast_open).learn(self.clock.now(), local, remote, news);
    }

    /// The application gets the connection that `segment`, a SYN with a valid cookie, has opened, and its actor the SYN: its
    /// data takes the way of all data. Comes before the actor's first turn.
    pub(crate) fn hand_over_early(&self, shared: &Arc<Shared>, listener: &ListenerShared, segment: Segment) {
        shared.push(Arrival { at: self.clock.now(), input: Input::Segment(segment) });
        shared.send.open();
        self.counters.connections_accepted.bump();
        listener.push(TcpStream::new(Arc::clone(shared)));
    }
}
