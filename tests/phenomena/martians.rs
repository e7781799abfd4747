//! rp_filter: a source whose way back is another device (cilium#13130, lyft cni#38).

use super::{Record, each, engine, fact, read};
use serde_json::{Value, json};

/// The steps in which the pod sends from an address of another link, with rp_filter 0, 1, 2; the next step asks `ip route get`.
const WITH: [usize; 3] = [1, 4, 7];
/// It sends from an address to which no route leads, with rp_filter 2.
const NOWHERE: usize = 10;

fn passed(record: &Record, step: usize) -> bool {
    !record.wire(step, "client", "eth0", "in").is_empty()
}

#[test]
fn only_1_asks_for_the_same_way_back() {
    for record in each("S17-rpfilter") {
        fact!(record, WITH.map(|step| passed(&record, step)), [true, false, true]);
    }
}

#[test]
fn with_2_there_must_be_some_way_back() {
    for record in each("S17-rpfilter") {
        assert!(!passed(&record, NOWHERE), "of the {}", record.by);
    }
}

#[test]
fn the_higher_of_all_and_of_the_device_counts() {
    for record in each("S17-rpfilter") {
        assert!(!passed(&record, 14), "of the {}", record.by);
    }
}

/// The kernel's lines of each step that has some.
fn recorded(record: &Value) -> Vec<String> {
    let steps = record["steps"].as_array().unwrap().iter();
    let lines =
        steps.filter(|s| s["stimulus"]["do"] == "raw").flat_map(|s| s["ns"]["_kmsg"]["log"].as_array());
    lines.flatten().map(|l| l.as_str().unwrap().to_owned()).collect()
}

/// What `dmesg` says on this host at the end of a scenario.
fn dmesg(name: &str, host: &str) -> Vec<String> {
    let mut scenario = read(&format!("kernel/scenarios/{name}.json"));
    let stimuli = scenario["stimuli"].as_array_mut().unwrap();
    let last = stimuli.len();
    stimuli.push(json!({ "do": "cmd", "host": host, "argv": ["dmesg"] }));
    let record = engine(&scenario);
    record.stdout(last).iter().map(|l| l.split_once("] ").unwrap().1.to_owned()).collect()
}

#[test]
fn log_martians_writes_two_lines_for_each() {
    let [kernel, _] = each("S17-rpfilter");
    let real = recorded(&kernel.json);
    assert_eq!(
        real[..2],
        [
            "IPv4: martian source 10.0.0.2 from 10.244.4.9, on dev vb",
            "ll header: 00000000: 02 00 00 00 02 02 02 00 00 00 03 01 08 00"
        ]
    );
    assert_eq!(dmesg("S17-rpfilter", "node"), real);
}

#[test]
fn every_kind_of_martian_is_told_in_the_kernels_words() {
    let real = recorded(&read("kernel/records/X-rpfilter.json"));
    assert!(real.contains(&"IPv4: martian destination 127.0.0.1 from 10.0.0.2, dev eth0".to_owned()));
    assert_eq!(dmesg("X-rpfilter", "router"), real);
}

#[test]
fn ip_route_get_tells_what_becomes_of_such_a_packet() {
    for record in each("S17-rpfilter") {
        fact!(record, record.stdout(WITH[0] + 1)[0], "10.0.0.2 from 10.244.4.9 dev eth0 ");
        fact!(record, record.stderr(WITH[1] + 1), ["RTNETLINK answers: Invalid argument"]);
    }
}

#[test]
fn until_6_12_it_says_invalid_cross_device_link() {
    let mut scenario = read("kernel/scenarios/S17-rpfilter.json");
    scenario["hosts"]["node"]["kernel"] = json!("5.15");
    let record = engine(&scenario);
    fact!(record, record.stderr(WITH[1] + 1), ["RTNETLINK answers: Invalid cross-device link"]);
}
