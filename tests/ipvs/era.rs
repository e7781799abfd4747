//! What older kernels do otherwise under IPVS: each switch of docs/KERNELS.md.

use crate::lab::{Lab, Record};
use kernel::Era;
use serde_json::{Value, json};

/// Runs a lab on another kernel.
fn run(lab: &Lab, era: Era) -> Record {
    let mut scenario = nflab::scenario::parse(&lab.scenario).unwrap();
    for host in &mut scenario.hosts {
        host.era = era;
    }
    let run = scenario.run().unwrap();
    Record(nflab::record::record(&lab.scenario, &scenario, &run))
}

fn service(options: &str, kind: &str) -> Lab {
    let mut lab = Lab::new();
    lab.cmd(&format!("ipvsadm -A {kind} 10.96.0.10:1001 {options}"));
    for last in [11, 12, 13] {
        lab.cmd(&format!("ipvsadm -a {kind} 10.96.0.10:1001 -r 10.244.1.{last}:8080 -m"));
    }
    lab
}

#[test]
fn ipvs_is_a_hop_since_4_4() {
    let mut lab = service("-s rr", "-u");
    let step = lab.flow("client", false, "192.168.1.100:20000", "10.96.0.10:1001");
    for (era, ttl) in [(Era::V3_10, 64), (Era::V4_19, 63), (Era::V6_18, 63)] {
        let record = run(&lab, era);
        let wire = record.0["steps"][step]["ns"]["podf"]["wire"].as_array().unwrap().clone();
        let request = wire.iter().map(Value::to_string).find(|l| l.contains(">10.244.1.13:8080")).unwrap();
        assert!(request.contains(&format!("\"ttl\":{ttl}")), "{}: {request}", era.name());
    }
}

#[test]
fn a_connection_that_is_not_answered_is_active_since_4_8() {
    let mut lab = Lab::new();
    lab.cmd("ipvsadm -A -t 10.96.0.10:1001 -s rr");
    lab.cmd("ipvsadm -a -t 10.96.0.10:1001 -r 10.244.1.99:8080 -m");
    lab.flow("client", true, "192.168.1.100:20000", "10.96.0.10:1001");
    let list = lab.cmd("ipvsadm -Ln -t 10.96.0.10:1001");
    for (era, counts) in
        [(Era::V3_10, "0          1"), (Era::V4_19, "1          0"), (Era::V6_1, "1          0")]
    {
        let line = run(&lab, era).printed(list)[3].clone();
        assert!(line.trim_end().ends_with(counts), "{}: {line}", era.name());
    }
}

#[test]
fn templates_are_assured_since_4_19() {
    let mut lab = service("-s rr -p 60", "-u");
    lab.flow("client", false, "192.168.1.100:20000", "10.96.0.10:1001");
    let list = lab.cmd("ipvsadm -Lnc");
    for (era, state) in [(Era::V3_10, "NONE"), (Era::V4_19, "ASSURED"), (Era::V6_18, "ASSURED")] {
        let lines = run(&lab, era).printed(list);
        assert!(
            lines.iter().any(|l| l.contains(state) && l.contains("192.168.1.100:0 ")),
            "{}: {lines:?}",
            era.name()
        );
    }
}

#[test]
fn a_port_that_is_used_again_is_scheduled_anew_since_4_1_and_without_loss_since_5_9() {
    let mut lab = service("-s rr", "-t");
    lab.host("node1", "ct_probe", json!(true));
    lab.cmd("sysctl -w net.ipv4.vs.conntrack=1");
    let steps: Vec<usize> =
        (0..2).map(|_| lab.flow("client", true, "192.168.1.100:20000", "10.96.0.10:1001")).collect();
    for (era, picks) in [(Era::V3_10, "C C"), (Era::V4_19, "C -"), (Era::V5_15, "C B"), (Era::V6_18, "C B")] {
        let record = run(&lab, era);
        let found: Vec<&str> = steps.iter().map(|s| record.picked(*s)).collect();
        // The SYN that is sent again after a second is too late for this client.
        assert_eq!(found.join(" "), picks, "{}", era.name());
    }
}

#[test]
fn with_expire_nodest_conn_no_packet_is_lost_since_5_9() {
    let mut lab = service("-s rr", "-u");
    lab.cmd("sysctl -w net.ipv4.vs.expire_nodest_conn=1");
    let flow = |lab: &mut Lab| lab.flow("client", false, "192.168.1.100:20000", "10.96.0.10:1001");
    let first = flow(&mut lab);
    lab.cmd("ipvsadm -d -u 10.96.0.10:1001 -r 10.244.1.13:8080");
    let steps = [first, flow(&mut lab), flow(&mut lab)];
    for (era, picks) in [(Era::V4_19, "C - B"), (Era::V5_15, "C B B"), (Era::V6_18, "C B B")] {
        let record = run(&lab, era);
        let found: Vec<&str> = steps.iter().map(|s| record.picked(*s)).collect();
        assert_eq!(found.join(" "), picks, "{}", era.name());
    }
}

#[test]
fn sh_hashes_otherwise_before_4_18() {
    let mut lab = service("-s sh", "-u");
    let addrs: Vec<String> = (100..106).map(|n| format!("192.168.1.{n}/24")).collect();
    lab.host("client", "addrs", json!({"eth0": addrs}));
    let steps: Vec<usize> = (100..106)
        .map(|n| lab.flow("client", false, &format!("192.168.1.{n}:20000"), "10.96.0.10:1001"))
        .collect();
    let picks = |era| {
        let record = run(&lab, era);
        steps.iter().map(|s| record.picked(*s)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(picks(Era::V4_19), picks(Era::V6_18));
    assert_ne!(picks(Era::V3_10), picks(Era::V6_18));
}

#[test]
fn the_hooks_stay_with_the_module_before_5_9() {
    let mut lab = Lab::new();
    lab.cmd("ipvsadm -A -u 10.96.0.10:1001 -s rr");
    lab.cmd("ipvsadm -C");
    for (era, stay) in [(Era::V4_19, true), (Era::V5_15, false), (Era::V6_18, false)] {
        let mut scenario = nflab::scenario::parse(&lab.scenario).unwrap();
        scenario.hosts.iter_mut().for_each(|h| h.era = era);
        let run = scenario.run().unwrap();
        let node = run.world.host_by_name("node1").and_then(|id| run.world.host(id)).unwrap();
        let registered = node.hooks().has(kernel::netfilter::hook::HookFn::IpvsIn);
        assert_eq!(registered, stay, "{}", era.name());
    }
}
