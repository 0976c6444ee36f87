//! The rows of the table, by what they put the path through.

mod bulk;
mod exchange;
mod impaired;
mod share;

use std::sync::Arc;
use std::time::Duration;

use netstack_sim::scenario::{FlowPlan, Scenario};
use netstack_tcp::TcpConfig;

use crate::contender::Contender;
use crate::figure::Sheet;

/// How long the runs are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As the floors want it.
    Full,
    /// A quarter of it.
    Quick,
}

impl Scale {
    /// The time that stands for `seconds` of the whole.
    pub(crate) fn time(self, seconds: u64) -> Duration {
        match self {
            Self::Full => Duration::from_secs(seconds),
            Self::Quick => Duration::from_secs(seconds) / 4,
        }
    }
}

/// One link with one controller.
#[derive(Clone)]
pub struct Row {
    /// A short name, to ask for it by.
    pub name: &'static str,
    /// The link in words.
    pub link: &'static str,
    /// The controller.
    pub contender: Contender,
    run: Run,
}

type Run = Arc<dyn Fn(&Setting<'_>) -> Sheet + Send + Sync>;

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row")
            .field("name", &self.name)
            .field("contender", &self.contender)
            .finish_non_exhaustive()
    }
}

impl Row {
    fn new(
        name: &'static str,
        link: &'static str,
        contender: Contender,
        run: impl Fn(&Setting<'_>) -> Sheet + Send + Sync + 'static,
    ) -> Self {
        Self { name, link, contender, run: Arc::new(run) }
    }

    /// The same link and floors for another controller.
    #[must_use]
    pub fn with(mut self, contender: Contender) -> Self {
        self.contender = contender;
        self
    }

    /// Runs it.
    pub fn run(&self, scale: Scale, seed: u64) -> Sheet {
        let tcp = self.contender.tcp();
        (self.run)(&Setting { tcp: &tcp, scale, seed })
    }
}

/// All rows, in the order of the table.
pub fn rows() -> Vec<Row> {
    let mut rows = bulk::rows();
    rows.extend(impaired::rows());
    rows.extend(exchange::rows());
    rows.extend(share::rows());
    rows
}

/// What a row is run with.
struct Setting<'a> {
    tcp: &'a Arc<TcpConfig>,
    scale: Scale,
    seed: u64,
}

const MS: Duration = Duration::from_millis(1);
const ZERO: Duration = Duration::ZERO;
const MBIT: u64 = 1_000_000;

impl Setting<'_> {
    /// One bulk flow through a bottleneck of `rate` bits per second, with a queue in bandwidth-delay products, for so many
    /// seconds.
    fn bulk(&self, rate: u64, rtt: Duration, queue: f64, seconds: u64) -> Scenario {
        let mut scenario = Scenario::new(rate, rtt, queue);
        scenario.flows.push(FlowPlan::bulk(self.tcp));
        scenario.duration = self.scale.time(seconds);
        scenario
    }
}
