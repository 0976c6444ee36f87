use super::*;

const LINK: usize = 1500;

fn host(n: u32) -> IpAddr {
    std::net::Ipv4Addr::from_bits(0xcb00_7100 + n).into()
}

fn v6(n: u16) -> IpAddr {
    std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()
}

fn cache() -> PathMtus {
    PathMtus::new(Clock::start())
}

// req: R8201-5, R1191-4, R8201-1
#[tokio::test(start_paused = true)]
async fn sizes_fall_and_age() {
    let cache = cache();
    assert_eq!(cache.get(host(1), LINK), LINK, "the link's MTU is the first estimate");
    cache.lower(host(1), 1400);
    cache.lower(host(1), 1450);
    assert_eq!((cache.get(host(1), LINK), cache.get(host(2), LINK)), (1400, LINK));
    assert_eq!(cache.get(host(1), 1300), 1300, "never more than the link takes");
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(cache.get(host(1), LINK), 1400);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cache.get(host(1), LINK), LINK, "after ten minutes it is old");
    assert_eq!(cache.len.load(Relaxed), 0);
}

// req: R1191-4, R8201-2
#[tokio::test(start_paused = true)]
async fn there_is_a_floor() {
    let cache = cache();
    cache.lower(host(1), 20);
    assert_eq!(cache.get(host(1), LINK), 68);
    cache.lower(v6(1), 1279);
    assert_eq!(cache.get(v6(1), LINK), LINK, "no link of IPv6 takes so little");
    cache.lower(v6(1), 1280);
    assert_eq!(cache.get(v6(1), LINK), 1280);
}

// req: R8201-5
#[tokio::test(start_paused = true)]
async fn a_probe_that_got_through_raises_what_is_known() {
    let cache = cache();
    cache.tell(host(1), PathNews::Raised(1500));
    assert_eq!(cache.known(host(1)), None, "nothing is known of a path that takes what the link takes");
    cache.tell(host(1), PathNews::Lowered(1280));
    let epoch = cache.epoch();
    cache.tell(host(1), PathNews::Raised(1400));
    assert_eq!(cache.known(host(1)), Some(1400));
    assert_ne!(cache.epoch(), epoch, "others are to look");
    cache.tell(host(1), PathNews::Raised(1340));
    assert_eq!(cache.known(host(1)), Some(1400));
}

// req: R8201-5
#[tokio::test(start_paused = true)]
async fn a_flood_forgets_the_oldest() {
    let cache = cache();
    for n in 0..2 * MOST as u32 {
        cache.lower(host(n), 1400);
        if n == 10 {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
    assert_eq!(cache.len.load(Relaxed), MOST);
    assert_eq!(cache.known(host(0)), None, "the oldest went");
    assert_eq!(cache.known(host(2 * MOST as u32 - 1)), Some(1400));
}
