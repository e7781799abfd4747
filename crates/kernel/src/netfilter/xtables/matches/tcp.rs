//! `-m tcp` (net/netfilter/xt_tcpudp.c).

use super::{Checks, eval_ports};
use crate::Skb;
use crate::netfilter::xtables::{Neg, PortRange, Seen};
use packet::{L4, TcpFlags};

/// `--tcp-flags MASK COMP`; `--syn` is `FIN,SYN,RST,ACK SYN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlagsMatch {
    /// Which flags to look at.
    pub mask: TcpFlags,
    /// Which of them must be set.
    pub comp: TcpFlags,
}

/// Options of tcp, in the order in which the kernel looks at them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpMatch {
    /// `--sport`
    pub sport: Option<Neg<PortRange>>,
    /// `--dport`
    pub dport: Option<Neg<PortRange>>,
    /// `--tcp-flags`
    pub flags: Option<Neg<TcpFlagsMatch>>,
    /// `--tcp-option`: an option of that number stands in the header.
    pub option: Option<Neg<u8>>,
}

impl TcpMatch {
    pub(super) fn eval(&self, skb: &Skb, checks: &mut Checks) -> bool {
        let headers = skb.ip().map(packet::Ip::headers);
        let Some(L4::Tcp(tcp)) = headers.as_deref() else {
            // Nobody cuts a header so that its flags come in the second fragment, but an attacker.
            checks.hotdrop |= skb.ip().is_some_and(|ip| ip.frag.offset == 8);
            return checks.short_header(skb);
        };
        eval_ports(self.sport.as_ref(), self.dport.as_ref(), (tcp.sport, tcp.dport), checks)
            && checks.optional(
                self.flags.as_ref(),
                |f| tcp.flags.0 & f.mask.0 == f.comp.0,
                || Seen::Text(tcp.flags.to_string()),
            )
            && checks.optional(
                self.option.as_ref(),
                |n| tcp.options.has(*n),
                || Seen::Word(if tcp.options.is_empty() { "no options" } else { "other options" }),
            )
    }
}
