//! Writing a record: what happened, in the format of the recordings of the real kernel.

pub(crate) mod case_json;
mod packet_text;
mod rows;
mod trace;
mod wire;

use crate::record::packet_text::icmp_answer;
use crate::record::rows::{event_json, expect_event_json, expect_json, row_json};
use crate::record::trace::Tracer;
use crate::record::wire::{Sequence, wire_json};
use kernel::Netns;
use kernel::dev::DevKind;
use kernel::event::{BrNfStep, FragStep, TapDir, What};
use kernel::netfilter::xtables::{LoadedTable, Verdict};
use kernel::socket::SocketError;
use packet::{Frame, Mac};
use serde_json::{Map, Value, json};
use sim::apps::{Reply, UdpReply};
use sim::{AppEvent, Entry, Outcome, Run, Scenario, Seen, StepOutcome, StepRecord};

/// The sender's address that br_netfilter puts back into a frame behind the bridge device. A recording reads its copy from a
/// socket, later, and the copy shares its bytes with the frame; tcpdump has a ring and copies at once.
fn restored_source(before: &[Entry], tap: &Entry) -> Option<Mac> {
    let same = before.iter().rev().filter(|e| e.host == tap.host && e.packet == tap.packet);
    let mut bridged = false;
    for entry in same {
        match entry.what()? {
            What::BrNetfilter { step: BrNfStep::BridgedDnat { .. }, .. } => bridged = true,
            What::Tap { dir, frame, .. } if *dir != TapDir::Out => return bridged.then_some(frame.src),
            What::Created { .. } => return None,
            _ => {}
        }
    }
    None
}

/// What a recording reads of a fragment that was captured before it became part of a datagram and left again in the same
/// memory: its new header. A host that forwards it as it is makes a copy first.
fn written_over<'a>(from: &'a [Entry], tap: &Entry) -> Option<&'a Frame> {
    let mut reused = false;
    let mut last = None;
    for entry in from.iter().filter(|e| e.packet == tap.packet) {
        match entry.what() {
            Some(What::Fragment(FragStep::Reused)) => reused = true,
            Some(What::Forward { .. }) => break,
            Some(What::Tap { frame, .. }) if reused => {
                (reused, last) = (false, Some(&**frame));
            }
            _ => {}
        }
    }
    last
}

/// What the record says of the kernel that made it.
const KERNEL: &str = concat!("netfilter-lab ", env!("CARGO_PKG_VERSION"));

/// The record of a run. `document` is the scenario as read: its name, title and stimuli are repeated in the record.
pub fn record(document: &Value, scenario: &Scenario, run: &Run) -> Value {
    let mut sequence = Sequence::default();
    let stimuli = document.get("stimuli").and_then(Value::as_array);
    let steps: Vec<Value> = run
        .steps
        .iter()
        .map(|step| {
            let entries = &run.world.log().entries()[step.first.index()..step.end.index()];
            let stimulus = stimuli.and_then(|s| s.get(step.stimulus)).cloned().unwrap_or(Value::Null);
            json!({
                "i": step.stimulus,
                "stimulus": stimulus,
                "outcome": outcome_json(&step.outcome),
                "ns": namespaces(scenario, run, step, entries, &mut sequence),
            })
        })
        .collect();
    let field = |key: &str| document.get(key).cloned().unwrap_or(Value::Null);
    json!({
        "name": field("name"),
        "title": field("title"),
        "nondeterministic": document.get("nondeterministic").and_then(Value::as_bool).unwrap_or(false),
        "kernel": KERNEL,
        "steps": steps,
        "final": final_state(scenario, run),
    })
}

/// What each box saw during a step.
fn namespaces(
    scenario: &Scenario,
    run: &Run,
    step: &StepRecord,
    entries: &[Entry],
    sequence: &mut Sequence,
) -> Value {
    let before = run.world.log().entries();
    let mut tracers: Vec<Tracer> = run.world.hosts().iter().map(|_| Tracer::default()).collect();
    let mut wire: Vec<Vec<Value>> = vec![Vec::new(); tracers.len()];
    let mut ct: Vec<Vec<Value>> = vec![Vec::new(); tracers.len()];
    let mut app: Vec<Vec<Value>> = vec![Vec::new(); tracers.len()];
    for (i, entry) in entries.iter().enumerate() {
        let at = entry.host.index();
        let Some(ns) = run.world.host(entry.host) else { continue };
        let spec = &scenario.hosts[at];
        match &*entry.seen {
            Seen::Kernel(What::Tap { dev, dir, frame }) => {
                if matches!(ns.device(*dev).map(|d| &d.kind), Some(DevKind::Ipip(_))) {
                    // A recording reads frames, and here are packets without a link-layer header: it makes nothing of them.
                    continue;
                }
                // The numbers are counted over all boxes, also those whose frames are not listed.
                let mut frame = frame.as_ref().clone();
                if *dir == TapDir::Out && ns.bridge(*dev).is_some() {
                    frame.src =
                        restored_source(&before[..step.first.index() + i], entry).unwrap_or(frame.src);
                }
                if let Some(written) = written_over(&entries[i..], entry) {
                    frame = written.clone();
                }
                let line = wire_json(ns, *dev, *dir, &frame, sequence);
                if spec.sniff {
                    wire[at].push(line);
                }
            }
            Seen::Kernel(What::CtEvent(event)) if spec.trace => ct[at].push(event_json(event)),
            Seen::Kernel(What::ExpectEvent(event)) if spec.trace => ct[at].push(expect_event_json(event)),
            Seen::Kernel(what) if spec.trace => {
                let rules = step.rules.get(at).map_or(&[][..], |r| &r[..]);
                if let Some(ip) = tracers[at].see(ns, rules, what) {
                    sequence.observe(ip);
                }
            }
            Seen::App(event) => app[at].extend(app_json(event)),
            _ => {}
        }
    }
    let mut out = Map::new();
    for (i, (tracer, spec)) in tracers.into_iter().zip(&scenario.hosts).enumerate() {
        let parts = [
            ("app", std::mem::take(&mut app[i])),
            ("wire", std::mem::take(&mut wire[i])),
            ("trace", tracer.finish()),
            ("ct", sort_destroys(std::mem::take(&mut ct[i]))),
        ];
        let parts: Map<String, Value> = parts
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(key, list)| (key.to_owned(), Value::Array(list)))
            .collect();
        if !parts.is_empty() {
            out.insert(spec.name.clone(), Value::Object(parts));
        }
    }
    Value::Object(out)
}

