//! What tcpdump shows on the worker.

use super::{call, lab, run, scenario};
use crate::shell;
use packet::Mac;
use sim::view::CaptureLine;
use sim::{LinkSpec, Run};
use workshop::Setting;

// ---------------------------------------------------------------------- captures

/// What `tcpdump -i any -nn -e port 80` shows on a box.
fn tcpdump(run: &Run, host: &str) -> Vec<CaptureLine> {
    let id = run.world.host_by_name(host).unwrap();
    let lines = sim::view::capture(&run.world).into_iter();
    lines.filter(|l| l.host == id && (l.text.contains(".80 > ") || l.text.contains(".80: "))).collect()
}

/// MAC address, `SRC > DST`, and flags.
fn parts(line: &CaptureLine) -> (&str, String, &str) {
    let words: Vec<&str> = line.text.split(' ').collect();
    let at = words.iter().position(|w| *w == ">").unwrap();
    let flags = words.iter().position(|w| *w == "Flags").unwrap();
    let flow = format!("{} > {}", words[at - 1], words[at + 1].trim_end_matches(':'));
    (words[2], flow, words[flags + 1].trim_end_matches(','))
}

/// Seven lines: the SYN to the cluster IP twice and to the pod twice, the SYN-ACK from the pod's IP twice, the client's RST. (The
/// article's listing ends there; the RST too goes on to the pod.)
#[test]
fn the_capture_has_the_articles_seven_lines() {
    let run = run(false, call());
    let lines = tcpdump(&run, "worker-2");
    let shown: Vec<(&str, String, &str)> = lines.iter().map(|l| (l.dir, parts(l).1, parts(l).2)).collect();
    let (vip, pod) = ("10.32.0.102.80", "10.200.2.65.80");
    let client = "10.200.2.63.58096";
    let line = |dir, from, to, flags| (dir, format!("{from} > {to}"), flags);
    assert_eq!(
        shown[..8],
        [
            line("P", client, vip, "[S]"),
            line("In", client, vip, "[S]"),
            line("Out", client, pod, "[S]"),
            line("Out", client, pod, "[S]"),
            line("P", pod, client, "[S.]"),
            line("Out", pod, client, "[S.]"),
            line("P", client, pod, "[R]"),
            line("Out", client, pod, "[R]"),
        ]
    );
    assert_eq!(lines[0].time, lines[1].time, "the bridge hands the frame up at once");
}

/// With -e: the client's address on its SYN until the node routes it, then the bridge's; nginx's on the SYN-ACK, also when the
/// bridge sends it on; the client's on the RST.
#[test]
fn the_addresses_are_the_clients_the_bridges_and_nginxs() {
    let run = lab("off");
    let lines = tcpdump(&run, "worker-2");
    let (client, bridge, nginx) = ("9e:d4:7d:ec:b7:6d", "12:e9:35:7a:5b:02", "fa:ce:1c:2d:05:eb");
    let mut seen: Vec<(&str, &str)> = lines.iter().map(|l| (l.dir, parts(l).0)).collect();
    seen.truncate(9);
    // The bridge has forgotten nginx2's port here, so it floods the SYN: two lines more.
    assert_eq!(
        seen,
        [
            ("P", client),
            ("In", client),
            ("Out", bridge),
            ("Out", bridge),
            ("Out", bridge),
            ("Out", bridge),
            ("P", nginx),
            ("Out", nginx),
            ("P", client),
        ]
    );
}

