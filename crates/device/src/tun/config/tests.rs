use super::*;

fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    (address.parse().unwrap(), len.parse().unwrap())
}

fn routes(addresses: &[&str], host: &[&str], routes: &[&str]) -> Vec<Prefix> {
    let mut config = TunConfig::new("tun0");
    let parse = |list: &[&str]| list.iter().map(|text| prefix(text)).collect();
    config.addresses = parse(addresses);
    config.host_addresses = parse(host);
    config.routes = parse(routes);
    config.routes_to_add()
}

#[test]
fn a_host_address_brings_its_network_along() {
    assert_eq!(routes(&["192.0.2.2/24"], &["192.0.2.1/24"], &[]), []);
    assert_eq!(routes(&["192.0.2.2/24"], &[], &[]), [prefix("192.0.2.0/24")]);
    assert_eq!(routes(&["192.0.2.200/24"], &["192.0.2.1/25"], &[]), [prefix("192.0.2.0/24")]);
    assert_eq!(routes(&["2001:db8::2/64"], &["192.0.2.1/24"], &[]), [prefix("2001:db8::/64")]);
}

#[test]
fn routes_are_networks_and_come_once() {
    assert_eq!(
        routes(&["192.0.2.2/24"], &[], &["192.0.2.7/24", "203.0.113.5/32", "0.0.0.0/0", "::/0"]),
        ["192.0.2.0/24", "203.0.113.5/32", "0.0.0.0/0", "::/0"].map(prefix)
    );
}

#[test]
fn errors_say_what_to_do() {
    use std::io;

    let text = TunConfig::new("a-name-of-16-byt").check().unwrap_err().to_string();
    assert!(text.contains("longer than 15 bytes") && text.contains("tun0"), "{text}");
    let cases = [
        (TunError::NoNode, "modprobe tun", io::ErrorKind::NotFound),
        (TunError::NodePermission, "chmod 0666 /dev/net/tun", io::ErrorKind::PermissionDenied),
        (TunError::Busy("tun0".into()), "in use by another program", io::ErrorKind::ResourceBusy),
        (
            TunError::Permission { name: "tun0".into(), exists: false },
            "sudo ip tuntap add dev tun0 mode tun",
            io::ErrorKind::PermissionDenied,
        ),
        (TunError::Exists("tun0".into()), "sudo ip link del tun0", io::ErrorKind::AlreadyExists),
    ];
    for (error, cure, kind) in cases {
        assert!(error.to_string().contains(cure), "{error}");
        assert_eq!(io::Error::from(error).kind(), kind);
    }
}
