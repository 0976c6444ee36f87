//! `netstack demo`.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};

use netstack_cli::demo::{Arrival, Contrast, Played, contrast, rung, wrapped};
use netstack_cli::draw::Clock;
use netstack_sim::record::Log;

use super::{Failure, with_file};
use crate::args::Demo;

const WIDTH: usize = 80;

pub(super) fn run(args: &Demo) -> Result<(), Failure> {
    let pause = !args.no_wait && io::stdout().is_terminal() && io::stdin().is_terminal();
    let (picture, log) = match Played::new(args.scene) {
        Some(played) => {
            show(&played, pause)?;
            (played.picture(), played.log)
        }
        None => {
            let contrast = contrast(args.seed);
            compare(&contrast)?;
            (contrast.picture(), contrast.log())
        }
    };
    if let Some(path) = &args.svg {
        picture.save(path, args.style.theme).map_err(|error| with_file("write", path, error))?;
    }
    if let Some(path) = &args.trace {
        write_trace(&log, path).map_err(|error| with_file("write", path, error))?;
    }
    Ok(())
}

fn write_trace(log: &Log, path: &std::path::Path) -> io::Result<()> {
    log.write_json(BufWriter::new(File::create(path)?))
}

fn paragraph(out: &mut impl Write, text: &str) -> io::Result<()> {
    for line in wrapped(text, WIDTH) {
        writeln!(out, "{line}")?;
    }
    writeln!(out)
}

fn show(played: &Played, pause: bool) -> io::Result<()> {
    let mut out = io::stdout();
    let flow = played.flow();
    let clock =
        Clock::new(flow.segments.iter().flat_map(|segment| [Some(segment.t), segment.arrives]).flatten());
    writeln!(out, "{}\n", played.title)?;
    paragraph(&mut out, played.about)?;
    let (a, b) = (&flow.ends[0], &flow.ends[1]);
    let right = format!("{} {}", b.name, b.addr);
    writeln!(out, "{:<40}{right:>40}", format!("{} {}", a.name, a.addr))?;
    let (first_a, first_b) = (&flow.states[0][0].1, &flow.states[1][0].1);
    writeln!(out, "{first_a:<12} |{:52}| {first_b}\n", "")?;
    for (place, (segment, why)) in flow.segments.iter().zip(played.steps).enumerate() {
        if pause {
            write!(out, "[Enter]")?;
            out.flush()?;
            io::stdin().read_line(&mut String::new())?;
        }
        for line in rung(&flow, segment, clock) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
        paragraph(&mut out, &format!("{}. {why}", place + 1))?;
    }
    let last = flow.states.each_ref().map(|states| states.last().map_or("", |(_, state)| state.as_ref()));
    writeln!(out, "{:<12} |{:52}| {}\n", last[0], "", last[1])?;
    paragraph(&mut out, played.end)
}

fn compare(contrast: &Contrast) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "TCP and UDP on a link that loses\n")?;
    paragraph(
        &mut out,
        "The same 30 messages of 100 bytes, one each 20 ms, over a link of 25 ms that loses a tenth of the packets. TCP \
         gives the application all of them in order: when one is lost, those behind it wait until it was sent again, \
         although they have arrived. UDP gives it each datagram when it comes, and those that are lost never.",
    )?;
    writeln!(out, "message     sent     over TCP                        over UDP")?;
    let millis = |nanos: u64| nanos as f64 / 1e6;
    for (place, Arrival { sent, tcp, udp }) in contrast.messages.iter().enumerate() {
        let bar = |late: u64| "#".repeat(((millis(late) / 25.0).round() as usize).clamp(1, 16));
        let tcp =
            tcp.map_or("never".to_owned(), |late| format!("{:>4.0} ms later {}", millis(late), bar(late)));
        let udp = udp.map_or("LOST".to_owned(), |late| format!("{:>4.0} ms later", millis(late)));
        writeln!(out, "{:>7} {:>6.0} ms  {tcp:<31} {udp}", place + 1, millis(*sent))?;
    }
    let late = |of: fn(&Arrival) -> Option<u64>| contrast.messages.iter().filter_map(of).max().unwrap_or(0);
    let lost = contrast.messages.iter().filter(|message| message.udp.is_none()).count();
    writeln!(out)?;
    paragraph(
        &mut out,
        &format!(
            "TCP: all of it, the latest after {:.0} ms. UDP: {lost} of {} missing, none later than {:.0} ms. For a file or a \
             page take TCP; for a voice, where a late word is worse than a missing one, UDP.",
            millis(late(|message| message.tcp)),
            contrast.messages.len(),
            millis(late(|message| message.udp))
        ),
    )
}
