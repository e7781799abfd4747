//! What of a record must agree with the recording of the real kernel, facet by facet.
//!
//! Left out everywhere: the kernel's version, the outcome of commands, ARP, byte counts.

use serde_json::{Map, Value, json};

/// The facets that must agree.
pub const REQUIRED: [&str; 9] =
    ["outcome", "trace", "wire", "ct", "app", "final", "counters", "timeouts", "log"];

/// Keys that are not compared as they stand (time-outs are compared on their own, within two seconds).
const DROP: [&str; 6] = ["timeout", "kernel", "stdout", "_kmsg", "rule_counters", "trace_said"];

/// The value without what is not compared, and without empty parts.
fn clean(v: &Value) -> Value {
    let keep = |v: &Value| match v {
        Value::Null => false,
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
        _ => true,
    };
    match v {
        Value::Object(o) => {
            let mut out = Map::new();
            for (key, value) in o.iter().filter(|(k, _)| !DROP.contains(&k.as_str())) {
                let value = clean(value);
                if keep(&value) {
                    out.insert(key.clone(), value);
                }
            }
            // The order of keys is no difference.
            out.sort_keys();
            Value::Object(out)
        }
        Value::Array(a) => Value::Array(a.iter().map(clean).filter(keep).collect()),
        other => other.clone(),
    }
}

fn list(v: &Value) -> impl Iterator<Item = &Value> {
    v.as_array().into_iter().flatten()
}

fn objects(v: &Value) -> impl Iterator<Item = (&String, &Value)> {
    v.as_object().into_iter().flatten()
}

/// Every time-out below `v`, with the place where it stands.
fn timeouts(v: &Value, place: &str, out: &mut Vec<Value>) {
    match v {
        Value::Object(o) => {
            for (key, value) in o {
                if key == "timeout" && value.is_i64() {
                    out.push(
                        json!({ "at": place, "ev": o.get("ev"), "orig": o.get("orig"), "timeout": value }),
                    );
                } else {
                    timeouts(value, &format!("{place}.{key}"), out);
                }
            }
        }
        Value::Array(a) => {
            for (i, value) in a.iter().enumerate() {
                timeouts(value, &format!("{place}[{i}]"), out);
            }
        }
        _ => {}
    }
}

/// One facet of a record, as a list.
pub fn facet(record: &Value, name: &str) -> Vec<Value> {
    let mut out = Vec::new();
    for step in list(&record["steps"]) {
        let i = &step["i"];
        if name == "timeouts" {
            timeouts(&step["outcome"], &format!("step {i} dump"), &mut out);
        }
        if name == "outcome" && step["stimulus"]["do"] != "cmd" {
            out.push(json!({ "step": i, "outcome": clean(&step["outcome"]) }));
        }
        let mut hosts: Vec<_> = objects(&step["ns"]).filter(|(h, _)| *h != "_kmsg").collect();
        hosts.sort_by_key(|(h, _)| h.as_str());
        for (host, ns) in hosts {
            let mut add = |v: Value| out.push(json!({ "step": i, "host": host, "seen": v }));
            match name {
                "trace" => {
                    for packet in list(&ns["trace"]) {
                        let steps: Vec<Value> =
                            list(&packet["steps"]).filter(|s| s["kind"] != "log").map(clean).collect();
                        if !steps.is_empty() {
                            add(json!({ "pkt": packet["pkt"], "steps": steps }));
                        }
                    }
                }
                "log" => {
                    let steps = list(&ns["trace"]).flat_map(|packet| list(&packet["steps"]));
                    let texts = steps.filter(|s| s["kind"] == "log").filter_map(|s| s["text"].as_str());
                    texts.for_each(|text| add(json!(without_numbers(text))));
                }
                "wire" => list(&ns["wire"])
                    .filter(|f| !f["pkt"].as_str().is_some_and(|p| p.starts_with("arp ")))
                    .for_each(|f| add(clean(f))),
                "ct" | "app" => list(&ns[name]).for_each(|e| add(clean(e))),
                "timeouts" => timeouts(&ns["ct"], &format!("step {i} {host}"), &mut out),
                _ => {}
            }
        }
    }
    let mut hosts: Vec<_> = objects(&record["final"]).collect();
    hosts.sort_by_key(|(h, _)| h.as_str());
    for (host, state) in hosts {
        match name {
            "final" => {
                for part in ["conntrack", "expect"] {
                    let mut rows: Vec<Value> = list(&state[part]).map(clean).collect();
                    rows.sort_by_key(Value::to_string);
                    out.extend(rows.into_iter().map(|r| json!({ "host": host, "table": part, "row": r })));
                }
            }
            "counters" => out.extend(
                list(&state["rule_counters"])
                    .filter_map(Value::as_str)
                    .map(|line| json!({ "host": host, "rule": without_bytes(line) })),
            ),
            _ => {}
        }
    }
    out
}

