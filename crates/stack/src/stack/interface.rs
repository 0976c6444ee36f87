//! Devices in use.

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::{ArcSwap, Guard};
use netstack_device::{Capabilities, DeviceCounters, Offloads, SendError, Turn, TxFrame, TxQueue};

use super::lifecycle::StopSignal;
use crate::lane::{Waiters, lock};
use crate::sync::atomic::{
    AtomicU8, AtomicU32, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use crate::sync::{Mutex, MutexGuard};

const CHECKSUM: u8 = 1;
const TSO4: u8 = 2;
const TSO6: u8 = 4;
const TSO_ECN: u8 = 8;
const USO: u8 = 16;

/// The index of the interface by which a stack reaches itself. Devices have lower ones.
pub(crate) const LOOPBACK: usize = u16::MAX as usize;

/// Whether an interface has a device.
#[derive(Debug)]
pub(crate) enum Status {
    Up,
    /// The device has died.
    Lost(Arc<io::Error>),
    /// The device was removed; the interface never has one again.
    Removed,
}

/// A device's sending half, with what was last heard of its abilities. A device that takes its place makes another.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) tx: Arc<dyn TxQueue>,
    pub(crate) status: Status,
    /// Ends the loops that read the device.
    pub(crate) signal: Arc<StopSignal>,
    mtu: AtomicUsize,
    /// What may be left to the device, in bits: it shrinks when the device refuses what it once offered.
    offloads: AtomicU8,
}

impl Interface {
    pub(crate) fn new(tx: Arc<dyn TxQueue>, capabilities: &Capabilities) -> Self {
        Self {
            tx,
            status: Status::Up,
            signal: Arc::default(),
            mtu: AtomicUsize::new(capabilities.mtu),
            offloads: AtomicU8::new(bits(capabilities.tx)),
        }
    }

    /// What stands in the place of an interface without a device: whatever is sent is lost.
    pub(super) fn without_device(&self, status: Status) -> Self {
        let capabilities = Capabilities::ip(self.mtu());
        let tx = Arc::new(NoDevice { capabilities: capabilities.clone(), counters: self.tx.counters() });
        Self { status, ..Self::new(tx, &capabilities) }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.status, Status::Up)
    }

    /// The longest packet, in octets.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu.load(Relaxed)
    }

    pub(super) fn set_mtu(&self, mtu: usize) {
        self.mtu.store(mtu, Relaxed);
    }

    /// What may be left to the device.
    pub(crate) fn offloads(&self) -> Offloads {
        let bits = self.offloads.load(Relaxed);
        Offloads {
            checksum: bits & CHECKSUM != 0,
            tso4: bits & TSO4 != 0,
            tso6: bits & TSO6 != 0,
            tso_ecn: bits & TSO_ECN != 0,
            uso: bits & USO != 0,
        }
    }

    /// Asks the device anew, after it has refused a frame.
    pub(crate) fn refused(&self) {
        // Never more than before, whoever asked later.
        self.offloads.fetch_and(bits(self.tx.capabilities().tx), Relaxed);
    }
}

/// All interfaces of a stack, by their index.
#[derive(Debug)]
pub(crate) struct Interfaces {
    devices: ArcSwap<Vec<Arc<Interface>>>,
    loopback: Arc<Interface>,
    /// Where packets go that may not leave.
    nowhere: Arc<Interface>,
    /// Goes up whenever an interface, an address or a route changes.
    generation: AtomicU32,
    /// Changes come one at a time.
    changing: Mutex<()>,
    /// Those who wait for a device to be lost.
    pub(super) watchers: Mutex<Waiters>,
}

impl Interfaces {
    pub(super) fn new(devices: Vec<Interface>, loopback: Interface) -> Self {
        Self {
            devices: ArcSwap::from_pointee(devices.into_iter().map(Arc::new).collect()),
            nowhere: Arc::new(loopback.without_device(Status::Removed)),
            loopback: Arc::new(loopback),
            generation: AtomicU32::new(0),
            changing: Mutex::default(),
            watchers: Mutex::default(),
        }
    }

