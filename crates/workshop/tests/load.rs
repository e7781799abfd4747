//! The load lab at a hundredth of its size: which table is full, and in which order the article's iterations come.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(not(target_arch = "wasm32"))]

use std::sync::OnceLock;
use workshop::load::{
    self, ARTICLE, LoadError, Report, Setting, Test, UdpTimeouts, claims, goals, json, sweep_json,
    sweep_text, text,
};

/// Longer than it takes to fill the tables that are filled, shorter than the first flows live.
const SECONDS: u32 = 150;

fn small(n: u32) -> Setting {
    Setting { scale: 100, seconds: SECONDS, ..Setting::iteration(n).unwrap() }
}

fn all() -> &'static [Report] {
    static ALL: OnceLock<Vec<Report>> = OnceLock::new();
    ALL.get_or_init(|| (1..=9).map(|n| load::run(&small(n)).unwrap().as_iteration(n)).collect())
}

fn iteration(n: usize) -> &'static Report {
    &all()[n - 1]
}

#[test]
fn without_kubernetes_nothing_is_tracked() {
    assert_eq!(iteration(1).node().unwrap().peak(), 0);
    assert!(iteration(1).pods().is_empty());
}

#[test]
fn with_the_defaults_the_nodes_table_stands_at_its_limit() {
    // "The count grew rapidly to 131072 (approx) and remained around that number"
    let node = iteration(2).node().unwrap();
    assert_eq!(node.peak(), 131_072);
    assert!(node.seconds_full(131_072) > 120, "{}", node.seconds_full(131_072));
}

#[test]
fn with_the_defaults_the_expectations_stand_at_their_limit() {
    // "The count grew rapidly to 1024 and did not increase any further."
    assert_eq!(iteration(4).node().unwrap().expect_peak(), 1024);
}

#[test]
fn the_expectation_table_is_full_some_seconds_after_the_other_one() {
    // "May 20 07:50:28 ... table full", "May 20 07:50:38 ... expectation table full"
    let (table, expectations) =
        (iteration(4).table_full().unwrap(), iteration(4).expectations_full().unwrap());
    assert!((3..=40).contains(&(expectations - table)), "{table} {expectations}");
}

#[test]
fn the_lines_are_those_of_the_articles_kernel() {
    let lines: Vec<&str> = iteration(4).log.iter().map(|(_, _, line)| line.as_str()).collect();
    assert!(lines.contains(&"nf_conntrack: table full, dropping packet"));
    assert!(lines.contains(&"nf_conntrack: expectation table full"));
}

#[test]
fn more_pods_do_not_help_while_the_nodes_table_is_full() {
    // "Running multiple pods showed no improvement in performance."
    let (one, three) = (iteration(2).served(), iteration(3).served());
    assert!(three.abs_diff(one) * 100 < one * 15, "{one} {three}");
}

#[test]
fn with_larger_tables_only_conntracks_own_is_full() {
    // "size of expectation table is sufficient but conntrack table is still getting full"
    assert!(iteration(5).table_full().is_some());
    assert_eq!(iteration(5).expectations_full(), None);
}

#[test]
fn with_short_timeouts_on_the_node_the_pods_table_is_full_and_the_nodes_is_not() {
    // "How could the table be full if nf_conntrack_count on the node never touched the limit"
    let report = iteration(7);
    assert_eq!(report.pods()[0].peak(), 524_288);
    assert!(report.node().unwrap().peak() < 524_288 / 2);
    let full = report.log.iter().filter(|(_, _, line)| line.contains("table full"));
    assert!(full.clone().count() > 0 && full.clone().all(|(_, host, _)| host == "tftp-server-1"));
}

#[test]
fn with_short_timeouts_everywhere_no_table_is_full() {
    // "Finally, in this iteration, system logs did not complain"
    let report = iteration(8);
    assert!(report.log.is_empty());
    assert_eq!(report.series.failed.iter().sum::<u64>(), 0);
}

#[test]
fn the_count_peaks_near_two_hundred_thousand_then() {
    // "Interestingly, the count peaked at 200K."
    for n in [8, 9] {
        let peak = iteration(n).node().unwrap().peak();
        assert!((150_000..=250_000).contains(&peak), "{n}: {peak}");
    }
}

