//! The kubelet's own chains (pkg/kubelet/kubelet_network_linux.go, `syncIPTablesRules` and `syncIPTablesRulesDeprecated`).
//!
//! Until 1.26 those by which marked packets are dropped; from 1.27 on (KEP-3178) only what guards the loopback addresses, which
//! kube-proxy writes just so. The empty chains: KUBE-KUBELET-CANARY, whose loss says that somebody has flushed a table
//! (pkg/util/iptables, `Monitor`), and KUBE-IPTABLES-HINT, from 1.24 on.

use crate::kube_proxy::{Family, Features};

/// What the kubelet of a node loads when it starts, for `iptables-restore --noflush`; empty where it has no chains.
pub fn iptables(features: &Features, family: Family) -> String {
    let marks = features.kubelet_firewall;
    let guards = features.kubelet_guards_loopback && family == Family::V4;
    let (mut mangle, mut nat, mut filter) = (String::new(), String::new(), String::new());
    if marks {
        nat += ":KUBE-MARK-DROP - [0:0]\n-A KUBE-MARK-DROP -j MARK --or-mark 0x8000\n";
    }
    if marks || guards {
        filter += ":KUBE-FIREWALL - [0:0]\n";
    }
    if marks {
        filter += "-A KUBE-FIREWALL -m comment --comment \"kubernetes firewall for dropping marked packets\" -m mark \
                   --mark 0x8000/0x8000 -j DROP\n";
    }
    if guards {
        filter += "-A KUBE-FIREWALL -m comment --comment \"block incoming localnet connections\" -d 127.0.0.0/8 \
                   ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n";
    }
    if marks || guards {
        filter += "-I OUTPUT -j KUBE-FIREWALL\n-I INPUT -j KUBE-FIREWALL\n";
    }
    if features.kubelet_hint {
        mangle += ":KUBE-IPTABLES-HINT - [0:0]\n";
    }
    if features.kubelet_canary {
        for table in [&mut mangle, &mut nat, &mut filter] {
            *table += ":KUBE-KUBELET-CANARY - [0:0]\n";
        }
    }
    let tables = [("mangle", mangle), ("nat", nat), ("filter", filter)];
    tables
        .iter()
        .filter(|(_, rules)| !rules.is_empty())
        .map(|(table, rules)| format!("*{table}\n{rules}COMMIT\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::iptables;
    use crate::kube_proxy::{Family, Version};

    #[test]
    fn chains_of_each_release() {
        // Release, marked packets are dropped, loopback is guarded, KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT.
        for (version, drops, guards, canary, hint) in [
            (Version::V1_10, true, false, false, false),
            (Version::V1_17, true, false, true, false),
            (Version::V1_23, true, true, true, false),
            (Version::V1_25, true, true, true, true),
            (Version::V1_27, false, true, true, true),
            (Version::V1_35, false, true, true, true),
        ] {
            let text = iptables(&version.features(), Family::V4);
            assert_eq!(text.contains("--mark 0x8000/0x8000 -j DROP\n"), drops, "{version}");
            assert_eq!(text.contains(":KUBE-MARK-DROP"), drops, "{version}");
            assert_eq!(text.contains("block incoming localnet connections"), guards, "{version}");
            assert_eq!(
                text.matches(":KUBE-KUBELET-CANARY - [0:0]\n").count(),
                if canary { 3 } else { 0 },
                "{version}"
            );
            assert_eq!(text.contains("*mangle\n:KUBE-IPTABLES-HINT - [0:0]\n"), hint, "{version}");
            assert_eq!(text.matches("-j KUBE-FIREWALL\n").count(), 2, "{version}");
        }
    }

    #[test]
    fn ipv6_has_no_loopback_network_to_guard() {
        assert!(!iptables(&Version::V1_23.features(), Family::V6).contains("localnet"));
        assert!(!iptables(&Version::V1_35.features(), Family::V6).contains("KUBE-FIREWALL"));
    }
}
