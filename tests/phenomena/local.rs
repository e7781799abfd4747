//! externalTrafficPolicy: Local. A load balancer divides by nodes, not by pods, and a node without a pod of the Service is silent
//! (k8s#97147, Azure/AKS#4905, the README of mode nftables).

use cluster::kube_proxy::Version;
use kernel::DropReason;
use kernel::event::{TapDir, What};
use nflab::cluster::ClusterOptions;
use sim::apps::UdpReply;
use sim::{Outcome, Run, Scenario, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::fmt::Write;
use std::net::Ipv4Addr;
use workshop::kube::{self, Cni, Kube, Mode, Outside};

/// Two pods on node-1, one on node-2, none on node-3; Service `local` by port 30053 and `nobody`, which has no pods, by 30054.
fn kube(mode: Mode, policy: &str) -> Kube {
    let mut yaml = String::new();
    for n in 1..=3 {
        let _ = write!(
            yaml,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: node-{n}}}\nspec: {{podCIDR: 10.244.{n}.0/24}}\n\
             status: {{addresses: [{{type: InternalIP, address: 192.168.0.1{n}}}]}}\n"
        );
    }
    let mut endpoints = String::new();
    for (pod, node, ip) in [("a", 1, "10.244.1.10"), ("b", 1, "10.244.1.11"), ("c", 2, "10.244.2.10")] {
        let _ = write!(
            yaml,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, namespace: default}}\nspec: {{nodeName: node-{node}}}\n\
             status: {{phase: Running, podIP: {ip}, podIPs: [{{ip: {ip}}}]}}\n"
        );
        let _ =
            write!(endpoints, "{{addresses: [{ip}], conditions: {{ready: true}}, nodeName: node-{node}}}, ");
    }
    for (name, ip, port) in [("local", "10.96.0.10", 30053), ("nobody", "10.96.0.11", 30054)] {
        let _ = write!(
            yaml,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
             spec: {{clusterIP: {ip}, clusterIPs: [{ip}], type: NodePort, externalTrafficPolicy: {policy}, \
             ports: [{{name: p, port: 53, targetPort: 53, nodePort: {port}, protocol: UDP}}]}}\n"
        );
    }
    let _ = write!(
        yaml,
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: local-x, namespace: default, labels: {{kubernetes.io/service-name: local}}}}\n\
         addressType: IPv4\nports: [{{name: p, port: 53, protocol: UDP}}]\nendpoints: [{endpoints}]\n"
    );
    let options = ClusterOptions {
        cni: &Cni::BRIDGE,
        mode,
        version: Version::default(),
        cluster_cidr: Some("10.244.0.0/16".parse().unwrap()),
        nat_outgoing: false,
        hairpin: false,
        promisc: false,
    };
    let mut kube = nflab::cluster::kube(kube::objects(&yaml).unwrap(), &options).unwrap();
    let addr = "192.168.0.50/24".parse().unwrap();
    kube.outside.push(Outside { name: "client".to_owned(), addr, knows_pods: false });
    kube
}

/// The client asks port `dport` of a node from each of these ports.
fn ask(mode: Mode, policy: &str, node: u8, dport: u16, ports: std::ops::Range<u16>) -> Run {
    let mut boxes = kube(mode, policy).boxes().unwrap();
    for pod in ["a", "b", "c"] {
        let bind = (Ipv4Addr::UNSPECIFIED, 53);
        boxes.serve(pod, ServerSpec { tcp: false, bind, mode: ServerMode::Echo, closes: false });
    }
    let query = |port| Stimulus::Udp {
        host: "client".to_owned(),
        src: (Ipv4Addr::UNSPECIFIED, port),
        dst: (Ipv4Addr::new(192, 168, 0, 10 + node), dport),
        payload: b"x".to_vec(),
        connect: true,
        count: 1,
        ttl: None,
        reply: true,
        timeout_ms: 300,
        linger_ms: 0,
    };
    let (hosts, links) = (boxes.hosts, boxes.links);
    Scenario { hosts, links, stimuli: ports.map(query).collect(), settle_ms: 1 }.run().unwrap()
}

/// What became of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    /// The pod, and whom it saw.
    Answer(String, String),
    Refused,
    Nothing,
}

fn got(run: &Run) -> Vec<Got> {
    let one = |outcome: &StepOutcome| match outcome {
        StepOutcome::App(Outcome::Udp { got, .. }) => match got.first() {
            Some(UdpReply::From(_, data)) => {
                let text = String::from_utf8(data.clone()).unwrap();
                let words: Vec<&str> = text.split(' ').collect();
                Got::Answer(words[0].to_owned(), words[2].split(':').next().unwrap().to_owned())
            }
            Some(UdpReply::Error(_)) => Got::Refused,
            None => Got::Nothing,
        },
        other => panic!("{other:?}"),
    };
    run.steps.iter().map(|s| one(&s.outcome)).collect()
}

