//! Fact V6, second part: time-outs, one-packet scheduling, persistence, servers that go, ports that are used again
//! (`data/ipvs/V6b.txt`).

use crate::lab::{Lab, Record, block, transcript};
use serde_json::json;

const CLIENT: &str = "192.168.1.100";

/// A lab with a virtual server of A, B and C at 10.96.0.10:1001.
struct Play {
    lab: Lab,
    kind: &'static str,
    picks: Vec<Vec<usize>>,
    lists: Vec<usize>,
}

const VIRT: &str = "10.96.0.10:1001";

impl Play {
    fn new(kind: &'static str, options: &str) -> Play {
        let mut lab = Lab::new();
        let addrs: Vec<String> = (100..106).map(|n| format!("192.168.1.{n}/24")).collect();
        lab.host("client", "addrs", json!({"eth0": addrs}));
        lab.cmd(&format!("ipvsadm -A {kind} {VIRT} {options}"));
        for last in [11, 12, 13] {
            lab.cmd(&format!("ipvsadm -a {kind} {VIRT} -r 10.244.1.{last}:8080 -m"));
        }
        Play { lab, kind, picks: Vec::new(), lists: Vec::new() }
    }

    /// Flows from one port after the other.
    fn flows(&mut self, src: &str, port: u16, n: u16) {
        let tcp = self.kind == "-t";
        let all = (port..port + n).map(|p| self.lab.flow("client", tcp, &format!("{src}:{p}"), VIRT));
        let all = all.collect();
        self.picks.push(all);
    }

    fn server(&mut self, verb: &str, letter: &str, rest: &str) {
        let last = match letter {
            "A" => 11,
            "B" => 12,
            _ => 13,
        };
        self.lab.cmd(&format!("ipvsadm {verb} {} {VIRT} -r 10.244.1.{last}:8080 {rest}", self.kind));
    }

    fn list(&mut self, command: &str) {
        let step = self.lab.cmd(command);
        self.lists.push(step);
    }

    fn run(&self) -> Played<'_> {
        Played { play: self, record: self.lab.run() }
    }
}

struct Played<'a> {
    play: &'a Play,
    record: Record,
}

impl Played<'_> {
    fn picks(&self) -> Vec<String> {
        let one = |steps: &Vec<usize>| {
            let letters: Vec<&str> = steps.iter().map(|s| self.record.picked(*s)).collect();
            letters.join(" ")
        };
        self.play.picks.iter().map(one).collect()
    }

    /// The `n`th list, sorted, without its heading.
    fn list(&self, n: usize) -> Vec<String> {
        let mut lines = self.record.printed(self.play.lists[n]);
        lines.retain(|l| {
            !l.starts_with("IP")
                && !l.starts_with("pro")
                && !l.starts_with("Prot")
                && !l.starts_with("  -> Remote")
        });
        lines.sort();
        lines
    }
}

/// The lines of a block that begin with one of these, sorted, with the port of our virtual server.
fn shown(title: &str, virt: &str, starts: &[&str]) -> Vec<String> {
    let lines = block(&transcript("V6b"), title);
    let mut lines: Vec<String> = lines
        .iter()
        .filter(|l| starts.iter().any(|s| l.starts_with(s)))
        .map(|l| l.replace(virt, VIRT))
        .collect();
    lines.sort();
    lines
}

fn picks(title: &str) -> Vec<String> {
    let lines = block(&transcript("V6b"), title);
    let is_pick = |l: &str| l.split(' ').all(|w| matches!(w, "A" | "B" | "C" | "-"));
    let text = |l: &String| l.rsplit_once(": ").map_or(l.clone(), |(_, p)| p.to_owned()).trim().to_owned();
    lines.iter().map(text).filter(|l| !l.is_empty() && is_pick(l)).collect()
}

