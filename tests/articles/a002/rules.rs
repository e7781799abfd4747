//! The rules of kube-proxy and of the bridge plugin on the workers.

use super::{KTHW, TMP2, case, probes, run};
use crate::{Loaded, shell};
use cluster::cni;
use cluster::kube_proxy::{endpoint_chain, service_chain};
use kernel::netfilter::xtables::TableId;
use kernel::netfilter::xtables::matches::{Match, StatisticMode};
use packet::TcpFlags;
use std::net::Ipv4Addr;
use workshop::query;

// ---------------------------------------------------------------------- rules

/// In KUBE-SERVICES a mark for what is no pod's stands before each Service's jump; the jump to KUBE-NODEPORTS is last.
#[test]
fn a_mark_stands_before_each_service() {
    let rules = Loaded::new(&case("1.17", KTHW)).rules("KUBE-SERVICES");
    let (last, services) = rules.split_last().unwrap();
    assert_eq!(services.len(), 2 * 8);
    for pair in services.chunks(2) {
        let [mark, jump] = pair else { panic!("{pair:?}") };
        assert!(mark.contains(" ! -s 10.200.0.0/16 ") && mark.ends_with("-j KUBE-MARK-MASQ"), "{mark}");
        assert!(jump.contains("-j KUBE-SVC-"), "{jump}");
    }
    assert!(last.ends_with("-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"), "{last}");
}

/// The chains that the article lists, for 10.32.0.101:80 and for the three ports of 10.32.0.10.
#[test]
fn the_listing_of_kube_services_has_the_articles_chains() {
    let list = Loaded::new(&case("1.17", KTHW)).list("KUBE-SERVICES");
    for (chain, rest) in [
        (
            "KUBE-SVC-NPX46M4PTMTKRN6Y",
            "tcp -- anywhere 10.32.0.1 /* default/kubernetes:https cluster IP */ tcp dpt:https",
        ),
        (
            "KUBE-SVC-253L2MOZ6TC5FE7P",
            "tcp -- anywhere 10.32.0.101 /* default/nginx1: cluster IP */ tcp dpt:http",
        ),
        (
            "KUBE-SVC-TCOU7JCQXEZGVUNU",
            "udp -- anywhere 10.32.0.10 /* kube-system/kube-dns:dns cluster IP */ udp dpt:domain",
        ),
        (
            "KUBE-SVC-ERIFXISQEP7F7OF4",
            "tcp -- anywhere 10.32.0.10 /* kube-system/kube-dns:dns-tcp cluster IP */ tcp dpt:domain",
        ),
        (
            "KUBE-SVC-JD5MR3NA4I4DYORP",
            "tcp -- anywhere 10.32.0.10 /* kube-system/kube-dns:metrics cluster IP */ tcp dpt:9153",
        ),
    ] {
        assert!(list.contains(&format!("{chain} {rest}")), "{chain}: {list:#?}");
        let mark = format!("KUBE-MARK-MASQ {}", rest.replace("anywhere", "!10.200.0.0/16"));
        assert!(list.contains(&mark), "{mark}: {list:#?}");
    }
}

/// The node ports are 32100, 32101, 32102, and nginx's 32359.
#[test]
fn the_node_ports_are_the_articles() {
    let rules = Loaded::new(&case("1.17", KTHW)).rules("KUBE-NODEPORTS");
    let mut ports: Vec<&str> = rules
        .iter()
        .filter(|r| r.contains("-j KUBE-SVC-"))
        .map(|r| r.split("--dport ").nth(1).unwrap().split(' ').next().unwrap())
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, ["32100", "32101", "32102", "32359"]);
}

/// The API server's chain splits three ways: 0.33332999982, 0.50000000000, and the rest.
#[test]
fn the_api_servers_connections_are_split_in_three() {
    let list = Loaded::new(&case("1.10", KTHW)).list("KUBE-SVC-NPX46M4PTMTKRN6Y");
    let ends: Vec<Option<&str>> = list[1..].iter().map(|l| l.split("probability ").nth(1)).collect();
    assert_eq!(ends, [Some("0.33332999982"), Some("0.50000000000"), None]);
}

/// ... because that kube-proxy printed 0.33333, which the kernel holds as 715820724 of 2^31. Newer ones print ten digits.
#[test]
fn a_third_is_715820724_of_2_31_or_a_little_more() {
    for (version, stored, printed) in
        [("1.10", 715_820_724, "0.33332999982"), ("1.17", 715_827_883, "0.33333333349")]
    {
        let mut loaded = Loaded::new(&case(version, KTHW));
        let rules = loaded.rules("KUBE-SVC-NPX46M4PTMTKRN6Y");
        assert!(rules[0].contains(&format!("--probability {printed} ")), "{rules:?}");
        let nat = &loaded.0.0.iter().find(|(t, _)| *t == TableId::Nat).unwrap().1.rules;
        let chain = nat.chains.iter().find(|c| &*c.name == "KUBE-SVC-NPX46M4PTMTKRN6Y").unwrap();
        let mode = chain.rules[0].matches.iter().find_map(|m| match m {
            Match::Statistic(s) => Some(s.mode),
            _ => None,
        });
        assert_eq!(mode, Some(StatisticMode::Random(stored)), "{version}");
    }
}

