//! Mode nftables (pkg/proxy/nftables/proxier.go): the table `kube-proxy` of a family as a sync leaves it.

use super::config::{Config, DetectLocal, Family, NodePortAddresses};
use super::endpoints::{ByService, EndpointInfo, Usable, usable};
use super::names::nft_name;
use super::nft_table::{Chain, Container, Elements, Table, ip};
use super::service_port::{ServicePortInfo, service_ports};
use crate::object::Objects;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

const MARK_MASQ: &str = "mark-for-masquerade";
/// What is looked up in the maps whose keys are an address, a protocol and a port; the family comes before.
const SOCKET: &str = "daddr . meta l4proto . th dport vmap";

/// What is in the table from earlier syncs.
#[derive(Clone, Debug, Default)]
pub struct NftablesState {
    elements: Elements,
    /// The chains of Services and endpoints, sorted.
    chains: Vec<String>,
    /// Seconds of affinity by the name of the set.
    affinity_sets: BTreeMap<String, u32>,
}

/// One sync: the table after it, and the state for the next one. `service_cidrs` are the networks of cluster IPs, if they are
/// known: what goes to an address there that no Service has is dropped.
///
/// Chains that nothing needs any more are empty but stay: kube-proxy deletes them in a sync more than a second later, because
/// kernels before 6.2 hold on to them for a moment. Here no time passes between syncs.
pub fn sync(
    config: &Config,
    service_cidrs: &[IpNet],
    family: Family,
    objects: &Objects,
    state: &NftablesState,
) -> (String, NftablesState) {
    let by_service = ByService::new(config, family, objects);
    let mut writer = Writer {
        config,
        family,
        ip: ip(family),
        local: local_traffic(config, family),
        node_ip: family.first(&config.node_ips),
        chains: Vec::new(),
        elements: state.elements.clone(),
        affinity_sets: BTreeMap::new(),
    };
    writer.elements.begin();
    for info in service_ports(config, family, objects).values() {
        writer.service(info, &by_service.of(config, info));
    }
    writer.elements.end();
    let Writer { mut chains, elements, mut affinity_sets, .. } = writer;

    let mut names: Vec<String> = chains.iter().map(|c| c.name().to_owned()).collect();
    names.sort_unstable();
    let stale: Vec<&String> = state.chains.iter().filter(|n| names.binary_search(n).is_err()).collect();
    chains.extend(stale.iter().map(|name| Chain::new(family, name, "")));
    names.extend(stale.into_iter().cloned());
    names.sort_unstable();
    // A set that is there is not changed by adding it again.
    for (name, seconds) in &mut affinity_sets {
        *seconds = state.affinity_sets.get(name).copied().unwrap_or(*seconds);
    }
    let node_port_ips = node_port_ips(config, family);
    base_chains(config, family, node_port_ips.is_none(), &mut chains);
    chains.push(cluster_ips_check(family, service_cidrs));
    let table = Table { family, chains, elements: &elements, node_port_ips, affinity_sets: &affinity_sets };
    let text = table.print();
    (text, NftablesState { elements, chains: names, affinity_sets })
}

/// How packets of this node's pods are told apart (pkg/proxy/util/localdetector.go).
struct LocalTraffic {
    /// Matches packets of local pods.
    local: String,
    /// Matches all other packets.
    others: String,
}

fn local_traffic(config: &Config, family: Family) -> Option<LocalTraffic> {
    let (what, whose) = match &config.detect_local {
        DetectLocal::ClusterCidr => (format!("{} saddr", ip(family)), config.cluster_cidr(family)?),
        DetectLocal::None => return None,
        DetectLocal::BridgeInterface(name) => ("iifname".to_owned(), name.clone()),
        DetectLocal::InterfaceNamePrefix(prefix) => ("iifname".to_owned(), format!("{prefix}*")),
    };
    Some(LocalTraffic { local: format!("{what} {whose}"), others: format!("{what} != {whose}") })
}

/// The addresses where node ports answer; None if all do. Not given, they are the node's own (cmd/kube-proxy/app/server.go),
/// and loopback is never one.
fn node_port_ips(config: &Config, family: Family) -> Option<Vec<String>> {
    let primary;
    let config = match config.node_port_addresses {
        NodePortAddresses::Default => {
            primary = Config { node_port_addresses: NodePortAddresses::Primary, ..config.clone() };
            &primary
        }
        _ => config,
    };
    let ips = || config.node_port_ips(family).into_iter().filter(|ip| !ip.is_loopback());
    (!config.node_ports_everywhere(family)).then(|| ips().map(|ip| ip.to_string()).collect())
}

