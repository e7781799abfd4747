//! How connections end (net/netfilter/ipvs/ip_vs_conn.c).

use super::{Forward, Ipvs, IpvsConn};
use crate::netfilter::conntrack::{L4Key, Tuple, Zone};
use crate::{Cx, Instant, Netns};
use std::net::IpAddr;
use std::time::Duration;

/// A template that still has connections is looked at again after so many seconds.
const LATER: u32 = 60;

/// `ip_vs_conn_expire` for every connection whose time has come.
pub(crate) fn ip_vs_conn_gc(ns: &mut Netns, cx: &mut Cx<'_>) {
    let now = cx.now;
    if ns.ipvs.next_expiry > now {
        return;
    }
    // Connections before their templates: those wait for them.
    let over = |c: &IpvsConn| c.expires <= now && !c.template;
    let gone: Vec<IpvsConn> = ns.ipvs.conns.iter().filter(|c| over(c)).copied().collect();
    ns.ipvs.conns.retain(|c| !over(c));
    for c in &gone {
        unbind(ns, c, cx);
    }
    let templates = ns.ipvs.conns.iter().filter(|c| c.template && c.expires <= now);
    let templates: Vec<u32> = templates.map(|c| c.id).collect();
    for id in templates {
        let Some(at) = ns.ipvs.by_id(id) else { continue };
        if ns.ipvs.conns.iter().any(|c| c.control == Some(id)) {
            if let Some(c) = ns.ipvs.conns.get_mut(at) {
                c.timeout = LATER;
                while c.expires <= now {
                    c.expires = c.expires + Duration::from_secs(u64::from(LATER));
                }
            }
        } else {
            ip_vs_conn_del(ns, at, cx);
        }
    }
    ns.ipvs.next_expiry = ns.ipvs.conns.iter().map(|c| c.expires).min().unwrap_or(Instant(u64::MAX));
}

/// `ip_vs_conn_unlink`, `ip_vs_unbind_dest`; conntrack's entry goes too, if it follows the connection.
pub(super) fn ip_vs_conn_del(ns: &mut Netns, at: usize, cx: &mut Cx<'_>) {
    if at < ns.ipvs.conns.len() {
        let c = ns.ipvs.conns.remove(at);
        unbind(ns, &c, cx);
    }
}

/// What is done about a connection that has left the table.
fn unbind(ns: &mut Netns, c: &IpvsConn, cx: &mut Cx<'_>) {
    ns.ipvs.release(c, cx.now);
    if c.nfct && !c.one_packet && !c.template {
        drop_conntrack(ns, c, cx);
    }
}

/// `ip_vs_expire_nodest_conn_flush`: with `expire_nodest_conn` the connections of servers that are gone end at once.
pub(crate) fn ip_vs_flush_nodest(ns: &mut Netns, cx: &mut Cx<'_>) {
    if !ns.era().ipvs_flushes_nodest() || !ns.ipvs.on(super::Vs::ExpireNodestConn) {
        return;
    }
    while let Some(at) = ns.ipvs.conns.iter().position(|c| !c.template && !ns.ipvs.is_available(c.dest)) {
        let control = ns.ipvs.conns.get(at).and_then(|c| c.control);
        ip_vs_conn_del(ns, at, cx);
        if control.is_some()
            && !ns.ipvs.conns.iter().any(|c| c.control == control)
            && let Some(template) = control.and_then(|id| ns.ipvs.by_id(id))
        {
            ip_vs_conn_del(ns, template, cx);
        }
    }
    while let Some(at) = ns.ipvs.conns.iter().position(|c| c.template && !ns.ipvs.is_available(c.dest)) {
        ip_vs_conn_del(ns, at, cx);
    }
}

/// `ip_vs_conn_drop_conntrack`
fn drop_conntrack(ns: &mut Netns, c: &IpvsConn, cx: &mut Cx<'_>) {
    let key = L4Key::Ports { sport: c.client.1, dport: c.virt.1 };
    let tuple = Tuple::new(IpAddr::V4(c.client.0), IpAddr::V4(c.virt.0), c.proto, key);
    if let Some((conn, _)) = ns.ct.find(&tuple, Zone::default(), cx.now) {
        ns.ct_delete(conn, cx);
    }
}

impl Ipvs {
    /// `ip_vs_unbind_dest`: its server counts it no more.
    fn release(&mut self, c: &IpvsConn, now: Instant) {
        if let Some(d) = self.dest_mut(c.dest) {
            let count = match (c.template, c.active) {
                (true, _) => &mut d.persistent,
                (false, true) => &mut d.active,
                (false, false) => &mut d.inactive,
            };
            *count = count.saturating_sub(1);
            d.note_release();
            d.idle_since = now;
        }
    }
}

impl Forward {
    /// True if the packet itself is changed.
    pub(super) fn translates(self) -> bool {
        self == Forward::Masquerade
    }
}
