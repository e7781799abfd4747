//! Boxes as the lab's world has made them, before commands of the set-up and of the session changed something on one: what differs, and the
//! commands that put it back. The same for objects.

use super::Change;
use super::against::{failed, later};
use super::wish::{Wish, within};
use crate::lab::{Begun, LabRun, identity};
use crate::session::{At, Typed, quoted};
use crate::yaml_text::{Layout, json, yaml};
use cluster::yaml::{Entry, Value, Yaml};
use ipnet::Ipv4Net;
use kernel::Netns;
use kernel::dev::{DevKind, Device, Vxlan};
use kernel::neigh::Nud;
use kernel::route::{FibTable, Route, RouteKind, proto};
use sim::World;
use sim::operator::{route_text, rule_text, settings};
use sim::view::copy;
use std::net::Ipv4Addr;

/// So many differences are tried one by one at most.
const MAX_SINGLE: usize = 24;

/// What puts boxes back on which packets were in exchanges that failed: each command alone, and all of a box together.
pub(super) fn boxes(run: &LabRun, begun: &Begun, plan: &Begun, wish: &Wish) -> (Vec<Change>, Vec<Change>) {
    let (mut alone, mut first, mut together) = (Vec::new(), Vec::new(), Vec::new());
    let failed = failed(run, wish);
    let later = failed.first().and_then(|n| later(run, *n));
    let there = |at: &Netns| failed.iter().any(|n| within(run, *n).iter().any(|e| e.host == at.id));
    for was in plan.world.hosts() {
        let name = &was.name;
        let now = host(&run.run.world, name).filter(|now| there(now));
        let (Some(began), Some(now)) = (host(&begun.world, name), now) else { continue };
        let typed = |at: At, line: &String| Typed {
            at,
            on: Some(name.clone()),
            line: line.clone(),
            stdin: String::new(),
        };
        let early = back(was, began);
        let mut all: Vec<Typed> = early.iter().map(|line| typed(At::Setup, line)).collect();
        let apart = all.iter().filter(|c| !c.line.starts_with("ip link del "));
        alone.extend(apart.map(|c| Change::Command(c.clone(), later)));
        // What only a step has brought about.
        if let Some(at) = later {
            let late = back(was, now).into_iter().filter(|line| !early.contains(line));
            let late: Vec<Typed> = late.map(|line| typed(at, &line)).collect();
            alone.extend(late.iter().map(|c| Change::Command(c.clone(), None)));
            all.extend(late);
        }
        if all.len() > 1 {
            // What was lost with a device is put back with it, before other ways are looked for.
            let lost = all.iter().any(|c| c.line.starts_with("ip link "));
            let to = if lost { &mut first } else { &mut together };
            to.push(Change::Box(name.clone(), all));
        }
    }
    alone.truncate(MAX_SINGLE);
    alone.append(&mut first);
    (alone, together)
}

fn host<'w>(world: &'w World, name: &str) -> Option<&'w Netns> {
    world.host(world.host_by_name(name)?)
}

/// What makes the cluster's objects again what they were: patches, and objects that are gone.
pub(super) fn objects(plan: &Begun, begun: &Begun) -> Vec<Change> {
    let mut out = Vec::new();
    for was in &plan.documents {
        let (kind, namespace, name) = identity(was);
        let (line, stdin) = match begun.documents.iter().find(|d| identity(d) == identity(was)) {
            Some(is) => match patch(is, was) {
                Some(patch) => {
                    let kind = kind.to_ascii_lowercase();
                    (format!("kubectl -n {namespace} patch {kind} {name} -p '{patch}'"), String::new())
                }
                None => continue,
            },
            None => ("kubectl apply -f -".to_owned(), yaml(was, Layout::Short)),
        };
        out.push(Change::Command(Typed { at: At::Setup, on: None, line, stdin }, None));
    }
    out
}

/// The merge patch that makes the one of the other, as JSON. `None` if they are the same.
fn patch(is: &Yaml, was: &Yaml) -> Option<String> {
    let (Value::Mapping(now), Value::Mapping(before)) = (&is.value, &was.value) else {
        let was = compact(was);
        return (compact(is) != was).then_some(was);
    };
    let mut fields = Vec::new();
    for e in before {
        let changed = match is.get(&e.key) {
            Some(now) => patch(now, &e.value),
            None => Some(compact(&e.value)),
        };
        fields.extend(changed.map(|value| format!("{}:{value}", quoted(&e.key))));
    }
    let gone = now.iter().filter(|e| was.get(&e.key).is_none());
    fields.extend(gone.map(|e| format!("{}:null", quoted(&e.key))));
    (!fields.is_empty()).then(|| format!("{{{}}}", fields.join(",")))
}

/// A tree as JSON in one line.
fn compact(tree: &Yaml) -> String {
    match &tree.value {
        Value::Mapping(entries) => {
            let pair = |e: &Entry| format!("{}:{}", quoted(&e.key), compact(&e.value));
            format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(","))
        }
        Value::Sequence(items) => format!("[{}]", items.iter().map(compact).collect::<Vec<_>>().join(",")),
        _ => json(tree),
    }
}

