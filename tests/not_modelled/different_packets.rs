//! "Different from Linux": what packets look like, TCP, ICMP, routes. Each test says what Linux does.

use crate::{Pair, printed};
use kernel::event::What;
use packet::{IcmpBody, Ip, L4, Payload, Protocol};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// A packet of these bytes behind the IP header.
fn whole(proto: Protocol, bytes: Vec<u8>) -> Ip {
    Ip::new(A, B, L4::Other(proto, Vec::new())).whole(bytes)
}

/// Linux keeps the options of a packet, answers or forwards it with them, and copies them to fragments as their first bit says.
#[test]
fn ip_headers_have_no_options() {
    // A message about a packet with a record route of which nothing is filled in.
    let mut quoted = vec![0x46, 0, 0, 40, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 7, 3, 4, 0];
    quoted.extend([0x10, 0, 0, 53, 0, 16, 0, 0]);
    let error = whole(Protocol::ICMP, [vec![3, 3, 0, 0, 0, 0, 0, 0], quoted].concat());
    let inner = error.icmp().unwrap().inner().unwrap();
    assert_eq!((inner.ports(), inner.total_len()), (Some((4096, 53)), 36));
}

/// Linux cuts such a datagram to the length that its header says, and delivers it (`pskb_trim_rcsum` in udp_lib_checksum's
/// callers).
#[test]
fn a_udp_length_field_is_the_length() {
    let datagram = |len: u8| whole(Protocol::UDP, vec![0x10, 0, 0, 53, 0, len, 0, 0, b'x', b'y']);
    assert!(!datagram(10).is_malformed());
    assert!(datagram(9).is_malformed());
}

/// Linux counts the memory of each fragment, which depends on how it came. 6.18 took three such datagrams here, not four
/// (recorded).
#[test]
fn waiting_fragments_cost_their_bytes_and_768() {
    let fit = |count: u16| {
        let mut pair = Pair::new();
        pair.set("b", "sysctl", json!({ "net.ipv4.ipfrag_high_thresh": 4096 }));
        let fragment = |id: u16, mf: bool| {
            let slice = if mf { [0, 56] } else { [56, 108] };
            json!({ "proto": "udp", "src": "10.0.0.1", "dst": "10.0.0.2", "sport": 5000, "dport": 9, "ipid": id,
                    "payload": "x".repeat(100), "frag_slice": slice, "mf": mf })
        };
        for id in 0..count {
            pair.frame("a", fragment(id, true));
        }
        let ends: Vec<usize> = (0..count).map(|id| pair.frame("a", fragment(id, false))).collect();
        let done = pair.run();
        ends.iter().all(|s| done.entries("b", *s).any(|e| matches!(e.what(), Some(What::Socket { .. }))))
    };
    assert_eq!([3, 4, 5].map(fit), [true, true, false]);
}

/// Linux's timers end in steps of some milliseconds, the youngest of a step first; where the steps begin is chance (recorded: of four
/// datagrams 1 0 3 2, 0 3 2 1, 0 2 1 3 ...).
#[test]
fn datagrams_are_given_up_oldest_first() {
    let mut pair = Pair::new();
    pair.set("b", "sysctl", json!({ "net.ipv4.ipfrag_time": 1, "net.ipv4.icmp_ratelimit": 0 }));
    for n in 0..4 {
        pair.frame(
            "a",
            json!({ "proto": "udp", "src": "10.0.0.1", "dst": "10.0.0.2", "sport": 5000 + n, "dport": 9, "ipid": n,
                    "payload": "x".repeat(40), "frag_slice": [0, 24], "mf": true }),
        );
    }
    let step = pair.then(json!({ "do": "sleep", "ms": 1300 }));
    let told = pair.run().packets("a", step, false);
    let about = told.iter().filter_map(Ip::icmp).filter_map(|i| match &i.body {
        IcmpBody::Error { inner, .. } => inner.ports(),
        _ => None,
    });
    assert_eq!(about.map(|(sport, _)| sport).collect::<Vec<_>>(), [5000, 5001, 5002, 5003]);
}

