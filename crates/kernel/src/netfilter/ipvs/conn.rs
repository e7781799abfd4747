//! IPVS's own connection table and its TCP states (net/netfilter/ipvs/ip_vs_conn.c, ip_vs_proto_tcp.c).

use super::{Endpoint, Ipvs, ServiceId};
use crate::Instant;
use packet::{Protocol, Tcp, TcpFlags};
use std::time::Duration;

/// A connection (`struct ip_vs_conn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpvsConn {
    /// The virtual server.
    pub service: ServiceId,
    /// The client.
    pub client: Endpoint,
    /// The real server.
    pub dest: Endpoint,
    /// State.
    pub state: IpvsState,
    /// When it ends.
    pub expires: Instant,
}

/// State of a connection (`IP_VS_TCP_S_*`; UDP has only one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of TCP")]
pub enum IpvsState {
    None,
    Established,
    SynSent,
    SynRecv,
    FinWait,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Udp,
}

use IpvsState::{Close, CloseWait, Established, FinWait, LastAck, SynRecv, SynSent, TimeWait};

impl IpvsState {
    /// The name that `ipvsadm -Lnc` prints.
    pub fn name(self) -> &'static str {
        match self {
            IpvsState::None => "NONE",
            Established => "ESTABLISHED",
            SynSent => "SYN_SENT",
            SynRecv => "SYN_RECV",
            FinWait => "FIN_WAIT",
            TimeWait => "TIME_WAIT",
            Close => "CLOSE",
            CloseWait => "CLOSE_WAIT",
            LastAck => "LAST_ACK",
            IpvsState::Udp => "UDP",
        }
    }

    fn seconds(self, ipvs: &Ipvs) -> u32 {
        match self {
            IpvsState::None => 2,
            Established => ipvs.timeouts.tcp,
            FinWait => ipvs.timeouts.tcp_fin,
            SynSent | TimeWait => 120,
            SynRecv | CloseWait => 60,
            Close => 10,
            LastAck => 30,
            IpvsState::Udp => ipvs.timeouts.udp,
        }
    }
}

/// The state after a segment. `request` is the direction from the client.
fn tcp_next(state: IpvsState, tcp: &Tcp, request: bool) -> IpvsState {
    let flags = tcp.flags;
    if flags.has(TcpFlags::RST) {
        return match (state, request) {
            (SynRecv, true) => SynRecv,
            (LastAck, true) => LastAck,
            (SynSent, false) => SynSent,
            (TimeWait, false) => TimeWait,
            _ => Close,
        };
    }
    if flags.has(TcpFlags::SYN) {
        return match (state, request) {
            (Established | SynSent, true) | (Established, false) => Established,
            (_, true) | (SynRecv, false) => SynRecv,
            (_, false) => SynSent,
        };
    }
    if flags.has(TcpFlags::FIN) {
        return match (state, request) {
            (SynSent, _) => SynSent,
            (LastAck, _) => LastAck,
            (Close, _) | (IpvsState::None, true) => Close,
            (Established | CloseWait, true) => CloseWait,
            (Established | FinWait, false) => FinWait,
            _ => TimeWait,
        };
    }
    match (state, request) {
        (IpvsState::None | SynRecv, _) => Established,
        (LastAck, true) => Close,
        (other, _) => other,
    }
}

impl Ipvs {
    /// `ip_vs_conn_in_get`: the connection of a packet from a client.
    pub(super) fn conn_in(
        &self,
        proto: Protocol,
        from: Endpoint,
        to: Endpoint,
        now: Instant,
    ) -> Option<usize> {
        let service = ServiceId { proto, addr: to };
        self.conns.iter().position(|c| c.service == service && c.client == from && c.expires > now)
    }

    /// `ip_vs_conn_out_get`: the connection of an answer.
    pub(super) fn conn_out(
        &self,
        proto: Protocol,
        from: Endpoint,
        to: Endpoint,
        now: Instant,
    ) -> Option<usize> {
        self.conns
            .iter()
            .position(|c| c.service.proto == proto && c.dest == from && c.client == to && c.expires > now)
    }

    /// `ip_vs_set_state`: the time-out begins anew.
    pub(super) fn set_state(&mut self, at: usize, tcp: Option<&Tcp>, request: bool, now: Instant) {
        let Some(old) = self.conns.get(at).map(|c| c.state) else { return };
        let state = tcp.map_or(IpvsState::Udp, |tcp| tcp_next(old, tcp, request));
        let expires = now + Duration::from_secs(u64::from(state.seconds(self)));
        if let Some(c) = self.conns.get_mut(at) {
            (c.state, c.expires) = (state, expires);
        }
    }
}
