//! Rules, sets and errors one by one.

use super::nft;
use kernel::netfilter::nftables::Nftables;
use serde_json::Value;

/// What is not as nft has it, and why.
const KNOWN: &[(&str, &str)] = &[
    ("ip saddr { 10.0.0.1-10.0.0.1 } accept", "a range of one address is one address"),
    ("ip daddr map @d7 0x10 accept", "nft has no words for a map that is asked for its value"),
    ("ct expiration 10s-1h accept", "nft prints the end of this range in seconds"),
    ("th dport 53 udp sport 5 accept", "nft learns the protocol afterwards, and turns the questions around"),
];

/// Each rule was read by nft 1.0.6 and listed again, or refused. What is refused here but not there is not modelled, and says so.
#[test]
fn rules_are_listed_as_nft_lists_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/nft/rules.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut faults, mut not_modelled) = (Vec::new(), 0);
    for rule in all["rules"].as_array().unwrap() {
        let word = |i: usize| rule[i].as_str();
        let (family, kind, text) = (word(0).unwrap(), word(1).unwrap(), word(2).unwrap());
        let context = all["contexts"][family].as_str().unwrap();
        let chain = all["chains"][kind].as_str().unwrap();
        let source = format!(
            "table {family} t {{\n{context} chain b {{ {chain} }}\n}}\nadd rule {family} t b {text}\n"
        );
        let mut tables = Nftables::default();
        let done = nft(&mut tables, "-f -", &source);
        let listed = nft(&mut tables, &format!("list chain {family} t b"), "").stdout;
        let got = listed.lines().nth(3).filter(|l| *l != "\t}").unwrap_or_default().trim();
        let refused = done.stderr.lines().next().and_then(|l| l.split_once("Error: ")).map(|(_, says)| says);
        match (word(3), refused) {
            (_, Some(says)) if says.contains("not modelled") => not_modelled += 1,
            (Some(wanted), None) if wanted == got => {}
            (None, Some(_)) => {}
            _ if KNOWN.iter().any(|(rule, _)| *rule == text) => {}
            (wanted, says) => {
                let nft = wanted.or(word(4)).unwrap();
                faults
                    .push(format!("{family} {kind}: {text}\n   nft  {nft}\n   here {}", says.unwrap_or(got)));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(not_modelled < 60, "{not_modelled}");
}