/// The lengths of the data that `a` sends in a step.
fn data_of(done: &crate::Done, step: usize) -> Vec<usize> {
    let sent = done.packets("a", step, true);
    sent.iter().filter_map(Ip::tcp).map(|t| t.payload.len()).filter(|n| *n > 0).collect()
}

/// After a pause of a retransmission time-out Linux begins with ten segments again (`tcp_slow_start_after_idle`), of which five
/// leave in one packet: 7240 bytes.
#[test]
fn the_congestion_window_never_shrinks() {
    let mut pair = Pair::new();
    let data = "x".repeat(30_000);
    pair.then(json!({ "do": "tcp", "host": "a", "dst": "10.0.0.2:80", "request": data, "hold": true }));
    pair.sleep(3000);
    let step = pair.then(json!({ "do": "tcpsend", "host": "a", "id": 0, "data": data }));
    assert!(data_of(&pair.run(), step)[0] > 7240);
}

/// The first call takes what fits into the buffer that Linux gives a new connection: 78,192 bytes (recorded).
#[test]
fn a_call_takes_any_length() {
    let mut pair = Pair::new();
    let request = "x".repeat(150_000);
    let step = pair.then(json!({ "do": "tcp", "host": "a", "dst": "10.0.0.2:80", "request": request }));
    assert_eq!(data_of(&pair.run(), step).iter().sum::<usize>(), 150_000);
}

/// A path of 600 bytes behind a router: of two packets that were too long, Linux sends ten segments of the first again, then its rest
/// and new data, and the second only when it is asked for it (recorded). Here nothing new is sent before the second.
#[test]
fn what_was_too_long_goes_before_what_is_new() {
    let scenario = json!({
        "name": "path", "settle_ms": 60,
        "hosts": {
            "c": { "addrs": { "eth0": ["10.0.0.2/24"] }, "routes": ["default via 10.0.0.1"] },
            "r": {
                "addrs": { "eth0": ["10.0.0.1/24"], "eth1": ["10.1.0.1/24"] },
                "sysctl": { "net.ipv4.ip_forward": 1 }, "ip": ["link set eth1 mtu 600"],
            },
            "s": {
                "addrs": { "eth0": ["10.1.0.2/24"] }, "routes": ["default via 10.1.0.1"],
                "servers": [{ "proto": "tcp", "bind": "0.0.0.0:80", "mode": "sink" }],
            },
        },
        "links": [
            { "type": "veth", "a": "c:eth0", "b": "r:eth0" },
            { "type": "veth", "a": "r:eth1", "b": "s:eth0" },
        ],
        "stimuli": [{ "do": "tcp", "host": "c", "src": "10.0.0.2:4000", "dst": "10.1.0.2:80",
                      "request": "x".repeat(20_000), "timeout_ms": 1500 }],
    });
    let done = crate::Done(nflab::scenario::parse(&scenario).unwrap().run().unwrap());
    let sent = done.packets("c", 0, true);
    let data = sent.iter().filter_map(Ip::tcp).filter(|t| !t.payload.is_empty());
    let parts: Vec<(u32, usize)> = data.map(|t| (t.seq, t.payload.len())).collect();
    let from = |n: usize| (parts[n].0.wrapping_sub(parts[0].0), parts[n].1);
    let linux = [(0, 7240), (7240, 7240), (0, 5480), (5480, 1760), (14_480, 5480), (7240, 7240)];
    assert_eq!([0, 1, 2, 3].map(from), linux[..4]);
    assert_eq!(from(4), (7240, 7240));
}

/// Linux writes what has arrived behind a gap into options of its acknowledgements (RFC 2018), and its conntrack reads them.
#[test]
fn acknowledgements_have_no_sack_blocks() {
    let mut bytes = vec![0, 80, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 16, 1, 0, 0, 0, 0, 0];
    // Two NOPs and one block.
    bytes.extend([1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 0, 12]);
    let ip = whole(Protocol::TCP, bytes);
    assert!(ip.tcp().unwrap().options.is_empty(), "{ip:?}");
}

