//! What may change while a stack runs: addresses, routes and devices.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use netstack_device::Device;

use super::Stack;
use super::interface::{LOOPBACK, Status};
use super::network::{DeviceLost, check_mtu};
use crate::error::invalid;
use crate::lane::{lock, wait};
use crate::route::{IpNetwork, IpPrefix};

/// # Changes at run time
///
/// Addresses, routes and devices may come and go under live connections; each change is in force when its call returns,
/// and none of them waits.
impl Stack {
    /// The stack's addresses and the devices that they were given to, in the order in which they were given.
    #[must_use]
    pub fn addresses(&self) -> Vec<(IpPrefix, usize)> {
        self.inner.routes.table().addresses().to_vec()
    }

    /// The routes and the devices that they lead to, without those to the addresses' own networks: the ones that were
    /// given, in their order, then the default routes that [`StackBuilder::route`](crate::StackBuilder::route) tells of.
    #[must_use]
    pub fn routes(&self) -> Vec<(IpNetwork, usize)> {
        self.inner.routes.table().routes().collect()
    }

    /// Gives a device another address, with its network's prefix.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](io::ErrorKind::NotFound): there is no such device;
    /// - [`AlreadyExists`](io::ErrorKind::AlreadyExists): the stack has the address;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): a loopback address, or an IPv6 address for a device with an MTU below
    ///   1280.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio_netstack::{Stack, device};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (here, _there) = device::memory::pair(device::Capabilities::ip(1500), device::Capabilities::ip(1500));
    /// let stack = Stack::builder().device(here).address("192.0.2.2/24".parse()?).build()?;
    /// stack.add_address("2001:db8::2/64".parse()?, 0)?;
    /// stack.add_route("::/0".parse()?, 0)?;
    /// stack.remove_address("192.0.2.2".parse()?)?;
    /// assert_eq!(stack.addresses(), [("2001:db8::2/64".parse()?, 0)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_address(&self, prefix: IpPrefix, device: usize) -> io::Result<()> {
        self.inner.change_routes(|table| {
            let interface = self.inner.device(device)?;
            check_mtu(interface.mtu(), prefix.addr().is_ipv6() || table.has_v6(device))?;
            table.add_address(prefix, device)
        })
    }

    /// Takes an address away, with the route to its network.
    ///
    /// Its sockets stay, as they do in Linux: listeners hear nothing, and connections send nothing and hear nothing until
    /// their own limits end them. If the address comes back in time, they go on.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound): the stack has no such address.
    pub fn remove_address(&self, addr: IpAddr) -> io::Result<()> {
        self.inner.change_routes(|table| table.remove_address(addr))
    }

    /// Routes a network by a device; see [`StackBuilder::route`](crate::StackBuilder::route).
    ///
    /// Connections that the stack has opened follow, if they are not bound to an address of another device.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](io::ErrorKind::NotFound): there is no such device;
    /// - [`AlreadyExists`](io::ErrorKind::AlreadyExists): there is this very route.
    pub fn add_route(&self, network: IpNetwork, device: usize) -> io::Result<()> {
        self.inner.change_routes(|table| {
            self.inner.device(device)?;
            table.add_route(network, device)
        })
    }

    /// Takes a route away.
    ///
    /// Connections that the stack has opened go by the next best one. Those that none is left for send nothing until one
    /// comes, or their own limits end them.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound): there is no such route in [`routes`](Self::routes).
    pub fn remove_route(&self, network: IpNetwork, device: usize) -> io::Result<()> {
        self.inner.change_routes(|table| table.remove_route(network, device))
    }

    /// Adds a device and returns its index. It has neither addresses nor routes yet.
    ///
    /// Indices count up and are not used again. A stack that has stopped because its last device died runs again.
    ///
    /// # Errors
    ///
    /// - [`NetworkDown`](io::ErrorKind::NetworkDown): the stack was told to end;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): an MTU that IPv4 cannot use, or more devices than a stack can have in
    ///   its life (65,535);
    /// - what the device reports when it is taken into use.
    pub fn add_device(&self, device: impl Device + 'static) -> io::Result<usize> {
        let inner = &self.inner;
        let opened = inner.open(Box::new(device))?;
        let signal = Arc::clone(&opened.interface.signal);
        let index = {
            let change = inner.interfaces.change();
            if inner.interfaces.devices().len() == LOOPBACK {
                return Err(invalid(
                    "more devices than a stack can have: `replace_device` makes no new index",
                ));
            }
            check_mtu(opened.interface.mtu(), false)?;
            change.push(opened.interface)
        };
        inner.start(index, opened.queues, &signal);
        Ok(index)
    }

    /// Removes a device with its addresses and routes.
    ///
    /// Connections that were accepted over it end by their own limits; those that the stack has opened go by another route,
    /// if their address belongs to another device. Without any device the stack waits for the next.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound): there is no such device.
    pub fn remove_device(&self, device: usize) -> io::Result<()> {
        let inner = &self.inner;
        {
            let change = inner.interfaces.change();
            let removed = inner.device(device)?.without_device(Status::Removed);
            inner.routes.change(|table| {
                table.remove_interface(device);
                Ok(())
            })?;
            change.replace(device, removed);
        }
        inner.notify_at(device);
        Ok(())
    }

    /// Puts a device in the place of another, which is dropped, or of one that was lost.
    ///
    /// Addresses, routes and connections stay. Frames inside the old device are lost, as on a bad link, and sent again.
    /// Connections adopt the new MTU, and its [`device_counters`](Self::device_counters) start at 0. A stack that has stopped
    /// because its last device died runs again, without the sockets that it had; with
    /// [`StackBuilder::outlive_devices`](crate::StackBuilder::outlive_devices) they live on.
    ///
    /// # Errors
    ///
    /// As [`add_device`](Self::add_device), and
    ///
    /// - [`NotFound`](io::ErrorKind::NotFound): there is no such device, or it was removed;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): an MTU below 1280, and the old device has IPv6 addresses.
    ///
    /// In every case the old device stays as it is.
    ///
    /// # Examples
    ///
    /// Whenever a device dies, another is opened:
    ///
    /// ```
    /// use std::io;
    /// use tokio_netstack::{Stack, device::Device};
    ///
    /// async fn keep<D: Device + 'static>(stack: Stack, open: impl Fn() -> io::Result<D>) -> io::Result<()> {
    ///     loop {
    ///         let lost = stack.device_lost().await?;
    ///         println!("device {} is gone: {}", lost.device, lost.error);
    ///         stack.replace_device(lost.device, open()?)?;
    ///     }
    /// }
    /// ```
    pub fn replace_device(&self, index: usize, device: impl Device + 'static) -> io::Result<()> {
        let inner = &self.inner;
        inner.device(index)?;
        let opened = inner.open(Box::new(device))?;
        let signal = Arc::clone(&opened.interface.signal);
        {
            let change = inner.interfaces.change();
            // It may be gone since.
            inner.device(index)?;
            check_mtu(opened.interface.mtu(), inner.routes.table().has_v6(index))?;
            change.replace(index, opened.interface);
            inner.set_down(index, false);
        }
        inner.start(index, opened.queues, &signal);
        inner.notify_at(index);
        Ok(())
    }

    /// The MTU of a device as the stack uses it, in octets. `None` if there is no such device.
    #[must_use]
    pub fn mtu(&self, device: usize) -> Option<usize> {
        self.inner.device(device).ok().map(|interface| interface.mtu())
    }

    /// Sets the MTU, in octets, that the stack uses for a device: at most what the device itself takes, and back up to that.
    ///
    /// Connections adopt it with the next segment; the MSS that they announced to their peers stays.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](io::ErrorKind::NotFound): there is no such device;
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): below the 68 that IPv4 needs, or the 1280 that IPv6 does where the
    ///   device has an IPv6 address; or more than the device takes, which only another device mends
    ///   ([`replace_device`](Self::replace_device)).
    pub fn set_mtu(&self, device: usize, mtu: usize) -> io::Result<()> {
        let _change = self.inner.interfaces.change();
        let interface = self.inner.device(device)?;
        check_mtu(mtu, self.inner.routes.table().has_v6(device))?;
        let most = interface.tx.capabilities().mtu;
        if mtu > most {
            let text = format!(
                "device {device} takes packets of up to {most} octets: open it anew with an MTU of {mtu}, and replace it"
            );
            return Err(invalid(text));
        }
        interface.set_mtu(mtu);
        Ok(())
    }

    /// Waits until a device has died, and tells which; at once as long as one is dead that was neither
    /// [replaced](Self::replace_device) nor [removed](Self::remove_device).
    ///
    /// # Errors
    ///
    /// [`NetworkDown`](io::ErrorKind::NetworkDown): the stack was told to end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a loss that nobody has heard of is told to the next caller.
    pub async fn device_lost(&self) -> io::Result<DeviceLost> {
        let inner = &self.inner;
        let forget = |place| lock(&inner.interfaces.watchers).forget(place);
        wait(|waiter| inner.poll_lost(waiter), forget).await
    }
}
