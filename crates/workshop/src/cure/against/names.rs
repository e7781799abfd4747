//! Names that nobody knows.

use super::super::wish::within;
use super::Tries;
use super::services::{common, open};
use crate::lab::{Begun, LabRun};
use crate::session::quoted;
use cluster::object::{ClusterIp, Pod, Protocol};
use kernel::Netns;
use kernel::event::{Origin, What};
use sim::Entry;
use sim::view::questions;
use std::net::Ipv4Addr;

const DNS: u16 = 53;

/// Against questions that were asked in an exchange and came to nothing: names that exist, what CoreDNS knows and whom it asks, and what the box that
/// asks has in its /etc/resolv.conf.
pub(super) fn against(begun: &Begun, run: &LabRun, exchange: usize, tries: &mut Tries) {
    let world = &run.run.world;
    let within = within(run, exchange);
    let asks = |e: &&Entry| match e.what() {
        Some(What::Created { frame, origin: Origin::Socket(_), .. }) => {
            frame.ip().is_some_and(|ip| ip.ports().is_some_and(|p| p.1 == DNS))
        }
        _ => false,
    };
    // Who has nobody to ask sends nothing.
    let sends = within.iter().any(|e| matches!(e.what(), Some(What::Created { .. })));
    let asks = within.iter().find(asks).or(within.first().filter(|_| !sends));
    let Some(asker) = asks.and_then(|e| world.host(e.host)) else { return };
    let corefiles = begun.objects.config_maps.values().filter_map(|map| {
        let corefile = map.data.get("Corefile").filter(|text| !text.contains('\''))?;
        Some((map, corefile))
    });
    let domain = domain(begun);
    for (map, corefile) in corefiles {
        let (namespace, name) = map.metadata.key();
        let mut write = |corefile: String| {
            let patch = format!("{{\"data\":{{\"Corefile\":{}}}}}", quoted(&corefile));
            tries.add("", format!("kubectl -n {namespace} patch configmap {name} -p '{patch}'"));
        };
        let zone = zone(corefile);
        if let (Some(zone), Some(domain)) = (zone, domain.filter(|d| zone.is_some_and(|z| z != *d))) {
            write(corefile.replacen(&format!("kubernetes {zone}"), &format!("kubernetes {domain}"), 1));
        }
        let outside = |ns: &&Netns| {
            !begun.objects.pods.values().any(|p| p.metadata.name == ns.name)
                && open(ns, Protocol::Udp).contains(&DNS)
        };
        for ns in world.hosts().iter().filter(outside) {
            let addrs = ns.devices().iter().flat_map(|d| &d.addrs).map(|a| a.net.addr());
            addrs.filter(|a| !a.is_loopback()).for_each(|addr| write(forwards(corefile, addr)));
        }
        resolver(begun, asker, zone.or(domain), tries);
    }
    for (asked, service, namespace) in meant(begun, run, exchange) {
        let mut labels = asked.split('.');
        let name = labels.next().unwrap_or_default();
        let own = labels.next().or(of(begun, asker).map(|p| p.metadata.namespace.as_str()));
        if let Some(own) = own.filter(|own| begun.objects.pods.keys().any(|(n, _)| n == own)) {
            let to = format!("{service}.{namespace}.svc.{}", domain.unwrap_or_default());
            tries
                .add("", format!("kubectl -n {own} create service externalname {name} --external-name={to}"));
        }
        let known = own == Some(&*namespace) && name == service;
        let service = begun.objects.services.get(&(namespace, service)).map(|s| &s.cluster_ip);
        if let Some(ClusterIp::Addresses(all)) = service.filter(|_| !known && asked.contains('.')) {
            all.iter().for_each(|addr| tries.add(&asker.name, format!("echo {addr} {asked} >> /etc/hosts")));
        }
    }
}

/// The pod of a box, or one that has the network of this node.
fn of<'b>(begun: &'b Begun, asker: &Netns) -> Option<&'b Pod> {
    let is = |p: &&Pod| p.metadata.name == asker.name || p.host_network && p.node_name == asker.name;
    begun.objects.pods.values().find(is)
}

/// The cluster's zone as the kubelet has it.
fn domain(begun: &Begun) -> Option<&str> {
    begun.objects.kubelet.as_ref().map(|k| k.domain.as_str())
}

