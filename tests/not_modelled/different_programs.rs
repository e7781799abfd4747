//! Programs, and what they print.

use crate::Pair;
use serde_json::json;
use sim::StepOutcome;
use sim::operator::CommandOutput;

/// What the commands of a pair print.
fn outputs(pair: &Pair) -> Vec<CommandOutput> {
    let steps = pair.run().0.steps.into_iter();
    let outputs = steps.flat_map(|s| match s.outcome {
        StepOutcome::Command(output) => vec![output],
        StepOutcome::Ended(all) => all.into_iter().map(|(_, _, output)| output).collect(),
        _ => Vec::new(),
    });
    outputs.collect()
}

fn one(line: &str) -> CommandOutput {
    let mut pair = Pair::new();
    pair.cmd(line);
    outputs(&pair).remove(0)
}

#[test]
fn tcpdump_prints_what_has_been() {
    let mut pair = Pair::new();
    pair.udp(5000, 9);
    pair.cmd("tcpdump -n -t -i eth0 udp");
    let out = outputs(&pair).remove(0);
    assert_eq!(out.stdout, ["IP 10.0.0.1.5000 > 10.0.0.2.9: UDP, length 5", ""]);
}

#[test]
fn tail_f_and_watch_end_at_once() {
    let file = "/proc/sys/net/ipv4/ip_forward";
    assert_eq!(one(&format!("tail -f {file}")).stdout, ["0"]);
    let screen = one(&format!("watch -n 1 cat {file}")).stdout;
    assert!(screen[0].starts_with(&format!("Every 1.0s: cat {file} ")), "{screen:?}");
    assert_eq!(screen[1..], ["", "0"]);
    let ping = one("ping 10.0.0.2").stdout;
    assert!(ping.contains(&"^C".to_owned()), "{ping:?}");
    assert!(
        ping.iter().any(|l| l.starts_with("1 packets transmitted, 1 received, 0% packet loss")),
        "{ping:?}"
    );
}

/// What commands print that are typed at the end of a lab with pods.
fn in_lab(lines: &[&str]) -> Vec<String> {
    let lab = std::rc::Rc::new(workshop::lab("same-node-clusterip").unwrap());
    let typed = lines.iter().map(|line| workshop::Typed::of_line(line, workshop::At::End)).collect();
    let run = workshop::Session { typed, ..workshop::Session::new(lab) }.run().unwrap();
    run.typed.iter().map(|t| t.output.as_ref().unwrap().stdout.join("\n")).collect()
}

#[test]
fn ps_knows_neither_memory_nor_time() {
    let line = &one("ps aux").stdout[1];
    assert!(line.contains("  0.0  0.0      0     0 ") && line.ends_with("   0:00 ps aux"), "{line}");
}

#[test]
fn only_programs_that_do_something_are_processes() {
    let listed = in_lab(&["worker-2: ps -eo comm= | grep -v 'not here' | sort"]).remove(0);
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["coredns", "kube-proxy", "nginx", "ps"]);
}

#[test]
fn pods_have_the_process_numbers_of_their_node() {
    let out = in_lab(&["nginx2: pgrep nginx", "worker-2: pgrep nginx"]);
    assert!(out[0] != "1" && out[0] == out[1], "{out:?}");
}

#[test]
fn pods_are_privileged() {
    let out = in_lab(&["tmp2: modprobe br_netfilter && lsmod", "tmp2: dmesg -C && echo cleared"]);
    assert!(out[0].contains("br_netfilter") && out[1] == "cleared", "{out:?}");
}

#[test]
fn awk_only_prints() {
    let why = one("awk {n++} /proc/sys/net/ipv4/ip_forward").stderr.join("\n");
    assert!(why.contains("\"n++}\" is not read here; expected a program such as"), "{why}");
}

#[test]
fn files_are_of_the_beginning_of_time() {
    let file = "/proc/sys/net/ipv4/ip_forward";
    assert_eq!(
        one(&format!("ls -l {file}")).stdout,
        [format!("-rw-r--r-- 1 root root 0 Jan  1 00:00 {file}")]
    );
    assert_eq!(one("uname -a").stdout, ["Linux a 6.18.0 x86_64 GNU/Linux"]);
}

#[test]
fn netascii_is_not_translated() {
    let mut pair = Pair::new();
    pair.set("b", "servers", json!([{ "proto": "udp", "bind": "0.0.0.0:69", "mode": "tftp" }]));
    pair.cmd("tftp -v 10.0.0.2 -c get f-522");
    let out = outputs(&pair).remove(0);
    // The file has two line feeds and two carriage returns: Linux sends 526 bytes.
    assert!(out.stdout[2].starts_with("Received 522 bytes in "), "{:?}", out.stdout);
}

