//! Capture files of labs, read by the real tshark: each packet is the one that our capture shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use sim::view::Captures;
use std::process::Command;
use tests::tshark;
use workshop::Setting;

/// With DNS, TFTP, HTTP, resets, ICMP errors, ARP.
const LABS: [(&str, &str, &str); 8] = [
    ("same-node-clusterip", "br_netfilter", "off"),
    ("same-node-clusterip", "br_netfilter", "on"),
    ("tftp-ipvs", "", ""),
    ("dns-race", "", ""),
    ("dns-race", "resolver", "use-vc"),
    ("mtu-black-hole", "", ""),
    ("rp-filter", "", ""),
    ("invalid-rst", "", ""),
];

fn run(name: &str, switch: &str, value: &str) -> workshop::LabRun {
    let mut setting = Setting::new();
    if !switch.is_empty() {
        setting.insert(switch.to_owned(), value.to_owned());
    }
    workshop::lab(name).unwrap().run(&setting).unwrap()
}

fn no_tshark() -> bool {
    let none = Command::new("tshark").arg("--version").output().is_err();
    if none {
        println!("no tshark: passed over");
    }
    none
}

#[test]
fn tshark_reads_the_packets_that_the_capture_shows() {
    if no_tshark() {
        return;
    }
    for (name, switch, value) in LABS {
        let run = run(name, switch, value);
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
fn tshark_reads_the_fields_that_the_capture_shows() {
    if no_tshark() {
        return;
    }
    for (name, switch, value) in LABS {
        let run = run(name, switch, value);
        let world = &run.run.world;
        let captures = Captures::new(world, |_, _| true);
        let theirs = tshark::fields(&captures.pcapng(world));
        let ours = tshark::shown(&captures, world);
        assert_eq!(theirs.len(), ours.len(), "{name}");
        for (n, (mut theirs, mut ours)) in theirs.into_iter().zip(ours).enumerate() {
            // Not everything that is sent to port 53 is DNS: what tshark makes of its names is left out.
            if let Some(at) = theirs.iter().position(|l| l.ends_with("<Unknown extended label>")) {
                theirs.truncate(at);
                ours.truncate(at);
            }
            // A file's name is repeated in each of its packets; of a quoted segment tshark scales the window, or does not.
            theirs.retain(|l| !(l.starts_with("tftp.destination_file") && l.contains(" 0 ")));
            if theirs.iter().any(|l| l.starts_with("icmp ")) {
                theirs.retain(|l| !l.starts_with("tcp.window_size"));
                ours.retain(|l| !l.starts_with("tcp.window_size"));
            }
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
