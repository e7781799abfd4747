//! What conntrack promises: limits, settings, when it runs at all. The facts were observed on Linux 6.1 and 6.18.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod ftp;
mod limits;
mod log;
mod on_demand;
mod tool;

use kernel::netfilter::conntrack::Limits;
use kernel::{Era, Netns};
use serde_json::{Value, json};
use sim::operator::CommandOutput;
use sim::{Run, Scenario, StepOutcome, Stimulus};

/// Box `a` with these rules, linked to box `b`, where servers answer at UDP 53 and 69 and TCP 80.
fn pair(rules: &str, stimuli: &[Value]) -> Scenario {
    let document = json!({
        "hosts": {
            "a": {
                "addrs": { "eth0": ["10.9.0.1/24"] }, "neigh": ["10.9.0.2 lladdr 02:00:00:00:02:01 dev eth0"],
                "iptables": rules, "trace": false, "tables": ["filter"],
            },
            "b": {
                "addrs": { "eth0": ["10.9.0.2/24"] }, "neigh": ["10.9.0.1 lladdr 02:00:00:00:01:01 dev eth0"],
                "servers": [
                    { "proto": "udp", "bind": "0.0.0.0:53" },
                    { "proto": "udp", "bind": "0.0.0.0:7001", "mode": "sink" },
                    { "proto": "udp", "bind": "0.0.0.0:69", "mode": "sink" },
                    { "proto": "tcp", "bind": "0.0.0.0:80" },
                ],
            },
        },
        "settle_ms": 1,
        "links": [{ "type": "veth", "a": "a:eth0", "b": "b:eth0" }],
        "stimuli": stimuli,
    });
    nflab::scenario::parse(&document).unwrap()
}

/// The same in the first namespace of a machine, with such limits.
fn initial(rules: &str, limits: Limits, stimuli: &[Value]) -> Scenario {
    let mut scenario = pair(rules, stimuli);
    scenario.hosts[0].child = false;
    let Limits { max, buckets, expect_max } = limits;
    let set =
        Stimulus::ConntrackLimits { max: Some(max), buckets: Some(buckets), expect_max: Some(expect_max) };
    scenario.stimuli.insert(0, set);
    scenario
}

/// Conntrack runs while this rule is there.
const TRACKS: &str = "*filter\n-A INPUT -m conntrack --ctstate INVALID\nCOMMIT\n";

fn udp(sport: u16, dport: u16, reply: bool) -> Value {
    json!({ "do": "udp", "host": "a", "src": format!("10.9.0.1:{sport}"), "dst": format!("10.9.0.2:{dport}"), "reply": reply })
}

fn cmd(line: &str) -> Value {
    json!({ "do": "cmd", "host": "a", "argv": line.split(' ').collect::<Vec<_>>() })
}

fn host<'a>(run: &'a Run, name: &str) -> &'a Netns {
    run.world.host(run.world.host_by_name(name).unwrap()).unwrap()
}

fn output(run: &Run, step: usize) -> &CommandOutput {
    match &run.steps[step].outcome {
        StepOutcome::Command(output) => output,
        other => panic!("{other:?}"),
    }
}

/// What the kernel has logged in box a.
fn kernel_log(run: &Run) -> Vec<String> {
    let a = run.world.host_by_name("a").unwrap();
    let line = |e: &sim::Entry| match e.what()? {
        kernel::event::What::KernelLog(line) => Some(line.clone()),
        _ => None,
    };
    run.world.log().entries().iter().filter(|e| e.host == a).filter_map(line).collect()
}

fn with_era(mut scenario: Scenario, era: Era) -> Scenario {
    for host in &mut scenario.hosts {
        host.era = era;
    }
    scenario
}