#[test]
fn the_count_is_the_rate_times_the_timeouts() {
    let report = iteration(8);
    let (count, wanted) = (*report.node().unwrap().count.last().unwrap(), report.served() * (10 + 20));
    assert!(count.abs_diff(wanted) * 20 < wanted, "{count} {wanted}");
}

#[test]
fn the_iterations_come_in_the_articles_order_but_for_the_seventh() {
    let served: Vec<u64> = [2, 5, 6, 8, 9, 1].map(|n| iteration(n).served()).to_vec();
    assert!(served.is_sorted_by(|a, b| a < b), "{served:?}");
}

#[test]
fn over_two_minutes_each_iteration_is_within_a_quarter_of_the_article() {
    for report in all() {
        let (served, article) = (report.served_at_first(), report.article.unwrap().served);
        assert!(served.abs_diff(article) * 4 <= article, "{}: {served}", report.article.unwrap().iteration);
    }
}

#[test]
fn every_claim_holds_where_it_is_stated() {
    for report in all() {
        for claim in claims(report) {
            assert!(claim.holds, "iteration {}: {}", report.article.unwrap().iteration, claim.text);
        }
    }
}

#[test]
fn no_goal_is_reached_at_the_start() {
    assert!(goals(iteration(2)).iter().all(|g| !g.holds));
}

#[test]
fn the_kubelet_refuses_sysctls_that_it_does_not_allow() {
    let setting = Setting { pod_udp: UdpTimeouts::SHORT, allowed: false, ..small(7) };
    let why = "SysctlForbidden: forbidden sysctl: \"net.netfilter.nf_conntrack_udp_timeout\" not allowlisted";
    assert_eq!(load::run(&setting), Err(LoadError::Forbidden(why)));
}

#[test]
fn limits_are_shared_and_timeouts_are_not() {
    let mut test = Test::new(&small(7)).unwrap();
    test.advance(kernel::Instant(1_000_000));
    let spec = load::spec(&small(7)).unwrap();
    let limits: Vec<u32> =
        test.world().hosts().iter().filter(|h| h.name != "client").map(|h| h.ct.limits.max).collect();
    assert_eq!(limits, [spec.limits.max; 2]);
    let streams: Vec<u32> = test
        .world()
        .hosts()
        .iter()
        .filter(|h| h.name != "client")
        .map(|h| h.ct.timeouts.udp_stream)
        .collect();
    assert_eq!(streams, [20, 180]);
}

#[test]
fn going_step_by_step_leads_to_the_same() {
    let setting = Setting { seconds: 20, ..small(2) };
    let mut test = Test::new(&setting).unwrap();
    let mut now = 0;
    while !test.advance(kernel::Instant(now)).done {
        now += 137_000;
    }
    assert_eq!(test.report(), load::run(&setting).unwrap());
}

#[test]
fn each_switch_takes_its_values_and_no_other() {
    let mut setting = Setting::default();
    for (switch, good, bad) in [
        ("iteration", "9", "10"),
        ("kubernetes", "off", "no"),
        ("replicas", "3", "4"),
        ("nf_conntrack_max", "262144", "0"),
        ("nf_conntrack_expect_max", "4096", "many"),
        ("nf_conntrack_buckets", "262144", "-1"),
        ("node.nf_conntrack_udp_timeout", "5", "0"),
        ("pod.nf_conntrack_udp_timeout_stream", "5", "x"),
        ("allowedUnsafeSysctls", "on", "1"),
        ("externalTrafficPolicy", "Cluster", "cluster"),
        ("scale", "1", "1000"),
    ] {
        assert_eq!(setting.set(switch, good), Ok(()), "{switch}");
        let before = setting.clone();
        let error = setting.set(switch, bad).unwrap_err();
        assert_eq!((error.switch.as_str(), error.value.as_str()), (switch, bad));
        assert_eq!(setting, before, "{switch}");
    }
    assert!(setting.set("speed", "1").unwrap_err().expected.contains("iteration"));
}

#[test]
fn an_iteration_is_told_by_its_setting() {
    let which: Vec<Option<u32>> = (1..=9).map(|n| small(n).which()).collect();
    assert_eq!(which, [1, 2, 3, 2, 5, 6, 7, 8, 9].map(Some), "the fourth is the second again");
}

