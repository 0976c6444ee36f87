//! Raw smoltcp as a server of the side-by-side benchmark: one thread that polls, over smoltcp's own TUN interface.
//!
//! Each socket's buffers are allocated once; a socket whose connection is over listens again. There are just as many
//! sockets as the measurement needs, since smoltcp looks at every one of them at each turn.

use std::error::Error;
use std::os::fd::AsRawFd;
use std::thread;

use clap::Parser;
use netstack_bench_services::{PORT, ServerArgs, Service, ready, until_the_parent_ends};
use sha2::{Digest, Sha256};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Medium, TunTapInterface, wait};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};

/// Sockets beside those in use: of connections that are closing.
const SPARE: usize = 4;

/// The length of the network's prefix.
const PREFIX: u8 = 30;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,
}

/// A socket and what its connection needs.
struct Slot {
    handle: SocketHandle,
    hash: Sha256,
    /// The digest is sent.
    ended: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Cli::parse().server;
    thread::spawn(|| {
        let _ended = until_the_parent_ends();
        std::process::exit(0);
    });
    let mut device = TunTapInterface::new(&args.device, Medium::Ip)?;
    let mut iface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::now());
    let mut no_room = false;
    iface.update_ip_addrs(|addresses| {
        no_room = addresses.push(IpCidr::new(args.address.into(), PREFIX)).is_err();
    });
    if no_room {
        return Err("smoltcp has no room for an address".into());
    }
    iface.routes_mut().add_default_ipv4_route(args.gateway())?;

    let mut sockets = SocketSet::new(Vec::new());
    let mut slots = Vec::new();
    for _ in 0..sockets_for(&args) {
        let handle = sockets.add(socket(args.buffer));
        sockets.get_mut::<Socket>(handle).listen(PORT)?;
        slots.push(Slot { handle, hash: Sha256::new(), ended: false });
    }
    ready()?;
    loop {
        iface.poll(Instant::now(), &mut device, &mut sockets);
        let mut moved = false;
        for slot in &mut slots {
            moved |= serve(args.service, slot, sockets.get_mut(slot.handle))?;
        }
        if !moved {
            let delay = iface.poll_delay(Instant::now(), &sockets);
            wait(device.as_raw_fd(), delay)?;
        }
    }
}

/// A connection of an echo may be closing while its successor comes.
fn sockets_for(args: &ServerArgs) -> usize {
    match args.service {
        Service::Echo if args.connections <= 64 => 2 * args.connections + SPARE,
        _ => args.connections + SPARE,
    }
}

fn socket(buffer: usize) -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; buffer]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket
}

/// Does what there is to do for a connection; whether that was anything.
fn serve(service: Service, slot: &mut Slot, socket: &mut Socket<'_>) -> Result<bool, Box<dyn Error>> {
    let mut moved = false;
    match service {
        Service::Source => {
            while socket.can_send() {
                moved |= socket.send(|buffer| {
                    buffer.fill(0x5a);
                    (buffer.len(), !buffer.is_empty())
                })?;
            }
        }
        Service::Discard => {
            while socket.can_recv() {
                moved |= socket.recv(|buffer| (buffer.len(), !buffer.is_empty()))?;
            }
        }
        Service::Echo | Service::Verify => moved |= echo(service, slot, socket)?,
    }
    if socket.state() == State::CloseWait && !socket.can_recv() {
        if service == Service::Verify && !slot.ended {
            let digest = slot.hash.finalize_reset();
            if socket.send_capacity() - socket.send_queue() < digest.len() {
                return Ok(moved);
            }
            socket.send_slice(&digest)?;
            slot.ended = true;
        }
        socket.close();
        moved = true;
    }
    if !socket.is_open() {
        slot.hash.reset();
        slot.ended = false;
        socket.listen(PORT)?;
        moved = true;
    }
    Ok(moved)
}

/// Gives back what has come, as far as there is room for it.
fn echo(service: Service, slot: &mut Slot, socket: &mut Socket<'_>) -> Result<bool, Box<dyn Error>> {
    let mut moved = false;
    while socket.can_recv() && socket.can_send() {
        let room = socket.send_capacity() - socket.send_queue();
        let piece = socket.recv(|buffer| {
            let piece = buffer[..buffer.len().min(room)].to_vec();
            (piece.len(), piece)
        })?;
        if service == Service::Verify {
            slot.hash.update(&piece);
        }
        socket.send_slice(&piece)?;
        moved = true;
    }
    Ok(moved)
}
