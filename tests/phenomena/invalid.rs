//! An answer that conntrack does not believe is not translated back; the client does not know who sends it, and resets its connection
//! (k8s#74839, kubernetes.io of 29 March 2019).

use super::{each, fact};

/// The connection stands; the late segment; the table; more is sent; the table.
const CONNECT: usize = 0;
const LATE: usize = 1;
const AFTER: usize = 2;
const MORE: usize = 3;

#[test]
fn without_a_rule_the_segment_reaches_the_client_from_the_pods_address() {
    for record in each("S17-invalid-nodrop") {
        fact!(record, record.outcome(CONNECT)["connect"], "ok");
        fact!(
            record,
            record.wire(LATE, "client", "eth0", "in"),
            ["tcp 10.244.3.2:8080>10.0.0.2:5000 [PA] len=4"]
        );
    }
}

#[test]
fn the_client_answers_a_stranger_with_rst() {
    for record in each("S17-invalid-nodrop") {
        fact!(record, record.wire(LATE, "client", "eth0", "out"), ["tcp 10.0.0.2:5000>10.244.3.2:8080 [R]"]);
    }
}

#[test]
fn that_rst_ends_the_real_connection() {
    for record in each("S17-invalid-nodrop") {
        // The pod takes it for one of its client.
        fact!(record, record.wire(LATE, "pod-b", "eth0", "in"), ["tcp 10.0.0.2:5000>10.244.3.2:8080 [R]"]);
        fact!(
            record,
            record.outcome(MORE)["error"].as_str().or(record.outcome(MORE)["reply"].as_str()),
            Some("ECONNRESET")
        );
    }
}

#[test]
fn kube_proxys_rule_drops_it_and_the_connection_goes_on() {
    for record in each("S17-invalid-drop") {
        fact!(record, record.wire(LATE, "client", "eth0", "in").len(), 0);
        assert!(
            record.outcome(MORE)["reply"].as_str().unwrap().ends_with("more"),
            "{}",
            record.outcome(MORE)
        );
    }
}

#[test]
fn be_liberal_lets_it_pass_translated_and_the_connection_goes_on() {
    for record in each("S17-invalid-liberal") {
        fact!(
            record,
            record.wire(LATE, "client", "eth0", "in")[0],
            "tcp 10.96.0.10:80>10.0.0.2:5000 [PA] len=4"
        );
        assert!(
            record.outcome(MORE)["reply"].as_str().unwrap().ends_with("more"),
            "{}",
            record.outcome(MORE)
        );
    }
}

#[test]
fn the_entry_does_not_change_by_it() {
    for name in ["S17-invalid-nodrop", "S17-invalid-drop"] {
        for record in each(name) {
            let states: Vec<&str> =
                record.rows(AFTER).iter().filter_map(|r| r["tcp_state"].as_str()).collect();
            // The RST belongs to no flow that conntrack knows.
            fact!(record, states, ["ESTABLISHED"]);
        }
    }
}