#[test]
fn tcpdump_does_not_read_every_protocol() {
    let mut pair = Pair::new();
    let pkt = json!({ "src": "10.0.0.1", "dst": "10.0.0.2", "proto": 47, "payload": "\u{0}\u{0}\u{8}\u{0}" });
    pair.then(json!({ "do": "raw", "host": "a", "pkt": pkt }));
    pair.cmd("tcpdump -nn -t -i eth0 ip");
    let out = outputs(&pair).remove(0);
    // tcpdump: GREv0, length 4:  [|ip]
    assert_eq!(out.stdout[0], "IP 10.0.0.1 > 10.0.0.2:  ip-proto-47 4", "{:?}", out.stdout);
}

#[test]
fn events_do_not_name_who_made_them() {
    let mut pair = Pair::with_rules(
        "*raw\n:PREROUTING ACCEPT\nCOMMIT\n*filter\n:INPUT ACCEPT\n-A INPUT -m conntrack --ctstate NEW\nCOMMIT\n",
    );
    pair.udp(5000, 9);
    pair.then(json!({ "do": "start", "host": "a", "argv": ["conntrack", "-E"] }));
    pair.cmd("conntrack -F");
    pair.then(json!({ "do": "wait" }));
    let watched = outputs(&pair).pop().unwrap();
    // Linux: ... [USERSPACE] portid=1234
    assert!(
        watched.stdout[0].starts_with("[DESTROY] udp") && watched.stdout[0].ends_with("dport=5000"),
        "{watched:?}"
    );
}

#[test]
fn no_program_asks_for_the_name_of_an_address() {
    let mut pair = Pair::new();
    pair.set(
        "a",
        "files",
        json!({ "/etc/hosts": "10.0.0.2 other\n", "/etc/resolv.conf": "nameserver 10.0.0.2\n" }),
    );
    pair.cmd("ping -c 1 other");
    pair.cmd("tcpdump -t -i eth0 port 53");
    let out = outputs(&pair);
    assert!(out[0].stdout[1].starts_with("64 bytes from other (10.0.0.2): icmp_seq=1"), "{:?}", out[0]);
    assert_eq!(out[1].stdout, [""]);
}

#[test]
fn curl_has_no_progress_meter() {
    let out = one("curl -o file http://10.0.0.2:81/");
    let said = "curl: (7) Failed to connect to 10.0.0.2 port 81 after 0 ms: Couldn't connect to server";
    assert_eq!(out.stderr, [said]);
}

#[test]
fn dig_is_older_than_its_socket() {
    let out = one("dig +time=1 +tries=1 @10.0.0.3 web");
    // BIND 9.18 would also say: ;; communications error to 10.0.0.3#53: timed out
    assert_eq!(out.stdout[1], "; <<>> DiG 9.16.50-Debian <<>> +time=1 +tries=1 @10.0.0.3 web");
    assert_eq!(out.stdout[4], ";; connection timed out; no servers could be reached");
}

#[test]
fn dig_sends_no_cookie() {
    let mut pair = Pair::new();
    pair.cmd("dig +time=1 +tries=1 @10.0.0.2 web");
    pair.cmd("tcpdump -n -t -i eth0 udp");
    let out = outputs(&pair).pop().unwrap();
    // BIND: [1au] A? web. (44)
    assert!(out.stdout[0].ends_with("[1au] A? web. (32)"), "{:?}", out.stdout);
}

#[test]
fn programs_take_no_processor_time() {
    let out = one("time ping -c 1 10.0.0.2");
    assert_eq!(out.stderr[2..], ["user\t0m0.000s", "sys\t0m0.000s"]);
}

#[test]
fn sockets_are_listed_by_age() {
    let mut pair = Pair::new();
    let server = |port: u16| json!({ "proto": "tcp", "bind": format!("0.0.0.0:{port}"), "mode": "echo" });
    pair.set("a", "servers", json!([server(9), server(5), server(7)]));
    pair.cmd("ss -tlnH");
    let ports: Vec<String> =
        outputs(&pair)[0].stdout.iter().map(|l| l[l.find(':').unwrap()..].to_owned()).collect();
    assert!(
        ports[0].starts_with(":9 ") && ports[1].starts_with(":5 ") && ports[2].starts_with(":7 "),
        "{ports:?}"
    );
}

/// Linux also lists net.ipv4.conf.eth0.accept_source_route and the like.
#[test]
fn sysctl_knows_what_is_modelled() {
    let out = one("sysctl -a -r ^net.ipv4.conf.eth0.a");
    let names: Vec<&str> =
        out.stdout.iter().filter_map(|l| l.rsplit('.').next()?.split(' ').next()).collect();
    assert_eq!(names, ["accept_local", "accept_redirects", "arp_announce", "arp_filter", "arp_ignore"]);
}

