//! `-m iprange` (net/netfilter/xt_iprange.c).

use super::Checks;
use crate::Skb;
use crate::netfilter::xtables::{Neg, Seen};
use std::net::{IpAddr, Ipv4Addr};

/// Options of iprange, in the order in which iptables prints them. A range that runs backwards contains nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iprange {
    /// `--src-range`, both ends included
    pub src: Option<Neg<(Ipv4Addr, Ipv4Addr)>>,
    /// `--dst-range`, both ends included
    pub dst: Option<Neg<(Ipv4Addr, Ipv4Addr)>>,
}

impl Iprange {
    pub(super) fn eval(&self, skb: &Skb, checks: &mut Checks) -> bool {
        let Some(ip) = skb.ip() else { return checks.option(false, || Seen::Word("not IP")) };
        for (range, addr) in [(&self.src, ip.src), (&self.dst, ip.dst)] {
            let within = |(min, max): &(Ipv4Addr, Ipv4Addr)| match addr {
                IpAddr::V4(a) => (*min..=*max).contains(&a),
                IpAddr::V6(_) => false,
            };
            if !checks.optional(range.as_ref(), within, || Seen::Addr(addr)) {
                return false;
            }
        }
        true
    }
}
