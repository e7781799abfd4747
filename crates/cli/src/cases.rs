//! Random cases: rules and packets on one fixed topology, and what came of them, a JSON object a line.
//!
//! The topology is that of the generator which made them: a node between a client `c`, two pods `a` and `b` on its bridge,
//! and a server `s`. Only the node has addresses and rules; nobody answers.

use crate::record::case_json;
use crate::scenario;
use kernel::NetnsId;
use serde_json::{Map, Value, json};
use sim::operator::CommandOutput;
use sim::{Run, StepOutcome, StepRecord};
use std::ops::Range;

/// A box at the edge: name, address, MAC, and the node's device towards it.
struct Edge {
    name: &'static str,
    addr: &'static str,
    mac: &'static str,
    port: &'static str,
    port_mac: &'static str,
    via: &'static str,
}

/// In the order in which the generator reads what they have received.
const EDGES: [Edge; 4] = [
    Edge {
        name: "c",
        addr: "10.0.0.2",
        mac: "02:00:00:00:0c:01",
        port: "eth0",
        port_mac: "02:00:00:00:01:01",
        via: "eth0",
    },
    Edge {
        name: "a",
        addr: "10.1.0.2",
        mac: "02:00:00:00:0a:01",
        port: "va",
        port_mac: "02:00:00:00:01:0a",
        via: "br0",
    },
    Edge {
        name: "b",
        addr: "10.1.0.3",
        mac: "02:00:00:00:0b:01",
        port: "vb",
        port_mac: "02:00:00:00:01:0b",
        via: "br0",
    },
    Edge {
        name: "s",
        addr: "10.2.0.2",
        mac: "02:00:00:00:05:01",
        port: "eth2",
        port_mac: "02:00:00:00:01:03",
        via: "eth2",
    },
];

/// The tables of nf_tables that a case may have.
const NFT_TABLES: [(&str, &str); 2] = [("ip", "t"), ("inet", "u")];

/// So many commands come before all else.
const BRIDGE_COMMANDS: usize = 2;

const BRIDGE_MAC: &str = "02:00:00:00:01:02";

/// The sets that rules may ask.
const IPSET: &str = "create PORTS bitmap:port range 0-65535
add PORTS 53
add PORTS 80
create IPPORT hash:ip,port family inet
add IPPORT 10.9.0.1,udp:53
add IPPORT 10.9.0.1,tcp:80
add IPPORT 10.1.0.2,udp:5353
create LOOP hash:ip,port,ip family inet
add LOOP 10.1.0.2,udp:5353,10.1.0.2
add LOOP 10.1.0.3,tcp:80,10.0.0.2
create NETS hash:net family inet
add NETS 10.1.0.0/24
add NETS 10.1.0.3 nomatch
add NETS 10.9.0.0/16
";

/// Runs a case and gives the same with what the engine made of it.
///
/// # Errors
/// Names what of the case cannot be used, or what of its rules is refused and where.
pub fn replay_case(case: &Value) -> Result<Value, String> {
    let steps = case.get("steps").and_then(Value::as_array).ok_or("expected steps, a list")?;
    let nft = match case.get("nft") {
        None => None,
        Some(text) => Some(text.as_str().ok_or("expected nft, a text")?),
    };
    let (stimuli, places) = stimuli(steps, nft)?;
    let document = document(case, stimuli)?;
    let scenario = scenario::parse(&document).map_err(|e| e.to_string())?;
    let run = scenario.run().map_err(|e| e.to_string())?;
    let host = |name: &str| run.world.host_by_name(name);
    let node = host("node").ok_or("no node")?;
    let edges: Vec<(&str, NetnsId)> = EDGES.iter().filter_map(|e| Some((e.name, host(e.name)?))).collect();
    let payloads = flag(case, "payloads", false)?;
    let out =
        steps.iter().zip(places).map(|(step, place)| step_json(&run, place, step, node, &edges, payloads));
    let out: Vec<Value> = out.collect();
    let mut done = Map::new();
    for key in ["seed", "case", "random_port", "rules"] {
        done.insert(key.to_owned(), case.get(key).cloned().unwrap_or(Value::Null));
    }
    done.insert("steps".to_owned(), Value::Array(out));
    done.insert("final".to_owned(), case_json::table(&run, node));
    if nft.is_some() {
        // The text is the first command, the listings are the last ones.
        let ran = |s: &StepRecord| match &s.outcome {
            StepOutcome::Command(out) => out.clone(),
            _ => CommandOutput::default(),
        };
        let loaded = run.steps.iter().find(|s| s.stimulus == BRIDGE_COMMANDS).map(ran).unwrap_or_default();
        if loaded.status != 0 {
            return Err(loaded.stderr.join("\n"));
        }
        let last = run.steps.len().saturating_sub(NFT_TABLES.len());
        let said: Vec<String> = run.steps[last..].iter().flat_map(|s| ran(s).stdout).collect();
        done.insert("said".to_owned(), json!(said));
    }
    Ok(Value::Object(done))
}

/// A setting of the case that is true or false.
fn flag(case: &Value, key: &str, default: bool) -> Result<bool, String> {
    match case.get(key) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| format!("expected {key}, true or false")),
    }
}

