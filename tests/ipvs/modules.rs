//! Facts V2 f, V5 and V9 about modules: what loads them, who uses them, and how tools refuse to remove them
//! (`data/ipvs/modules.txt`, a session with kmod 30).

use crate::lab::{Lab, Record, block, transcript};
use kernel::event::What;

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

/// A block of the session with parameters (`data/ipvs/parameters.txt`): each command with what it printed, and what the kernel
/// said. What modules say when they come is left out, and modules that are built in here.
fn parameters(text: &str, title: &str) -> Vec<(String, Vec<String>, Vec<String>)> {
    let mut out: Vec<(String, Vec<String>, Vec<String>)> = Vec::new();
    for line in block(text, title) {
        let tool = ["modprobe:", "iptables:", "rmmod", "insmod", "[rc"].iter().any(|w| line.starts_with(w));
        let kernel =
            ["_tftp: ", "_ftp: ", "ports: ", "xt_CT: ", "parameter '"].iter().any(|w| line.contains(w));
        if let Some(command) = line.strip_prefix("$ ") {
            out.push((command.to_owned(), Vec::new(), Vec::new()));
        } else if let Some((_, said, log)) = out.last_mut() {
            match (tool, kernel) {
                _ if line.contains("nf_nat.ko") => {}
                (true, _) => said.push(line.replace("6.1.0-56-cloud-amd64", "6.18.0")),
                (false, true) => log.push(line),
                _ => {}
            }
        }
    }
    out
}

#[test]
fn v4_f_parameters_of_modules_are_taken_and_refused_as_by_the_kernel() {
    let text = transcript("parameters");
    let mut commands = 0;
    // Block t has a blank in a word, block z removes the bridge.
    for title in "a b c d e f g h i j k l m n o p q r s u v w x".split(' ') {
        let mut lab = Lab::new();
        for module in ["nf_nat_tftp", "nf_nat_ftp", "nf_conntrack_tftp", "nf_conntrack_ftp", "br_netfilter"] {
            lab.cmd(&format!("rmmod {module}"));
        }
        let expected = parameters(&text, title);
        let steps: Vec<usize> = expected.iter().map(|(command, ..)| lab.cmd(command)).collect();
        let scenario = nflab::scenario::parse(&lab.scenario).unwrap();
        let run = scenario.run().unwrap();
        let record = Record(nflab::record::record(&lab.scenario, &scenario, &run));
        for ((command, said, log), step) in expected.iter().zip(steps) {
            assert_eq!(&record.printed(step), said, "{title}: {command}");
            let s = &run.steps[step];
            let entries = &run.world.log().entries()[s.first.index()..s.end.index()];
            let lines = entries.iter().filter_map(|e| match e.what()? {
                What::KernelLog(line) => Some(line.clone()),
                _ => None,
            });
            assert_eq!(&lines.collect::<Vec<_>>(), log, "{title}: {command}");
            commands += 1;
        }
    }
    assert!(commands > 45, "{commands}");
}

/// Block y: a rule that names a helper by its number holds the module as any other.
#[test]
fn v4_f_a_rule_holds_the_module_that_was_loaded_with_parameters() {
    let mut lab = Lab::new();
    for (line, expected) in [
        ("rmmod nf_nat_tftp", vec![]),
        ("rmmod nf_conntrack_tftp", vec![]),
        ("modprobe nf_conntrack_tftp ports=6969", vec![]),
        ("modprobe nf_nat_tftp", vec![]),
        ("iptables -t raw -A PREROUTING -p udp --dport 5 -j CT --helper tftp-0", vec![]),
        ("rmmod nf_nat_tftp", vec![]),
        ("rmmod nf_conntrack_tftp", vec!["rmmod: ERROR: Module nf_conntrack_tftp is in use", "[rc=1]"]),
        (
            "iptables -t raw -S",
            vec![
                "-P PREROUTING ACCEPT",
                "-P OUTPUT ACCEPT",
                "-A PREROUTING -p udp -m udp --dport 5 -j CT --helper tftp-0",
            ],
        ),
        ("iptables -t raw -F", vec![]),
        ("rmmod nf_conntrack_tftp", vec![]),
        // The parameter is gone with it.
        ("iptables -t raw -A PREROUTING -p udp --dport 5 -j CT --helper tftp", vec![]),
    ] {
        let step = lab.cmd(line);
        assert_eq!(lab.run().printed(step), expected, "{line}");
    }
}