/// Something that a box has.
struct Thing {
    /// What it is. A box has it once.
    key: String,
    /// The command that makes it so.
    put: String,
    /// The command that puts it in the place of another with the same key.
    replace: String,
    /// The command that takes it away; empty where nobody would.
    take: String,
    /// It stands or falls with something else: where its key is not there, it is not to be made.
    part: bool,
}

impl Thing {
    fn new(put: String, take: String) -> Thing {
        Thing { key: put.clone(), replace: put.clone(), put, take, part: false }
    }

    fn value(key: String, value: impl std::fmt::Display) -> Thing {
        let put = format!("{key}{value}");
        Thing { key, replace: put.clone(), put, take: String::new(), part: true }
    }
}

/// The commands that make a box what it was, in an order in which they can be done.
pub(super) fn back(was: &Netns, is: &Netns) -> Vec<String> {
    // A tunnel becomes another only by being made anew, and loses what it had.
    for dev in is.devices().iter().filter(|d| !d.gone) {
        let before = was.device_by_name(&dev.name).and_then(|id| Some((was.device(id)?, was.vxlan(id)?)));
        if let (DevKind::Vxlan(now), Some((made, other))) = (&dev.kind, before)
            && **now != (Vxlan { fdb: now.fdb.clone(), ..other.clone() })
        {
            let mut bare = copy(is);
            bare.set_up(dev.id, false);
            for addr in &dev.addrs {
                bare.del_addr(dev.id, addr.net);
            }
            if let Some(v) = bare.vxlan_mut(dev.id) {
                *v = Vxlan { fdb: Vec::new(), ..other.clone() };
            }
            let again = format!("ip link add {} {}", dev.name, vxlan(was, made, other));
            let mut out = vec![format!("ip link del {}", dev.name), again];
            out.extend(back(was, &bare));
            return out;
        }
    }
    let (before, now) = (things(was, is), things(is, is));
    let added = now.iter().rev().filter(|t| !before.iter().any(|b| b.key == t.key) && !t.take.is_empty());
    // What goes by an address stays where that gets its other mask first.
    let whose = |line: &str| {
        line.split('/').next().and_then(|l| l.strip_prefix("ip addr ")?.get(4..)).map(str::to_owned)
    };
    let again = |line: &String| {
        whose(line).is_some_and(|addr| before.iter().any(|b| whose(&b.put).as_ref() == Some(&addr)))
    };
    let (last, mut out): (Vec<String>, Vec<String>) = added.map(|t| t.take.clone()).partition(again);
    for thing in &before {
        match now.iter().find(|n| n.key == thing.key) {
            Some(n) if n.put == thing.put => {}
            Some(_) => out.push(thing.replace.clone()),
            None if thing.part => {}
            None => out.push(thing.put.clone()),
        }
    }
    out.extend(last);
    // It sets those of all devices.
    if out.iter().any(|line| line.contains(".ip_forward=")) {
        out.retain(|line| !line.contains(".forwarding="));
    }
    out
}

/// A device of type vxlan as it is made.
fn vxlan(ns: &Netns, dev: &Device, v: &Vxlan) -> String {
    let mut out = format!("address {} type vxlan id {} dstport {}", dev.mac, v.vni, v.port);
    let mut say = |word: &str, value: Option<String>| {
        value.into_iter().for_each(|value| out += &format!(" {word} {value}"));
    };
    say("local", v.local.map(|a| a.to_string()));
    say("remote", v.remote.map(|a| a.to_string()));
    say("dev", v.lower.map(|d| ns.dev_name(d).to_owned()));
    if !v.learning {
        out += " nolearning";
    }
    out
}

/// Parts of the names of settings that are no cure: a count, a second name, what is for devices to come, and hints that packets do without.
const SETTLED: [&str; 4] = ["_count", "net/nf_conntrack_max", "/default/", "_redirects"];

/// Those that only the first namespace of a machine may change.
const LIMITS: [&str; 3] = ["nf_conntrack_max", "nf_conntrack_buckets", "nf_conntrack_expect_max"];

