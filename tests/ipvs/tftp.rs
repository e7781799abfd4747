//! Facts V2, V3 and V4: TFTP through a node, in mode ipvs with SNAT (V2) and without (V3) and in mode iptables (V4), by
//! modules and rules. Each transfer of the transcripts is run with the same set-up, and ends as it did there.

use crate::lab::{Lab, Record, transcript};
use crate::v1::{SETS, rules};
use kernel::event::{ExpectEventKind, Origin, What};
use serde_json::json;

/// Which modules are loaded.
#[derive(Clone, Copy)]
enum Mods {
    None,
    Conntrack,
    Both,
    /// Both, conntrack's with `ports=1069`.
    Ports,
}

use Mods::{Both, Conntrack, Ports};

/// A transfer: the transcript, the port that the client has in it, who asks whom, the modules, the port of a CT rule, and what
/// else was done.
type Row = (&'static str, u16, &'static str, &'static str, Mods, Option<u16>, &'static [&'static str]);

const NODE: &str = "192.168.1.11:69";
const NODE_1069: &str = "192.168.1.11:1069";
const NODE_2069: &str = "192.168.1.11:2069";
const CLUSTER: &str = "10.96.0.69:69";
const EGRESS: &str = "iptables -t nat -A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE";
const LOCAL: &str = "ipset add KUBE-NODE-PORT-LOCAL-UDP 69";

const ROWS: [Row; 32] = [
    ("V2", 6001, "client", NODE, Mods::None, None, &[]),
    ("V2", 6002, "client", NODE_1069, Mods::None, None, &[]),
    ("V2", 6003, "client", NODE, Both, None, &[]),
    ("V2", 6004, "client", NODE, Conntrack, Some(69), &[]),
    ("V2", 6005, "client", NODE_1069, Conntrack, Some(1069), &[]),
    ("V2", 6006, "client", NODE, Both, Some(69), &[]),
    ("V2", 6007, "client", NODE_1069, Both, Some(1069), &[]),
    ("V2", 6010, "poda", CLUSTER, Both, Some(69), &["ipset add KUBE-CLUSTER-IP 10.96.0.69,udp:69"]),
    ("V2", 6011, "poda", "10.96.0.69:70", Both, Some(70), &["ipset add KUBE-CLUSTER-IP 10.96.0.69,udp:70"]),
    ("V2", 6012, "client", NODE, Both, Some(69), &["sysctl -w net.ipv4.vs.conntrack=0"]),
    ("V3", 6201, "client", NODE, Mods::None, None, &[LOCAL]),
    ("V3", 6202, "client", NODE, Mods::None, None, &[LOCAL, "route"]),
    ("V3", 6203, "client", NODE, Mods::None, None, &[LOCAL, EGRESS]),
    ("V3", 6204, "client", NODE, Mods::None, None, &[EGRESS]),
    ("V3", 6205, "client", NODE, Both, Some(69), &[LOCAL, EGRESS]),
    ("V3", 6206, "client", NODE, Both, Some(69), &[LOCAL]),
    ("V3", 6207, "client", NODE, Conntrack, Some(69), &[LOCAL]),
    ("V4", 6401, "client", NODE, Mods::None, None, &[]),
    ("V4", 6402, "client", NODE_1069, Mods::None, None, &[]),
    ("V4", 6403, "client", NODE_2069, Mods::None, None, &[]),
    ("V4", 6404, "poda", CLUSTER, Mods::None, None, &[]),
    ("V4", 6405, "client", NODE, Both, None, &[]),
    ("V4", 6406, "client", NODE, Conntrack, Some(69), &[]),
    ("V4", 6407, "client", NODE_1069, Conntrack, Some(1069), &[]),
    ("V4", 6408, "client", NODE_2069, Conntrack, Some(2069), &[]),
    ("V4", 6409, "client", NODE, Both, Some(69), &[]),
    ("V4", 6410, "client", NODE_1069, Both, Some(1069), &[]),
    ("V4", 6411, "client", NODE_2069, Both, Some(2069), &[]),
    ("V4", 6412, "poda", CLUSTER, Both, Some(69), &[]),
    ("V4", 6413, "poda", "10.96.0.70:69", Both, Some(69), &[]),
    ("V4", 6414, "client", NODE_1069, Both, Some(69), &[]),
    ("V4", 6415, "client", NODE_1069, Ports, Some(1069), &[]),
];

/// How a transfer ended: whether it was complete, from where data came, whom the server's errors came from, what became of
/// expectations.
#[derive(Debug, PartialEq, Eq)]
struct Ending {
    done: bool,
    data_from: Vec<String>,
    error_from: Vec<String>,
    expectations: Vec<&'static str>,
}

/// The lines of the transfer with that port of the client.
fn expected(name: &str, port: u16) -> Ending {
    let text = transcript(name);
    let title = format!("[client port {port}]");
    let lines: Vec<&str> = text.lines().skip_while(|l| !l.ends_with(&title)).skip(1).collect();
    let end =
        lines.iter().position(|l| l.starts_with("--- ") || l.starts_with("=== ")).unwrap_or(lines.len());
    let lines = &lines[..end];
    assert!(!lines.is_empty(), "{name} {port}");
    let mut ending = Ending {
        done: lines.iter().any(|l| l.starts_with("client: DONE")),
        data_from: Vec::new(),
        error_from: Vec::new(),
        expectations: Vec::new(),
    };
    for line in lines {
        if line.starts_with("client: DATA") {
            let from = line.rsplit(' ').next().unwrap().split(':').next().unwrap();
            ending.data_from.push(from.to_owned());
        }
        if let Some((_, rest)) = line.split_once(": ICMP type 3 code 3 from ") {
            ending.error_from.push(rest.split(' ').next().unwrap().to_owned());
        }
    }
    let events = lines.iter().skip_while(|l| **l != "# events: conntrack -E expect").skip(1);
    for line in events.take_while(|l| !l.starts_with('#')) {
        ending.expectations.push(if line.contains("[NEW]") { "new" } else { "destroy" });
    }
    ending.data_from.dedup();
    ending.error_from.dedup();
    ending
}

fn lab(row: &Row) -> Lab {
    let (name, _, _, _, mods, rule, more) = *row;
    let mut lab = Lab::new();
    let ipvs = name != "V4";
    let rules = if ipvs {
        rules()
    } else {
        std::fs::read_to_string(format!("{}/data/ipvs/V4.rules", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    lab.host("node1", "iptables", json!(rules));
    lab.host("node1", "trace", json!(false));
    for pod in ["podb", "podc"] {
        let tftp = json!([{"proto": "udp", "bind": "0.0.0.0:69", "mode": "tftp", "data_port": 47000}]);
        lab.host(pod, "servers", tftp);
    }
    let mut ip = vec!["link add kube-ipvs0 type dummy", "route add 10.244.2.0/24 via 192.168.1.12"];
    if ipvs {
        lab.host("node1", "ipset", json!(SETS));
        ip.push("addr add 10.96.0.69/32 dev kube-ipvs0");
    }
    lab.host("node1", "ip", json!(ip));
    for command in ["modprobe -r nf_nat_tftp", "sysctl -w net.ipv4.vs.conntrack=1"] {
        lab.cmd(command);
    }
    if ipvs {
        for (virt, real) in [
            (NODE, "10.244.1.11:69"),
            (NODE_1069, "10.244.2.10:69"),
            (CLUSTER, "10.244.2.10:69"),
            ("10.96.0.69:70", "10.244.2.10:69"),
        ] {
            lab.cmd(&format!("ipvsadm -A -u {virt} -s rr"));
            lab.cmd(&format!("ipvsadm -a -u {virt} -r {real} -m"));
        }
        lab.cmd("ipset add KUBE-NODE-PORT-UDP 69");
        lab.cmd("ipset add KUBE-NODE-PORT-UDP 1069");
    }
    match mods {
        Mods::None => {}
        Conntrack => drop(lab.cmd("modprobe nf_conntrack_tftp")),
        Both => drop(lab.cmd("modprobe nf_nat_tftp")),
        Ports => {
            lab.cmd("modprobe nf_conntrack_tftp ports=1069");
            lab.cmd("modprobe nf_nat_tftp");
        }
    }
    if let Some(port) = rule {
        let helper = if matches!(mods, Ports) { "tftp-0" } else { "tftp" };
        lab.cmd(&format!("iptables -t raw -A PREROUTING -p udp --dport {port} -j CT --helper {helper}"));
    }
    for command in more {
        match *command {
            // Only V3 b: the client knows a way to the pods.
            "route" => lab.host("client", "routes", json!(["10.244.1.0/24 via 192.168.1.11"])),
            other => drop(lab.cmd(other)),
        }
    }
    lab
}

fn found(row: &Row) -> Ending {
    let (_, port, host, dst, ..) = *row;
    let mut lab = lab(row);
    let step = lab.then(json!({
        "do": "tftp", "host": host, "src": format!("0.0.0.0:{port}"), "dst": dst, "file": "f-522", "timeout_ms": 600
    }));
    let scenario = nflab::scenario::parse(&lab.scenario).unwrap();
    let run = scenario.run().unwrap();
    let record = Record(nflab::record::record(&lab.scenario, &scenario, &run));
    for (i, _) in run.steps.iter().enumerate().take(step) {
        assert_eq!(record.outcome(i)["rc"].as_i64().unwrap_or(0), 0, "{}", record.outcome(i));
    }
    let sim::StepOutcome::App(sim::apps::Outcome::Tftp { done, got }) = &run.steps[step].outcome else {
        panic!("{:?}", run.steps[step].outcome);
    };
    let node = run.world.host_by_name("node1");
    let s = &run.steps[step];
    let mut ending = Ending {
        done: *done,
        data_from: got.peers.iter().map(|(addr, _)| addr.to_string()).collect(),
        error_from: Vec::new(),
        expectations: Vec::new(),
    };
    for entry in &run.world.log().entries()[s.first.index()..s.end.index()] {
        match entry.what() {
            Some(What::ExpectEvent(e)) => ending.expectations.push(match e.kind {
                ExpectEventKind::New => "new",
                ExpectEventKind::Destroy => "destroy",
            }),
            Some(What::Created { origin: Origin::Icmp, frame, .. }) if Some(entry.host) == node => {
                let ip = frame.ip().unwrap();
                if ip.icmp().is_some_and(|i| (i.kind, i.code) == (3, 3)) {
                    ending.error_from.push(ip.src.to_string());
                }
            }
            _ => {}
        }
    }
    ending.data_from.dedup();
    ending.error_from.dedup();
    ending
}

#[test]
fn v2_v3_v4_each_transfer_ends_as_in_the_transcripts() {
    for row in &ROWS {
        let (name, port, ..) = *row;
        assert_eq!(found(row), expected(name, port), "{name}, client port {port}");
    }
}

/// Case f of V4: the flow and what it announces have the helper's name in all listings.
#[test]
fn v4_f_a_helper_with_another_port_has_a_number_in_its_name() {
    let row = ROWS.iter().find(|r| r.1 == 6415).unwrap();
    let mut lab = lab(row);
    lab.then(json!({
        "do": "tftp", "host": "client", "src": "0.0.0.0:6415", "dst": NODE_1069, "file": "f-522", "timeout_ms": 600
    }));
    let list = lab.cmd("conntrack -L");
    let lines = lab.run().printed(list);
    let transcript = transcript("V4");
    let kernel =
        transcript.lines().find(|l| l.contains("sport=6415 dport=1069") && l.ends_with("helper=tftp-0"));
    // The transcript's tool shows no references; the seconds left do not matter.
    let words = |l: &str| l.split_whitespace().skip(3).map(str::to_owned).collect::<Vec<_>>().join(" ");
    let master = words(lines.iter().find(|l| l.contains("dport=1069")).unwrap());
    assert_eq!(master.split(" use=").next(), Some(words(kernel.unwrap()).as_str()));
}

/// Where helpers are assigned by port, the parameter says by which (3.10; `__nf_ct_helper_find`).
#[test]
fn automatic_assignment_looks_at_the_ports_of_the_parameter() {
    for (ports, helper) in [("69", false), ("69,6969", true)] {
        let mut lab = Lab::new();
        lab.host("node1", "kernel", json!("3.10"));
        lab.host("node1", "iptables", json!("*filter\n-A OUTPUT -m conntrack --ctstate INVALID\nCOMMIT\n"));
        lab.cmd("rmmod nf_nat_tftp");
        lab.cmd("rmmod nf_conntrack_tftp");
        lab.cmd(&format!("modprobe nf_conntrack_tftp ports={ports}"));
        lab.flow("node1", false, "0.0.0.0:5000", "192.168.1.100:6969");
        let list = lab.cmd("conntrack -L");
        let lines = lab.run().printed(list);
        let row = lines.iter().find(|l| l.contains("dport=6969")).unwrap();
        assert_eq!(row.contains("helper=tftp-1"), helper, "{ports}: {row}");
    }
}
