//! The byte budget fills up: each step is taken in its order, counted, and told; and taken back.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::util::SubscriberInitExt;

use crate::scene::{ACK, BUDGET, MSS, SECOND, SYN, Scene, TICK, attack};

/// What is logged, for all to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Where each of `words` stands first.
    fn places<const N: usize>(&self, words: [&str; N]) -> [Option<usize>; N] {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        words.map(|word| text.find(word))
    }
}

/// Segments of `foes`, one after the other, `gap` octets beyond what has come, until `done`.
async fn fill(
    scene: &mut Scene,
    foes: std::ops::Range<usize>,
    gap: u32,
    mut done: impl FnMut(&Scene) -> bool,
) {
    let text = vec![5; MSS];
    for n in 0..45 {
        for foe in foes.clone() {
            scene.say_at(foe, n * MSS as u32 + gap, &text);
            if foe % 32 == 31 {
                scene.settle().await;
            }
        }
        scene.settle().await;
        if done(scene) {
            return;
        }
    }
}

#[test]
fn each_step_in_its_order() {
    attack(220, async |scene| {
        let log = Log::default();
        let writer = log.clone();
        let told = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let _guard = told.set_default();
        // In order, from those who have large windows.
        fill(scene, 0..54, 0, |scene| scene.stack.counters().budget_pressure > 0).await;
        let counters = scene.stack.counters();
        assert_eq!((counters.budget_pressure, counters.budget_out_of_order), (1, 0));
        assert!(scene.stack.buffered() > BUDGET / 2);
        // Out of order, from the others.
        fill(scene, 54..220, 1, |scene| scene.stack.counters().budget_out_of_order > 0).await;
        let counters = scene.stack.counters();
        assert!(counters.budget_out_of_order > 0, "{counters:?}");
        assert_eq!((counters.budget_exhausted, counters.drop_budget_syn), (0, 0));
        // In order, from all: what was promised room for is taken.
        fill(scene, 0..220, 0, |scene| scene.stack.counters().budget_exhausted > 0).await;
        let counters = scene.stack.counters();
        assert_eq!((counters.budget_exhausted, counters.drop_budget), (1, 0), "{}", scene.stack.buffered());
        let syn = |scene: &mut Scene, port| {
            let mut header = scene.raw.header(SYN);
            header.src_port = port;
            scene.raw.send_header(&header, b"");
        };
        syn(scene, 9_998);
        scene.settle().await;
        assert_eq!(scene.stack.counters().drop_budget_syn, 1);
        let [windows, order, refused] = log.places([
            "windows and writers get little",
            "out-of-order data is given up",
            "new connections are refused",
        ]);
        assert!(windows.is_some() && windows < order && order < refused, "{windows:?} {order:?} {refused:?}");
        // The applications read: all of it is taken back.
        let mut buf = vec![0; 1 << 16];
        for foe in &mut scene.foes {
            while foe.stream().try_read(&mut buf).is_ok_and(|len| len > 0) {}
        }
        scene.pass(SECOND).await;
        assert!(scene.stack.buffered() < BUDGET / 2, "{}", scene.stack.buffered());
        assert!(log.places(["less than half full again"])[0].is_some());
        syn(scene, 9_999);
        let seen = scene.raw.recv_within(TICK).await.expect("a SYN-ACK");
        assert_eq!((seen.header.flags, seen.header.dst_port), (SYN | ACK, 9_999));
    });
}
