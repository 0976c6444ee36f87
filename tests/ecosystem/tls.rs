//! TLS by tokio-rustls, with certificates made by rcgen.

use std::sync::Arc;

use netstack_sim::heap::Side;
use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::TcpStream;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::world::SERVER;
use crate::{bad_link, noise};

/// Both ends of a configuration for one name, whose certificate only the client of it trusts.
pub(crate) fn configs(name: &str) -> (ServerConfig, ClientConfig) {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (server, client)
}

#[tokio::test(start_paused = true)]
async fn an_encrypted_megabyte_is_echoed_and_closed_in_order() {
    let world = bad_link(31);
    let (server, client) = configs("server.example");
    let listener = world.listen().await;
    let echo = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await.unwrap();
        let (mut read, mut write) = tokio::io::split(stream);
        let copied = tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
        copied
    });

    let stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
    let name = ServerName::try_from("server.example").unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let sent = noise(31, 1_000_000);
    let writing = {
        let sent = sent.clone();
        tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            // close_notify, then the FIN.
            write.shutdown().await.unwrap();
        })
    };
    let mut returned = Vec::new();
    read.read_to_end(&mut returned).await.expect("the end comes with close_notify, not as a truncation");
    assert!(returned == sent, "what came back differs from what was sent");
    writing.await.unwrap();
    assert_eq!(echo.await.unwrap(), 1_000_000);
    for side in [Side::A, Side::B] {
        assert!(world.wire.stats(side).lost > 0, "the link loses, and TLS does not notice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_another_name_ends_the_handshake_at_both_ends() {
    let world = bad_link(32);
    let (server, client) = configs("server.example");
    let listener = world.listen().await;
    let accepting = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(server)).accept(stream).await.map(drop)
    });
    let stream = TcpStream::connect(&world.client, SERVER).await.unwrap();
    let name = ServerName::try_from("another.example").unwrap();
    let refused = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData, "{refused}");
    let told = accepting.await.unwrap().unwrap_err();
    assert!(told.to_string().contains("BadCertificate"), "the client's alert arrives: {told}");
}
