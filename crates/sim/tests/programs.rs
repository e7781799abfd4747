//! Programs against servers: nc, curl, tftp, kubectl port-forward, and commands in the background.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::SocketId;
use kernel::event::What;
use kernel::socket::Received;
use sim::operator::CommandOutput;
use sim::programs::http_server::HttpServer;
use sim::programs::{Daemon, Program, Run, collect, shell, start};
use sim::{HostSpec, LinkSpec, Scenario, ServerMode, ServerSpec, StepOutcome, Stimulus};
use std::net::Ipv4Addr;
use std::time::Duration;
use userland::ip::parse_ip;

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn host(name: &str, addr: &str, daemons: Vec<Daemon>) -> HostSpec {
    let line = words(&format!("ip addr add {addr}/24 dev eth0"));
    HostSpec {
        name: name.to_owned(),
        ip: vec![parse_ip(&line).unwrap().command],
        daemons,
        ..HostSpec::default()
    }
}

/// A client and a server on one wire, and what the client does: commands, `COMMAND &`, `wait`.
fn scenario(daemons: Vec<Daemon>, lines: &[&str]) -> Scenario {
    let hosts = vec![host("client", "10.0.0.1", Vec::new()), host("server", "10.0.0.2", daemons)];
    let end = |host: &str| (host.to_owned(), "eth0".to_owned());
    let link = LinkSpec::Veth { a: end("client"), b: end("server"), a_mac: None, b_mac: None };
    let stimulus = |line: &&str| match line.strip_suffix(" &") {
        Some(line) => Stimulus::Background { start, host: "client".to_owned(), argv: words(line) },
        None if *line == "wait" => Stimulus::Wait { collect },
        None => Stimulus::Command { shell, host: "client".to_owned(), argv: words(line), stdin: None },
    };
    Scenario {
        hosts,
        links: vec![link],
        stimuli: lines.iter().map(stimulus).collect(),
        ..Scenario::default()
    }
}

fn outputs(scenario: &Scenario) -> Vec<CommandOutput> {
    let steps = scenario.run().unwrap().steps.into_iter();
    let outputs = steps.flat_map(|s| match s.outcome {
        StepOutcome::Command(output) => vec![output],
        StepOutcome::Ended(all) => all.into_iter().map(|(_, _, output)| output).collect(),
        StepOutcome::Started => Vec::new(),
        other => panic!("{other:?}"),
    });
    outputs.collect()
}

fn run(daemons: Vec<Daemon>, line: &str) -> CommandOutput {
    outputs(&scenario(daemons, &[line])).remove(0)
}

fn nginx() -> Daemon {
    Daemon::new(HttpServer::nginx((ANY, 80)).with_bytes("/big", 100_000, Duration::ZERO))
}

/// A server that does something odd with its first request.
#[derive(Clone, Debug)]
struct Odd {
    says: &'static str,
    resets: bool,
    listener: Option<SocketId>,
    open: Vec<SocketId>,
}

fn odd(says: &'static str, resets: bool) -> Vec<Daemon> {
    vec![Daemon::new(Odd { says, resets, listener: None, open: Vec::new() })]
}

impl Program for Odd {
    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let listener = *self.listener.get_or_insert_with(|| {
            let listener = run.kernel(|ns, _| ns.tcp_listen((ANY, 80))).unwrap().unwrap();
            run.own(listener);
            listener
        });
        while let Some(Some(socket)) = run.kernel(|ns, _| ns.tcp_accept(listener)) {
            run.own(socket);
            self.open.push(socket);
        }
        let (says, resets) = (self.says, self.resets);
        self.open.retain(|socket| {
            let Some(Received::Data(_)) = run.kernel(|ns, _| ns.tcp_recv(*socket)) else { return true };
            run.kernel(|ns, kcx| {
                let _ = ns.tcp_send(*socket, says.as_bytes(), kcx);
                if resets { ns.tcp_reset(*socket, kcx) } else { ns.tcp_close(*socket, kcx) }
            });
            false
        });
        None
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }
}

