//! Takes the stack's reports of changed states, which it gives as `tracing` events, into the [`Timeline`].

use std::net::SocketAddr;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::timeline::{Change, Timeline};

/// The crate whose events tell of changed states.
const SOURCE: &str = "netstack_tcp";

/// Installs the subscriber of this process: changes of state go to `timeline`, and to standard error what
/// `RUST_LOG` asks for.
pub(crate) fn install(timeline: &Timeline) {
    let reports = Reports(timeline.clone()).with_filter(Targets::new().with_target(SOURCE, LevelFilter::DEBUG));
    let log = fmt::layer().with_writer(std::io::stderr).with_filter(EnvFilter::from_default_env());
    tracing_subscriber::registry().with(reports).with(log).init();
}

struct Reports(Timeline);

impl<S: Subscriber> Layer<S> for Reports {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !self.0.is_recording() {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Fields { local: Some(local), from: Some(from), to: Some(to) } = fields {
            self.0.change(Change { local, from, to });
        }
    }
}

#[derive(Default)]
struct Fields {
    local: Option<SocketAddr>,
    from: Option<String>,
    to: Option<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "local" => self.local = text.parse().ok(),
            "from" => self.from = Some(text),
            "to" => self.to = Some(text),
            _ => {}
        }
    }
}