/// A recording has N for a number of six digits or more: they are those of a connection.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.len() >= 6 {
            out.push('N');
            out.push_str(&word[digits.len()..]);
        } else {
            out.push_str(word);
        }
    }
    out
}

/// `[12:720]` becomes `[12]`.
fn without_bytes(line: &str) -> String {
    let parts = line.split_once('[').and_then(|(head, rest)| {
        let (counters, tail) = rest.split_once(']')?;
        let (packets, _) = counters.split_once(':')?;
        Some(format!("{head}[{packets}]{tail}"))
    });
    parts.unwrap_or_else(|| line.to_owned())
}

/// True if two lists of time-outs agree within two seconds.
fn near(a: &[Value], b: &[Value]) -> bool {
    let place = |v: &Value| (v["at"].clone(), v["ev"].clone(), v["orig"].clone());
    let seconds = |v: &Value| v["timeout"].as_i64().unwrap_or_default();
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| place(x) == place(y) && (seconds(x) - seconds(y)).abs() <= 2)
}

/// `port-N`: the Nth port that was seen.
fn port_name(port: u64, seen: &mut Vec<u64>) -> String {
    let at = seen.iter().position(|p| *p == port).unwrap_or(seen.len());
    if at == seen.len() {
        seen.push(port);
    }
    format!("port-{at}")
}

/// The value with each port (and each other number above 255 that stands where a port does) named by the order of its first
/// appearance, so that two records that differ by the ports that were drawn, and nothing else, are the same.
fn ports_by_appearance(v: &Value, seen: &mut Vec<u64>) -> Value {
    match v {
        Value::Object(o) => {
            let mut out = Map::new();
            for (key, value) in o {
                let port = value.as_u64().filter(|n| *n > 255 && matches!(key.as_str(), "sport" | "dport"));
                let value = match port {
                    Some(port) => json!(port_name(port, seen)),
                    None => ports_by_appearance(value, seen),
                };
                out.insert(key.clone(), value);
            }
            Value::Object(out)
        }
        Value::Array(a) => Value::Array(a.iter().map(|v| ports_by_appearance(v, seen)).collect()),
        Value::String(text) => {
            let mut out = String::new();
            // A port stands between a colon and one of these, or the end.
            for (i, part) in text.split(':').enumerate() {
                let len = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
                let (number, rest) = part.split_at(len);
                let ends = rest.chars().next().is_none_or(|c| "> ]}\",".contains(c));
                let port = number.parse().ok().filter(|n: &u64| i > 0 && ends && *n > 255);
                out += if i > 0 { ":" } else { "" };
                match port {
                    Some(port) => out += &port_name(port, seen),
                    None => out += number,
                }
                out += rest;
            }
            Value::String(out)
        }
        other => other.clone(),
    }
}

