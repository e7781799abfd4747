//! `kubectl apply -f -`: objects from standard input, with what the API server and controllers keep or add.

use super::effect::{identity, merge};
use super::invalid::invalid;
use cluster::Read;
use cluster::object::read_document;
use cluster::yaml::{Entry, Place, Value, Yaml, documents};
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr};

/// The objects of a text; the items of a List are objects of their own.
///
/// # Errors
/// Names line, column and token of the first thing that cannot be used, and what was expected.
pub fn objects_of(text: &str) -> Read<Vec<Yaml>> {
    let mut out = Vec::new();
    for document in documents(text)? {
        let read = read_document(&document, &mut Vec::new());
        let own = match document.get("items").map(|i| &i.value) {
            Some(Value::Sequence(items)) => items.clone(),
            _ => vec![document],
        };
        // Of what the API server has words for, it tells.
        if own.iter().all(|object| invalid(object).is_empty()) {
            read?;
        }
        out.extend(own);
    }
    if out.is_empty() {
        return Err(Place { line: 1, column: 1 }.blame("", "expected Kubernetes objects (kind: ...)"));
    }
    Ok(out)
}

/// An object is there as it is given. What it does not say and the API server has given before, it keeps: a Service its addresses and
/// node ports, every object its status.
pub fn apply(all: &mut Vec<Yaml>, given: &Yaml) {
    let mut object = given.clone();
    let at = all.iter().position(|d| identity(d) == identity(given));
    let old = at.and_then(|i| all.get(i)).cloned();
    if let Some(old) = &old {
        keep(&mut object, old);
    }
    if identity(&object).0 == "Service" {
        allocate(&mut object, all);
    }
    match at.and_then(|i| all.get_mut(i)) {
        Some(place) => *place = object,
        None => all.push(object),
    }
}

fn keep(object: &mut Yaml, old: &Yaml) {
    if object.get("status").is_none()
        && let Some(status) = old.get("status")
    {
        set(object, "status", status.clone());
    }
    if identity(old).0 != "Service" {
        return;
    }
    let (Some(old_spec), Some(spec)) = (old.get("spec"), get_mut(object, "spec")) else { return };
    keep_cluster_ip(spec, old_spec);
    if needs_health_check(spec)
        && spec.get(HEALTH_CHECK).is_none()
        && let Some(number) = old_spec.get(HEALTH_CHECK)
    {
        set(spec, HEALTH_CHECK, number.clone());
    }
    if !has_node_ports(spec) {
        return;
    }
    let old_ports = old_spec.get("ports").map(items).unwrap_or_default();
    for port in get_mut(spec, "ports").map(items_mut).unwrap_or_default() {
        let same = old_ports.iter().find(|o| word(o, "port") == word(port, "port"));
        if port.get("nodePort").is_none()
            && let Some(number) = same.and_then(|o| o.get("nodePort"))
        {
            set(port, "nodePort", number.clone());
        }
    }
}

/// Puts a pod on a node. Without an address it is given one there.
pub fn place(pod: &mut Yaml, node: &str, address: Option<IpAddr>) {
    let Some(spec) = get_mut(pod, "spec") else { return };
    let moved = word(spec, "nodeName") != Some(node);
    set(spec, "nodeName", plain(node.to_owned()));
    if let Some(status) = get_mut(pod, "status").filter(|_| moved) {
        for key in ["podIP", "podIPs", "hostIP", "hostIPs"] {
            unset(status, key);
        }
    }
    if let Some(ip) = address {
        let text = format!("status: {{podIP: {ip}, podIPs: [{{ip: {ip}}}]}}");
        documents(&text).iter().flatten().for_each(|patch| merge(pod, patch));
    }
}

/// In an EndpointSlice an address is another now, on this node.
pub fn follow(slice: &mut Yaml, old: &str, (node, new): (&str, IpAddr)) {
    for endpoint in get_mut(slice, "endpoints").map(items_mut).unwrap_or_default() {
        let addresses = get_mut(endpoint, "addresses").map(items_mut).unwrap_or_default();
        if let Some(address) = addresses.iter_mut().find(|a| a.token() == old) {
            *address = plain(new.to_string());
            set(endpoint, "nodeName", plain(node.to_owned()));
        }
    }
}