#[test]
fn an_external_name_is_not_followed() {
    let mut session = workshop::Session::new(std::rc::Rc::new(workshop::lab("same-node-clusterip").unwrap()));
    let lines = [
        "kubectl create service externalname out --external-name=www.example.com",
        "coredns-1: dig +short @127.0.0.1 out.default.svc.cluster.local",
    ];
    session.typed = lines.map(|line| workshop::Typed::of_line(line, workshop::At::End)).to_vec();
    let told = session.run().unwrap().typed.remove(1).output.unwrap();
    assert_eq!(told.stdout, ["www.example.com."]);
}

#[test]
fn ss_counts_the_sockets_of_its_box() {
    // A fresh namespace on Linux has two sockets in all, and TCP's of the machine.
    assert_eq!(
        one("ss -s").stdout[..2],
        ["Total: 0", "TCP:   0 (estab 0, closed 0, orphaned 0, timewait 0)"]
    );
}

/// What `sh -c LINE` prints.
fn of_shell(line: &str) -> Vec<String> {
    let mut pair = Pair::new();
    let step = pair.then(json!({ "do": "cmd", "host": "a", "argv": ["sh", "-c", line] }));
    pair.run().printed(step)
}

#[test]
fn each_program_of_a_group_reads_all_that_a_pipe_brings() {
    // On Linux cat has read everything, and the second one finds nothing.
    assert_eq!(of_shell("echo a | (cat; cat)"), ["a", "a"]);
}

#[test]
fn errors_stand_behind_what_is_printed() {
    let lines = of_shell("cat none /proc/sys/net/ipv4/ip_forward > both 2>&1; cat both");
    assert_eq!(lines, ["0", "cat: none: No such file or directory"]);
}

#[test]
fn folders_are_there_when_a_file_is() {
    assert_eq!(of_shell("echo a > /no/such/folder/f; cat /no/such/folder/*"), ["a"]);
}

#[test]
fn only_programs_that_read_files_know_stars() {
    assert_eq!(of_shell("echo a > f; cat *f; echo *f"), ["a", "*f"]);
}

#[test]
fn diff_tells_no_times_of_files() {
    let lines = of_shell("echo a > f; echo b > g; diff -u f g");
    assert_eq!(lines[..2], ["--- f", "+++ g"]);
}

#[test]
fn wc_knows_no_size_of_what_it_reads_by_a_redirection() {
    assert_eq!(of_shell("echo a > f; wc < f"), ["      1       1       2"]);
}

/// Wireshark takes what a second device saw of a segment for a retransmission, and reads no HTTP in it.
#[test]
fn each_copy_of_a_segment_is_read() {
    use userland::wireshark::{Follower, learn};
    let run = workshop::lab("service-iptables").unwrap().run(&workshop::Setting::new()).unwrap();
    let world = &run.run.world;
    let captures = sim::view::Captures::new(world, |_, _| true);
    let mut follower = Follower::default();
    let mut requests: Vec<String> = Vec::new();
    for (i, taken) in captures.taken.iter().enumerate() {
        let bytes = captures.bytes(world, taken);
        let (fields, _) = learn(&mut follower, &captures.packet(i, taken, &bytes));
        let value =
            |name: &str| fields.iter().find(|f| f.known.name == name).map(|f| format!("{:?}", f.value));
        if value("http.request.method").is_some() {
            requests.extend(value("tcp.stream"));
        }
    }
    let first = requests.first().cloned();
    assert!(requests.iter().filter(|stream| first.as_ref() == Some(*stream)).count() > 1, "{requests:?}");
    assert!(userland::wireshark::DisplayFilter::parse("tcp.analysis.retransmission").is_err());
}

/// CoreDNS would send on a thousand, or as many as it has memory for, and say REFUSED.
#[test]
fn coredns_sends_on_a_hundred_queries() {
    use sim::programs::dns_server::{DnsServer, Forward, ServerBlock};
    use std::net::Ipv4Addr;
    let mut pair = Pair::new();
    pair.cmd("dig +tries=1 +time=4 @10.0.0.2 example.com");
    pair.set("b", "servers", json!([]));
    let mut scenario = nflab::scenario::parse(&pair.document).unwrap();
    let itself = (Ipv4Addr::new(10, 0, 0, 2), 53);
    let forward = vec![Forward { zone: String::new(), except: Vec::new(), to: vec![itself] }];
    let block = ServerBlock { zones: vec![String::new()], errors: true, forward, ..ServerBlock::default() };
    let server = scenario.hosts.iter_mut().find(|h| h.name == "b").unwrap();
    server.daemons.push(sim::programs::Daemon::new(DnsServer::new((Ipv4Addr::UNSPECIFIED, 53), vec![block])));
    let run = scenario.run().unwrap();
    let printed =
        |text: &str| run.world.log().entries().iter().any(|e| format!("{:?}", e.seen).contains(text));
    assert!(printed("concurrent queries exceeded maximum 100"));
    let StepOutcome::Command(output) = &run.steps[0].outcome else { panic!("no command") };
    assert!(output.stdout.join(" ").contains("status: SERVFAIL"), "{:?}", output.stdout);
}
