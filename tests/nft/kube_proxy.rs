//! What kube-proxy 1.35 hands to `nft -f -`, and what `nft -s list table` of 1.0.6 printed after each sync.

use super::{difference, nft};
use flate2::read::GzDecoder;
use kernel::netfilter::nftables::Nftables;
use serde_json::Value;
use std::io::{BufRead, BufReader};

#[test]
fn the_transactions_of_all_cases_lead_to_the_tables_that_nft_listed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/nft/kube-proxy.jsonl.gz");
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap())).lines();
    let (mut tables_seen, mut faults) = (0, Vec::new());
    for line in lines {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let name = case["name"].as_str().unwrap();
        let mut tables = Nftables::default();
        for (i, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            tables_seen += 1;
            let done = nft(&mut tables, "-f -", step["transaction"].as_str().unwrap());
            if done.status != 0 {
                faults.push(format!("{name} step {}: {}", i + 1, done.stderr));
                break;
            }
            let got = nft(&mut tables, "-s list ruleset", "").stdout;
            let wanted = step["list"].as_str().unwrap();
            if got != wanted {
                faults.push(format!("{name} step {}: {}", i + 1, difference(wanted, &got)));
            }
            // A listing is a text that makes the same again.
            let mut again = Nftables::default();
            let done = nft(&mut again, "-f -", wanted);
            assert_eq!(done.stderr, "", "{name}");
            assert_eq!(nft(&mut again, "-s list ruleset", "").stdout, wanted, "{name}");
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(tables_seen, 85);
}