/// What a box has. Of what an address brings along, that which is left where the address still is on the box `is`.
fn things(ns: &Netns, is: &Netns) -> Vec<Thing> {
    let mut out = Vec::new();
    // What kube-proxy has on its dummy, it puts there again.
    let devices = ns.devices().iter().filter(|d| !d.gone && !matches!(d.kind, DevKind::Dummy));
    let devices: Vec<&Device> = devices.collect();
    for dev in &devices {
        let kind = match &dev.kind {
            DevKind::Bridge(_) => "type bridge".to_owned(),
            DevKind::Vxlan(v) => vxlan(ns, dev, v),
            _ => continue,
        };
        out.push(Thing::new(format!("ip link add {} {kind}", dev.name), String::new()));
    }
    for dev in &devices {
        let name = &dev.name;
        if let Some(bridge) = dev.master {
            let line = format!("ip link set {name} master {}", ns.dev_name(bridge));
            out.push(Thing::new(line, format!("ip link set {name} nomaster")));
            let flags = [
                ("hairpin", dev.port.hairpin),
                ("isolated", dev.port.isolated),
                ("learning", dev.port.learning),
                ("flood", dev.port.flood),
            ];
            for (flag, on) in flags {
                let key = format!("bridge link set dev {name} {flag} ");
                out.push(Thing::value(key, if on { "on" } else { "off" }));
            }
        }
        out.push(Thing::value(format!("ip link set {name} mtu "), dev.mtu));
    }
    for dev in devices.iter().filter(|d| d.up) {
        out.push(Thing::new(format!("ip link set {} up", dev.name), String::new()));
    }
    for dev in &devices {
        for addr in &dev.addrs {
            let what = format!("{} dev {}", addr.net, dev.name);
            out.push(Thing::new(format!("ip addr add {what}"), format!("ip addr del {what}")));
        }
    }
    for (dev, addr, entry) in ns.neigh.entries().filter(|(.., n)| n.state == Nud::Permanent) {
        let at = format!("{addr} dev {}", ns.dev_name(dev));
        out.push(Thing {
            take: format!("ip neigh del {at}"),
            part: false,
            ..Thing::value(format!("ip neigh replace {at} nud permanent lladdr "), entry.mac)
        });
    }
    for dev in &devices {
        let DevKind::Vxlan(v) = &dev.kind else { continue };
        for entry in v.fdb.iter().filter(|e| !e.learned) {
            let at = format!("{} dev {} dst ", entry.mac, dev.name);
            out.extend(entry.remotes.first().map(|to| Thing {
                key: at.clone(),
                put: format!("bridge fdb append {at}{to}"),
                replace: format!("bridge fdb replace {at}{to}"),
                take: format!("bridge fdb del {at}{to}"),
                part: false,
            }));
        }
    }
    for rule in ns.fib.rules.list() {
        let (text, pref) = (rule_text(ns, rule), rule.pref);
        out.push(Thing::new(format!("ip rule add {text} pref {pref}"), format!("ip rule del pref {pref}")));
    }
    let comes = |r: &Route| r.proto == proto::KERNEL && !r.prefsrc.is_some_and(|src| has(is, src, r.dst));
    let kept = |r: &Route| r.hops.iter().all(|h| devices.iter().any(|d| d.id == h.dev));
    let made = |r: &Route| r.table != FibTable::LOCAL || r.kind == RouteKind::Local && kept(r);
    let routes = ns.fib.routes().iter().filter(|r| made(r) && !comes(r));
    // A gateway is taken only when there is a way to it.
    let (gateways, links): (Vec<_>, Vec<_>) = routes.partition(|r| r.gateway().is_some());
    for route in links.into_iter().chain(gateways) {
        let text = short(ns, route);
        let line = |verb: &str| format!("ip route {verb} {text}");
        // What came with an address goes with it.
        let take = if route.proto == proto::KERNEL { String::new() } else { line("del") };
        let mut thing = Thing::new(line("add"), take);
        thing.key = format!("{} {} {}", route.table.0, route.dst, route.metric);
        thing.replace = line("replace");
        out.push(thing);
    }
    let limits = if ns.is_initial() { &[][..] } else { &LIMITS };
    for (path, value) in settings(&mut copy(ns)) {
        if SETTLED.iter().chain(limits).all(|part| !path.contains(part)) {
            let name = if path.contains('.') { path } else { path.replace('/', ".") };
            out.push(Thing::value(format!("sysctl -w {name}="), value));
        }
    }
    out
}

/// It has the address, and as one from which this route comes.
fn has(ns: &Netns, addr: Ipv4Addr, dst: Ipv4Net) -> bool {
    let mut nets = ns.devices().iter().filter(|d| !d.gone).flat_map(|d| &d.addrs).map(|a| a.net);
    nets.any(|net| net.addr() == addr && (dst.prefix_len() == 32 || net.trunc() == dst))
}

/// A route as people type it: what goes without saying is left out.
pub(super) fn short(ns: &Netns, route: &Route) -> String {
    let text = route_text(ns, route);
    let words: Vec<&str> = text.split_whitespace().collect();
    let onlink = words.contains(&"onlink");
    let kernel = route.proto == proto::KERNEL;
    let mut out: Vec<&str> = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let said = match word {
            "proto" | "scope" => true,
            "src" => kernel,
            "dev" => route.gateway().is_some() && !onlink && route.hops.len() == 1,
            _ => false,
        };
        if said {
            words.next();
        } else {
            out.push(word);
        }
    }
    let table =
        if route.table == FibTable::MAIN { String::new() } else { format!(" table {}", route.table.0) };
    out.join(" ") + &table
}
