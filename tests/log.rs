//! `-j LOG`, held against the ring buffer of a Linux 6.18 (`data/log`): every kind of packet, with all of LOG's options, at each
//! hook of a router.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Numbers that a host draws: identifications, sequence numbers, ports, time stamps.
fn drawn(line: &str) -> String {
    let mut out = Vec::new();
    let chooses_id = line.contains(" DF ")
        || ["TYPE=3 ", "TYPE=11 ", "TYPE=0 ", "TYPE=14 "].iter().any(|t| line.contains(t));
    for word in line.split(' ') {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let long = value.parse::<u64>().is_ok_and(|n| n > 30_000);
        out.push(match key {
            "ID" if chooses_id || long => "ID=N".to_owned(),
            "SEQ" | "ACK" | "SPT" | "DPT" if long => format!("{key}=N"),
            key if key.starts_with('(') => match key.find("080A") {
                Some(at) => format!("{}080A..{}", &key[..at], &key[at + 20..]),
                None => key.to_owned(),
            },
            _ => word.to_owned(),
        });
    }
    out.join(" ")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{}/data/log/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn log_lines_are_those_of_the_kernel() {
    let document: serde_json::Value = serde_json::from_str(&read("scenario.json")).unwrap();
    let mut scenario = nflab::scenario::parse(&document).unwrap();
    // It was recorded with nf_log_all_netns.
    scenario.hosts.iter_mut().for_each(|host| host.child = false);
    let run = scenario.run().unwrap();
    let lines = run.world.log().entries().iter().filter_map(|e| match e.what()? {
        kernel::event::What::KernelLog(line) if line.starts_with("LG-") => Some(drawn(line)),
        _ => None,
    });
    let (engine, kernel): (Vec<_>, Vec<_>) =
        (lines.collect(), read("linux-6.18.txt").lines().map(drawn).collect());
    for (n, (engine, kernel)) in engine.iter().zip(&kernel).enumerate() {
        assert_eq!(engine, kernel, "line {}", n + 1);
    }
    assert_eq!(engine.len(), kernel.len());
}

/// iptables says "Run `dmesg' for more information"; there is some. The lines are those of Linux 6.18 after the same commands.
#[test]
fn what_x_tables_refuses_is_told_in_the_ring_buffer() {
    let said = [
        ("-t nat -A PREROUTING -m tcp -j ACCEPT", "ip_tables: tcp match: only valid for protocol 6"),
        ("-A INPUT ! -p tcp -m tcp -j ACCEPT", "ip_tables: tcp match: only valid for protocol 6"),
        (
            "-t nat -A PREROUTING -m udp --dport 4 -j ACCEPT",
            "ip_tables: udp match: only valid for protocol 17",
        ),
        ("-A INPUT -m icmp --icmp-type 8 -j ACCEPT", "ip_tables: icmp match: only valid for protocol 1"),
        (
            "-t nat -A PREROUTING -j TTL --ttl-set 3",
            "ip_tables: TTL target: only valid in mangle table, not nat",
        ),
        ("-A INPUT -p tcp -j CT --notrack", "ip_tables: CT target: only valid in raw table, not filter"),
        ("-t nat -A PREROUTING -j REJECT", "ip_tables: REJECT target: only valid in filter table, not nat"),
        ("-A INPUT -j MASQUERADE", "ip_tables: MASQUERADE target: only valid in nat table, not filter"),
        (
            "-t nat -A X -j MASQUERADE",
            "ip_tables: MASQUERADE target: used from hooks PREROUTING/INPUT, but only usable from POSTROUTING",
        ),
        (
            "-t nat -A X -j DNAT --to 1.1.1.1",
            "ip_tables: DNAT target: used from hooks PREROUTING/INPUT, but only usable from PREROUTING/OUTPUT",
        ),
        (
            "-t nat -A OUTPUT -j SNAT --to 1.1.1.1",
            "ip_tables: SNAT target: used from hooks OUTPUT, but only usable from INPUT/POSTROUTING",
        ),
        (
            "-A INPUT -m owner --uid-owner 0 -j ACCEPT",
            "ip_tables: owner match: used from hooks INPUT, but only valid from OUTPUT/POSTROUTING",
        ),
        (
            "-A OUTPUT -m physdev --physdev-out x -j ACCEPT",
            "xt_physdev: --physdev-out and --physdev-is-out only supported in the FORWARD and POSTROUTING chains with \
             bridged traffic",
        ),
        (
            "-t mangle -A OUTPUT -m addrtype --limit-iface-in --src-type LOCAL -j ACCEPT",
            "xt_addrtype: input interface limitation not valid in POSTROUTING and OUTPUT",
        ),
        (
            "-t mangle -A INPUT -m addrtype --limit-iface-out --src-type LOCAL -j ACCEPT",
            "xt_addrtype: output interface limitation not valid in PREROUTING and INPUT",
        ),
    ];
    let command = |line: &str| {
        let argv: Vec<&str> = line.split(' ').collect();
        serde_json::json!({ "do": "cmd", "host": "r", "argv": argv })
    };
    let chain = ["-t nat -N X", "-t nat -A PREROUTING -j X", "-t nat -A INPUT -j X"];
    let lines = chain.into_iter().chain(said.map(|(line, _)| line));
    let stimuli: Vec<_> = lines.map(|line| command(&format!("iptables {line}"))).collect();
    let document =
        serde_json::json!({ "name": "refused", "hosts": { "r": {} }, "links": [], "stimuli": stimuli });
    let run = nflab::scenario::parse(&document).unwrap().run().unwrap();
    let logged = run.world.log().entries().iter().filter_map(|e| match e.what()? {
        kernel::event::What::KernelLog(line) => Some(line.trim_start_matches("x_tables: ")),
        _ => None,
    });
    assert_eq!(logged.collect::<Vec<_>>(), said.map(|(_, line)| line));
}

/// The tables of IPv6 have their own name there.
#[test]
fn ip6tables_is_named_in_its_lines() {
    let document = serde_json::json!({ "name": "refused", "hosts": { "r": {} }, "links": [], "stimuli": [
        { "do": "cmd", "host": "r", "argv": ["ip6tables", "-A", "INPUT", "-m", "tcp", "-j", "ACCEPT"] }
    ] });
    let run = nflab::scenario::parse(&document).unwrap().run().unwrap();
    let logged = run.world.log().entries().iter().any(|e| {
        let line = "x_tables: ip6_tables: tcp match: only valid for protocol 6";
        matches!(e.what(), Some(kernel::event::What::KernelLog(l)) if l == line)
    });
    assert!(logged);
}
