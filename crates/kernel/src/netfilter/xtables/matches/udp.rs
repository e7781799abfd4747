//! `-m udp` (net/netfilter/xt_tcpudp.c).

use super::{Checks, eval_ports};
use crate::Skb;
use crate::netfilter::xtables::{Neg, PortRange};
use packet::L4;

/// Options of udp, in the order in which iptables prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpMatch {
    /// `--sport`
    pub sport: Option<Neg<PortRange>>,
    /// `--dport`
    pub dport: Option<Neg<PortRange>>,
}

impl UdpMatch {
    pub(super) fn eval(&self, skb: &Skb, checks: &mut Checks) -> bool {
        let headers = skb.ip().map(packet::Ip::headers);
        match headers.as_deref() {
            Some(L4::Udp(u)) => {
                eval_ports(self.sport.as_ref(), self.dport.as_ref(), (u.sport, u.dport), checks)
            }
            _ => checks.short_header(skb),
        }
    }
}
