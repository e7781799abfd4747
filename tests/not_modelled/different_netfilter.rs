//! "Different from Linux": conntrack, NAT, matches and targets. Each test says what Linux does.

use crate::{Done, Pair, printed};
use kernel::netfilter::conntrack::Row;
use serde_json::json;
use sim::StepOutcome;

/// Conntrack runs while this rule is there.
const TRACKS: &str = "*filter\n-A INPUT -m conntrack --ctstate INVALID\nCOMMIT\n";

fn rows(done: &Done) -> Vec<Row> {
    done.host("a").ct.rows(done.0.world.now())
}

/// A pair in which `a` is the first namespace of its machine, and its conntrack table has these limits.
fn limited(max: u32, buckets: u32) -> Pair {
    let mut pair = Pair::with_rules(TRACKS);
    pair.then(json!({ "do": "globalmax", "nf_conntrack_max": max, "nf_conntrack_buckets": buckets }));
    pair
}

/// Linux's hash has a seed of each boot, so that others go, though as many.
#[test]
fn the_conntrack_hash_has_no_seed() {
    let mut pair = limited(300, 512);
    for port in 4000..4303 {
        pair.udp(port, 9);
    }
    let done = pair.run_as(false);
    let left: Vec<u16> = rows(&done).iter().map(|r| r.orig.sport()).collect();
    let gone: Vec<u16> = (4000..4303).filter(|p| !left.contains(p)).collect();
    assert_eq!(gone, [4177, 4226, 4269]);
}

/// Linux has one `net_ratelimit_state` for all namespaces of a machine: it would print ten of these together.
#[test]
fn each_namespace_has_its_own_ratelimit() {
    let mut pair = Pair::new();
    for host in ["a", "b"] {
        pair.set(host, "sysctl", json!({ "net.ipv4.conf.all.log_martians": 1 }));
    }
    for (from, to) in [("a", "10.0.0.2"), ("b", "10.0.0.1")] {
        for _ in 0..12 {
            let pkt = json!({ "src": "127.0.0.9", "dst": to, "proto": 47, "payload": "gre " });
            pair.then(json!({ "do": "raw", "host": from, "pkt": pkt }));
        }
    }
    let steps = ["a", "b"].map(|host| pair.cmd_in(host, "dmesg"));
    let run = pair.run().0;
    let martians = |step: usize| match &run.steps[step].outcome {
        StepOutcome::Command(out) => out.stdout.iter().filter(|l| l.contains("martian source")).count(),
        other => panic!("{other:?}"),
    };
    assert_eq!(steps.map(martians), [10, 10]);
}

/// Linux refuses an entry whose bucket has 50 to 80 already, by chance, and counts it as `chaintoolong` (`conntrack -S`).
#[test]
fn buckets_may_be_of_any_length() {
    let mut pair = limited(1000, 1);
    for port in 4000..4200 {
        pair.udp(port, 9);
    }
    let stats = pair.cmd("conntrack -S");
    let done = pair.run_as(false);
    assert_eq!(rows(&done).len(), 200);
    assert!(done.printed(stats)[0].contains("chaintoolong=0"), "{:?}", done.printed(stats));
}

/// When more than 95 of 100 entries are taken, Linux's scan drops connections that are closing (`gc_worker_can_early_drop`).
#[test]
fn the_scan_leaves_closing_connections() {
    let mut pair = limited(2, 512);
    for port in [4000, 4001] {
        let src = format!("10.0.0.1:{port}");
        pair.then(json!({ "do": "tcp", "host": "a", "src": src, "dst": "10.0.0.2:80" }));
    }
    pair.sleep(100_000);
    assert_eq!(rows(&pair.run_as(false)).len(), 2);
}

/// Linux's scan goes round every few seconds to a minute (`GC_SCAN_INTERVAL_MAX`); an entry may be gone before.
#[test]
fn entries_that_are_over_stay_for_a_minute() {
    let mut pair = Pair::with_rules(TRACKS);
    pair.cmd("sysctl -w net.netfilter.nf_conntrack_udp_timeout=1");
    pair.udp(4000, 9);
    let mut counts = Vec::new();
    for _ in 0..2 {
        pair.sleep(40_000);
        counts.push(pair.cmd("sysctl -n net.netfilter.nf_conntrack_count"));
    }
    let done = pair.run();
    assert_eq!(counts.iter().map(|c| done.printed(*c)[0].clone()).collect::<Vec<_>>(), ["1", "0"]);
}

