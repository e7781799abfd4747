//! `nf_conntrack_log_invalid`: the lines of the ring buffer, byte for byte as a Linux 6.18 printed them
//! (`data/conntrack/log-invalid.jsonl`: what was done, and what the kernel said). The words alone are in every recording of
//! `data/kernel`, as nfnetlink_log hands them on.

use super::*;

/// What the kernel of box a says in each step. The first namespace of a machine prints; others do not.
fn said(stimuli: &[Value], child: bool) -> Vec<Vec<String>> {
    let mut scenario = pair(TRACKS, stimuli);
    scenario.hosts[0].child = child;
    let run = scenario.run().unwrap();
    let a = run.world.host_by_name("a").unwrap();
    let line = |e: &sim::Entry| match e.what()? {
        kernel::event::What::KernelLog(line) => Some(line.clone()),
        _ => None,
    };
    let entries = run.world.log().entries();
    let of = |s: &sim::StepRecord| {
        let step = &entries[s.first.index()..s.end.index()];
        step.iter().filter(|e| e.host == a).filter_map(line).collect()
    };
    run.steps.iter().map(of).collect()
}

fn recorded() -> (Vec<Value>, Vec<Vec<String>>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/conntrack/log-invalid.jsonl");
    let text = std::fs::read_to_string(path).unwrap().replace("10.0.0.", "10.9.0.");
    let lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines.map(|v| (v["do"].clone(), serde_json::from_value(v["kmsg"].clone()).unwrap())).unzip()
}

#[test]
fn invalid_packets_are_logged_as_by_the_kernel() {
    let (stimuli, kernel) = recorded();
    let engine = said(&stimuli, false);
    for ((stimulus, kernel), engine) in stimuli.iter().zip(&kernel).zip(&engine) {
        assert_eq!(engine, kernel, "{stimulus}");
    }
}

#[test]
fn only_the_first_namespace_of_a_machine_logs_packets() {
    assert!(said(&recorded().0, true).iter().all(Vec::is_empty));
}
