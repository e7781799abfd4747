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

/// Without what is a matter of chance or of the moment: initval, memory (members that share a bucket), seconds that have
/// passed meanwhile.
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

/// Sessions of ipset v7.17 on Linux 6.18, each in a namespace of its own (`== NAME`). Every hash was created with an
/// `initval`, so that the order of its members and its size in memory are no matter of chance. Standard input stands behind `<`.
const SESSIONS: &str = include_str!("sessions.txt");

/// A word list as Python's shlex writes it, and what stands behind `<`.
fn shell_words(line: &str) -> (Vec<String>, Option<String>) {
    let (line, stdin) = line.split_once(" < \"").map_or((line, None), |(l, text)| {
        let text = text.strip_suffix('"').unwrap_or(text);
        (l, Some(text.replace("\\n", "\n").replace("\\\"", "\"")))
    });
    let (mut out, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars().chain([' ']) {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    (out, stdin)
}

/// Seconds that have passed meanwhile are no difference: times are counted in steps of 50.
fn in_steps(line: &str) -> String {
    let mut out = String::new();
    for (n, part) in line.split("timeout").enumerate() {
        if n == 0 {
            out.push_str(part);
            continue;
        }
        let (mark, rest) = part.split_at(part.len().min(1));
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (seconds, rest) = rest.split_at(digits);
        let steps = seconds.parse::<u32>().map_or(String::new(), |s| s.div_ceil(50).to_string());
        out.push_str(&format!("timeout{mark}{steps}{rest}"));
    }
    out
}

#[test]
fn sessions_are_those_of_the_real_tool_to_the_letter() {
    let mut wrong = Vec::new();
    for session in SESSIONS.split("== ").skip(1) {
        let (mut world, host) = world();
        let title = session.lines().next().unwrap_or_default();
        for part in session.split("\n$ ").skip(1) {
            let mut lines = part.lines();
            let line = lines.next().unwrap_or_default();
            let mut want: Vec<String> = lines.map(in_steps).collect();
            let status = want.last().and_then(|l| l.strip_prefix("rc=")).and_then(|n| n.parse().ok());
            if status.is_some() {
                want.pop();
            }
            let (argv, stdin) = shell_words(line);
            let got = command(&mut world, host, &argv, stdin.as_deref()).unwrap_or_default();
            let err = got.stderr.iter().flat_map(|l| l.split('\n')).map(|l| format!("E: {l}"));
            let said: Vec<String> = got.stdout.iter().cloned().chain(err).map(|l| in_steps(&l)).collect();
            if (&want, status.unwrap_or(0)) != (&said, got.status) {
                wrong.push(format!(
                    "{title}: {line}\n  real: {status:?} {want:#?}\n  here: {} {said:#?}",
                    got.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
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
    // Members that wait for others of the same set are lost when a line is not understood.
    for (argv, text, status, says, left) in [
        ("ipset restore", format!("create S hash:ip\n{add}{add}add S 2.2.2.2\n"), 1, already, 1),
        ("ipset restore", format!("create S hash:ip\n{add}foo\nadd S 2.2.2.2\n"), 2, unknown, 0),
        (
            "ipset restore",
            format!("create S hash:ip\n{add}flush T\nfoo\n"),
            1,
            "Error in line 3: The set with the given name does not exist",
            1,
        ),
        ("ipset restore -exist", format!("create S hash:ip\n{add}{add}"), 0, "", 1),
    ] {
        let (mut world, host) = world();
        let done = command(&mut world, host, &words(argv), Some(&text)).unwrap_or_default();
        let want = if says.is_empty() { String::new() } else { format!("ipset v7.17: {says}") };
        assert_eq!((done.status, done.stderr.first().cloned().unwrap_or_default()), (status, want), "{text}");
        let members =
            world.host(host).and_then(|ns| ns.ipsets.get("S")).map(|s| s.members(world.now()).len());
        assert_eq!(members, Some(left), "{text}");
    }
}

#[test]
fn what_is_not_modelled_is_refused() {
    for (line, says) in [
        ("ipset create X hash:mac", "ipset v7.17: type hash:mac is not modelled"),
        ("ipset create X hash:ip family inet6", "ipset v7.17: family inet6 is not modelled"),
        ("ipset create X hash:ip -6", "ipset v7.17: family inet6 is not modelled"),
        ("ipset -f FILE save", "ipset v7.17: option -file is not modelled"),
        ("ipset -r list", "ipset v7.17: option -resolve is not modelled"),
        ("ipset -", "ipset v7.17: interactive mode is not modelled"),
        ("ipset help", "ipset v7.17: help is not modelled"),
    ] {
        assert_eq!(last(&[line]), (1, says.to_owned()), "{line}");
    }
}

/// Measured on Linux 6.18, with members that are alone in their buckets.
#[test]
fn memory_is_what_the_kernel_reports() {
    for (set, member, size) in [
        ("bitmap:port range 0-65535", "69", 8264),
        ("bitmap:port range 0-64", "7", 88),
        ("bitmap:port range 100-1099", "101", 200),
        ("bitmap:port range 0-65535 timeout 5", "69", 532_552),
        ("bitmap:port range 0-63 counters", "7", 1104),
        ("bitmap:port range 0-63 comment", "7 comment abc", 612),
        ("hash:ip", "10.0.0.1", 256),
        ("hash:ip,port", "10.0.0.1,tcp:53", 264),
        ("hash:ip,port,ip", "10.0.0.1,tcp:53,10.0.0.1", 264),
        ("hash:ip,port,net", "10.0.0.1,tcp:53,10.0.1.0/24", 520),
        ("hash:net", "10.0.1.0/24", 504),
        ("hash:net,port", "10.0.1.0/24,tcp:53", 504),
        ("hash:ip timeout 9", "10.0.0.1", 280),
        ("hash:ip,port,ip counters", "10.0.0.1,tcp:53,10.0.0.1", 304),
        ("hash:ip timeout 9 counters comment", "10.0.0.1 comment abc", 348),
    ] {
        let (mut world, host) = world();
        let mut ipset = |line: &str| {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let out = command(&mut world, host, &argv, None).unwrap();
            assert_eq!(out.stderr, Vec::<String>::new(), "{line}");
            out.stdout
        };
        ipset(&format!("ipset create s {set}"));
        ipset(&format!("ipset add s {member}"));
        assert!(ipset("ipset -t list s").contains(&format!("Size in memory: {size}")), "{set}");
    }
}

/// RHEL 7's kernel 3.10, as in a public listing of a real node; bucketsize and initval came with Linux 5.11.
#[test]
fn an_old_kernel_has_older_revisions_and_no_bucketsize() {
    let (mut world, host) = world();
    world.host_mut(host).unwrap().set_era(kernel::Era::V3_10);
    let mut ipset = |line: &str| {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        command(&mut world, host, &argv, None).unwrap().stdout
    };
    ipset("ipset create h hash:ip,port,ip");
    ipset("ipset create b bitmap:port range 0-65535");
    let hash = ipset("ipset list h");
    assert_eq!(hash[2..4], ["Revision: 5", "Header: family inet hashsize 1024 maxelem 65536"]);
    assert_eq!(ipset("ipset list b")[2..4], ["Revision: 3", "Header: range 0-65535"]);
}