/// The chains that are always there (`setupNFTables`).
fn base_chains(config: &Config, family: Family, node_ports_everywhere: bool, chains: &mut Vec<Chain>) {
    let (ip, mark) = (ip(family), config.mark());
    let not_loopback = match family {
        Family::V4 => "ip daddr != 127.0.0.0/8",
        Family::V6 => "ip6 daddr != ::1",
    };
    let (to_node, to_node_filter) = match node_ports_everywhere {
        true => (format!("fib daddr type local {not_loopback}"), not_loopback.to_owned()),
        false => (format!("{ip} daddr @nodeport-ips"), format!("{ip} daddr @nodeport-ips")),
    };
    let mut add = |name: &str, block: &'static str, rules: &[&str]| {
        let mut chain = Chain::new(family, name, block);
        for rule in rules {
            chain.rule(format_args!("{rule}"));
        }
        chains.push(chain);
    };
    let node_ports_check = "ct state new jump nodeport-endpoints-check";
    let services_check = "ct state new jump service-endpoints-check";
    let clusters_check = "ct state new jump cluster-ips-check";
    let firewall_check = "ct state new jump firewall-check";
    // The filter chains come after DNAT, whose addresses the maps do not have, but for the firewall: it must see the load
    // balancer's address. Packets without endpoints are not translated.
    for (name, block, rules) in [
        (
            "filter-prerouting-pre-dnat",
            " { type filter hook prerouting priority -110 ; }",
            &[firewall_check][..],
        ),
        ("filter-output-pre-dnat", " { type filter hook output priority -110 ; }", &[firewall_check]),
        ("filter-input", " { type filter hook input priority 0 ; }", &[node_ports_check, services_check]),
        ("filter-forward", " { type filter hook forward priority 0 ; }", &[services_check, clusters_check]),
        ("filter-output", " { type filter hook output priority 0 ; }", &[services_check, clusters_check]),
        ("nat-prerouting", " { type nat hook prerouting priority -100 ; }", &["jump services"]),
        ("nat-output", " { type nat hook output priority -100 ; }", &["jump services"]),
        ("nat-postrouting", " { type nat hook postrouting priority 100 ; }", &["jump masquerading"]),
        (
            "reject-chain",
            " { comment \"helper for @no-endpoint-services / @no-endpoint-nodeports\" ; }",
            &["reject"],
        ),
    ] {
        add(name, block, rules);
    }
    add(MARK_MASQ, "", &[&format!("mark set mark or {mark}")]);
    // `--random-fully` depends on iptables; nf_tables always can.
    let unmarked = format!("mark and {mark} == 0 return");
    add("masquerading", "", &[&unmarked, &format!("mark set mark xor {mark}"), "masquerade fully-random"]);
    add("firewall-check", "", &[&format!("{ip} {SOCKET} @{}", Container::FirewallIps.name())]);
    add(
        "service-endpoints-check",
        "",
        &[&format!("{ip} {SOCKET} @{}", Container::NoEndpointServices.name())],
    );
    let node_port = "meta l4proto . th dport vmap";
    let refused = Container::NoEndpointNodePorts.name();
    add("nodeport-endpoints-check", "", &[&format!("{to_node_filter} {node_port} @{refused}")]);
    let addresses = format!("{ip} {SOCKET} @{}", Container::ServiceIps.name());
    let node_ports = format!("{to_node} {node_port} @{}", Container::ServiceNodePorts.name());
    add("services", "", &[&addresses, &node_ports]);
}

/// The chain of traffic that no Service has taken.
fn cluster_ips_check(family: Family, service_cidrs: &[IpNet]) -> Chain {
    let ip = ip(family);
    let mut chain = Chain::new(family, "cluster-ips-check", "");
    chain.rule(format_args!(
        "{ip} daddr @cluster-ips reject comment \"Reject traffic to invalid ports of ClusterIPs\""
    ));
    let cidrs: Vec<String> =
        service_cidrs.iter().filter(|c| family.has(c.addr())).map(ToString::to_string).collect();
    if !cidrs.is_empty() {
        let cidrs = cidrs.join(",");
        chain.rule(format_args!(
            "{ip} daddr {{ {cidrs} }} drop comment \"Drop traffic to unallocated ClusterIPs\""
        ));
    }
    chain
}

