//! What befalls a packet from the moment when it is given to a direction of a link.

use std::net::IpAddr;

use bytes::Bytes;
use netstack_tcp::Instant;
use netstack_wire::{Protocol, ip};

use super::fabric::{Event, Packet, State};
use super::ids::{NodeId, Way};
use super::observer::{PacketEvent, Reason, What};
use super::policy::{PacketView, Verdict};
use crate::impair::{Cause, flip, write_ce};
use crate::link::Outcome;
use crate::{Fate, Trace};

impl State {
    /// Gives a packet to a direction of a link.
    pub(super) fn send(&mut self, now: Instant, way: usize, bytes: Bytes) {
        let packet = Packet { id: self.packets, bytes };
        self.packets += 1;
        self.trace.packet();
        self.trace.word(now.as_nanos() << 8 ^ way as u64);
        self.trace.bytes(&packet.bytes);
        self.observe(now, way, &packet, What::Sent);
        if let Some(reason) = self.refusal(way, &packet.bytes) {
            self.drop_packet(now, way, &packet, reason);
            return;
        }
        match self.judge(now, way, &packet.bytes) {
            Verdict::Pass => self.queue(now, way, packet),
            Verdict::Drop => self.drop_packet(now, way, &packet, Reason::Policy),
            Verdict::Delay(by) => {
                let at = now + by;
                self.heap.push(at, Event::Queue(way, packet));
            }
            Verdict::Duplicate => {
                self.queue(now, way, packet.clone());
                self.queue(now, way, packet);
            }
            Verdict::Replace(bytes) => self.queue(now, way, Packet { bytes, ..packet }),
        }
    }

    /// Why a direction does not even take a packet.
    fn refusal(&self, way: usize, bytes: &Bytes) -> Option<Reason> {
        let channel = &self.channels[way];
        if !channel.is_up || self.apart(channel.from, bytes) {
            return Some(Reason::Cut);
        }
        (bytes.len() > channel.mtu).then_some(Reason::TooBig)
    }

    /// Whether a packet that `from` sends, a host, is for one in another part of the network.
    fn apart(&self, from: usize, bytes: &Bytes) -> bool {
        let Some(parts) = &self.parts else { return false };
        let Some(own) = parts[from] else { return false };
        let owner = ip::parse(bytes).ok().and_then(|packet| self.owners.get(&packet.dst));
        owner.and_then(|&owner| parts[owner]).is_some_and(|other| other != own)
    }

    /// What the policies of a direction say: the first that does not let the packet pass.
    fn judge(&mut self, now: Instant, way: usize, bytes: &Bytes) -> Verdict {
        let policies = &mut self.channels[way].policies;
        if policies.is_empty() {
            return Verdict::Pass;
        }
        let view = PacketView::new(now, bytes);
        let verdicts = policies.iter_mut().map(|policy| policy(&view));
        // Each is asked, so that one that counts packets sees them all.
        verdicts.fold(Verdict::Pass, |first, next| if first == Verdict::Pass { next } else { first })
    }

    /// A packet reaches the queue of a direction.
    pub(super) fn queue(&mut self, now: Instant, way: usize, packet: Packet) {
        let channel = &mut self.channels[way];
        let ecn = ip::ecn_of(&packet.bytes);
        let flow = if channel.link.is_fair() { flow_of(&packet.bytes) } else { 0 };
        let size = (packet.bytes.len(), flow, ecn);
        channel.line.offer(&mut channel.link, now, packet, size, &mut self.outcomes);
        self.run_line(now, way);
        self.observe_queue(now, way);
    }

