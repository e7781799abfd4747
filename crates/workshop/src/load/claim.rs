//! What is true of a test, and what to reach.

use super::{Report, Setting, UdpTimeouts};

/// A statement about a test, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The statement.
    pub text: &'static str,
    /// Is it so?
    pub holds: bool,
}

/// A fact with the settings for which it is stated.
struct Claim {
    text: &'static str,
    when: fn(&Setting) -> bool,
    holds: fn(&Report) -> bool,
}

fn long(s: &Setting) -> bool {
    s.kubernetes && s.seconds >= 120
}

fn default_timeouts(s: &Setting) -> bool {
    (s.node_udp, s.pod_udp) == (UdpTimeouts::DEFAULT, UdpTimeouts::DEFAULT)
}

/// Half a million entries are too few for two entries a file, 180 seconds each.
fn too_small(s: &Setting) -> bool {
    long(s) && default_timeouts(s) && s.local && s.max <= 524_288
}

fn short_everywhere(s: &Setting) -> bool {
    let short = |t: UdpTimeouts| t.first <= 10 && t.stream <= 20;
    long(s) && short(s.node_udp) && short(s.pod_udp) && s.max >= 262_144 && s.expect_max >= 8192 && s.local
}

fn claims_of() -> [Claim; 8] {
    let claim = |text, when, holds| Claim { text, when, holds };
    [
        claim(
            "without conntrack the server itself is what limits it: it is busy all the time",
            |s| !s.kubernetes,
            |r| r.node().is_some_and(|n| n.peak() == 0) && r.log.is_empty() && r.served() > 8000,
        ),
        claim(
            "the node's table is full, and stays so: nf_conntrack_count stands at nf_conntrack_max",
            |s| too_small(s) && s.max <= 131_072,
            |r| {
                let max = r.setting.max;
                r.node()
                    .is_some_and(|n| n.peak() == u64::from(max) && n.seconds_full(max) > n.count.len() / 2)
            },
        ),
        claim("the log says that a conntrack table is full", too_small, |r| r.table_full().is_some()),
        claim(
            "later the expectations of the node stand at nf_conntrack_expect_max, and the log says that too",
            |s| too_small(s) && s.max <= 131_072 && s.expect_max <= 1024 && s.replicas == 1,
            |r| {
                let peak = r.node().map(super::BoxSeries::expect_peak);
                let later = r.table_full().zip(r.expectations_full()).is_some_and(|(t, e)| t < e);
                later && peak == Some(u64::from(r.setting.expect_max))
            },
        ),
        claim(
            "the expectation table is large enough",
            |s| long(s) && s.local && s.expect_max >= 8192 && s.max >= 524_288,
            |r| r.expectations_full().is_none(),
        ),
        claim(
            "the pod's table is full though the node's never is: the pod has time-outs of its own",
            |s| {
                long(s)
                    && s.local
                    && s.node_udp == UdpTimeouts::SHORT
                    && s.pod_udp == UdpTimeouts::DEFAULT
                    && s.max == 524_288
            },
            |r| {
                let max = r.setting.max;
                let full = r.pods().iter().any(|p| p.peak() == u64::from(max));
                full && r.table_full().is_some() && r.node().is_some_and(|n| n.peak() < u64::from(max) / 2)
            },
        ),
        claim("no table is full, no line is logged, no file is given up", short_everywhere, |r| {
            r.log.is_empty() && r.failed_percent() == 0 && r.series.failed.iter().all(|n| *n == 0)
        }),
        claim(
            "the node has as many entries as files are served in the two time-outs together",
            short_everywhere,
            |r| {
                let udp = r.setting.node_udp;
                let wanted = r.served() * u64::from(udp.first + udp.stream);
                let last = r.node().and_then(|n| n.count.last().copied()).unwrap_or(0);
                last.abs_diff(wanted) * 10 <= wanted
            },
        ),
    ]
}

/// The facts that are stated for this setting, judged.
pub fn claims(report: &Report) -> Vec<Judged> {
    let stated = claims_of().into_iter().filter(|c| (c.when)(&report.setting));
    stated.map(|c| Judged { text: c.text, holds: (c.holds)(report) }).collect()
}

/// What to reach, judged.
pub fn goals(report: &Report) -> Vec<Judged> {
    let behind = report.setting.kubernetes;
    vec![
        Judged {
            text: "the server is behind a NodePort, and no table is ever full",
            holds: behind && report.seconds >= 600 && report.log.is_empty(),
        },
        Judged {
            text: "it serves 5,000 files a second, ten minutes long",
            holds: behind && report.seconds >= 600 && report.served() >= 5000,
        },
    ]
}

/// What is true of the nine iterations together; `None` if these are not all of them.
pub fn sweep_claims(reports: &[Report]) -> Option<Vec<Judged>> {
    let served = |n: usize| reports.get(n - 1).map(Report::served);
    let all: Vec<u64> = (1..=9).filter_map(served).collect();
    let [bare, one, three, again, larger, largest, node, both, two] = all[..] else { return None };
    let near = |a: u64, b: u64, percent: u64| a.abs_diff(b) * 100 <= b * percent;
    let judged = |text, holds| Judged { text, holds };
    Some(vec![
        judged("the machine without Kubernetes serves most, and the defaults of conntrack least", {
            let rest = [larger, largest, node, both, two];
            rest.iter().all(|r| *r < bare && *r > 2 * one.max(three).max(again))
        }),
        judged("more pods do not help while the node's table is full", near(three, one, 10)),
        judged(
            "a larger table helps, shorter time-outs in both namespaces more",
            larger < largest && largest < both,
        ),
        judged("shorter time-outs on the node alone help little: now the pod's table is what is full", {
            larger <= node && near(node, larger, 10)
        }),
        judged("once no table is full, a second pod helps", two > both),
        judged("iterations 1, 2, 3, 4, 6, 8 and 9 are within a quarter of the article's figures", {
            let figures = reports.iter().enumerate().filter(|(i, _)| ![5, 7].contains(&(i + 1)));
            figures.map(|(_, r)| r.deviation()).all(|d| d.is_some_and(|d| d.abs() <= 25))
        }),
        judged(
            "so are all nine over the first two minutes: no ten minutes serve what the article tells of 5 and 7",
            reports.iter().all(|r| r.article.is_some_and(|a| near(r.served_at_first(), a.served, 25))),
        ),
    ])
}
