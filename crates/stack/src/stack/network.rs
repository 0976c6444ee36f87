//! Devices that come, go, and take another's place while the stack runs.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use netstack_device::{Device, RxQueue};
use netstack_tcp::FourTuple;
use netstack_wire::{ipv4, ipv6};
use tracing::{info, warn};

use super::Inner;
use super::interface::{Interface, InterfaceRef, LOOPBACK, Status};
use super::lifecycle::StopSignal;
use crate::actor::{Shared, order};
use crate::error::{EndCause, invalid, not_found};
use crate::ingress::Ingress;
use crate::lane::{Waiter, lock};
use crate::route::RouteTable;
use crate::sync::atomic::{Ordering::SeqCst, fence};

/// A device that has died; see [`Stack::device_lost`](crate::Stack::device_lost).
#[derive(Debug)]
#[non_exhaustive]
pub struct DeviceLost {
    /// Its index, counting in the order of [`StackBuilder::device`](crate::StackBuilder::device).
    pub device: usize,
    /// What it died of.
    pub error: io::Error,
}

/// The halves of a device in use.
pub(super) struct Opened {
    pub(super) queues: Vec<Box<dyn RxQueue>>,
    pub(super) interface: Interface,
}

impl Opened {
    pub(super) fn new(device: Box<dyn Device>) -> io::Result<Self> {
        let (queues, tx) = device.split()?;
        let capabilities = tx.capabilities();
        Ok(Self { queues, interface: Interface::new(tx, &capabilities) })
    }
}

/// Refuses an MTU that IP cannot use.
pub(super) fn check_mtu(mtu: usize, v6: bool) -> io::Result<()> {
    let least = usize::from(if v6 { ipv6::MIN_MTU } else { ipv4::MIN_MTU });
    if mtu >= least {
        return Ok(());
    }
    let version = if v6 { "IPv6" } else { "IPv4" };
    Err(invalid(format!("an MTU of {mtu} is below the {least} that {version} needs; raise the device's")))
}

impl Inner {
    /// Which state of interfaces, addresses and routes is in force.
    pub(crate) fn generation(&self) -> u32 {
        self.interfaces.generation()
    }

