//! What `conntrack` prints, against conntrack-tools 1.4.7 on Linux 6.18 after the same traffic (recordings S14-conntrack-*).

use super::*;

fn read(folder: &str, name: &str) -> Value {
    let path = format!("{}/data/kernel/{folder}/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A line without what differs from run to run: seconds left, ids.
fn line(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    if let Some(seconds) = words.iter().position(|w| w.starts_with("src=")) {
        // The protocol's number stands before the seconds, TCP's state behind them.
        let at = if words[seconds - 1].parse::<u32>().is_ok() { seconds - 1 } else { seconds - 2 };
        words[at] = "T";
    }
    for word in &mut words {
        if word.starts_with("delta-time=") {
            *word = "delta-time=T";
        }
    }
    if words.last().is_some_and(|w| w.starts_with("id=")) && words.contains(&"use=1") {
        words.pop();
        words.push("id=N");
    }
    words.join(" ")
}

/// Lines in the order of their text, as a kernel lists in the order of its hashes; statistics summed over the processors.
fn lines(value: &Value) -> Vec<String> {
    let texts = value.as_array().unwrap().iter().map(|l| l.as_str().unwrap());
    let (stats, rest): (Vec<&str>, Vec<&str>) = texts.partition(|l| l.starts_with("cpu="));
    let mut out: Vec<String> = rest.into_iter().map(line).collect();
    let mut sums: Vec<(String, u64)> = Vec::new();
    for word in stats.iter().flat_map(|l| l.split_whitespace()).filter(|w| !w.starts_with("cpu=")) {
        let (name, n) = word.split_once('=').unwrap();
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += n.parse::<u64>().unwrap(),
            None => sums.push((name.to_owned(), n.parse().unwrap())),
        }
    }
    out.extend(sums.iter().map(|(name, n)| format!("{name}={n}")));
    out.sort();
    out
}

/// How many commands of a recording there are; each has printed the same here.
fn same_text(name: &str) -> usize {
    let engine = nflab::replay(&read("scenarios", name)).unwrap();
    let kernel = read("records", name);
    let mut commands = 0;
    for (k, e) in kernel["steps"].as_array().unwrap().iter().zip(engine["steps"].as_array().unwrap()) {
        if k["stimulus"]["do"] != "cmd" {
            continue;
        }
        let (k_out, e_out) = (&k["outcome"], &e["outcome"]);
        assert_eq!(k_out["rc"], e_out["rc"], "{}", k["stimulus"]["argv"]);
        for stream in ["stdout", "stderr"] {
            assert_eq!(lines(&k_out[stream]), lines(&e_out[stream]), "{}", k["stimulus"]["argv"]);
        }
        commands += 1;
    }
    commands
}

#[test]
fn every_command_prints_what_the_real_one_does() {
    assert!(same_text("S14-conntrack-tool") > 100);
}

/// Packets and bytes, time stamps, statistics.
#[test]
fn what_is_counted_is_printed_as_the_real_one_does() {
    assert!(same_text("S14-conntrack-settings") > 20);
}

/// The lines of `conntrack -E` and `-E expect` during a TFTP transfer, as a recorded session shows them.
#[test]
fn events_are_printed_as_they_came() {
    let rules = "*raw\n-A OUTPUT -p udp -m udp --dport 69 -j CT --helper tftp\nCOMMIT\n";
    let mut request = udp(2070, 69, false);
    request["payload"] = "\0\u{1}f\0octet\0".into();
    let stimuli = [
        request,
        cmd("conntrack -E"),
        cmd("conntrack -E expect"),
        cmd("conntrack -D -p udp"),
        cmd("conntrack -E -e DESTROY -o extended"),
    ];
    let run = pair(rules, &stimuli).run().unwrap();
    let flow = "src=10.9.0.1 dst=10.9.0.2 sport=2070 dport=69 [UNREPLIED] src=10.9.0.2 dst=10.9.0.1 sport=69 dport=2070";
    assert_eq!(output(&run, 1).stdout, [format!("    [NEW] udp      17 30 {flow} helper=tftp")]);
    let summary = "conntrack v1.4.7 (conntrack-tools): 1 flow events have been shown.";
    assert_eq!(output(&run, 1).stderr, [summary]);
    let expected = "    [NEW] 300 proto=17 src=10.9.0.2 dst=10.9.0.1 sport=0 dport=2070 mask-src=255.255.255.255 \
                    mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.9.0.1 master-dst=10.9.0.2 sport=2070 \
                    dport=69 class=0 helper=tftp";
    assert_eq!(output(&run, 2).stdout, [expected]);
    assert_eq!(output(&run, 4).stdout, [format!("[DESTROY] ipv4     2 udp      17 29 {flow}")]);
}

/// Seen on Linux 6.18 with entries of zone 5, and of zone 6 in the original direction alone.
#[test]
fn zones_are_looked_for_where_they_count() {
    let rules = "*raw\n-A OUTPUT -p udp --dport 90 -j CT --zone 5\n-A OUTPUT -p udp --dport 89 -j CT --zone-orig 6\n\
                 -A OUTPUT -p udp --dport 88 -j CT --zone-reply 7\nCOMMIT\n*filter\n-A INPUT -m conntrack --ctstate INVALID\nCOMMIT\n";
    let questions = [
        ("-w 0", vec![88, 89, 91]),
        ("-w 5", vec![90]),
        ("-w 6", vec![]),
        ("--orig-zone 0", vec![88, 90, 91]),
        ("--orig-zone 5", vec![]),
        ("--orig-zone 6", vec![89]),
        ("--reply-zone 0", vec![89, 90, 91]),
        ("--reply-zone 7", vec![88]),
    ];
    let mut stimuli: Vec<Value> = [88, 89, 90, 91].map(|port| udp(5000, port, false)).to_vec();
    stimuli.extend(questions.iter().map(|(option, _)| cmd(&format!("conntrack -L {option}"))));
    let run = pair(rules, &stimuli).run().unwrap();
    for (step, (option, expected)) in run.steps[4..].iter().zip(questions) {
        let StepOutcome::Command(out) = &step.outcome else { panic!("{option}") };
        let port = |l: &String| {
            let word = l.split(' ').find_map(|w| w.strip_prefix("dport=")).unwrap();
            word.parse::<u16>().unwrap()
        };
        let mut found: Vec<u16> = out.stdout.iter().map(port).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{option}");
    }
}

/// Status and what is printed, both streams one after the other, of commands typed in this order.
fn asked<const N: usize>(lines: [&str; N]) -> [(i32, Vec<String>); N] {
    let run = pair("", &lines.map(|l| cmd(&format!("conntrack {l}")))).run().unwrap();
    std::array::from_fn(|i| {
        let out = output(&run, i);
        let said = |l: &String| l.trim_start_matches("conntrack v1.4.7 (conntrack-tools): ").to_owned();
        (out.status, out.stderr.iter().chain(&out.stdout).map(said).collect())
    })
}

const FLOW: &str = "-s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 -t 100";
const EXISTS: &str = "Operation failed: Such conntrack exists, try -U to update";

/// Seen on Linux 6.18: an entry is made in the zone that is named, and is in the way where that counts.
#[test]
fn an_entry_is_made_in_its_zone() {
    let zones = ["-w 5", "-w 5", "-w 6", "", "--orig-zone 8", "--reply-zone 8"];
    let made = asked(zones.map(|z| format!("-I {FLOW} {z}")).each_ref().map(String::as_str));
    assert_eq!(made.each_ref().map(|(status, _)| *status), [0, 1, 0, 0, 1, 1]);
    assert_eq!(made[1].1, [EXISTS]);
    let [.., shown, both] = asked([
        &format!("-I {FLOW} -w 5"),
        &format!("-A {FLOW} --reply-zone 9"),
        "-L",
        &format!("-I {FLOW} -w 12 --orig-zone 12"),
    ]);
    assert!(shown.1.iter().any(|l| l.ends_with(" mark=0 zone=5 use=1")), "{shown:?}");
    assert!(shown.1.iter().any(|l| l.contains(" zone-reply=9 ")), "{shown:?}");
    assert_eq!(both, (1, vec!["Operation failed: invalid parameters".to_owned()]));
}

/// Seen with conntrack-tools 1.4.7.
#[test]
fn options_are_refused_in_the_words_of_the_tool() {
    for (line, status, said) in [
        ("-L -p tcp --state established", 2, "unknown TCP state `established'"),
        ("-L -p tcp --state LISTEN", 0, "0 flow entries have been shown."),
        ("-L --mask-src 255.0.0.0", 2, "Can't use --mask-src without --src"),
        ("-D -s 1.1.1.1 --mask-dst 255.0.0.0", 2, "Can't use --mask-dst without --dst"),
        (
            "-G -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 -w 5",
            2,
            "Illegal option `--zone' with this command",
        ),
        ("-U -s 1.1.1.1 --orig-zone 8 -m 7", 2, "Illegal option `--orig-zone' with this command"),
        ("-L -u SRC_NAT", 1, "WARNING: ignoring SRC_NAT, use --src-nat instead"),
        ("-L -u dst_nat,ASSURED", 0, "WARNING: ignoring DST_NAT, use --dst-nat instead"),
    ] {
        let [out] = asked([line]);
        assert_eq!((out.0, out.1[0].as_str()), (status, said), "{line}");
    }
}

/// Seen on Linux 6.18: an entry whose time is set to 0 is gone before the tool counts it.
#[test]
fn a_timeout_of_zero_ends_an_entry() {
    let [_, updated, shown] = asked([&format!("-I {FLOW}"), "-U -s 1.1.1.1 -t 0", "-L"]);
    assert_eq!(updated, (1, vec!["0 flow entries have been updated.".to_owned()]));
    assert_eq!(shown.1, ["0 flow entries have been shown."]);
}

/// Seen with conntrack-tools 1.4.7: what no bit is left of is no filter of `-D`.
#[test]
fn a_status_without_bits_deletes_all() {
    let [_, deleted] = asked([&format!("-I {FLOW}"), "-D -u UNSET"]);
    assert_eq!((deleted.0, deleted.1[0].as_str()), (0, "1 flow entries have been deleted."));
}
