//! A link with a smaller MTU, and somebody who throws ICMP away: connections stand, large answers never come
//! (hcloud-k8s#450, amazon-vpc-cni#356).

use super::{each, fact};

/// A short answer, a long one.
const SHORT: usize = 0;
const LONG: usize = 1;

#[test]
fn the_handshake_and_short_answers_work() {
    for record in each("S17-mtu-blackhole") {
        fact!(record, record.outcome(SHORT)["connect"], "ok");
        assert!(record.outcome(SHORT)["reply"].as_str().unwrap().starts_with("server saw "));
        fact!(record, record.outcome(LONG)["connect"], "ok");
    }
}

#[test]
fn a_long_answer_never_comes() {
    for record in each("S17-mtu-blackhole") {
        fact!(record, record.outcome(LONG)["reply"], "timeout");
    }
}

#[test]
fn the_router_says_so_and_the_server_does_not_hear_it() {
    for record in each("S17-mtu-blackhole") {
        let told = |dev: &str, dir: &str, host: &str| {
            let all = record.wire(LONG, host, dev, dir);
            all.into_iter().filter(|p| p.contains("type=3 code=4")).count()
        };
        assert!(told("eth0", "out", "r2") > 1, "of the {}", record.by);
        assert!(told("eth0", "in", "server") > 1, "of the {}", record.by);
    }
}

#[test]
fn the_same_segment_is_sent_again_and_again() {
    for record in each("S17-mtu-blackhole") {
        let long = |p: &&str| p.contains("len=13");
        let sent = record.wire(LONG, "server", "eth0", "out").into_iter().filter(long).count();
        let through = record.wire(LONG, "r2", "tun", "out").into_iter().filter(long).count();
        assert!(sent > 2, "of the {}: {sent}", record.by);
        fact!(record, through, 0);
    }
}

#[test]
fn three_cures_let_it_come() {
    // ICMP is let in; the router makes both sides agree on shorter segments; the server's own device has that MTU.
    for name in ["S17-mtu-icmp", "S17-mtu-clamp", "S17-mtu-device"] {
        for record in each(name) {
            let reply = record.outcome(LONG)["reply"].as_str().unwrap();
            assert!(reply.starts_with("server saw "), "{name} of the {}: {reply}", record.by);
        }
    }
}
