//! A UDP flow outlives the endpoint that it was translated to: each packet renews the entry (k8s#48370, #139628).

use super::{each, fact};

#[test]
fn the_old_flow_still_goes_to_the_endpoint_that_is_gone() {
    for record in each("S17-stale-udp") {
        fact!(record, record.answered(0), "pod-b");
        fact!(record, record.outcome(3)["result"], "timeout");
        fact!(record, record.wire(3, "node", "vb", "out"), ["udp 10.0.0.2:5000>10.244.3.2:53 len=5"]);
    }
}

#[test]
fn a_new_flow_goes_to_the_new_endpoint() {
    for record in each("S17-stale-udp") {
        fact!(record, record.answered(4), "pod-c");
    }
}

#[test]
fn traffic_keeps_the_old_entry_alive() {
    for record in each("S17-stale-udp") {
        let left = |step: usize| {
            let row = record.rows(step).into_iter().find(|r| r["orig"]["sport"] == 5000).unwrap();
            assert_eq!(row["reply"]["src"], "10.244.3.2");
            row["timeout"].as_i64().unwrap()
        };
        // Three seconds and one more packet later it has as long as any stream that is answered.
        assert!(left(5) <= 30, "of the {}", record.by);
        assert!(left(8) > 100, "of the {}", record.by);
    }
}

#[test]
fn conntrack_d_cures_it() {
    for record in each("S17-stale-udp") {
        assert!(record.stderr(9)[0].ends_with("1 flow entries have been deleted."), "{:?}", record.stderr(9));
        fact!(record, record.answered(10), "pod-c");
    }
}

#[test]
fn without_an_endpoint_a_new_flow_is_refused_and_the_old_one_is_not() {
    for record in each("S17-stale-udp-reject") {
        fact!(record, record.outcome(3)["result"], "timeout");
        fact!(record, record.error(4), "ECONNREFUSED");
    }
}

#[test]
fn once_the_entry_is_gone_the_old_flow_is_refused_too() {
    for record in each("S17-stale-udp-reject") {
        fact!(record, record.error(7), "ECONNREFUSED");
        fact!(record, record.rows(8).len(), 0);
    }
}

#[test]
fn a_flow_from_before_the_first_endpoint_is_never_translated() {
    for record in each("S17-stale-udp-empty") {
        fact!(record, record.outcome(0)["result"], "timeout");
        fact!(record, record.outcome(2)["result"], "timeout");
        fact!(record, record.answered(3), "pod-b");
        let old = record.rows(4).into_iter().find(|r| r["orig"]["sport"] == 5000).unwrap();
        fact!(record, old["reply"]["src"], "10.96.0.10");
    }
}

#[test]
fn it_is_translated_once_its_entry_is_deleted() {
    for record in each("S17-stale-udp-empty") {
        fact!(record, record.answered(6), "pod-b");
    }
}

/// Its entry is UNREPLIED, and each packet gives it the whole time-out of such entries again: it never ends while somebody sends.
#[test]
fn a_flow_that_nobody_answers_is_renewed_by_each_packet() {
    for record in each("S17-stale-udp-empty") {
        let old = record.rows(4).into_iter().find(|r| r["orig"]["sport"] == 5000).unwrap();
        assert!(!old["status"].as_array().unwrap().iter().any(|s| s == "SEEN_REPLY"), "of the {}", record.by);
        let left = old["timeout"].as_i64().unwrap();
        assert!((28..=30).contains(&left), "of the {}: {left}", record.by);
    }
}