/// What is being written.
struct Writer<'c> {
    config: &'c Config,
    family: Family,
    ip: &'static str,
    local: Option<LocalTraffic>,
    node_ip: Option<IpAddr>,
    /// The chains of Services and endpoints.
    chains: Vec<Chain>,
    elements: Elements,
    affinity_sets: BTreeMap<String, u32>,
}

/// One Service port while it is written.
struct Subject<'s> {
    info: &'s ServicePortInfo,
    protocol: String,
    /// What its chains' names end in.
    base: String,
    /// What the names of an endpoint's chain and set end in, by the endpoint's text.
    endpoints: BTreeMap<&'s str, String>,
    usable: &'s Usable,
    /// There is an endpoint for traffic to the cluster IP.
    internal: bool,
    /// There is an endpoint for traffic from outside.
    external: bool,
}

impl Subject<'_> {
    /// The chain for a traffic policy.
    fn policy_chain(&self, local: bool) -> String {
        [if local { "local-" } else { "service-" }, &self.base].concat()
    }

    /// The chain of traffic from outside.
    fn external_chain(&self) -> String {
        ["external-", &self.base].concat()
    }

    /// The chain of a load balancer's source ranges. It needs no endpoint.
    fn firewall_chain(&self) -> Option<String> {
        let used = !self.info.load_balancer_vips.is_empty() && !self.info.source_ranges.is_empty();
        used.then(|| ["firewall-", &self.base].concat())
    }

    /// The end of an endpoint's names.
    fn endpoint(&self, e: &EndpointInfo) -> &str {
        self.endpoints.get(e.text.as_str()).map_or("", String::as_str)
    }

    fn socket(&self, ip: IpAddr) -> String {
        format!("{ip} . {} . {}", self.protocol, self.info.port)
    }
}

