//! What ip6tables does otherwise than iptables.

use packet::Family;

/// Matches that only ip6tables has, which are not modelled.
const MATCHES6_NOT_MODELLED: &[&str] =
    &["dst", "eui64", "frag", "hbh", "hl", "iprange", "ipv6header", "mh", "rpfilter", "rt", "srh"];
/// Matches that only iptables has.
const ONLY4: &[&str] = &["icmp", "realm", "ttl", "unclean"];
/// Targets that ip6tables has, and that are modelled for iptables only.
const TARGETS6_NOT_MODELLED: &[&str] = &["DNPT", "HL", "NETMAP", "SNPT", "TCPMSS"];
/// Targets that only iptables has.
const TARGETS_ONLY4: &[&str] = &["CLUSTERIP", "ECN", "TTL", "ULOG"];

/// The name with which the program signs its messages.
pub(super) fn program(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}

/// A match of the lists of iptables that ip6tables has as well, and that is modelled there.
pub(super) fn has_match(family: Family, name: &str) -> bool {
    match family {
        Family::V4 => name != "icmp6",
        Family::V6 => !ONLY4.contains(&name) && !MATCHES6_NOT_MODELLED.contains(&name),
    }
}

/// A match that the program of a family has, and that is not modelled; `other` is the list for iptables.
pub(super) fn match_not_modelled(family: Family, name: &str, other: &[&str]) -> bool {
    match family {
        Family::V4 => other.contains(&name),
        Family::V6 => {
            MATCHES6_NOT_MODELLED.contains(&name) || other.contains(&name) && !ONLY4.contains(&name)
        }
    }
}

/// The same as [`has_match`] for targets.
pub(super) fn has_target(family: Family, name: &str) -> bool {
    family == Family::V4 || !TARGETS_ONLY4.contains(&name) && !TARGETS6_NOT_MODELLED.contains(&name)
}

/// The same as [`match_not_modelled`] for targets.
pub(super) fn target_not_modelled(family: Family, name: &str, other: &[&str]) -> bool {
    match family {
        Family::V4 => other.contains(&name),
        Family::V6 => {
            TARGETS6_NOT_MODELLED.contains(&name) || other.contains(&name) && !TARGETS_ONLY4.contains(&name)
        }
    }
}