/// What goes with an object: the pods of a node (the control plane's pod garbage collector), and all that is in a namespace.
pub fn after_delete(all: &mut Vec<Yaml>, gone: &Yaml) {
    let (kind, _, name) = identity(gone);
    if kind == "Namespace" {
        all.retain(|d| identity(d).1 != name);
    }
    if kind == "Node" {
        let stays = |d: &Yaml| {
            identity(d).0 != "Pod" || d.get("spec").and_then(|s| word(s, "nodeName")) != Some(name)
        };
        all.retain(stays);
    }
}

// ---------------------------------------------------------------------- what the API server allocates

/// The API server's `--service-cluster-ip-range` as kubeadm gives it.
const SERVICES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12);
/// The upper part of the range, from which addresses are taken that nobody asked for (KEP-3070).
const DYNAMIC: usize = 256;
/// `--service-node-port-range`, without the part that is kept for who asks for a number (KEP-3668).
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_086..=32_767;
/// All of it.
const RANGE: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Gives each Service what it lacks, as if all had been applied in this order.
pub fn complete(all: &mut [Yaml]) {
    for at in 0..all.len() {
        let lacks = |d: &&Yaml| identity(d).0 == "Service" && d.get("spec").is_some_and(lacks);
        let Some(mut object) = all.get(at).filter(lacks).cloned() else { continue };
        allocate(&mut object, all);
        if let Some(place) = all.get_mut(at) {
            *place = object;
        }
    }
}

/// Gives a Service the cluster IP and the node ports that it lacks: the first free ones. (The API server takes any.)
fn allocate(service: &mut Yaml, all: &[Yaml]) {
    let specs = others(service, all);
    let used_ips: Vec<&str> = specs.iter().filter_map(|s| word(s, "clusterIP")).collect();
    let mut used_ports: Vec<String> = used_ports(&specs).into_iter().map(str::to_owned).collect();
    let Some(spec) = get_mut(service, "spec") else { return };
    if is_external(spec) {
        return;
    }
    if lacks_address(spec) {
        let mut free = SERVICES.hosts().skip(DYNAMIC).map(|ip| ip.to_string());
        if let Some(ip) = free.find(|ip| !used_ips.contains(&ip.as_str())) {
            set(spec, "clusterIP", plain(ip));
        }
    }
    let own = spec.get("ports").map(items).unwrap_or_default().iter().filter_map(|p| word(p, "nodePort"));
    used_ports.extend(own.chain(word(spec, HEALTH_CHECK)).map(str::to_owned));
    let mut free = NODE_PORTS.map(|n| n.to_string()).filter(|n| !used_ports.contains(n));
    if has_node_ports(spec) {
        for port in get_mut(spec, "ports").map(items_mut).unwrap_or_default() {
            if port.get("nodePort").is_none()
                && let Some(free) = free.next()
            {
                set(port, "nodePort", plain(free));
            }
        }
    }
    if needs_health_check(spec)
        && spec.get(HEALTH_CHECK).is_none()
        && let Some(free) = free.next()
    {
        set(spec, HEALTH_CHECK, plain(free));
    }
}

/// The specs of the Services but for this one.
fn others<'y>(service: &Yaml, all: &'y [Yaml]) -> Vec<&'y Yaml> {
    let other = |d: &&Yaml| identity(d).0 == "Service" && identity(d) != identity(service);
    all.iter().filter(other).filter_map(|d| d.get("spec")).collect()
}

fn used_ports<'y>(specs: &[&'y Yaml]) -> Vec<&'y str> {
    let ports = specs.iter().filter_map(|s| s.get("ports")).flat_map(items);
    let checked = specs.iter().filter_map(|s| word(s, HEALTH_CHECK));
    ports.filter_map(|p| word(p, "nodePort")).chain(checked).collect()
}

