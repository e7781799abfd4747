//! Facts V2 f, V5 and V9 about modules: what loads them, who uses them, and how tools refuse to remove them
//! (`data/ipvs/modules.txt`, a session with kmod 30).

use crate::lab::{Lab, transcript};

#[test]
fn a_session_with_modprobe_rmmod_and_lsmod() {
    let text = transcript("modules");
    // Modules that are built in here, and the name of the kernel.
    let here = |l: &&str| {
        !["nf_nat.ko", "bridge.ko", "rmmod nf_nat"]
            .iter()
            .any(|w| l.ends_with(w) || l.ends_with(&format!("{w} ")))
    };
    let mut lab = Lab::new();
    lab.cmd("modprobe -r br_netfilter");
    lab.cmd("modprobe -r nf_nat_tftp");
    for (port, scheduler) in (1..).zip(["wlc", "rr", "wrr", "sh", "mh", "sed"]) {
        lab.cmd(&format!("ipvsadm -A -u 10.96.0.10:{port} -s {scheduler}"));
    }
    lab.cmd("ipvsadm -C");
    let mut expected: Vec<(usize, &str, Vec<String>)> = Vec::new();
    let mut listing = lab.cmd("lsmod");
    let mut listings: Vec<(usize, Vec<&str>)> = vec![(listing, Vec::new())];
    let mut commands = 0;
    for line in text.lines().skip(1) {
        if let Some(command) = line.strip_prefix("$ ") {
            commands += 1;
            let modelled = !command.ends_with(" bridge");
            let step = if modelled { lab.cmd(command) } else { usize::MAX };
            // What stands between the commands of the transcript.
            match commands {
                2 => drop(lab.cmd("ipvsadm -A -u 10.96.0.10:1 -s rr")),
                6 => drop(lab.cmd("ipvsadm -C")),
                _ => {}
            }
            listing = lab.cmd("lsmod");
            expected.push((step, command, Vec::new()));
            listings.push((listing, Vec::new()));
        } else if ["ip_vs", "nf_nat_tftp ", "nf_conntrack_tftp "].iter().any(|w| line.starts_with(w)) {
            listings.last_mut().unwrap().1.push(line);
        } else if ["insmod", "rmmod", "modprobe", "[rc"].iter().any(|w| line.starts_with(w)) && here(&line) {
            let line = line.replace("6.1.0-56-cloud-amd64", "6.18.0");
            expected.last_mut().unwrap().2.push(line);
        }
    }
    let record = lab.run();
    // The order of those who use a module is that of a directory.
    let users = |l: &String| {
        let mut words: Vec<String> =
            l.split([' ', ',']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        words.sort();
        words
    };
    for (step, command, lines) in expected.iter().filter(|(step, ..)| *step != usize::MAX) {
        let found = record.printed(*step);
        assert_eq!(
            found.iter().map(users).collect::<Vec<_>>(),
            lines.iter().map(users).collect::<Vec<_>>(),
            "{command}"
        );
    }
    let mut seen = 0;
    for (step, lines) in listings.iter().filter(|(_, lines)| lines.iter().any(|l| l.starts_with("ip_vs "))) {
        let found: Vec<_> =
            record.printed(*step).iter().filter(|l| l.starts_with("ip_vs")).map(users).collect();
        let lines: Vec<_> =
            lines.iter().filter(|l| l.starts_with("ip_vs")).map(|l| users(&(*l).to_owned())).collect();
        assert_eq!(found, lines);
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn v2_f_a_rule_holds_the_module_of_its_helper_and_the_nat_half_can_always_go() {
    let mut lab = Lab::new();
    for (line, expected) in [
        ("modprobe -r nf_nat_tftp", vec![]),
        ("iptables -t raw -A PREROUTING -p udp --dport 69 -j CT --helper tftp", vec![]),
        ("iptables -t raw -A PREROUTING -p udp --dport 70 -j CT --helper tftp", vec![]),
        // The rule has brought conntrack's half, and only that.
        ("modprobe -v nf_nat_tftp", vec!["insmod /lib/modules/6.18.0/kernel/net/netfilter/nf_nat_tftp.ko "]),
        (
            "rmmod nf_conntrack_tftp",
            vec!["rmmod: ERROR: Module nf_conntrack_tftp is in use by: nf_nat_tftp", "[rc=1]"],
        ),
        ("rmmod nf_nat_tftp", vec![]),
        ("rmmod nf_conntrack_tftp", vec!["rmmod: ERROR: Module nf_conntrack_tftp is in use", "[rc=1]"]),
        ("iptables -t raw -F", vec![]),
        ("rmmod nf_conntrack_tftp", vec![]),
        (
            "rmmod nf_conntrack_tftp",
            vec!["rmmod: ERROR: Module nf_conntrack_tftp is not currently loaded", "[rc=1]"],
        ),
    ] {
        let step = lab.cmd(line);
        assert_eq!(lab.run().printed(step), expected, "{line}");
    }
}

#[test]
fn v5_a_physdev_rule_brings_br_netfilter_and_does_not_hold_it() {
    let mut lab = Lab::new();
    lab.cmd("rmmod br_netfilter");
    lab.cmd("iptables -A FORWARD -m physdev --physdev-in vpoda -j ACCEPT");
    let there = lab.cmd("sysctl net.bridge.bridge-nf-call-iptables");
    let gone = lab.cmd("rmmod br_netfilter");
    let absent = lab.cmd("sysctl net.bridge.bridge-nf-call-iptables");
    let record = lab.run();
    assert_eq!(record.printed(there), ["net.bridge.bridge-nf-call-iptables = 1"]);
    assert_eq!(record.printed(gone), Vec::<String>::new());
    assert_ne!(record.outcome(absent)["rc"], 0);
}
