//! The kubelet's own chains, by which marked packets are dropped (pkg/kubelet/kubelet_network_linux.go,
//! `syncIPTablesRules`); until 1.26, when kube-proxy took over what was still needed of them.

use crate::kube_proxy::{Family, Features};

/// What the kubelet of a node loads when it starts, for `iptables-restore --noflush`; empty where it has no such chains.
pub fn iptables(features: &Features, family: Family) -> String {
    if !features.kubelet_firewall {
        return String::new();
    }
    let loopback = if features.kubelet_guards_loopback && family == Family::V4 {
        "-A KUBE-FIREWALL -m comment --comment \"block incoming localnet connections\" -d 127.0.0.0/8 ! -s 127.0.0.0/8 \
         -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n"
    } else {
        ""
    };
    format!(
        "*nat
:KUBE-MARK-DROP - [0:0]
-A KUBE-MARK-DROP -j MARK --or-mark 0x8000
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
-A KUBE-FIREWALL -m comment --comment \"kubernetes firewall for dropping marked packets\" -m mark --mark 0x8000/0x8000 -j DROP
{loopback}-I OUTPUT -j KUBE-FIREWALL
-I INPUT -j KUBE-FIREWALL
COMMIT
"
    )
}

#[cfg(test)]
mod tests {
    use super::iptables;
    use crate::kube_proxy::{Family, Version};

    #[test]
    fn marked_packets_are_dropped_until_kube_proxy_does_without() {
        for (version, drops, guards) in [
            (Version::V1_10, true, false),
            (Version::V1_17, true, false),
            (Version::V1_23, true, true),
            (Version::V1_25, true, true),
            (Version::V1_27, false, false),
            (Version::V1_35, false, false),
        ] {
            let text = iptables(&version.features(), Family::V4);
            assert_eq!(text.contains("--mark 0x8000/0x8000 -j DROP\n"), drops, "{version}");
            assert_eq!(text.contains("block incoming localnet connections"), guards, "{version}");
        }
    }

    #[test]
    fn ipv6_has_no_loopback_network_to_guard() {
        assert!(!iptables(&Version::V1_23.features(), Family::V6).contains("localnet"));
    }
}
