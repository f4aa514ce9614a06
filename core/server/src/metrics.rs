//! The coordinator's figures as a page that Prometheus reads.
//!
//! A look from outside, taken when somebody asks: it holds nothing of its own and slows nothing down. There
//! are only so many series, since no label is an id; docs/metrics.md lists them, and a test holds it to that.

mod page;

use std::fmt;

use froben_engine::{BOUNDS_MS, Figures, Histogram, OfKind, Outcome};
use froben_model::Amount;
use froben_model::view::MachineView;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

pub use page::serve;

/// What is shown at one moment.
#[derive(Debug)]
struct Snapshot {
    figures: Figures,
    machines: Vec<MachineView>,
}

type Labels = Vec<(&'static str, String)>;

/// The page's text.
fn text(figures: Figures, machines: Vec<MachineView>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("froben");
    registry.register_collector(Box::new(Snapshot { figures, machines }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut encoder;
        let version = ("version", env!("CARGO_PKG_VERSION").to_owned());
        gauges(
            out,
            "build_info",
            "The coordinator's version, always 1",
            [(vec![version], 1)],
        )?;
        self.workflows(out)?;
        self.delegations(out)?;
        self.attempts(out)?;
        self.machines(out)?;
        self.journal(out)
    }
}

impl Snapshot {
    fn workflows(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Figures {
            submitted,
            finished,
            workflow,
            ..
        } = &self.figures;
        let help =
            "Workflows that were begun since the coordinator started, children and forks too";
        counters(out, "workflows_begun", help, [(Labels::new(), *submitted)])?;
        let help = "Workflows that are over, by outcome";
        let finished = finished.iter();
        let finished = finished.map(|(how, count)| (labels([("outcome", how)]), *count));
        counters(out, "workflows", help, finished)?;
        let help = "From submit to end";
        histograms(out, "workflow_duration", help, [(Labels::new(), workflow)])
    }

    fn delegations(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let ended = self.by_kind(|of| of.ended.iter().map(|(how, count)| (*how, *count)).collect());
        let ended =
            ended.map(|(kind, how, count)| (labels([("kind", kind), ("outcome", how)]), count));
        counters(out, "delegations", "Delegations that are over", ended)?;
        let items = self.by_kind(|of| vec![("ok", of.items_ok), ("failed", of.items_failed)]);
        let items =
            items.map(|(kind, how, count)| (labels([("kind", kind), ("outcome", how)]), count));
        counters(out, "items", "Items that came", items)?;
        let help = "What operators were paid for items, in units of account";
        let credited = self.of_kinds(|of| units(of.credited));
        counters(out, "credited", help, credited)?;
        let help = "Delegations that wait for a machine now";
        gauges(out, "queue_depth", help, self.of_kinds(|of| of.queued_now))?;
        let help = "Attempts that hold a reservation now";
        gauges(
            out,
            "reservations",
            help,
            self.of_kinds(|of| of.reserved_now),
        )?;
        let help = "From the call, or the end of the attempt before, to the assignment";
        histograms(out, "delegation_queue", help, self.times(|of| &of.queue))?;
        let help = "From the assignment until the machine took it";
        histograms(out, "delegation_answer", help, self.times(|of| &of.answer))?;
        let help = "From the assignment to the end of the attempt";
        histograms(out, "delegation_run", help, self.times(|of| &of.run))
    }

    fn attempts(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kinds = self.figures.kinds.iter();
        let attempts = kinds.flat_map(|(kind, of)| {
            of.attempts.iter().map(move |(outcome, count)| {
                let (reason, fault) = named(*outcome);
                let labels = [
                    ("kind", kind.as_str()),
                    ("reason", reason),
                    ("fault", fault),
                ];
                (self::labels(labels), *count)
            })
        });
        let help = "Attempts that are over, by why and by whose fault";
        counters(out, "delegation_attempts", help, attempts)?;
        let hedges = self.by_kind(|of| {
            vec![
                ("begun", of.hedges),
                ("won", of.hedges_won),
                ("wasted", of.hedges_wasted),
            ]
        });
        let hedges =
            hedges.map(|(kind, what, count)| (labels([("kind", kind), ("what", what)]), count));
        let help = "Attempts beside a straggler of the same delegation";
        counters(out, "delegation_hedges", help, hedges)?;
        let stale = (labels([("reason", "stale")]), self.figures.stale);
        let help = "Messages of machines that changed nothing";
        counters(out, "results_rejected", help, [stale])
    }

    fn machines(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let busy = self.machines.iter().filter(|m| m.attempts > 0).count() as u64;
        let idle = self.machines.len() as u64 - busy;
        let states = [("busy", busy), ("idle", idle)];
        let states = states.map(|(state, count)| (labels([("state", state)]), count));
        gauges(out, "machines", "Machines that are connected", states)
    }

    fn journal(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Figures {
            records, commit, ..
        } = &self.figures;
        let help = "Records on disk since the coordinator started";
        counters(out, "journal_records", help, [(Labels::new(), *records)])?;
        let help = "How long a batch of records took to be on disk";
        histograms(out, "journal_commit", help, [(Labels::new(), commit)])
    }

    /// For each kind what `get` tells of it.
    fn by_kind(
        &self,
        get: impl Fn(&OfKind) -> Vec<(&'static str, u64)>,
    ) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let kinds = self.figures.kinds.iter();
        kinds.flat_map(move |(kind, of)| {
            let told = get(of).into_iter();
            told.map(move |(what, count)| (kind.as_str(), what, count))
        })
    }

    fn of_kinds<T>(&self, get: impl Fn(&OfKind) -> T) -> impl Iterator<Item = (Labels, T)> {
        let kinds = self.figures.kinds.iter();
        kinds.map(move |(kind, of)| (labels([("kind", kind.as_str())]), get(of)))
    }

    fn times(
        &self,
        get: impl Fn(&OfKind) -> &Histogram,
    ) -> impl Iterator<Item = (Labels, &Histogram)> {
        let kinds = self.figures.kinds.iter();
        kinds.map(move |(kind, of)| (labels([("kind", kind.as_str())]), get(of)))
    }
}

fn named(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Succeeded => ("succeeded", "none"),
        Outcome::Partly => ("failed_items", "none"),
        Outcome::Requeued(fault) => ("requeued", fault.name()),
        Outcome::Failed(class, fault) => (class.name(), fault.name()),
    }
}

/// As the ledger is read. Whoever reads the page reckons in floating point, which tells millionths apart up
/// to two thousand million units.
fn units(amount: Amount) -> f64 {
    amount.0 as f64 / 1e6
}

fn labels<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    labels.map(|(name, value)| (name, value.to_owned())).into()
}

/// One series of a family; a family without labels has one.
fn each(
    family: &mut MetricEncoder<'_>,
    labels: &Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    match labels.is_empty() {
        true => write(family),
        false => write(&mut family.encode_family(labels)?),
    }
}

fn counters<T: EncodeCounterValue>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (Labels, T)>,
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in series {
        each(&mut family, &labels, |family| {
            family.encode_counter::<NoLabelSet, T, f64>(&value, None)
        })?;
    }
    Ok(())
}

fn gauges(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        each(&mut family, &labels, |family| family.encode_gauge(&value))?;
    }
    Ok(())
}

fn histograms<'a>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (Labels, &'a Histogram)>,
) -> fmt::Result {
    let unit = Unit::Seconds;
    let mut family = out.encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
    for (labels, histogram) in series {
        let Histogram {
            buckets,
            count,
            sum,
        } = histogram;
        let bounds = BOUNDS_MS.iter().map(|ms| *ms as f64 / 1000.0);
        let bounds = bounds.chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(buckets.iter().copied()).collect();
        each(&mut family, &labels, |family| {
            family.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), *count, &buckets, None)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