    /// Lets leave what the line of a direction takes by `now`, and comes back when it takes more.
    pub(super) fn run_line(&mut self, now: Instant, way: usize) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let channel = &mut self.channels[way];
        if let Some(again) = channel.line.run(&mut channel.link, now, &mut outcomes) {
            self.heap.push(again, Event::Line(way));
        }
        for outcome in outcomes.drain(..) {
            match outcome {
                Outcome::Dropped(packet, Cause::Full) => {
                    self.drop_packet(now, way, &packet, Reason::QueueFull);
                }
                Outcome::Dropped(packet, Cause::Early) => self.drop_packet(now, way, &packet, Reason::Early),
                Outcome::Left(mut packet, departure) => {
                    if departure.marked {
                        packet.change(write_ce);
                    }
                    if let Some(hit) = departure.hit {
                        packet.change(|bytes| flip(bytes, hit));
                    }
                    self.leave(now, way, packet, departure.fate);
                }
            }
        }
        self.outcomes = outcomes;
    }

    /// A packet has left the line.
    fn leave(&mut self, now: Instant, way: usize, packet: Packet, fate: Fate) {
        let cuts = self.channels[way].cuts;
        let Fate::Arrives { at, copy } = fate else {
            self.drop_packet(now, way, &packet, Reason::Lost);
            return;
        };
        self.trace.word(at.as_nanos());
        self.observe(now, way, &packet, What::Left { at, copy });
        if let Some(copy) = copy {
            self.trace.word(copy.as_nanos());
            self.heap.push(copy, Event::Arrive { way, cuts, packet: packet.clone() });
        }
        self.heap.push_behind(way, at, Event::Arrive { way, cuts, packet });
    }

    pub(super) fn arrived(&mut self, at: Instant, way: usize, packet: &Packet) {
        self.observe(at, way, packet, What::Arrived);
    }

    pub(super) fn drop_packet(&mut self, now: Instant, way: usize, packet: &Packet, reason: Reason) {
        let stats = self.channels[way].link.stats_mut();
        match reason {
            // The link has counted them.
            Reason::QueueFull | Reason::Early | Reason::Lost => {}
            Reason::Cut => stats.cut += 1,
            Reason::TooBig => stats.too_big += 1,
            Reason::Policy => stats.policy_dropped += 1,
        }
        self.trace.word(now.as_nanos() << 8 ^ 0xff ^ reason as u64);
        self.observe(now, way, packet, What::Dropped(reason));
    }

    /// Cuts a direction: what waits and what is under way is lost with it.
    pub(super) fn cut(&mut self, now: Instant, way: usize) {
        let channel = &mut self.channels[way];
        channel.is_up = false;
        channel.cuts += 1;
        for packet in channel.line.flush(&mut channel.link) {
            self.drop_packet(now, way, &packet, Reason::Cut);
        }
    }

    /// Tells how much waits in front of the line of a direction.
    pub(super) fn observe_queue(&mut self, at: Instant, way: usize) {
        if let Some(observer) = &mut self.observer {
            let (bytes, packets) = self.channels[way].link.waiting(at);
            observer.queue(at, Way(way), bytes, packets);
        }
    }

    fn observe(&mut self, at: Instant, way: usize, packet: &Packet, what: What) {
        let Some(observer) = &mut self.observer else { return };
        let channel = &self.channels[way];
        observer.packet(&PacketEvent {
            at,
            packet: packet.id,
            way: Way(way),
            from: NodeId(channel.from),
            to: NodeId(channel.to),
            what,
            bytes: &packet.bytes,
        });
    }
}

/// A number for the flow of a packet: the same for the same addresses, protocol and ports.
fn flow_of(bytes: &Bytes) -> u64 {
    let Ok(packet) = ip::parse(bytes) else { return 0 };
    let mut hash = Trace::new();
    match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            hash.word(u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits()));
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            hash.bytes(&src.octets());
            hash.bytes(&dst.octets());
        }
        _ => {}
    }
    hash.word(u64::from(packet.protocol.0));
    // Fragments behind the first have no ports.
    if packet.fragment.is_none() && matches!(packet.protocol, Protocol::TCP | Protocol::UDP) {
        hash.bytes(packet.payload.get(..4).unwrap_or_default());
    }
    hash.hash()
}

impl Packet {
    fn change(&mut self, change: impl FnOnce(&mut [u8])) {
        let mut bytes = Vec::from(std::mem::take(&mut self.bytes));
        change(&mut bytes);
        self.bytes = bytes.into();
    }
}
