use super::*;

/// Runs a service over a pipe in memory, sends `data`, ends, and gives all that came back.
fn answer(service: Service, data: &[u8]) -> Vec<u8> {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(serve(service, server));
        client.write_all(data).await.unwrap();
        client.shutdown().await.unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).await.unwrap();
        server.await.unwrap().unwrap();
        back
    })
}

#[test]
fn echo_gives_back_what_came_and_ends() {
    let data = vec![7; 3000];
    assert_eq!(answer(Service::Echo, &data), data);
}

#[test]
fn verify_gives_back_what_came_and_its_digest() {
    let back = answer(Service::Verify, b"abc");
    assert_eq!(back[..3], *b"abc");
    assert_eq!(back[3..], Sha256::digest(b"abc")[..]);
    assert_eq!(back.len(), 3 + DIGEST);
}

#[test]
fn discard_gives_nothing_back() {
    assert!(answer(Service::Discard, &[1; 100]).is_empty());
}

#[test]
fn the_other_end_of_the_device_has_the_address_before() {
    let args = ServerArgs {
        device: "tun0".to_owned(),
        address: Ipv4Addr::new(192, 0, 2, 2),
        service: Service::Echo,
        connections: 1,
        workers: 1,
        buffer: 1,
    };
    assert_eq!(args.gateway(), Ipv4Addr::new(192, 0, 2, 1));
}
