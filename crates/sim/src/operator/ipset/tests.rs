use super::super::command;
use crate::world::World;
use kernel::NetnsId;

/// Commands with what ipset v7.17 printed on Linux 6.18: `$` begins a command, `E: ` is standard error, `rc=` the
/// status if it is not 0.
const TRANSCRIPT: &str = include_str!("transcript.txt");

fn world() -> (World, NetnsId) {
    let mut world = World::new(0);
    let host = world.add_host("box");
    (world, host)
}

/// Splits as the shell does, as far as the transcript needs it.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\\' if !quoted => quoted = true,
            ' ' if !quoted => out.push(std::mem::take(&mut word)),
            c => {
                word.push(c);
                quoted = false;
            }
        }
    }
    out.push(word);
    out
}

/// Without what is a matter of chance or of the moment: initval, memory, seconds that have passed meanwhile.
fn plain(line: &str) -> String {
    if line.starts_with("Size in memory") {
        return String::new();
    }
    let mut before = "";
    let kept: Vec<&str> = line
        .split(' ')
        .map(|word| match std::mem::replace(&mut before, word) {
            "initval" => "-",
            "timeout" if word == "99" => "100",
            "timeout" if word == "59" => "60",
            "timeout" if word == "49" => "50",
            "timeout" if word == "32" => "33",
            "timeout" if word == "8" => "9",
            "timeout" if word == "4" => "5",
            _ => word,
        })
        .collect();
    kept.join(" ")
}

#[test]
fn commands_answer_as_the_real_tool() {
    let (mut world, host) = world();
    let mut wrong = Vec::new();
    for part in TRANSCRIPT.split("$ ").skip(1) {
        let mut lines = part.lines();
        let line = lines.next().unwrap_or_default();
        let (mut want, mut status) = (Vec::new(), 0);
        for text in lines {
            match text.strip_prefix("rc=") {
                Some(n) => status = n.parse().unwrap_or(-1),
                None => want.push(plain(text)),
            }
        }
        let got = command(&mut world, host, &words(line), None).unwrap_or_default();
        let err = got.stderr.iter().map(|l| format!("E: {l}"));
        let mut said: Vec<String> = got.stdout.iter().cloned().chain(err).map(|l| plain(&l)).collect();
        // The kernel lists members in the order of its hash.
        want.sort();
        said.sort();
        if (want.as_slice(), status) != (said.as_slice(), got.status) {
            wrong.push(format!("{line}\n  real: {status} {want:#?}\n  here: {} {said:#?}", got.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
