//! What the fuzz targets share: a small world around one node, and what is done in it.

use serde_json::{Value, json};
use sim::view::{self, Story};
use workshop::cure::{Search, Wanted};
use workshop::{Session, read_lab};

/// A packet of `FROM` to the node, as a scenario writes it.
pub fn frame(pkt: Value) -> Value {
    json!({ "do": "raw", "host": "client", "dev": "eth0", "smac": "02:00:00:00:01:01", "dmac": "02:00:00:00:02:01", "pkt": pkt })
}

/// A command on the node.
pub fn cmd(argv: &[&str], stdin: Option<&str>) -> Value {
    let mut cmd = json!({ "do": "cmd", "host": "node", "argv": argv });
    if let Some(text) = stdin {
        cmd["stdin"] = json!(text);
    }
    cmd
}

/// Packets of each kind that a rule may look at, to the node and through it.
pub fn some_packets() -> Vec<Value> {
    let mut out = Vec::new();
    for dst in ["10.0.0.1", "10.1.0.2", "10.9.0.1"] {
        out.push(frame(json!({ "proto": "udp", "src": "10.0.0.2", "dst": dst, "sport": 5000, "dport": 53 })));
        out.push(frame(json!({ "proto": "tcp", "src": "10.0.0.2", "dst": dst, "sport": 5000, "dport": 80 })));
        out.push(frame(json!({ "proto": "icmp", "src": "10.0.0.2", "dst": dst })));
    }
    out.push(json!({ "do": "udp", "host": "node", "dst": "10.1.0.2:53", "timeout_ms": 5 }));
    out
}

/// A client, a node that forwards, a pod on its bridge; the stimuli are done one after the other.
pub fn world(stimuli: Vec<Value>) -> Value {
    json!({
        "name": "fuzz",
        "settle_ms": 1,
        "hosts": {
            "client": { "addrs": { "eth0": ["10.0.0.2/24"] }, "routes": ["default via 10.0.0.1"] },
            "node": {
                "addrs": { "eth0": ["10.0.0.1/24"], "br0": ["10.1.0.1/24"] },
                "sysctl": { "net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 1 },
                "iptables": "",
                "ct_probe": true,
            },
            "pod": {
                "addrs": { "eth0": ["10.1.0.2/24"] },
                "routes": ["default via 10.1.0.1"],
                "servers": [{ "proto": "udp", "bind": "0.0.0.0:53" }, { "proto": "tcp", "bind": "0.0.0.0:80" }],
            },
        },
        "links": [
            { "type": "veth", "a": "client:eth0", "b": "node:eth0" },
            { "type": "veth", "a": "node:veth0", "b": "pod:eth0" },
            { "type": "bridge", "host": "node", "name": "br0", "ports": [{ "dev": "veth0" }] },
        ],
        "stimuli": stimuli,
    })
}

/// What a command printed and how it ended.
pub fn printed(record: &Value, step: usize) -> Option<(String, i64)> {
    let outcome = record["steps"].as_array()?.get(step)?.get("outcome")?;
    Some((outcome["stdout"].as_str()?.to_owned(), outcome["rc"].as_i64()?))
}

/// So many steps of a run are asked about one by one.
const STEPS: usize = 400;
/// So many changes are tried that may let an exchange succeed.
const CURES: usize = 3;

/// Runs a session and asks of it what the page asks: the story, each step's reasons, tables, captures, cures. Its file is read back as the
/// same session.
pub fn ask(session: &Session) {
    if let Ok(file) = session.to_file() {
        let again = Session::from_text(&file).expect("what is written can be read");
        assert!(again.typed.len() <= session.typed.len(), "nothing is added by a file");
    }
    let _ = (session.knobs(), session.objects());
    let Ok(run) = session.run() else { return };
    let world = &run.run.world;
    let story = Story::new(world);
    for step in story.steps.iter().take(STEPS) {
        let _ = (view::why(world, step), view::end(world, step), view::why_not(world, step, "KUBE", 5));
    }
    for packet in story.packets.iter().take(20) {
        let _ = view::sides(world, &story, packet.id);
    }
    let middle = story.steps.get(story.steps.len() / 2).map(|step| step.event);
    for ns in world.hosts() {
        let _ = (view::listings(world, ns), view::badges(ns), view::settings(ns), view::rule_lines(ns));
        let _ = view::tcpdump(world, ns.id, sim::EventId(0), &["tcpdump", "-vvenXi", "any"]);
        if let Some(event) = middle {
            let _ = (view::conntrack_at(world, ns.id, event), view::met(world, ns.id, event));
        }
    }
    let _ = middle.map(|event| run.world_at(event));
    let _ = view::Captures::new(world, |_, _| true).pcapng(world);
    for n in 0..run.stimuli.len().min(4) {
        let Some(mut search) = Search::new(session, &run, Wanted::Exchange(n)) else { continue };
        for _ in 0..CURES {
            let _ = search.step();
        }
    }
}

/// The lab of a text that comes with the program.
pub fn own_lab(text: &str) -> workshop::Lab {
    read_lab(text).expect("the program's own labs are well formed")
}
