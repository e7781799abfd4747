//! A cluster as YAML: what kube-proxy writes for it, in every mode, and what becomes of a packet there.
#![no_main]

use cluster::kube_proxy::{Case, Family, Mode};
use libfuzzer_sys::fuzz_target;
use nflab::flows;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(case) = Case::read(text) else { return };
    let _ = case.notes();
    for mode in Mode::ALL {
        let _ = case.record(Some(mode));
    }
    let flow = serde_json::json!({"flows": [{"name": "a", "src": "10.244.1.99", "dst": "10.96.10.1", "port": 80, "proto": "tcp"}]});
    let list = flows::read_flows(&flow.to_string()).expect("it is well formed");
    let _ = flows::judge(&case, &list, Family::V4, 1);
});
