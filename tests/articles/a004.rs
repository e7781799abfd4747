//! "Exposing TFTP Server as Kubernetes Service, Part 6": performance, and what conntrack has to do with it. Figures are those of the
//! model (docs/LOAD-MODEL.md) at a twentieth of the size, told at full size.

use kernel::Instant;
use kernel::event::{CtEventKind, ExpectEventKind, What};
use sim::operator::CommandOutput;
use std::sync::LazyLock;
use workshop::load::{ARTICLE, Report, Setting, Test, UdpTimeouts, goals, run};
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

/// What the lab asks for is what the eighth iteration has, and the first settings have not.
#[test]
fn the_goals_are_reached_by_the_eighth_iteration_and_not_before() {
    let reached = |n: usize| goals(iteration(n)).iter().filter(|g| g.holds).count();
    assert_eq!((1..=9).map(reached).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 0, 2, 2]);
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
    let (mut flows, mut expectations) = ((0, 0), (0, 0));
    for (_, e) in of_node {
        match e.what() {
            Some(What::CtEvent(e)) => flows = (flows.0 + 1, flows.1 + u32::from(e.kind == CtEventKind::New)),
            Some(What::ExpectEvent(e)) => {
                expectations =
                    (expectations.0 + 1, expectations.1 + u32::from(e.kind == ExpectEventKind::New));
            }
            _ => {}
        }
    }
    assert_eq!((flows, expectations), ((4, 2), (2, 1)), "events, entries");
}

// ---------------------------------------------------------------------- what is typed

const NODE: &str = "learn-k8s-2";
/// The article's pods are called after their ReplicaSet, tftp-server-69d49ffb8b-44m45.
const POD: &str = "tftp-server-1";

/// An iteration at full size, after so many seconds.
fn full_size(iteration: u32, seconds: u64) -> Test {
    let mut test = Test::new(&Setting { scale: 1, ..Setting::iteration(iteration).unwrap() }).unwrap();
    test.advance(Instant(seconds * 1_000_000));
    test
}

