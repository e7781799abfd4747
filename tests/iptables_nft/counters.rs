//! The recordings S16: what the real tools said of rules and counters when all packets had passed, line by line.

use serde_json::Value;
use std::path::Path;

fn read(folder: &str, name: &str) -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel").join(folder).join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// What each command of a record printed, without comments, which bear the date.
fn printed(record: &Value) -> Vec<(String, Vec<String>)> {
    let steps = record["steps"].as_array().unwrap();
    let commands = steps.iter().filter(|s| s["stimulus"]["do"] == "cmd");
    commands
        .map(|s| {
            let lines = s["outcome"]["stdout"].as_array().cloned().unwrap_or_default();
            let lines = lines.iter().filter_map(Value::as_str).filter(|l| !l.starts_with('#'));
            (s["stimulus"]["argv"].to_string(), lines.map(str::to_owned).collect())
        })
        .collect()
}

fn agrees(name: &str) {
    let engine = nflab::replay(&read("scenarios", name)).unwrap();
    let (wanted, got) = (printed(&read("records", name)), printed(&engine));
    assert!(wanted.iter().any(|(argv, _)| argv.contains("iptables-nft-save")), "{name} saves nothing");
    assert_eq!(got, wanted, "{name}");
}

macro_rules! recordings {
    ($($test:ident = $name:literal,)*) => { $(#[test] fn $test() { agrees(concat!("S16-iptables-nft-", $name)); })* };
}

recordings! {
    both = "both",
    bridge = "bridge",
    clusterip = "clusterip",
    helper = "helper",
    nth_forgets = "nth-forgets",
    recent = "recent",
    rpfilter = "rpfilter",
    set = "set",
}
