//! Takes the stack's reports of changed states, which it gives as `tracing` events, into the [`Timeline`].

use std::fmt::Debug;
use std::net::SocketAddr;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::timeline::{Change, Timeline};

/// Installs the subscriber of this process: changes of state go to `timeline` while it records, and to
/// standard error goes what `RUST_LOG` asks for.
pub(crate) fn install(timeline: &Timeline) {
    let log = fmt::layer().with_writer(std::io::stderr).with_filter(EnvFilter::from_default_env());
    let recording = timeline.clone();
    let wanted = dynamic_filter_fn(move |metadata, _| recording.is_recording() && is_report(metadata))
        .with_max_level_hint(LevelFilter::DEBUG);
    let reports = Reports(timeline.clone()).with_filter(wanted);
    tracing_subscriber::registry().with(reports).with(log).init();
}

/// The span of a connection names its two ends; the events in it tell of its states.
fn is_report(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target.starts_with("tokio_netstack") || target.starts_with("netstack_tcp")
}

struct Reports(Timeline);

/// The stack's end of the connection that a span is about.
struct Local(SocketAddr);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Reports {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(local), Some(span)) = (fields.local, context.span(id)) {
            span.extensions_mut().insert(Local(local));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { from: Some(from), to: Some(to), .. } = fields else { return };
        let Some(span) = context.event_span(event) else { return };
        if let Some(&Local(local)) = span.extensions().get::<Local>() {
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
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "local" => self.local = value.parse().ok(),
            "from" => self.from = Some(value.to_owned()),
            "to" => self.to = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