#[test]
fn v6_a_time_out_counts_for_new_connections_and_for_old_ones_at_their_next_packet() {
    let mut play = Play::new("-u", "-s rr");
    play.list("ipvsadm -L --timeout");
    play.flows(CLIENT, 20050, 1);
    play.list("ipvsadm -Lnc");
    play.lab.cmd("ipvsadm --set 0 0 5");
    play.list("ipvsadm -L --timeout");
    play.flows(CLIENT, 20100, 1);
    play.list("ipvsadm -Lnc");
    play.lab.sleep(7);
    play.list("ipvsadm -Lnc");
    play.flows(CLIENT, 20050, 1);
    play.list("ipvsadm -Lnc");
    let played = play.run();
    assert_eq!(played.picks(), ["C", "B", "C"]);
    assert_eq!(played.list(0), ["Timeout (tcp tcpfin udp): 900 120 300"]);
    assert_eq!(played.list(2), ["Timeout (tcp tcpfin udp): 900 120 5"]);
    let title = "timeouts: defaults";
    let all = block(&transcript("V6b"), title);
    let conns: Vec<&String> = all.iter().filter(|l| l.starts_with("UDP ")).collect();
    assert_eq!([&played.list(1)[0]], [conns[0]]);
    let mut two = vec![conns[1].clone(), conns[2].clone()];
    two.sort();
    assert_eq!(played.list(3), two);
    // Seven seconds later there is only the old one.
    assert_eq!(played.list(4).len(), 1);
    assert!(
        played.list(4)[0].starts_with("UDP 04:52  UDP         192.168.1.100:20050"),
        "{:?}",
        played.list(4)
    );
    assert_eq!([&played.list(5)[0]], [conns[4]]);
}

#[test]
fn v6_the_same_ports_stick_to_their_server_until_the_connection_expires() {
    let mut play = Play::new("-u", "-s rr");
    play.lab.cmd("ipvsadm --set 0 0 2");
    for _ in 0..3 {
        play.flows(CLIENT, 20000, 1);
    }
    play.lab.sleep(4);
    play.flows(CLIENT, 20000, 1);
    assert_eq!(play.run().picks(), picks("same 5-tuple sticks"));
}

#[test]
fn v6_with_one_packet_scheduling_each_datagram_has_a_server_and_no_connection() {
    let mut play = Play::new("-u", "-s rr -o");
    let all: Vec<usize> =
        (0..6).map(|_| play.lab.flow("client", false, "192.168.1.100:20000", VIRT)).collect();
    play.picks.push(all.clone());
    play.list(&format!("ipvsadm -Ln -u {VIRT}"));
    play.list("ipvsadm -Lnc");
    play.list(&format!("ipvsadm -Ln --stats -u {VIRT}"));
    let played = play.run();
    let title = "one-packet scheduling";
    assert_eq!(played.picks(), [block(&transcript("V6b"), title)[1].trim()]);
    let listed = shown(title, "10.96.0.10:1003", &["UDP", "  ->"]);
    let counted = |l: &&String| l.contains("Masq") || l.contains("ops");
    assert_eq!(played.list(0).iter().collect::<Vec<_>>(), listed.iter().filter(counted).collect::<Vec<_>>());
    assert_eq!(played.list(1), Vec::<String>::new());
    // There the counters lag; here they do not. Answers are none of IPVS's business.
    assert_eq!(
        played.list(2)[3],
        format!("UDP  {VIRT}                     6        6        0      174        0")
    );
    assert_eq!(played.record.outcome(all[0])["result"][0]["from"], "10.244.1.13:8080");
}

#[test]
fn v6_a_persistent_client_keeps_its_server_by_a_template() {
    let title = "persistence (-p 60)";
    let mut play = Play::new("-u", "-s rr -p 60");
    play.flows(CLIENT, 20250, 12);
    play.list(&format!("ipvsadm -Ln -u {VIRT}"));
    play.list("ipvsadm -Lnc");
    for n in 1..5 {
        play.flows(&format!("192.168.1.10{n}"), 20300, 2);
    }
    let played = play.run();
    let mut seen = picks(title);
    let other = block(&transcript("V6b"), "persistence (-p 60)");
    let netmask = other.iter().position(|l| l.starts_with("--- netmask")).unwrap();
    let before = other[..netmask].iter().filter(|l| l.starts_with("192.")).count();
    seen.truncate(1 + before);
    assert_eq!(played.picks(), seen);
    let lists = shown(title, "10.96.0.10:1004", &["UDP", "  ->"]);
    let first: Vec<&String> = lists
        .iter()
        .filter(|l| {
            l.contains("Masq") && !l.ends_with("6         ")
                || l.contains("persistent 60") && !l.contains("mask")
        })
        .collect();
    assert_eq!(played.list(0).iter().filter(|l| l.contains("persistent")).count(), 1);
    assert!(first.iter().any(|l| *l == &played.list(0)[2]), "{first:?} {:?}", played.list(0));
    let conns: Vec<&String> =
        lists.iter().filter(|l| l.contains(" 192.168.1.100:") && l.contains("1001")).collect();
    assert!(played.list(1).iter().all(|l| conns.contains(&l)), "{:?}", played.list(1));
    assert_eq!(played.list(1).len(), 13);
}

