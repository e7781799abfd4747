//! IP Virtual Server: layer-4 switching by masquerading or direct routing (net/netfilter/ipvs).

mod conn;
mod era;
mod expire;
mod hash;
mod hooks;
mod icmp;
mod persist;
mod sched;
mod service;
mod stats;
mod sysctl;
mod tcp;
mod xmit;

pub use conn::{IpvsConn, IpvsState};
pub(crate) use expire::{ip_vs_conn_gc, ip_vs_flush_nodest};
pub(crate) use hooks::{ip_vs_forward_icmp, ip_vs_in, ip_vs_out};
pub use sched::{SchedFlags, Scheduler};
pub use service::{Dest, DestSpec, Forward, IpvsError, Service, ServiceId, ServiceSpec};
pub use stats::{Rates, Stats};
pub use sysctl::Vs;

use crate::Instant;
use packet::Protocol;
use std::net::Ipv4Addr;

/// An IPv4 address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// The virtual servers of a namespace (`struct netns_ipvs`).
#[derive(Clone, Debug)]
pub struct Ipvs {
    services: Vec<Service>,
    /// Sorted by protocol and client, which a request and its answer have in common, as Linux's hash is.
    conns: Vec<IpvsConn>,
    /// Deleted real servers (`dest_trash`).
    trash: Vec<service::Trashed>,
    next_dest: u32,
    next_conn: u32,
    /// No connection ends before this.
    next_expiry: Instant,
    settings: sysctl::Settings,
    /// `ipvsadm --set`: time-outs in seconds.
    pub timeouts: IpvsTimeouts,
    /// Everything together.
    pub stats: Stats,
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
            trash: Vec::new(),
            next_dest: 0,
            next_conn: 0,
            next_expiry: Instant(u64::MAX),
            settings: sysctl::DEFAULTS,
            timeouts: IpvsTimeouts { tcp: 900, tcp_fin: 120, udp: 300 },
            stats: Stats::default(),
        }
    }
}

impl Ipvs {
    /// The virtual servers in the order in which they were made.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// `ip_vs_service_find`: the virtual server for a packet with this mark, to this address and port. One for the mark
    /// comes first, then the very port, then one for all ports.
    pub(super) fn service_find(&mut self, mark: u32, proto: Protocol, to: Endpoint) -> Option<usize> {
        let at = |id: ServiceId| self.services.iter().position(|s| s.id == id);
        let by_mark = if mark == 0 { None } else { at(ServiceId::fwmark(mark)) };
        let ftp = || {
            // The data of FTP: from port 20, or to a port that anybody may use.
            let data = proto == Protocol::TCP && (to.1 == service::FTP_DATA || to.1 >= 1024);
            if data { at(ServiceId::new(proto, (to.0, service::FTP))) } else { None }
        };
        let exact = || at(ServiceId::new(proto, to));
        by_mark.or_else(exact).or_else(ftp).or_else(|| at(ServiceId::new(proto, (to.0, 0))))
    }

    /// The connections that have not expired: `ipvsadm -Lnc`.
    pub fn conns(&self, now: Instant) -> impl Iterator<Item = &IpvsConn> + '_ {
        self.conns.iter().filter(move |c| c.expires > now)
    }

    /// `ipvsadm --set`: 0 leaves a value as it is.
    pub fn set_timeouts(&mut self, tcp: u32, tcp_fin: u32, udp: u32) {
        let t = &mut self.timeouts;
        for (value, slot) in [(tcp, &mut t.tcp), (tcp_fin, &mut t.tcp_fin), (udp, &mut t.udp)] {
            if value > 0 {
                *slot = value;
            }
        }
    }
}