#[test]
fn curl_says_how_a_transfer_ends() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234";
    for (says, resets, status, error) in [
        ("", false, 52, "curl: (52) Empty reply from server"),
        ("", true, 56, "curl: (56) Recv failure: Connection reset by peer"),
        (head, false, 18, "curl: (18) transfer closed with 6 bytes remaining to read"),
        ("hello\n", false, 1, "curl: (1) Received HTTP/0.9 when not allowed"),
    ] {
        let output = run(odd(says, resets), "curl -sS http://10.0.0.2/");
        assert_eq!((output.status, output.stderr), (status, vec![error.to_owned()]));
    }
}

#[test]
fn curl_gives_up_in_the_middle() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234";
    let daemons =
        vec![Daemon::new(HttpServer::nginx((ANY, 80)).with_bytes("/big", 4_000_000, Duration::ZERO))];
    let mut scenario = scenario(daemons, &["curl -sS -m 2 -o /dev/null http://10.0.0.2/big"]);
    // What the server sends is lost from the tenth segment on.
    let rules =
        "*filter\n:INPUT ACCEPT\n-A INPUT -p tcp --sport 80 -m length --length 1400:65535 -j DROP\nCOMMIT\n";
    scenario.hosts[0].iptables = Some(rules.to_owned());
    let output = &outputs(&scenario)[0];
    assert_eq!(output.status, 28, "{head}");
    assert_eq!(
        output.stderr,
        ["curl: (28) Operation timed out after 2000 milliseconds with 0 bytes received"]
    );
}

#[test]
fn a_large_body_comes_whole() {
    let output =
        run(vec![nginx()], "curl -s -o /dev/null -w %{http_code}:%{size_download}\\n http://10.0.0.2/big");
    assert_eq!(output.stdout, ["200:100000"]);
}

#[test]
fn nginx_answers_with_its_head() {
    let output = run(vec![nginx()], "curl -sI http://10.0.0.2/");
    let lines: Vec<&str> = output.stdout.iter().map(|l| l.trim_end()).collect();
    assert_eq!(lines[..2], ["HTTP/1.1 200 OK", "Server: nginx"]);
    assert_eq!(lines[3..], ["Content-Type: text/html", "Content-Length: 121", "Connection: keep-alive", ""]);
}

#[test]
fn nc_knows_the_names_of_services() {
    let said = |line: &str| run(vec![nginx()], line);
    assert_eq!(said("nc -v -z 10.0.0.2 http"), said("nc -v -z 10.0.0.2 80"));
    assert_eq!(said("nc -z 10.0.0.2 htp").stderr, ["nc: port number invalid: htp"]);
    assert_eq!(
        said("nc -u -z 10.0.0.2 http").stderr,
        ["nc: port number invalid: http"],
        "it has no UDP port"
    );
}

#[test]
fn nc_tries_ports() {
    let open = run(vec![nginx()], "nc -v -z 10.0.0.2 80");
    assert_eq!(
        (open.status, open.stderr),
        (0, vec!["Connection to 10.0.0.2 80 port [tcp/http] succeeded!".to_owned()])
    );
    let closed = run(Vec::new(), "nc -v -z 10.0.0.2 81");
    let said = "nc: connect to 10.0.0.2 port 81 (tcp) failed: Connection refused";
    assert_eq!((closed.status, closed.stderr), (1, vec![said.to_owned()]));
    let nobody = run(Vec::new(), "nc -v -w 1 10.0.0.99 81");
    let said = "nc: connect to 10.0.0.99 port 81 (tcp) timed out: Operation now in progress";
    assert_eq!((nobody.status, nobody.stderr), (1, vec![said.to_owned()]));
}

#[test]
fn nc_listens_for_nc() {
    let lines = ["nc -l -v -p 5000 &", "nc -v -w 1 10.0.0.1 5000", "wait"];
    let out = outputs(&scenario(Vec::new(), &lines));
    assert_eq!(out[0].stderr, ["Connection to 10.0.0.1 5000 port [tcp/*] succeeded!"]);
    assert_eq!(out[1].stderr[0], "Listening on 0.0.0.0 5000");
    assert!(out[1].stderr[1].starts_with("Connection received on 10.0.0.1 "), "{:?}", out[1]);
}