/// The ticks of a real machine began when it was switched on; RHEL 7's kernel (3.10) has 1000 of them a second.
#[test]
fn the_clock_ticks_at_250_hz_from_the_start() {
    for kernel in ["3.10", "6.18"] {
        let mut pair = Pair::new();
        pair.set("a", "kernel", json!(kernel));
        pair.cmd_in("b", "ip link set eth0 down");
        let syn = json!({ "do": "tcp", "host": "a", "dst": "10.0.0.2:80", "timeout_ms": 8000 });
        let step = pair.then(syn);
        let done = pair.run();
        let times: Vec<u64> = done.frames("a", step, true).iter().map(|(at, _)| *at).collect();
        assert!(times.len() > 2, "{times:?}");
        assert!(times[1..].iter().all(|at| at % 4000 < 10), "{times:?}");
    }
}

/// Linux draws the time for each device anew every five minutes: 15 to 45 seconds (`neigh_rand_reach_time`).
#[test]
fn neighbours_are_reachable_for_the_mean_time() {
    let after = |ms: u64| {
        let mut pair = Pair::new();
        pair.set("a", "neigh", json!([]));
        pair.udp(4000, 9);
        pair.sleep(ms);
        let show = pair.cmd("ip neigh show");
        pair.run().printed(show).concat()
    };
    let entry = |state: &str| format!("10.0.0.2 dev eth0 lladdr 02:00:00:00:02:01 {state} ");
    assert_eq!((after(29_000), after(31_000)), (entry("REACHABLE"), entry("STALE")));
    let mut pair = Pair::new();
    pair.cmd("ip neigh replace 10.0.0.2 lladdr 02:00:00:00:02:01 dev eth0 nud reachable");
    pair.sleep(31_000);
    let show = pair.cmd("ip neigh show");
    assert_eq!(pair.run().printed(show).concat(), entry("STALE"));
}

/// Linux has these settings for each device.
#[test]
fn solicitations_cannot_be_set() {
    for name in ["ucast_solicit", "mcast_solicit", "retrans_time_ms"] {
        let said = printed(&format!("sysctl net.ipv4.neigh.eth0.{name}"));
        assert_eq!(said.last().unwrap(), "[rc=1]", "{name}");
    }
}

/// Linux waits for a random part of `proxy_delay`, 0.8 seconds, unless the request was for itself alone.
#[test]
fn proxy_arp_answers_at_once() {
    let mut pair = Pair::new();
    pair.set("a", "ip", json!(["link add d0 type dummy", "link set d0 up", "addr add 10.7.0.1/24 dev d0"]));
    let on = json!({ "net.ipv4.conf.eth0.proxy_arp": 1, "net.ipv4.ip_forward": 1,
                     "net.ipv4.neigh.eth0.proxy_delay": 1000 });
    pair.set("a", "sysctl", on);
    pair.set("b", "routes", json!(["10.7.0.0/24 dev eth0"]));
    let step = pair.then(json!({ "do": "ping", "host": "b", "dst": "10.7.0.9" }));
    let done = pair.run();
    let arp = |out| {
        let frames = done.frames("b", step, out);
        frames.into_iter().find(|(_, f)| matches!(f.payload, Payload::Arp(_))).unwrap().0
    };
    assert!(arp(false) - arp(true) < 1000);
}

/// How many of 30 errors to 30 addresses are sent at once, with a burst of 10.
fn errors(kernel: &str) -> usize {
    let mut pair = Pair::new();
    pair.set("b", "kernel", json!(kernel));
    pair.set("b", "sysctl", json!({ "net.ipv4.icmp_msgs_burst": 10, "net.ipv4.icmp_msgs_per_sec": 10 }));
    pair.set("b", "routes", json!(["10.8.0.0/24 via 10.0.0.1"]));
    let steps: Vec<usize> = (1..=30)
        .map(|n| {
            let src = format!("10.8.0.{n}");
            pair.frame("a", json!({ "proto": "udp", "src": src, "dst": "10.0.0.2", "sport": 5, "dport": 7 }))
        })
        .collect();
    let done = pair.run();
    steps.iter().map(|s| done.packets("b", *s, true).len()).sum()
}

