//! Conntrack entries and messages as JSON.

use kernel::event::{CtEvent, CtEventKind};
use kernel::netfilter::conntrack::{L4Key, Row, Tuple, status};
use serde_json::{Map, Value, json};

fn tuple_json(t: &Tuple) -> Value {
    let (src, dst, proto) = (t.src.to_string(), t.dst.to_string(), t.proto.to_string());
    match t.key {
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
    Value::Object(map)
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
    if event.row.mark != 0 {
        map.insert("mark".to_owned(), json!(event.row.mark));
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