    /// The interface of this index, as it is now: a device may be replaced, so it is to be used at once and not kept.
    pub(crate) fn interface(&self, index: usize) -> InterfaceRef<'_> {
        self.interfaces.get(index).expect("indices come from the stack itself, which takes none back")
    }

    /// Where a connection's packets leave: the index of the interface, and the interface. Answers of a `pinned` one leave
    /// by the interface that its first packet came by, whatever the routes say.
    pub(crate) fn way_out(&self, tuple: &FourTuple, present: usize, pinned: bool) -> (usize, Arc<Interface>) {
        let table = self.routes.table();
        let (local, remote) = (tuple.local().ip(), tuple.remote().ip());
        let index = if pinned { Some(present) } else { table.interface_from(local, remote) };
        match index.filter(|_| table.may_send_from(local)) {
            Some(index) => (index, Arc::clone(&self.interface(index))),
            // A route or the address may come back.
            None => (present, Arc::clone(self.interfaces.nowhere())),
        }
    }

    /// Changes addresses and routes.
    pub(super) fn change_routes(
        &self,
        change: impl FnOnce(&mut RouteTable) -> io::Result<()>,
    ) -> io::Result<()> {
        {
            let _change = self.interfaces.change();
            self.routes.change(change)?;
        }
        // Beside the one in `Actor::may_wait`.
        fence(SeqCst);
        // Others look for themselves when they have something to send.
        self.notify(Shared::waits_for_device);
        Ok(())
    }

    /// Lets connections look where their packets leave now.
    fn notify(&self, wanted: impl Fn(&Shared) -> bool) {
        for shared in self.table.actors_where(wanted) {
            shared.notify();
        }
    }

    /// Lets the connections of an interface look at what it has become, and let go of what it was.
    pub(super) fn notify_at(&self, index: usize) {
        self.notify(|shared| shared.interface() == index);
    }

    /// Starts to read a device. With it a stack that had none left runs again.
    pub(super) fn start(
        self: &Arc<Self>,
        index: usize,
        queues: Vec<Box<dyn RxQueue>>,
        signal: &Arc<StopSignal>,
    ) {
        self.lifecycle.revive();
        if self.lifecycle.is_ending() {
            // It was told to since the device was taken, and may have missed this one.
            signal.raise();
        }
        for queue in queues {
            let ingress = Ingress::new(queue, index, Arc::downgrade(self), Arc::clone(signal));
            self.handle.spawn(tokio::task::unconstrained(ingress));
        }
    }

    /// A device has died, the one that `signal` belongs to. Its connections wait for another in its place, unless it was
    /// the last: then everything ends, if the stack is not to outlive its devices.
    pub(crate) fn device_lost(self: &Arc<Self>, index: usize, signal: &Arc<StopSignal>, error: &io::Error) {
        let last = {
            let change = self.interfaces.change();
            let lost = match self.interfaces.get(index) {
                // Not one that was replaced, or whose loss another has reported.
                Some(now) if Arc::ptr_eq(&now.signal, signal) && now.is_up() => {
                    let error = io::Error::new(error.kind(), error.to_string());
                    now.without_device(Status::Lost(Arc::new(error)))
                }
                _ => return,
            };
            change.replace(index, lost);
            self.set_down(index, true);
            !self.interfaces.devices().iter().any(|interface| interface.is_up())
        };
        warn!(device = index, %error, "a device is gone");
        if last && !self.outlives_devices {
            self.lose();
        }
        self.notify_at(index);
        lock(&self.interfaces.watchers).take().wake();
    }

    pub(super) fn set_down(&self, index: usize, down: bool) {
        let change = |table: &mut RouteTable| {
            table.set_down(index, down);
            Ok(())
        };
        self.routes.change(change).expect("going up or down is refused to no interface");
    }

    /// The last device is gone: every socket gets an error.
    fn lose(self: &Arc<Self>) {
        if self.lifecycle.lose() {
            info!("the stack has no device left and stops");
            self.end_all();
        }
    }

    /// Every socket gets an error.
    pub(super) fn end_all(self: &Arc<Self>) {
        self.listeners.close_all(self);
        self.udp.close_all();
        for shared in self.table.actors() {
            shared.order(order::STOP);
        }
    }

    /// The interface of a device that is there or was lost.
    pub(super) fn device(&self, index: usize) -> io::Result<InterfaceRef<'_>> {
        let known = self.interfaces.get(index).filter(|_| index != LOOPBACK);
        let Some(interface) = known else {
            let count = self.interfaces.devices().len();
            return Err(not_found(format!(
                "there is no device {index}; those of this stack count from 0 to {}",
                count - 1
            )));
        };
        if matches!(interface.status, Status::Removed) {
            return Err(not_found(format!("device {index} was removed; add one with `add_device`")));
        }
        Ok(interface)
    }

    /// Takes a device into use, unless the stack was told to end.
    pub(super) fn open(&self, device: Box<dyn Device>) -> io::Result<Opened> {
        if self.lifecycle.is_ending() {
            return Err(EndCause::StackStopped.to_io());
        }
        let _entered = self.handle.enter();
        Opened::new(device)
    }

    pub(super) fn poll_lost(&self, waiter: &Waiter<'_, '_>) -> Poll<io::Result<DeviceLost>> {
        // Whoever reports a loss takes the waiters after it: under their lock, none is missed.
        let mut watchers = lock(&self.interfaces.watchers);
        let lost = |(device, interface): (usize, &Arc<Interface>)| match &interface.status {
            Status::Lost(error) => {
                Some(DeviceLost { device, error: io::Error::new(error.kind(), error.to_string()) })
            }
            Status::Up | Status::Removed => None,
        };
        if let Some(lost) = self.interfaces.devices().iter().enumerate().find_map(lost) {
            return Poll::Ready(Ok(lost));
        }
        if self.lifecycle.is_ending() {
            return Poll::Ready(Err(EndCause::StackStopped.to_io()));
        }
        watchers.register(waiter);
        Poll::Pending
    }
}
