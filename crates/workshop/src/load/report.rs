//! What a test has shown: plain figures of each second, at full size.

use super::{ARTICLE, Article, Setting};
use sim::load::{LoadRun, LoadSpec};

/// Figures of a run, a value for each second. Those of a smaller machine are told as those of the whole one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Files that were asked for.
    pub offered: Vec<u64>,
    /// Files that came.
    pub served: Vec<u64>,
    /// Files that were given up.
    pub failed: Vec<u64>,
    /// How busy the processors were, in hundredths.
    pub busy: Vec<u64>,
    /// The namespaces: the node, then the pods.
    pub boxes: Vec<BoxSeries>,
}

/// Figures of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoxSeries {
    /// Its name.
    pub name: String,
    /// `nf_conntrack_count`
    pub count: Vec<u64>,
    /// Expectations.
    pub expectations: Vec<u64>,
    /// Packets dropped, as the table was full, or another flow stood in the way (`drop` of `conntrack -S`).
    pub dropped: Vec<u64>,
    /// Entries that made room (`early_drop`).
    pub early_dropped: Vec<u64>,
}

/// The result of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was set.
    pub setting: Setting,
    /// The article's figures, if it is one of its iterations.
    pub article: Option<&'static Article>,
    /// Seconds that have been simulated.
    pub seconds: u64,
    /// Packets that were simulated: none stands for several.
    pub packets: u64,
    /// Figures of each second.
    pub series: Series,
    /// Lines of the kernel's log: microseconds, the namespace that the kernel was busy with, the line.
    pub log: Vec<(u64, String, String)>,
}

/// A file of the second minute counts for a short test.
const SHORT_TEST: usize = 120;

impl Report {
    pub(super) fn new(setting: &Setting, spec: &LoadSpec, run: &LoadRun) -> Report {
        let scale = u64::from(setting.scale.max(1));
        let name = |id: kernel::NetnsId| run.world().host(id).map_or(String::new(), |ns| ns.name.clone());
        // The first sample is that of the beginning.
        let samples = run.samples().get(1..).unwrap_or_default();
        let of = |f: &dyn Fn(&sim::load::Sample) -> u64| -> Vec<u64> { samples.iter().map(f).collect() };
        // A full table of the smaller machine is a full table of the whole one.
        let entries = |n: usize| n as u64 * u64::from(setting.max) / u64::from(spec.limits.max.max(1));
        let expectations =
            |n: usize| n as u64 * u64::from(setting.expect_max) / u64::from(spec.limits.expect_max.max(1));
        let boxes = run.boxes().iter().enumerate().map(|(i, id)| {
            let at = |s: &sim::load::Sample| s.boxes.get(i).copied().unwrap_or_default();
            let each = |f: &dyn Fn(&sim::load::BoxSample) -> u64| -> Vec<u64> {
                let all = run.samples();
                all.iter().zip(samples).map(|(before, s)| (f(&at(s)) - f(&at(before))) * scale).collect()
            };
            BoxSeries {
                name: name(*id),
                count: of(&|s| entries(at(s).count)),
                expectations: of(&|s| expectations(at(s).expects)),
                dropped: each(&|b| b.stats.drop),
                early_dropped: each(&|b| b.stats.early_drop),
            }
        });
        let nanoseconds = 10_000_000 * spec.cpus.max(1) as u64;
        Report {
            setting: setting.clone(),
            article: setting.which().and_then(|n| ARTICLE.iter().find(|a| a.iteration == n)),
            seconds: samples.len() as u64,
            packets: run.packets(),
            series: Series {
                offered: of(&|s| s.offered * scale),
                served: of(&|s| s.done * scale),
                failed: of(&|s| s.failed * scale),
                busy: of(&|s| s.busy / nanoseconds),
                boxes: boxes.collect(),
            },
            log: run.warnings().into_iter().map(|w| (w.at.0, name(w.host), w.line)).collect(),
        }
    }

    /// The same result beside the figures of an iteration with the same setting: the article looks at some twice.
    pub fn as_iteration(self, n: u32) -> Report {
        let article = ARTICLE.iter().find(|a| a.iteration == n).or(self.article);
        Report { article, ..self }
    }

    /// Files served in a second, over the whole test.
    pub fn served(&self) -> u64 {
        mean(&self.series.served)
    }

    /// The same over the first two minutes.
    pub fn served_at_first(&self) -> u64 {
        mean(self.series.served.get(..SHORT_TEST).unwrap_or(&self.series.served))
    }

    /// Files given up, of all that were asked for and ended, in hundredths.
    pub fn failed_percent(&self) -> u64 {
        let (failed, served): (u64, u64) = (self.series.failed.iter().sum(), self.series.served.iter().sum());
        failed * 100 / (failed + served).max(1)
    }

    /// How far the model is from the article, in hundredths of its figure.
    pub fn deviation(&self) -> Option<i64> {
        let article = i64::try_from(self.article?.served).ok()?;
        Some((i64::try_from(self.served()).ok()? - article) * 100 / article)
    }

    /// The node's namespace.
    pub fn node(&self) -> Option<&BoxSeries> {
        self.series.boxes.first()
    }

    /// Those of the pods.
    pub fn pods(&self) -> &[BoxSeries] {
        self.series.boxes.get(1..).unwrap_or_default()
    }

    /// The first line of the log that says this: in which second.
    pub fn first_line(&self, says: &str) -> Option<u64> {
        self.log.iter().find(|(_, _, line)| line.contains(says)).map(|(at, _, _)| at / 1_000_000)
    }

    /// A conntrack table was full, by the log; in which second first.
    pub fn table_full(&self) -> Option<u64> {
        self.first_line("table full, dropping packet")
    }

    /// The expectation table was full, by the log.
    pub fn expectations_full(&self) -> Option<u64> {
        self.first_line("expectation table full")
    }
}

impl BoxSeries {
    /// The largest `nf_conntrack_count`.
    pub fn peak(&self) -> u64 {
        self.count.iter().copied().max().unwrap_or(0)
    }

    /// The most expectations.
    pub fn expect_peak(&self) -> u64 {
        self.expectations.iter().copied().max().unwrap_or(0)
    }

    /// For how many seconds the table was full, or but for one entry in a hundred.
    pub fn seconds_full(&self, max: u32) -> usize {
        self.count.iter().filter(|n| **n * 100 >= u64::from(max) * 99).count()
    }
}

fn mean(values: &[u64]) -> u64 {
    values.iter().sum::<u64>() / (values.len() as u64).max(1)
}
