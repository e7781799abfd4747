//! The figures of the article, for charts and tables beside the model's own.
//!
//! "Exposing TFTP Server as Kubernetes Service - Part 6", of May 2022: one virtual machine, 5 KB files, tests of ten minutes.

/// What the article says of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Article {
    /// Its number, from 1.
    pub iteration: u32,
    /// What is set.
    pub setting: &'static str,
    /// Files in a second.
    pub served: u64,
    /// The log says that a conntrack table is full.
    pub table_full: bool,
    /// It says that the expectation table is full.
    pub expectations_full: bool,
    /// `nf_conntrack_count` of the node at most, where the article tells.
    pub node_peak: Option<u64>,
    /// Expectations at most.
    pub expect_peak: Option<u64>,
}

const BASE: Article = Article {
    iteration: 2,
    setting: "one pod behind a NodePort, defaults",
    served: 1000,
    table_full: true,
    expectations_full: true,
    node_peak: Some(131_072),
    expect_peak: Some(1024),
};

/// The nine iterations.
pub const ARTICLE: [Article; 9] = [
    Article {
        iteration: 1,
        setting: "a virtual machine without Kubernetes",
        served: 8500,
        table_full: false,
        expectations_full: false,
        node_peak: None,
        expect_peak: None,
    },
    BASE,
    Article { iteration: 3, setting: "three pods, defaults", ..BASE },
    Article { iteration: 4, setting: "one pod, defaults, looked at", ..BASE },
    Article {
        iteration: 5,
        setting: "expect_max 8192, max 524288",
        served: 4000,
        expectations_full: false,
        node_peak: Some(524_288),
        expect_peak: None,
        ..BASE
    },
    Article {
        iteration: 6,
        setting: "expect_max 8192, max 1048576",
        served: 4100,
        expectations_full: false,
        node_peak: Some(1_048_576),
        expect_peak: None,
        ..BASE
    },
    Article {
        iteration: 7,
        setting: "max 524288, the node's UDP time-outs 10 and 20",
        served: 4600,
        expectations_full: false,
        node_peak: None,
        expect_peak: None,
        ..BASE
    },
    Article {
        iteration: 8,
        setting: "the pod's UDP time-outs 10 and 20 too",
        served: 5100,
        table_full: false,
        expectations_full: false,
        node_peak: Some(200_000),
        expect_peak: None,
    },
    Article {
        iteration: 9,
        setting: "the same with two pods",
        served: 5800,
        table_full: false,
        expectations_full: false,
        node_peak: None,
        expect_peak: None,
    },
];
