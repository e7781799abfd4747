//! 002: a pod calls a Service whose endpoint is on its own node (Kubernetes the Hard Way, kube-proxy of 2020, bridge plugin).
//!
//! The cluster is made from `kthw.yaml`; the captures are those of the lab same-node-clusterip, which has the article's MACs.

mod captures;
mod log;
mod rules;
mod typed;

use crate::{command, http, outcome, shell, words};
use cluster::kube_proxy::Version;
use kernel::{Era, Modules};
use sim::apps::UdpReply;
use sim::{Outcome, Run, Scenario, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::net::Ipv4Addr;
use workshop::kube::{self, Cni, Kube, Mode};
use workshop::query;

const KTHW: &str = include_str!("../../data/articles/kthw.yaml");
const TMP2: Ipv4Addr = Ipv4Addr::new(10, 200, 2, 63);
const DNS: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 10);

/// The cluster, on a kernel of its time, with nginx and a DNS server in the pods that are called so.
fn scenario(br_netfilter: bool, stimuli: Vec<Stimulus>) -> Scenario {
    let kube = Kube {
        objects: kube::objects(KTHW).unwrap(),
        mode: Some(Mode::Iptables),
        uplink: kube::UPLINK.to_owned(),
        version: Version::V1_17,
        kubelet: Version::V1_17,
        era: Era::V4_19,
        modules: Modules { br_netfilter, ..Modules::default() },
        cni: &Cni::BRIDGE,
        cluster_cidr: "10.200.0.0/16".parse().ok(),
        nat_outgoing: true,
        hairpin: false,
        promisc: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(10, 240, 0, 1),
        outside: Vec::new(),
    };
    let mut boxes = kube.boxes().unwrap();
    let names: Vec<String> = boxes.hosts.iter().map(|h| h.name.clone()).collect();
    for name in names {
        let any = Ipv4Addr::UNSPECIFIED;
        if name.starts_with("nginx") {
            boxes.serve(
                &name,
                ServerSpec { tcp: true, bind: (any, 80), mode: ServerMode::Http, closes: false },
            );
        } else if name.starts_with("coredns") {
            boxes.serve(
                &name,
                ServerSpec { tcp: false, bind: (any, 53), mode: ServerMode::Echo, closes: false },
            );
        }
    }
    Scenario { hosts: boxes.hosts, links: boxes.links, stimuli, settle_ms: 40 }
}

fn run(br_netfilter: bool, stimuli: Vec<Stimulus>) -> Run {
    scenario(br_netfilter, stimuli).run().unwrap_or_else(|e| panic!("{e}"))
}

/// The objects as a case of kube-proxy, with the rules that a version writes.
fn case(version: &str, yaml: &str) -> String {
    format!("kind: KubeProxyCase\nversion: \"{version}\"\nclusterCIDRs: [10.200.0.0/16]\n---\n{yaml}")
}

fn lab(br_netfilter: &str) -> Run {
    crate::lab("same-node-clusterip", &[("br_netfilter", br_netfilter)]).run
}

/// tmp2 calls the cluster IP of nginx2, on its own worker.
fn call() -> Vec<Stimulus> {
    vec![http("tmp2", (TMP2, 58_096), (Ipv4Addr::new(10, 32, 0, 102), 80))]
}

// ---------------------------------------------------------------------- probes

/// What tmp2 calls: pod IP and cluster IP of nginx1, on another worker, and of nginx2, on its own.
fn probes() -> Vec<Stimulus> {
    let targets = [[10, 200, 1, 42], [10, 32, 0, 101], [10, 200, 2, 65], [10, 32, 0, 102]];
    let calls = targets.into_iter().zip(50_000..);
    calls.map(|(to, sport)| http("tmp2", (TMP2, sport), (Ipv4Addr::from(to), 80))).collect()
}

/// On another worker both work; on the same worker the pod IP works and the cluster IP times out.
#[test]
fn only_the_cluster_ip_of_a_pod_on_the_same_worker_times_out() {
    let run = run(false, probes());
    assert_eq!([0, 1, 2, 3].map(|n| query::answered(&run, n)), [true, true, true, false]);
    assert_eq!(outcome(&run, 3), "connect() timed out");
}