fn count(all: &[Got], pod: &str) -> usize {
    all.iter().filter(|g| matches!(g, Got::Answer(p, _) if p == pod)).count()
}

const MODES: [Mode; 3] = [Mode::Iptables, Mode::Ipvs, Mode::Nftables];

#[test]
fn half_of_a_balancers_traffic_goes_to_the_one_pod_of_a_node() {
    for mode in MODES {
        // The balancer sends as much to node-1 as to node-2; node-3 fails its health check.
        let mut all = got(&ask(mode, "Local", 1, 30053, 4000..4040));
        all.extend(got(&ask(mode, "Local", 2, 30053, 4000..4040)));
        assert_eq!(count(&all, "c"), 40, "{mode:?}");
        let shares = [count(&all, "a"), count(&all, "b")];
        assert_eq!(shares[0] + shares[1], 40, "{mode:?}");
        assert!(shares.iter().all(|n| (10..=30).contains(n)), "{mode:?}: {shares:?}");
    }
}

#[test]
fn with_policy_cluster_each_pod_has_a_third() {
    for mode in MODES {
        let all: Vec<Got> =
            (1..=3).flat_map(|node| got(&ask(mode, "Cluster", node, 30053, 4000..4040))).collect();
        let shares = ["a", "b", "c"].map(|pod| count(&all, pod));
        assert_eq!(shares.iter().sum::<usize>(), 120, "{mode:?}");
        assert!(shares.iter().all(|n| (25..=55).contains(n)), "{mode:?}: {shares:?}");
    }
}

#[test]
fn local_shows_the_pod_who_asks_and_cluster_does_not() {
    for mode in MODES {
        let seen = |policy| match got(&ask(mode, policy, 2, 30053, 4000..4008)) {
            all if all.iter().all(|g| matches!(g, Got::Answer(..))) => all,
            other => panic!("{mode:?}: {other:?}"),
        };
        let client = |g: &Got| matches!(g, Got::Answer(_, who) if who == "192.168.0.50");
        assert!(seen("Local").iter().all(client), "{mode:?}");
        assert!(!seen("Cluster").iter().any(client), "{mode:?}");
    }
}

#[test]
fn a_node_without_a_pod_of_the_service_is_silent() {
    for mode in MODES {
        let all = got(&ask(mode, "Local", 3, 30053, 4000..4003));
        assert_eq!(all, [Got::Nothing, Got::Nothing, Got::Nothing], "{mode:?}");
    }
}

/// What came to the client by its device, beside ARP.
fn came(run: &Run) -> Vec<String> {
    let client = run.world.host_by_name("client").unwrap();
    let entries = run.world.log().entries().iter().filter(|e| e.host == client);
    let taps = entries.filter_map(|e| match e.what() {
        Some(What::Tap { dir: TapDir::In, frame, .. }) => frame.ip().map(|ip| ip.src.to_string()),
        _ => None,
    });
    taps.collect()
}

#[test]
fn rules_drop_the_query_there() {
    for mode in [Mode::Iptables, Mode::Nftables] {
        let run = ask(mode, "Local", 3, 30053, 4000..4001);
        let node = run.world.host_by_name("node-3").unwrap();
        let dropped = run.world.log().entries().iter().any(|e| {
            e.host == node && matches!(e.what(), Some(What::Drop { reason: DropReason::NetfilterDrop, .. }))
        });
        assert!(dropped, "{mode:?}");
        assert!(came(&run).is_empty(), "{mode:?}");
    }
}

#[test]
fn ipvs_sends_it_to_another_nodes_pod_whose_answer_the_client_does_not_take() {
    // k8s#97081: without a local endpoint the virtual server has all of them; nothing masquerades.
    let run = ask(Mode::Ipvs, "Local", 3, 30053, 4000..4001);
    let from = came(&run);
    assert!(from.len() == 1 && from[0].starts_with("10.244."), "{from:?}");
}

#[test]
fn a_service_without_any_pod_is_refused_everywhere() {
    for mode in MODES {
        for node in 1..=3 {
            assert_eq!(
                got(&ask(mode, "Local", node, 30054, 4000..4001)),
                [Got::Refused],
                "{mode:?}, node-{node}"
            );
        }
    }
}
