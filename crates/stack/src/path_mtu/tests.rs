use super::*;

const LINK: usize = 1500;

fn host(n: u32) -> IpAddr {
    std::net::Ipv4Addr::from_bits(0xcb00_7100 + n).into()
}

fn v6(n: u16) -> IpAddr {
    std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()
}

fn cache() -> PathMtus {
    PathMtus::new(Clock::start(), 552)
}

// req: R8201-5, R1191-4, R8201-1
#[tokio::test(start_paused = true)]
async fn sizes_fall_and_age() {
    let cache = cache();
    assert_eq!(cache.get(host(1), LINK), LINK, "the link's MTU is the first estimate");
    cache.report(host(1), 1400, 1500);
    cache.report(host(1), 1450, 1500);
    assert_eq!((cache.get(host(1), LINK), cache.get(host(2), LINK)), (1400, LINK));
    assert_eq!(cache.get(host(1), 1300), 1300, "never more than the link takes");
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(cache.get(host(1), LINK), 1400);
    // Reports of more than what is known, or about packets that fit, keep nothing alive.
    cache.report(host(1), 1450, 1500);
    cache.report(host(1), 1400, 1400);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cache.get(host(1), LINK), LINK, "after ten minutes it is old");
    assert_eq!(cache.len.load(Relaxed), 0);
}

// req: R1191-4, R8201-2
#[tokio::test(start_paused = true)]
async fn there_is_a_floor() {
    let cache = cache();
    cache.report(host(1), 20, 1500);
    assert_eq!(cache.get(host(1), LINK), 552);
    let deep = PathMtus::new(Clock::start(), 20);
    deep.report(host(1), 20, 1500);
    assert_eq!(deep.get(host(1), LINK), 68);
    cache.report(v6(1), 1279, 1500);
    assert_eq!(cache.get(v6(1), LINK), LINK, "no link of IPv6 takes so little");
    cache.report(v6(1), 1280, 1500);
    assert_eq!(cache.get(v6(1), LINK), 1280);
}

/// A router that does not say what it takes: the next plateau below the packet that it could not forward.
// req: R1191-3
#[tokio::test(start_paused = true)]
async fn an_old_routers_report_means_the_next_plateau() {
    let cache = cache();
    for (packet, known) in [(1500, 1492), (1492, 1006), (1006, 552), (552, 552)] {
        cache.report(host(1), 0, packet);
        assert_eq!(cache.known(host(1)), Some(known), "{packet}");
    }
    cache.report(v6(1), 0, 1500);
    assert_eq!(cache.known(v6(1)), None);
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
        cache.report(host(n), 1400, 1500);
        if n == 10 {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
    assert_eq!(cache.len.load(Relaxed), MOST);
    assert_eq!(cache.known(host(0)), None, "the oldest went");
    assert_eq!(cache.known(host(2 * MOST as u32 - 1)), Some(1400));
}

/// A report has to quote a datagram that left, and each counts once.
// req: R8201-3, R8899-1
#[test]
fn sizes_are_remembered_and_taken_once() {
    let sent = SentSizes::new(crate::secrets::Secrets::from_seed(1));
    let tuple = |port: u16| {
        netstack_tcp::FourTuple::new(([192, 0, 2, 1], 53).into(), ([203, 0, 113, 9], port).into())
    };
    sent.note(&tuple(4000), 1480);
    sent.note(&tuple(4001), 1480);
    assert!(!sent.take(&tuple(4000), 1479) && !sent.take(&tuple(4002), 1480));
    assert!(sent.take(&tuple(4000), 1480));
    assert!(!sent.take(&tuple(4000), 1480), "once");
    assert!(sent.take(&tuple(4001), 1480));
    (0..10_000).for_each(|n| sent.note(&tuple(n), 1480));
    let left = (0..10_000).filter(|n| sent.take(&tuple(*n), 1480)).count();
    assert!((500..=MOST_SENT).contains(&left), "{left}");
}

const MOST_SENT: usize = 1024;
