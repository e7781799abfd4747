//! What one sync leaves for the next.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Change, Config, KubeProxy, Mode, SyncText, Version};
use cluster::read_objects;

fn objects(endpoints: usize) -> Vec<Change> {
    let mut text =
        "kind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n---\n\
                    kind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n\
                    addressType: IPv4\nports: [{port: 8080}]\nendpoints:\n"
            .to_owned();
    for i in 0..endpoints {
        text += &format!("- addresses: [10.1.{}.{}]\n", i / 250, i % 250);
    }
    let objects = read_objects(&text).unwrap();
    objects.into_iter().map(|o| Change::Apply(Box::new(o))).collect()
}

fn proxy(config: Config) -> KubeProxy {
    KubeProxy::new(config, Vec::new(), Mode::Iptables).unwrap()
}

/// The text of the sync after some changes.
fn sync(proxy: &mut KubeProxy, changes: Vec<Change>) -> String {
    changes.into_iter().for_each(|change| proxy.apply(change));
    match proxy.sync().remove(0).text {
        SyncText::Iptables(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn chains_of_an_earlier_kube_proxy_go() {
    let before = ["KUBE-SVC-AAAAAAAAAAAAAAAA", "KUBE-SEP-BBBBBBBBBBBBBBBB", "CNI-1234", "KUBE-MARK-DROP"];
    let mut proxy = proxy(Config::default()).with_chains(before);
    let text = sync(&mut proxy, objects(1));
    for line in
        [":KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]", "-X KUBE-SEP-BBBBBBBBBBBBBBBB", "-X KUBE-SVC-AAAAAAAAAAAAAAAA"]
    {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(!text.contains("CNI") && !text.contains("MARK-DROP"), "{text}");
    assert_eq!(proxy.chains().len(), 2);
    let text = sync(&mut proxy, objects(1));
    assert!(!text.contains("-X "), "{text}");
}

#[test]
fn only_what_changed_is_written_again() {
    let mut new = proxy(Config::default());
    let first = sync(&mut new, objects(2));
    let second = sync(&mut new, objects(2));
    assert!(first.contains(":KUBE-SVC-") && !second.contains(":KUBE-SVC-"), "{second}");
    assert!(second.contains("-j KUBE-SVC-"), "{second}");
    let third = sync(&mut new, objects(1));
    assert!(third.contains(":KUBE-SVC-") && third.contains("-X KUBE-SEP-"), "{third}");
}

#[test]
fn a_resync_writes_everything() {
    let mut new = proxy(Config::default());
    let first = sync(&mut new, objects(2));
    new.resync();
    assert_eq!(sync(&mut new, Vec::new()), first);
    assert_ne!(sync(&mut new, Vec::new()), first);
}

#[test]
fn before_1_26_every_sync_writes_everything() {
    let mut old = proxy(Config { version: Version::V1_25, ..Config::default() });
    let first = sync(&mut old, objects(1));
    let second = sync(&mut old, objects(1));
    assert!(first == second && second.contains(":KUBE-SVC-"), "{second}");
}

#[test]
fn a_large_cluster_keeps_stale_chains_for_a_while() {
    let mut proxy = proxy(Config::default());
    let first = sync(&mut proxy, objects(1002));
    assert!(!first.contains(" -> "));
    let second = sync(&mut proxy, objects(1001));
    assert!(!second.contains("-X "));
    let third = sync(&mut proxy, objects(1000));
    assert_eq!(third.matches("-X KUBE-SEP-").count(), 2);
    assert!(third.contains(" -> "));
}

#[test]
fn deletion_needs_an_object() {
    let text = "kind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n---\n\
                kind: Step\n---\nkind: Delete\nservice: default/web\n";
    let files = Case::read(text).unwrap().record(None).unwrap();
    assert_eq!(files.len(), 14);
    assert!(files[0].text.contains("has no endpoints") && !files[7].text.contains("has no endpoints"));
    assert_eq!(files[7].path, "step2/iptables.txt");
    let e = Case::read(&format!("{text}---\nkind: Delete\nservice: default/web\n")).unwrap_err();
    assert_eq!((e.line, e.column, e.token.as_str()), (11, 10, "default/web"));
}

/// The tables after each sync, in mode nftables.
fn tables(text: &str) -> Vec<String> {
    let files = Case::read(text).unwrap().record(Some(Mode::Nftables)).unwrap();
    files.into_iter().filter(|f| f.path.ends_with("nftables.txt")).map(|f| f.text).collect()
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
