use super::super::command;
use crate::world::World;

/// Commands with what nfacct 1.0.2 and iptables 1.8.9 printed on Linux 6.18: `$` begins a command, `|` is standard output,
/// `!` standard error, `=` the status if it is not 0.
const TRANSCRIPT: &str = include_str!("transcript.txt");

/// Splits as the shell does, as far as the transcript needs it.
fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (i, part) in line.split('"').enumerate() {
        if i % 2 == 1 {
            out.push(part.to_owned());
        } else {
            out.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    out
}

#[test]
fn commands_answer_as_the_real_tool() {
    let mut world = World::new(0);
    let host = world.add_host("box");
    for part in TRANSCRIPT.split("$ ").skip(1) {
        let mut lines = part.lines();
        let line = lines.next().unwrap();
        let out = command(&mut world, host, &words(line), None).unwrap();
        let mut said: Vec<String> = out.stdout.iter().map(|l| format!("| {l}")).collect();
        said.extend(out.stderr.iter().map(|l| format!("! {l}")));
        if out.status != 0 {
            said.push(format!("= {}", out.status));
        }
        assert_eq!(said, lines.collect::<Vec<_>>(), "{line}");
    }
}