    /// The interface of this index, as it is now; to be used at once and not kept.
    pub(crate) fn get(&self, index: usize) -> Option<InterfaceRef<'_>> {
        if index == LOOPBACK {
            return Some(InterfaceRef(At::Fixed(&self.loopback)));
        }
        let devices = self.devices.load();
        (index < devices.len()).then_some(InterfaceRef(At::Device(devices, index)))
    }

    pub(crate) fn nowhere(&self) -> &Arc<Interface> {
        &self.nowhere
    }

    /// All interfaces that have or had a device.
    pub(super) fn devices(&self) -> Guard<Arc<Vec<Arc<Interface>>>> {
        self.devices.load()
    }

    /// Which state of interfaces, addresses and routes is in force: another number after each change.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Acquire)
    }

    /// Keeps other changes out as long as it is held; a change that was made is announced when it is dropped.
    pub(super) fn change(&self) -> Change<'_> {
        Change { interfaces: self, _lock: lock(&self.changing) }
    }

    /// Ends all loops that read.
    pub(super) fn stop(&self) {
        // No change may slip a device in meanwhile.
        let _change = self.change();
        for interface in self.devices().iter().chain([&self.loopback]) {
            interface.signal.raise();
        }
    }
}

/// The right to change interfaces, addresses and routes.
pub(super) struct Change<'a> {
    interfaces: &'a Interfaces,
    _lock: MutexGuard<'a, ()>,
}

impl Change<'_> {
    /// Adds an interface; its index.
    pub(super) fn push(&self, interface: Interface) -> usize {
        let mut devices = Vec::clone(&self.interfaces.devices());
        devices.push(Arc::new(interface));
        let index = devices.len() - 1;
        self.interfaces.devices.store(Arc::new(devices));
        index
    }

    /// Puts an interface in the place of another, and ends what reads that one's device and what waits for it.
    pub(super) fn replace(&self, index: usize, interface: Interface) {
        let mut devices = Vec::clone(&self.interfaces.devices());
        let before = std::mem::replace(&mut devices[index], Arc::new(interface));
        self.interfaces.devices.store(Arc::new(devices));
        before.signal.raise();
        before.tx.close();
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        // Wraps around: only whether it differs counts.
        self.interfaces.generation.fetch_add(1, Release);
    }
}

/// An interface at present, for one use.
pub(crate) struct InterfaceRef<'a>(At<'a>);

enum At<'a> {
    Fixed(&'a Arc<Interface>),
    Device(Guard<Arc<Vec<Arc<Interface>>>>, usize),
}

impl Deref for InterfaceRef<'_> {
    type Target = Arc<Interface>;

    fn deref(&self) -> &Arc<Interface> {
        match &self.0 {
            At::Fixed(interface) => interface,
            At::Device(all, index) => &all[*index],
        }
    }
}

/// The sending half of no device: connections over it live on their timers until there is one.
#[derive(Debug)]
struct NoDevice {
    capabilities: Capabilities,
    /// The last word of the device that there was.
    counters: DeviceCounters,
}

impl TxQueue for NoDevice {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn try_send(&self, _: TxFrame<'_>, _: &mut Turn) -> Result<(), SendError> {
        Err(SendError::Lost(io::ErrorKind::NetworkDown.into()))
    }

    fn poll_ready(&self, _: &mut Context<'_>, _: &mut Turn) -> Poll<()> {
        Poll::Ready(())
    }

    fn leave(&self, _: &mut Turn) {}

    fn counters(&self) -> DeviceCounters {
        self.counters
    }
}

fn bits(offloads: Offloads) -> u8 {
    let bit = |on: bool, bit| if on { bit } else { 0 };
    bit(offloads.checksum, CHECKSUM)
        | bit(offloads.tso4, TSO4)
        | bit(offloads.tso6, TSO6)
        | bit(offloads.tso_ecn, TSO_ECN)
        | bit(offloads.uso, USO)
}
