//! The pictures of a log that whole stacks have written.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use netstack_cli::draw::{LadderOptions, Theme, ladder, queue, state_diagram, time_sequence, windows};
use netstack_cli::flow::Flow;
use netstack_sim::record::{Log, NetworkLog};
use netstack_sim::{LinkConfig, QueueLimit, net};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_netstack::{TcpListener, TcpStream};

/// A transfer over a narrow link that loses, through a router, as JSON lines.
fn lines() -> std::io::Result<Vec<u8>> {
    net::block_on(async {
        let seen = Arc::new(Mutex::new(NetworkLog::new()));
        let mut net = net::Builder::new(7);
        net.observer(Arc::clone(&seen));
        let client = net.host("client", &["192.0.2.1"]);
        let router = net.router("router", &["203.0.113.1"]);
        let server = net.host("server", &["198.51.100.1"]);
        net.link(client, router, &LinkConfig::new());
        let mut narrow = LinkConfig::new();
        narrow.rate(10_000_000).delay(Duration::from_millis(10)).queue(QueueLimit::Packets(20)).loss(0.02);
        net.link(router, server, &narrow);
        let net = net.build()?;
        let address = ([198, 51, 100, 1], 7);
        let listener = TcpListener::bind(&net.stack(server), address).await?;
        let mut client = TcpStream::connect(&net.stack(client), address).await?;
        let (mut accepted, _) = listener.accept().await?;
        client.write_all(&[b'.'; 100_000]).await?;
        client.shutdown().await?;
        accepted.read_to_end(&mut Vec::new()).await?;
        drop(accepted);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let log = seen.lock().expect("nobody panics with the log in hand").log(&net);
        let mut lines = Vec::new();
        log.write_json(&mut lines)?;
        Ok(lines)
    })
}

#[test]
fn a_log_of_whole_stacks_is_drawn_with_states_timers_and_figures() -> Result<(), Box<dyn std::error::Error>> {
    let log = Log::read_json(&lines()?[..])?;
    let flows = Flow::all(&log);
    let [flow] = &flows[..] else { panic!("{} connections", flows.len()) };
    assert_eq!(flow.ends.each_ref().map(|end| end.name.as_str()), ["client", "server"]);
    let last = |side: usize| flow.states[side].last().map(|(_, state)| state.as_ref());
    assert_eq!((last(0), last(1)), (Some("CLOSED"), Some("CLOSED")));
    assert!(flow.segments.iter().any(netstack_cli::flow::Seg::is_lost));
    assert!(flow.timers[0].iter().any(|timer| timer.name == "2 MSL" && timer.fired));
    assert!(flow.figures[0].iter().any(|figures| figures.recovery == "recovery"));

    let ladder = ladder(flow, &LadderOptions::default());
    let words: Vec<_> = ladder.labels().iter().map(|label| label.text.as_str()).collect();
    for word in ["client", "server", "ESTABLISHED", "TIME-WAIT", "LISTEN", "2 MSL"] {
        assert!(words.iter().any(|text| text.contains(word)), "{word} in {words:?}");
    }
    for (picture, word) in [
        (time_sequence(flow), "sent again"),
        (windows(flow), "ssthresh"),
        (queue(&log), "router to server"),
        (state_diagram(flow, 1), "LAST-ACK"),
    ] {
        assert!(picture.svg(Theme::Light).contains(word), "{word}");
    }
    Ok(())
}