fn endpoint(e: (std::net::Ipv4Addr, u16)) -> String {
    format!("{}:{}", e.0, e.1)
}

/// What a server reports; clients speak through the outcome.
fn app_json(event: &AppEvent) -> Option<Value> {
    Some(match event {
        AppEvent::Accept { server, from, local } => json!({
            "server": format!("tcp {}", endpoint(*server)),
            "accept": endpoint(*from),
            "local": endpoint(*local),
        }),
        AppEvent::Datagram { server, from, to, len } => json!({
            "server": format!("udp {}", endpoint(*server)),
            "from": endpoint(*from),
            "to": to.to_string(),
            "len": len,
        }),
        AppEvent::ServerError { tcp, server, errno } => {
            let prefix = if *tcp { "tcp " } else { "" };
            json!({ "server": format!("{prefix}{}", endpoint(*server)), "error": errno.to_string() })
        }
        AppEvent::SendError { server, errno } => {
            json!({ "server": endpoint(*server), "senderror": errno.to_string() })
        }
        AppEvent::TftpRequest { server, from, opcode } => json!({
            "server": format!("tftp {}", endpoint(*server)),
            "from": endpoint(*from),
            "op": opcode,
        }),
        AppEvent::TftpData { port: Some(port), error } => {
            json!({ "server": format!("tftp-data :{port}"), "error": error.errno.to_string() })
        }
        AppEvent::TftpData { port: None, error } => {
            let mut value = error_json(error);
            if let Some(map) = value.as_object_mut() {
                map.insert("server".to_owned(), json!("tftp-data"));
            }
            value
        }
        AppEvent::TftpDone { bytes } => json!({ "server": "tftp-data", "done": bytes }),
        AppEvent::TftpGet { .. }
        | AppEvent::TftpReceived { .. }
        | AppEvent::TftpTimedOut { .. }
        | AppEvent::Connect { .. }
        | AppEvent::Connected { .. }
        | AppEvent::Reply { .. }
        | AppEvent::Failed { .. }
        | AppEvent::Started { .. }
        | AppEvent::Printed { .. }
        | AppEvent::TimedOut { .. } => return None,
    })
}

/// The outcome of a stimulus, in the words of the recordings.
pub fn outcome_json(outcome: &StepOutcome) -> Value {
    match outcome {
        StepOutcome::Done | StepOutcome::Started | StepOutcome::App(Outcome::None) => json!({}),
        StepOutcome::Together(all) => json!({ "clients": all.iter().map(outcome_json).collect::<Vec<_>>() }),
        StepOutcome::Refused(reason) => json!({ "refused": reason }),
        StepOutcome::NotRun(reason) => json!({ "not_run": reason }),
        StepOutcome::SendError(errno) => json!({ "error": errno.to_string() }),
        StepOutcome::Ended(all) => all
            .iter()
            .map(|(host, argv, c)| {
                json!({ "host": host, "argv": argv, "rc": c.status, "stdout": c.stdout, "stderr": c.stderr })
            })
            .collect(),
        StepOutcome::App(Outcome::Command(c)) | StepOutcome::Command(c) => json!({ "rc": c.status, "stdout": c.stdout, "stderr": c.stderr }),
        StepOutcome::Dump(rows) => json!({ "conntrack": sorted(rows.iter().map(|r| row_json(r, true))) }),
        StepOutcome::App(Outcome::Tcp { connect, reply }) => {
            let connect = match connect {
                None => "timeout".to_owned(),
                Some(Ok(())) => "ok".to_owned(),
                Some(Err(errno)) => errno.to_string(),
            };
            let mut out = json!({ "connect": connect });
            if let (Some(reply), Some(map)) = (reply, out.as_object_mut()) {
                map.insert("reply".to_owned(), Value::String(reply_text(reply)));
            }
            out
        }
        StepOutcome::App(Outcome::TcpSent(Ok(reply))) => json!({ "reply": reply_text(reply) }),
        StepOutcome::App(
            Outcome::TcpSent(Err(errno)) | Outcome::UdpFailed(errno) | Outcome::PingFailed(errno),
        ) => {
            json!({ "error": errno.to_string() })
        }
        StepOutcome::App(Outcome::Udp { got, waited }) => {
            if got.is_empty() && *waited {
                return json!({ "result": "timeout" });
            }
            json!({ "result": got.iter().map(udp_json).collect::<Vec<_>>() })
        }
        StepOutcome::App(Outcome::Tftp { done, got }) => json!({
            "result": if *done { "done" } else { "timeout" },
            "bytes": got.bytes,
            "data_from": got.peers.iter().map(|p| endpoint(*p)).collect::<Vec<_>>(),
            "ignored": got.ignored,
        }),
        StepOutcome::App(Outcome::Ping(None)) => json!({ "result": "timeout" }),
        StepOutcome::App(Outcome::Ping(Some(ip))) => json!({ "result": [icmp_answer(ip)] }),
    }
}

