//! TFTP through a NodePort: which modules, which policy, which mode lets the file through. The outcomes are those that a
//! Linux 6.1 showed with rules of the same kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::Version;
use cluster::{Objects, read_objects};
use kernel::{Era, Modules};
use sim::apps::{Outcome, TftpGot};
use sim::{Run, Scenario, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::net::Ipv4Addr;
use workshop::kube::{Cni, Kube, Mode, Outside};

const NODE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 11);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);

fn objects(policy: &str, on_node: u8) -> Objects {
    let text = format!(
        "
apiVersion: v1
kind: Node
metadata: {{name: node1}}
spec: {{podCIDR: 10.244.1.0/24, podCIDRs: [10.244.1.0/24]}}
status: {{addresses: [{{type: InternalIP, address: 192.168.1.11}}]}}
---
apiVersion: v1
kind: Node
metadata: {{name: node2}}
spec: {{podCIDR: 10.244.2.0/24, podCIDRs: [10.244.2.0/24]}}
status: {{addresses: [{{type: InternalIP, address: 192.168.1.12}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: tftpd, namespace: default}}
spec: {{nodeName: node{on_node}}}
status: {{podIP: 10.244.{on_node}.10, podIPs: [{{ip: 10.244.{on_node}.10}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: tftp, namespace: default}}
spec:
  type: NodePort
  clusterIP: 10.96.0.69
  clusterIPs: [10.96.0.69]
  ports: [{{name: tftp, protocol: UDP, port: 69, targetPort: 69, nodePort: 30069}}]
  externalTrafficPolicy: {policy}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: tftp-1, namespace: default, labels: {{kubernetes.io/service-name: tftp}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.{on_node}.10], nodeName: node{on_node}}}]
ports: [{{name: tftp, protocol: UDP, port: 69}}]
"
    );
    let mut objects = Objects::default();
    for object in read_objects(&text).unwrap() {
        objects.apply(object);
    }
    objects
}

#[derive(Clone, Copy)]
struct Case {
    mode: Mode,
    policy: &'static str,
    on_node: u8,
    conntrack: bool,
    nat: bool,
    rule: bool,
    nat_outgoing: bool,
    knows_pods: bool,
    era: Era,
    cni: &'static Cni,
}

const CASE: Case = Case {
    mode: Mode::Iptables,
    policy: "Cluster",
    on_node: 1,
    conntrack: false,
    nat: false,
    rule: false,
    nat_outgoing: false,
    knows_pods: false,
    era: Era::V6_18,
    cni: &Cni::BRIDGE,
};

/// conntrack's half and NAT's half, and the rule that assigns the helper.
const BOTH: Case = Case { conntrack: true, nat: true, rule: true, ..CASE };

fn run(case: Case) -> (bool, TftpGot, Run) {
    let kube = Kube {
        objects: objects(case.policy, case.on_node),
        mode: Some(case.mode),
        uplink: workshop::kube::UPLINK.to_owned(),
        version: Version::default(),
        kubelet: Version::default(),
        era: case.era,
        modules: Modules {
            br_netfilter: true,
            nf_conntrack_tftp: case.conntrack,
            nf_nat_tftp: case.nat,
            ..Modules::default()
        },
        cni: case.cni,
        cluster_cidr: "10.244.0.0/16".parse().ok(),
        nat_outgoing: case.nat_outgoing,
        hairpin: false,
        promisc: false,
        gateway: Ipv4Addr::new(192, 168, 1, 1),
        tftp_rule: case.rule.then_some(30069),
        outside: vec![Outside {
            name: "client".to_owned(),
            addr: "192.168.1.100/24".parse().unwrap(),
            knows_pods: case.knows_pods,
        }],
    };
    let mut boxes = kube.boxes().unwrap();
    let mode = ServerMode::Tftp { data: (Ipv4Addr::UNSPECIFIED, 47000), retransmit_ms: 0 };
    boxes.serve("tftpd", ServerSpec { tcp: false, bind: (Ipv4Addr::UNSPECIFIED, 69), mode, closes: false });
    let get = Stimulus::Tftp {
        host: "client".to_owned(),
        src: (CLIENT, 6008),
        dst: (NODE, 30069),
        file: "f-2016".to_owned(),
        strict: false,
        retransmit_ms: 0,
        timeout_ms: 600,
    };
    let scenario = Scenario { hosts: boxes.hosts, links: boxes.links, stimuli: vec![get], settle_ms: 40 };
    let run = scenario.run().unwrap_or_else(|e| panic!("{e}"));
    match &run.steps[0].outcome {
        StepOutcome::App(Outcome::Tftp { done, got }) => (*done, got.clone(), run),
        other => panic!("{other:?}"),
    }
}

fn file_arrives(case: Case) -> bool {
    run(case).0
}

const MODES: [Mode; 2] = [Mode::Iptables, Mode::Ipvs];

#[test]
fn with_cluster_only_both_modules_and_the_rule_let_the_file_through() {
    for mode in MODES {
        for on_node in [1, 2] {
            let case = Case { mode, on_node, ..CASE };
            assert!(!file_arrives(case), "{mode:?}, node {on_node}: no module");
            assert!(!file_arrives(Case { conntrack: true, nat: true, ..case }), "{mode:?}: no rule");
            assert!(
                !file_arrives(Case { conntrack: true, rule: true, ..case }),
                "{mode:?}: conntrack's half"
            );
            assert!(file_arrives(Case { mode, on_node, ..BOTH }), "{mode:?}, node {on_node}: both");
        }
    }
}

#[test]
fn with_both_modules_the_data_comes_from_the_node_that_was_asked() {
    for mode in MODES {
        let (_, got, _) = run(Case { mode, ..BOTH });
        assert_eq!(got.peers, [(NODE, 47000)], "{mode:?}");
        assert_eq!(got.bytes, 2016);
    }
}

#[test]
fn conntracks_half_alone_makes_an_expectation_that_is_used_up_and_the_data_still_dies() {
    use kernel::event::{ExpectEventKind, What};
    for mode in MODES {
        let (done, _, run) = run(Case { conntrack: true, rule: true, mode, ..CASE });
        let kinds: Vec<ExpectEventKind> = run
            .world
            .log()
            .entries()
            .iter()
            .filter_map(|e| match e.what() {
                Some(What::ExpectEvent(e)) => Some(e.kind),
                _ => None,
            })
            .collect();
        assert_eq!((done, kinds), (false, vec![ExpectEventKind::New, ExpectEventKind::Destroy]), "{mode:?}");
    }
}

#[test]
fn with_local_and_nat_outgoing_no_helper_is_needed() {
    for mode in MODES {
        let (done, got, _) = run(Case { mode, policy: "Local", nat_outgoing: true, ..CASE });
        assert!(done, "{mode:?}");
        assert_eq!(got.peers, [(NODE, 47000)], "{mode:?}");
    }
}

#[test]
fn with_local_and_nothing_else_the_data_comes_from_the_pod() {
    for mode in MODES {
        let case = Case { mode, policy: "Local", ..CASE };
        let pod = Ipv4Addr::new(10, 244, 1, 10);
        // A client without a way to the pods cannot acknowledge it.
        let (done, got, _) = run(case);
        assert_eq!((done, got.peers), (false, vec![(pod, 47000)]), "{mode:?}");
        assert!(file_arrives(Case { knows_pods: true, ..case }), "{mode:?}");
    }
}

#[test]
fn under_ipvs_and_local_the_nat_helper_does_not_translate() {
    let local = |mode| run(Case { mode, policy: "Local", ..BOTH });
    let (done, got, _) = local(Mode::Iptables);
    assert_eq!((done, got.peers), (true, vec![(NODE, 47000)]));
    let (done, got, _) = local(Mode::Ipvs);
    assert_eq!((done, got.peers), (false, vec![(Ipv4Addr::new(10, 244, 1, 10), 47000)]));
}

#[test]
fn with_calico_it_is_the_same() {
    for mode in MODES {
        let case = Case { mode, cni: &Cni::CALICO_VETHS, ..CASE };
        assert!(!file_arrives(case), "{mode:?}: no module");
        assert!(file_arrives(Case { cni: &Cni::CALICO_VETHS, mode, ..BOTH }), "{mode:?}: both");
        let (done, got, _) = run(Case { policy: "Local", nat_outgoing: true, ..case });
        assert_eq!((done, got.peers), (true, vec![(NODE, 47000)]), "{mode:?}");
    }
}

#[test]
fn the_oldest_kernel_needs_no_rule() {
    for mode in MODES {
        let case = Case { mode, era: Era::V3_10, conntrack: true, nat: true, ..CASE };
        assert!(file_arrives(case), "{mode:?}");
        assert!(!file_arrives(Case { era: Era::V4_19, ..case }), "{mode:?}");
    }
}
