//! Lines for iptables-restore.

use super::names::{ChainName, Kind, service_hash};
use core::cmp::Ordering;
use core::fmt::{self, Write};

/// KUBE-SERVICES.
pub(super) const SERVICES: &str = "KUBE-SERVICES";
/// KUBE-EXTERNAL-SERVICES.
pub(super) const EXTERNAL_SERVICES: &str = "KUBE-EXTERNAL-SERVICES";
/// KUBE-FORWARD.
pub(super) const FORWARD: &str = "KUBE-FORWARD";
/// KUBE-NODEPORTS.
pub(super) const NODEPORTS: &str = "KUBE-NODEPORTS";
/// KUBE-PROXY-FIREWALL.
pub(super) const PROXY_FIREWALL: &str = "KUBE-PROXY-FIREWALL";
/// KUBE-FIREWALL.
pub(super) const FIREWALL: &str = "KUBE-FIREWALL";
/// KUBE-POSTROUTING.
pub(super) const POSTROUTING: &str = "KUBE-POSTROUTING";
/// KUBE-MARK-MASQ.
pub(super) const MARK_MASQ: &str = "KUBE-MARK-MASQ";
/// KUBE-MARK-DROP, which the kubelet makes.
pub(super) const MARK_DROP: &str = "KUBE-MARK-DROP";

/// Traffic to the node.
pub(super) const DST_LOCAL: &str = "-m addrtype --dst-type LOCAL";
/// Traffic from the node.
pub(super) const SRC_LOCAL: &str = "-m addrtype --src-type LOCAL";
/// From outside only: neither from a bridge, which a container would be behind, nor from the node itself.
pub(super) const FROM_OUTSIDE: &str = "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL";
/// Replies, and what belongs to a known connection.
pub(super) const REPLIES: &str = "-m conntrack --ctstate RELATED,ESTABLISHED";

/// The chain lines and rules of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub chains: String,
    pub rules: String,
}

impl Table {
    /// `:CHAIN - [0:0]`: makes a chain or empties it.
    pub fn chain(&mut self, name: &str) {
        for part in [":", name, " - [0:0]\n"] {
            self.chains.push_str(part);
        }
    }

    /// A rule: `-A CHAIN ...`.
    pub fn rule(&mut self, line: fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.rules.write_fmt(line);
        self.rules.push('\n');
    }

    /// A rule in parts. Endpoints have most of the rules, and this takes a quarter of the time.
    pub fn line(&mut self, parts: &[&str]) {
        for part in parts {
            self.rules.push_str(part);
        }
        self.rules.push('\n');
    }

    /// `-X CHAIN`
    pub fn delete(&mut self, chain: &str) {
        self.line(&["-X ", chain]);
    }

    /// The table as text.
    pub fn print(&self, name: &str, out: &mut String) {
        for part in ["*", name, "\n", &self.chains, &self.rules, "COMMIT\n"] {
            out.push_str(part);
        }
    }
}

/// `-m comment --comment ...`, in quotes if there is a blank in it.
pub(super) struct Comment<'c>(pub &'c str);

impl fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains(' ') { "\"" } else { "" };
        for part in ["-m comment --comment ", quote, self.0, quote] {
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// The probability of the first of `n` equal choices: `1/n`, rounded as `%.Nf` does.
pub(super) fn probability(n: usize, digits: u32) -> String {
    let one = 10u64.pow(digits);
    let n = u64::try_from(n).unwrap_or(u64::MAX).max(1);
    let (quotient, rest) = (one / n, one % n);
    let up = match (2 * rest).cmp(&n) {
        Ordering::Less => false,
        Ordering::Greater => true,
        // Half way in decimals. As a binary number 1/n is a little more or less than that; if it is exact, even wins.
        Ordering::Equal => match binary_error(n) {
            Ordering::Equal => quotient % 2 == 1,
            error => error == Ordering::Greater,
        },
    };
    let scaled = quotient + u64::from(up);
    let width = usize::try_from(digits).unwrap_or(0);
    format!("{}.{:0width$}", scaled / one, scaled % one)
}

/// Whether the nearest double of `1/n`, which has 53 significant bits, is more or less than `1/n`.
fn binary_error(n: u64) -> Ordering {
    // The bits behind the last: the remainder of 2^(53 + log2 n) by n.
    let rest = (0..53 + n.ilog2()).fold(1 % n, |rest, _| rest * 2 % n);
    if rest == 0 { Ordering::Equal } else { (rest * 2).cmp(&n) }
}

/// Names of the chains of one Service port.
pub(super) struct Chains {
    /// KUBE-SVC: any endpoint.
    pub svc: ChainName,
    /// KUBE-SVL: endpoints of this node.
    pub svl: ChainName,
    /// KUBE-EXT: traffic from outside.
    pub ext: ChainName,
    /// KUBE-FW: traffic to a load balancer with source ranges.
    pub fw: ChainName,
    /// KUBE-XLB: what KUBE-EXT and KUBE-SVL were before 1.24.
    pub xlb: ChainName,
}

impl Chains {
    /// The chains of `namespace/name:port`.
    pub fn new(service_port: &str, protocol: &str) -> Chains {
        let hash = service_hash(service_port, protocol);
        let name = |kind: Kind| ChainName::new(kind, &hash);
        Chains {
            svc: name(Kind::Svc),
            svl: name(Kind::Svl),
            ext: name(Kind::Ext),
            fw: name(Kind::Fw),
            xlb: name(Kind::Xlb),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chains, Comment, probability};
    use crate::kube_proxy::names::is_service_chain;

    #[test]
    fn a_comment_has_quotes_if_it_needs_them() {
        assert_eq!(Comment("default/web:http").to_string(), "-m comment --comment default/web:http");
        assert_eq!(Comment("default/web has").to_string(), "-m comment --comment \"default/web has\"");
    }

    #[test]
    fn the_chains_of_a_port_share_their_hash() {
        let chains = Chains::new("default/np:http", "tcp");
        assert_eq!(&*chains.svc, "KUBE-SVC-QUMPV5Z3SF2IMFUJ");
        for (chain, prefix) in
            [(chains.svl, "SVL"), (chains.ext, "EXT"), (chains.fw, "FW"), (chains.xlb, "XLB")]
        {
            assert_eq!(&*chain, format!("KUBE-{prefix}-QUMPV5Z3SF2IMFUJ"));
            assert!(is_service_chain(&chain));
        }
        assert!(!is_service_chain("KUBE-SERVICES") && !is_service_chain("CNI-1"));
    }

    #[test]
    fn probabilities_are_those_of_printf() {
        for n in 1..20_000usize {
            for digits in [5u32, 10] {
                let wanted = format!("{:.*}", digits as usize, 1.0 / n as f64);
                assert_eq!(probability(n, digits), wanted, "1/{n}");
            }
        }
    }
}
