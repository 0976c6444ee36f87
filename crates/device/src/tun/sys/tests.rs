//! What can be run without a TUN device, and so under Miri (`.ci/miri`).

use std::io::Write;

use super::*;

#[test]
fn a_request_carries_a_name_that_ends_in_a_zero() {
    let name = |request: &libc::ifreq| request.ifr_name.map(|c| c as u8);
    assert_eq!(&name(&request("tun0", 0))[..6], b"tun0\0\0");
    let long = request("a-name-of-more-than-15", 0);
    assert_eq!(&name(&long), b"a-name-of-more-\0");
}

#[test]
fn flags_are_read_back_as_16_bits() {
    for flags in [0, libc::IFF_TUN | libc::IFF_VNET_HDR, 0x8000, 0xffff] {
        assert_eq!(flags_of(&request("tun0", flags)), flags);
    }
}

/// The watch owns its descriptor: it sees what comes, and the descriptor is closed with it and not before.
#[tokio::test]
async fn a_watched_descriptor_lives_as_long_as_its_watch() {
    let (reader, mut writer) = io::pipe().unwrap();
    let watch = watch(reader.into(), Interest::READABLE).unwrap();
    writer.write_all(b"x").unwrap();
    assert!(watch.readable().await.unwrap().ready().is_readable());
    drop(watch);
    assert_eq!(writer.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
