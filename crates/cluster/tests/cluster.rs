//! A whole cluster as kubectl prints it, and what a node's kube-proxy makes of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Family, Mode};
use cluster::{Objects, controllers, read_objects};

const YAML: &str = include_str!("cluster.yaml");
/// The same, as `-o json` prints it.
const JSON: &str = include_str!("cluster.json");

fn iptables(text: &str) -> String {
    let case = Case::read(text).unwrap_or_else(|e| panic!("{e}"));
    let files = case.record(None).unwrap();
    assert_eq!(files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["iptables.txt"]);
    files.into_iter().next().unwrap().text
}

#[test]
fn json_is_the_same_as_yaml() {
    assert_eq!(iptables(YAML), iptables(JSON));
}

#[test]
fn every_kind_is_read() {
    let mut objects = Objects::default();
    read_objects(YAML).unwrap().into_iter().for_each(|o| objects.apply(o));
    assert_eq!((objects.nodes.len(), objects.namespaces.len(), objects.config_maps.len()), (2, 1, 2));
    assert_eq!((objects.deployments.len(), objects.services.len()), (1, 4));
    let key = ("kube-system".to_owned(), "coredns".to_owned());
    let corefile = objects.config_maps.get(&key).unwrap().corefile.as_ref().unwrap();
    assert_eq!(corefile.servers[0].kubernetes_zones()[0], "cluster.local");
    let kube_proxy = objects.kube_proxy.as_ref().unwrap();
    assert_eq!((kube_proxy.mode, kube_proxy.cluster_cidrs.len()), (None, 1));
}

/// kube-proxy enforces no NetworkPolicy: who has one must be told.
#[test]
fn what_is_not_modelled_is_named() {
    let notes = Case::read(YAML).unwrap().notes();
    for (i, part) in [
        "line 221: NetworkPolicy (networking.k8s.io/v1) shop/deny-all: not modelled; kube-proxy does not enforce it",
        "Ingress (networking.k8s.io/v1) shop/front: not modelled",
        "Service (serving.knative.dev/v1) shop/fn: not modelled",
        "Service shop/not-yet has no clusterIP",
        "these are the rules of Node cp-1",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(notes[i].contains(part), "{notes:?}");
    }
    assert_eq!(notes.len(), 5, "{notes:?}");
}

#[test]
fn the_configuration_is_that_of_kubeadms_config_map() {
    let text = iptables(YAML);
    assert!(text.contains("-d 10.96.0.1 --dport 443 ! -s 10.42.0.0/16 -j KUBE-MARK-MASQ\n"), "{text}");
    assert!(!text.contains("10.244."), "{text}");
    let text =
        YAML.replace("mode: \"\"", "mode: nftables").replace("masqueradeBit: null", "masqueradeBit: 5");
    let files = Case::read(&text).unwrap().record(None).unwrap();
    let paths: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["nftables.transaction.txt", "nftables.txt"]);
    assert!(files[0].text.contains("mark set mark or 0x00000020\n"));
}

#[test]
fn a_service_of_another_proxy_is_left_alone() {
    assert!(!iptables(YAML).contains("10.96.7.8"));
    let taken = YAML.replace("service.kubernetes.io/service-proxy-name: other", "a: b");
    assert!(iptables(&taken).contains("10.96.7.8"));
}

#[test]
fn each_node_has_its_own_rules() {
    // The pods are on worker-1.
    let local = YAML.replace("type: NodePort", "type: NodePort\n    externalTrafficPolicy: Local");
    let of = |node: &str| {
        let mut case = Case::read(&local).unwrap();
        case.run_on(node).unwrap();
        case.record(None).unwrap().remove(0).text
    };
    assert!(of("worker-1").contains("KUBE-SVL-"));
    assert!(!of("cp-1").contains("KUBE-SVL-") && of("cp-1").contains("has no local endpoints"));
    let e = Case::read(YAML).unwrap().run_on("cp-2").unwrap_err();
    assert_eq!(e, "there is no Node \"cp-2\"; expected one of cp-1, worker-1");
}

#[test]
fn the_control_plane_makes_pods_and_slices() {
    let mut objects = Objects::default();
    read_objects(YAML).unwrap().into_iter().for_each(|o| objects.apply(o));
    let made = controllers::run(&objects);
    let ips: Vec<String> = made.pods.iter().flat_map(|p| &p.pod_ips).map(ToString::to_string).collect();
    assert_eq!(ips, ["10.42.1.2", "10.42.1.3"]);
    assert!(made.pods.iter().all(|p| p.metadata.name.starts_with("web-") && p.node_name == "worker-1"));
    let [slice] = &made.slices[..] else { panic!("{made:?}") };
    assert_eq!((slice.service.as_str(), slice.ports[0].port), ("web", Some(8080)));
    assert!(slice.endpoints.iter().all(|e| e.ready && e.zone == "zone-b" && e.hints.zones.is_empty()));
    assert_eq!(made, controllers::run(&objects), "names are not drawn");
}

#[test]
fn traffic_distribution_makes_hints() {
    let slices = |distribution: &str| {
        let wanted = format!("type: NodePort\n    trafficDistribution: {distribution}");
        let mut objects = Objects::default();
        let text = YAML.replace("type: NodePort", &wanted);
        read_objects(&text).unwrap().into_iter().for_each(|o| objects.apply(o));
        controllers::run(&objects).slices.remove(0).endpoints.remove(0).hints
    };
    let hints = slices("PreferClose");
    assert_eq!((hints.zones.len(), hints.nodes.len()), (1, 0));
    assert_eq!(slices("PreferSameNode").nodes, ["worker-1"]);
    // Not this node's zone, so it is ignored there: the endpoints are the only ones.
    let same_zone = YAML.replace("type: NodePort", "type: NodePort\n    trafficDistribution: PreferSameZone");
    assert_eq!(iptables(&same_zone), iptables(YAML));
}

