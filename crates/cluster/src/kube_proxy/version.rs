//! Which release of kube-proxy writes, and what differs between them.

use super::Mode;
use core::fmt;
use core::str::FromStr;

/// A minor release whose text is known. They are ordered by age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.10
    V1_10,
    /// 1.17
    V1_17,
    /// 1.23
    V1_23,
    /// 1.25
    V1_25,
    /// 1.27
    V1_27,
    /// 1.30
    V1_30,
    /// 1.35
    #[default]
    V1_35,
}

impl Version {
    /// Every version, the oldest first.
    pub const ALL: [Version; 7] = [
        Version::V1_10,
        Version::V1_17,
        Version::V1_23,
        Version::V1_25,
        Version::V1_27,
        Version::V1_30,
        Version::V1_35,
    ];

    /// As people write it: `1.35`.
    pub fn name(self) -> &'static str {
        match self {
            Version::V1_10 => "1.10",
            Version::V1_17 => "1.17",
            Version::V1_23 => "1.23",
            Version::V1_25 => "1.25",
            Version::V1_27 => "1.27",
            Version::V1_30 => "1.30",
            Version::V1_35 => "1.35",
        }
    }

    /// The modes whose text is modelled.
    pub fn modes(self) -> &'static [Mode] {
        match self {
            Version::V1_35 => &[Mode::Iptables, Mode::Ipvs, Mode::Nftables],
            _ => &[Mode::Iptables],
        }
    }

    /// There is a mode nftables: from 1.29 on.
    pub fn has_nftables(self) -> bool {
        self >= Version::V1_30
    }

    /// What this version does differently from others.
    pub fn features(self) -> Features {
        Features::of(self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = String;

    /// A minor version or a full one: `1.23`, `v1.23.4`.
    fn from_str(text: &str) -> Result<Version, String> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let mut parts = bare.splitn(3, '.');
        let known = parts.next().zip(parts.next()).and_then(|(major, minor)| {
            let patch = parts.next().unwrap_or("0");
            let number = !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit());
            let same = |v: &Version| v.name().split_once('.') == Some((major, minor));
            Version::ALL.into_iter().find(same).filter(|_| number)
        });
        known.ok_or_else(|| {
            let names: Vec<&str> = Version::ALL.into_iter().map(Version::name).collect();
            format!("this version of kube-proxy is not modelled; expected one of {}", names.join(", "))
        })
    }
}

/// How a Service's nat rules are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Masquerade rules stand in KUBE-SERVICES and KUBE-NODEPORTS; a Service's chains come last, each KUBE-SEP after its jump.
    /// `externalTrafficPolicy: Local` has the chain KUBE-XLB.
    Flat,
    /// The KUBE-SEP chains come first; masquerade rules stand in KUBE-SVC. There is still KUBE-XLB.
    EndpointsFirst,
    /// One chain per policy: KUBE-SVC (Cluster), KUBE-SVL (Local), and KUBE-EXT for traffic from outside.
    PolicyChains,
}

