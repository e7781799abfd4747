//! What a change of the cluster does to connections that are known: which entries of conntrack go.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Change, Cleanup, Config, ConntrackEntry, KubeProxy, Mode, Version};
use cluster::object::Protocol;
use cluster::read_objects;

const SERVICE: &str = "kind: Service\nmetadata: {name: game}\nspec:\n  type: LoadBalancer\n  clusterIP: 10.96.0.7\n  \
                       externalIPs: [203.0.113.7]\n  ports: [{port: 7777, protocol: UDP, nodePort: 30777}]\n\
                       status: {loadBalancer: {ingress: [{ip: 198.51.100.7}]}}\n";

/// The endpoints as `BYTE`, `BYTE!` (not ready, but serving: about to end), `BYTE-` (not serving).
fn slice(endpoints: &[&str]) -> String {
    let mut text =
        "kind: EndpointSlice\nmetadata: {name: game-1, labels: {kubernetes.io/service-name: game}}\n\
                    addressType: IPv4\nports: [{port: 7777, protocol: UDP}]\nendpoints:\n"
            .to_owned();
    for e in endpoints {
        let (ready, serving) = (!e.ends_with(['!', '-']), !e.ends_with('-'));
        let byte = e.trim_end_matches(['!', '-']);
        text += &format!(
            "- {{addresses: [10.244.1.{byte}], conditions: {{ready: {ready}, serving: {serving}, terminating: {}}}}}\n",
            !ready
        );
    }
    if endpoints.is_empty() { text.replace("endpoints:\n", "endpoints: []\n") } else { text }
}

fn apply(proxy: &mut KubeProxy, text: &str) {
    for object in read_objects(text).unwrap_or_else(|e| panic!("{e}\n{text}")) {
        proxy.apply(Change::Apply(Box::new(object)));
    }
}

/// What the sync of a change does, in a cluster with the Service.
fn after(version: Version, before: &[&str], change: impl FnOnce(&mut KubeProxy)) -> Cleanup {
    let mut proxy =
        KubeProxy::new(Config { version, ..Config::default() }, Vec::new(), Mode::Iptables).unwrap();
    apply(&mut proxy, SERVICE);
    apply(&mut proxy, &slice(before));
    proxy.sync();
    change(&mut proxy);
    proxy.sync().remove(0).conntrack
}

fn commands(cleanup: &Cleanup) -> Vec<String> {
    match cleanup {
        Cleanup::Commands(all) => all.iter().map(ToString::to_string).collect(),
        Cleanup::Nothing => Vec::new(),
        Cleanup::Reconcile(_) => panic!("{cleanup:?}"),
    }
}

#[test]
fn an_old_kube_proxy_runs_conntrack_for_each_endpoint_that_went() {
    let cleanup = after(Version::V1_30, &["1", "2"], |proxy| apply(proxy, &slice(&["2"])));
    assert_eq!(
        commands(&cleanup),
        [
            "conntrack -D --orig-dst 10.96.0.7 --dst-nat 10.244.1.1 -p udp",
            "conntrack -D --orig-dst 198.51.100.7 --dst-nat 10.244.1.1 -p udp",
            "conntrack -D --orig-dst 203.0.113.7 --dst-nat 10.244.1.1 -p udp",
            "conntrack -D -p udp --dport 30777 --dst-nat 10.244.1.1",
        ]
    );
}

#[test]
fn before_1_23_the_cluster_ip_is_forgotten_beside_a_node_port() {
    let cleanup = after(Version::V1_17, &["1", "2"], |proxy| apply(proxy, &slice(&["2"])));
    let commands = commands(&cleanup);
    assert_eq!(commands.len(), 3, "{commands:?}");
    assert!(!commands.iter().any(|c| c.contains("10.96.0.7")), "{commands:?}");
    assert!(commands.contains(&"conntrack -D -p udp --dport 30777 --dst-nat 10.244.1.1".to_owned()));
}

#[test]
fn an_old_kube_proxy_forgets_what_was_refused_when_the_first_endpoint_comes() {
    let cleanup = after(Version::V1_30, &[], |proxy| apply(proxy, &slice(&["2"])));
    assert_eq!(
        commands(&cleanup),
        [
            "conntrack -D --orig-dst 10.96.0.7 -p udp",
            "conntrack -D --orig-dst 198.51.100.7 -p udp",
            "conntrack -D --orig-dst 203.0.113.7 -p udp",
            "conntrack -D -p udp --dport 30777",
        ]
    );
}

