//! Capture files of labs, read by the real tshark: each packet is the one that our capture shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use sim::view::Captures;
use std::process::Command;
use tests::tshark;
use workshop::Setting;

const LABS: [(&str, &str, &str); 6] = [
    ("same-node-clusterip", "br_netfilter", "off"),
    ("same-node-clusterip", "br_netfilter", "on"),
    ("tftp-ipvs", "", ""),
    ("dns-race", "", ""),
    ("mtu-black-hole", "", ""),
    ("rp-filter", "", ""),
];

#[test]
fn tshark_reads_the_packets_that_the_capture_shows() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("no tshark: passed over");
        return;
    }
    for (name, switch, value) in LABS {
        let mut setting = Setting::new();
        if !switch.is_empty() {
            setting.insert(switch.to_owned(), value.to_owned());
        }
        let run = workshop::lab(name).unwrap().run(&setting).unwrap();
        let world = &run.run.world;
        let file = Captures::new(world, |_, _| true).pcapng(world);
        let theirs = tshark::lines(&file);
        let ours = tshark::expected(world);
        assert_eq!(theirs.len(), ours.len(), "{name}");
        for (n, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
            assert_eq!(theirs, ours, "{name} {value} packet {}", n + 1);
        }
    }
}

#[test]
fn a_device_alone_has_its_own_packets() {
    let run = workshop::lab("same-node-clusterip").unwrap().run(&Setting::new()).unwrap();
    let world = &run.run.world;
    let all = Captures::new(world, |_, _| true);
    let mut sum = 0;
    for i in &all.interfaces {
        let one = Captures::new(world, |h, d| (h, d) == (i.host, i.dev));
        assert_eq!(one.interfaces.len(), 1);
        let events = one.taken.iter().map(|t| t.event);
        assert!(events.eq(all.taken.iter().filter(|t| all.interfaces[t.interface] == *i).map(|t| t.event)));
        sum += one.taken.len();
    }
    assert_eq!(sum, all.taken.len());
}

#[test]
fn comments_tell_what_netfilter_did() {
    let run = workshop::lab("same-node-clusterip").unwrap().run(&Setting::new()).unwrap();
    let comments: Vec<String> =
        sim::view::remarks(&run.run.world).into_iter().map(|(_, text)| text).collect();
    let has = |part: &str| comments.iter().any(|c| c.contains(part));
    assert!(has("DNAT by KUBE-SEP-"), "{comments:#?}");
    assert!(has("→ 10.200.2.65:80"), "{comments:#?}");
}
