//! The sets of mode ipvs (pkg/proxy/ipvs/ipset.go, pkg/proxy/ipvs/proxier.go `ipsetInfo`).

use super::config::Family;
use sorted::Map;

/// A set, in the order in which kube-proxy makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Set {
    LoopBack,
    ClusterIp,
    ExternalIp,
    ExternalIpLocal,
    LoadBalancer,
    LoadBalancerFw,
    LoadBalancerLocal,
    LoadBalancerSourceIp,
    LoadBalancerSourceCidr,
    NodePortTcp,
    NodePortLocalTcp,
    NodePortUdp,
    NodePortLocalUdp,
    NodePortSctp,
    NodePortLocalSctp,
    HealthCheckNodePort,
    IpvsIps,
}

/// Name without `KUBE-`, type, and what the rule on it is for.
struct Info {
    set: Set,
    name: &'static str,
    kind: &'static str,
    comment: &'static str,
}

const fn info(set: Set, name: &'static str, kind: &'static str, comment: &'static str) -> Info {
    Info { set, name, kind, comment }
}

const IP_PORT: &str = "hash:ip,port";
const PORT: &str = "bitmap:port";

const SETS: [Info; 17] = [
    info(
        Set::LoopBack,
        "LOOP-BACK",
        "hash:ip,port,ip",
        "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
    ),
    info(
        Set::ClusterIp,
        "CLUSTER-IP",
        IP_PORT,
        "Kubernetes service cluster ip + port for masquerade purpose",
    ),
    info(
        Set::ExternalIp,
        "EXTERNAL-IP",
        IP_PORT,
        "Kubernetes service external ip + port for masquerade and filter purpose",
    ),
    info(
        Set::ExternalIpLocal,
        "EXTERNAL-IP-LOCAL",
        IP_PORT,
        "Kubernetes service external ip + port with externalTrafficPolicy=local",
    ),
    info(Set::LoadBalancer, "LOAD-BALANCER", IP_PORT, "Kubernetes service lb portal"),
    info(
        Set::LoadBalancerFw,
        "LOAD-BALANCER-FW",
        IP_PORT,
        "Kubernetes service load balancer ip + port for load balancer with sourceRange",
    ),
    info(
        Set::LoadBalancerLocal,
        "LOAD-BALANCER-LOCAL",
        IP_PORT,
        "Kubernetes service load balancer ip + port with externalTrafficPolicy=local",
    ),
    info(
        Set::LoadBalancerSourceIp,
        "LOAD-BALANCER-SOURCE-IP",
        "hash:ip,port,ip",
        "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
    ),
    info(
        Set::LoadBalancerSourceCidr,
        "LOAD-BALANCER-SOURCE-CIDR",
        "hash:ip,port,net",
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    info(Set::NodePortTcp, "NODE-PORT-TCP", PORT, "Kubernetes nodeport TCP port for masquerade purpose"),
    info(
        Set::NodePortLocalTcp,
        "NODE-PORT-LOCAL-TCP",
        PORT,
        "Kubernetes nodeport TCP port with externalTrafficPolicy=local",
    ),
    info(Set::NodePortUdp, "NODE-PORT-UDP", PORT, "Kubernetes nodeport UDP port for masquerade purpose"),
    info(
        Set::NodePortLocalUdp,
        "NODE-PORT-LOCAL-UDP",
        PORT,
        "Kubernetes nodeport UDP port with externalTrafficPolicy=local",
    ),
    info(
        Set::NodePortSctp,
        "NODE-PORT-SCTP-HASH",
        IP_PORT,
        "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'",
    ),
    info(
        Set::NodePortLocalSctp,
        "NODE-PORT-LOCAL-SCTP-HASH",
        IP_PORT,
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    ),
    info(Set::HealthCheckNodePort, "HEALTH-CHECK-NODE-PORT", PORT, "Kubernetes health check node port"),
    info(Set::IpvsIps, "IPVS-IPS", "hash:ip", ""),
];

/// The kernel's limit: IPSET_MAXNAMELEN without the end.
const MAX_NAME: usize = 31;

/// All sets with their entries.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    family: Family,
    /// Who asks for an entry: so many Service ports.
    entries: [Map<String, u32>; SETS.len()],
    /// Entries that were added or removed, and whether they were there at the last sync.
    touched: Map<(Set, String), bool>,
    /// There was a sync: what is touched is noted.
    made: bool,
}