/// What was sent, and what came of it: of the stimuli at `place`, the last of which sends.
fn step_json(
    run: &Run,
    place: Range<usize>,
    step: &Value,
    node: NetnsId,
    edges: &[(&str, NetnsId)],
    payloads: bool,
) -> Value {
    let mut map = Map::new();
    for key in ["from", "pkt", "dmac", "wait"] {
        if let Some(value) = step.get(key) {
            map.insert(key.to_owned(), value.clone());
        }
    }
    let records: Vec<&StepRecord> = run.steps.iter().filter(|s| place.contains(&s.stimulus)).collect();
    for record in &records {
        if let StepOutcome::SendError(errno) = &record.outcome {
            map.insert("senderr".to_owned(), json!(errno.text()));
        }
    }
    case_json::step(run, &records, node, edges, payloads, &mut map);
    Value::Object(map)
}

/// The case as a scenario.
fn document(case: &Value, stimuli: Vec<Value>) -> Result<Value, String> {
    let rules = case.get("rules").and_then(Value::as_str).ok_or("expected rules, a text")?;
    // TRACE is put there anew; a comment keeps the numbers of the lines.
    let lines = rules.lines().map(|l| if l.ends_with("-j TRACE") { "#" } else { l });
    let rules: String = lines.map(|l| format!("{l}\n")).collect();
    let mut hosts = Map::new();
    for e in &EDGES {
        hosts.insert(e.name.to_owned(), json!({ "sniff": true }));
    }
    let neigh = EDGES.iter().map(|e| (e.addr, e.mac, e.via)).chain([("10.0.0.3", EDGES[0].mac, "eth0")]);
    let neigh: Vec<String> = neigh.map(|(addr, mac, dev)| format!("{addr} lladdr {mac} dev {dev}")).collect();
    let mut sysctl = json!({
        "net.ipv4.ip_forward": 1,
        "net.bridge.bridge-nf-call-iptables": 1,
        "net.ipv4.icmp_ratelimit": 0,
        "net.ipv4.conf.all.send_redirects": 0,
        "net.ipv4.conf.default.send_redirects": 0,
        "net.ipv4.conf.eth0.send_redirects": 0,
        "net.ipv4.conf.br0.send_redirects": 0,
        "net.ipv4.conf.eth2.send_redirects": 0,
        "net.ipv4.icmp_echo_ignore_broadcasts": 1,
    });
    if let (Some(all), Some(own)) = (sysctl.as_object_mut(), case.get("sysctl").and_then(Value::as_object)) {
        all.extend(own.clone());
    }
    hosts.insert(
        "node".to_owned(),
        json!({
            "sysctl": sysctl,
            "sniff": false,
            "iptables": rules,
            "backend": case.get("backend").cloned().unwrap_or_else(|| json!("legacy")),
            "ct_probe": flag(case, "probe", true)?,
            "ipset": IPSET,
            "addrs": { "eth0": ["10.0.0.1/24"], "br0": ["10.1.0.1/24"], "eth2": ["10.2.0.1/24"] },
            "routes": ["default via 10.0.0.2"],
            "neigh": neigh,
        }),
    );
    let mut links: Vec<Value> = EDGES
        .iter()
        .map(|e| {
            json!({
                "type": "veth",
                "a": format!("{}:eth0", e.name),
                "b": format!("node:{}", e.port),
                "a_mac": e.mac,
                "b_mac": e.port_mac,
            })
        })
        .collect();
    links.push(json!({
        "type": "bridge",
        "host": "node",
        "name": "br0",
        "mac": BRIDGE_MAC,
        "ports": [{ "dev": "va", "hairpin": true }, { "dev": "vb" }],
    }));
    Ok(json!({
        "name": "case",
        "hosts": hosts,
        "links": links,
        "stimuli": stimuli,
        "settle_ms": 1,
    }))
}

/// What is done, step by step, and where in it each step is. Before the first the pods' addresses are made known to the
/// bridge for good.
fn stimuli(steps: &[Value], nft: Option<&str>) -> Result<(Vec<Value>, Vec<Range<usize>>), String> {
    let mut all: Vec<Value> = EDGES.iter().filter(|e| e.via == "br0").map(known_to_the_bridge).collect();
    if let Some(text) = nft {
        all.push(json!({ "do": "cmd", "host": "node", "argv": ["nft", "-f", "-"], "stdin": text }));
    }
    let mut places = Vec::new();
    for step in steps {
        let begin = all.len();
        if let Some(wait) = step.get("wait") {
            all.push(json!({ "do": "sleep", "ms": wait }));
        }
        if step.get("pkt").is_some() || step.get("wait").is_none() {
            all.push(stimulus(step)?);
        }
        places.push(begin..all.len());
    }
    if nft.is_some() {
        let list = |(family, table)| json!({ "do": "cmd", "host": "node", "argv": ["nft", "list", "table", family, table] });
        all.extend(NFT_TABLES.map(list));
    }
    Ok((all, places))
}

fn known_to_the_bridge(pod: &Edge) -> Value {
    let argv = ["bridge", "fdb", "replace", pod.mac, "dev", pod.port, "master", "static"];
    json!({ "do": "cmd", "host": "node", "argv": argv })
}

fn stimulus(step: &Value) -> Result<Value, String> {
    let from = step.get("from").and_then(Value::as_str).ok_or("expected from, the name of a box")?;
    let pkt = step.get("pkt").cloned().ok_or("expected pkt, a packet")?;
    if from == "local" {
        return Ok(json!({ "do": "raw", "host": "node", "pkt": pkt }));
    }
    let edge = EDGES.iter().find(|e| e.name == from).ok_or_else(|| format!("there is no box {from:?}"))?;
    let dmac = step.get("dmac").cloned().ok_or("expected dmac, a MAC address")?;
    Ok(json!({ "do": "raw", "host": from, "dev": "eth0", "smac": edge.mac, "dmac": dmac, "pkt": pkt }))
}
