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

/// A page of so many bytes behind the link of 1400 bytes of the lab: whether it comes, and the longest segment that the pod has sent.
fn page(bytes: usize) -> (bool, u32) {
    let (_, text) = workshop::labs::TEXTS.iter().find(|(name, _)| *name == "mtu-black-hole").unwrap();
    let text = text.replace("bytes: 20000", &format!("bytes: {bytes}"));
    let run = workshop::read_lab(&text).unwrap().run(&workshop::Setting::new()).unwrap();
    let web = run.run.world.host_by_name("web").unwrap();
    let lines = sim::view::capture(&run.run.world);
    let length = |text: &str| text.rsplit("length ").next()?.split(':').next()?.parse::<u32>().ok();
    let sent = lines.iter().filter(|l| l.host == web && l.dir == "Out" && l.text.contains(".80 > "));
    (run.goals[0].reached, sent.filter_map(|l| length(&l.text)).max().unwrap())
}

/// The limit is sharp: 1348 bytes of data are a packet of 1400 with the headers of IP and TCP and the time stamps.
#[test]
fn one_byte_more_than_fits_never_comes() {
    let (mut comes, mut hangs) = (1000, 1500);
    assert!(page(comes).0 && !page(hangs).0);
    while hangs - comes > 1 {
        let middle = (comes + hangs) / 2;
        match page(middle).0 {
            true => comes = middle,
            false => hangs = middle,
        }
    }
    assert_eq!((page(comes), page(hangs)), ((true, 1348), (false, 1349)));
}