impl Sets {
    /// Empty sets.
    pub fn new(family: Family) -> Sets {
        Sets { family, entries: [(); SETS.len()].map(|()| Map::new()), touched: Map::new(), made: false }
    }

    fn touch(&mut self, set: Set, entry: &str) {
        if self.made {
            let there = self.entries[set as usize].contains_key(entry);
            self.touched.entry((set, entry.to_owned())).or_insert(there);
        }
    }

    /// A Service port asks for an entry.
    pub fn add(&mut self, set: Set, entry: String) {
        self.touch(set, &entry);
        *self.entries[set as usize].entry(entry).or_default() += 1;
    }

    /// A Service port does not ask for an entry any more.
    pub fn remove(&mut self, set: Set, entry: &str) {
        self.touch(set, entry);
        let entries = &mut self.entries[set as usize];
        if let Some(claims) = entries.get_mut(entry) {
            *claims -= 1;
            if *claims == 0 {
                entries.remove(entry);
            }
        }
    }

    /// Nothing is in it.
    pub fn is_empty(&self, set: Set) -> bool {
        self.entries[set as usize].is_empty()
    }

    /// Its name in the kernel.
    pub fn name(&self, set: Set) -> String {
        let name = SETS.iter().find(|i| i.set == set).map_or("", |i| i.name);
        let mut name = match self.family {
            Family::V4 => format!("KUBE-{name}"),
            Family::V6 => format!("KUBE-6-{name}"),
        };
        name.truncate(MAX_NAME);
        name
    }

    /// The comment of the rules that look into it.
    pub fn comment(set: Set) -> &'static str {
        SETS.iter().find(|i| i.set == set).map_or("", |i| i.comment)
    }

    /// As `ipset save` prints them.
    pub fn print(&self) -> String {
        let mut out = String::new();
        let family = if self.family == Family::V4 { "inet" } else { "inet6" };
        for (info, entries) in SETS.iter().zip(&self.entries) {
            let name = self.name(info.set);
            out.push_str(&match info.kind {
                PORT => format!("create {name} {PORT} range 0-65535\n"),
                kind => format!("create {name} {kind} family {family} hashsize 1024 maxelem 65536\n"),
            });
            for entry in entries.keys() {
                for part in ["add ", &name, " ", entry, "\n"] {
                    out.push_str(part);
                }
            }
        }
        out
    }

    /// What `ipset restore` gets to bring the sets up to date: all of them the first time, then what has changed.
    pub fn update(&mut self) -> String {
        if !core::mem::replace(&mut self.made, true) {
            return self.print();
        }
        let mut out = String::new();
        for ((set, entry), there) in core::mem::take(&mut self.touched) {
            let word = match (there, self.entries[set as usize].contains_key(&entry)) {
                (false, true) => "add",
                (true, false) => "del",
                _ => continue,
            };
            out.push_str(&format!("{word} {} {entry}\n", self.name(set)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Set, Sets};
    use crate::kube_proxy::Family;

    #[test]
    fn names_end_where_the_kernel_cuts_them() {
        for (set, v4, v6) in [
            (Set::LoopBack, "KUBE-LOOP-BACK", "KUBE-6-LOOP-BACK"),
            (
                Set::LoadBalancerSourceCidr,
                "KUBE-LOAD-BALANCER-SOURCE-CIDR",
                "KUBE-6-LOAD-BALANCER-SOURCE-CID",
            ),
            (Set::NodePortLocalSctp, "KUBE-NODE-PORT-LOCAL-SCTP-HASH", "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS"),
        ] {
            assert_eq!(Sets::new(Family::V4).name(set), v4);
            assert_eq!(Sets::new(Family::V6).name(set), v6);
        }
    }
}