#[test]
fn with_br_netfilter_all_four_work() {
    let run = run(true, probes());
    assert_eq!([0, 1, 2, 3].map(|n| query::answered(&run, n)), [true; 4]);
}

/// Who answers the queries that tmp2 sends to the cluster's DNS.
fn dns_answers(br_netfilter: bool) -> Vec<Option<(Ipv4Addr, u16)>> {
    let query = |sport| Stimulus::Udp {
        host: "tmp2".to_owned(),
        src: (TMP2, sport),
        dst: (DNS, 53),
        payload: b"nginx".to_vec(),
        connect: false,
        count: 1,
        ttl: None,
        reply: true,
        timeout_ms: 1000,
        linger_ms: 0,
    };
    let run = run(br_netfilter, (40_000..40_016).map(query).collect());
    let answer = |n: usize| match &run.steps[n].outcome {
        StepOutcome::App(Outcome::Udp { got, .. }) => match got.first() {
            Some(UdpReply::From(from, _)) => Some(*from),
            _ => None,
        },
        other => panic!("{other:?}"),
    };
    (0..16).map(answer).collect()
}

/// A query is answered rightly by the DNS pod on the other worker, or from an unexpected source, 10.200.2.32#53, by the one on
/// the same worker: it is chance which.
#[test]
fn answers_of_the_dns_pod_on_the_same_worker_come_from_an_unexpected_source() {
    let answers = dns_answers(false);
    let unexpected = (Ipv4Addr::new(10, 200, 2, 32), 53);
    assert!(answers.contains(&Some((DNS, 53))) && answers.contains(&Some(unexpected)), "{answers:?}");
    assert!(answers.iter().all(|a| [(DNS, 53), unexpected].map(Some).contains(a)), "{answers:?}");
}

#[test]
fn with_br_netfilter_every_answer_comes_from_the_dns_service() {
    assert_eq!(dns_answers(true), [Some((DNS, 53)); 16]);
}

// ---------------------------------------------------------------------- br_netfilter

const SETTINGS: [(&str, i64); 6] = [
    ("bridge-nf-call-arptables", 1),
    ("bridge-nf-call-ip6tables", 1),
    ("bridge-nf-call-iptables", 1),
    ("bridge-nf-filter-pppoe-tagged", 0),
    ("bridge-nf-filter-vlan-tagged", 0),
    ("bridge-nf-pass-vlan-input-dev", 0),
];

/// Without the module /proc/sys/net has no bridge; with it there are six settings, three of them on.
#[test]
fn the_module_brings_six_settings() {
    let (without, with) = (run(false, Vec::new()), run(true, Vec::new()));
    for (name, value) in SETTINGS {
        let argv = words(&format!("sysctl net.bridge.{name}"));
        let mut world = without.world.clone();
        let node = world.host_by_name("worker-0").unwrap();
        let refused = sim::operator::command(&mut world, node, &argv, None).unwrap();
        let missing = format!("sysctl: cannot stat /proc/sys/net/bridge/{name}: No such file or directory");
        assert_eq!((refused.stdout, refused.stderr), (Vec::new(), vec![missing]));
        let line = format!("sysctl net.bridge.{name}");
        assert_eq!(shell(&with, "worker-0", &line), [format!("net.bridge.{name} = {value}")]);
    }
}

/// call-iptables alone is enough, and nothing else is.
#[test]
fn call_iptables_alone_decides() {
    for (on, answered) in [("call-iptables", true), ("call-ip6tables", false), ("call-arptables", false)] {
        let set = |name: &str| {
            let value = i32::from(name == on);
            command("worker-2", words(&format!("sysctl -w net.bridge.bridge-nf-{name}={value}")))
        };
        let mut stimuli = ["call-iptables", "call-ip6tables", "call-arptables"].map(set).to_vec();
        stimuli.extend(call());
        assert_eq!(query::answered(&run(true, stimuli), 3), answered, "{on}");
    }
}
