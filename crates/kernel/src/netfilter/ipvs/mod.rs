//! IP Virtual Server: layer-4 switching, masquerading only (net/netfilter/ipvs).

mod conn;
mod hooks;
mod sched;
mod service;

pub use conn::{IpvsConn, IpvsState};
pub(crate) use hooks::{ip_vs_in, ip_vs_out};
pub use sched::Scheduler;
pub use service::{Dest, IpvsError, Service, ServiceId};

use crate::Instant;
use packet::Protocol;
use std::net::Ipv4Addr;

/// An IPv4 address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// The virtual servers of a namespace (`struct netns_ipvs`).
#[derive(Clone, Debug)]
pub struct Ipvs {
    pub(crate) services: Vec<Service>,
    pub(crate) conns: Vec<IpvsConn>,
    /// `net.ipv4.vs.conntrack`: connections keep their conntrack entry. Without it their packets become untracked.
    pub conntrack: i64,
    /// `net.ipv4.vs.expire_nodest_conn`
    pub expire_nodest_conn: i64,
    /// `net.ipv4.vs.conn_reuse_mode`
    pub conn_reuse_mode: i64,
    /// `ipvsadm --set`: time-outs in seconds.
    pub timeouts: IpvsTimeouts,
}

/// `ipvsadm --set TCP TCPFIN UDP`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpvsTimeouts {
    /// An established TCP connection.
    pub tcp: u32,
    /// A TCP connection after a FIN.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

impl Default for Ipvs {
    fn default() -> Ipvs {
        Ipvs {
            services: Vec::new(),
            conns: Vec::new(),
            conntrack: 0,
            expire_nodest_conn: 0,
            conn_reuse_mode: 1,
            timeouts: IpvsTimeouts { tcp: 900, tcp_fin: 120, udp: 300 },
        }
    }
}

impl Ipvs {
    /// The virtual servers in the order in which they were made.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The virtual server for a packet to this address and port (`ip_vs_service_find`).
    pub fn service(&self, proto: Protocol, to: Endpoint) -> Option<&Service> {
        self.services.iter().find(|s| s.id.proto == proto && s.id.addr == to)
    }

    /// The connections that have not expired: `ipvsadm -Lnc`.
    pub fn conns(&self, now: Instant) -> impl Iterator<Item = &IpvsConn> + '_ {
        self.conns.iter().filter(move |c| c.expires > now)
    }
}
