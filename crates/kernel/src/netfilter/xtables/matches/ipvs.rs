//! `-m ipvs` (net/netfilter/xt_ipvs.c).

use super::{Checks, MatchCx};
use crate::netfilter::conntrack::Direction;
use crate::netfilter::ipvs::Forward;
use crate::netfilter::xtables::{IpMatch, Neg, Seen};
use crate::{Ct, Skb};
use packet::{Port, Protocol};
use std::net::IpAddr;

/// `--vmethod`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvsMethod {
    /// Direct routing.
    Gate,
    /// A tunnel.
    Ipip,
    /// Masquerading.
    Masq,
}

/// Options of ipvs, in the order in which iptables prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpvsMatch {
    /// `--ipvs`: IPVS has handled the packet. Every other option implies it.
    pub ipvs: Option<Neg<()>>,
    /// `--vproto`
    pub proto: Option<Neg<Protocol>>,
    /// `--vaddr`: the virtual server's address
    pub addr: Option<Neg<IpMatch>>,
    /// `--vport`: its port
    pub port: Option<Neg<Port>>,
    /// `--vdir`
    pub dir: Option<Direction>,
    /// `--vmethod`: how packets reach the real server
    pub method: Option<Neg<IpvsMethod>>,
    /// `--vportctl`: the port of the connection that this one belongs to
    pub portctl: Option<Neg<Port>>,
}

impl IpvsMatch {
    /// True if nothing but `--ipvs` is asked for.
    pub fn is_plain(&self) -> bool {
        IpvsMatch { ipvs: None, ..*self } == IpvsMatch::default()
    }

    pub(super) fn eval(&self, skb: &Skb, m: &MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let word = if skb.ipvs_property { "handled by IPVS" } else { "not handled by IPVS" };
        if self.is_plain() {
            return checks.optional(self.ipvs.as_ref(), |()| skb.ipvs_property, || Seen::Word(word));
        }
        let Some(ip) = skb.ip().filter(|_| skb.ipvs_property) else {
            return checks.option(false, || Seen::Word(word));
        };
        let proto = ip.protocol();
        if !checks.optional(self.proto.as_ref(), |p| *p == proto, || Seen::Proto(proto)) {
            return false;
        }
        // conn_out_get with the packet turned round: a packet on its way to a real server.
        let ends = ip.src_v4().zip(ip.dst_v4()).zip(ip.ports());
        let conn = ends.and_then(|((src, dst), (sport, dport))| {
            m.ns.ipvs.conn_to_dest(proto, (dst, dport), (src, sport))
        });
        let Some(c) = conn else { return checks.option(false, || Seen::Word("no connection of IPVS")) };
        let (vaddr, vport) = c.virt;
        let control = m.ns.ipvs.control_port(c);
        let (method, how) = match c.forward {
            Forward::Masquerade => (IpvsMethod::Masq, "masquerading"),
            Forward::Route => (IpvsMethod::Gate, "direct routing"),
        };
        let reply = matches!(skb.ct, Ct::Tracked { info, .. } if info.dir == Direction::Reply);
        let dir = if reply { Direction::Reply } else { Direction::Original };
        let tracked = matches!(skb.ct, Ct::Tracked { .. } | Ct::Template(..));
        checks.optional(self.port.as_ref(), |p| *p == vport, || Seen::Port(vport))
            && checks.optional(
                self.portctl.as_ref(),
                |p| control == Some(*p),
                || control.map_or(Seen::Word("belongs to no other connection"), Seen::Port),
            )
            && self.dir.is_none_or(|want| {
                checks.option(tracked && want == dir, || {
                    Seen::Word(if tracked { dir.name() } else { "no conntrack entry" })
                })
            })
            && checks.optional(self.method.as_ref(), |m| *m == method, || Seen::Word(how))
            && checks.optional(
                self.addr.as_ref(),
                |a| a.contains(IpAddr::V4(vaddr)),
                || Seen::Addr(IpAddr::V4(vaddr)),
            )
    }
}