#[test]
fn v6_a_netmask_makes_one_client_of_a_network() {
    let mut play = Play::new("-u", "-s rr -p 60 -M 255.255.255.0");
    for n in 0..3u16 {
        play.flows(&format!("192.168.1.10{n}"), 20500 + 50 * n, 2);
    }
    play.list("ipvsadm -Lnc");
    play.list(&format!("ipvsadm -Ln -u {VIRT}"));
    let played = play.run();
    assert_eq!(played.picks(), ["C C", "C C", "C C"]);
    let template = format!("UDP 00:59  ASSURED     192.168.1.0:0      {VIRT}    10.244.1.13:8080");
    assert!(played.list(0).contains(&template), "{:?}", played.list(0));
    assert!(shown("persistence (-p 60)", "10.96.0.10:1005", &["UDP"]).contains(&template));
    assert_eq!(played.list(1)[3], format!("UDP  {VIRT} rr persistent 60 mask 255.255.255.0"));
}

#[test]
fn v6_a_template_has_a_time_of_its_own_which_new_connections_renew() {
    let title = "persistence template timing";
    let mut play = Play::new("-u", "-s rr -p 5");
    play.lab.cmd("ipvsadm --set 0 0 2");
    play.flows(CLIENT, 20650, 1);
    play.list("ipvsadm -Lnc");
    play.lab.sleep(3);
    play.list("ipvsadm -Lnc");
    play.flows(CLIENT, 20700, 1);
    play.list("ipvsadm -Lnc");
    play.lab.sleep(9);
    play.list("ipvsadm -Lnc");
    play.flows(CLIENT, 20750, 1);
    let played = play.run();
    assert_eq!(played.picks(), picks(title));
    let all: Vec<String> = (0..4).flat_map(|n| played.list(n)).collect();
    let mut expected = block(&transcript("V6b"), title);
    expected.retain(|l| l.starts_with("UDP"));
    let expected: Vec<String> = expected.iter().map(|l| l.replace("10.96.0.10:1006", VIRT)).collect();
    let (mut all, mut expected) = (all, expected);
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn v6_a_template_of_a_server_with_weight_0_is_used_unless_expire_quiescent_template() {
    let mut play = Play::new("-u", "-s rr -p 60");
    play.flows(CLIENT, 20800, 1);
    play.server("-e", "C", "-m -w 0");
    play.flows(CLIENT, 20850, 2);
    play.lab.cmd("sysctl -w net.ipv4.vs.expire_quiescent_template=1");
    play.flows(CLIENT, 20900, 2);
    let found = play.run().picks();
    assert_eq!(found[1..], picks("session pinned to a server"));
    assert_eq!(found[0], "C");
}

#[test]
fn v6_flows_of_a_deleted_server_are_dropped_or_with_expire_nodest_conn_go_elsewhere_at_once() {
    let expected = picks("real server deleted under a live UDP flow");
    assert_eq!(expected.len(), 6);
    for (setting, expected) in [(0, &expected[..3]), (1, &expected[3..])] {
        let mut play = Play::new("-u", "-s rr");
        play.lab.cmd(&format!("sysctl -w net.ipv4.vs.expire_nodest_conn={setting}"));
        play.flows(CLIENT, 20950, 1);
        play.server("-d", "C", "");
        for _ in 0..3 {
            play.flows(CLIENT, 20950, 1);
        }
        assert_eq!(play.run().picks()[1..], *expected, "{setting}");
    }
}

#[test]
fn a_setting_that_comes_after_the_deletion_counts_at_the_next_packet() {
    let mut play = Play::new("-u", "-s rr");
    play.flows(CLIENT, 20950, 1);
    play.server("-d", "C", "");
    play.lab.cmd("sysctl -w net.ipv4.vs.expire_nodest_conn=1");
    play.list("ipvsadm -Lnc");
    play.flows(CLIENT, 20950, 1);
    let played = play.run();
    assert_eq!(played.list(0).len(), 1);
    assert_eq!(played.picks(), ["C", "B"]);
}

#[test]
fn v6_a_deleted_server_that_returns_has_its_flows_back() {
    let mut play = Play::new("-u", "-s rr");
    play.flows(CLIENT, 20950, 1);
    play.server("-d", "C", "");
    play.flows(CLIENT, 20950, 1);
    play.server("-a", "C", "-m");
    play.flows(CLIENT, 20950, 1);
    assert_eq!(play.run().picks(), ["C", "-", "C"]);
}

#[test]
fn v6_with_vs_conntrack_the_old_entry_of_conntrack_goes_too() {
    let mut play = Play::new("-u", "-s rr");
    play.lab.host("node1", "ct_probe", json!(true));
    play.lab.cmd("sysctl -w net.ipv4.vs.conntrack=1");
    play.lab.cmd("sysctl -w net.ipv4.vs.expire_nodest_conn=1");
    play.flows(CLIENT, 21050, 1);
    play.server("-d", "C", "");
    for _ in 0..3 {
        play.flows(CLIENT, 21050, 1);
    }
    play.list("conntrack -L -p udp");
    let played = play.run();
    assert_eq!(played.picks()[1..], picks("the same with net.ipv4.vs.conntrack=1"));
    let entries: Vec<String> = played.list(0).into_iter().filter(|l| l.contains("dport=1001")).collect();
    assert!(entries.len() == 1 && entries[0].contains("src=10.244.1.12 dst=192.168.1.100"), "{entries:?}");
}

#[test]
fn v6_a_port_that_is_used_again_in_time_wait_has_a_new_server_with_conn_reuse_mode() {
    let mut expected = picks("TCP port reuse: same 5-tuple");
    assert_eq!(expected.len(), 6);
    let zero = expected.split_off(3);
    for (mode, expected) in [(1, expected), (0, zero)] {
        for conntrack in [0, 1] {
            let mut play = Play::new("-t", "-s rr");
            play.lab.host("node1", "ct_probe", json!(conntrack == 1));
            play.lab.cmd(&format!("sysctl -w net.ipv4.vs.conn_reuse_mode={mode}"));
            play.lab.cmd(&format!("sysctl -w net.ipv4.vs.conntrack={conntrack}"));
            for _ in 0..3 {
                play.flows(CLIENT, 21300, 1);
            }
            play.list("ipvsadm -Lnc");
            let played = play.run();
            assert_eq!(played.picks(), expected, "conn_reuse_mode {mode}, conntrack {conntrack}");
            assert!(
                played.list(0)[0].starts_with("TCP 01:59  TIME_WAIT   192.168.1.100:21300"),
                "{:?}",
                played.list(0)
            );
        }
    }
}

#[test]
fn v6_a_flow_stays_when_the_weight_becomes_0_and_is_refused_when_the_virtual_server_goes() {
    let mut play = Play::new("-u", "-s rr");
    play.flows(CLIENT, 21200, 1);
    play.server("-e", "C", "-m -w 0");
    play.flows(CLIENT, 21200, 1);
    play.flows(CLIENT, 21250, 4);
    play.lab.cmd(&format!("ipvsadm -D -u {VIRT}"));
    play.flows(CLIENT, 21200, 1);
    let found = play.run().picks();
    assert_eq!(found[1..3], picks("real server set to weight 0"));
    assert_eq!(found[3], "-");
}

#[test]
fn v6_connections_that_the_server_closes_end_in_time_wait() {
    let title = "TCP states and timeouts";
    let mut play = Play::new("-t", "-s rr");
    play.flows(CLIENT, 21400, 2);
    play.list("ipvsadm -Lnc");
    let played = play.run();
    assert_eq!(played.picks(), ["C B"]);
    assert_eq!(played.list(0), shown(title, "10.96.0.10:1016", &["TCP"]));
}
