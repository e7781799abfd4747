//! Persistent clients: a template holds the server of each (`ip_vs_sched_persist`, net/netfilter/ipvs/ip_vs_core.c).

use super::conn::NewConn;
use super::hooks::{Flow, choose};
use super::service::FTP;
use super::{Endpoint, Forward, Ipvs, ServiceId, Vs};
use crate::event::HookCtx;
use crate::{Cx, Netns, PacketId};
use packet::Protocol;
use std::net::Ipv4Addr;

/// The port of a template that is not used any more.
const INVALID: u16 = 0xffff;

impl NewConn {
    /// A connection of a flow.
    pub fn plain(
        service: ServiceId,
        flow: Flow,
        server: Endpoint,
        dest: u32,
        forward: Forward,
        one_packet: bool,
    ) -> NewConn {
        let (proto, client, virt) = (flow.proto, flow.from, flow.to);
        NewConn {
            service,
            proto,
            client,
            virt,
            server,
            dest,
            forward,
            one_packet,
            template: None,
            control: None,
        }
    }
}

/// The connection follows the client's template; without one the scheduler chooses, and the template is made.
pub(super) fn ip_vs_sched_persist(
    ns: &mut Netns,
    at: usize,
    flow: Flow,
    ctx: &HookCtx,
    packet: PacketId,
    cx: &mut Cx<'_>,
) -> Option<usize> {
    let spec = ns.ipvs.services.get(at)?.spec;
    let (port, hold) = (spec.id.addr.1, spec.persistent?);
    let net = Ipv4Addr::from_bits(flow.from.0.to_bits() & spec.netmask.to_bits());
    let exact = spec.id.fwmark == 0 && flow.to.1 == port;
    // One for the port, or one for all ports of the address or of the mark.
    let (proto, virt) = match (exact, spec.id.fwmark) {
        (true, _) => (flow.proto, (flow.to.0, if port == FTP { 0 } else { port })),
        (false, 0) => (flow.proto, (flow.to.0, 0)),
        (false, mark) => (Protocol(0), (Ipv4Addr::from_bits(mark), 0)),
    };
    let known = ns.ipvs.template(proto, net, virt);
    let known = known.filter(|t| ns.ipvs.check_template(*t));
    let (template, dest, server, forward) = match known {
        Some(t) => {
            let id = ns.ipvs.conns.get(t)?.dest;
            let d = ns.ipvs.dest(id)?;
            (t, id, d.spec.addr, d.spec.forward)
        }
        None => {
            let (dest, server, forward) = choose(ns, at, flow, ctx, packet, cx)?;
            let to = (server.0, if exact && port != FTP { server.1 } else { 0 });
            let plain = Flow { proto, from: (net, 0), to: virt };
            let new =
                NewConn { template: Some(hold), ..NewConn::plain(spec.id, plain, to, dest, forward, false) };
            (ns.ipvs.conn_new(new, cx.now), dest, server, forward)
        }
    };
    ns.ipvs.rearm(template, cx.now);
    let control = ns.ipvs.conns.get(template).map(|t| t.id);
    let to = (server.0, if flow.to.1 == port && server.1 != 0 { server.1 } else { flow.to.1 });
    let one_packet = spec.one_packet && flow.proto == Protocol::UDP;
    let new = NewConn { control, ..NewConn::plain(spec.id, flow, to, dest, forward, one_packet) };
    Some(ns.ipvs.conn_new(new, cx.now))
}

impl Ipvs {
    /// `ip_vs_check_template`: the server is there, and may be used though its weight is 0. If not, nobody finds the
    /// template any more; it stays until its time is over.
    fn check_template(&mut self, at: usize) -> bool {
        let dest = self.conns.get(at).and_then(|t| self.dest(t.dest));
        let good = dest.is_some_and(|d| d.spec.weight > 0 || !self.on(Vs::ExpireQuiescentTemplate));
        if !good && let Some(t) = self.conns.get_mut(at) {
            (t.virt.1, t.server.1) = (INVALID, INVALID);
        }
        good
    }
}