/// Linux takes none, one or two from the credit, by chance (`get_random_u32_below(3)`).
#[test]
fn each_icmp_error_takes_one_from_the_credit() {
    assert_eq!(errors("6.18"), 10);
}

/// Before 6.12 a machine has one credit: what one namespace sends, another cannot.
#[test]
fn each_namespace_has_its_own_icmp_credit() {
    let mut pair = Pair::new();
    for host in ["a", "b"] {
        pair.set(host, "kernel", json!("6.1"));
        pair.set(host, "sysctl", json!({ "net.ipv4.icmp_msgs_burst": 10, "net.ipv4.icmp_msgs_per_sec": 10 }));
        pair.set(host, "routes", json!(["10.8.0.0/24 dev eth0"]));
    }
    let mut sent = Vec::new();
    for (from, to, dst) in [("a", "b", "10.0.0.2"), ("b", "a", "10.0.0.1")] {
        let steps: Vec<usize> = (1..=20)
            .map(|n| {
                let src = format!("10.8.0.{n}");
                pair.frame(from, json!({ "proto": "udp", "src": src, "dst": dst, "sport": 5, "dport": 7 }))
            })
            .collect();
        sent.push((to, steps));
    }
    for (host, other) in [("a", "02:00:00:00:02:01"), ("b", "02:00:00:00:01:01")] {
        let neigh: Vec<String> = (1..=20).map(|n| format!("10.8.0.{n} lladdr {other} dev eth0")).collect();
        pair.set(host, "neigh", json!(neigh));
    }
    let done = pair.run();
    let counts: Vec<usize> = sent
        .iter()
        .map(|(host, steps)| steps.iter().map(|s| done.packets(host, *s, true).len()).sum())
        .collect();
    assert_eq!(counts, [10, 10]);
}

/// Linux's times are those of the day, in milliseconds since midnight UTC.
#[test]
fn icmp_timestamps_begin_with_the_run() {
    let mut pair = Pair::new();
    let ask = json!({ "proto": "icmp", "type": 13, "src": "10.0.0.1", "dst": "10.0.0.2", "payload": "\0\0\0\0\0\0\0\0\0\0\0\0" });
    pair.sleep(5000);
    let step = pair.frame("a", ask);
    let done = pair.run();
    let answer = done.packets("b", step, true).remove(0);
    let IcmpBody::Query { payload, .. } = &answer.icmp().unwrap().body else { panic!("{answer:?}") };
    let received = u32::from_be_bytes(payload[4..8].try_into().unwrap());
    assert!((5000..5100).contains(&received), "{received}");
}

/// A kernel with the module sctp has sockets of it.
#[test]
fn sctp_has_no_sockets() {
    let mut pair = Pair::new();
    let pkt = json!({ "proto": 132, "src": "10.0.0.1", "dst": "10.0.0.2", "payload": "\u{0}\u{9}\u{0}\u{50}\0\0\0\0\0\0\0\0" });
    let step = pair.frame("a", pkt);
    let done = pair.run();
    let error = done.packets("b", step, true).remove(0);
    let icmp = error.icmp().unwrap();
    assert_eq!((icmp.kind, icmp.code), (3, 2));
}

/// A pair in which `a` knows two routers of its network, and 10.9.0.0/16 behind them.
fn two_routers(route: &str) -> Pair {
    let mut pair = Pair::new();
    let macs = ["10.0.0.7 lladdr 02:00:00:00:00:07 dev eth0", "10.0.0.8 lladdr 02:00:00:00:00:08 dev eth0"];
    pair.set("a", "neigh", json!(macs));
    let lines: Vec<&str> = route.split("; ").collect();
    pair.set("a", "ip", json!(lines));
    pair
}

