use super::*;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Each setting is taken over, and by the chain of calls it stands in.
#[test]
fn what_is_set_is_what_is_read() {
    let mut config = TcpConfig::new();
    let times = KeepAlive { idle: secs(11), interval: secs(12), count: 3 };
    config
        .recv_buffer(10_000)
        .send_buffer(20_000)
        .nodelay(true)
        .keepalive(Some(times))
        .user_timeout(Some(secs(21)))
        .syn_timeout(secs(22))
        .syn_ack_timeout(secs(23))
        .initial_rto(secs(2))
        .min_rto(secs(3))
        .max_rto(secs(61))
        .ack_delay(Duration::from_millis(100))
        .quick_acks(5)
        .time_wait(secs(24))
        .fin_wait2_timeout(secs(25))
        .timestamps(false)
        .sack(false)
        .window_scaling(false)
        .mss(1300)
        .path_mtu_discovery(false)
        .min_path_mtu(600)
        .mtu_probing(false)
        .mtu_raise_interval(secs(301))
        .dscp(46)
        .hop_limit(9)
        .challenge_acks(4)
        .soft_errors(false)
        .congestion(CongestionControl::NewReno)
        .ecn(EcnPolicy::Accurate);
    assert_eq!((config.recv_buffer_size(), config.first_recv_buffer_size()), (10_000, 10_000));
    assert_eq!((config.send_buffer_size(), config.first_send_buffer_size()), (20_000, 20_000));
    assert!(!config.is_recv_buffer_tuned() && !config.is_send_buffer_tuned() && config.is_nodelay());
    assert_eq!((config.keepalive_times(), config.user_timeout_limit()), (Some(times), Some(secs(21))));
    assert_eq!((config.syn_timeout, config.syn_ack_timeout), (secs(22), secs(23)));
    assert_eq!((config.initial_rto, config.min_rto, config.max_rto), (secs(2), secs(3), secs(61)));
    assert_eq!((config.ack_delay, config.quick_acks), (Duration::from_millis(100), 5));
    assert_eq!((config.time_wait_length(), config.fin_wait2_timeout), (secs(24), secs(25)));
    assert!(!config.timestamps && !config.sack && !config.window_scaling);
    assert_eq!((config.mss_limit(), config.min_path_mtu_size()), (1300, 600));
    assert!(!config.is_path_mtu_discovered() && !config.is_mtu_probed() && !config.soft_errors);
    assert_eq!((config.mtu_raise_time(), config.dscp_value(), config.hop_limit_value()), (secs(301), 46, 9));
    assert_eq!((config.challenge_acks, config.ecn_policy()), (4, EcnPolicy::Accurate));
    assert!(matches!(config.congestion_control(), CongestionControl::NewReno));
}

/// What is off by default can be turned on, and the other way round; buffers with a limit size themselves.
// MUST-25 as far as settings go.
#[test]
fn the_defaults_are_those_of_the_table() {
    let mut config = TcpConfig::new();
    assert!(config.is_recv_buffer_tuned() && config.is_send_buffer_tuned() && !config.is_nodelay());
    assert!(config.timestamps && config.sack && config.window_scaling && config.soft_errors);
    assert!(config.is_path_mtu_discovered() && config.is_mtu_probed());
    assert_eq!((config.keepalive_times(), config.user_timeout_limit()), (None, Some(secs(300))));
    assert_eq!((config.recv_buffer_size(), config.send_buffer_size()), (6 << 20, 6 << 20));
    assert_eq!((config.first_recv_buffer_size(), config.first_send_buffer_size()), (64 << 10, 64 << 10));
    config.recv_buffer_limit(1 << 20).send_buffer_limit(2 << 20);
    assert_eq!((config.recv_buffer_size(), config.send_buffer_size()), (1 << 20, 2 << 20));
    config.recv_buffer_limit(2000).send_buffer_limit(3000);
    assert_eq!((config.first_recv_buffer_size(), config.first_send_buffer_size()), (2000, 3000));
    config.recv_buffer(1 << 20).send_buffer(2 << 20).recv_buffer_limit(1 << 20).send_buffer_limit(2 << 20);
    assert!(config.is_recv_buffer_tuned() && config.is_send_buffer_tuned());
}

// MUST-40, R1191-4, R1191-5, R8201-4 as far as settings go.
#[test]
fn values_out_of_bounds_are_brought_into_them() {
    let mut config = TcpConfig::new();
    config.recv_buffer(1).send_buffer(usize::MAX).max_rto(secs(1)).ack_delay(secs(1)).min_path_mtu(1);
    config.mtu_raise_interval(secs(1)).dscp(0xff).hop_limit(0);
    assert_eq!((config.recv_buffer_size(), config.send_buffer_size()), (1 << 10, 1 << 30));
    assert_eq!((config.max_rto, config.ack_delay), (secs(60), Duration::from_millis(499)));
    assert_eq!((config.min_path_mtu_size(), config.mtu_raise_time()), (68, secs(300)));
    assert_eq!((config.dscp_value(), config.hop_limit_value()), (63, 1));
}

/// The least shift with which 16 bits can say the buffer's size.
#[test]
fn the_window_scale_follows_the_buffer() {
    let shift = |octets| TcpConfig::new().recv_buffer(octets).window_shift();
    assert_eq!([0xffff, 0x1_0000, 0x1_fffe, 0x1_ffff].map(shift), [0, 1, 1, 2]);
    assert_eq!((shift(0xffff << 13), shift((0xffff << 13) + 1), shift(1 << 30)), (13, 14, 14));
}
