//! The network changes under a live connection with the kernel: another device, another MTU.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use netstack_device::tun::TunConfig;

use crate::hostile::{Change, change_link, exchange};
use crate::world::{CaseResult, World, ensure};

/// What the present device has to carry before the next change: the transfer is in full swing.
const UNDER_WAY: u64 = 5_000_000;

/// Devices of other names take the place of the first in the middle of a transfer. The kernel moves its route as the old one
/// goes with its last descriptor, and the connection goes on.
// req: S-TMO-2
pub(crate) async fn device_replaced(world: Arc<World>) -> CaseResult {
    let (kernel, stack) = world.pair(7).await?;
    let changing = async {
        for (name, mtu) in [("nst1", 1500), ("nst2", 1400)] {
            under_way(&world).await;
            // It waits beside the old one: the kernel's address is on both.
            let device = TunConfig::new(name)
                .mtu(mtu)
                .host_address(Ipv4Addr::new(192, 0, 2, 1).into(), 24)
                .host_address(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), 64)
                .open()
                .await?;
            world.stack.replace_device(0, device)?;
        }
        CaseResult::Ok(())
    };
    tokio::try_join!(changing, exchange(&world, kernel, stack))?;
    let carried = world.stack.device_counters(0).map_or(0, |counters| counters.rx_bytes);
    ensure!(
        carried > UNDER_WAY,
        "the transfer was over before its devices were: {carried} bytes by the last"
    );
    ensure!(world.stack.mtu(0) == Some(1400), "the MTU is {:?}", world.stack.mtu(0));
    Ok(())
}

/// `ip link set mtu` at both ends of the device, down and up again, in the middle of a transfer.
// req: S-TMO-2
pub(crate) async fn mtu(world: Arc<World>) -> CaseResult {
    let (kernel, stack) = world.pair(7).await?;
    let changing = async {
        for mtu in [1280, 1500, 1300] {
            under_way(&world).await;
            change_link(Change::Mtu(mtu)).await?;
            world.stack.set_mtu(0, mtu as usize)?;
        }
        CaseResult::Ok(())
    };
    tokio::try_join!(changing, exchange(&world, kernel, stack))?;
    let lost = world.stack.device_counters(0).map_or(0, |counters| counters.tx_lost);
    ensure!(lost == 0, "{lost} frames were longer than the device takes");
    Ok(())
}

/// Waits until the present device has carried some bytes of the transfer since now.
async fn under_way(world: &World) {
    let carried = || world.stack.device_counters(0).map_or(0, |counters| counters.rx_bytes);
    let start = carried();
    while carried() < start + UNDER_WAY {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
