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

/// Runs commands in one box; the last one's status and standard error.
fn last(commands: &[&str]) -> (i32, String) {
    let (mut world, host) = world();
    let mut out = (0, String::new());
    for line in commands {
        let done = command(&mut world, host, &words(line), None).unwrap_or_default();
        out = (done.status, done.stderr.first().cloned().unwrap_or_default());
    }
    out
}

const CREATE: &str = "ipset create S hash:ip";
const RULE: &str = "iptables -A INPUT -m set --match-set S src -m set ! --match-set S dst";

#[test]
fn a_rule_holds_its_set() {
    for (line, status, says) in [
        ("ipset destroy S", 1, "ipset v7.17: Set cannot be destroyed: it is in use by a kernel component"),
        ("ipset destroy", 1, "ipset v7.17: Set cannot be destroyed: it is in use by a kernel component"),
        ("ipset rename S T", 1, "ipset v7.17: Set cannot be renamed: it is in use by another system"),
        ("iptables -F INPUT", 0, ""),
    ] {
        assert_eq!(last(&[CREATE, RULE, line]), (status, says.to_owned()), "{line}");
    }
    assert_eq!(last(&[CREATE, RULE, "iptables -F INPUT", "ipset destroy S"]).0, 0);
}

#[test]
fn references_count_the_matches() {
    let (mut world, host) = world();
    for line in [CREATE, RULE] {
        let _ = command(&mut world, host, &words(line), None);
    }
    let list = command(&mut world, host, &words("ipset list -t S"), None).unwrap_or_default();
    assert!(list.stdout.contains(&"References: 2".to_owned()), "{list:?}");
}

#[test]
fn a_rule_needs_its_set() {
    let says = "iptables v1.8.9 (legacy): Set NO doesn't exist.";
    for option in ["-A", "-C", "-D"] {
        let line = format!("iptables {option} INPUT -m set --match-set NO src");
        assert_eq!(last(&[CREATE, &line]), (2, says.to_owned()), "{line}");
    }
    let (mut world, host) = world();
    let text = "*filter\n-A INPUT -m set --match-set NO src\nCOMMIT\n";
    let done = command(&mut world, host, &words("iptables-restore"), Some(text)).unwrap_or_default();
    let says = [
        "iptables-restore v1.8.9 (legacy): Set NO doesn't exist.",
        "",
        "Error occurred at line: 2",
        "Try `iptables-restore -h' or 'iptables-restore --help' for more information.",
    ];
    assert_eq!((done.status, done.stderr), (2, says.map(String::from).to_vec()));
}

#[test]
fn restore_stops_at_the_first_mistake() {
    let add = "add S 1.1.1.1\n";
    let already = "Error in line 3: Element cannot be added to the set: it's already added";
    let unknown = "No command specified: unknown argument foo";
    for (argv, text, status, says) in [
        ("ipset restore", format!("create S hash:ip\n{add}{add}add S 2.2.2.2\n"), 1, already),
        ("ipset restore", format!("create S hash:ip\n{add}foo\nadd S 2.2.2.2\n"), 2, unknown),
        ("ipset restore -exist", format!("create S hash:ip\n{add}{add}"), 0, ""),
    ] {
        let (mut world, host) = world();
        let done = command(&mut world, host, &words(argv), Some(&text)).unwrap_or_default();
        let want = if says.is_empty() { String::new() } else { format!("ipset v7.17: {says}") };
        assert_eq!((done.status, done.stderr.first().cloned().unwrap_or_default()), (status, want), "{text}");
        let members =
            world.host(host).and_then(|ns| ns.ipsets.get("S")).map(|s| s.members(world.now()).count());
        assert_eq!(members, Some(1), "{text}");
    }
}

#[test]
fn what_is_not_modelled_is_refused() {
    for (line, says) in [
        ("ipset create X hash:mac", "ipset v7.17: type hash:mac is not modelled"),
        ("ipset create X hash:ip skbinfo", "ipset v7.17: option skbinfo is not modelled"),
        ("ipset create X hash:ip forceadd", "ipset v7.17: option forceadd is not modelled"),
    ] {
        assert_eq!(last(&[line]), (1, says.to_owned()), "{line}");
    }
}