/// Whether the cluster IP and the node ports that a Service asks for are free, and in the ranges of the cluster. Those are told by its
/// ServiceCIDRs, else they are the defaults, unless a Service of the lab's own is outside of them.
///
/// # Errors
/// What the API server says of the first that is not.
pub fn check_free(service: &Yaml, all: &[Yaml], files: &[Yaml]) -> Result<(), String> {
    let (Some(spec), "Service") = (service.get("spec"), identity(service).0) else { return Ok(()) };
    if is_external(spec) {
        return Ok(());
    }
    let specs = others(service, all);
    let own: Vec<&Yaml> = all.iter().chain(files).filter(|d| identity(d).0 == "Service").collect();
    let own: Vec<&Yaml> = own.iter().filter_map(|d| d.get("spec")).collect();
    if let Some(ip) = first_ip(spec).filter(|ip| *ip != "None") {
        let refused =
            |why| format!("spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: {why}");
        if specs.iter().any(|s| first_ip(s) == Some(ip)) {
            return Err(refused("provided IP is already allocated"));
        }
        let nets =
            all.iter().filter(|d| identity(d).0 == "ServiceCIDR").filter_map(|d| d.get("spec")?.get("cidrs"));
        let mut nets: Vec<Ipv4Net> = nets.flat_map(items).filter_map(|n| n.token().parse().ok()).collect();
        if nets.is_empty() {
            nets.push(SERVICES);
        }
        let outside =
            |ip: &str| ip.parse().is_ok_and(|ip: Ipv4Addr| !nets.iter().any(|net| net.contains(&ip)));
        if outside(ip) && !own.iter().filter_map(|s| first_ip(s)).any(outside) {
            return Err(refused("the provided network does not match the current range"));
        }
    }
    let used = used_ports(&specs);
    let outside = |port: &str| port.parse().is_ok_and(|n: i64| n > 0 && !RANGE.contains(&n));
    let ranged = !used_ports(&own).into_iter().any(outside);
    let ports = spec.get("ports").map(items).unwrap_or_default();
    for (i, port) in ports.iter().enumerate().filter(|_| has_node_ports(spec)) {
        let Some(node_port) = word(port, "nodePort").filter(|n| *n != "0") else { continue };
        // Ports of one number and several protocols have one node port.
        let same = |p: &Yaml| word(p, "nodePort") == Some(node_port) && word(p, "port") != word(port, "port");
        let why = match () {
            () if ranged && outside(node_port) => format!(
                "not in the valid range. The range of valid ports is {}-{}",
                RANGE.start(),
                RANGE.end()
            ),
            () if used.contains(&node_port) || ports.iter().take(i).any(same) => {
                "already allocated".to_owned()
            }
            () => continue,
        };
        return Err(format!("spec.ports[{i}].nodePort: Invalid value: {node_port}: provided port is {why}"));
    }
    Ok(())
}

/// Why an address cannot be an external one of a Service (`ValidateNonSpecialIP`, pkg/apis/core/validation).
pub fn special(ip: IpAddr) -> Option<String> {
    let (link_local, multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets().starts_with(&[224, 0, 0])),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    Some(match () {
        () if ip.is_unspecified() => format!("unspecified ({ip})"),
        () if ip.is_loopback() => "in the loopback range (127.0.0.0/8, ::1/128)".to_owned(),
        () if link_local => "in the link-local range (169.254.0.0/16, fe80::/10)".to_owned(),
        () if multicast => "in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned(),
        () => return None,
    })
}

/// The first of a Service's cluster IPs.
pub(super) fn first_ip(spec: &Yaml) -> Option<&str> {
    let list = spec.get("clusterIPs").map(items).unwrap_or_default();
    let first = word(spec, "clusterIP").or(list.first().map(Yaml::token));
    first.filter(|ip| !ip.is_empty())
}

fn is_external(spec: &Yaml) -> bool {
    word(spec, "type") == Some("ExternalName")
}

/// Whether a Service may be this after it was that: its cluster IP stays as long as it has one (`validateUpgradeDowngradeClusterIPs`,
/// pkg/apis/core/validation).
///
/// # Errors
/// What the API server says of another cluster IP.
pub fn check_cluster_ip(before: &Yaml, after: &Yaml) -> Result<(), String> {
    let (Some(old), Some(new), "Service") = (before.get("spec"), after.get("spec"), identity(before).0)
    else {
        return Ok(());
    };
    if is_external(old) || is_external(new) {
        return Ok(());
    }
    let list = new.get("clusterIPs").map(items).unwrap_or_default();
    let given = [word(new, "clusterIP"), list.first().map(Yaml::token)].into_iter().flatten();
    let Some(ip) = first_ip(old) else { return Ok(()) };
    match given.filter(|ip| !ip.is_empty()).find(|new| *new != ip) {
        Some(other) => {
            Err(format!("spec.clusterIPs[0]: Invalid value: [\"{other}\"]: may not change once set"))
        }
        None => Ok(()),
    }
}