fn tftpd(size_ms: u64) -> ServerSpec {
    let mode = ServerMode::Tftp { data: (ANY, 40_000), retransmit_ms: size_ms };
    ServerSpec { tcp: false, bind: (ANY, 69), mode, closes: false }
}

#[test]
fn tftp_fetches_a_file_and_says_how_fast() {
    let mut scenario = scenario(Vec::new(), &["tftp -v -m binary 10.0.0.2 -c get f-1200"]);
    scenario.hosts[1].servers.push(tftpd(1000));
    let out = &outputs(&scenario)[0];
    let head = [
        "mode set to octet",
        "Connected to 10.0.0.2 (10.0.0.2), port 69",
        "getting from 10.0.0.2:f-1200 to f-1200 [octet]",
    ];
    assert_eq!(out.stdout[..3], head);
    assert!(out.stdout[3].starts_with("Received 1200 bytes in 0.0 seconds ["), "{:?}", out.stdout);
}

#[test]
fn tftp_gives_up_after_twenty_five_seconds() {
    let out = run(Vec::new(), "time tftp 10.0.0.2 -c get f");
    assert_eq!((out.status, out.stdout), (69, vec!["Transfer timed out.".to_owned(), String::new()]));
    assert_eq!(out.stderr[1], "real\t0m25.000s");
}

#[test]
fn commands_in_the_background_run_at_once() {
    let lines = ["ping -c 3 10.0.0.2 &", "ping -c 3 10.0.0.2 &", "time ping -c 3 10.0.0.2", "wait"];
    let out = outputs(&scenario(Vec::new(), &lines));
    assert_eq!(out.len(), 3);
    assert!(out.iter().all(|o| o.status == 0 && o.stdout.len() == 8), "{out:?}");
    assert!(out[0].stderr[1].starts_with("real\t0m2.0"));
}

#[test]
fn port_forward_goes_around_all_rules() {
    let lines = [
        "kubectl port-forward pod/server 8080:80 &",
        "curl -s -o /dev/null -w %{http_code}\\n http://127.0.0.1:8080/",
        "curl -s -o /dev/null -w %{http_code}\\n http://10.0.0.2/",
        "wait",
    ];
    let mut scenario = scenario(vec![nginx()], &lines);
    // The pod lets nothing in by its network.
    let rules = "*filter\n:INPUT ACCEPT\n-A INPUT -i eth0 -j REJECT\nCOMMIT\n";
    scenario.hosts[1].iptables = Some(rules.to_owned());
    let out = outputs(&scenario);
    assert_eq!(out[0].stdout, ["200"]);
    assert_eq!(out[1].status, 7);
    assert_eq!(out[2].stdout, ["Forwarding from 127.0.0.1:8080 -> 80", "Handling connection for 8080"]);
    assert_eq!(out[2].status, 130);
}

#[test]
fn port_forward_to_a_port_where_nobody_listens() {
    let lines = ["kubectl port-forward server 8080:81 &", "curl -sS http://127.0.0.1:8080/", "wait"];
    let out = outputs(&scenario(vec![nginx()], &lines));
    assert_eq!(out[0].stderr, ["curl: (52) Empty reply from server"]);
    assert!(
        out[1].stderr[0].ends_with("dial tcp4 127.0.0.1:81: connect: connection refused"),
        "{:?}",
        out[1].stderr
    );
}

