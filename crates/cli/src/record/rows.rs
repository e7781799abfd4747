//! Conntrack entries and messages as JSON.

use super::packet_text::proto_text;
use kernel::event::{CtEvent, CtEventKind, ExpectEvent, ExpectEventKind};
use kernel::netfilter::conntrack::{ExpectRow, L4Key, Row, Tuple, status};
use serde_json::{Map, Value, json};

fn tuple_json(t: &Tuple) -> Value {
    let (src, dst, proto) = (t.src().to_string(), t.dst().to_string(), proto_text(t.proto()));
    match t.key() {
        L4Key::Ports { sport, dport } => {
            json!({ "proto": proto, "src": src, "dst": dst, "sport": sport, "dport": dport })
        }
        L4Key::Echo { kind, code, id } => {
            json!({ "proto": proto, "src": src, "dst": dst, "type": kind, "code": code, "id": id })
        }
        L4Key::Other => json!({ "proto": proto, "src": src, "dst": dst }),
    }
}

fn fill(map: &mut Map<String, Value>, row: &Row) {
    map.insert("orig".to_owned(), tuple_json(&row.orig));
    map.insert("reply".to_owned(), tuple_json(&row.reply));
    map.insert("status".to_owned(), json!(status::names(row.status)));
    if let Some(tcp) = row.tcp {
        map.insert("tcp_state".to_owned(), json!(tcp.state.name()));
        map.insert("tcp_flags".to_owned(), json!([tcp.seen[0].flags, tcp.seen[1].flags]));
    }
}

/// A row of the table; a dump shows the mark always.
pub fn row_json(row: &Row, with_timeout: bool) -> Value {
    let mut map = Map::new();
    fill(&mut map, row);
    if with_timeout {
        map.insert("timeout".to_owned(), json!(row.timeout));
    }
    map.insert("mark".to_owned(), json!(row.mark));
    zone(&mut map, row);
    relations(&mut map, row);
    Value::Object(map)
}

/// The zone stands apart if it counts in both directions; else with one of the tuples, where recordings do not look.
fn zone(map: &mut Map<String, Value>, row: &Row) {
    if row.zone.id != 0 && row.zone.only.is_none() {
        map.insert("zone".to_owned(), json!(row.zone.id));
    }
}

fn helper(map: &mut Map<String, Value>, row: &Row) {
    if let Some(helper) = row.helper {
        map.insert("helper".to_owned(), json!(helper.name()));
    }
}

/// Helper and master: in dumps, and in the message about a new entry.
fn relations(map: &mut Map<String, Value>, row: &Row) {
    helper(map, row);
    if let Some(master) = row.master {
        map.insert("master".to_owned(), tuple_json(&master));
    }
}

/// An expectation, as ctnetlink dumps it.
pub fn expect_json(row: &ExpectRow, with_timeout: bool) -> Value {
    let proto = proto_text(row.tuple.proto());
    let any = |sport: u16, dport: u16, addr: &str| json!({ "proto": proto, "src": addr, "dst": addr, "sport": sport, "dport": dport });
    let mut map = Map::new();
    map.insert("master".to_owned(), tuple_json(&row.master));
    map.insert("tuple".to_owned(), tuple_json(&row.tuple));
    map.insert("mask".to_owned(), any(0, u16::MAX, "255.255.255.255"));
    if with_timeout {
        map.insert("timeout".to_owned(), json!(row.timeout));
    }
    map.insert("helper".to_owned(), json!(row.helper.name()));
    map.insert("flags".to_owned(), json!([]));
    map.insert("class".to_owned(), json!(0));
    if let Some(nat) = row.nat {
        // ctnetlink leaves it out if there is no port.
        if nat.port != 0 {
            let saved = any(nat.port, 0, "0.0.0.0");
            map.insert("nat".to_owned(), json!({ "dir": nat.dir.name(), "tuple": saved }));
        }
        map.insert("fn".to_owned(), json!("nat-follow-master"));
    }
    Value::Object(map)
}

/// A ctnetlink message about an expectation.
pub fn expect_event_json(event: &ExpectEvent) -> Value {
    let name = match event.kind {
        ExpectEventKind::New => "EXP_NEW",
        ExpectEventKind::Destroy => "EXP_DESTROY",
    };
    let mut value = expect_json(&event.row, true);
    if let Some(map) = value.as_object_mut() {
        map.insert("ev".to_owned(), json!(name));
    }
    value
}

/// A ctnetlink message: a mark only if there is one; DESTROY names the TCP state alone, and no time-out that is over.
pub fn event_json(event: &CtEvent) -> Value {
    let mut map = Map::new();
    let name = match event.kind {
        CtEventKind::New => "NEW",
        CtEventKind::Update => "UPDATE",
        CtEventKind::Destroy => "DESTROY",
    };
    map.insert("ev".to_owned(), json!(name));
    fill(&mut map, &event.row);
    if !event.proto {
        map.remove("tcp_state");
        map.remove("tcp_flags");
    }
    if event.mark || event.row.mark != 0 {
        map.insert("mark".to_owned(), json!(event.row.mark));
    }
    zone(&mut map, &event.row);
    match event.kind {
        CtEventKind::New => relations(&mut map, &event.row),
        CtEventKind::Update => helper(&mut map, &event.row),
        CtEventKind::Destroy => {}
    }
    let destroyed = event.kind == CtEventKind::Destroy;
    if destroyed {
        map.remove("tcp_flags");
    }
    if !destroyed || event.row.timeout > 0 {
        map.insert("timeout".to_owned(), json!(event.row.timeout));
    }
    Value::Object(map)
}