/// One that was cleared is kept (`patchAllocatedValues`, pkg/registry/core/service); a Service that is an alias now gives it back.
fn keep_cluster_ip(spec: &mut Yaml, old: &Yaml) {
    const KEYS: [&str; 2] = ["clusterIP", "clusterIPs"];
    if is_external(old) {
        return;
    }
    if is_external(spec) {
        if first_ip(spec) == first_ip(old) {
            KEYS.iter().for_each(|key| unset(spec, key));
        }
        return;
    }
    if word(spec, "clusterIP").is_none_or(str::is_empty) {
        for key in KEYS {
            match old.get(key) {
                Some(value) => set(spec, key, value.clone()),
                None => unset(spec, key),
            }
        }
    }
}

/// A Service's spec lacks something that the API server allocates.
fn lacks(spec: &Yaml) -> bool {
    let ports = spec.get("ports").map(items).unwrap_or_default();
    !is_external(spec)
        && (lacks_address(spec)
            || has_node_ports(spec) && ports.iter().any(|port| port.get("nodePort").is_none())
            || needs_health_check(spec) && spec.get(HEALTH_CHECK).is_none())
}

fn lacks_address(spec: &Yaml) -> bool {
    let list = spec.get("clusterIPs").map(items).unwrap_or_default();
    word(spec, "clusterIP").is_none_or(str::is_empty) && list.is_empty()
}

/// A Service after a patch: it is given what it lacks now, and loses the node ports and the policy that its new type has not
/// (`dropTypeDependentFields`, pkg/registry/core/service).
pub fn patched(service: &mut Yaml, before: &Yaml, all: &[Yaml]) {
    let had = before.get("spec").is_some_and(has_node_ports);
    let was_checked = before.get("spec").is_some_and(needs_health_check);
    if let (Some(spec), Some(old)) = (get_mut(service, "spec"), before.get("spec")) {
        keep_cluster_ip(spec, old);
    }
    if let Some(spec) = get_mut(service, "spec")
        && was_checked
        && !needs_health_check(spec)
    {
        unset(spec, HEALTH_CHECK);
    }
    if let Some(spec) = get_mut(service, "spec")
        && had
        && !has_node_ports(spec)
    {
        let same = |key: &str| spec.get(key) == before.get("spec").and_then(|s| s.get(key));
        let external = matches!(word(spec, "type"), Some("NodePort" | "LoadBalancer"));
        let drops_policy = !external && same("externalTrafficPolicy");
        for port in get_mut(spec, "ports").map(items_mut).unwrap_or_default() {
            unset(port, "nodePort");
        }
        if drops_policy {
            unset(spec, "externalTrafficPolicy");
        }
    }
    allocate(service, all);
}

/// Where load balancers ask whether a node has endpoints.
const HEALTH_CHECK: &str = "healthCheckNodePort";

/// `NeedsHealthCheck`, pkg/api/service.
fn needs_health_check(spec: &Yaml) -> bool {
    word(spec, "type") == Some("LoadBalancer") && word(spec, "externalTrafficPolicy") == Some("Local")
}

fn has_node_ports(spec: &Yaml) -> bool {
    matches!(word(spec, "type"), Some("NodePort" | "LoadBalancer"))
        && word(spec, "allocateLoadBalancerNodePorts") != Some("false")
}

// ---------------------------------------------------------------------- trees

pub(super) fn plain(text: String) -> Yaml {
    Yaml { place: Place::default(), value: Value::Plain(text), literal: false }
}

pub(super) fn word<'y>(at: &'y Yaml, key: &str) -> Option<&'y str> {
    at.get(key).map(Yaml::token)
}

pub(super) fn items(list: &Yaml) -> &[Yaml] {
    match &list.value {
        Value::Sequence(items) => items,
        _ => &[],
    }
}

pub(super) fn items_mut(list: &mut Yaml) -> &mut [Yaml] {
    match &mut list.value {
        Value::Sequence(items) => items,
        _ => &mut [],
    }
}

pub(super) fn get_mut<'y>(at: &'y mut Yaml, key: &str) -> Option<&'y mut Yaml> {
    match &mut at.value {
        Value::Mapping(entries) => entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.value),
        _ => None,
    }
}

pub(super) fn unset(at: &mut Yaml, key: &str) {
    if let Value::Mapping(entries) = &mut at.value {
        entries.retain(|e| e.key != key);
    }
}

pub(super) fn set(at: &mut Yaml, key: &str, value: Yaml) {
    let Value::Mapping(entries) = &mut at.value else { return };
    match entries.iter_mut().find(|e| e.key == key) {
        Some(entry) => entry.value = value,
        None => entries.push(Entry { place: Place::default(), key: key.to_owned(), value }),
    }
}