/// The differences between versions, all in one place: everything else asks these, never the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// The order and the kinds of chains.
    pub layout: Layout,
    /// A port without a name is `ns/name:`; without this `ns/name`. It goes into the hashes.
    pub trailing_colon: bool,
    /// Addresses in rules of Services and endpoints are written as `/32`.
    pub host_masks: bool,
    /// Rules of KUBE-SVC and KUBE-SEP have comments.
    pub endpoint_comments: bool,
    /// Digits of a probability behind the point.
    pub probability_digits: u32,
    /// `MASQUERADE --random-fully` where iptables can.
    pub random_fully: bool,
    /// The mark is set with `--or-mark` and cleared with `--xor-mark` before MASQUERADE; else `--set-xmark`, never cleared.
    pub clears_mark: bool,
    /// KUBE-FORWARD drops packets in state INVALID.
    pub drops_invalid: bool,
    /// KUBE-FORWARD accepts replies only from and to the cluster's pods.
    pub forwards_cluster_cidr: bool,
    /// KUBE-XLB has rules for packets that the node itself sends.
    pub xlb_local_traffic: bool,
    /// Health check ports are accepted in filter's KUBE-NODEPORTS.
    pub accepts_health_check: bool,
    /// External IPs may lead to KUBE-XLB, and are not masqueraded then.
    pub external_ips_local: bool,
    /// `externalTrafficPolicy` counts for the external IPs of a ClusterIP Service too.
    pub policy_of_cluster_ip: bool,
    /// `internalTrafficPolicy` is known.
    pub internal_policy: bool,
    /// Endpoints come from EndpointSlices; before from Endpoints.
    pub endpoint_slices: bool,
    /// Terminating endpoints that still serve are used when no other is left.
    pub terminating_endpoints: bool,
    /// Only chains of Services that changed are written again.
    pub partial_sync: bool,
    /// kube-proxy protects the node's loopback addresses itself (KUBE-FIREWALL), and `localhostNodePorts` can be off.
    pub localhost_node_ports: bool,
    /// The kubelet has KUBE-MARK-DROP and KUBE-FIREWALL (1.25 has them, unused).
    pub kubelet_firewall: bool,
    /// The kubelet protects the node's loopback addresses in KUBE-FIREWALL.
    pub kubelet_guards_loopback: bool,
    /// The kubelet keeps KUBE-KUBELET-CANARY, by which it sees that somebody has flushed the tables.
    pub kubelet_canary: bool,
    /// kube-proxy in mode iptables keeps KUBE-PROXY-CANARY, which 1.14 had not and 1.16 had.
    pub proxy_canary: bool,
    /// The kubelet keeps KUBE-IPTABLES-HINT, by which others see which iptables it uses.
    pub kubelet_hint: bool,
    /// The jumps to KUBE-FIREWALL are made before the one to KUBE-POSTROUTING.
    pub early_firewall_jump: bool,
    /// KUBE-FW ends in a rule that is only a comment.
    pub firewall_note: bool,
    /// Source ranges are written with host bits cleared.
    pub masks_ranges: bool,
    /// The range 0.0.0.0/0 switches source ranges off.
    pub open_range: bool,
    /// `ipMode: Proxy` is known.
    pub ip_mode: bool,
    /// Packets are counted by nfacct where the kernel can.
    pub nfacct: bool,
    /// Topology hints are used without an annotation, and there are hints for nodes.
    pub hints_always: bool,
    /// In large clusters comments of endpoints are left out.
    pub large_cluster: bool,
    /// The whole conntrack table is held against the endpoints, where before `conntrack -D` was run for each address.
    pub conntrack_reconcile: bool,
    /// For a Service with a node port, entries of a lost endpoint are looked for by that port and not by the cluster IP.
    pub conntrack_port_or_ip: bool,
    /// Answers to health checks have `X-Content-Type-Options`.
    pub health_nosniff: bool,
    /// `lastUpdated` of /healthz is the time of the answer; before it was that of the last sync.
    pub health_says_now: bool,
    /// Health checks of Services listen where node ports do; before everywhere.
    pub health_on_node_port_addresses: bool,
    /// The health check of a Service tells whether kube-proxy is healthy (`serviceProxyHealthy`).
    pub health_of_proxy: bool,
    /// The health check of a Service has `X-Load-Balancing-Endpoint-Weight` (1.28).
    pub health_weight: bool,
    /// /healthz tells whether the node may have traffic (`nodeEligible`), and there is /livez (1.28).
    pub health_eligible: bool,
    /// /healthz has a status for each family (1.33).
    pub health_json: bool,
}

impl Features {
    fn of(version: Version) -> Features {
        use Version::{V1_17, V1_23, V1_25, V1_27, V1_30, V1_35};
        let since = |first: Version| version >= first;
        Features {
            layout: match version {
                Version::V1_10 | V1_17 => Layout::Flat,
                V1_23 => Layout::EndpointsFirst,
                _ => Layout::PolicyChains,
            },
            trailing_colon: !since(V1_23),
            host_masks: !since(V1_23),
            // 1.17 means to write them, but they get lost before the rule is put together.
            endpoint_comments: version != V1_17,
            probability_digits: if since(V1_17) { 10 } else { 5 },
            random_fully: since(V1_17),
            clears_mark: since(V1_23),
            drops_invalid: since(V1_17),
            forwards_cluster_cidr: !since(V1_23),
            xlb_local_traffic: since(V1_17),
            accepts_health_check: since(V1_23),
            external_ips_local: since(V1_23),
            policy_of_cluster_ip: since(V1_30),
            internal_policy: since(V1_23),
            endpoint_slices: since(V1_23),
            terminating_endpoints: since(V1_27),
            partial_sync: since(V1_27),
            localhost_node_ports: since(V1_27),
            kubelet_firewall: !since(V1_27),
            kubelet_guards_loopback: since(V1_23),
            kubelet_canary: since(V1_17),
            proxy_canary: since(V1_17),
            kubelet_hint: since(V1_25),
            early_firewall_jump: version == V1_27,
            firewall_note: since(V1_27),
            masks_ranges: since(V1_30),
            open_range: since(V1_35),
            ip_mode: since(V1_30),
            nfacct: since(V1_35),
            hints_always: since(V1_35),
            large_cluster: since(V1_25),
            conntrack_reconcile: since(V1_35),
            conntrack_port_or_ip: !since(V1_23),
            health_nosniff: since(V1_17),
            health_says_now: since(V1_17),
            health_on_node_port_addresses: since(V1_23),
            health_of_proxy: since(V1_27),
            health_weight: since(V1_30),
            health_eligible: since(V1_30),
            health_json: since(V1_35),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read() {
        for (text, version) in
            [("1.35", Version::V1_35), ("v1.23.4", Version::V1_23), ("1.10.13", Version::V1_10)]
        {
            assert_eq!(text.parse(), Ok(version));
        }
        for text in ["", "1", "1.3", "1.350", "2.35", "1.35.", "1.35.x", "1.36", "vv1.35", "1.35.1.1"] {
            let e = text.parse::<Version>().unwrap_err();
            assert!(e.ends_with("expected one of 1.10, 1.17, 1.23, 1.25, 1.27, 1.30, 1.35"), "{text}: {e}");
        }
    }
}