/// Names that an exchange has asked for in vain, each with a Service that is meant, and its namespace: of the same name in another
/// namespace, or of one that differs in two letters at most.
fn meant(begun: &Begun, run: &LabRun, exchange: usize) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    let world = &run.run.world;
    let (Some(record), Some(first)) = (run.run.steps.get(exchange), within(run, exchange).first()) else {
        return out;
    };
    let all = questions(world.log(), first.host, record.first..record.end);
    // It is asked for with and without what the resolver puts behind it.
    let Some(asked) = all.iter().map(|q| q.name.as_str()).min_by_key(|name| name.len()) else { return out };
    if all.iter().any(|q| q.is_answered()) {
        return out;
    }
    let label = asked.split('.').next().unwrap_or_default();
    let services = begun.objects.services.values().map(|s| s.metadata.key());
    let alike = services.filter(|(_, name)| common(name, label) + 2 >= name.len().max(label.len()));
    out.extend(alike.map(|(namespace, name)| (asked.to_owned(), name, namespace)));
    sorted::sort_by_key(&mut out, |(_, name, _)| name != label);
    out.truncate(MAX_NAMES);
    out
}

/// Commands with such a name in place of the one that nobody knows.
pub(super) fn instead(begun: &Begun, run: &LabRun, exchange: usize, line: &str) -> Vec<String> {
    let all = meant(begun, run, exchange).into_iter();
    let lines = all.map(|(asked, name, namespace)| line.replacen(&asked, &format!("{name}.{namespace}"), 1));
    lines.filter(|other| other != line).collect()
}

/// Of more Services not every one is tried.
const MAX_NAMES: usize = 4;

/// Against a file that says where a name is, and is wrong: without the line.
pub(super) fn in_hosts_file(run: &LabRun, exchange: usize, tries: &mut Tries) {
    const FILE: &str = "/etc/hosts";
    let world = &run.run.world;
    let command = run.stimuli.get(exchange).and_then(|s| s.command.as_ref());
    let by = within(run, exchange).first().and_then(|e| world.host(e.host));
    let (Some((line, _)), Some(ns)) = (command, by) else { return };
    let Some(text) = world.file(ns.id, FILE) else { return };
    let is_called = |l: &str| {
        l.split_whitespace().skip(1).any(|name| line.split(|c| "/: ".contains(c)).any(|word| word == name))
    };
    let called = (1..).zip(text.lines()).filter(|(_, l)| is_called(l));
    let deleted: Vec<String> = called.map(|(number, _): (u32, _)| format!("{number}d")).collect();
    if !deleted.is_empty() {
        tries.add(&ns.name, format!("sed -i '{}' {FILE}", deleted.join(";")));
    }
}

/// The cluster's zone by a Corefile.
fn zone(corefile: &str) -> Option<&str> {
    corefile.lines().find_map(|l| l.trim_start().strip_prefix("kubernetes ")?.split_whitespace().next())
}

/// The /etc/resolv.conf that the kubelet makes for a pod, with the cluster's DNS.
fn resolver(begun: &Begun, asker: &Netns, zone: Option<&str>, tries: &mut Tries) {
    let objects = &begun.objects;
    let (Some(pod), Some(zone)) = (of(begun, asker), zone) else { return };
    for service in objects.services.values().filter(|s| s.ports.iter().any(|p| p.port == DNS)) {
        if let ClusterIp::Addresses(all) = &service.cluster_ip {
            for server in all {
                let search = format!("search {}.svc.{zone} svc.{zone} {zone}", pod.metadata.namespace);
                let lines = format!("echo {search}; echo nameserver {server}; echo options ndots:5");
                tries.add(&asker.name, format!("{{ {lines}; }} > /etc/resolv.conf"));
            }
        }
    }
}

/// A Corefile that forwards to this address: by the lines that forward elsewhere, or by one at the end of its last block.
fn forwards(corefile: &str, to: Ipv4Addr) -> String {
    let line = format!("    forward . {to}");
    let mut lines: Vec<&str> = corefile.lines().collect();
    let mut elsewhere = false;
    for l in lines.iter_mut().filter(|l| l.trim_start().starts_with("forward . ") && !l.ends_with('{')) {
        (*l, elsewhere) = (&line, true);
    }
    if let (false, Some(end)) = (elsewhere, lines.iter().rposition(|l| l.trim() == "}")) {
        lines.insert(end, &line);
    }
    lines.join("\n") + "\n"
}
