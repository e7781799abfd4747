//! However a cluster came to be what it is, the rules are those of a kube-proxy that sees it for the first time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::Object;
use cluster::kube_proxy::{Change, Config, Family, KubeProxy, Mode, Ruleset, SyncText, Version};
use cluster::read_objects;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeMap;

/// A Service of the test: few addresses and ports, so that Services get into each other's way.
fn service(name: u8, shape: u32) -> String {
    let pick = |at: u32, n: u32| shape / at % n;
    let kind = ["ClusterIP", "NodePort", "LoadBalancer"][pick(1, 3) as usize];
    let mut text = format!(
        "kind: Service\nmetadata: {{name: s{name}}}\nspec:\n  type: {kind}\n  clusterIP: 10.96.0.{}\n",
        1 + pick(3, 3)
    );
    for (at, field) in [
        (9, "  externalTrafficPolicy: Local\n"),
        (18, "  internalTrafficPolicy: Local\n"),
        (36, "  sessionAffinity: ClientIP\n"),
        (72, "  externalIPs: [203.0.113.9]\n"),
        (144, "  loadBalancerSourceRanges: [192.168.0.0/16, 198.51.100.0/24]\n"),
    ] {
        if pick(at, 2) == 1 {
            text += field;
        }
    }
    let protocol = ["TCP", "UDP"][pick(288, 2) as usize];
    let node_port = if kind == "ClusterIP" { 0 } else { 30_000 + pick(576, 2) };
    text += &format!("  ports: [{{name: p, port: 80, protocol: {protocol}, nodePort: {node_port}}}");
    if pick(1152, 2) == 1 {
        text += ", {name: q, port: 81}";
    }
    text += "]\n";
    if kind == "LoadBalancer" {
        text += &format!("status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.{}}}]}}}}\n", pick(2304, 2));
    }
    text
}

fn slice(service: u8, part: u8, shape: u32) -> String {
    let protocol = ["TCP", "UDP"][(shape / 64 % 2) as usize];
    let mut text = format!(
        "kind: EndpointSlice\nmetadata: {{name: s{service}-{part}, labels: {{kubernetes.io/service-name: s{service}}}}}\n\
         addressType: IPv4\nports: [{{name: p, port: 8080, protocol: {protocol}}}, {{name: q, port: 8081}}]\nendpoints:\n"
    );
    for i in 0..3u32 {
        match shape / 4u32.pow(i) % 4 {
            0 => {}
            n => {
                text += &format!(
                    "- {{addresses: [10.244.1.{i}], nodeName: node{}, conditions: {{ready: {}}}}}\n",
                    n % 2 + 1,
                    n != 3
                );
            }
        }
    }
    if !text.contains("- {") {
        text = text.replace("endpoints:\n", "endpoints: []\n");
    }
    text
}

#[derive(Clone, Debug)]
enum Step {
    Service(u8, u32),
    Slice(u8, u8, u32),
    DeleteService(u8),
    DeleteSlice(u8, u8),
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3u8, any::<u16>()).prop_map(|(n, shape)| Step::Service(n, shape.into())),
        3 => (0..3u8, 0..2u8, any::<u8>()).prop_map(|(n, part, shape)| Step::Slice(n, part, shape.into())),
        1 => (0..3u8).prop_map(Step::DeleteService),
        1 => (0..3u8, 0..2u8).prop_map(|(n, part)| Step::DeleteSlice(n, part)),
        3 => Just(Step::Sync),
    ];
    proptest::collection::vec(step, 1..24)
}

/// The change, and what the API server knows after it.
fn change(step: &Step, known: &mut BTreeMap<String, Object>) -> Option<Change> {
    let key = |name: &str| ("default".to_owned(), name.to_owned());
    let text = match step {
        Step::Service(n, shape) => service(*n, *shape),
        Step::Slice(n, part, shape) => slice(*n, *part, *shape),
        Step::DeleteService(n) => {
            let name = format!("s{n}");
            return known.remove(&name).map(|_| Change::DeleteService(key(&name)));
        }
        Step::DeleteSlice(n, part) => {
            let name = format!("s{n}-{part}");
            return known.remove(&name).map(|_| Change::DeleteEndpointSlice(key(&name)));
        }
        Step::Sync => return None,
    };
    let object = read_objects(&text).unwrap_or_else(|e| panic!("{e}\n{text}")).remove(0);
    let name = match &object {
        Object::Service(s) => s.metadata.name.clone(),
        Object::EndpointSlice(s) => s.metadata.name.clone(),
        _ => unreachable!(),
    };
    known.insert(name, object.clone());
    Some(Change::Apply(Box::new(object)))
}

fn sync(proxy: &mut KubeProxy, rules: &mut Ruleset) -> SyncText {
    let text = proxy.sync().remove(0).text;
    rules.apply(&text);
    text
}

/// Places and lines, without chains that wait for their deletion, and without the comments of elements: of two Services that
/// are refused at one address, the first to come is named.
fn seen(rules: &Ruleset) -> Vec<(String, Vec<String>)> {
    let waits = |place: &str, lines: &[String]| {
        place.contains('/') && lines.is_empty() && place.starts_with("chain ")
    };
    let line = |line: &String| match line.split_once(" comment \"default/") {
        Some((key, rest)) => [key, rest.split_once('"').map_or("", |(_, verdict)| verdict)].concat(),
        None => line.clone(),
    };
    let all = rules.places().filter(|(place, lines)| !waits(place, lines));
    all.map(|(place, lines)| (place.to_owned(), lines.iter().map(line).collect())).collect()
}

