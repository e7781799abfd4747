//! What came of a step of a random case, in the generator's format.

use super::packet_text::ip_text;
use super::rows::{event_json, expect_event_json, row_json};
use super::sorted;
use super::trace::Tracer;
use kernel::NetnsId;
use kernel::event::{TapDir, What};
use packet::{Frame, Ip, L4, Payload, Protocol};
use serde_json::{Map, Value, json};
use sim::{Run, Seen, StepRecord};

/// The walk through the node's rules, conntrack's messages, and what the boxes at the edge received, with its payload if
/// `payloads`.
pub fn step(
    run: &Run,
    records: &[&StepRecord],
    node: NetnsId,
    edges: &[(&str, NetnsId)],
    payloads: bool,
    out: &mut Map<String, Value>,
) {
    let log = run.world.log().entries();
    let entries = records.iter().flat_map(|r| log.get(r.first.index()..r.end.index()).unwrap_or_default());
    let rules = records.last().and_then(|r| r.rules.get(node.index())).map_or(&[][..], |r| &r[..]);
    let mut tracer = Tracer::default();
    let mut ct = Vec::new();
    let mut received: Vec<Vec<Value>> = vec![Vec::new(); edges.len()];
    for entry in entries {
        let Seen::Kernel(what) = &*entry.seen else { continue };
        let edge = edges.iter().position(|(_, id)| *id == entry.host);
        match (what, edge) {
            (What::Tap { dir, frame, .. }, Some(at)) if *dir != TapDir::Out => {
                if let (Some(list), Some((name, _))) = (received.get_mut(at), edges.get(at)) {
                    list.extend(frame_json(name, frame, payloads));
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
fn frame_json(to: &str, frame: &Frame, payloads: bool) -> Option<Value> {
    let Payload::Ip(ip) = &frame.payload else { return None };
    let mut value = json!({
        "to": to,
        "smac": frame.src.to_string(),
        "dmac": frame.dst.to_string(),
        "ttl": ip.ttl,
        "pkt": ip_text(ip, true),
    });
    if let (L4::Tcp(tcp), Some(map)) = (&*ip.headers(), value.as_object_mut())
        && ip.frag.offset == 0
    {
        map.insert("seq".to_owned(), json!(tcp.seq));
        map.insert("ack".to_owned(), json!(tcp.ack));
    }
    if let (true, Some(map)) = (payloads, value.as_object_mut()) {
        let data = data(ip);
        if !data.is_empty() {
            map.insert("data".to_owned(), json!(data));
        }
    }
    Some(value)
}

/// What a packet carries behind its headers, a character a byte; all of it in a later fragment, nothing in an ICMP error or
/// an answer that tells the time.
fn data(ip: &Ip) -> String {
    let bytes = ip.payload_bytes();
    let header = match ip.protocol() {
        _ if ip.frag.offset != 0 => 0,
        Protocol::TCP if bytes.len() < 20 => 0,
        Protocol::TCP => bytes.get(12).map_or(0, |b| usize::from(b >> 4) * 4),
        Protocol::ICMP if bytes.first().is_some_and(|kind| matches!(kind, 3 | 4 | 5 | 11 | 12 | 14)) => {
            bytes.len()
        }
        Protocol::UDP | Protocol::ICMP => 8,
        _ => 0,
    };
    bytes.get(header..).unwrap_or_default().iter().map(|b| char::from(*b)).collect()
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
