//! Fragments on their way to the datagram that they are part of.

use std::sync::{Arc, Weak};

use netstack_device::{Meta, RxFrame, Turn};
use netstack_wire::ip::{Fragment, IpPacket};
use netstack_wire::ipv4;

use super::Packet;
use crate::fragment::{Expired, Outcome};
use crate::icmp;
use crate::route::Destination;
use crate::stack::{Inner, LOOPBACK};

impl Packet<'_> {
    /// Takes a fragment; returns the datagram that it made whole. Devices vouch for no checksum that is spread over
    /// packets, so that of the whole is still to be verified.
    pub(super) fn fragment(
        &mut self,
        frame: &RxFrame,
        packet: &IpPacket<'_>,
        at: Fragment,
    ) -> Option<RxFrame> {
        self.expire_fragments();
        let counters = &self.inner.counters;
        counters.rx_fragments.bump();
        let (outcome, evicted) = self.inner.fragments.with(|reassembler| {
            let outcome = reassembler.handle(self.at, self.interface, packet, at, &frame.data);
            (outcome, reassembler.take_evicted())
        });
        counters.reassembly_evicted.add(evicted);
        let counter = match outcome {
            Outcome::Held => {
                if self.inner.fragments.watch() {
                    self.inner.handle.spawn(give_up_late(Arc::downgrade(self.inner)));
                }
                return None;
            }
            Outcome::Whole(data) => {
                counters.rx_reassembled.bump();
                return Some(RxFrame { data, meta: Meta::default(), at: frame.at });
            }
            Outcome::Duplicate => &counters.drop_fragment_duplicate,
            Outcome::Overlap => &counters.drop_fragment_overlap,
            Outcome::Late => &counters.drop_fragment_late,
            Outcome::Tiny => &counters.drop_fragment_tiny,
            Outcome::Impossible => &counters.drop_bad_fragment,
            Outcome::MixedEcn => &counters.drop_fragment_ecn,
            Outcome::NoRoom => &counters.drop_fragment_no_room,
        };
        counter.bump();
        None
    }

    /// Discards the datagram that an impossible IPv4 fragment belongs to.
    pub(super) fn bad_fragment(&self, frame: &RxFrame) {
        if let Some((src, dst, protocol, id)) = ipv4::datagram_name(&frame.data) {
            self.inner.fragments.with(|reassembler| {
                reassembler.discard_v4(src.into(), dst.into(), protocol, id);
            });
        }
    }

    /// Gives up the sets whose time is over, and says so to the sender where the first fragment has come (R791-3,
    /// R8200-21).
    fn expire_fragments(&mut self) {
        while self.inner.fragments.deadline().is_some_and(|deadline| deadline <= self.at)
            && let Some(expired) = self.inner.fragments.with(|reassembler| reassembler.pop_expired(self.at))
        {
            self.inner.counters.reassembly_timeouts.bump();
            let Expired { src, dst, interface, first } = expired;
            // Addresses may have gone meanwhile, and errors are never about a group.
            if let Some(first) = first
                && self.inner.routes.classify(dst) == Destination::Ours
            {
                let own = std::mem::replace(&mut self.interface, interface);
                self.send_error(|| icmp::reassembly_timeout(dst, src, &first));
                self.interface = own;
            }
        }
    }
}

/// Gives up what has waited too long, device or not, until nothing waits any more or the stack is gone.
async fn give_up_late(inner: Weak<Inner>) {
    loop {
        let next = {
            let Some(inner) = inner.upgrade() else { return };
            let mut packet = Packet {
                inner: &inner,
                interface: LOOPBACK,
                touched: &mut Vec::new(),
                turn: &mut Turn::new(),
                at: inner.clock.now(),
            };
            packet.expire_fragments();
            inner.fragments.next_look().and_then(|next| inner.clock.tokio(next))
        };
        let Some(next) = next else { return };
        tokio::time::sleep_until(next).await;
    }
}