#[test]
fn pods_that_are_there_are_not_made_again() {
    let pod = |name: &str, extra: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: web}}{extra}}}\n\
             spec:\n  nodeName: cp-1\n  containers: [{{name: c, ports: [{{name: http, containerPort: 9}}]}}]\n\
             status: {{podIP: 10.42.0.9, conditions: [{{type: Ready, status: \"True\"}}]}}\n"
        )
    };
    let made = |text: &str| {
        let mut objects = Objects::default();
        read_objects(text).unwrap_or_else(|e| panic!("{e}")).into_iter().for_each(|o| objects.apply(o));
        controllers::run(&objects)
    };
    let one = made(&[YAML, &pod("web-1", "")].concat());
    assert_eq!(one.pods.len(), 1);
    // Another number of the named port is another slice.
    let ports: Vec<Option<u16>> = one.slices.iter().map(|s| s.ports[0].port).collect();
    assert_eq!(ports, [Some(9), Some(8080)]);
    let ending = made(&[YAML, &pod("web-1", ", deletionTimestamp: \"2026-03-01T10:00:00Z\"")].concat());
    let e = &ending.slices[0].endpoints[0];
    assert_eq!((e.ready, e.serving, e.terminating), (false, true, true));
}

#[test]
fn a_pod_without_a_node_is_given_one() {
    let text = YAML.replace("        nodeName: worker-1\n", "");
    assert!(!iptables(&text).contains("has no endpoints"));
}

/// What the scheduler would look at is not modelled, so such a pod waits.
#[test]
fn a_pod_that_asks_for_a_node_of_some_kind_is_told_of() {
    let text = YAML.replace("        nodeName: worker-1\n", "        nodeSelector: {disk: fast}\n");
    let notes = Case::read(&text).unwrap().notes();
    assert!(
        notes.iter().any(|n| n.starts_with("Pod shop/web-") && n.ends_with("waits for a node")),
        "{notes:?}"
    );
    assert!(iptables(&text).contains("\"shop/web:http has no endpoints\""));
}

#[test]
fn a_node_with_a_taint_is_given_no_pods() {
    let text = YAML.replace("        nodeName: worker-1\n", "");
    let nodes = |text: &str| -> Vec<String> {
        let mut objects = Objects::default();
        read_objects(text).unwrap().into_iter().for_each(|o| objects.apply(o));
        controllers::run(&objects).pods.iter().map(|p| p.node_name.clone()).collect()
    };
    assert_eq!(nodes(&text), ["worker-1", "worker-1"]);
    let soft = text.replace("effect: NoSchedule", "effect: PreferNoSchedule");
    assert!(nodes(&soft).contains(&"cp-1".to_owned()));
    let closed = soft.replace("    taints:\n", "    unschedulable: true\n    taints:\n");
    assert_eq!(nodes(&closed), ["worker-1", "worker-1"]);
}

#[test]
fn families_are_those_of_the_cluster() {
    let dual = YAML
        .replace("clusterCIDR: 10.42.0.0/16", "clusterCIDR: 10.42.0.0/16,fd00:42::/56")
        .replace("mode: \"\"", "mode: ipvs");
    let case = Case::read(&dual).unwrap();
    assert_eq!(case.config.families, [Family::V4, Family::V6]);
    let files = case.record(None).unwrap();
    assert!(files.iter().any(|f| f.path == "v6/ipvs.iptables.txt"));
    assert_eq!(case.modes(Some(Mode::Iptables)), [Mode::Iptables]);
}

#[test]
fn what_is_made_follows_the_steps() {
    let scaled = YAML.replace("replicas: 2\n    rev", "replicas: 3\n    rev");
    let text = [YAML, "---\nkind: Step\n---\n", &scaled].concat();
    let files = Case::read(&text).unwrap().record(Some(Mode::Nftables)).unwrap();
    let second = files.iter().find(|f| f.path == "step2/nftables.transaction.txt").unwrap();
    assert!(second.text.contains("dnat to 10.42.1.4:8080\n"), "{}", second.text);
    assert!(!second.text.contains("add table"), "{}", second.text);
}

#[test]
fn misspelt_fields_are_named() {
    for (old, new, message) in [
        ("targetPort: http", "targtPort: http", "\"targtPort\": no such field; is targetPort meant?"),
        ("podCIDRs:\n    - 10.42.0.0/24", "podCIDRS:\n    - 10.42.0.0/24", "is podCIDRs meant?"),
        ("replicas: 2\n    rev", "replica: 2\n    rev", "\"replica\": no such field; is replicas meant?"),
        (
            "matchLabels: {app: web}",
            "matchLabels: {app: api}",
            "expected matchLabels that the template's labels have",
        ),
        ("mode: \"\"", "mode: ebpf", "line 116, column 13: \"ebpf\": expected iptables or ipvs or nftables"),
        (
            "forward . /etc/resolv.conf",
            "forward .",
            "line 150, column 11: \"forward\": expected forward ZONE TO",
        ),
        ("replicas: 2\n    rev", "replicas: two\n    rev", "\"two\": expected a number from 0 to 100000"),
    ] {
        assert!(YAML.contains(old), "{old}");
        let e = read_objects(&YAML.replacen(old, new, 1)).unwrap_err().to_string();
        assert!(e.contains(message), "{e}");
    }
}
