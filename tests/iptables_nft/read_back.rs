//! What nft lists of iptables-nft's tables is a text that nft may read again: then it is native. The real nft 1.0.6 has read each listing
//! of the session `translations`, and listed what it made of it, or refused it.

use flate2::read::GzDecoder;
use kernel::Instant;
use kernel::netfilter::nftables::Nftables;
use serde_json::Value;
use std::io::Read;
use userland::nft::{Names, nft};

fn texts() -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("../data/iptables-nft/read-back.jsonl.gz")[..])
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Reads a text and lists what was made of it; `Err` is the first mistake.
fn read_and_listed(text: &str) -> Result<String, String> {
    let devices = ["lo".to_owned()];
    let names = Names { devices: &devices, now: Instant(0) };
    let mut tables = Nftables::default();
    let argv = |words: &str| -> Vec<String> { words.split(' ').map(str::to_owned).collect() };
    let done = nft(&mut tables, &argv("nft -f -"), text, names);
    match done.diagnostics.first() {
        Some(d) => Err(d.to_string()),
        None => Ok(nft(&mut tables, &argv("nft list ruleset"), "", names).stdout),
    }
}

/// Parts of rules that are known to be read otherwise, and why.
const KNOWN: &[(&str, &str)] = &[
    ("and 0xffffff0a xor 0x5", "nft computes with constants, and writes the sum otherwise"),
    ("mark set mark and 0xffffffff", "the same"),
    ("xor 0x1 and 0xffffff00", "the same"),
    ("xor 0x12 and 0xffffff00", "the same"),
    ("and 0xffffff00 xor 0x10", "the same"),
    ("xor 0x1 and 0xfffffff0", "the same"),
    ("ct original saddr 10.0.0.0/8", "nft 1.0.6 turns the bytes of such a prefix around"),
    ("ct original saddr 10.1.2.3/8", "the same"),
    ("ct original protocol 6 ct original proto-dst", "nft takes the protocol for that of the ports"),
    ("ct expiration 10-4294967295", "nft counts milliseconds in 32 bits"),
    (
        "meta l4proto != tcp counter packets 0 bytes 0 masquerade to :5",
        "nft asks for a protocol that the rule names",
    ),
];

#[test]
fn listings_are_read_as_nft_reads_them() {
    let (mut same, mut both_refuse, mut not_modelled, mut known, mut wrong) = (0, 0, 0, 0, Vec::new());
    for case in texts() {
        let text = case["text"].as_str().unwrap();
        let rule = text.lines().find(|l| l.starts_with("\t\t") && !l.contains(" hook ")).unwrap_or_default();
        let is_known = KNOWN.iter().any(|(part, _)| rule.contains(part));
        match (case["listed"].as_str(), read_and_listed(text)) {
            (Some(wanted), Ok(got)) if wanted == got && !is_known => same += 1,
            (None, Err(_)) if !is_known => both_refuse += 1,
            (Some(wanted), Ok(got)) if is_known && wanted != got => known += 1,
            (Some(_), Err(_)) | (None, Ok(_)) if is_known => known += 1,
            // What is not modelled is refused, with its place.
            (Some(_), Err(why)) if why.contains("is not modelled") => not_modelled += 1,
            (wanted, got) => wrong.push(format!("{rule}\n   nft  {wanted:?}\n   here {got:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((same, both_refuse, not_modelled, known), (541, 59, 45, 11));
}
