//! Every flow of every recorded case, judged by the tracers of kube-proxy's own tests on the rules of the real kube-proxy: the
//! engine says the same of the rules that are written here.
//!
//! `data/kube-proxy/flows` holds the flows of each case, with `.v6` for IPv6 and `.stepN` for later syncs. What a tracer could not
//! judge is absent there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Family};
use nflab::flows::{judge, read_flows};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn data(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kube-proxy").join(part)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file of flows: the case, the family and the sync that it is about.
fn files() -> Vec<(PathBuf, Case, Family, usize)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(data("flows")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let about = |path: PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut parts = stem.split('.');
        let case = Case::read(&read(&data("cases").join(parts.next().unwrap()).join("input.yaml"))).unwrap();
        let (mut family, mut step) = (Family::V4, 1);
        for part in parts {
            match part.strip_prefix("step") {
                Some(n) => step = n.parse().unwrap(),
                None => family = Family::V6,
            }
        }
        (path, case, family, step)
    };
    paths.into_iter().map(about).collect()
}

const MODES: [&str; 2] = ["iptables", "nftables"];

#[test]
fn every_flow_in_both_modes() {
    let (mut equal, mut wrong) = ([0, 0], Vec::new());
    for (path, case, family, step) in files() {
        let text = read(&path);
        let wanted: Value = serde_json::from_str(&text).unwrap();
        let report = judge(&case, &read_flows(&text).unwrap(), family, step).unwrap();
        let ours = serde_json::to_value(&report).unwrap();
        let (wanted, ours) = (wanted["flows"].as_array().unwrap(), ours["flows"].as_array().unwrap());
        assert_eq!(wanted.len(), ours.len(), "{}", path.display());
        for (wanted, ours) in wanted.iter().zip(ours) {
            assert_eq!(wanted["name"], ours["name"]);
            for (mode, equal) in MODES.into_iter().zip(&mut equal) {
                match &wanted[mode] {
                    Value::Null => {}
                    one if *one == ours[mode] => *equal += 1,
                    one => {
                        let (path, name) = (path.display(), &wanted["name"]);
                        wrong.push(format!("{path}: {name}, {mode}\n  {one}\n  {}", ours[mode]));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(equal, [931, 921]);
}

#[test]
fn a_thousand_endpoints_are_all_found() {
    let case = Case::read(&read(&data("cases/103-large-cluster-1000/input.yaml"))).unwrap();
    let rules = case.record(Some(cluster::kube_proxy::Mode::Iptables)).unwrap();
    let service =
        rules[0].text.lines().find(|l| l.contains("-A KUBE-SERVICES") && l.contains(" -j KUBE-SVC-"));
    let words: Vec<&str> = service.unwrap().split(' ').collect();
    let behind = |option: &str| words[words.iter().position(|w| *w == option).unwrap() + 1];
    let chain = format!("-A {} ", words[words.len() - 1]);
    let endpoints =
        rules[0].text.lines().filter(|l| l.starts_with(&chain) && l.contains("KUBE-SEP-")).count();
    let flow = format!(
        r#"{{"flows": [{{"name": "a", "src": "10.244.1.99", "dst": "{}", "port": {}, "proto": "tcp"}}]}}"#,
        behind("-d"),
        behind("--dport")
    );
    let report = judge(&case, &read_flows(&flow).unwrap(), Family::V4, 1).unwrap();
    assert!(endpoints > 100, "{endpoints}");
    assert_eq!(report.flows[0].iptables.output.len(), endpoints);
}

#[test]
fn what_cannot_be_judged_is_said() {
    let case = Case::read("kind: KubeProxyCase\n").unwrap();
    let flow = |text: &str| read_flows(text).map_err(|e| e.to_string());
    let flows =
        flow(r#"{"flows": [{"name": "a", "src": "::1", "dst": "::2", "port": 1, "proto": "udp"}]}"#).unwrap();
    for (flows, family, step, message) in [
        (&flows[..], Family::V4, 1, "flow \"a\": its addresses are of the other family"),
        (&[], Family::V6, 1, "the cluster has no IPv6 (families); expected --family 4"),
        (&[], Family::V4, 2, "there is no step 2; expected a number from 1 to 1"),
        (&[], Family::V4, 0, "there is no step 0; expected a number from 1 to 1"),
    ] {
        assert_eq!(judge(&case, flows, family, step).unwrap_err(), message);
    }
    for (text, message) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        (
            "{\"flows\": [\n{\"name\": 1}]}",
            "invalid type: integer `1`, expected a string at line 2 column 10",
        ),
        ("{}", "missing field `flows` at line 1 column 2"),
    ] {
        assert_eq!(flow(text).unwrap_err(), message);
    }
}