#[test]
fn the_article_has_nine_iterations() {
    assert_eq!(ARTICLE.map(|a| a.served), [8500, 1000, 1000, 1000, 4000, 4100, 4600, 5100, 5800]);
}

#[test]
fn texts_say_that_it_is_a_model() {
    assert!(text(iteration(7)).starts_with("Conntrack under load: a model, no measurement\n"));
    assert!(sweep_text(all()).contains("no measurement"));
    assert!(json(iteration(7)).contains("\"model\": true"));
    assert!(sweep_json(all()).contains("\"iteration\": 9"));
}

/// What a run leaves behind: samples, and of each box conntrack's entries, statistics and the counters of all rules.
fn left(run: &sim::load::LoadRun) -> Vec<String> {
    let mut all: Vec<String> = run.samples().iter().map(|s| format!("{s:?}")).collect();
    for ns in run.world().hosts() {
        all.extend(ns.ct.rows(run.world().now()).iter().map(|row| format!("{} {row:?}", ns.name)));
        all.push(format!("{} {:?} {:?}", ns.name, ns.ct.stats(), ns.ct.work()));
        for table in kernel::netfilter::xtables::TableId::ALL {
            if let Some(t) = ns.table(table) {
                all.push(format!("{} {table} {:?} {:?}", ns.name, t.state, t.policy));
            }
        }
    }
    all
}

/// With these rules more, what a shortcut and the whole way lead to; and how many ways the node has noted.
fn both_ways(n: u32, rules: &str) -> usize {
    let setting = Setting { seconds: 25, ..small(n) };
    let mut spec = load::spec(&setting).unwrap();
    let node = spec.scenario.hosts.iter_mut().find(|h| h.name == spec.node).unwrap();
    if !rules.is_empty() {
        // In the place of kube-proxy's own, which has no rules in this table.
        let text = node.iptables.get_or_insert_default();
        text.push_str(&format!("*mangle\n{rules}COMMIT\n"));
    }
    let (mut short, mut whole) =
        (sim::load::LoadRun::new(&spec).unwrap(), sim::load::LoadRun::new(&spec).unwrap());
    whole.go_whole_ways();
    short.advance(kernel::Instant(u64::MAX));
    whole.advance(kernel::Instant(u64::MAX));
    for (short, whole) in left(&short).iter().zip(&left(&whole)) {
        assert_eq!(short, whole, "iteration {n}");
    }
    let node = short.world().host(short.boxes()[0]).unwrap();
    if !rules.is_empty() {
        let mangle = node.table(kernel::netfilter::xtables::TableId::Mangle).unwrap();
        let asked = mangle.rules.chains.iter().enumerate().flat_map(|(at, _)| mangle.state.chain(at));
        assert!(asked.map(|rule| rule.counters.packets).sum::<u64>() > 0, "nothing was asked: {rules}");
    }
    node.ways_noted()
}

#[test]
fn shortcuts_lead_where_whole_ways_do() {
    for n in [1, 2, 7, 9] {
        assert!(both_ways(n, "") > 0, "iteration {n} noted nothing");
    }
}

#[test]
fn a_way_is_asked_about_each_time_where_rules_may_answer_otherwise() {
    for rule in [
        "-A FORWARD -m statistic --mode nth --every 3 --packet 0 -j MARK --set-xmark 0x1/0x1\n",
        "-A PREROUTING -m limit --limit 5/sec -j ACCEPT\n",
        "-A POSTROUTING -m statistic --mode random --probability 0.5 -j TTL --ttl-set 9\n",
        "-A FORWARD -m length --length 20:300 -j ACCEPT\n",
        "-A FORWARD -j TTL --ttl-dec 1\n",
    ] {
        both_ways(8, rule);
    }
}

#[test]
fn rules_that_ask_for_addresses_and_ports_alone_are_counted_on_shortcuts() {
    let rules = "-A PREROUTING -p udp -m udp --dport 1024:65535\n-A FORWARD -s 10.10.0.0/16 -j ACCEPT\n\
        -A POSTROUTING -p udp -m state --state ESTABLISHED -j RETURN\n-A POSTROUTING -o lo -j DROP\n";
    assert!(both_ways(8, rules) > 0);
}
