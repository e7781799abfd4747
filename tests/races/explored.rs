//! Every order in which two packets can overlap. `data/race/recorded.json` is what two processors of the real kernel did with the same
//! packets, many times (`tests/fuzz/race.py`).

use nflab::race::explore;
use serde_json::{Value, json};
use sim::race::{Explored, Fate};
use std::path::Path;

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/race").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// How many packets passed, and which counters moved.
type Seen = (u64, Vec<(String, u64)>);

fn engine(explored: &[Explored]) -> Vec<Seen> {
    let one = |e: &Explored| {
        let passed = e.outcome.packets.iter().filter(|f| matches!(f, Fate::Passed(_))).count();
        let mut counters: Vec<_> = e.outcome.counters.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        counters.sort();
        (passed as u64, counters)
    };
    explored.iter().map(one).collect()
}

fn kernel(name: &str) -> Vec<Seen> {
    let recorded = read("recorded");
    let one = |o: &Value| {
        let counters = o["counters"].as_object().unwrap();
        let mut counters: Vec<_> = counters.iter().map(|(k, v)| (k.clone(), v.as_u64().unwrap())).collect();
        counters.sort();
        (o["passed"].as_u64().unwrap(), counters)
    };
    recorded["cases"][name].as_array().unwrap().iter().map(one).collect()
}

/// What the kernel has done, the engine does in some order. `more` is what it does in orders that the kernel's processors have not hit.
fn covers(name: &str, more: &[Seen]) {
    let found = engine(&explore(&read(name)).unwrap());
    let real = kernel(name);
    for seen in &real {
        assert!(found.contains(seen), "{name}: the kernel did {seen:?}, the engine only {found:?}");
    }
    for seen in &found {
        assert!(real.contains(seen) || more.contains(seen), "{name}: only the engine did {seen:?}");
    }
}

#[test]
fn two_masqueraded_connections_choose_the_same_port() {
    covers("masquerade-tcp", &[]);
}

#[test]
fn two_masqueraded_datagrams_choose_the_same_port() {
    covers("masquerade-udp", &[]);
}

#[test]
fn fully_random_ports_hardly_ever_meet() {
    covers("masquerade-random-fully-tcp", &[]);
}

#[test]
fn two_datagrams_of_one_socket_for_two_endpoints() {
    covers("dns-two-endpoints", &[]);
}

#[test]
fn two_datagrams_of_one_socket_for_one_endpoint() {
    covers("dns-one-endpoint", &[]);
}

#[test]
fn two_datagrams_that_cross() {
    // NAT looks at its place between conntrack's, which takes much less time than the way from there to the end.
    let found = |n| (2, vec![("clash_resolve".to_owned(), 1), ("found".to_owned(), n)]);
    covers("crossing", &[found(1), found(2)]);
}

/// The fates of the packets in every outcome, with that kernel on the router.
fn fates(name: &str, version: &str) -> Vec<String> {
    let mut scenario = read(name);
    scenario["hosts"]["r"]["kernel"] = json!(version);
    let mut out: Vec<String> = explore(&scenario)
        .unwrap()
        .iter()
        .map(|e| {
            let packets: Vec<String> = e.outcome.packets.iter().map(|f| f.text()).collect();
            let counters: Vec<String> = e.outcome.counters.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("{} | {}", packets.join(", "), counters.join(" "))
        })
        .collect();
    out.sort();
    out
}

const LOST: &str = "dropped: conntrack could not insert the entry: a tuple is taken";

#[test]
fn until_5_5_one_of_two_queries_for_two_endpoints_is_lost() {
    for (version, counters) in [("3.10", "insert_failed=1"), ("4.19", "insert_failed=1 drop=1")] {
        assert_eq!(
            fates("dns-two-endpoints", version),
            [
                format!("{LOST}, passed | {counters}"),
                format!("passed, {LOST} | {counters}"),
                "passed, passed | ".to_owned()
            ],
            "{version}"
        );
    }
}

#[test]
fn since_5_6_both_queries_for_two_endpoints_pass() {
    for version in ["5.15", "6.1", "6.18"] {
        assert_eq!(
            fates("dns-two-endpoints", version),
            [
                "passed, its entry sees answers only, passed | clash_resolve=1",
                "passed, passed | ",
                "passed, passed, its entry sees answers only | clash_resolve=1"
            ],
            "{version}"
        );
    }
}

#[test]
fn in_4_19_two_queries_for_one_endpoint_share_an_entry_if_nat_has_not_seen_the_first() {
    // Otherwise NAT has drawn another port for the second one, and that is another flow.
    assert_eq!(
        fates("dns-one-endpoint", "4.19"),
        [
            &format!("{LOST}, passed | found=2 insert_failed=1 drop=1"),
            "passed with the other's entry, passed | insert_failed=1",
            &format!("passed, {LOST} | found=2 insert_failed=1 drop=1"),
            "passed, passed with the other's entry | insert_failed=1",
            "passed, passed | "
        ]
    );
}

#[test]
fn of_packets_that_cross_one_is_lost_until_6_11() {
    let lost = |version| fates("crossing", version).iter().any(|f| f.contains(LOST));
    assert!(["4.19", "5.15", "6.1"].into_iter().all(lost));
    assert!(!lost("6.18"));
}