/// RFC 1350: in mode netascii a line of a box's file ends with two bytes on the wire, and those are counted; what is kept is the text.
#[test]
fn netascii_is_for_lines_and_octet_for_bytes() {
    let lines =
        ["tftp -v 10.0.0.2 -c get lines.txt text", "tftp -v -m binary 10.0.0.2 -c get lines.txt bytes"];
    let mut scenario = scenario(Vec::new(), &lines);
    scenario.hosts[1].servers.push(tftpd(1000));
    let text = "one\ntwo\r\nthree\n".to_owned();
    scenario.hosts[1].files.push(("/var/lib/tftpboot/lines.txt".to_owned(), text));
    let run = scenario.run().unwrap();
    let received = |n: usize| match &run.steps[n].outcome {
        StepOutcome::Command(out) => out.stdout.last().unwrap().clone(),
        other => panic!("{other:?}"),
    };
    assert!(received(0).starts_with("Received 19 bytes in "), "{}", received(0));
    assert!(received(1).starts_with("Received 15 bytes in "), "{}", received(1));
    let client = run.world.host_by_name("client").unwrap();
    for file in ["text", "bytes"] {
        assert_eq!(run.world.file(client, file), Some("one\ntwo\r\nthree\n"), "{file}");
    }
}

/// `-O` names the file after the URL's path; options about TLS say nothing of http.
#[test]
fn curl_keeps_a_page_under_its_own_name() {
    let lines = [
        "curl -sk --http1.1 -O http://10.0.0.2/index.html?x=1",
        "cat index.html",
        "curl -O http://10.0.0.2/",
    ];
    let out = outputs(&scenario(vec![nginx()], &lines));
    assert_eq!((out[0].status, &out[0].stdout), (0, &Vec::new()));
    assert_eq!((out[1].status, out[1].stdout[0].as_str()), (0, "<html>\r"));
    assert_eq!(
        (out[2].status, out[2].stderr.join("|").as_str()),
        (
            23,
            "curl: Remote file name has no length!|curl: (23) Failed writing received data to disk/application"
        )
    );
}

/// `IP_PMTUDISC_WANT` (asked of Linux 6.18): what is longer than the MTU goes in pieces, without DF; what fits has DF. With `-M do` it is an error.
#[test]
fn a_ping_that_is_longer_than_the_mtu_goes_in_pieces() {
    let lines =
        ["ping -c 1 -s 2000 10.0.0.2", "ping -c 1 -s 1472 10.0.0.2", "ping -c 1 -M do -s 1473 10.0.0.2"];
    let run = scenario(Vec::new(), &lines).run().unwrap();
    let out: Vec<_> = run.steps.iter().map(|s| s.outcome.clone()).collect();
    for (n, line) in
        [(0, "2008 bytes from 10.0.0.2: icmp_seq=1 "), (1, "1480 bytes from 10.0.0.2: icmp_seq=1 ")]
    {
        let StepOutcome::Command(out) = &out[n] else { panic!("{:?}", out[n]) };
        assert!(out.status == 0 && out.stdout[1].starts_with(line), "{out:?}");
    }
    let StepOutcome::Command(out) = &out[2] else { panic!("{:?}", out[2]) };
    assert_eq!(out.stderr, ["ping: local error: message too long, mtu=1500"]);
    let client = run.world.host_by_name("client").unwrap();
    let eth0 = run.world.host(client).unwrap().device_by_name("eth0").unwrap();
    let sent =
        run.world.log().entries().iter().filter(|e| e.host == client).filter_map(|e| match e.what()? {
            What::Tap { dev, dir: kernel::event::TapDir::Out, frame, .. } if *dev == eth0 => {
                frame.ip().cloned()
            }
            _ => None,
        });
    let sent: Vec<(usize, bool)> = sent.map(|ip| (ip.total_len(), ip.frag.df)).collect();
    assert_eq!(sent, [(1500, false), (548, false), (1500, true)]);
}

