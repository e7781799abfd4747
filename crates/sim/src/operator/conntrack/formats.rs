//! `conntrack -o save` and `-o xml` (conntrack-tools 1.4.7, libnetfilter_conntrack).

use super::{CommandOutput, TOOL, leads_to_address};
use kernel::netfilter::conntrack::{Direction, L4Key, Row, Tuple, status};
use packet::Protocol;
use std::fmt::Write;
use userland::conntrack::{ConntrackCommand, ConntrackOp, ConntrackOutput, ConntrackTable, proto_name};

/// A way of printing that the command does not have, here or at all.
pub(super) fn refused(command: &ConntrackCommand) -> Option<CommandOutput> {
    let o = command.output;
    let other = o.extended || o.id || o.timestamp || o.ktimestamp || o.labels || o.xml;
    if o.save && other {
        let text = "cannot combine save output with any other output type, use -o save only";
        return Some(CommandOutput::failed(1, format!("{TOOL}: {text}")));
    }
    let of_entries = command.table != ConntrackTable::Expectations;
    let modelled: &[ConntrackOp] = match (o.save, o.xml) {
        (true, _) if of_entries => {
            &[ConntrackOp::List, ConntrackOp::Get, ConntrackOp::Delete, ConntrackOp::Update]
        }
        (_, true) if of_entries => &[ConntrackOp::List, ConntrackOp::Delete],
        (false, false) => return None,
        _ => &[],
    };
    let format = if o.save { "save" } else { "xml" };
    (!modelled.contains(&command.op)).then(|| {
        CommandOutput::failed(1, format!("conntrack: format {format} is not modelled for this command"))
    })
}

/// An entry of which not all is known that would be printed: keys of GRE, tags of SCTP, roles of DCCP.
pub(super) fn not_modelled(o: ConntrackOutput, rows: &[Row]) -> Option<CommandOutput> {
    let unknown = |r: &&Row| [33, 47, 132].contains(&r.orig.proto().0);
    let row = rows.iter().find(unknown).filter(|_| o.save || o.xml)?;
    let proto = proto_name(row.orig.proto()).unwrap_or_default();
    Some(CommandOutput::failed(1, format!("conntrack: -o save and -o xml of {proto} are not modelled")))
}

/// Names of the bits of a status, in their order.
const STATUS: [(u32, &str); 4] = [
    (status::EXPECTED, "EXPECTED"),
    (status::SEEN_REPLY, "SEEN_REPLY"),
    (status::ASSURED, "ASSURED"),
    (status::FIXED_TIMEOUT, "FIXED_TIMEOUT"),
];

/// The options that make an entry, or of `-D` those that delete it.
pub(super) fn save(row: &Row, op: ConntrackOp) -> String {
    let (orig, reply) = (&row.orig, &row.reply);
    let set: Vec<&str> = STATUS.iter().filter(|(bit, _)| row.status & bit != 0).map(|(_, n)| *n).collect();
    let set = if set.is_empty() { "UNSET".to_owned() } else { set.join(",") };
    let command = if op == ConntrackOp::Delete { "-D" } else { "-A" };
    let mut out = format!("{command} -t {} -u {set} ", row.timeout);
    if row.zone.id != 0 {
        let option = match row.zone.only {
            None => "-w",
            Some(Direction::Original) => "--orig-zone",
            Some(Direction::Reply) => "--reply-zone",
        };
        let _ = write!(out, "{option} {} ", row.zone.id);
    }
    let (snat, dnat) = leads_to_address(row);
    let (from, to) = (if dnat { "-g" } else { "-r" }, if snat { "-n" } else { "-q" });
    let _ = write!(out, "-s {} -d {} {from} {} {to} {} ", orig.src(), orig.dst(), reply.src(), reply.dst());
    let proto = orig.proto();
    let _ = match proto_name(proto) {
        Some(name) => write!(out, "-p {name}"),
        None => write!(out, "-p {}", proto.0),
    };
    match orig.key() {
        L4Key::Ports { sport, dport } => {
            let (rs, rd) = (reply.sport(), reply.dport());
            let _ =
                write!(out, " --sport {sport} --dport {dport} --reply-port-src {rs} --reply-port-dst {rd}");
        }
        L4Key::Echo { kind, code, id } if proto == Protocol::ICMP => {
            let _ = write!(out, " --icmp-type {kind} --icmp-code {code} --icmp-id {id}");
        }
        _ => {}
    }
    if let Some(tcp) = row.tcp {
        let _ = write!(out, " --state {}", tcp.state.name());
    }
    out
}

/// What stands around the entries of a listing, if there are any.
pub(super) fn document(flows: Vec<String>) -> Vec<String> {
    if flows.is_empty() {
        return flows;
    }
    let head = ["<?xml version=\"1.0\" encoding=\"utf-8\"?>", "<conntrack>"];
    let tail = std::iter::once("</conntrack>".to_owned());
    head.map(str::to_owned).into_iter().chain(flows).chain(tail).collect()
}

fn element(name: &str, value: impl std::fmt::Display) -> String {
    format!("<{name}>{value}</{name}>")
}

/// One direction: addresses, ports, its zone, what was counted.
fn direction(row: &Row, dir: Direction, t: &Tuple) -> String {
    let proto = t.proto();
    let name = proto_name(proto).unwrap_or("unknown");
    let ends = element("src", t.src()) + &element("dst", t.dst());
    let ports = match t.key() {
        L4Key::Ports { sport, dport } => element("sport", sport) + &element("dport", dport),
        _ => String::new(),
    };
    let mut out = format!(
        "<layer3 protonum=\"2\" protoname=\"ipv4\">{ends}</layer3><layer4 protonum=\"{}\" protoname=\"{name}\">{ports}</layer4>",
        proto.0
    );
    if row.zone.id != 0 && row.zone.only == Some(dir) {
        out += &element("zone", row.zone.id);
    }
    if let Some(counters) = row.counters {
        let c = counters[usize::from(dir == Direction::Reply)];
        out += &element("counters", element("packets", c.packets) + &element("bytes", c.bytes));
    }
    out
}

/// An entry as an element.
pub(super) fn xml(row: &Row, uses: usize) -> String {
    let mut rest = String::new();
    if let Some(tcp) = row.tcp {
        rest += &element("state", tcp.state.name());
    }
    rest += &element("timeout", row.timeout);
    rest += &element("mark", row.mark);
    if row.zone.id != 0 && row.zone.only.is_none() {
        rest += &element("zone", row.zone.id);
    }
    rest += &element("use", uses);
    rest += &element("id", row.id.number());
    for (is, name) in [
        (row.status & status::ASSURED != 0, "<assured/>"),
        (row.status & status::SEEN_REPLY == 0, "<unreplied/>"),
    ] {
        rest += if is { name } else { "" };
    }
    if let Some(age) = row.age {
        rest += &element("deltatime", age);
    }
    let meta = |name: &str, text: &str| format!("<meta direction=\"{name}\">{text}</meta>");
    let helper = row.helper.map_or(String::new(), |h| element("helper", h.name()));
    let orig = direction(row, Direction::Original, &row.orig);
    let reply = direction(row, Direction::Reply, &row.reply);
    let metas = meta("original", &orig) + &meta("reply", &reply) + &meta("independent", &rest);
    format!("<flow>{metas}{helper}</flow>")
}