/// A SYN has 60 bytes and a RST 40. tcpdump of that time added 16 bytes of LINUX_SLL (76 and 56), today's adds 20 of LINUX_SLL2.
#[test]
fn a_syn_is_20_bytes_longer_than_a_rst() {
    let lines = tcpdump(&lab("off"), "worker-2");
    let length = |flags: &str| {
        let line = lines.iter().find(|l| parts(l).2 == flags).unwrap();
        line.text.split("length ").nth(1).unwrap().split(':').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!((length("[S]") - 20 + 16, length("[R]") - 20 + 16), (76, 56));
}

/// `P` means that the frame is addressed to another MAC than the port's own: it becomes `In` if the bridge bears the port's.
#[test]
fn the_first_line_is_in_if_the_bridge_has_the_ports_address() {
    let own = Mac([0x12, 0xe9, 0x35, 0x7a, 0x5b, 0x02]);
    let setting = Setting::from_iter([("br_netfilter".to_owned(), "off".to_owned())]);
    let direction = |port: Option<Mac>| {
        let mut scenario = workshop::lab("same-node-clusterip").unwrap().scenario(&setting).unwrap();
        for link in &mut scenario.links {
            match link {
                LinkSpec::Veth { a, a_mac, .. } if a.1 == "veth-tmp2" => *a_mac = port,
                _ => {}
            }
        }
        let first = tcpdump(&scenario.run().unwrap(), "worker-2").swap_remove(0);
        (first.dev, first.dir)
    };
    assert_eq!(direction(None), ("veth-tmp2".to_owned(), "P"));
    assert_eq!(direction(Some(own)), ("veth-tmp2".to_owned(), "In"));
}

/// `ip a s` tells whose address is whose; cnio0 has 10.200.2.1/24 and an mtu of 1500.
#[test]
fn ip_addr_shows_whose_address_it_is() {
    let run = lab("off");
    for (host, dev, mac) in [
        ("worker-2", "cnio0", "12:e9:35:7a:5b:02"),
        ("tmp2", "eth0", "9e:d4:7d:ec:b7:6d"),
        ("nginx2", "eth0", "fa:ce:1c:2d:05:eb"),
    ] {
        let lines = shell(&run, host, &format!("ip a s dev {dev}"));
        assert!(lines[1].starts_with(&format!("    link/ether {mac} brd ")), "{lines:?}");
    }
    let lines = shell(&run, "worker-2", "ip a s dev cnio0");
    assert!(lines[0].contains(" mtu 1500 ") && lines[2].contains("inet 10.200.2.1/24 "), "{lines:?}");
}

/// With br_netfilter no line is `In`. The SYN goes out by the bridge, with the bridge's address, and then by two ports with the
/// client's: the bridge puts it back. The SYN-ACK leaves with the Service's address.
#[test]
fn with_br_netfilter_the_bridge_sends_the_syn_on_and_translates_the_answer() {
    let run = lab("on");
    let lines = tcpdump(&run, "worker-2");
    let (client, bridge, nginx) = ("9e:d4:7d:ec:b7:6d", "12:e9:35:7a:5b:02", "fa:ce:1c:2d:05:eb");
    let flow = |from: &str, to: &str| format!("{from} > {to}");
    let (vip, pod, tmp2) = ("10.32.0.102.80", "10.200.2.65.80", "10.200.2.63.58096");
    let seen: Vec<_> = lines.iter().map(|l| (l.dir, parts(l))).collect();
    assert_eq!(
        seen[..7],
        [
            ("P", (client, flow(tmp2, vip), "[S]")),
            ("Out", (bridge, flow(tmp2, pod), "[S]")),
            ("Out", (client, flow(tmp2, pod), "[S]")),
            ("Out", (client, flow(tmp2, pod), "[S]")),
            ("P", (nginx, flow(pod, tmp2), "[S.]")),
            ("Out", (nginx, flow(vip, tmp2), "[S.]")),
            ("P", (client, flow(tmp2, vip), "[.]")),
        ]
    );
    assert!(lines.iter().filter(|l| l.text.contains(".58096")).all(|l| l.dir != "In"));
    assert_eq!(lines[1].dev, "cnio0");
}

/// The client acknowledges with win 502, nginx the request of 75 bytes with ack 76, win 509: a kernel before 6.16 scales windows
/// by 7 bits.
#[test]
fn with_br_netfilter_the_acknowledgements_are_the_articles() {
    let mut scenario = scenario(true, call());
    scenario.hosts.iter_mut().for_each(|h| h.era = kernel::Era::V5_15);
    let lines = tcpdump(&scenario.run().unwrap(), "worker-2");
    let has = |lines: &[CaptureLine], from: &str, what: &str| {
        lines.iter().any(|l| l.text.contains(from) && l.text.contains(what))
    };
    assert!(has(&lines, "10.200.2.63.58096 > 10.32.0.102.80: ", "Flags [.], ack 1, win 502,"));
    assert!(has(&lines, "10.200.2.65.80 > 10.200.2.63.58096: ", "win 509,"));
    let lines = tcpdump(&lab("on"), "worker-2");
    assert!(has(&lines, "10.200.2.65.80 > 10.200.2.63.58096: ", "Flags [.], ack 76, win "));
}
