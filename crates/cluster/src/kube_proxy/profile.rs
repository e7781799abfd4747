//! What each release's text is held against, mode by mode.

use super::{Mode, Version};

/// How well a mode of a release is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldAgainst {
    /// What the real program wrote: byte for byte.
    Recorded(&'static str),
    /// What listings of real nodes in published articles show.
    Article(&'static str),
    /// Not written. Says why.
    NotModelled(&'static str),
}

impl HeldAgainst {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            HeldAgainst::Recorded(_) => "recorded",
            HeldAgainst::Article(_) => "article",
            HeldAgainst::NotModelled(_) => "not modelled",
        }
    }

    /// More about it.
    pub fn detail(self) -> &'static str {
        match self {
            HeldAgainst::Recorded(text) | HeldAgainst::Article(text) | HeldAgainst::NotModelled(text) => text,
        }
    }
}

const ALL_MODES: &str = "kube-proxy 1.35.5: 82 cases, IPv4 and IPv6, later syncs";
const OLD_IPVS: &str =
    "no record of it; its chains are others (KUBE-FIREWALL up to 1.24, no KUBE-IPVS-OUT-FILTER up to 1.28)";
const NO_NFTABLES: &str = "mode nftables came with 1.29";

impl Version {
    /// What a mode's text is held against.
    pub fn held_against(self, mode: Mode) -> HeldAgainst {
        use HeldAgainst::{Article, NotModelled, Recorded};
        match (self, mode) {
            (Version::V1_35, Mode::Iptables) => Recorded(ALL_MODES),
            (Version::V1_35, Mode::Ipvs | Mode::Nftables) => Recorded(ALL_MODES),
            (Version::V1_30, Mode::Iptables) => Recorded("kube-proxy 1.30.3: the cases, without IPv6"),
            (Version::V1_27, Mode::Iptables) => Recorded("kube-proxy 1.27.1: the cases, without IPv6"),
            (Version::V1_25, Mode::Iptables) => Recorded("kube-proxy 1.25.1: the cases, without IPv6"),
            (Version::V1_23, Mode::Iptables) => Recorded(
                "kube-proxy 1.23.4: the cases, without IPv6; \"My Kubernetes Networking Journey, Part 2\" prints its rules",
            ),
            (Version::V1_17, Mode::Iptables) => Article(
                "\"Debugging Kubernetes Networking\" prints its rules (but for a probability of five digits, which 1.16 was \
                 the last to write); the rest follows the source's history",
            ),
            (Version::V1_10, Mode::Iptables) => Article(
                "\"Kubernetes service iptables magic\" prints its rules; the rest follows the source's history",
            ),
            (Version::V1_30, Mode::Nftables) => NotModelled(
                "no record of it; it differs (no *-pre-dnat chains, filter chains not at priority 0), but not each line is known",
            ),
            (_, Mode::Nftables) => NotModelled(NO_NFTABLES),
            (_, Mode::Ipvs) => NotModelled(OLD_IPVS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeldAgainst;
    use crate::kube_proxy::{Mode, Version};

    #[test]
    fn what_is_written_is_held_against_something() {
        for version in Version::ALL {
            for mode in Mode::ALL {
                let unknown = matches!(version.held_against(mode), HeldAgainst::NotModelled(_));
                assert_eq!(unknown, !version.modes().contains(&mode), "{version} {mode}");
            }
        }
    }
}
