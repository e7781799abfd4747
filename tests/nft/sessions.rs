//! Sessions of commands, and what nft 1.0.6 on Linux 6.18 answered to each.

use super::{difference, nft};
use kernel::netfilter::nftables::Nftables;
use serde_json::Value;

/// Answers whose words differ, and why; that there is an error, and that nothing was changed, is the same.
const KNOWN: &[(&str, &str)] = &[
    ("add rule ip t c foo", "nft takes the word for a value, and misses what follows it"),
    ("foo", "the same"),
    ("add rule ip t c ip saddr @u accept", "nft underlines both sides"),
];

#[test]
fn commands_are_answered_as_nft_answers_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/nft/sessions.json");
    let sessions: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut faults = Vec::new();
    for (n, session) in sessions.as_array().unwrap().iter().enumerate() {
        let mut tables = Nftables::default();
        for (i, command) in session.as_array().unwrap().iter().enumerate() {
            let word = |i: usize| command[i].as_str().unwrap();
            let (args, stdin) = (word(0), word(1));
            let done = nft(&mut tables, args, stdin);
            let status = command[2].as_u64().unwrap();
            // Of several errors the first is told.
            let first = |text: &str| text.lines().take(3).map(|l| format!("{l}\n")).collect::<String>();
            let what = format!("{n}.{i} nft {args} <<< {stdin}");
            if u64::from(done.status) != status {
                faults.push(format!(
                    "{what}: status {status}, here {}\n{}{}",
                    done.status,
                    word(4),
                    done.stderr
                ));
            } else if done.stdout != word(3) {
                faults.push(format!("{what}: {}", difference(word(3), &done.stdout)));
            } else if done.stderr != first(word(4))
                && !KNOWN.iter().any(|(text, _)| stdin.trim_end() == *text || args == *text)
            {
                faults.push(format!("{what}\n{}here\n{}", word(4), done.stderr));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
