//! "Exposing TFTP Server as Kubernetes Service, Part 6": performance, and what conntrack has to do with it. Figures are those of the
//! model (docs/LOAD-MODEL.md) at a twentieth of the size, told at full size.

use kernel::event::What;
use std::sync::LazyLock;
use workshop::load::{ARTICLE, Report, Setting, UdpTimeouts, run};
use workshop::query;

const SCALE: u32 = 20;

/// The nine iterations; the fourth looks at the second again.
static REPORTS: LazyLock<Vec<Report>> = LazyLock::new(|| {
    let one = |n: u32| {
        let setting = Setting { scale: SCALE, ..Setting::iteration(n).unwrap() };
        run(&setting).unwrap_or_else(|e| panic!("{n}: {e}")).as_iteration(n)
    };
    (1..=9).map(one).collect()
});

fn iteration(n: usize) -> &'static Report {
    &REPORTS[n - 1]
}

fn within(value: u64, of: u64, percent: u64) -> bool {
    value.abs_diff(of) * 100 <= of * percent
}

fn logged(report: &Report, line: &str) -> bool {
    report.log.iter().any(|(_, _, l)| l.contains(line))
}

const TABLE_FULL: &str = "nf_conntrack: table full, dropping packet";
const EXPECTATIONS_FULL: &str = "nf_conntrack: expectation table full";

/// "Result: 8500 file transfers per second were served."
#[test]
fn the_bare_machine_serves_8500_files_a_second() {
    assert!(within(iteration(1).served(), 8500, 25), "{}", iteration(1).served());
}

/// "Result: 1000 file transfers per second were served", three times: one pod, three pods, and one pod looked at.
#[test]
fn behind_a_node_port_about_1000_are_left() {
    for n in [2, 3, 4] {
        assert!(within(iteration(n).served(), 1000, 30), "{n}: {}", iteration(n).served());
    }
}

/// "Running multiple pods showed no improvement in performance."
#[test]
fn three_pods_serve_no_more_than_one() {
    assert!(within(iteration(3).served(), iteration(2).served(), 10));
}

/// The values that the article lists: buckets 65536, max 131072, expect_max 1024, udp 30, stream 180.
#[test]
fn the_defaults_are_those_of_the_listing() {
    let s = Setting::iteration(4).unwrap();
    assert_eq!((s.buckets, s.max, s.expect_max), (65_536, 131_072, 1024));
    assert_eq!((s.node_udp, s.pod_udp), (UdpTimeouts::DEFAULT, UdpTimeouts::DEFAULT));
    assert_eq!(UdpTimeouts::DEFAULT, UdpTimeouts { first: 30, stream: 180 });
}

/// "The count grew rapidly to 131072 (approx) and remained around that number for rest of the duration of the test."
#[test]
fn the_count_grows_to_131072_and_stays() {
    let node = iteration(4).node().unwrap();
    assert_eq!(node.peak(), 131_072);
    let after = node.count.iter().skip(60);
    assert!(after.filter(|n| within(**n, 131_072, 5)).count() > 450);
}

/// "1024 expectations have been shown", and "did not increase any further".
#[test]
fn the_expectations_stand_at_1024() {
    assert_eq!(iteration(4).node().unwrap().expect_peak(), 1024);
}

/// "nf_conntrack: table full, dropping packet", and seconds later "nf_conntrack: expectation table full".
#[test]
fn the_log_tells_of_both_tables_and_of_the_expectations_later() {
    let report = iteration(4);
    assert!(logged(report, TABLE_FULL) && logged(report, EXPECTATIONS_FULL));
    assert!(report.table_full().unwrap() < report.expectations_full().unwrap());
}

/// "4000 file transfers per second were served" with an expect_max of 8K and a max of 512K; "size of expectation table is sufficient but
/// conntrack table is still getting full". Ten minutes cannot serve 4000 a second with two entries of 210 seconds each in 512K: the
/// figure is that of the first two minutes.
#[test]
fn larger_tables_serve_more_and_one_is_still_full() {
    let report = iteration(5);
    let article = ARTICLE.iter().find(|a| a.iteration == 5).unwrap();
    assert_eq!((article.served, report.setting.max, report.setting.expect_max), (4000, 524_288, 8192));
    assert!(within(report.served_at_first(), 4000, 25), "{}", report.served_at_first());
    assert!(logged(report, TABLE_FULL) && !logged(report, EXPECTATIONS_FULL));
}