/// Older kernels wrote `nf_ct_tcp: invalid new ` and the like.
#[test]
fn the_log_has_the_words_of_6_18() {
    for kernel in ["3.10", "6.18"] {
        let mut pair = Pair::with_rules(TRACKS);
        pair.set("a", "kernel", json!(kernel));
        pair.set("a", "sysctl", json!({ "net.netfilter.nf_conntrack_log_invalid": 255 }));
        let pkt = json!({ "proto": "tcp", "src": "10.0.0.2", "dst": "10.0.0.1", "sport": 1, "dport": 2, "flags": "R" });
        pair.frame("b", pkt);
        let log = pair.run_as(false).kernel_log("a");
        assert!(log[0].starts_with("nf_ct_proto_6: invalid new IN=eth0 OUT= MAC="), "{log:?}");
    }
}

/// Linux draws another port each time.
#[test]
fn random_ports_follow_from_the_run() {
    let port = || {
        let mut pair = Pair::with_rules("*nat\n-A POSTROUTING -p udp -j MASQUERADE --random-fully\nCOMMIT\n");
        let step = pair.udp(4000, 9);
        pair.run().packets("b", step, false)[0].ports().unwrap().0
    };
    assert_eq!(port(), port());
}

/// A big-endian kernel reads the addresses that go into the hash in the other order, and takes another one.
#[test]
fn addresses_of_a_range_are_those_of_a_little_endian_kernel() {
    let rules = "*nat\n-A POSTROUTING -p udp -j SNAT --to-source 10.0.0.100-10.0.0.103\nCOMMIT\n";
    let mut pair = Pair::with_rules(rules);
    pair.set("b", "addrs", json!({ "eth0": ["10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24", "10.0.0.5/24"] }));
    let macs: Vec<String> = (2..6).map(|n| format!("10.0.0.{n} lladdr 02:00:00:00:02:01 dev eth0")).collect();
    pair.set("a", "neigh", json!(macs));
    let steps: Vec<usize> = (2..6).map(|n| pair.udp_to(4000 + n, &format!("10.0.0.{n}:9"))).collect();
    let done = pair.run();
    let last = |s: &usize| done.packets("b", *s, false)[0].src_v4().unwrap().octets()[3];
    assert_eq!(steps.iter().map(last).collect::<Vec<_>>(), [100, 102, 101, 102]);
}

/// On Linux the waiting packet holds its entry, and with it the address that its sender was given (`nat_bysource`): the sender's next
/// flow gets the same one until ARP gives up.
#[test]
fn a_flow_whose_packet_waits_is_forgotten_with_its_entry() {
    let rules = "*nat\n-A POSTROUTING -p udp -j SNAT --to-source 10.0.0.100-10.0.0.103\nCOMMIT\n";
    let taken = |flush: bool| {
        let mut pair = Pair::with_rules(rules);
        let macs =
            ["10.0.0.2 lladdr 02:00:00:00:02:01 dev eth0", "10.0.0.4 lladdr 02:00:00:00:02:01 dev eth0"];
        pair.set("a", "neigh", json!(macs));
        pair.set("b", "sysctl", json!({ "net.ipv4.conf.all.arp_ignore": 8 }));
        pair.udp_to(4000, "10.0.0.3:9");
        let first = rows_after(&pair);
        if flush {
            pair.cmd("conntrack -F");
        }
        let step = pair.udp_to(4000, "10.0.0.4:9");
        let done = pair.run();
        (first, done.packets("b", step, false)[0].src_v4().unwrap().to_string())
    };
    let (first, next) = taken(false);
    assert_eq!(first, next);
    let (first, next) = taken(true);
    assert_ne!(first, next);
}

/// The address that the only flow so far was given.
fn rows_after(pair: &Pair) -> String {
    rows(&pair.run())[0].reply.dst().to_string()
}

/// Any user may run programs on Linux, and have supplementary groups, which `--suppl-groups` looks at.
#[test]
fn every_program_is_of_root() {
    let rules = "*filter\n-A OUTPUT -m owner --uid-owner 0 --gid-owner 0\n\
                 -A OUTPUT -m owner --gid-owner 1-65535 --suppl-groups\nCOMMIT\n";
    let mut pair = Pair::with_rules(rules);
    pair.udp(4000, 9);
    let list = pair.cmd("iptables-save -c");
    let counted: Vec<String> =
        pair.run().printed(list).into_iter().filter(|l| l.contains("-A OUTPUT")).collect();
    assert!(counted[0].starts_with("[1:") && counted[1].starts_with("[0:"), "{counted:?}");
}

