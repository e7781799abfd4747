//! FTP's helper: its two halves, who assigns it, and ports that are taken. What it reads is in the recordings S13-ftp-*.

use super::*;
use kernel::netfilter::conntrack::Helper;
use kernel::{Modules, event::What};
use packet::L4;
use sim::Seen;

/// The recording of a client behind MASQUERADE that sends PORT and EPRT, up to its PORT.
fn recording() -> Value {
    let text = include_str!("../data/kernel/scenarios/S13-ftp-masquerade.json");
    let mut document: Value = serde_json::from_str(text).unwrap();
    document["stimuli"].as_array_mut().unwrap().truncate(7);
    document
}

fn scenario(document: &Value, modules: Modules) -> Scenario {
    let mut scenario = nflab::scenario::parse(document).unwrap();
    for host in &mut scenario.hosts {
        host.modules = modules;
    }
    scenario
}

fn both() -> Modules {
    Modules { nf_conntrack_ftp: true, nf_nat_ftp: true, ..Modules::default() }
}

/// What the server gets of PORT.
fn port_commands(run: &Run) -> Vec<String> {
    let server = run.world.host_by_name("server").unwrap();
    let line = |e: &sim::Entry| {
        let Seen::Kernel(What::Tap { frame, .. }) = &*e.seen else { return None };
        match &frame.ip()?.l4 {
            L4::Tcp(t) if t.payload.starts_with(b"PORT") => {
                Some(String::from_utf8_lossy(&t.payload).into_owned())
            }
            _ => None,
        }
    };
    run.world.log().entries().iter().filter(|e| e.host == server).filter_map(line).collect()
}

#[test]
fn a_rule_brings_only_conntracks_half() {
    let run = scenario(&recording(), Modules::default()).run().unwrap();
    let modules = host(&run, "router").modules;
    assert_eq!((modules.nf_conntrack_ftp, modules.nf_nat_ftp), (true, false));
}

#[test]
fn without_nats_half_the_payload_stays_and_the_data_connection_is_not_translated() {
    let alone = scenario(&recording(), Modules { nf_nat_ftp: false, ..both() }).run().unwrap();
    assert_eq!(port_commands(&alone), ["PORT 10,0,0,2,20,2\r\n"]);
    assert_eq!(host(&alone, "router").expect_rows(alone.world.now())[0].nat, None);
    let both = scenario(&recording(), both()).run().unwrap();
    assert_eq!(port_commands(&both), ["PORT 10,1,0,1,20,2\r\n"]);
    assert_eq!(host(&both, "router").expect_rows(both.world.now())[0].nat.unwrap().port, 5122);
}

/// Two clients behind one address that announce the same port: the second one's is another, above it, and its own port is
/// kept for the translation.
#[test]
fn a_port_that_is_announced_already_is_changed() {
    let mut document = recording();
    let text = document["stimuli"].to_string().replace("4000", "4100");
    let second: Value = serde_json::from_str(&text).unwrap();
    document["stimuli"].as_array_mut().unwrap().extend(second.as_array().unwrap().clone());
    let run = scenario(&document, both()).run().unwrap();
    let rows = host(&run, "router").expect_rows(run.world.now());
    assert_eq!((rows[0].tuple.dport(), rows[1].nat.unwrap().port), (5122, 5122));
    let drawn = rows[1].tuple.dport();
    assert!(drawn > 5122, "{drawn}");
    assert_eq!(port_commands(&run)[1], format!("PORT 10,1,0,1,{},{}\r\n", drawn >> 8, drawn & 255));
}

/// Port 21 means FTP to kernels that assign helpers by themselves, if the module is there.
#[test]
fn helpers_are_assigned_by_port_where_the_kernel_does_that() {
    let mut document = recording();
    let rules = document["hosts"]["router"]["iptables"].as_str().unwrap();
    let rules = rules.lines().filter(|l| !l.contains("-j CT")).collect::<Vec<_>>().join("\n");
    document["hosts"]["router"]["iptables"] = rules.into();
    let helper = |era: Era, modules: Modules| {
        let run = with_era(scenario(&document, modules), era).run().unwrap();
        host(&run, "router").ct.rows(run.world.now())[0].helper
    };
    assert_eq!(helper(Era::V3_10, both()), Some(Helper::FTP));
    assert_eq!(helper(Era::V3_10, Modules::default()), None);
    assert_eq!(helper(Era::V4_19, both()), None);
    assert_eq!(helper(Era::V6_18, both()), None);
    document["hosts"]["router"]["sysctl"]["net.netfilter.nf_conntrack_helper"] = 1.into();
    let run = with_era(scenario(&document, both()), Era::V4_19).run().unwrap();
    assert_eq!(host(&run, "router").ct.rows(run.world.now())[0].helper, Some(Helper::FTP));
}