/// After `busybox --install` plain names are BusyBox's: ping counts from 0 and rounds otherwise, diff knows one form.
#[test]
fn busybox_takes_the_place_of_plain_names() {
    let lines = [
        "busybox ping -c 2 10.0.0.2",
        "busybox ping -c 1 -W 1 10.0.0.9",
        "busybox ping -c 1 nobody",
        "busybox diff old new",
        "busybox --install -s",
        "diff old new",
        "ping -c 1 10.0.0.2",
        "ping -c 1 203.0.113.1",
    ];
    let mut scenario = scenario(Vec::new(), &lines);
    scenario.hosts[0]
        .files
        .extend([("old", "a\n"), ("new", "b\n")].map(|(p, t)| (p.to_owned(), t.to_owned())));
    let out = outputs(&scenario);
    assert_eq!(out[0].stdout[0], "PING 10.0.0.2 (10.0.0.2): 56 data bytes");
    assert!(out[0].stdout[1].starts_with("64 bytes from 10.0.0.2: seq=0 ttl=64 time=0."), "{:?}", out[0]);
    assert!(out[0].stdout[2].starts_with("64 bytes from 10.0.0.2: seq=1 ttl=64 time=0."), "{:?}", out[0]);
    assert_eq!(out[0].stdout[3..5], ["", "--- 10.0.0.2 ping statistics ---"]);
    assert_eq!(out[0].stdout[5], "2 packets transmitted, 2 packets received, 0% packet loss");
    assert!(out[0].stdout[6].starts_with("round-trip min/avg/max = 0."), "{:?}", out[0]);
    assert_eq!(out[1].stdout.last().unwrap(), "1 packets transmitted, 0 packets received, 100% packet loss");
    assert_eq!((out[2].status, &out[2].stderr), (1, &vec!["ping: bad address 'nobody'".to_owned()]));
    let unified = ["--- old", "+++ new", "@@ -1 +1 @@", "-a", "+b"];
    assert_eq!((&out[3].stdout, out[3].status), (&unified.map(str::to_owned).to_vec(), 1));
    assert_eq!(out[5], out[3]);
    assert!(out[6].stdout[1].contains(": seq=0 "), "{:?}", out[6]);
    assert_eq!(out[7].stderr, ["ping: sendto: Network is unreachable"]);
}

#[test]
fn what_is_not_modelled_is_refused_by_its_name() {
    for (line, names) in [
        ("curl -T f http://10.0.0.2/", "-T"),
        ("curl https://10.0.0.2/", "https://"),
        ("ping -R -c 1 10.0.0.2", "-R"),
        ("nc -6 10.0.0.2 80", "-6"),
        ("dig +trace example.com", "+trace"),
        ("kubectl get pods", "get"),
        ("kubectl port-forward svc/web 80", "svc"),
        ("busybox vi x", "vi"),
        ("curl --fail-with-body http://10.0.0.2/", "--fail-with-body"),
        ("tftp 10.0.0.2 -c put x", "put"),
        ("tcpdump -w file", "-w"),
    ] {
        let out = run(Vec::new(), line);
        let said = out.stderr.join("\n");
        assert!(out.status != 0 && said.contains(names) && said.contains("not modelled"), "{line}: {said}");
    }
}

#[test]
fn quiet_runs_end_in_the_same_state() {
    let lines = ["curl -s http://10.0.0.2/", "ping -c 2 10.0.0.2", "nc -z 10.0.0.2 80"];
    let scenario = scenario(vec![nginx()], &lines);
    let (loud, quiet) = (scenario.run().unwrap(), scenario.run_quiet().unwrap());
    let outcomes = |run: &sim::Run| run.steps.iter().map(|s| s.outcome.clone()).collect::<Vec<_>>();
    assert_eq!(outcomes(&loud), outcomes(&quiet));
    assert_eq!(loud.world.now(), quiet.world.now());
    assert!(loud.world.log().entries().iter().any(|e| matches!(e.what(), Some(What::Tap { .. }))));
}

/// RFC 2347, RFC 2348: the server takes the block size by an OACK, which is acknowledged as block 0.
#[test]
fn a_block_size_that_is_asked_for_is_taken_by_an_oack() {
    for (size, blocks) in [(1024, 2), (1428, 1), (8, 151)] {
        let line = format!("busybox tftp -g -b {size} -r f-1200 10.0.0.2");
        let mut scenario = scenario(Vec::new(), &[&line]);
        scenario.hosts[1].servers.push(tftpd(1000));
        let run = scenario.run().unwrap();
        let StepOutcome::Command(out) = &run.steps[0].outcome else { panic!("{:?}", run.steps[0].outcome) };
        assert_eq!((out.status, &out.stdout, &out.stderr), (0, &Vec::new(), &Vec::new()));
        let client = run.world.host_by_name("client").unwrap();
        assert_eq!(run.world.file(client, "f-1200").map(|t| t.chars().count()), Some(1200));
        let got: Vec<u8> = received(&run, client);
        assert_eq!(got.iter().filter(|op| **op == 6).count(), 1, "{size}");
        assert_eq!(got.iter().filter(|op| **op == 3).count(), blocks, "{size}");
    }
}

