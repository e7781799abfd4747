//! What one sync leaves for the next.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Config, Family, IptablesState, Mode, Version, iptables};
use cluster::{Objects, read_objects};

fn objects(endpoints: usize) -> Objects {
    let mut text =
        "kind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n---\n\
                    kind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n\
                    addressType: IPv4\nports: [{port: 8080}]\nendpoints:\n"
            .to_owned();
    for i in 0..endpoints {
        text += &format!("- addresses: [10.1.{}.{}]\n", i / 250, i % 250);
    }
    let mut objects = Objects::default();
    read_objects(&text).unwrap().into_iter().for_each(|o| objects.apply(o));
    objects
}

#[test]
fn chains_of_an_earlier_kube_proxy_go() {
    let before = ["KUBE-SVC-AAAAAAAAAAAAAAAA", "KUBE-SEP-BBBBBBBBBBBBBBBB", "CNI-1234", "KUBE-MARK-DROP"];
    let state = IptablesState::with_chains(before);
    let (text, state) = iptables(&Config::default(), Family::V4, &objects(1), &state);
    for line in
        [":KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]", "-X KUBE-SEP-BBBBBBBBBBBBBBBB", "-X KUBE-SVC-AAAAAAAAAAAAAAAA"]
    {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(!text.contains("CNI") && !text.contains("MARK-DROP"), "{text}");
    assert_eq!(state.chains().count(), 2);
    let (text, _) = iptables(&Config::default(), Family::V4, &objects(1), &state);
    assert!(!text.contains("-X "), "{text}");
}

#[test]
fn only_what_changed_is_written_again() {
    let config = Config::default();
    let (first, state) = iptables(&config, Family::V4, &objects(2), &IptablesState::default());
    let (second, state) = iptables(&config, Family::V4, &objects(2), &state);
    assert!(first.contains(":KUBE-SVC-") && !second.contains(":KUBE-SVC-"), "{second}");
    assert!(second.contains("-j KUBE-SVC-"), "{second}");
    let (third, state) = iptables(&config, Family::V4, &objects(1), &state);
    assert!(third.contains(":KUBE-SVC-") && third.contains("-X KUBE-SEP-"), "{third}");
    // Another configuration is another kube-proxy: everything is written.
    let other = Config { masquerade_all: true, ..config };
    let (fourth, state) = iptables(&other, Family::V4, &objects(1), &state);
    assert!(fourth.contains(":KUBE-SVC-"), "{fourth}");
    let old = Config { version: Version::V1_25, ..other };
    let (fifth, state) = iptables(&old, Family::V4, &objects(1), &state);
    let (sixth, _) = iptables(&old, Family::V4, &objects(1), &state);
    assert!(fifth == sixth && sixth.contains(":KUBE-SVC-"), "{sixth}");
}

#[test]
fn a_large_cluster_keeps_stale_chains_for_a_while() {
    let config = Config::default();
    let (first, state) = iptables(&config, Family::V4, &objects(1002), &IptablesState::default());
    assert!(!first.contains(" -> "));
    let (second, state) = iptables(&config, Family::V4, &objects(1001), &state);
    assert!(!second.contains("-X "));
    let (third, _) = iptables(&config, Family::V4, &objects(1000), &state);
    assert_eq!(third.matches("-X KUBE-SEP-").count(), 2);
    assert!(third.contains(" -> "));
}

#[test]
fn deletion_needs_an_object() {
    let text = "kind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n---\n\
                kind: Step\n---\nkind: Delete\nservice: default/web\n";
    let files = Case::read(text).unwrap().record(None).unwrap();
    assert_eq!(files.len(), 12);
    assert!(files[0].text.contains("has no endpoints") && !files[6].text.contains("has no endpoints"));
    assert_eq!(files[6].path, "step2/iptables.txt");
    let e = Case::read(&format!("{text}---\nkind: Delete\nservice: default/web\n")).unwrap_err();
    assert_eq!((e.line, e.column, e.token.as_str()), (11, 10, "default/web"));
}

/// The tables after each sync, in mode nftables.
fn tables(text: &str) -> Vec<String> {
    let files = Case::read(text).unwrap().record(Some(Mode::Nftables)).unwrap();
    files.into_iter().map(|f| f.text).collect()
}

const NODE_PORT: &str = "kind: Service\nmetadata: {name: web}\nspec:\n  type: NodePort\n  clusterIP: 10.0.0.1\n  \
                         sessionAffinity: ClientIP\n  ports: [{port: 80, nodePort: 30080}]\n";
const SLICE: &str = "kind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n\
                     addressType: IPv4\nports: [{port: 8080}]\nendpoints: [{addresses: [10.244.1.10], nodeName: node1}]\n";

#[test]
fn nftables_chains_of_a_deleted_service_are_emptied_and_its_sets_go() {
    let gone = "kind: Delete\nservice: default/web\n";
    let step = "---\nkind: Step\n---\n";
    let texts = tables(&format!("{NODE_PORT}---\n{SLICE}{step}{gone}{step}kind: Step\n---\n{NODE_PORT}"));
    assert_eq!(texts.len(), 4);
    let chain = "add chain ip kube-proxy service-";
    let rule = "add rule ip kube-proxy service-";
    let set = "add set ip kube-proxy affinity-";
    let slashes = |text: &str, start: &str| {
        text.lines().filter(|l| l.starts_with(start) && l.contains("default/web")).count()
    };
    for (i, (chains, rules, sets)) in [(1, 3, 1), (1, 0, 0), (1, 0, 0), (1, 3, 1)].into_iter().enumerate() {
        let found = [chain, rule, set].map(|start| slashes(&texts[i], start));
        assert_eq!(found, [chains, rules, sets], "step {}\n{}", i + 1, texts[i]);
    }
    assert_eq!(texts[0], texts[3]);
    assert!(!texts[1].contains("10.0.0.1"));
}

#[test]
fn nftables_node_ports_answer_where_they_are_asked_to() {
    let table = |addresses: &str| {
        let head = format!("kind: KubeProxyCase\nfamilies: [IPv6]\nnodePortAddresses: {addresses}\n---\n");
        tables(&[&head, NODE_PORT].concat()).remove(0)
    };
    let only = table("[primary]");
    assert!(only.contains("add element ip6 kube-proxy nodeport-ips { fd00:192::2 }\n"), "{only}");
    assert_eq!(only, table("[]"));
    // A list without a network of the family is no list for it.
    for all in [table("[\"::/0\"]"), table("[192.168.0.0/24]")] {
        assert!(!all.contains("nodeport-ips"), "{all}");
        assert!(
            all.contains("services fib daddr type local ip6 daddr != ::1 meta l4proto . th dport vmap"),
            "{all}"
        );
    }
    // Loopback never answers.
    let none = table("[\"::1/128\"]");
    assert!(none.contains("add set ip6 kube-proxy nodeport-ips") && !none.contains("nodeport-ips { ::1"));
}
