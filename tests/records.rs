//! Every recording of the real kernel, replayed by the engine: they must agree in every facet.
//!
//! The recordings are in `data/kernel` (docs/RECORDS.md says how they are made). A new one needs a line below.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use tests::facets::differences;

fn read(folder: &str, name: &str) -> Value {
    let path = data().join(folder).join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel")
}

fn agrees(name: &str) {
    let engine = nflab::replay(&read("scenarios", name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let found = differences(&read("records", name), &engine);
    assert!(found.is_empty(), "{name} differs from the kernel\n{}", found.join("\n"));
}

macro_rules! recordings {
    ($($test:ident = $name:literal,)*) => {
        $(#[test] fn $test() { agrees($name); })*

        #[test]
        fn every_recording_is_replayed() {
            let listed = [$($name),*];
            let folder = data().join("records");
            let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
            for file in files {
                let name = file.unwrap().file_name().into_string().unwrap();
                let name = name.trim_end_matches(".json");
                assert!(listed.contains(&name), "{name} has no test: add a line to records.rs");
            }
        }
    };
}

recordings! {
    s17_invalid_drop = "S17-invalid-drop",
    s17_invalid_liberal = "S17-invalid-liberal",
    s17_invalid_nodrop = "S17-invalid-nodrop",
    s17_mtu_blackhole = "S17-mtu-blackhole",
    s17_mtu_clamp = "S17-mtu-clamp",
    s17_mtu_device = "S17-mtu-device",
    s17_mtu_icmp = "S17-mtu-icmp",
    s17_nodelocaldns_accept = "S17-nodelocaldns-accept",
    s17_nodelocaldns_oneway = "S17-nodelocaldns-oneway",
    s17_nodelocaldns_stateful = "S17-nodelocaldns-stateful",
    s17_nodelocaldns_tracked = "S17-nodelocaldns-tracked",
    s17_nodelocaldns = "S17-nodelocaldns",
    s17_rpfilter = "S17-rpfilter",
    s17_stale_udp_empty = "S17-stale-udp-empty",
    s17_stale_udp_reject = "S17-stale-udp-reject",
    s17_stale_udp = "S17-stale-udp",
    s16_clash_flush = "S16-clash-flush",
    s16_clash_icmp = "S16-clash-icmp",
    s16_clash_masquerade_two = "S16-clash-masquerade-two",
    s16_clash_masquerade = "S16-clash-masquerade",
    s16_clash_other = "S16-clash-other",
    s16_clash_same = "S16-clash-same",
    s16_clash_services = "S16-clash-services",
    s16_clash_tcp = "S16-clash-tcp",
    s16_clash_three_bcb = "S16-clash-three-bcb",
    s16_clash_three_bcc = "S16-clash-three-bcc",
    s16_clash_two_reversed = "S16-clash-two-reversed",
    s16_clash_two = "S16-clash-two",
    s16_iptables_nft_both = "S16-iptables-nft-both",
    s16_iptables_nft_bridge = "S16-iptables-nft-bridge",
    s16_iptables_nft_clusterip = "S16-iptables-nft-clusterip",
    s16_iptables_nft_helper = "S16-iptables-nft-helper",
    s16_iptables_nft_nth_forgets = "S16-iptables-nft-nth-forgets",
    s16_iptables_nft_recent = "S16-iptables-nft-recent",
    s16_iptables_nft_rpfilter = "S16-iptables-nft-rpfilter",
    s16_iptables_nft_set = "S16-iptables-nft-set",
    s15_kube_proxy_002 = "S15-kube-proxy-002",
    s15_kube_proxy_019 = "S15-kube-proxy-019",
    s15_kube_proxy_020 = "S15-kube-proxy-020",
    s15_kube_proxy_033 = "S15-kube-proxy-033",
    s15_kube_proxy_057 = "S15-kube-proxy-057",
    s15_kube_proxy_117 = "S15-kube-proxy-117",
    s15_nft_affinity = "S15-nft-affinity",
    s15_nft_ct = "S15-nft-ct",
    s15_nft_dnat = "S15-nft-dnat",
    s15_nft_fib = "S15-nft-fib",
    s15_nft_iptables = "S15-nft-iptables",
    s15_nft_marks = "S15-nft-marks",
    s15_nft_masquerade = "S15-nft-masquerade",
    s15_nft_reject = "S15-nft-reject",
    s15_nft_sets = "S15-nft-sets",
    s15_nft_verdicts = "S15-nft-verdicts",
    s13_sctp_and_others = "S13-sctp-and-others",
    s13_sctp_crossed = "S13-sctp-crossed",
    s13_sctp_random = "S13-sctp-random",
    s13_tcp_random = "S13-tcp-random",
    s13_tcp_random_loose = "S13-tcp-random-loose",
    s13_tcp_resets = "S13-tcp-resets",
    s13_tcp_window = "S13-tcp-window",
    s13_tcp_window_pmtu = "S13-tcp-window-pmtu",
    s13_frag_bridge_bnf0 = "S13-frag-bridge-bnf0",
    s13_frag_bridge_bnf1_noct = "S13-frag-bridge-bnf1-noct",
    s13_frag_bridge_bnf1 = "S13-frag-bridge-bnf1",
    s13_frag_bridge_dnat = "S13-frag-bridge-dnat",
    s13_frag_bridge_flood = "S13-frag-bridge-flood",
    s13_frag_bridge_mtu = "S13-frag-bridge-mtu",
    s13_frag_df = "S13-frag-df",
    s13_frag_dup = "S13-frag-dup",
    s13_frag_expiry_noct = "S13-frag-expiry-noct",
    s13_frag_expiry = "S13-frag-expiry",
    s13_frag_far = "S13-frag-far",
    s13_frag_invalid_ttl = "S13-frag-invalid-ttl",
    s13_frag_lo = "S13-frag-lo",
    s13_frag_local_ct = "S13-frag-local-ct",
    s13_frag_local_noct = "S13-frag-local-noct",
    s13_frag_mtu_noct_small = "S13-frag-mtu-noct-small",
    s13_frag_mtu_same = "S13-frag-mtu-same",
    s13_frag_mtu_small = "S13-frag-mtu-small",
    s13_frag_nat = "S13-frag-nat",
    s13_frag_noct = "S13-frag-noct",
    s13_frag_order = "S13-frag-order",
    s13_frag_out_ct = "S13-frag-out-ct",
    s13_frag_out = "S13-frag-out",
    s13_frag_overlap = "S13-frag-overlap",
    s13_frag_ping_noct = "S13-frag-ping-noct",
    s13_frag_ping = "S13-frag-ping",
    s13_frag_tcp_pmtu = "S13-frag-tcp-pmtu",
    s13_frag_udp3000_noct = "S13-frag-udp3000-noct",
    s13_frag_udp3000 = "S13-frag-udp3000",
    s7_frag = "S7-frag",
    s7_invalid_leak_drop = "S7-invalid-leak-drop",
    s14_conntrack_settings = "S14-conntrack-settings",
    s14_conntrack_tool = "S14-conntrack-tool",
    s13_ftp_commands = "S13-ftp-commands",
    s13_ftp_longer = "S13-ftp-longer",
    s13_ftp_masquerade = "S13-ftp-masquerade",
    s13_ftp_passive = "S13-ftp-passive",
    s13_ftp_session = "S13-ftp-session",
    s14_conntrack_clash = "S14-conntrack-clash",
    s13_tcp_options = "S13-tcp-options",
    s13_helper = "S13-helper",
    s13_own_broadcast = "S13-own-broadcast",
    s13_nfacct = "S13-nfacct",
    s13_limit = "S13-limit",
    s13_nth_forgets = "S13-nth-forgets",
    s13_recent = "S13-recent",
    s13_recent_full = "S13-recent-full",
    s13_iprange_mac_pkttype = "S13-iprange-mac-pkttype",
    s13_owner = "S13-owner",
    s13_rpfilter = "S13-rpfilter",
    s12_slow_handshake = "S12-slow-handshake",
    s12_two_counters = "S12-two-counters",
    s12_tcp_request_lost = "S12-tcp-request-lost",
    s12_tcp_reply_lost = "S12-tcp-reply-lost",
    s12_tcp_lost_at_home = "S12-tcp-lost-at-home",
    s12_reject_established = "S12-reject-established",
    s12_reset_closes_flow = "S12-reset-closes-flow",
    s12_reject_synack = "S12-reject-synack",
    s12_synack_lost = "S12-synack-lost",
    s12_syn_lost = "S12-syn-lost",
    s12_fin_answers_lost = "S12-fin-answers-lost",
    s12_dead_neighbour = "S12-dead-neighbour",
    s12_conntrack_match = "S12-conntrack-match",
    s12_masquerade_address_gone = "S12-masquerade-address-gone",
    s12_rules_replaced = "S12-rules-replaced",
    s12_reset_while_closing = "S12-reset-while-closing",
    s12_syn_in_time_wait = "S12-syn-in-time-wait",
    x_proxyarp = "X-proxyarp",
    s1_tour = "S1-tour",
    s9_dnat_variants = "S9-dnat-variants",
    s6_tftp_local_nohelper_cnimasq = "S6-tftp-local-nohelper-cnimasq",
    s6_cluster_helper_tour = "S6-cluster-helper-tour",
    s6_remote_helper_tour = "S6-remote-helper-tour",
    s6_tftp_cluster_remote_helper = "S6-tftp-cluster-remote-helper",
    s5_hairpin0_bnf1_tour = "S5-hairpin0-bnf1-tour",
    s5_hairpin0_bnf0_tour = "S5-hairpin0-bnf0-tour",
    s4_local_bnf0 = "S4-local-bnf0",
    s4_nodeport_local_nolocal = "S4-nodeport-local-nolocal",
    s3_from_node2 = "S3-from-node2",
    s3_remote_tour = "S3-remote-tour",
    s3_nodeport_cluster_remote = "S3-nodeport-cluster-remote",
    s2_samenode_bnf1_promisc_noinvalid = "S2-samenode-bnf1-promisc-noinvalid",
    s2_samenode_bnf0_promisc = "S2-samenode-bnf0-promisc",
    s2_samenode_bnf1_nohairpin = "S2-samenode-bnf1-nohairpin",
    s2_article_bnf1_promisc = "S2-article-bnf1-promisc",
    s2_article_bnf1_noneigh = "S2-article-bnf1-noneigh",
    s2_article_bnf0_noforward = "S2-article-bnf0-noforward",
    s2_article_bnf1_noforward = "S2-article-bnf1-noforward",
    s2_article_bnf1_raw = "S2-article-bnf1-raw",
    s2_article_bnf0_retransmission = "S2-article-bnf0-retransmission",
    s1_clusterip_nodefaultroute = "S1-clusterip-nodefaultroute",
    s1_clusterip_remote = "S1-clusterip-remote",
    s10_addrtype = "S10-addrtype",
    s10_ipset = "S10-ipset",
    s11_ipset_flags = "S11-ipset-flags",
    s11_ipset_icmp = "S11-ipset-icmp",
    s11_ipset_net = "S11-ipset-net",
    s11_ipset_swap = "S11-ipset-swap",
    s11_ipset_timeout = "S11-ipset-timeout",
    s10_noendpoints = "S10-noendpoints",
    s10_reject_bridged = "S10-reject-bridged",
    s10_reject_types = "S10-reject-types",
    s10_statistic_nth = "S10-statistic-nth",
    s2_article_tour_bnf0 = "S2-article-tour-bnf0",
    s2_article_tour_bnf1 = "S2-article-tour-bnf1",
    s2_samenode_bnf0 = "S2-samenode-bnf0",
    s2_samenode_bnf0_article = "S2-samenode-bnf0-article",
    s2_samenode_bnf0_promisc_noinvalid = "S2-samenode-bnf0-promisc-noinvalid",
    s2_samenode_bnf0_redirects = "S2-samenode-bnf0-redirects",
    s2_samenode_bnf1 = "S2-samenode-bnf1",
    s2_samenode_bnf1_flood = "S2-samenode-bnf1-flood",
    s2_samenode_bnf1_promisc = "S2-samenode-bnf1-promisc",
    s2_tour_bnf0 = "S2-tour-bnf0",
    s2_tour_bnf0_noinvalid = "S2-tour-bnf0-noinvalid",
    s2_tour_bnf0_promisc = "S2-tour-bnf0-promisc",
    s2_tour_bnf0_promisc_noinvalid = "S2-tour-bnf0-promisc-noinvalid",
    s2_tour_bnf1 = "S2-tour-bnf1",
    s2_tour_bnf1_noinvalid = "S2-tour-bnf1-noinvalid",
    s2_tour_bnf1_promisc = "S2-tour-bnf1-promisc",
    s2_tour_bnf1_promisc_noinvalid = "S2-tour-bnf1-promisc-noinvalid",
    s3_nodeport_cluster_local = "S3-nodeport-cluster-local",
    s3_nodeport_cluster_remote_noredirects = "S3-nodeport-cluster-remote-noredirects",
    s3_nodeport_localhost_local = "S3-nodeport-localhost-local",
    s4_nodeport_local_local = "S4-nodeport-local-local",
    s5_hairpin0_bnf0 = "S5-hairpin0-bnf0",
    s5_promisc_bnf0 = "S5-promisc-bnf0",
    s5_promisc_bnf1 = "S5-promisc-bnf1",
    s5_hairpin1_bnf0 = "S5-hairpin1-bnf0",
    s5_hairpin1_bnf1 = "S5-hairpin1-bnf1",
    s5_hairpin1_bnf1_nomasq = "S5-hairpin1-bnf1-nomasq",
    s6_tftp_cluster_helper = "S6-tftp-cluster-helper",
    s6_tftp_cluster_nohelper = "S6-tftp-cluster-nohelper",
    s6_tftp_cluster_remote_nohelper = "S6-tftp-cluster-remote-nohelper",
    s6_tftp_local_helper = "S6-tftp-local-helper",
    s6_tftp_local_nohelper = "S6-tftp-local-nohelper",
    s7_icmp = "S7-icmp",
    s7_noct = "S7-noct",
    s7_tcp = "S7-tcp",
    s7_tcp_crafted = "S7-tcp-crafted",
    s8_expect = "S8-expect",
    s8_table_full = "S8-table-full",
    s9_dnat_first = "S9-dnat-first",
    x_no_tables = "X-no-tables",
    x_nat_range = "X-nat-range",
    x_output_reroute = "X-output-reroute",
    s12_syn_again_soon = "S12-syn-again-soon",
    s14_nat_short = "S14-nat-short",
    s14_connmark_template = "S14-connmark-template",
    s14_pmtu_expires = "S14-pmtu-expires",
    s14_log_invalid = "S14-log-invalid",
    s14_clamp_mss = "S14-clamp-mss",
    s14_event_masks = "S14-event-masks",
    s14_icmp_global = "S14-icmp-global",
    s14_icmp_nat = "S14-icmp-nat",
    s14_marks = "S14-marks",
    s14_masq_moved = "S14-masq-moved",
    s14_masq_select = "S14-masq-select",
    s14_neighbours = "S14-neighbours",
    s14_netmap = "S14-netmap",
    s14_notrack = "S14-notrack",
    s14_output_drop = "S14-output-drop",
    s14_range_choice = "S14-range-choice",
    s14_reject_packets = "S14-reject-packets",
    s14_reject_ratelimit = "S14-reject-ratelimit",
    s14_shifted_ports = "S14-shifted-ports",
    s14_snat_port1 = "S14-snat-port1",
    s14_time_wait = "S14-time-wait",
    s14_ttl = "S14-ttl",
    s14_verdicts = "S14-verdicts",
    s14_zone_mark = "S14-zone-mark",
    s14_zone_orig = "S14-zone-orig",
    s14_zones = "S14-zones",
    x_arp_sender = "X-arp-sender",
    x_rpfilter = "X-rpfilter",
    x_route_errors = "X-route-errors",
    x_default_ttl = "X-default-ttl",
    x_route_groups = "X-route-groups",
    x_connect_twice = "X-connect-twice",
    x_rule_fwmark = "X-rule-fwmark",
    x_rule_ports = "X-rule-ports",
    x_rule_suppress_goto = "X-rule-suppress-goto",
    x_local_route = "X-local-route",
    x_broadcast_loops_back = "X-broadcast-loops-back",
    x_broadcast_send = "X-broadcast-send",
    x_multicast_in = "X-multicast-in",
    x_rules_check_source = "X-rules-check-source",
    x_rpfilter_loose = "X-rpfilter-loose",
    x_accept_local = "X-accept-local",
    x_icmp_source = "X-icmp-source",
    x_icmp_limit = "X-icmp-limit",
    x_redirect_router = "X-redirect-router",
    x_redirect_accepted = "X-redirect-accepted",
    x_arp_ignore = "X-arp-ignore",
    x_addr_secondary = "X-addr-secondary",
    x_link_down = "X-link-down",
    x_bridged = "X-bridged",
    x_bridged_promisc = "X-bridged-promisc",
    x_bridge_ports = "X-bridge-ports",
    x_bridge_fdb = "X-bridge-fdb",
    x_bridge_membership = "X-bridge-membership",
    x_bridge_nf_call_own = "X-bridge-nf-call-own",
    v_ipip_1480 = "V-ipip-1480",
    v_ipip_mark = "V-ipip-mark",
    v_ipip_nopmtudisc = "V-ipip-nopmtudisc",
    v_ipip_other_end = "V-ipip-other-end",
    v_ipip = "V-ipip",
    v_vxlan_1450 = "V-vxlan-1450",
    v_vxlan_drop = "V-vxlan-drop",
    v_vxlan_mark = "V-vxlan-mark",
    v_vxlan_nofdb = "V-vxlan-nofdb",
    v_vxlan = "V-vxlan",
    k_002_clusterip_1ep = "K-002-clusterip-1ep",
    k_003_clusterip_0ep = "K-003-clusterip-0ep",
    k_011_udp = "K-011-udp",
    k_019_nodeport_cluster = "K-019-nodeport-cluster",
    k_020_nodeport_local_with_local = "K-020-nodeport-local-with-local",
    k_029_lb_local_with_local_1 = "K-029-lb-local-with-local-1",
    k_029_lb_local_with_local_2 = "K-029-lb-local-with-local-2",
    k_033_lb_source_ranges_1 = "K-033-lb-source-ranges-1",
    k_033_lb_source_ranges_2 = "K-033-lb-source-ranges-2",
    k_052_itp_local_without_local = "K-052-itp-local-without-local",
    k_057_affinity_default = "K-057-affinity-default",
    k_058_affinity_1ep_30s = "K-058-affinity-1ep-30s",
    k_082_masquerade_all = "K-082-masquerade-all",
    k_089_localhost_nodeports_off = "K-089-localhost-nodeports-off",
    k_117_typical_cluster_1 = "K-117-typical-cluster-1",
    k_117_typical_cluster_2 = "K-117-typical-cluster-2",
}

/// The comparison itself must be able to fail: a record with one thing changed differs in the facet of that thing.
#[test]
fn a_changed_record_is_noticed() {
    let name = "S2-samenode-bnf1-flood";
    let kernel = read("records", name);
    let change = |pointer: &str, value: Value| {
        let mut changed = kernel.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        differences(&kernel, &changed)
    };
    for (facet, pointer, value) in [
        ("outcome", "/steps/0/outcome/connect", "timeout".into()),
        ("trace", "/steps/0/ns/worker-2/trace/0/steps/3/n", 9.into()),
        ("wire", "/steps/0/ns/tmp2/wire/2/ttl", 63.into()),
        ("ct", "/steps/0/ns/worker-2/ct/0/tcp_state", "CLOSE".into()),
        ("app", "/steps/0/ns/nginx2/app/0/accept", "10.0.0.1:1".into()),
        ("final", "/final/worker-2/conntrack/0/mark", 1.into()),
        ("counters", "/final/worker-2/rule_counters/0", "security :FORWARD ACCEPT [1:1]".into()),
        ("timeouts", "/steps/0/ns/worker-2/ct/0/timeout", 7.into()),
    ] {
        let found = change(pointer, value);
        assert_eq!(found.len(), 1, "{facet}: {found:?}");
        assert!(found[0].starts_with(facet), "{facet}: {found:?}");
    }
}

/// What the tools print of tunnels, byte for byte: links, addresses, routes, neighbours, the forwarding database.
#[test]
fn tunnels_are_listed_as_by_the_real_tools() {
    let mut commands = 0;
    for name in ["V-vxlan", "V-vxlan-nofdb", "V-ipip", "V-ipip-nopmtudisc"] {
        let (kernel, engine) = (read("records", name), nflab::replay(&read("scenarios", name)).unwrap());
        for (k, e) in kernel["steps"].as_array().unwrap().iter().zip(engine["steps"].as_array().unwrap()) {
            if k["stimulus"]["do"] == "cmd" {
                assert_eq!(e["outcome"], k["outcome"], "{name}: {}", k["stimulus"]["argv"]);
                commands += 1;
            }
        }
    }
    assert!(commands > 20);
}

/// Ports that the kernel draws are compared by who uses which again, not by their numbers.
#[test]
fn a_drawn_port_is_another_one_everywhere_or_nowhere() {
    let record = |first: u16, second: u16| {
        let frame =
            |port: u16| serde_json::json!({ "pkt": format!("udp 10.0.0.1:{port}>10.0.0.2:53 len=5") });
        serde_json::json!({ "nondeterministic": true,
            "steps": [{ "i": 0, "ns": { "a": { "wire": [frame(first), frame(second)] } } }] })
    };
    assert_eq!(differences(&record(5000, 5000), &record(61234, 61234)), [""; 0]);
    assert_eq!(differences(&record(5000, 5000), &record(61234, 61235)).len(), 1);
    assert_eq!(differences(&record(5000, 5001), &record(61234, 61234)).len(), 1);
}

/// What a box printed in each step, and the ARP frames on its devices: neither is compared elsewhere.
fn neighbours(record: &Value) -> Vec<(Vec<String>, Vec<String>)> {
    let texts = |v: &Value, key: &str| -> Vec<String> {
        let list = v.as_array().into_iter().flatten();
        list.map(|x| if key.is_empty() { x } else { &x[key] })
            .filter_map(|t| Some(t.as_str()?.to_owned()))
            .collect()
    };
    let of = |step: &Value| {
        let frames = step["ns"]["a"]["wire"].as_array().into_iter().flatten();
        let arp = frames.filter(|f| f["pkt"].as_str().is_some_and(|p| p.starts_with("arp ")));
        let arp = arp.map(|f| format!("{} {} {} {}", f["dir"], f["smac"], f["dmac"], f["pkt"])).collect();
        (texts(&step["outcome"]["stdout"], ""), arp)
    };
    record["steps"].as_array().unwrap().iter().map(of).collect()
}

/// Entries grow stale, delay, are asked for and fail as in the kernel, step by step. (Linux draws how long an entry is reachable;
/// the steps leave room for that.)
#[test]
fn s14_neighbours_age_as_in_the_kernel() {
    let name = "S14-neighbours";
    let kernel = neighbours(&read("records", name));
    let engine = neighbours(&nflab::replay(&read("scenarios", name)).unwrap());
    for (i, (kernel, engine)) in kernel.iter().zip(&engine).enumerate() {
        assert_eq!(engine, kernel, "step {i}");
    }
    assert!(kernel.iter().map(|(_, arp)| arp.len()).sum::<usize>() > 12);
}

/// What `nft` printed in each step: listings with counters, and its errors.
fn printed_by_nft(record: &Value) -> Vec<Vec<String>> {
    let steps = record["steps"].as_array().unwrap().iter();
    let nft = steps.filter(|step| step["stimulus"]["argv"][0] == "nft");
    let lines = |v: &Value| -> Vec<String> {
        v.as_array().into_iter().flatten().filter_map(|l| Some(l.as_str()?.to_owned())).collect()
    };
    nft.map(|step| [lines(&step["outcome"]["stdout"]), lines(&step["outcome"]["stderr"])].concat()).collect()
}

/// Counters, members that came by packets, and listings are those of the kernel.
#[test]
fn nft_lists_what_it_lists_on_the_kernel() {
    let mut lines = 0;
    for name in NFT {
        let kernel = printed_by_nft(&read("records", name));
        let engine = printed_by_nft(&nflab::replay(&read("scenarios", name)).unwrap());
        assert_eq!(engine, kernel, "{name}");
        lines += kernel.iter().map(Vec::len).sum::<usize>();
    }
    assert!(lines > 200, "{lines}");
}

const NFT: [&str; 10] = [
    "S15-nft-affinity",
    "S15-nft-ct",
    "S15-nft-dnat",
    "S15-nft-fib",
    "S15-nft-iptables",
    "S15-nft-marks",
    "S15-nft-masquerade",
    "S15-nft-reject",
    "S15-nft-sets",
    "S15-nft-verdicts",
];
