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
    let run = nflab::scenario::parse(&document).unwrap().run().unwrap();
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