/// "4100 file transfers per second were served". The article's log still complained; here longer hash
/// chains slow the first minutes down, and the table comes to 93 % (docs/LOAD-MODEL.md).
#[test]
fn a_million_entries_are_nearly_filled() {
    let report = iteration(6);
    assert_eq!(report.setting.max, 1_048_576);
    assert!(within(report.served(), 4100, 25), "{}", report.served());
    assert!(report.node().unwrap().peak() > 800_000, "{}", report.node().unwrap().peak());
}

/// Time-outs of 10 and 20 on the node: its count never comes near the limit, and the log still complains, as the pod's namespace has 30
/// and 180.
#[test]
fn the_pods_table_is_full_though_the_nodes_is_not() {
    let report = iteration(7);
    assert_eq!((report.setting.node_udp, report.setting.pod_udp), (UdpTimeouts::SHORT, UdpTimeouts::DEFAULT));
    assert!(report.node().unwrap().peak() < 524_288 / 2);
    assert_eq!(report.pods()[0].peak(), 524_288);
    assert!(logged(report, TABLE_FULL));
    assert!(within(report.served_at_first(), 4600, 25), "{}", report.served_at_first());
}

/// "5100 file transfers per second were served", no line in the log, and a count that "peaked around 200K".
#[test]
fn with_the_pods_time_outs_too_nothing_is_full() {
    let report = iteration(8);
    assert!(within(report.served(), 5100, 25), "{}", report.served());
    assert!(report.log.is_empty(), "{:?}", report.log.first());
    assert!(within(report.node().unwrap().peak(), 200_000, 25), "{}", report.node().unwrap().peak());
}

/// These sysctls are unsafe: the kubelet has to allow them, or the pod does not run.
#[test]
fn the_kubelet_has_to_allow_the_pods_sysctls() {
    let setting = Setting { allowed: false, ..Setting::iteration(8).unwrap() };
    let error = run(&setting).unwrap_err().to_string();
    assert!(error.contains("SysctlForbidden"), "{error}");
}

/// "5800 file transfers per second" with two pods.
#[test]
fn two_pods_serve_5800() {
    let report = iteration(9);
    assert_eq!(report.setting.replicas, 2);
    assert!(within(report.served(), 5800, 25), "{}", report.served());
    assert!(report.served() > iteration(8).served());
}

/// The order of the nine.
#[test]
fn the_iterations_have_the_articles_rank() {
    let served: Vec<u64> = REPORTS.iter().map(Report::served_at_first).collect();
    let [bare, one, three, again, fifth, sixth, seventh, eighth, ninth] = served[..] else { panic!() };
    assert!(one.max(three).max(again) < fifth && fifth <= sixth && sixth < eighth, "{served:?}");
    assert!(seventh < eighth && eighth < ninth && ninth < bare, "{served:?}");
}

/// "There are four events in conntrack table resulting in two entries in conntrack table. There are two events in expectation table
/// resulting in one entry": a transfer on the article's kernel.
#[test]
fn a_transfer_makes_four_events_and_two_of_expectations() {
    let set = [("nf_conntrack_tftp", "on"), ("nf_nat_tftp", "on"), ("mode", "iptables")];
    let setting = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let run = workshop::lab("tftp-ipvs").unwrap().run(&setting.collect()).unwrap();
    let node = run.run.world.host_by_name("learn-k8s-2").unwrap();
    let of_node = query::entries(&run.run).filter(|(_, e)| e.host == node);
    let (mut flows, mut expectations) = (0, 0);
    for (_, e) in of_node {
        match e.what() {
            Some(What::CtEvent(_)) => flows += 1,
            Some(What::ExpectEvent(_)) => expectations += 1,
            _ => {}
        }
    }
    assert_eq!((flows, expectations), (4, 2));
}
