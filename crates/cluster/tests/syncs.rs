//! What one sync leaves for the next.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cluster::kube_proxy::{Case, Config, Family, IptablesState, Version, iptables};
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
    assert_eq!(files.len(), 10);
    assert!(files[0].text.contains("has no endpoints") && !files[5].text.contains("has no endpoints"));
    assert_eq!(files[5].path, "step2/iptables.txt");
    let e = Case::read(&format!("{text}---\nkind: Delete\nservice: default/web\n")).unwrap_err();
    assert_eq!((e.line, e.column, e.token.as_str()), (11, 10, "default/web"));
}