/// RFC 1350: blocks are numbered in 16 bits; in.tftpd and its clients go on with 0 after 65535.
#[test]
fn a_file_may_have_more_than_65535_blocks() {
    let mut scenario = scenario(Vec::new(), &["busybox tftp -g -b 8 -r f-524305 10.0.0.2"]);
    scenario.hosts[1].servers.push(tftpd(1000));
    let run = scenario.run_quiet().unwrap();
    let client = run.world.host_by_name("client").unwrap();
    let text = run.world.file(client, "f-524305").unwrap();
    assert_eq!(text.chars().count(), 524_305);
    assert!(text.chars().enumerate().all(|(i, c)| u32::from(c) == i as u32 & 0xff));
}

/// in.tftpd, whom both clients ask for a file that is not there.
#[test]
fn a_file_that_is_not_there_is_not_found() {
    for (line, out, err) in [
        ("tftp 10.0.0.2 -c get nosuch.txt", &["Error code 1: File not found"][..], &[][..]),
        ("tftp 10.0.0.2 -c get f-16777217", &["Error code 1: File not found"], &[]),
        ("busybox tftp -g -r nosuch 10.0.0.2", &[], &["tftp: server error: (1) File not found"]),
    ] {
        let mut scenario = scenario(Vec::new(), &[line]);
        scenario.hosts[1].servers.push(tftpd(1000));
        let ended = &outputs(&scenario)[0];
        assert_eq!(ended.stdout, out, "{line}");
        assert_eq!(ended.stderr, err, "{line}");
    }
}

/// curl 7.88: a host of one's own stands where the usual one does, what is empty takes the usual line away.
#[test]
fn headers_of_ones_own_take_the_place_of_the_usual_ones() {
    for (options, wanted) in [
        (
            "-H Host:foo -H X-A:b",
            &["> Host:foo", "> User-Agent: curl/7.88.1", "> Accept: */*", "> X-A:b"][..],
        ),
        ("-H Host: -H accept:", &["> User-Agent: curl/7.88.1"]),
        ("-H user-agent:q", &["> Host: 10.0.0.2", "> Accept: */*", "> user-agent:q"]),
    ] {
        let out = run(vec![nginx()], &format!("curl -sv {options} http://10.0.0.2/"));
        let sent: Vec<&str> =
            out.stderr.iter().filter(|l| l.starts_with("> ")).map(|l| l.trim_end()).collect();
        assert_eq!(sent[1..], [wanted, &[">"]].concat(), "{options}");
    }
}

/// iputils, `strtol_or_err`.
#[test]
fn ping_sends_one_echo_at_least() {
    let out = run(Vec::new(), "ping -c 0 10.0.0.2");
    let says = "ping: invalid argument: '0': out of range: 1 <= value <= 9223372036854775807";
    assert_eq!((out.status, out.stderr, out.stdout.len()), (1, vec![says.to_owned()], 0));
}

/// libpcap 1.10.3: without `-i` the first device that is up, by its number, and no loopback.
#[test]
fn tcpdump_listens_on_the_first_device_that_is_up() {
    let listens = |line: &str| {
        let lines = ["ip link add br0 type bridge", "ip link set br0 up", line, "tcpdump -c 1"];
        outputs(&scenario(Vec::new(), &lines)).remove(3).stderr.remove(1)
    };
    assert!(listens("ip link set lo up").starts_with("listening on eth0,"));
    assert!(listens("ip link set eth0 down").starts_with("listening on br0,"));
}