fn reply_text(reply: &Reply) -> String {
    match reply {
        Reply::Data(data) => latin1(data),
        Reply::Eof => "eof".to_owned(),
        Reply::Error(errno) => errno.to_string(),
        Reply::Timeout => "timeout".to_owned(),
    }
}

fn udp_json(reply: &UdpReply) -> Value {
    match reply {
        UdpReply::From(from, data) => {
            let text: String = latin1(data).chars().take(120).collect();
            json!({ "from": endpoint(*from), "text": text })
        }
        UdpReply::Error(error) => error_json(error),
    }
}

/// A socket's error, with what its error queue holds.
fn error_json(error: &SocketError) -> Value {
    let name = error.errno.to_string();
    let queue: Vec<Value> = error
        .icmp
        .iter()
        .map(|e| {
            let (errno, from) = (e.errno.to_string(), e.from.to_string());
            json!({ "errno": errno, "origin": "icmp", "type": e.kind, "code": e.code, "from": from })
        })
        .collect();
    json!({ "error": name, "icmp": queue })
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// Runs of DESTROY are sorted: a kernel walks its table in hash order.
fn sort_destroys(events: Vec<Value>) -> Vec<Value> {
    let is_destroy = |v: &Value| v["ev"] == "DESTROY";
    events
        .chunk_by(|a, b| is_destroy(a) && is_destroy(b))
        .flat_map(|run| sorted(run.iter().cloned()))
        .collect()
}

/// Rows in the order of the recordings: by their JSON text with sorted keys.
fn sorted(rows: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut rows: Vec<Value> = rows.collect();
    rows.sort_by_cached_key(|r| {
        let mut key = r.clone();
        if let Some(map) = key.as_object_mut() {
            map.remove("timeout");
            map.sort_keys();
            for value in map.values_mut() {
                if let Some(inner) = value.as_object_mut() {
                    inner.sort_keys();
                }
            }
        }
        key.to_string()
    });
    rows
}

/// Tables and counters at the end.
fn final_state(scenario: &Scenario, run: &Run) -> Value {
    let mut out = Map::new();
    for (spec, ns) in scenario.hosts.iter().zip(run.world.hosts()).filter(|(s, _)| s.trace) {
        let rows = ns.ct.rows(run.world.now());
        out.insert(
            spec.name.clone(),
            json!({
                "conntrack": sorted(rows.iter().map(|r| row_json(r, false))),
                "expect": sorted(ns.expect_rows(run.world.now()).iter().map(|r| expect_json(r, false))),
                "rule_counters": counters(ns),
            }),
        );
    }
    Value::Object(out)
}

/// Counters that are not zero, as iptables-save -c prints them; the TRACE rules of the recording are left out.
fn counters(ns: &Netns) -> Vec<String> {
    let mut out = Vec::new();
    for table in ns.loaded_tables().iter().filter_map(|t| ns.table(*t)) {
        table_counters(table, &mut out);
    }
    out
}

fn table_counters(table: &LoadedTable, out: &mut Vec<String>) {
    let set = &table.rules;
    let name = set.table.name();
    for (chain, c) in set.chains.iter().zip(&table.policy) {
        if let Some((_, policy)) = chain.base
            && c.packets > 0
        {
            let policy = if policy == Verdict::Accept { "ACCEPT" } else { "DROP" };
            out.push(format!("{name} :{} {policy} [{}:{}]", chain.name, c.packets, c.bytes));
        }
    }
    for (chain, states) in set.chains.iter().zip(table.state.chains()) {
        for (rule, state) in chain.rules.iter().zip(states) {
            let c = state.counters;
            let text = userland::iptables::print_rule(set, rule);
            if c.packets > 0 && text != "-j TRACE" {
                out.push(format!("{name} [{}:{}] -A {} {text}", c.packets, c.bytes, chain.name));
            }
        }
    }
}
