//! Names that nobody knows.

use super::Tries;
use super::services::open;
use crate::lab::Begun;
use crate::session::quoted;
use cluster::object::{ClusterIp, Protocol};
use kernel::Netns;
use kernel::event::{Origin, What};
use sim::{Entry, World};
use std::net::Ipv4Addr;

const DNS: u16 = 53;

/// Against questions that were asked in an exchange and came to nothing: what CoreDNS knows and whom it asks, and what the box that asks has in
/// its /etc/resolv.conf.
pub(super) fn against(begun: &Begun, world: &World, within: &[Entry], tries: &mut Tries) {
    let asks = |e: &&Entry| match e.what() {
        Some(What::Created { frame, origin: Origin::Socket(_), .. }) => {
            frame.ip().is_some_and(|ip| ip.ports().is_some_and(|p| p.1 == DNS))
        }
        _ => false,
    };
    let Some(asker) = within.iter().find(asks).and_then(|e| world.host(e.host)) else { return };
    let corefiles = begun.objects.config_maps.values().filter_map(|map| {
        let corefile = map.data.get("Corefile").filter(|text| !text.contains('\''))?;
        Some((map, corefile))
    });
    let domain = begun.objects.kubelet.as_ref().map(|k| k.domain.as_str());
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
}

/// The cluster's zone by a Corefile.
fn zone(corefile: &str) -> Option<&str> {
    corefile.lines().find_map(|l| l.trim_start().strip_prefix("kubernetes ")?.split_whitespace().next())
}

/// The /etc/resolv.conf that the kubelet makes for a pod, with the cluster's DNS.
fn resolver(begun: &Begun, asker: &Netns, zone: Option<&str>, tries: &mut Tries) {
    let objects = &begun.objects;
    let pod = objects.pods.values().find(|p| p.metadata.name == asker.name);
    let (Some(pod), Some(zone)) = (pod, zone) else { return };
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