/// The opcodes of the TFTP messages that a box received.
fn received(run: &sim::Run, host: kernel::NetnsId) -> Vec<u8> {
    let entries = run.world.log().entries().iter().filter(|e| e.host == host);
    let frames = entries.filter_map(|e| match e.what()? {
        What::Tap { dir: kernel::event::TapDir::In, frame, .. } => frame.ip(),
        _ => None,
    });
    frames
        .filter_map(|ip| match &ip.l4 {
            packet::L4::Udp(u) => u.payload.get(1).copied(),
            _ => None,
        })
        .collect()
}

#[test]
fn busybox_gives_up_after_twelve_times() {
    let out = run(Vec::new(), "busybox tftp -g -b 1024 -r f 10.0.0.2");
    assert_eq!((out.status, out.stderr), (1, vec!["tftp: timeout".to_owned()]));
    let out = run(Vec::new(), "busybox tftp -g -b 7 -r f 10.0.0.2");
    assert_eq!(out.stderr, ["tftp: bad blocksize '7'"]);
}

/// What people see of a run is what the log says: the line as it was typed, and what it printed.
#[test]
fn the_log_tells_how_long_a_program_took() {
    let run = scenario(Vec::new(), &["time ping -c 1 10.0.0.2"]).run().unwrap();
    let told = run.world.log().entries().iter().filter_map(|e| match &*e.seen {
        sim::Seen::App(sim::AppEvent::Started { command }) => Some(command.clone()),
        sim::Seen::App(sim::AppEvent::Printed { line, .. }) => Some(line.clone()),
        _ => None,
    });
    let told: Vec<String> = told.collect();
    assert_eq!(told[0], "time ping -c 1 10.0.0.2");
    assert_eq!(told.iter().filter(|l| l.starts_with("real\t0m0.0")).count(), 1, "{told:?}");
}

/// Seen with iputils 20221126 on Linux 6.18.
#[test]
fn ping_says_what_the_box_does_not_send() {
    let rule = "iptables -A OUTPUT -d 10.0.0.2 -p icmp -j REJECT";
    let out = outputs(&scenario(Vec::new(), &[rule, "ping -c1 -W1 10.0.0.2"]));
    assert_eq!(out[1].stderr, ["ping: sendmsg: Operation not permitted"]);
    assert_eq!(out[1].stdout[1], "From 10.0.0.1 icmp_seq=1 Destination Port Unreachable");
    let out =
        outputs(&scenario(Vec::new(), &["iptables -A OUTPUT -d 10.0.0.2 -j DROP", "ping -c1 -W1 10.0.0.2"]));
    assert!(out[1].stderr.is_empty(), "{out:?}");
    let out = run(Vec::new(), "ping -c2 -i 0.2 -W1 -s 65508 10.0.0.2");
    assert_eq!(out.stderr, ["ping: local error: message too long, mtu=1500"; 2]);
    assert!(
        out.stdout[3].starts_with("2 packets transmitted, 0 received, +2 errors, 100% packet loss"),
        "{out:?}"
    );
}

/// Seen with iputils 20221126.
#[test]
fn ping_refuses_values_in_its_own_words() {
    for (line, status, said) in [
        ("ping -c1 -t 0 10.0.0.2", 2, "ping: cannot set unicast time-to-live: Invalid argument"),
        ("ping -c1 -t 256 10.0.0.2", 1, "ping: invalid argument: '256': out of range: 0 <= value <= 255"),
        ("ping -c1 -t x 10.0.0.2", 1, "ping: invalid argument: 'x'"),
        (
            "ping -c1 -s -1 10.0.0.2",
            1,
            "ping: invalid argument: '-1': out of range: 0 <= value <= 2147483647",
        ),
        ("ping -c1 -M foo 10.0.0.2", 2, "ping: invalid -M argument: foo"),
        ("ping -c1 10.0.0.256", 2, "ping: 10.0.0.256: Name or service not known"),
    ] {
        let out = run(Vec::new(), line);
        assert_eq!((out.status, out.stderr), (status, vec![said.to_owned()]), "{line}");
    }
}

