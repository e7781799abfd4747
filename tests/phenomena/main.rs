//! Phenomena of clusters, fact by fact. Where a recording of the real kernel shows one, the fact is asked of the recording and of the
//! engine; `records.rs` holds them against each other in full.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cost;
mod dns;
mod invalid;
mod ipvs;
mod local;
mod martians;
mod mtu;
mod node_local;
mod ports;
mod stale;

use serde_json::Value;
use std::path::{Path, PathBuf};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(path)
}

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(data(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// What happened in a scenario.
struct Record {
    /// Who says so: `kernel` or `engine`.
    by: &'static str,
    json: Value,
}

/// A scenario of the real kernel: its recording, and what the engine makes of it.
fn each(name: &str) -> [Record; 2] {
    let json = read(&format!("kernel/records/{name}.json"));
    [Record { by: "kernel", json }, engine(&read(&format!("kernel/scenarios/{name}.json")))]
}

/// What the engine makes of a scenario.
fn engine(scenario: &Value) -> Record {
    Record { by: "engine", json: nflab::replay(scenario).unwrap_or_else(|e| panic!("{e}")) }
}

impl Record {
    fn outcome(&self, step: usize) -> &Value {
        &self.json["steps"][step]["outcome"]
    }

    /// Who answered a UDP client, by the first word of its answer; nobody is "".
    fn answered(&self, step: usize) -> &str {
        let text = self.outcome(step)["result"][0]["text"].as_str().unwrap_or_default();
        text.split(' ').next().unwrap_or_default()
    }

    /// How many answers a UDP client had.
    fn answers(&self, step: usize) -> usize {
        let all = self.outcome(step)["result"].as_array();
        all.into_iter().flatten().filter(|r| r["text"].is_string()).count()
    }

    /// The error that a UDP client had instead of an answer.
    fn error(&self, step: usize) -> &str {
        self.outcome(step)["result"][0]["error"].as_str().unwrap_or_default()
    }

    /// The rows of a dump.
    fn rows(&self, step: usize) -> Vec<&Value> {
        self.outcome(step)["conntrack"].as_array().unwrap().iter().collect()
    }

    fn stdout(&self, step: usize) -> Vec<&str> {
        self.outcome(step)["stdout"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn stderr(&self, step: usize) -> Vec<&str> {
        self.outcome(step)["stderr"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The packets that a host saw on a device in a step, in one direction.
    fn wire(&self, step: usize, host: &str, dev: &str, dir: &str) -> Vec<&str> {
        let all = self.json["steps"][step]["ns"][host]["wire"].as_array();
        let mine = all.into_iter().flatten().filter(|w| w["if"] == dev && w["dir"] == dir);
        mine.filter_map(|w| w["pkt"].as_str()).filter(|p| !p.starts_with("arp")).collect()
    }

    /// A counter of `conntrack -S`, over all processors.
    fn counter(&self, step: usize, name: &str) -> u64 {
        let words = self.stdout(step).into_iter().flat_map(str::split_whitespace);
        words.filter_map(|w| w.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok()).sum()
    }
}

/// Checks a fact of a record, naming who says otherwise.
macro_rules! fact {
    ($record:expr, $left:expr, $right:expr) => {
        assert_eq!($left, $right, "of the {}", $record.by)
    };
}
use fact;