/// The facets in which two records differ, each with its first difference. In records that say that they are not
/// deterministic, ports may differ by one renaming; where the kernel's says `drawn`, two ports of one of these ranges are the same.
pub fn differences(kernel: &Value, engine: &Value) -> Vec<String> {
    let drawn = kernel["nondeterministic"] == true;
    let ranges = ranges(kernel);
    let of = |record: &Value, name: &str| {
        let list: Vec<Value> = facet(record, name).iter().map(|v| masked(v, &ranges)).collect();
        if !drawn {
            return list;
        }
        let mut seen = Vec::new();
        list.iter().map(|v| ports_by_appearance(v, &mut seen)).collect()
    };
    REQUIRED
        .iter()
        .filter_map(|name| {
            let (a, b) = (of(kernel, name), of(engine, name));
            if a == b || (*name == "timeouts" && near(&a, &b)) {
                return None;
            }
            let at = (0..a.len().max(b.len())).find(|i| a.get(*i) != b.get(*i))?;
            let show = |v: Option<&Value>| v.map_or("nothing".to_owned(), ToString::to_string);
            Some(format!(
                "{name}: kernel {} entries, engine {}; first difference at {at}\n  kernel: {}\n  engine: {}",
                a.len(),
                b.len(),
                show(a.get(at)),
                show(b.get(at))
            ))
        })
        .collect()
}

/// Where `text` names a port out of a range that the kernel draws from, the range stands instead.
fn masked_text(text: &str, ranges: &[(u64, u64)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, tail) = rest.split_at(at);
        let len = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, after) = tail.split_at(len);
        out.push_str(before);
        let port = (before.ends_with(':') && after.chars().next().is_none_or(|c| " >}".contains(c)))
            || before.ends_with("id=");
        let range =
            number.parse().ok().and_then(|n: u64| ranges.iter().find(|(a, b)| port && *a <= n && n <= *b));
        match range {
            Some((a, b)) => out.push_str(&format!("{a}-{b}")),
            None => out.push_str(number),
        }
        rest = after;
    }
    out + rest
}

/// The ranges that a record or a case names.
fn ranges(record: &Value) -> Vec<(u64, u64)> {
    list(&record["drawn"]).filter_map(|r| Some((r[0].as_u64()?, r[1].as_u64()?))).collect()
}

/// The same for a value and all that is in it.
fn masked(v: &Value, ranges: &[(u64, u64)]) -> Value {
    match v {
        _ if ranges.is_empty() => v.clone(),
        Value::Object(o) => {
            let entry = |(key, value): (&String, &Value)| {
                let range = match key.as_str() {
                    "sport" | "dport" | "id" => {
                        value.as_u64().and_then(|n| ranges.iter().find(|(a, b)| *a <= n && n <= *b))
                    }
                    _ => None,
                };
                let value = range.map_or_else(|| masked(value, ranges), |(a, b)| json!(format!("{a}-{b}")));
                (key.clone(), value)
            };
            Value::Object(o.iter().map(entry).collect())
        }
        Value::Array(a) => Value::Array(a.iter().map(|v| masked(v, ranges)).collect()),
        Value::String(s) => json!(masked_text(s, ranges)),
        other => other.clone(),
    }
}

/// The first step in which a random case differs, with both sides; `None` if nothing does. The parts are those that the
/// generator records: walk, conntrack's messages, what came out, the sender's error; and the table at the end. Two ports of
/// one range in `drawn` are the same.
pub fn case_difference(kernel: &Value, engine: &Value) -> Option<String> {
    let ranges = ranges(kernel);
    let part = |step: &Value, name: &str| masked(&clean(&json!({ name: step.get(name) })), &ranges);
    for (i, (k, e)) in list(&kernel["steps"]).zip(list(&engine["steps"])).enumerate() {
        for name in ["trace", "ct", "out", "senderr"] {
            let (k, e) = (part(k, name), part(e, name));
            if k != e {
                return Some(format!("step {i}\n  kernel {k}\n  engine {e}"));
            }
        }
    }
    let table = |case: &Value| {
        let mut rows: Vec<Value> = list(&masked(&clean(&case["final"]), &ranges)).cloned().collect();
        rows.sort_by_key(Value::to_string);
        Value::Array(rows)
    };
    for (k, e) in list(&kernel["said"]).zip(list(&engine["said"])) {
        if k != e {
            return Some(format!("what nft lists\n  kernel {k}\n  engine {e}"));
        }
    }
    let (k, e) = (table(kernel), table(engine));
    (k != e).then(|| format!("the table at the end\n  kernel {k}\n  engine {e}"))
}