/// The last byte of the MAC of each router that was taken.
fn taken(done: &crate::Done, steps: &[usize]) -> Vec<u8> {
    let mac = |s: &usize| done.frames("a", *s, true).iter().map(|(_, f)| f.dst.0[5]).next().unwrap();
    steps.iter().map(mac).collect()
}

/// Linux mixes a secret into the hash that spreads flows (`fib_multipath_hash`), so each boot spreads them otherwise.
#[test]
fn multipath_routes_spread_flows_without_a_secret() {
    let mut pair = two_routers("route add 10.9.0.0/16 nexthop via 10.0.0.7 nexthop via 10.0.0.8");
    let steps: Vec<usize> = (1..=12).map(|n| pair.udp_to(4000, &format!("10.9.0.{n}:9"))).collect();
    assert_eq!(taken(&pair.run(), &steps), [7, 8, 8, 8, 8, 8, 7, 7, 8, 7, 8, 7]);
}

/// Linux leaves a default route whose gateway does not answer for another one of the same metric (`fib_select_default`).
#[test]
fn of_equal_default_routes_the_first_is_taken() {
    let mut pair = two_routers("route add default via 10.0.0.6; route append default via 10.0.0.8");
    pair.udp_to(4000, "10.9.0.1:9");
    pair.sleep(5000);
    let step = pair.udp_to(4001, "10.9.0.1:9");
    let done = pair.run();
    let frames = done.frames("a", step, true);
    assert!(frames.iter().all(|(_, f)| matches!(f.payload, Payload::Arp(_))), "{frames:?}");
}

/// A redirect to the other router, from the one that was asked.
fn redirect(about: &str) -> serde_json::Value {
    // 10.0.0.8
    let inner = json!({ "proto": "udp", "src": "10.0.0.1", "dst": about, "sport": 4000, "dport": 9 });
    json!({ "proto": "icmp", "type": 5, "code": 1, "src": "10.0.0.7", "dst": "10.0.0.1", "rest": 167_772_168, "inner": inner })
}

/// Linux forgets a redirect after five minutes (`ip_rt_gc_timeout`).
#[test]
fn redirects_are_believed_for_ever() {
    let mut pair = two_routers("route add 10.9.0.0/16 via 10.0.0.7");
    let mut steps = vec![pair.udp_to(4000, "10.9.0.1:9")];
    pair.frame("b", redirect("10.9.0.1"));
    steps.push(pair.udp_to(4000, "10.9.0.1:9"));
    pair.sleep(400_000);
    steps.push(pair.udp_to(4000, "10.9.0.1:9"));
    assert_eq!(taken(&pair.run(), &steps), [7, 8, 8]);
}

/// Linux keeps a redirect with the next hop of the route that was used: another route knows nothing of it.
#[test]
fn redirects_outlive_their_route() {
    let mut pair = two_routers("route add 10.9.0.0/16 via 10.0.0.7");
    pair.udp_to(4000, "10.9.0.1:9");
    pair.frame("b", redirect("10.9.0.1"));
    let before = pair.udp_to(4000, "10.9.0.1:9");
    pair.cmd("ip route del 10.9.0.0/16");
    pair.cmd("ip route add 10.9.0.0/16 via 10.0.0.7");
    let after = pair.udp_to(4000, "10.9.0.1:9");
    assert_eq!(taken(&pair.run(), &[before, after]), [8, 8]);
}

/// On Linux a capture of what a host itself sends over a veth shows sums that nobody has filled in; `-j CHECKSUM` fills them.
#[test]
fn checksums_are_always_filled_in() {
    let mut pair = Pair::new();
    let step = pair.udp(5000, 9);
    let done = pair.run();
    let sent = done.packets("a", step, true).remove(0);
    let bytes = sent.payload_bytes();
    assert!(sent.checksum_covers(Protocol::UDP, &bytes, bytes.len()));
}