/// Seen with iputils 20221126 and curl 7.88.1: addresses as inet_aton(3) has them.
#[test]
fn addresses_may_be_short() {
    for text in ["10.2", "10.0.2", "167772162", "0xa000002", "012.0.0.2"] {
        let out = run(Vec::new(), &format!("ping -c1 {text}"));
        assert_eq!(
            (out.status, &out.stdout[0]),
            (0, &format!("PING {text} (10.0.0.2) 56(84) bytes of data."))
        );
        assert!(out.stdout[1].starts_with("64 bytes from 10.0.0.2: "), "{out:?}");
    }
    assert!(run(Vec::new(), "ping -c1 -W1 0").stdout[0].starts_with("PING 0 (127.0.0.1)"));
    let out = run(Vec::new(), "curl 10.2:81");
    assert!(
        out.stderr.last().unwrap().starts_with("curl: (7) Failed to connect to 10.0.0.2 port 81 after "),
        "{out:?}"
    );
}

/// Seen with curl 7.88.1.
#[test]
fn curl_tells_of_an_address_that_is_not_its_own() {
    let out = run(
        vec![nginx()],
        "curl -sS -w %{errormsg}|%{remote_ip}|%{remote_port} --interface 9.9.9.9 10.0.0.2",
    );
    let said = "bind failed with errno 99: Cannot assign requested address";
    assert_eq!((out.status, out.stderr), (45, vec![format!("curl: (45) {said}")]));
    assert_eq!(out.stdout, [format!("{said}||0")]);
    let out = run(vec![nginx()], "curl -s -o /dev/null -w %{errormsg}|%{remote_ip}|%{remote_port} 10.0.0.2");
    assert_eq!(out.stdout, ["|10.0.0.2|80"]);
}

/// Seen with nslookup 9.18: it goes on asking.
#[test]
fn nslookup_says_a_type_it_does_not_know() {
    let out = run(Vec::new(), "nslookup -type=foo -timeout=1 -retry=0 foo.bar 10.0.0.2");
    assert_eq!(out.stdout[0], "unknown query type: foo");
    assert!(out.stdout[1].contains("no servers could be reached"), "{out:?}");
}

/// Seen with curl 7.88.1 on Linux 6.18: the address may be had, but no packet leaves from it.
#[test]
fn with_ip_nonlocal_bind_a_socket_has_any_address() {
    let lines = ["sysctl -w net.ipv4.ip_nonlocal_bind=1", "curl -sS --interface 9.9.9.9 10.0.0.2"];
    let out = outputs(&scenario(vec![nginx()], &lines)).pop().unwrap();
    assert_eq!(out.status, 7, "{out:?}");
    assert!(out.stderr[0].starts_with("curl: (7) Failed to connect to 10.0.0.2 port 80 after "), "{out:?}");
}

/// Seen with iputils 20221126: the device decides the source and the way, and who has none of its addresses says so.
#[test]
fn ping_leaves_by_the_device_that_it_is_told() {
    let out = run(Vec::new(), "ping -c 1 -W 1 -I lo 10.0.0.2");
    assert_eq!(out.stderr, ["ping: Warning: source address might be selected on device other than: lo"]);
    assert_eq!(out.stdout[0], "PING 10.0.0.2 (10.0.0.2) from 10.0.0.1 lo: 56(84) bytes of data.");
    assert_eq!(out.status, 1, "{out:?}");
    for (line, from) in [("-I eth0 10.0.0.2", "10.0.0.1 eth0"), ("-I lo 127.0.0.1", "127.0.0.1 lo")] {
        let out = run(Vec::new(), &format!("ping -c 1 -W 1 {line}"));
        assert!(out.stdout[0].contains(&format!(" from {from}: ")), "{out:?}");
        assert_eq!((out.stderr.len(), out.status), (0, 0), "{out:?}");
    }
    let out = run(Vec::new(), "ping -c 1 -W 1 -I eth0 127.0.0.1");
    assert_eq!(out.stdout[0], "PING 127.0.0.1 (127.0.0.1) from 10.0.0.1 eth0: 56(84) bytes of data.");
    assert_eq!((out.stderr.len(), out.status), (0, 1), "{out:?}");
}
