//! The steps of a run: commands, waiting, packets that stop on their way, segments by hand.

use super::super::segment::Segment;
use super::super::{Act, Boxes, Step, Switch, When};
use super::command::line;
use super::{duration, ipv4, one_line, when, word};
use cluster::Read;
use cluster::fields::{Fields, each, number, text};
use cluster::yaml::{Value, Yaml};
use kernel::netfilter::{Hold, PacketFilter, Stop};
use packet::Protocol;
use std::net::IpAddr;

/// The fields of a step.
const STEP: [&str; 11] =
    ["id", "title", "on", "run", "stdin", "when", "wait", "background", "hold", "release", "send"];

/// Those of which a step has one.
const ACTS: [&str; 5] = ["run", "wait", "hold", "release", "send"];

pub(super) fn steps(lab: &Fields<'_>, boxes: &Boxes, switches: &[Switch]) -> Read<Vec<Step>> {
    let mut out: Vec<Step> = Vec::new();
    for v in lab.list("steps")? {
        let f = Fields::strict(v, &STEP)?;
        let when = when(&f, switches)?;
        let id = f.get("id").map(word).transpose()?.unwrap_or_default();
        if !id.is_empty() && out.iter().any(|s| s.id == id) {
            return Err(f.need("id")?.blame("this id is given already"));
        }
        let on = f.get("on").map(|on| boxes.some(on)).transpose()?;
        if on.as_ref().is_some_and(|on: &Vec<String>| on.len() > 1)
            && !f.get("on").is_some_and(|on| matches!(on.value, Value::Mapping(_)))
        {
            return Err(v.blame("expected on: one box"));
        }
        let host =
            || on.as_ref().and_then(|on| on.first().cloned()).ok_or_else(|| v.blame("expected on: the box"));
        let given: Vec<(&str, &Yaml)> = ACTS.iter().filter_map(|k| Some((*k, f.get(k)?))).collect();
        let (act, words) = match given[..] {
            [("run", run)] => {
                let on = on.clone().unwrap_or_default();
                let mut command = line(run, f.text("stdin")?, When::default(), on, boxes)?;
                command.background |= f.boolean("background")?.unwrap_or(false);
                if command.background && !command.may_be_beside() {
                    return Err(run.blame("expected one program of a box, which runs in the background"));
                }
                let words = match command.on.first() {
                    Some(host) => format!("{host}: {}", command.run),
                    None => command.run.clone(),
                };
                (command.act(), words)
            }
            [("wait", wait)] if word(wait)? == "background" => {
                (Act::Join, "the programs in the background end".to_owned())
            }
            [("wait", wait)] => (Act::Wait(duration(wait)?), format!("{} pass", word(wait)?)),
            [("hold", at)] => {
                let (hold, order) = hold(at)?;
                (Act::Hold(host()?, hold, order), "packets stop on their way".to_owned())
            }
            [("release", at)] => {
                let cpu = match word(at)?.as_str() {
                    "all" => None,
                    _ => Some(usize::try_from(number(at, 0, 63)?).unwrap_or_default()),
                };
                (Act::Release(host()?, cpu), format!("the packet on CPU {} goes on", word(at)?))
            }
            [("send", at)] => {
                let (host, segment) = (host()?, Segment::read(at)?);
                let words = segment.text(&host);
                (Act::Send(host, Box::new(segment)), words)
            }
            _ => {
                return Err(v.blame("expected one of run (a command), wait (a time), hold, release and send"));
            }
        };
        let title = f.text("title")?.map_or(words, one_line);
        out.push(Step { id, title, when, act });
    }
    Ok(out)
}

/// Which packets stop, and where.
fn hold(at: &Yaml) -> Read<(Hold, Option<Vec<usize>>)> {
    const KNOWN: [&str; 8] = ["protocol", "src", "dst", "sport", "dport", "count", "stops", "order"];
    let f = Fields::strict(at, &KNOWN)?;
    let proto =
        f.word("protocol", &[("tcp", Protocol::TCP), ("udp", Protocol::UDP), ("icmp", Protocol::ICMP)])?;
    let ip = |key| f.get(key).map(ipv4).transpose().map(|a| a.map(IpAddr::V4));
    let packets = PacketFilter {
        proto,
        src: ip("src")?,
        dst: ip("dst")?,
        sport: f.port("sport", 1)?,
        dport: f.port("dport", 1)?,
    };
    let stops = each(f.list("stops")?, |v| {
        let known: Vec<&str> = Stop::ALL.iter().map(|s| s.name()).collect();
        Stop::from_name(text(v)?).ok_or_else(|| v.blame(format!("expected one of {}", known.join(", "))))
    })?;
    let stops = if stops.is_empty() { Stop::CONNTRACK.to_vec() } else { stops };
    let count = f.number("count", 1, 63)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(2);
    let order = match f.get("order") {
        None => None,
        Some(_) => {
            Some(each(f.list("order")?, |v| Ok(usize::try_from(number(v, 0, 63)?).unwrap_or_default()))?)
        }
    };
    Ok((Hold { packets, count, stops }, order))
}
