//! 003: kube-proxy's chains, of a Service with two endpoints; hairpin.

use crate::{Loaded, Store, http, netns, shell, words};
use cluster::kube_proxy::Version;
use cluster::object::TrafficPolicy;
use kernel::event::{RuleOutcome, TapDir, What};
use kernel::netfilter::hook::{HookFn, HookPoint, InetHook};
use kernel::netfilter::xtables::TableId;
use kernel::{DropReason, Era, Modules};
use packet::{Ip, L4, TcpFlags, Udp};
use sim::{Run, Scenario, Stimulus};
use std::net::{IpAddr, Ipv4Addr};
use workshop::kube::{self, Cni, Kube, Mode, Outside};
use workshop::query;

const OCTOPUS: &str = include_str!("../data/articles/octopus.yaml");

#[test]
fn kube_services_is_entered_from_prerouting_and_from_output() {
    for chain in ["PREROUTING", "OUTPUT"] {
        let rules = Loaded::new(OCTOPUS).iptables(&format!("-t nat -S {chain}"));
        let jump =
            format!(r#"-A {chain} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES"#);
        assert!(rules.contains(&jump), "{rules:?}");
    }
}

#[test]
fn kube_postrouting_returns_what_is_not_marked_clears_the_mark_and_masquerades() {
    let rules = Loaded::new(OCTOPUS).iptables("-t nat -S KUBE-POSTROUTING");
    assert_eq!(
        rules[1..],
        [
            "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
            "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
            r#"-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully"#,
        ]
    );
}

#[test]
fn kube_mark_masq_sets_bit_14() {
    let rules = Loaded::new(OCTOPUS).iptables("-t nat -S KUBE-MARK-MASQ");
    assert_eq!(rules[1..], ["-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"]);
}

#[test]
fn half_of_the_connections_go_to_each_endpoint() {
    let rules = Loaded::new(OCTOPUS).iptables("-t nat -S KUBE-SVC-A5DEC2RXT22GYINZ");
    let [first, second] = &rules[1..] else { panic!("{rules:?}") };
    assert!(first.contains("-m statistic --mode random --probability 0.50000000000"), "{first}");
    // The article prints the digit 0 where base32 has the letter O.
    assert!(first.ends_with("-j KUBE-SEP-F73MGWMXW3QO5EYA"), "{first}");
    assert!(!second.contains("statistic") && second.ends_with("-j KUBE-SEP-F6GCOKQ4JCB6DUYR"), "{second}");
}

#[test]
fn each_endpoint_chain_marks_its_own_pod_and_translates_to_it() {
    for (chain, pod) in
        [("KUBE-SEP-F73MGWMXW3QO5EYA", "10.179.18.29"), ("KUBE-SEP-F6GCOKQ4JCB6DUYR", "10.179.18.8")]
    {
        let rules = Loaded::new(OCTOPUS).iptables(&format!("-t nat -S {chain}"));
        let [mark, dnat] = &rules[1..] else { panic!("{rules:?}") };
        assert!(mark.contains(&format!("-s {pod}/32 ")) && mark.ends_with("-j KUBE-MARK-MASQ"), "{mark}");
        assert!(dnat.ends_with(&format!("-j DNAT --to-destination {pod}:8080")), "{dnat}");
    }
}

// ---------------------------------------------------------------------- hooks, tables, chains

/// Five hooks, five tables; each table has chains at some of the hooks.
#[test]
fn there_are_five_hooks_and_five_tables() {
    assert_eq!((InetHook::ALL.len(), TableId::ALL.len()), (5, 5));
    for (table, chains) in [
        ("raw", "PREROUTING OUTPUT"),
        ("mangle", "PREROUTING INPUT FORWARD OUTPUT POSTROUTING"),
        ("nat", "PREROUTING INPUT OUTPUT POSTROUTING"),
        ("filter", "INPUT FORWARD OUTPUT"),
        ("security", "INPUT FORWARD OUTPUT"),
    ] {
        let lines = Loaded(Store::default()).iptables(&format!("-t {table} -S"));
        let expected: Vec<String> = chains.split(' ').map(|c| format!("-P {c} ACCEPT")).collect();
        assert_eq!(lines, expected, "{table}");
    }
}

/// A rule of KUBE-SERVICES matches the Service's address and port, and leads to KUBE-SVC; the last one leads to KUBE-NODEPORTS.
#[test]
fn kube_services_dispatches_by_address_and_port() {
    let rules = Loaded::new(OCTOPUS).rules("KUBE-SERVICES");
    assert_eq!(
        rules[0],
        "-A KUBE-SERVICES -d 172.20.0.115/32 -p tcp -m comment --comment \"octopus/octopus-web:web cluster IP\" -m tcp \
         --dport 80 -j KUBE-SVC-A5DEC2RXT22GYINZ"
    );
    let last = rules.last().unwrap();
    assert!(last.contains("-m addrtype --dst-type LOCAL") && last.ends_with("-j KUBE-NODEPORTS"), "{last}");
}

/// KUBE-FORWARD, which FORWARD leads to, accepts what bears the mark 0x4000.
#[test]
fn kube_forward_accepts_marked_packets() {
    let mut loaded = Loaded::new(OCTOPUS);
    let jump = r#"-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD"#;
    assert!(loaded.iptables("-S FORWARD").contains(&jump.to_owned()));
    let accept = r#"-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT"#;
    assert!(loaded.iptables("-S KUBE-FORWARD").contains(&accept.to_owned()));
}

/// kube-proxy clears the mark by xor, which iptables prints as `--set-xmark 0x4000/0x0`.
#[test]
fn set_xmark_without_a_mask_is_xor() {
    let mut loaded = Loaded(Store::default());
    loaded.iptables("-t mangle -A PREROUTING -j MARK --xor-mark 0x4000");
    assert_eq!(loaded.iptables("-t mangle -S PREROUTING")[1], "-A PREROUTING -j MARK --set-xmark 0x4000/0x0");
}

// ---------------------------------------------------------------------- marks that drop

const NODE: &str = "node-1";
const NODE_ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(172, 20, 0, 115);

/// The lab's cluster: web-1 is on node-1, web-2 on node-2; `without` removes the endpoint that contains this word.
fn kube(version: Version, policy: TrafficPolicy, without: &str, stimuli: Vec<Stimulus>) -> Run {
    let mut objects = kube::of_documents(&workshop::lab("hooks-and-chains").unwrap().objects).unwrap();
    kube::set_external_traffic_policy(&mut objects, policy);
    for slice in objects.endpoint_slices.iter_mut().map(|(_, s)| s) {
        slice.endpoints.retain(|e| e.address.is_none_or(|a| a.to_string() != without));
    }
    let kube = Kube {
        objects,
        mode: Some(Mode::Iptables),
        uplink: kube::UPLINK.to_owned(),
        version,
        kubelet: version,
        era: Era::default(),
        modules: Modules::default(),
        cni: &Cni::BRIDGE,
        cluster_cidr: "10.179.0.0/16".parse().ok(),
        nat_outgoing: false,
        hairpin: false,
        promisc: false,
        tftp_rule: None,
        gateway: Ipv4Addr::new(10, 0, 0, 1),
        outside: vec![Outside {
            name: "client".to_owned(),
            addr: "10.0.0.100/24".parse().unwrap(),
            knows_pods: false,
        }],
    };
    let boxes = kube.boxes().unwrap();
    let scenario = Scenario { hosts: boxes.hosts, links: boxes.links, stimuli, settle_ms: 40 };
    scenario.run().unwrap_or_else(|e| panic!("{e}"))
}

/// KUBE-MARK-DROP sets 0x8000; KUBE-FIREWALL, which INPUT and OUTPUT lead to, drops what bears it.
#[test]
fn kube_mark_drop_and_kube_firewall_belong_together() {
    let run = kube(Version::V1_17, TrafficPolicy::Cluster, "", Vec::new());
    let rules = |table: &str, chain: &str| shell(&run, NODE, &format!("iptables -t {table} -S {chain}"));
    assert_eq!(rules("nat", "KUBE-MARK-DROP")[1..], ["-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000"]);
    assert_eq!(
        rules("filter", "KUBE-FIREWALL")[1..],
        [
            r#"-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP"#
        ]
    );
    for chain in ["INPUT", "OUTPUT"] {
        assert!(rules("filter", chain).contains(&format!("-A {chain} -j KUBE-FIREWALL")), "{chain}");
    }
}

/// A packet to a node port without a usable endpoint is marked in nat and dropped in filter.
#[test]
fn a_packet_without_an_endpoint_on_this_node_is_marked_and_dropped_by_kube_firewall() {
    let call = http("client", (CLIENT, 50_001), (NODE_ADDR, 30_080));
    let run = kube(Version::V1_23, TrafficPolicy::Local, "10.179.18.8", vec![call]);
    assert_eq!(crate::outcome(&run, 0), "connect() timed out");
    let node = run.world.host_by_name(NODE).unwrap();
    let last = query::entries(&run).filter(|(_, e)| e.host == node).find_map(|(_, e)| match e.what()? {
        What::Rule(step)
            if matches!(step.outcome, RuleOutcome::Match { .. }) && &*step.chain == "KUBE-FIREWALL" =>
        {
            Some((step.ctx.hook, step.mark))
        }
        _ => None,
    });
    assert_eq!(last, Some((InetHook::LocalIn, 0x8000)));
    let dropped = query::entries(&run).any(|(_, e)| {
        e.host == node && matches!(e.what(), Some(What::Drop { reason: DropReason::NetfilterDrop, .. }))
    });
    assert!(dropped);
}

/// Today's kube-proxy has neither: it has KUBE-EXT, and KUBE-SVL for the endpoints of its node.
#[test]
fn todays_kube_proxy_has_kube_ext_and_kube_svl_instead() {
    let run = kube(Version::V1_35, TrafficPolicy::Local, "", Vec::new());
    let chains = shell(&run, NODE, "iptables -t nat -S");
    let has = |prefix: &str| chains.iter().any(|l| l.starts_with(&format!("-N {prefix}")));
    assert!(has("KUBE-EXT-") && has("KUBE-SVL-") && !has("KUBE-MARK-DROP") && !has("KUBE-XLB"), "{chains:?}");
    let firewall = shell(&run, NODE, "iptables -S KUBE-FIREWALL");
    assert!(!firewall.iter().any(|r| r.contains("0x8000")), "{firewall:?}");
}

// ---------------------------------------------------------------------- the path of a packet

/// The lab's run, with these switches.
fn lab(changes: &[(&str, &str)]) -> Run {
    crate::lab("hooks-and-chains", changes).run
}

/// ClusterIP: KUBE-SERVICES, KUBE-SVC, KUBE-SEP. NodePort: KUBE-NODEPORTS before them.
#[test]
fn a_cluster_ip_goes_by_svc_and_sep_and_a_node_port_by_nodeports_before() {
    let of_cluster_ip = ["KUBE-SERVICES", "KUBE-SVC", "KUBE-SEP"];
    let of_node_port = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-SVC", "KUBE-SEP"];
    for (dst, sport, expected) in
        [((CLUSTER_IP, 80), 50_002, &of_cluster_ip[..]), ((NODE_ADDR, 30_080), 50_001, &of_node_port[..])]
    {
        let host = if dst.0 == CLUSTER_IP { NODE } else { "client" };
        let src = (if dst.0 == CLUSTER_IP { NODE_ADDR } else { CLIENT }, sport);
        let run = kube(Version::V1_17, TrafficPolicy::Cluster, "", vec![http(host, src, dst)]);
        let segments = query::segments(&run, host);
        let syn = segments.iter().find(|c| query::flags_are(c.tcp, &[TcpFlags::SYN])).unwrap().packet;
        let chains = query::chains_entered(&run, NODE, syn);
        let nat = chains
            .iter()
            .filter(|(t, c)| *t == TableId::Nat && c.starts_with("KUBE-") && !c.contains("MASQ"));
        let kinds: Vec<&str> = nat
            .map(|(_, c)| if c.starts_with("KUBE-S") && c.len() > 13 { &c[..8] } else { c.as_str() })
            .take_while(|c| *c != "KUBE-POSTROUTING")
            .collect();
        assert_eq!(kinds, expected);
    }
}

/// conntrack remembers the translation and applies it to the returning packet.
#[test]
fn the_answer_comes_from_the_service() {
    let run = lab(&[("hairpin", "on")]);
    let node_call = 1;
    assert!(query::answered(&run, node_call));
    let rows = shell_rows(&run, "node-2");
    let row = rows.iter().find(|r| r.contains("sport=50002 dport=80 ")).unwrap();
    assert!(row.contains("dst=172.20.0.115 ") && row.contains("sport=8080"), "{row}");
}

/// `conntrack -L`, without its summary.
fn shell_rows(run: &Run, host: &str) -> Vec<String> {
    let mut world = run.world.clone();
    let id = world.host_by_name(host).unwrap();
    sim::operator::command(&mut world, id, &words("conntrack -L"), None).unwrap().stdout
}

// ---------------------------------------------------------------------- each chain's sentence

/// "-A POSTROUTING ... -j KUBE-POSTROUTING": "just before the packet is sent to the network interface".
#[test]
fn postrouting_leads_to_kube_postrouting() {
    let run = lab(&[]);
    let jump = r#"-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING"#;
    assert!(shell(&run, "node-2", "iptables -t nat -S POSTROUTING").contains(&jump.to_owned()));
}

/// "raw: for early processing before kernel connection tracking".
#[test]
fn table_raw_comes_before_conntrack() {
    let mut world = lab(&[]).world;
    let node = world.host_by_name("node-2").unwrap();
    for (hook, chain) in [(InetHook::PreRouting, "PREROUTING"), (InetHook::LocalOut, "OUTPUT")] {
        let argv = words(&format!("iptables -t raw -A {chain} -j ACCEPT"));
        assert_eq!(sim::operator::command(&mut world, node, &argv, None).unwrap().status, 0);
        let at = world.host(node).unwrap().hooks().at(HookPoint { family: packet::Family::V4, hook });
        let order: Vec<HookFn> = at.map(|o| o.func).collect();
        let place = |wanted: HookFn| order.iter().position(|f| *f == wanted).unwrap();
        assert!(place(HookFn::Table(TableId::Raw)) < place(HookFn::ConntrackIn), "{order:?}");
    }
}

/// "mangle: for modifying packet attributes (e.g., TTL)": TTL can be set there and nowhere else.
#[test]
fn the_ttl_is_set_in_table_mangle_only() {
    let mut loaded = Loaded(Store::default());
    loaded.iptables("-t mangle -A PREROUTING -j TTL --ttl-set 3");
    assert_eq!(loaded.iptables("-t mangle -S PREROUTING")[1], "-A PREROUTING -j TTL --ttl-set 3");
    refused("-t nat -A PREROUTING -j TTL --ttl-set 3");
}

/// "Only forwarded traffic (not incoming or outgoing traffic) passes through here."
#[test]
fn kube_forward_is_entered_in_forward_only() {
    let run = lab(&[]);
    let node = run.world.host_by_name("node-2").unwrap();
    let hooks: Vec<InetHook> = query::entries(&run)
        .filter(|(_, e)| e.host == node)
        .filter_map(|(_, e)| match e.what()? {
            What::Rule(step) if &*step.chain == "KUBE-FORWARD" => Some(step.ctx.hook),
            _ => None,
        })
        .collect();
    assert!(!hooks.is_empty() && hooks.iter().all(|h| *h == InetHook::Forward), "{hooks:?}");
}

/// "SNAT with the node's IP as the source IP": what a client outside asks comes to the pod from the node.
#[test]
fn a_marked_packet_comes_from_the_node() {
    let call = http("client", (CLIENT, 50_001), (NODE_ADDR, 30_080));
    let run = kube(Version::V1_23, TrafficPolicy::Cluster, "10.179.18.8", vec![call]);
    let seen = query::segments(&run, "web-2");
    let syn = seen.iter().find(|c| query::flags_are(c.tcp, &[TcpFlags::SYN])).unwrap();
    assert_eq!(syn.ip.src_v4(), Some(NODE_ADDR));
}

/// Not what is "destined for services outside the cluster's network" is marked, but what comes from outside of the pods' networks.
#[test]
fn the_mark_asks_for_the_source_not_for_the_destination() {
    let rules = shell(&lab(&[]), "node-2", "iptables -t nat -S KUBE-SVC-A5DEC2RXT22GYINZ");
    let mark: Vec<&String> = rules.iter().filter(|r| r.ends_with("-j KUBE-MARK-MASQ")).collect();
    assert!(mark.len() == 1 && mark[0].contains(" ! -s 10.179.0.0/16 -d 172.20.0.115/32 "), "{mark:?}");
}

/// "The number of KUBE-SEP- chains corresponds to the number of endpoints behind the service."
#[test]
fn there_is_a_kube_sep_for_each_endpoint() {
    for (without, expected) in [("", 2), ("10.179.18.8", 1)] {
        let run = kube(Version::V1_17, TrafficPolicy::Cluster, without, Vec::new());
        let rules = shell(&run, NODE, "iptables -t nat -S KUBE-SVC-A5DEC2RXT22GYINZ");
        let jumps = rules.iter().filter(|r| r.contains("-j KUBE-SEP-")).count();
        assert_eq!(jumps, expected, "{rules:?}");
    }
}

/// "distributes packets to the KUBE-SEP- chain* equally".
#[test]
fn both_endpoints_get_about_half_of_many_calls() {
    let calls: Vec<Stimulus> =
        (0..60).map(|n| http(NODE, (NODE_ADDR, 51_000 + n), (CLUSTER_IP, 80))).collect();
    let run = kube(Version::V1_23, TrafficPolicy::Cluster, "", calls);
    let counted = |sep: &str| {
        let rules = shell(&run, NODE, &format!("iptables -t nat -nvL {sep}"));
        let dnat = rules.iter().find(|r| r.contains(" DNAT ")).unwrap();
        dnat.split_whitespace().next().unwrap().parse::<u32>().unwrap()
    };
    let (one, two) = (counted("KUBE-SEP-F73MGWMXW3QO5EYA"), counted("KUBE-SEP-F6GCOKQ4JCB6DUYR"));
    assert!(one + two == 60 && (18..=42).contains(&one), "{one} {two}");
}

// ---------------------------------------------------------------------- hairpin

/// The sources of those SYNs of web-2 that come back to web-2.
fn sources_at_itself(run: &Run) -> Vec<Ipv4Addr> {
    let segments = query::segments(run, "web-2");
    let syn =
        |dir| segments.iter().filter(move |c| c.dir == dir && query::flags_are(c.tcp, &[TcpFlags::SYN]));
    let sent: Vec<_> = syn(TapDir::Out).map(|c| c.packet).collect();
    syn(TapDir::In).filter(|c| sent.contains(&c.packet)).filter_map(|c| c.ip.src_v4()).collect()
}

/// A bridge does not send a frame back out of the port that it came from, unless that port is in hairpin mode.
#[test]
fn the_bridge_sends_a_packet_back_to_its_pod_only_in_hairpin_mode() {
    assert_eq!(sources_at_itself(&lab(&[("hairpin", "off")])), Vec::<Ipv4Addr>::new());
    assert_ne!(sources_at_itself(&lab(&[("hairpin", "on")])), Vec::<Ipv4Addr>::new());
}

/// KUBE-SEP's mark gives the pod's packet to itself a source on the node: the address of the bridge.
#[test]
fn a_packet_to_itself_gets_the_nodes_address() {
    let run = lab(&[("hairpin", "on")]);
    let gateway =
        netns(&run, "node-2").device(netns(&run, "node-2").device_by_name("cnio0").unwrap()).unwrap();
    let own = gateway.addrs[0].net.addr();
    let sources = sources_at_itself(&run);
    assert!(!sources.is_empty() && sources.iter().all(|s| *s == own), "{sources:?}, {own}");
}

// ---------------------------------------------------------------------- where the article is wrong

/// The article prints the digit 0 in both names of KUBE-SEP; base32 has none.
#[test]
fn no_name_of_a_chain_has_the_digit_0() {
    let all = Loaded::new(OCTOPUS).iptables("-t nat -S");
    let hashed = all.iter().filter_map(|l| l.strip_prefix("-N KUBE-S")).filter_map(|l| l.split_once('-'));
    let hashes: Vec<&str> = hashed.map(|(_, hash)| hash).collect();
    assert!(hashes.len() == 3 && hashes.iter().all(|h| h.len() == 16 && !h.contains('0')), "{hashes:?}");
}

/// What iptables says about a command that it refuses.
fn refused(line: &str) -> String {
    let mut store = Loaded::new(OCTOPUS).0;
    let out = userland::iptables::iptables(&mut store, &words(&format!("iptables {line}")));
    assert_ne!((out.status, out.stderr.as_str()), (0, ""), "{line}");
    out.stderr
}

/// `-m mark 0x8000/0x8000` lacks `--mark`.
#[test]
fn a_mark_without_its_option_is_refused() {
    let text = refused("-A INPUT -m mark 0x8000/0x8000 -j DROP");
    assert!(text.contains("Bad argument `0x8000/0x8000'"), "{text}");
}

/// The rules printed for hairpin have `-m tcp` and no `-p tcp`: the kernel takes no such rule.
#[test]
fn a_match_of_tcp_without_the_protocol_is_refused() {
    refused("-t nat -A KUBE-SEP-F73MGWMXW3QO5EYA -s 10.179.18.29/32 -m tcp -j KUBE-MARK-MASQ");
}

/// The names as they are printed, with the digit 0, are names of no chain.
#[test]
fn the_printed_names_are_no_chains() {
    for name in ["KUBE-SEP-F73MGWMXW3Q05EYA", "KUBE-SEP-F6GC0KQ4JCB6DUYR"] {
        assert_eq!(refused(&format!("-t nat -S {name}")), "iptables: No chain/target/match by that name.\n");
    }
}

/// Two commands in one line are refused.
#[test]
fn two_commands_in_one_line_are_refused() {
    let text = refused("-A FORWARD -j KUBE-FORWARD -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT");
    assert!(text.contains("Cannot use -A with -A"), "{text}");
}

/// It is not a ClusterIP as source that is masqueraded, but what bears the mark.
#[test]
fn the_mark_decides_about_snat_not_the_source() {
    let source = |mark: bool| {
        let udp = Udp { sport: 50_000, dport: 9, payload: b"x".to_vec().into(), checksum_ok: true };
        let ip = Ip::new(IpAddr::V4(CLUSTER_IP), IpAddr::V4(CLIENT), L4::Udp(udp));
        let marks = words("iptables -t nat -A OUTPUT -s 172.20.0.115 -j KUBE-MARK-MASQ");
        let mut stimuli = vec![Stimulus::Raw { host: NODE.to_owned(), ip }];
        if mark {
            stimuli.insert(0, crate::command(NODE, marks));
        }
        let run = kube(Version::V1_23, TrafficPolicy::Cluster, "", stimuli);
        crate::capture(&run, NODE, "eth0")
            .into_iter()
            .find(|(.., ip)| ip.dst == IpAddr::V4(CLIENT))
            .unwrap()
            .2
            .src
    };
    assert_eq!(source(false), IpAddr::V4(CLUSTER_IP));
    assert_eq!(source(true), IpAddr::V4(NODE_ADDR));
}