impl Writer<'_> {
    fn service(&mut self, info: &ServicePortInfo, all: &[EndpointInfo]) {
        let usable = usable(self.config, info, all);
        let protocol = info.protocol.to_string();
        let (namespace, name) = &info.service;
        let full = format!("{namespace}/{name}/{protocol}/{}", info.port_name);
        let endpoint = |e: &EndpointInfo| {
            // A colon cannot be in a name.
            let address = e.ip.to_string().replace(':', ".");
            nft_name(&format!("{full}__{address}/{}", e.port))
        };
        let served = |local: bool| usable.any && !(local && usable.local.is_empty());
        let subject = Subject {
            info,
            base: nft_name(&full),
            endpoints: usable.reachable.iter().map(|e| (e.text.as_str(), endpoint(e))).collect(),
            internal: served(info.internal_policy_local),
            external: served(info.external_policy_local),
            usable: &usable,
            protocol,
        };
        self.dispatch(&subject);
        self.policy_chains(&subject);
        if usable.any && info.externally_accessible() {
            self.external_chain(&subject);
        }
        self.firewall_chain(&subject);
        for e in &usable.reachable {
            self.endpoint(&subject, e);
        }
    }

    /// The elements that lead to the Service port's chains, or refuse its traffic.
    fn dispatch(&mut self, s: &Subject<'_>) {
        let any = s.usable.any;
        let refusal = if any { "drop" } else { "goto reject-chain" };
        let to = |chain: String| ["goto ", &chain].concat();
        let elements = &mut self.elements;
        let name = &s.info.name;
        elements.ensure(Container::ClusterIps, s.info.cluster_ip.to_string(), "", "");
        let key = s.socket(s.info.cluster_ip);
        if s.internal {
            let chain = to(s.policy_chain(s.info.internal_policy_local));
            elements.ensure(Container::ServiceIps, key, "", &chain);
        } else {
            elements.ensure(Container::NoEndpointServices, key, name, refusal);
        }
        // There is a chain even without endpoints for traffic from outside: the node's own traffic may go on.
        let external = to(s.external_chain());
        for ip in s.info.external_ips.iter().chain(&s.info.load_balancer_vips) {
            if any {
                elements.ensure(Container::ServiceIps, s.socket(*ip), "", &external);
            }
            if !s.external {
                elements.ensure(Container::NoEndpointServices, s.socket(*ip), name, refusal);
            }
        }
        if let Some(chain) = s.firewall_chain() {
            for ip in &s.info.load_balancer_vips {
                elements.ensure(Container::FirewallIps, s.socket(*ip), "", &to(chain.clone()));
            }
        }
        if s.info.node_port != 0 {
            let key = format!("{} . {}", s.protocol, s.info.node_port);
            if any {
                elements.ensure(Container::ServiceNodePorts, key.clone(), "", &external);
            }
            if !s.external {
                elements.ensure(Container::NoEndpointNodePorts, key, name, refusal);
            }
        }
    }

    /// The chains that choose among endpoints. Traffic to the cluster IP that is not a local pod's must come back through this
    /// node.
    fn policy_chains(&mut self, s: &Subject<'_>) {
        let ip = self.ip;
        for (local, used, list) in [
            (false, s.info.uses_cluster_endpoints(), &s.usable.cluster),
            (true, s.info.uses_local_endpoints(), &s.usable.local),
        ] {
            if !used || list.is_empty() {
                continue;
            }
            let mut chain = Chain::new(self.family, &s.policy_chain(local), "");
            if s.internal && s.info.internal_policy_local == local {
                let cluster_ip = s.info.cluster_ip;
                if self.config.masquerade_all {
                    chain.rule(format_args!("{ip} daddr {cluster_ip} jump {MARK_MASQ}"));
                } else if let Some(LocalTraffic { others, .. }) = &self.local {
                    chain.rule(format_args!("{ip} daddr {cluster_ip} {others} jump {MARK_MASQ}"));
                }
            }
            if s.info.affinity_seconds.is_some() {
                for e in list {
                    let end = s.endpoint(e);
                    chain.rule(format_args!("{ip} saddr @affinity-{end} goto endpoint-{end}"));
                }
            }
            let choices: Vec<String> = list
                .iter()
                .enumerate()
                .map(|(i, e)| format!("{i} : goto endpoint-{}", s.endpoint(e)))
                .collect();
            let choices = choices.join(" , ");
            chain.rule(format_args!("numgen random mod {} vmap {{ {choices} }}", list.len()));
            self.chains.push(chain);
        }
    }

    /// The chain of traffic from outside.
    fn external_chain(&mut self, s: &Subject<'_>) {
        let mut chain = Chain::new(self.family, &s.external_chain(), "");
        if s.info.external_policy_local {
            let any = s.policy_chain(false);
            if let Some(LocalTraffic { local, .. }) = &self.local {
                chain.rule(format_args!("{local} goto {any} comment \"short-circuit pod traffic\""));
            }
            let own = "fib saddr type local";
            chain.rule(format_args!("{own} jump {MARK_MASQ} comment \"masquerade local traffic\""));
            chain.rule(format_args!("{own} goto {any} comment \"short-circuit local traffic\""));
        } else {
            chain.rule(format_args!("jump {MARK_MASQ}"));
        }
        if s.external {
            chain.rule(format_args!("goto {}", s.policy_chain(s.info.external_policy_local)));
        }
        self.chains.push(chain);
    }

    /// Drops what comes from outside a load balancer's source ranges.
    fn firewall_chain(&mut self, s: &Subject<'_>) {
        let Some(name) = s.firewall_chain() else { return };
        let ranges = &s.info.source_ranges;
        let mut sources: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        // Some load balancers leave the packet as it is: then the node's own traffic has the VIP as its source.
        if self.node_ip.is_some_and(|ip| ranges.iter().any(|r| r.contains(&ip))) {
            sources.extend(s.info.load_balancer_vips.iter().map(ToString::to_string));
        }
        let mut chain = Chain::new(self.family, &name, "");
        chain.rule(format_args!("{} saddr != {{ {} }} drop", self.ip, sources.join(" , ")));
        self.chains.push(chain);
    }

    /// An endpoint's chain: masquerade what it sends to itself, remember the client, translate.
    fn endpoint(&mut self, s: &Subject<'_>, e: &EndpointInfo) {
        let (ip, end) = (self.ip, s.endpoint(e));
        let mut chain = Chain::new(self.family, &["endpoint-", end].concat(), "");
        chain.rule(format_args!("{ip} saddr {} jump {MARK_MASQ}", e.ip));
        if let Some(seconds) = s.info.affinity_seconds {
            let set = ["affinity-", end].concat();
            chain.rule(format_args!("update @{set} {{ {ip} saddr }}"));
            self.affinity_sets.insert(set, seconds);
        }
        chain.rule(format_args!("meta l4proto {} dnat to {}", s.protocol, e.text));
        self.chains.push(chain);
    }
}
