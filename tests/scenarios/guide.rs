//! The code of docs/testing-your-app.md, which is this file's: a check holds the page to it.

// [line protocol
mod line_protocol {
    use std::time::Duration;

    use netstack_sim::{LinkConfig, net};
    use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
    use tokio_netstack::{TcpListener, TcpStream};

    /// Yours: answers each line with its length.
    async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 {
            stream.write_all(format!("{}\n", line.trim_end().len()).as_bytes()).await?;
            line.clear();
        }
        Ok(())
    }

    /// Yours: asks for the length of one line.
    async fn ask(
        stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
        line: &str,
    ) -> std::io::Result<String> {
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test(start_paused = true)]
    async fn every_line_is_answered_over_a_bad_link() {
        let mut net = net::Builder::new(1);
        let client = net.host("client", &["192.0.2.1"]);
        let server = net.host("server", &["192.0.2.2"]);
        net.link(
            client,
            server,
            LinkConfig::new().rate(1_000_000).delay(Duration::from_millis(80)).loss(0.05),
        );
        let net = net.build().unwrap();

        let listener = TcpListener::bind(&net.stack(server), ([192, 0, 2, 2], 7000)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        let stream = TcpStream::connect(&net.stack(client), ([192, 0, 2, 2], 7000)).await.unwrap();
        let mut stream = BufReader::new(stream);
        for n in 0..100 {
            assert_eq!(ask(&mut stream, &"x".repeat(n)).await.unwrap(), format!("{n}\n"));
        }
    }
}
// line protocol]

// [axum
mod axum_service {
    use std::time::Duration;

    use axum::{Router, routing::get};
    use http_body_util::{BodyExt, Empty};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use netstack_sim::{LinkConfig, net};
    use tokio_netstack::{TcpListener, ext::Connector};

    /// Yours.
    fn app() -> Router {
        Router::new().route("/hello", get(|| async { "hello" }))
    }

    #[tokio::test(start_paused = true)]
    async fn the_service_answers_over_a_bad_link() {
        let mut net = net::Builder::new(1);
        let client = net.host("client", &["192.0.2.1"]);
        let server = net.host("server", &["192.0.2.2"]);
        net.link(client, server, LinkConfig::new().delay(Duration::from_millis(80)).loss(0.05));
        let net = net.build().unwrap();

        let listener = TcpListener::bind(&net.stack(server), ([192, 0, 2, 2], 80)).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app()).await });
        let client: Client<_, Empty<bytes::Bytes>> =
            Client::builder(TokioExecutor::new()).build(Connector::new(&net.stack(client)));
        for _ in 0..20 {
            let answer = client.get("http://192.0.2.2/hello".parse().unwrap()).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
        }
    }
}
// axum]

// [faults
mod faults {
    use std::time::Duration;

    use netstack_sim::{LinkConfig, net};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::sleep;
    use tokio_netstack::{TcpListener, TcpStream};

    #[tokio::test(start_paused = true)]
    async fn a_line_survives_a_cut_of_half_a_minute_and_a_restart_is_noticed() {
        let mut net = net::Builder::new(1);
        let client = net.host("client", &["192.0.2.1"]);
        let server = net.host("server", &["192.0.2.2"]);
        let link = net.link(client, server, &LinkConfig::new());
        let net = net.build().unwrap();
        let listener = TcpListener::bind(&net.stack(server), ([192, 0, 2, 2], 7000)).await.unwrap();
        let mut stream = TcpStream::connect(&net.stack(client), ([192, 0, 2, 2], 7000)).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();

        net.cut(link);
        stream.write_all(b"patience").await.unwrap();
        sleep(Duration::from_secs(30)).await;
        net.heal(link);
        let mut text = [0; 8];
        accepted.read_exact(&mut text).await.unwrap();

        net.drop_nth(link.there(), 1, |packet| packet.has_data());
        stream.write_all(b"once more").await.unwrap();
        accepted.read_exact(&mut [0; 9]).await.unwrap();

        net.restart(server).unwrap();
        stream.write_all(b"anyone?").await.unwrap();
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}
// faults]

// [log
mod log {
    use std::sync::{Arc, Mutex};

    use netstack_sim::record::NetworkLog;
    use netstack_sim::{LinkConfig, net};
    use tokio_netstack::{TcpListener, TcpStream};

    #[tokio::test(start_paused = true)]
    async fn a_run_leaves_a_log() {
        let seen = Arc::new(Mutex::new(NetworkLog::new()));
        let mut net = net::Builder::new(1);
        net.observer(Arc::clone(&seen));
        let client = net.host("client", &["192.0.2.1"]);
        let server = net.host("server", &["192.0.2.2"]);
        net.link(client, server, &LinkConfig::new());
        let net = net.build().unwrap();
        let listener = TcpListener::bind(&net.stack(server), ([192, 0, 2, 2], 7000)).await.unwrap();
        let _stream = TcpStream::connect(&net.stack(client), ([192, 0, 2, 2], 7000)).await.unwrap();
        let _accepted = listener.accept().await.unwrap();

        let log = seen.lock().unwrap().log(&net);
        let mut lines = Vec::new();
        log.write_json(&mut lines).unwrap();
        assert!(String::from_utf8(lines).unwrap().contains("SYN-RECEIVED"));
    }
}
// log]

/// Each part of this file between `// [name` and `// name]` stands in the page, without the module around it.
#[test]
fn the_page_has_the_code_that_is_tested_here() {
    let page = include_str!("../../docs/testing-your-app.md");
    let mut parts = 0;
    for part in include_str!("guide.rs").split("\n// [").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap();
        let (code, _) = rest.split_once(&format!("\n// {name}]")).unwrap();
        let inside = code.lines().skip(1).take_while(|line| *line != "}");
        let lines: Vec<&str> = inside.map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
        assert!(page.contains(&lines.join("\n")), "docs/testing-your-app.md lacks the code of {name:?}");
        parts += 1;
    }
    assert_eq!(parts, 4);
}