#[test]
fn an_old_kube_proxy_forgets_the_cluster_ip_of_a_service_that_went() {
    let gone = Change::DeleteService(("default".to_owned(), "game".to_owned()));
    let cleanup = after(Version::V1_30, &["1"], |proxy| proxy.apply(gone));
    assert_eq!(commands(&cleanup), ["conntrack -D --orig-dst 10.96.0.7 -p udp"]);
}

#[test]
fn nothing_is_done_when_nothing_went() {
    for version in [Version::V1_30, Version::V1_35] {
        assert_eq!(after(version, &["1"], |_| {}), Cleanup::Nothing);
    }
    let more = after(Version::V1_30, &["1"], |proxy| apply(proxy, &slice(&["1", "2"])));
    assert_eq!(more, Cleanup::Nothing);
}

fn entry(to: &str, from: &str, protocol: Protocol) -> ConntrackEntry {
    let socket = |text: &str| {
        let socket: std::net::SocketAddr = text.parse().unwrap();
        (socket.ip(), socket.port())
    };
    ConntrackEntry { protocol: Some(protocol), original_dst: socket(to), reply_src: socket(from) }
}

/// Since 1.32 each entry is held against the serving endpoints.
#[test]
fn which_entries_a_new_kube_proxy_deletes() {
    use Protocol::{Tcp, Udp};
    let cleanup = after(Version::V1_35, &["1", "2", "3"], |proxy| apply(proxy, &slice(&["2", "3!", "4-"])));
    for (to, from, protocol, goes) in [
        ("10.96.0.7:7777", "10.244.1.1:7777", Udp, true),
        ("10.96.0.7:7777", "10.244.1.2:7777", Udp, false),
        // It is about to end, but it answers.
        ("10.96.0.7:7777", "10.244.1.3:7777", Udp, false),
        ("10.96.0.7:7777", "10.244.1.4:7777", Udp, true),
        // Only the address is compared.
        ("10.96.0.7:7777", "10.244.1.2:1", Udp, false),
        ("203.0.113.7:7777", "10.244.1.1:7777", Udp, true),
        ("198.51.100.7:7777", "10.244.1.1:7777", Udp, true),
        ("192.168.0.2:30777", "10.244.1.1:7777", Udp, true),
        // Whatever address has this port.
        ("8.8.8.8:30777", "8.8.8.8:30777", Udp, true),
        // It was refused or dropped, and leads nowhere.
        ("10.96.0.7:7777", "10.96.0.7:7777", Udp, true),
        ("10.96.0.7:7778", "10.244.1.1:7777", Udp, false),
        ("10.96.0.8:7777", "10.244.1.1:7777", Udp, false),
        ("10.96.0.7:7777", "10.244.1.1:7777", Tcp, false),
    ] {
        assert_eq!(cleanup.deletes(&entry(to, from, protocol)), goes, "{to} {from} {protocol}");
    }
}

#[test]
fn a_service_without_serving_endpoints_is_left_alone() {
    let cleanup = after(Version::V1_35, &["1"], |proxy| apply(proxy, &slice(&["1-"])));
    assert!(!cleanup.deletes(&entry("10.96.0.7:7777", "10.244.1.1:7777", Protocol::Udp)), "{cleanup:?}");
    let cleanup = after(Version::V1_30, &["1"], |proxy| apply(proxy, &slice(&["1-"])));
    assert!(cleanup.deletes(&entry("10.96.0.7:7777", "10.244.1.1:7777", Protocol::Udp)), "{cleanup:?}");
}

#[test]
fn commands_delete_what_conntrack_would() {
    let cleanup = after(Version::V1_30, &["1", "2"], |proxy| apply(proxy, &slice(&["2"])));
    for (to, from, goes) in [
        ("10.96.0.7:7777", "10.244.1.1:7777", true),
        // conntrack is not told the port.
        ("10.96.0.7:53", "10.244.1.1:53", true),
        ("10.96.0.7:7777", "10.244.1.2:7777", false),
        ("192.168.0.2:30777", "10.244.1.1:7777", true),
        ("192.168.0.2:30778", "10.244.1.1:7777", false),
        // Not translated.
        ("10.244.1.1:30777", "10.244.1.1:30777", false),
    ] {
        assert_eq!(cleanup.deletes(&entry(to, from, Protocol::Udp)), goes, "{to} {from}");
    }
}