fn fresh(version: Version, mode: Mode, known: &BTreeMap<String, Object>) -> Ruleset {
    let mut proxy = KubeProxy::new(Config { version, ..Config::default() }, Vec::new(), mode).unwrap();
    for object in known.values() {
        proxy.apply(Change::Apply(Box::new(object.clone())));
    }
    let mut rules = Ruleset::default();
    sync(&mut proxy, &mut rules);
    rules
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn small_syncs_lead_to_the_same(steps in steps(), which in 0..6usize) {
        let (version, mode) = [
            (Version::V1_35, Mode::Iptables),
            (Version::V1_35, Mode::Nftables),
            (Version::V1_35, Mode::Ipvs),
            (Version::V1_30, Mode::Iptables),
            (Version::V1_25, Mode::Iptables),
            (Version::V1_17, Mode::Iptables),
        ][which];
        let config = Config { version, ..Config::default() };
        let mut proxy = KubeProxy::new(config, Vec::new(), mode).unwrap();
        let (mut known, mut rules) = (BTreeMap::new(), Ruleset::default());
        for step in steps.iter().chain([&Step::Sync]) {
            if let Some(change) = change(step, &mut known) {
                proxy.apply(change);
            }
            if matches!(step, Step::Sync) {
                sync(&mut proxy, &mut rules);
                let fresh = fresh(version, mode, &known);
                prop_assert_eq!(seen(&rules), seen(&fresh), "{} {}", mode, version);
                for (_, table) in proxy.nft_tables() {
                    let mut printed = Ruleset::default();
                    printed.nft(&table);
                    prop_assert_eq!(seen(&printed), seen(&rules));
                }
                for (_, text) in proxy.ipvs_texts() {
                    let mut printed = Ruleset::default();
                    printed.apply(&SyncText::Ipvs(text));
                    prop_assert_eq!(seen(&printed), seen(&rules));
                }
            }
        }
    }

    /// Somebody takes away a rule or an element here and there; a full sync brings them back.
    #[test]
    fn a_resync_overwrites_what_was_done_by_hand(steps in steps(), cuts in proptest::collection::vec(any::<u16>(), 1..5), nft: bool) {
        let mode = if nft { Mode::Nftables } else { Mode::Iptables };
        let mut proxy = KubeProxy::new(Config::default(), Vec::new(), mode).unwrap();
        let (mut known, mut rules) = (BTreeMap::new(), Ruleset::default());
        for step in &steps {
            if let Some(change) = change(step, &mut known) {
                proxy.apply(change);
            }
        }
        sync(&mut proxy, &mut rules);
        let whole = seen(&rules);
        let mut edited = by_hand(&rules, &cuts);
        proxy.resync_over([(Family::V4, &edited)]);
        sync(&mut proxy, &mut edited);
        prop_assert_eq!(seen(&edited), whole.clone());
        // And what it then believes to be there is there.
        proxy.resync();
        sync(&mut proxy, &mut edited);
        prop_assert_eq!(seen(&edited), whole);
    }
}

/// The rules with some lines less, and with a chain and an element more.
fn by_hand(rules: &Ruleset, cuts: &[u16]) -> Ruleset {
    let nft = rules.places().any(|(place, _)| place.starts_with("chain "));
    let count: usize = rules.places().map(|(_, lines)| lines.len()).sum();
    let gone: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut) % count).collect();
    let mut text = String::new();
    let mut at = 0;
    for (place, lines) in rules.places() {
        let (table, name) = place.split_once(' ').unwrap();
        let kept: Vec<&String> =
            lines.iter().enumerate().filter(|(i, _)| !gone.contains(&(at + i))).map(|(_, l)| l).collect();
        at += lines.len();
        match (nft, table) {
            (true, "chain") => {
                text += &format!("add chain ip kube-proxy {name}\n");
                kept.iter().for_each(|l| text += &format!("add rule ip kube-proxy {name} {l}\n"));
            }
            (true, _) => {
                text += &format!("add set ip kube-proxy {name}\n");
                kept.iter().for_each(|l| text += &format!("add element ip kube-proxy {name} {{ {l} }}\n"));
            }
            _ => {
                text += &format!("*{table}\n:{name} - [0:0]\n");
                kept.iter().for_each(|l| text += &format!("-A {name} {l}\n"));
            }
        }
    }
    let mut edited = Ruleset::default();
    if nft {
        edited.nft(&text);
        edited.nft("add chain ip kube-proxy service-AAAAAAAA-x/y/tcp/z\nadd rule ip kube-proxy service-AAAAAAAA-x/y/tcp/z drop\n\
                    add element ip kube-proxy cluster-ips { 192.0.2.1 }\nadd set ip kube-proxy affinity-x/y\n");
    } else {
        edited.restore(&text);
        edited.restore("*nat\n:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]\n-A KUBE-SVC-AAAAAAAAAAAAAAAA -j RETURN\n");
    }
    edited
}