/// A Linux machine has its own users; those that packages have made are no part of base-passwd.
#[test]
fn users_are_those_of_base_passwd() {
    assert_eq!(printed("iptables -A OUTPUT -m owner --uid-owner www-data"), Vec::<String>::new());
    let said = printed("iptables -A OUTPUT -m owner --uid-owner messagebus");
    assert!(said[0].contains("messagebus"), "{said:?}");
}

/// On Linux they are parameters of the module xt_recent, and the first was 0 (as many as fit) in no kernel, 20 before 4.13.
#[test]
fn xt_recent_has_no_parameters() {
    for parameter in ["ip_list_tot=5", "ip_pkt_list_tot=5"] {
        let said = printed(&format!("modprobe xt_recent {parameter}"));
        assert_eq!(said.last().unwrap(), "[rc=1]", "{said:?}");
    }
}

/// Linux has a file for each list, which can be read, and written to add, remove or flush addresses.
#[test]
fn lists_of_recent_cannot_be_read() {
    let said = printed("cat /proc/net/xt_recent/DEFAULT");
    assert!(said[0].contains("is not modelled"), "{said:?}");
}

/// iptables says what it has to say about an option when it reads it, before it finds the mistake behind it.
#[test]
fn a_command_that_fails_warns_of_nothing() {
    let said = printed("iptables -A INPUT -m iprange --src-range 10.0.0.9-10.0.0.1 -j NOWHERE");
    assert!(said.iter().all(|l| !l.contains("is reversed")), "{said:?}");
}

/// Linux gives the packet the class and the queue that the member has.
#[test]
fn set_maps_marks_only() {
    let mut pair = Pair::new();
    for line in [
        "ipset create S hash:ip skbinfo",
        "ipset add S 10.0.0.2 skbmark 0x7 skbprio 1:10 skbqueue 3",
        "iptables -t mangle -A POSTROUTING -j SET --map-set S dst --map-mark --map-prio --map-queue",
        "iptables -t mangle -A POSTROUTING -m mark --mark 0x7",
    ] {
        let step = pair.cmd(line);
        assert_eq!(pair.run().printed(step), Vec::<String>::new(), "{line}");
    }
    pair.udp(4000, 9);
    let list = pair.cmd("iptables-save -t mangle -c");
    let said = pair.run().printed(list);
    assert!(said.iter().any(|l| l.starts_with("[1:") && l.contains("-m mark")), "{said:?}");
    // No packet here has a class or a queue that anything could show.
    assert!(printed("tc -s class show dev eth0")[0].contains("is not modelled"));
}

/// On Linux conntrack's helper of IPVS (ip_vs_ftp) makes data connections that know the port of their control connection.
#[test]
fn vportctl_never_matches() {
    let mut pair = Pair::new();
    pair.cmd("sysctl -w net.ipv4.vs.conntrack=1");
    pair.cmd("ipvsadm -A -t 10.0.0.1:21 -s rr");
    pair.cmd("ipvsadm -a -t 10.0.0.1:21 -r 10.0.0.2:80 -m");
    pair.cmd("iptables -A OUTPUT -m ipvs --vportctl 21");
    pair.then(json!({ "do": "tcp", "host": "a", "dst": "10.0.0.1:21", "timeout_ms": 100 }));
    let list = pair.cmd("iptables-save -c");
    let said = pair.run().printed(list);
    let rule = said.iter().find(|l| l.contains("vportctl")).unwrap();
    assert!(rule.starts_with("[0:0]"), "{rule}");
}

#[test]
fn nft_tells_the_first_error() {
    let text = "add rule ip no c accept\nadd rule ip no d accept\n";
    let (status, said) = crate::say(&["nft", "-f", "-"], Some(text)).unwrap();
    assert_eq!((status, said.matches("Error: ").count()), (1, 1), "{said}");
}

#[test]
fn handles_of_a_refused_transaction_are_given_again() {
    let mut pair = Pair::new();
    let nft = |text: &str| serde_json::json!({ "do": "cmd", "host": "a", "argv": ["nft", "-f", "-"], "stdin": text });
    pair.then(nft("table ip t {\n chain c { }\n}\n"));
    pair.then(nft("add rule ip t c accept\nadd rule ip t no accept\n"));
    pair.then(nft("add rule ip t c accept\n"));
    let listed = pair.cmd("nft -a list ruleset");
    let printed = pair.run().printed(listed);
    // Linux: 3
    assert!(printed.iter().any(|l| l == "\t\taccept # handle 2"), "{printed:?}");
}

