//! 002: a pod calls a Service whose endpoint is on its own node (Kubernetes the Hard Way, kube-proxy of 2020, bridge plugin).
//!
//! The cluster is made from `kthw.yaml`; the captures are those of the lab same-node-clusterip, which has the article's MACs.

use crate::{Loaded, command, http, outcome, shell, words};
use cluster::cni;
use cluster::kube_proxy::{Case, Mode, Version, endpoint_chain, service_chain};
use kernel::netfilter::xtables::TableId;
use kernel::netfilter::xtables::matches::Match;
use kernel::netfilter::xtables::matches::StatisticMode;
use kernel::{Era, Modules};
use packet::{Mac, TcpFlags};
use sim::apps::UdpReply;
use sim::view::CaptureLine;
use sim::{LinkSpec, Outcome, Run, Scenario, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::net::Ipv4Addr;
use workshop::kube::{self, Cni, Kube};
use workshop::{Setting, query};

const KTHW: &str = include_str!("../data/articles/kthw.yaml");
const NGINX: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 23);
const TMP0: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 50);
const TMP2: Ipv4Addr = Ipv4Addr::new(10, 200, 2, 63);
const DNS: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 10);

/// The cluster, on a kernel of its time, with nginx and a DNS server in the pods that are called so.
fn scenario(br_netfilter: bool, stimuli: Vec<Stimulus>) -> Scenario {
    let kube = Kube {
        objects: kube::objects(KTHW).unwrap(),
        mode: Mode::Iptables,
        version: Version::V1_17,
        era: Era::V4_19,
        modules: Modules { br_netfilter, ..Modules::default() },
        cni: Cni::Bridge,
        cluster_cidr: "10.200.0.0/16".parse().ok(),
        nat_outgoing: true,
        hairpin: false,
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

// ---------------------------------------------------------------------- captures

/// What `tcpdump -i any -nn -e port 80` shows on a box.
fn tcpdump(run: &Run, host: &str) -> Vec<CaptureLine> {
    let id = run.world.host_by_name(host).unwrap();
    let lines = sim::view::capture(&run.world).into_iter();
    lines.filter(|l| l.host == id && (l.text.contains(".80 > ") || l.text.contains(".80: "))).collect()
}

/// MAC address, `SRC > DST`, and flags.
fn parts(line: &CaptureLine) -> (&str, String, &str) {
    let words: Vec<&str> = line.text.split(' ').collect();
    let at = words.iter().position(|w| *w == ">").unwrap();
    let flags = words.iter().position(|w| *w == "Flags").unwrap();
    let flow = format!("{} > {}", words[at - 1], words[at + 1].trim_end_matches(':'));
    (words[2], flow, words[flags + 1].trim_end_matches(','))
}

fn call() -> Vec<Stimulus> {
    vec![http("tmp2", (TMP2, 58_096), (Ipv4Addr::new(10, 32, 0, 102), 80))]
}

/// Seven lines: the SYN to the cluster IP twice and to the pod twice, the SYN-ACK from the pod's IP twice, the client's RST. (The
/// article's listing ends there; the RST too goes on to the pod.)
#[test]
fn the_capture_has_the_articles_seven_lines() {
    let run = run(false, call());
    let lines = tcpdump(&run, "worker-2");
    let shown: Vec<(&str, String, &str)> = lines.iter().map(|l| (l.dir, parts(l).1, parts(l).2)).collect();
    let (vip, pod) = ("10.32.0.102.80", "10.200.2.65.80");
    let client = "10.200.2.63.58096";
    let line = |dir, from, to, flags| (dir, format!("{from} > {to}"), flags);
    assert_eq!(
        shown[..8],
        [
            line("P", client, vip, "[S]"),
            line("In", client, vip, "[S]"),
            line("Out", client, pod, "[S]"),
            line("Out", client, pod, "[S]"),
            line("P", pod, client, "[S.]"),
            line("Out", pod, client, "[S.]"),
            line("P", client, pod, "[R]"),
            line("Out", client, pod, "[R]"),
        ]
    );
    assert_eq!(lines[0].time, lines[1].time, "the bridge hands the frame up at once");
}

/// With -e: the client's address on its SYN until the node routes it, then the bridge's; nginx's on the SYN-ACK, also when the
/// bridge sends it on; the client's on the RST.
#[test]
fn the_addresses_are_the_clients_the_bridges_and_nginxs() {
    let run = lab("off");
    let lines = tcpdump(&run, "worker-2");
    let (client, bridge, nginx) = ("9e:d4:7d:ec:b7:6d", "12:e9:35:7a:5b:02", "fa:ce:1c:2d:05:eb");
    let mut seen: Vec<(&str, &str)> = lines.iter().map(|l| (l.dir, parts(l).0)).collect();
    seen.truncate(9);
    // The bridge has forgotten nginx2's port here, so it floods the SYN: two lines more.
    assert_eq!(
        seen,
        [
            ("P", client),
            ("In", client),
            ("Out", bridge),
            ("Out", bridge),
            ("Out", bridge),
            ("Out", bridge),
            ("P", nginx),
            ("Out", nginx),
            ("P", client),
        ]
    );
}

/// A SYN has 60 bytes and a RST 40. tcpdump of that time added 16 bytes of LINUX_SLL (76 and 56), today's adds 20 of LINUX_SLL2.
#[test]
fn a_syn_is_20_bytes_longer_than_a_rst() {
    let lines = tcpdump(&lab("off"), "worker-2");
    let length = |flags: &str| {
        let line = lines.iter().find(|l| parts(l).2 == flags).unwrap();
        line.text.split("length ").nth(1).unwrap().split(':').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!((length("[S]") - 20 + 16, length("[R]") - 20 + 16), (76, 56));
}

/// `P` means that the frame is addressed to another MAC than the port's own: it becomes `In` if the bridge bears the port's.
#[test]
fn the_first_line_is_in_if_the_bridge_has_the_ports_address() {
    let own = Mac([0x12, 0xe9, 0x35, 0x7a, 0x5b, 0x02]);
    let setting = Setting::from_iter([("br_netfilter".to_owned(), "off".to_owned())]);
    let direction = |port: Option<Mac>| {
        let mut scenario = (workshop::lab("same-node-clusterip").unwrap().scenario)(&setting).unwrap();
        for link in &mut scenario.links {
            match link {
                LinkSpec::Veth { a, a_mac, .. } if a.1 == "veth-tmp2" => *a_mac = port,
                _ => {}
            }
        }
        let first = tcpdump(&scenario.run().unwrap(), "worker-2").swap_remove(0);
        (first.dev, first.dir)
    };
    assert_eq!(direction(None), ("veth-tmp2".to_owned(), "P"));
    assert_eq!(direction(Some(own)), ("veth-tmp2".to_owned(), "In"));
}

/// `ip a s` tells whose address is whose; cnio0 has 10.200.2.1/24 and an mtu of 1500.
#[test]
fn ip_addr_shows_whose_address_it_is() {
    let run = lab("off");
    for (host, dev, mac) in [
        ("worker-2", "cnio0", "12:e9:35:7a:5b:02"),
        ("tmp2", "eth0", "9e:d4:7d:ec:b7:6d"),
        ("nginx2", "eth0", "fa:ce:1c:2d:05:eb"),
    ] {
        let lines = shell(&run, host, &format!("ip a s dev {dev}"));
        assert!(lines[1].starts_with(&format!("    link/ether {mac} brd ")), "{lines:?}");
    }
    let lines = shell(&run, "worker-2", "ip a s dev cnio0");
    assert!(lines[0].contains(" mtu 1500 ") && lines[2].contains("inet 10.200.2.1/24 "), "{lines:?}");
}

/// With br_netfilter no line is `In`. The SYN goes out by the bridge, with the bridge's address, and then by two ports with the
/// client's: the bridge puts it back. The SYN-ACK leaves with the Service's address.
#[test]
fn with_br_netfilter_the_bridge_sends_the_syn_on_and_translates_the_answer() {
    let run = lab("on");
    let lines = tcpdump(&run, "worker-2");
    let (client, bridge, nginx) = ("9e:d4:7d:ec:b7:6d", "12:e9:35:7a:5b:02", "fa:ce:1c:2d:05:eb");
    let flow = |from: &str, to: &str| format!("{from} > {to}");
    let (vip, pod, tmp2) = ("10.32.0.102.80", "10.200.2.65.80", "10.200.2.63.58096");
    let seen: Vec<_> = lines.iter().map(|l| (l.dir, parts(l))).collect();
    assert_eq!(
        seen[..7],
        [
            ("P", (client, flow(tmp2, vip), "[S]")),
            ("Out", (bridge, flow(tmp2, pod), "[S]")),
            ("Out", (client, flow(tmp2, pod), "[S]")),
            ("Out", (client, flow(tmp2, pod), "[S]")),
            ("P", (nginx, flow(pod, tmp2), "[S.]")),
            ("Out", (nginx, flow(vip, tmp2), "[S.]")),
            ("P", (client, flow(tmp2, vip), "[.]")),
        ]
    );
    assert!(lines.iter().all(|l| l.dir != "In"));
    assert_eq!(lines[1].dev, "cnio0");
}

/// The client acknowledges with win 502, nginx the request of 75 bytes with ack 76, win 509.
#[test]
fn with_br_netfilter_the_acknowledgements_are_the_articles() {
    let lines = tcpdump(&lab("on"), "worker-2");
    let has = |from: &str, what: &str| lines.iter().any(|l| l.text.contains(from) && l.text.contains(what));
    assert!(has("10.200.2.63.58096 > 10.32.0.102.80: ", "Flags [.], ack 1, win 502,"));
    assert!(has("10.200.2.65.80 > 10.200.2.63.58096: ", "Flags [.], ack 76, win 509,"));
}

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

// ---------------------------------------------------------------------- LOG in every chain

/// The article's loop: a LOG rule at the head of every chain of every table of worker-0, whose prefix is `EB TABLE CHAIN `.
fn log_everywhere(then: Vec<Stimulus>) -> Vec<Stimulus> {
    let bare = run(false, Vec::new());
    let mut stimuli = Vec::new();
    for table in ["filter", "nat", "mangle", "raw", "security"] {
        let list = shell(&bare, "worker-0", &format!("iptables -t {table} -L"));
        for chain in list.iter().filter_map(|l| l.strip_prefix("Chain ")?.split(' ').next()) {
            let rule = format!(
                "iptables -t {table} -I {chain} -j LOG --log-prefix \"EB {table} {chain} \" --log-tcp-options"
            );
            stimuli.push(command("worker-0", words(&rule)));
        }
    }
    stimuli.extend(then);
    stimuli
}

/// The lines that dmesg shows for SYNs of tmp0 to nginx, without the time stamps; only the first SYN's.
fn logged_syn(run: &Run) -> Vec<String> {
    let lines = shell(run, "worker-0", "dmesg");
    // The node's ICMP redirect quotes the SYN; on the article's machines redirects are off.
    let of_syn =
        lines.iter().filter(|l| l.contains("SPT=50100 ") && l.contains(" SYN ") && !l.contains("PROTO=ICMP"));
    let mut texts: Vec<String> = of_syn.map(|l| l.split_once("] ").unwrap().1.to_owned()).collect();
    let first = "EB raw PREROUTING";
    let again = texts.iter().skip(1).position(|t| t.starts_with(first));
    texts.truncate(again.map_or(texts.len(), |n| n + 1));
    texts
}

fn curl_nginx() -> Vec<Stimulus> {
    vec![http("tmp0", (TMP0, 50_100), (NGINX, 80))]
}

/// The fifteen lines in the article's order. A prefix ends after 29 characters: chains with long names lose their end, and
/// `IN=` follows at once. In POSTROUTING kernels before 5.7 know no input device.
#[test]
fn a_log_in_every_chain_shows_the_articles_fifteen_lines() {
    let lines = logged_syn(&run(false, log_everywhere(curl_nginx())));
    let cni = cni::chain_name("bridge", &cni::container_id("default", "tmp0"));
    let cni = format!("EB nat {}IN= OUT=cnio0 ", &cni[..22]);
    let expected = [
        "EB raw PREROUTING IN=cnio0 OUT= ",
        "EB mangle PREROUTING IN=cnio0 OUT= ",
        "EB nat PREROUTING IN=cnio0 OUT= ",
        "EB nat KUBE-SERVICES IN=cnio0 OUT= ",
        "EB nat KUBE-SVC-4N57TFCL4MD7ZIN=cnio0 OUT= ",
        "EB nat KUBE-SEP-XB5L7FWMKIQFXIN=cnio0 OUT= ",
        "EB mangle FORWARD IN=cnio0 OUT=cnio0 ",
        "EB filter FORWARD IN=cnio0 OUT=cnio0 ",
        "EB filter KUBE-FORWARD IN=cnio0 OUT=cnio0 ",
        "EB filter KUBE-SERVICES IN=cnio0 OUT=cnio0 ",
        "EB security FORWARD IN=cnio0 OUT=cnio0 ",
        "EB mangle POSTROUTING IN= OUT=cnio0 ",
        "EB nat POSTROUTING IN= OUT=cnio0 ",
        "EB nat KUBE-POSTROUTING IN= OUT=cnio0 ",
        cni.as_str(),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, begin) in lines.iter().zip(expected) {
        assert!(line.starts_with(begin), "{line}\n{begin}");
    }
}

/// A line as nf_log_syslog.c prints it, with the options of the segment in hexadecimal.
#[test]
fn a_logged_line_names_addresses_ports_and_options() {
    let run = run(false, log_everywhere(curl_nginx()));
    let line = &logged_syn(&run)[0];
    let stamped = shell(&run, "worker-0", "dmesg").into_iter().find(|l| l.ends_with(line)).unwrap();
    let (stamp, _) = stamped.split_once("] ").unwrap();
    assert!(stamp.len() == 13 && stamp.starts_with("[    ") && &stamp[6..7] == ".", "{stamped}");
    assert!(line.contains(" SRC=10.200.0.50 DST=10.32.0.23 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID="), "{line}");
    assert!(
        line.contains(
            " DF PROTO=TCP SPT=50100 DPT=80 WINDOW=64240 RES=0x00 SYN URGP=0 OPT (020405B40402080A"
        ),
        "{line}"
    );
}

/// The same with br_netfilter: the ports of the bridge are named, and POSTROUTING has no input device.
#[test]
fn with_br_netfilter_the_ports_are_named_and_postrouting_has_no_input() {
    let lines = logged_syn(&run(true, log_everywhere(curl_nginx())));
    let of = |begin: &str| lines.iter().find(|l| l.starts_with(begin)).unwrap();
    assert!(of("EB mangle PREROUTING ").contains(" IN=cnio0 OUT= PHYSIN=veth-tmp0 "));
    assert!(of("EB mangle FORWARD ").contains(" IN=cnio0 OUT=cnio0 PHYSIN=veth-tmp0 PHYSOUT=veth-nginx "));
    assert!(of("EB nat POSTROUTING ").contains(" IN= OUT=cnio0 PHYSIN=veth-tmp0 PHYSOUT=veth-nginx "));
}

/// The answer's own lines, which the article's list leaves out: no table nat, as its entry is known.
#[test]
fn with_br_netfilter_the_answer_meets_every_table_but_nat() {
    let run = lab("on");
    let answer = query::first_segment(&run, "worker-2", &[TcpFlags::SYN, TcpFlags::ACK]).unwrap();
    let chains: Vec<String> = query::chains_entered(&run, "worker-2", answer)
        .into_iter()
        .map(|(table, chain)| format!("{table} {chain}"))
        .collect();
    // KUBE-FORWARD accepts it as ESTABLISHED, so filter has no more chain for it.
    assert_eq!(
        chains,
        [
            "raw PREROUTING",
            "mangle PREROUTING",
            "mangle FORWARD",
            "filter FORWARD",
            "filter KUBE-FORWARD",
            "security FORWARD",
            "mangle POSTROUTING",
        ]
    );
}

/// kube-proxy overwrites what is inserted into its chains; what is inserted into the kernel's stays.
#[test]
fn a_sync_of_kube_proxy_removes_rules_from_its_chains_only() {
    let yaml = case("1.17", KTHW);
    let mut loaded = Loaded::new(&yaml);
    let svc = service_chain("default/nginx:", "tcp");
    let chains = ["PREROUTING", "KUBE-SERVICES", svc.as_str(), "KUBE-POSTROUTING"];
    for chain in chains {
        loaded.iptables(&format!("-t nat -I {chain} -j LOG"));
    }
    let has_log = |loaded: &mut Loaded| chains.map(|c| loaded.rules(c).contains(&format!("-A {c} -j LOG")));
    assert_eq!(has_log(&mut loaded), [true; 4]);
    let text = Case::read(&yaml).unwrap().record(Some(Mode::Iptables)).unwrap().pop().unwrap().text;
    loaded.restore(&text);
    assert_eq!(has_log(&mut loaded), [true, false, false, false]);
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