/// Its endpoints are 10.240.0.10, .11 and .12, port 6443: the article's three chains have their hashes.
#[test]
fn the_api_servers_chains_belong_to_the_controllers() {
    let list = Loaded::new(&case("1.17", KTHW)).list("KUBE-SVC-NPX46M4PTMTKRN6Y");
    let chains: Vec<&str> = list[1..].iter().map(|l| l.split(' ').next().unwrap()).collect();
    let computed = [10, 11, 12]
        .map(|n| endpoint_chain("default/kubernetes:https", "tcp", &format!("10.240.0.{n}:6443")));
    assert_eq!(chains, computed);
    for article in ["KUBE-SEP-HFMBYHW5FO36NATD", "KUBE-SEP-E6U6KEZPQBWVNUQ2", "KUBE-SEP-WRZKKJS6MWEUDTA4"] {
        assert!(chains.contains(&article), "{article}: {chains:?}");
    }
}

/// nginx0's chains at the time of the listing, when its pod was 10.200.0.52.
#[test]
fn the_chains_of_nginx0_are_the_articles() {
    let mut loaded = Loaded::new(&case("1.17", &KTHW.replace("10.200.0.49", "10.200.0.52")));
    assert_eq!(
        loaded.list("KUBE-SVC-SJ5YE6C53UPXD73I"),
        [
            "Chain KUBE-SVC-SJ5YE6C53UPXD73I (2 references)",
            "KUBE-SEP-4QSDQJ2XGBM3KIR7 all -- anywhere anywhere"
        ]
    );
    assert_eq!(
        loaded.list("KUBE-SEP-4QSDQJ2XGBM3KIR7"),
        [
            "Chain KUBE-SEP-4QSDQJ2XGBM3KIR7 (1 references)",
            "KUBE-MARK-MASQ all -- 10.200.0.52 anywhere",
            "DNAT tcp -- anywhere anywhere tcp to:10.200.0.52:80",
        ]
    );
}

/// The logged chains, which are cut, are those of default/nginx and its endpoint 10.200.0.44:80.
#[test]
fn the_logged_chains_belong_to_nginx() {
    assert!(service_chain("default/nginx:", "tcp").starts_with("KUBE-SVC-4N57TFCL4MD7Z"));
    assert!(endpoint_chain("default/nginx:", "tcp", "10.200.0.44:80").starts_with("KUBE-SEP-XB5L7FWMKIQFX"));
}

// ---------------------------------------------------------------------- the bridge plugin's chains

/// nat POSTROUTING leads each pod's packets to a chain of its own, named by 24 digits of a hash; it accepts what stays in the
/// node's pod network and masquerades the rest.
#[test]
fn each_pod_has_a_chain_of_the_bridge_plugin() {
    let run = run(false, Vec::new());
    let id = cni::container_id("default", "tmp0");
    let chain = cni::chain_name("bridge", &id);
    let comment = format!(r#"-m comment --comment "name: \"bridge\" id: \"{id}\"""#);
    let rules = shell(&run, "worker-0", "iptables -t nat -S POSTROUTING");
    assert!(rules[1].ends_with("-j KUBE-POSTROUTING"), "{rules:?}");
    assert_eq!(rules.len(), 2 + 3, "kube-proxy's jump and three pods: {rules:?}");
    assert!(rules.contains(&format!("-A POSTROUTING -s 10.200.0.50/32 {comment} -j {chain}")), "{rules:?}");
    assert_eq!(
        shell(&run, "worker-0", &format!("iptables -t nat -S {chain}"))[1..],
        [
            format!("-A {chain} -d 10.200.0.0/24 {comment} -j ACCEPT"),
            format!("-A {chain} ! -d 224.0.0.0/4 {comment} -j MASQUERADE"),
        ]
    );
    let digits = chain.strip_prefix("CNI-").unwrap();
    assert!(digits.len() == 24 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{chain}");
}

/// A pod on another worker sees the node; a pod on the same worker sees the pod.
#[test]
fn only_what_leaves_the_node_is_masqueraded() {
    let run = run(false, probes());
    let seen = |pod: &str| {
        let segments = query::segments(&run, pod);
        segments.iter().find(|c| query::flags_are(c.tcp, &[TcpFlags::SYN])).unwrap().ip.src_v4().unwrap()
    };
    assert_eq!(seen("nginx1"), Ipv4Addr::new(10, 240, 0, 22));
    assert_eq!(seen("nginx2"), TMP2);
}

/// "an example of Kubernetes API server traffic being split three ways", in the lab too: the chains are the article's; its kube-proxy
/// wrote five decimals (0.33332999982), newer ones ten.
#[test]
fn the_labs_api_server_has_the_articles_three_chains() {
    let list = crate::shell(&super::lab("off"), "worker-2", "iptables -t nat -S KUBE-SVC-NPX46M4PTMTKRN6Y");
    let jumps: Vec<&str> = list.iter().filter_map(|l| l.split_once(" -j ")).map(|(_, to)| to).collect();
    assert_eq!(
        jumps,
        ["KUBE-SEP-HFMBYHW5FO36NATD", "KUBE-SEP-E6U6KEZPQBWVNUQ2", "KUBE-SEP-WRZKKJS6MWEUDTA4"]
    );
    for (line, probability) in list[1..].iter().zip(["0.33333333349", "0.50000000000"]) {
        assert!(line.contains(&format!("--mode random --probability {probability} ")), "{line}");
    }
}
