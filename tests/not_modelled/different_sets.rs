//! "Different from Linux": ipset. Each test says what Linux does, with ipset 7.17.

use crate::{Pair, printed};
use serde_json::json;

/// What the last of these commands prints; the first must succeed.
fn last(commands: &[&str]) -> Vec<String> {
    let mut pair = Pair::new();
    let steps: Vec<usize> = commands.iter().map(|c| pair.cmd(c)).collect();
    pair.run().printed(*steps.last().unwrap())
}

/// What begins so among these lines.
fn line<'a>(lines: &'a [String], head: &str) -> &'a str {
    lines.iter().find(|l| l.starts_with(head)).unwrap_or_else(|| panic!("no {head}: {lines:?}"))
}

/// Linux draws it at random, so that each set lists its members in an order of its own.
#[test]
fn initval_is_zero() {
    let lines = last(&["ipset create S hash:ip", "ipset list S"]);
    assert!(line(&lines, "Header").ends_with("initval 0x00000000"), "{lines:?}");
}

/// What a set takes changes from kernel to kernel, as its structures do.
#[test]
fn sets_have_the_size_of_6_18() {
    let size = |kernel: &str| {
        let mut pair = Pair::new();
        pair.set("a", "kernel", json!(kernel));
        pair.cmd("ipset create S hash:ip");
        let list = pair.cmd("ipset list S");
        line(&pair.run().printed(list), "Size").to_owned()
    };
    assert_eq!(
        (size("3.10").as_str(), size("6.18").as_str()),
        ("Size in memory: 216", "Size in memory: 216")
    );
}

/// Linux looks for them every second (or every third of the set's time-out), and gives their buckets back: of 2712 bytes 2584 are
/// left after five seconds (recorded).
#[test]
fn members_whose_time_is_over_stay_in_memory() {
    let mut pair = Pair::new();
    pair.cmd("ipset create S hash:ip timeout 0 initval 1");
    for n in 20..61 {
        pair.cmd(&format!("ipset add S 10.0.0.{n} timeout 2"));
    }
    let before = pair.cmd("ipset list S");
    pair.sleep(600_000);
    let after = pair.cmd("ipset list S");
    let done = pair.run();
    assert_eq!(line(&done.printed(after), "Number"), "Number of entries: 0");
    assert_eq!(line(&done.printed(before), "Size"), "Size in memory: 2712");
    assert_eq!(line(&done.printed(after), "Size"), "Size in memory: 2712");
}

/// ipset asks the resolver: `localhost` is 127.0.0.1.
#[test]
fn addresses_are_numbers() {
    let said = last(&["ipset create S hash:ip", "ipset add S localhost"]);
    assert_eq!(said.last().unwrap(), "[rc=1]", "{said:?}");
}

/// ipset's order of devices follows no simple rule: x, a9, x0, br10, br1 (recorded).
#[test]
fn names_of_devices_are_sorted_by_length() {
    let mut pair = Pair::new();
    pair.cmd("ipset create S hash:net,iface initval 1");
    for dev in ["br10", "x", "a9", "br1", "x0"] {
        pair.cmd(&format!("ipset add S 10.0.0.0/8,{dev}"));
    }
    let list = pair.cmd("ipset -sorted list S");
    let lines = pair.run().printed(list);
    let devices: Vec<&str> = lines.iter().filter_map(|l| l.strip_prefix("10.0.0.0/8,")).collect();
    assert_eq!(devices, ["x", "a9", "x0", "br1", "br10"]);
}

/// ipset hands its buffer to the kernel when it is full: of 250 members before a line that it does not understand, 167 are there
/// (recorded).
#[test]
fn members_before_a_mistake_in_restore_are_lost() {
    let members: String = (1..=250).map(|n| format!("add S 10.1.0.{n}\n")).collect();
    let mut pair = Pair::new();
    let text = format!("create S hash:ip\n{members}foo\n");
    pair.then(json!({ "do": "cmd", "host": "a", "argv": ["ipset", "restore"], "stdin": text }));
    let list = pair.cmd("ipset list S");
    let lines = pair.run().printed(list);
    assert_eq!(line(&lines, "Number"), "Number of entries: 0");
}

/// ipset crashes (recorded).
#[test]
fn ports_of_icmp_are_refused_in_bitmaps() {
    let said = last(&["ipset create S bitmap:port range 0-100", "ipset add S icmp:1"]);
    assert_eq!(said.last().unwrap(), "[rc=1]", "{said:?}");
}

/// Linux takes as many as `maxelem` says, up to 4294967295. (The engine counts when a part of the table is full.)
#[test]
fn sets_have_about_262144_members() {
    let mut pair = Pair::new();
    pair.cmd("ipset create S hash:ip hashsize 131072 maxelem 270000");
    let add = pair.cmd("ipset add S 10.0.0.0/13");
    let list = pair.cmd("ipset list S -t");
    let done = pair.run();
    assert_eq!(done.printed(add).last().unwrap(), "[rc=1]");
    let count = line(&done.printed(list), "Number").rsplit_once(' ').unwrap().1.parse::<u32>().unwrap();
    assert!((262_144..262_200).contains(&count), "{count}");
}

/// Linux adds them one by one for as long as it takes.
#[test]
fn commands_name_at_most_1048576_members() {
    let of = |add: &str| last(&["ipset create S hash:ip", add]);
    assert_eq!(of("ipset -exist del S 10.0.0.0/12"), Vec::<String>::new());
    assert_eq!(of("ipset -exist del S 10.0.0.0/11").last().unwrap(), "[rc=1]");
}

/// ipset prints a bitmask now and then with a prefix length, which is that of another set.
#[test]
fn bitmasks_are_saved_as_they_are() {
    let mut pair = Pair::new();
    pair.cmd("ipset create N hash:ip netmask 24");
    pair.cmd("ipset create S hash:ip bitmask 255.255.0.255");
    let save = pair.cmd("ipset save");
    let lines = pair.run().printed(save);
    assert!(line(&lines, "create S").contains("bitmask 255.255.0.255"), "{lines:?}");
    assert!(!line(&lines, "create S").contains("netmask"), "{}", printed("ipset save").len());
}
