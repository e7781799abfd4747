//! What came of a step of a random case, in the generator's format.

use super::packet_text::ip_text;
use super::rows::{event_json, expect_event_json, row_json};
use super::sorted;
use super::trace::Tracer;
use kernel::NetnsId;
use kernel::event::{TapDir, What};
use packet::{Frame, L4, Payload};
use serde_json::{Map, Value, json};
use sim::{Run, Seen, StepRecord};

/// The walk through the node's rules, conntrack's messages, and what the boxes at the edge received.
pub fn step(
    run: &Run,
    record: &StepRecord,
    node: NetnsId,
    edges: &[(&str, NetnsId)],
    out: &mut Map<String, Value>,
) {
    let entries = run.world.log().entries().get(record.first.index()..record.end.index()).unwrap_or_default();
    let rules = record.rules.get(node.index()).map_or(&[][..], |r| &r[..]);
    let mut tracer = Tracer::default();
    let mut ct = Vec::new();
    let mut received: Vec<Vec<Value>> = vec![Vec::new(); edges.len()];
    for entry in entries {
        let Seen::Kernel(what) = &entry.seen else { continue };
        let edge = edges.iter().position(|(_, id)| *id == entry.host);
        match (what, edge) {
            (What::Tap { dir, frame, .. }, Some(at)) if *dir != TapDir::Out => {
                if let (Some(list), Some((name, _))) = (received.get_mut(at), edges.get(at)) {
                    list.extend(frame_json(name, frame));
                }
            }
            (What::CtEvent(event), _) if entry.host == node => {
                let mut event = event_json(event);
                if let Some(map) = event.as_object_mut() {
                    map.remove("timeout");
                }
                ct.push(event);
            }
            (What::ExpectEvent(event), _) if entry.host == node => {
                let mut event = expect_event_json(event);
                if let Some(map) = event.as_object_mut() {
                    map.remove("timeout");
                }
                ct.push(event);
            }
            (what, _) if entry.host == node => {
                let Some(ns) = run.world.host(node) else { continue };
                tracer.see(ns, rules, what);
            }
            _ => {}
        }
    }
    out.insert("trace".to_owned(), Value::Array(flat(&tracer.finish())));
    out.insert("ct".to_owned(), Value::Array(ct));
    out.insert("out".to_owned(), Value::Array(received.concat()));
}

/// The conntrack table at the end.
pub fn table(run: &Run, node: NetnsId) -> Value {
    let rows = run.world.host(node).map(|ns| ns.ct.rows(run.world.now())).unwrap_or_default();
    Value::Array(sorted(rows.iter().map(|r| row_json(r, false))))
}

/// An IP packet as a box at the edge received it.
fn frame_json(to: &str, frame: &Frame) -> Option<Value> {
    let Payload::Ip(ip) = &frame.payload else { return None };
    let mut value = json!({
        "to": to,
        "smac": frame.src.to_string(),
        "dmac": frame.dst.to_string(),
        "ttl": ip.ttl,
        "pkt": ip_text(ip, true),
    });
    if let (L4::Tcp(tcp), Some(map)) = (&ip.l4, value.as_object_mut()) {
        map.insert("seq".to_owned(), json!(tcp.seq));
        map.insert("ack".to_owned(), json!(tcp.ack));
    }
    Some(value)
}

/// The steps of all packets in a row; the packet stands where it differs from the step before.
fn flat(groups: &[Value]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut last = String::new();
    for group in groups {
        let mut now = group["pkt"].as_str().unwrap_or_default().to_owned();
        for step in group["steps"].as_array().into_iter().flatten() {
            if let Some(changed) = step["pkt"].as_str() {
                changed.clone_into(&mut now);
            }
            let mut line = short(step);
            if now != last
                && let Some(map) = line.as_object_mut()
            {
                map.insert("pkt".to_owned(), json!(now));
                now.clone_into(&mut last);
            }
            out.push(line);
        }
    }
    out
}

fn short(step: &Value) -> Value {
    let hook = match step["hook"].as_str() {
        Some("PREROUTING") => "PRE",
        Some("INPUT") => "IN",
        Some("FORWARD") => "FWD",
        Some("OUTPUT") => "OUT",
        _ => "POST",
    };
    let mut map = Map::new();
    map.insert("h".to_owned(), json!(hook));
    let text = |key: &str| step[key].as_str().unwrap_or_default();
    match text("kind") {
        "log" => map.insert("log".to_owned(), json!(text("text"))),
        "ctstate" => map.insert("ctstate".to_owned(), json!(text("state"))),
        kind => {
            let rule = format!("{}:{}:{kind}:{}", text("table"), text("chain"), step["n"]);
            map.insert("r".to_owned(), json!(rule))
        }
    };
    for key in ["in", "out", "physin", "physout"] {
        if let Some(dev) = step[key].as_str() {
            map.insert(key.to_owned(), json!(dev));
        }
    }
    let mark = text("mark").strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
    if let Some(mark) = mark {
        map.insert("mark".to_owned(), json!(mark));
    }
    Value::Object(map)
}