#[test]
fn iptables_nft_shows_no_expressions() {
    let mut pair = Pair::new();
    let shown = pair.cmd("iptables-nft -vv -A INPUT -j ACCEPT");
    // The real one prints `[ immediate reg 0 accept ]` too.
    assert_eq!(pair.run().printed(shown).len(), 1);
}

#[test]
fn a_chain_belongs_to_its_own_option() {
    let mut pair = Pair::new();
    let listed = pair.cmd("iptables-nft -L -Z INPUT");
    // The real one lists and zeroes INPUT.
    assert_eq!(pair.run().printed(listed)[0], "Bad argument `INPUT'");
}

#[test]
fn prefixes_of_nflog_have_63_bytes() {
    let mut pair = Pair::new();
    pair.cmd(&format!("iptables-nft -A INPUT -j NFLOG --nflog-prefix {}", "x".repeat(100)));
    let listed = pair.cmd("iptables-nft -S INPUT");
    let printed = pair.run().printed(listed);
    assert!(printed[1].ends_with(&format!(" {}", "x".repeat(63))), "{printed:?}");
}

#[test]
fn the_helper_that_is_named_is_deleted() {
    let mut pair = Pair::new();
    for name in ["tftp", "ftp"] {
        pair.cmd(&format!("iptables-nft -A INPUT -m helper --helper {name}"));
    }
    pair.cmd("iptables-nft -D INPUT -m helper --helper ftp");
    let listed = pair.cmd("iptables-nft -S INPUT");
    let printed = pair.run().printed(listed);
    assert_eq!(printed[1..], ["-A INPUT -m helper --helper tftp"]);
}

#[test]
fn chunks_of_sctp_are_not_translated() {
    let mut pair = Pair::new();
    pair.cmd("iptables-nft -A INPUT -p sctp --chunk-types all DATA:Be");
    let listed = pair.cmd("nft list ruleset");
    let printed = pair.run().printed(listed);
    assert!(printed.iter().any(|l| l.contains("xt match sctp")), "{printed:?}");
}

#[test]
fn nft_does_not_compute_with_constants() {
    let text = "table ip t {\n chain c {\n  meta mark set meta mark and 0xffffffff\n }\n}\nlist ruleset\n";
    let (status, said) = crate::say(&["nft", "-f", "-"], Some(text)).unwrap();
    // nft: `meta mark set meta mark`
    assert!(status == 0 && said.contains("meta mark set meta mark & 0xffffffff"), "{said}");
}

#[test]
fn prefixes_of_a_flows_addresses_are_prefixes() {
    let text = "table ip t {\n chain c {\n  ct original ip saddr 10.0.0.0/8\n }\n}\nlist ruleset\n";
    let (status, said) = crate::say(&["nft", "-f", "-"], Some(text)).unwrap();
    // nft 1.0.6: `ct original ip saddr 0.0.0.10`
    assert!(status == 0 && said.contains("ct original ip saddr 10.0.0.0/8"), "{said}");
}

/// Linux has a line for each processor there is, and before 5.10 a column `ignore`, before 4.9 five more.
#[test]
fn conntrack_s_has_few_lines_and_columns() {
    let mut pair = Pair::with_rules(TRACKS);
    pair.udp(4000, 9);
    let stats = pair.cmd("conntrack -S");
    pair.document["hosts"]["a"]["kernel"] = json!("3.10");
    let printed = pair.run_as(false).printed(stats);
    assert_eq!(
        printed,
        [
            "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 "
        ]
    );
}

/// Two processors of Linux would clash in some of these pairs.
#[test]
fn packets_overlap_only_if_one_is_stopped() {
    let mut pair = Pair::with_rules(TRACKS);
    for port in 4000..4100 {
        let src = format!("10.0.0.1:{port}");
        pair.then(json!({ "do": "udp", "host": "a", "src": src, "dst": "10.0.0.2:9", "count": 2, "timeout_ms": 20 }));
    }
    let stats = pair.cmd("conntrack -S");
    let done = pair.run_as(false);
    let said = done.printed(stats)[0].clone();
    assert!(said.contains("insert_failed=0") && said.contains("clash_resolve=0"), "{said}");
}