fn typed(test: &mut Test, on: Option<&str>, line: &str) -> CommandOutput {
    test.command(on, line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

/// What a command prints on the node.
fn on_node(test: &mut Test, line: &str) -> Vec<String> {
    typed(test, Some(NODE), line).stdout
}

/// `kubectl exec POD -- cat` of four settings.
fn in_pod(test: &mut Test) -> Vec<String> {
    ["expect_max", "max", "udp_timeout", "udp_timeout_stream"]
        .map(|n| format!("kubectl exec {POD} -- cat /proc/sys/net/netfilter/nf_conntrack_{n}"))
        .iter()
        .flat_map(|line| typed(test, None, line).stdout)
        .collect()
}

const COUNT: &str = "cat /proc/sys/net/netfilter/nf_conntrack_count";

/// What is typed on the node, one after the other.
const TYPED: [&str; 9] = [
    "watch -n 1 cat /proc/sys/net/netfilter/nf_conntrack_count",
    "conntrack -C",
    "conntrack -L expect",
    "cat /var/log/messages",
    "tail -f /var/log/messages",
    "dmesg -t",
    "conntrack -S",
    "sleep 31",
    "sleep 150",
];

/// What each prints in the fourth iteration at full size, when both tables are full and the log says so; of `sleep` the count behind
/// it.
static FULL: LazyLock<Vec<CommandOutput>> = LazyLock::new(|| {
    let mut test = full_size(4, 0);
    // A second at a time, as one who looks on.
    let end = (1..60).find(|second| {
        test.advance(Instant(second * 1_000_000));
        let node = test.world().host_by_name(NODE).and_then(|id| test.world().host(id)).unwrap();
        (node.ct.count(), node.ct.expect_count()) == (131_072, 1024)
            && logged(&test.report(), EXPECTATIONS_FULL)
    });
    assert!(end.is_some(), "both tables are never full");
    let mut answer = |line: &&str| match line.starts_with("sleep") {
        true => {
            typed(&mut test, None, line);
            typed(&mut test, Some(NODE), COUNT)
        }
        false => typed(&mut test, Some(NODE), line),
    };
    TYPED.iter().map(&mut answer).collect()
});

fn full(line: &str) -> &'static CommandOutput {
    &FULL[TYPED.iter().position(|l| *l == line).unwrap()]
}

/// "All the netfilter related kernel parameters can be listed", and "Let us examine the current values": helper 1, buckets 65536, max
/// 131072, expect_max 1024, udp_timeout 30, udp_timeout_stream 180. The article's count is 54, of the node's own connections; here
/// there are none.
#[test]
fn sysctl_prints_the_current_values() {
    let mut test = full_size(4, 0);
    let names = ["helper", "buckets", "max", "expect_max", "count", "udp_timeout", "udp_timeout_stream"];
    let asked: String = names.map(|n| format!(" net.netfilter.nf_conntrack_{n}")).concat();
    let values = [1, 65_536, 131_072, 1024, 0, 30, 180];
    let expected: Vec<String> =
        names.iter().zip(values).map(|(n, v)| format!("net.netfilter.nf_conntrack_{n} = {v}")).collect();
    assert_eq!(on_node(&mut test, &format!("sysctl{asked}")), expected);
    let all = on_node(&mut test, "sysctl -a");
    assert!(expected.iter().all(|line| all.contains(line)), "{all:?}");
}

/// "The performance test (which lasts for 10 minutes)", "a file of size 5KB".
#[test]
fn each_test_lasts_ten_minutes() {
    assert!((1..=9).all(|n| Setting::iteration(n).unwrap().seconds == 600));
    assert_eq!(workshop::load::spec(&Setting::default()).unwrap().file, 5 * 1024);
}

/// "watch -n 1 cat /proc/sys/net/netfilter/nf_conntrack_count": 131072.
#[test]
fn watch_shows_a_count_of_131072() {
    let screen = &full("watch -n 1 cat /proc/sys/net/netfilter/nf_conntrack_count").stdout;
    assert!(screen[0].starts_with("Every 1.0s: cat /proc/sys/net/"), "{screen:?}");
    assert_eq!(screen[1..], ["", "131072"]);
    assert_eq!(full("conntrack -C").stdout, ["131072"]);
}

/// "The last line shows the number of entries": 1024 expectations have been shown. (The article's tool is v1.4.4.)
#[test]
fn conntrack_l_expect_shows_1024_expectations() {
    let out = full("conntrack -L expect");
    assert_eq!(out.stdout.len(), 1024);
    assert_eq!(out.stderr, ["conntrack v1.4.7 (conntrack-tools): 1024 expectations have been shown."]);
    assert!(out.stdout.iter().all(|l| l.contains("class=0 helper=tftp")), "{}", out.stdout[0]);
}

/// "tail -f /var/log/messages": `DATE learn-k8s-2 kernel: nf_conntrack: table full, dropping packet`, ten seconds later `nf_conntrack:
/// expectation table full`.
#[test]
fn the_nodes_messages_have_the_articles_lines() {
    let lines = &full("cat /var/log/messages").stdout;
    let first = |says: &str| {
        let line = lines.iter().find(|l| l.ends_with(&format!(" {NODE} kernel: {says}"))).unwrap();
        let seconds = line.split(' ').find(|w| w.contains(':')).unwrap().rsplit(':').next().unwrap();
        seconds.parse::<u32>().unwrap()
    };
    let (table, expectations) = (first(TABLE_FULL), first(EXPECTATIONS_FULL));
    assert_eq!(expectations - table, 10);
    assert_eq!(full("tail -f /var/log/messages").stdout, lines[lines.len() - 10..]);
    let ring = &full("dmesg -t").stdout;
    assert_eq!(ring.len(), lines.len());
    assert!(lines.iter().zip(ring).all(|(line, said)| line.ends_with(said.as_str())));
}

/// "When the test stopped (i.e. no more incoming traffic), nf_conntrack_count did not immediately return to normal levels", because of
/// the time-outs of 30 and 180 seconds.
#[test]
fn the_count_falls_when_the_time_outs_are_over() {
    // Requests that were never answered end after 30 seconds, data that is ASSURED after 180.
    let count = |line: &str| full(line).stdout[0].parse::<u32>().unwrap();
    let (soon, later) = (count("sleep 31"), count("sleep 150"));
    assert!((50_000..131_072).contains(&soon), "{soon}");
    assert_eq!(later, 0, "the article's node has some 50 of its own");
}

/// "First connection has timeout of 30 seconds. The second connection, after getting final update, has a timeout of 180 seconds."
#[test]
fn a_request_lives_30_seconds_and_the_data_180() {
    let mut test = full_size(4, 3);
    let rows = on_node(&mut test, "conntrack -L");
    let left = |row: &String| row.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap();
    let (assured, first): (Vec<&String>, Vec<&String>) = rows.iter().partition(|r| r.contains("[ASSURED]"));
    let request: Vec<&&String> = first.iter().filter(|r| r.contains("dport=69 [UNREPLIED]")).collect();
    assert!(!request.is_empty() && request.iter().all(|r| (27..=30).contains(&left(r))), "{:?}", request[0]);
    assert!(!assured.is_empty() && assured.iter().all(|r| (177..=180).contains(&left(r))), "{}", assured[0]);
}

/// "vi /etc/sysctl.conf" and "sysctl -p", of iterations 5, 6 and 7.
#[test]
fn sysctl_p_loads_what_the_article_writes() {
    let larger = |max: u32| {
        vec![
            "net.netfilter.nf_conntrack_expect_max = 8192".to_owned(),
            format!("net.netfilter.nf_conntrack_max = {max}"),
        ]
    };
    let mut shorter = larger(524_288);
    shorter.extend([
        "net.netfilter.nf_conntrack_udp_timeout = 10".to_owned(),
        "net.netfilter.nf_conntrack_udp_timeout_stream = 20".to_owned(),
    ]);
    for (iteration, expected) in [(5, larger(524_288)), (6, larger(1_048_576)), (7, shorter)] {
        let mut test = full_size(iteration, 0);
        assert_eq!(on_node(&mut test, "sysctl -p"), expected, "{iteration}");
        let written: Vec<String> = expected.iter().map(|l| l.replace(" = ", "=")).collect();
        assert_eq!(on_node(&mut test, "cat /etc/sysctl.conf"), written, "{iteration}");
    }
}

/// "Let us verify the sysctls on pod": 8192, 524288, 30, 180.
#[test]
fn the_pod_has_the_nodes_limits_and_its_own_time_outs() {
    assert_eq!(in_pod(&mut full_size(7, 0)), ["8192", "524288", "30", "180"]);
}

/// "Also verified sysctls on pod": 8192, 524288, 10, 20.
#[test]
fn with_allowed_sysctls_the_pod_has_short_time_outs() {
    let mut test = full_size(8, 0);
    assert_eq!(in_pod(&mut test), ["8192", "524288", "10", "20"]);
    let kubelet = on_node(&mut test, "cat /var/lib/kubelet/config.yaml");
    assert!(kubelet.contains(&"allowedUnsafeSysctls:".to_owned()), "{kubelet:?}");
}

/// "nf_conntrack_max and nf_conntrack_expect_max are unnamespaced": what the node sets is the pod's, who cannot set it.
#[test]
fn a_limit_that_the_node_sets_is_the_pods_too() {
    let mut test = full_size(4, 0);
    on_node(&mut test, "sysctl -w net.netfilter.nf_conntrack_max=262144");
    let ask = format!("kubectl exec {POD} -- sysctl -n net.netfilter.nf_conntrack_max");
    assert_eq!(typed(&mut test, None, &ask).stdout, ["262144"]);
    typed(&mut test, Some(POD), "sysctl -w net.netfilter.nf_conntrack_max=9");
    assert_eq!(typed(&mut test, None, &ask).stdout, ["262144"]);
}

/// "kubectl exec -it POD -- cat /proc/sys/net/netfilter/nf_conntrack_count": the pod's namespace has a count of its own.
#[test]
fn the_pods_count_can_be_looked_at() {
    let ask = format!("kubectl exec -it {POD} -- cat /proc/sys/net/netfilter/nf_conntrack_count");
    let mut test = full_size(8, 3);
    let count = typed(&mut test, None, &ask).stdout[0].parse::<u32>().unwrap();
    assert!(count > 10_000, "{count}");
}

/// 'watch -n 1 "kubectl exec -it POD -- cat /proc/sys/net/netfilter/nf_conntrack_count"', on the node.
#[test]
fn the_pods_count_can_be_watched_from_the_node() {
    let mut test = full_size(4, 5);
    let file = "/proc/sys/net/netfilter/nf_conntrack_count";
    let screen = on_node(&mut test, &format!("watch -n 1 \"kubectl exec -it tftp-server-1 -- cat {file}\""));
    assert!(
        screen[0].starts_with("Every 1.0s: kubectl exec -it tftp-serv...  ") && screen[0].contains(NODE),
        "{screen:?}"
    );
    let count = typed(&mut test, None, &format!("kubectl exec tftp-server-1 -- cat {file}")).stdout;
    assert_eq!(screen[1..], [String::new(), count[0].clone()]);
}

/// "We can even reduce nf_conntrack_max from 512K to 256K."
#[test]
fn half_the_limit_is_enough_then() {
    let half = Setting { max: 262_144, scale: SCALE, ..Setting::iteration(8).unwrap() };
    let report = run(&half).unwrap();
    assert!(report.log.is_empty(), "{:?}", report.log.first());
    assert_eq!(report.served(), iteration(8).served());
}

/// Where the article is wrong: it takes "dropping packet" for the only answer. A full table gives up an entry that is not ASSURED
/// first, if it finds one.
#[test]
fn a_full_table_gives_up_entries_that_are_not_assured() {
    let stats = full("conntrack -S").stdout.concat();
    let value = |name: &str| {
        let word = stats.split_whitespace().find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
        word.unwrap().parse::<u64>().unwrap()
    };
    assert!(value("early_drop") > 0 && value("drop") > 0, "{stats}");
}

/// What is no command of a box is refused with what was expected.
#[test]
fn what_cannot_be_typed_there_is_refused() {
    let mut test = full_size(4, 0);
    for (on, line, says) in [
        (None, "kubectl get pods", "its commands"),
        (Some(NODE), "curl 10.0.0.1", "expected sleep, ip"),
        (Some("nobody"), "dmesg", "learn-k8s-2"),
        (None, "sleep long", "expected a number of seconds"),
        (None, "cat /etc/hosts", "write it as `BOX: cat"),
    ] {
        let why = test.command(on, line).unwrap_err();
        assert!(why.contains(says), "{line}: {why}");
    }
}
