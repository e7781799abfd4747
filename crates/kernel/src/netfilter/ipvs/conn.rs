//! IPVS's own connection table (net/netfilter/ipvs/ip_vs_conn.c).

use super::tcp::{Side, is_active, next, seconds};
use super::{Endpoint, Forward, Ipvs, ServiceId};
use crate::{Era, Instant};
use packet::{Protocol, TcpFlags};
use std::net::Ipv4Addr;
use std::time::Duration;

/// A connection, or the template of a persistent client (`struct ip_vs_conn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpvsConn {
    /// Its number, never used again.
    pub id: u32,
    /// The virtual server by which it was scheduled.
    pub service: ServiceId,
    /// TCP or UDP; 0 for the template of a firewall mark.
    pub proto: Protocol,
    /// The client; of a template its network and no port.
    pub client: Endpoint,
    /// What the client asked.
    pub virt: Endpoint,
    /// The real server.
    pub server: Endpoint,
    /// State.
    pub state: IpvsState,
    /// When it ends.
    pub expires: Instant,
    /// How it is counted at its server.
    pub active: bool,
    /// `IP_VS_CONN_F_TEMPLATE`
    pub template: bool,
    /// How packets get to the server.
    pub forward: Forward,
    /// The number of its real server, which may be deleted by now.
    pub(super) dest: u32,
    /// `cp->timeout` in seconds: what `expires` is set to.
    pub(super) timeout: u32,
    /// `IP_VS_CONN_F_NFCT`: conntrack follows it.
    pub nfct: bool,
    /// `IP_VS_CONN_F_ONE_PACKET`
    pub(super) one_packet: bool,
    /// `IP_VS_CONN_F_NOOUTPUT`: answers take another way.
    pub(super) no_output: bool,
    /// Its template.
    pub(super) control: Option<u32>,
}

impl IpvsConn {
    /// True if it goes to the real server of this number.
    pub fn is_of(&self, dest: u32) -> bool {
        self.dest == dest
    }
}

/// State of a connection (`IP_VS_TCP_S_*`; UDP has only one; a template is NONE or ASSURED).
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
    Assured,
}

impl IpvsState {
    /// The name that `ipvsadm -Lnc` prints.
    pub fn name(self) -> &'static str {
        match self {
            IpvsState::None => "NONE",
            IpvsState::Established => "ESTABLISHED",
            IpvsState::SynSent => "SYN_SENT",
            IpvsState::SynRecv => "SYN_RECV",
            IpvsState::FinWait => "FIN_WAIT",
            IpvsState::TimeWait => "TIME_WAIT",
            IpvsState::Close => "CLOSE",
            IpvsState::CloseWait => "CLOSE_WAIT",
            IpvsState::LastAck => "LAST_ACK",
            IpvsState::Udp => "UDP",
            IpvsState::Assured => "ASSURED",
        }
    }
}

/// What the table is sorted by.
type Key = (Protocol, Endpoint);

fn key(c: &IpvsConn) -> Key {
    (c.proto, c.client)
}

/// A connection that is to be made (`struct ip_vs_conn_param` and the arguments of `ip_vs_conn_new`).
pub(super) struct NewConn {
    pub service: ServiceId,
    pub proto: Protocol,
    pub client: Endpoint,
    pub virt: Endpoint,
    pub server: Endpoint,
    pub dest: u32,
    pub forward: Forward,
    pub one_packet: bool,
    /// A template that holds so many seconds.
    pub template: Option<u32>,
    pub control: Option<u32>,
}

impl Ipvs {
    /// The connections of this client.
    fn of_client(&self, proto: Protocol, client: Endpoint) -> impl Iterator<Item = (usize, &IpvsConn)> {
        let from = self.conns.partition_point(|c| key(c) < (proto, client));
        let same = move |(_, c): &(usize, &IpvsConn)| key(c) == (proto, client);
        self.conns.iter().enumerate().skip(from).take_while(same)
    }

    /// `ip_vs_conn_in_get`: the connection of a packet from a client.
    pub(super) fn conn_in(&self, proto: Protocol, from: Endpoint, to: Endpoint) -> Option<usize> {
        self.of_client(proto, from).find(|(_, c)| c.virt == to && !c.template).map(|(i, _)| i)
    }

    /// `ip_vs_conn_out_get`: the connection of an answer.
    pub(super) fn conn_out(&self, proto: Protocol, from: Endpoint, to: Endpoint) -> Option<usize> {
        self.of_client(proto, to).find(|(_, c)| c.server == from && !c.template).map(|(i, _)| i)
    }

    /// `ip_vs_conn_out_get` as `-m ipvs` asks it: the connection of a packet that is on its way to a real server.
    pub(crate) fn conn_to_dest(&self, proto: Protocol, to: Endpoint, from: Endpoint) -> Option<&IpvsConn> {
        self.conns.get(self.conn_out(proto, to, from)?)
    }

    /// The port that was asked in the connection that this one belongs to.
    pub(crate) fn control_port(&self, conn: &IpvsConn) -> Option<u16> {
        Some(self.conns.get(self.by_id(conn.control?)?)?.virt.1)
    }

    /// `ip_vs_ct_in_get`: the template of a client.
    pub(super) fn template(&self, proto: Protocol, net: Ipv4Addr, virt: Endpoint) -> Option<usize> {
        self.of_client(proto, (net, 0)).find(|(_, c)| c.virt == virt && c.template).map(|(i, _)| i)
    }

    /// `ip_vs_conn_new`, `ip_vs_bind_dest`. It is counted as inactive until its protocol says otherwise.
    pub(super) fn conn_new(&mut self, new: NewConn, now: Instant) -> usize {
        let template = new.template.is_some();
        let state = if new.proto == Protocol::UDP && !template { IpvsState::Udp } else { IpvsState::None };
        let timeout = new.template.unwrap_or_else(|| seconds(state, self.timeouts));
        let conn = IpvsConn {
            id: self.next_conn,
            service: new.service,
            proto: new.proto,
            client: new.client,
            virt: new.virt,
            server: new.server,
            state,
            expires: now,
            active: false,
            template,
            forward: new.forward,
            dest: new.dest,
            timeout,
            nfct: self.on(super::Vs::Conntrack),
            one_packet: new.one_packet,
            no_output: new.forward != Forward::Masquerade,
            control: new.control,
        };
        self.next_conn = self.next_conn.wrapping_add(1);
        let totals = self.dest_mut(new.dest).map(|d| {
            *(if template { &mut d.persistent } else { &mut d.inactive }) += 1;
            d.note_overload();
        });
        debug_assert!(totals.is_some());
        // The newest stands first among those of one client, as in a hash chain.
        let at = self.conns.partition_point(|c| key(c) < key(&conn));
        self.conns.insert(at, conn);
        self.rearm(at, now);
        at
    }

    /// `ip_vs_conn_put`: the time-out begins anew.
    pub(super) fn rearm(&mut self, at: usize, now: Instant) {
        let Some(c) = self.conns.get_mut(at) else { return };
        let left = if c.one_packet { 0 } else { u64::from(c.timeout) };
        c.expires = now + Duration::from_secs(left);
        self.next_expiry = self.next_expiry.min(c.expires);
    }

    /// Where a connection stands now.
    pub(super) fn by_id(&self, id: u32) -> Option<usize> {
        self.conns.iter().position(|c| c.id == id)
    }

    /// `ip_vs_set_state`: the state after a packet, and how the connection is counted in it.
    pub(super) fn set_state(
        &mut self,
        at: usize,
        tcp: Option<TcpFlags>,
        request: bool,
        era: Era,
        now: Instant,
    ) {
        let timeouts = self.timeouts;
        let Some(c) = self.conns.get_mut(at) else { return };
        let (old, was, dest, control) = (c.state, c.active, c.dest, c.control);
        let state = match tcp {
            None => IpvsState::Udp,
            Some(flags) => {
                let side = match (request, c.no_output) {
                    (true, true) => Side::InputOnly,
                    (true, false) => Side::Input,
                    (false, _) => Side::Output,
                };
                c.no_output &= request;
                next(old, flags, side)
            }
        };
        c.state = state;
        c.timeout = seconds(state, timeouts);
        let active =
            if tcp.is_some() && state != old { is_active(state, era.ipvs_counts_syn()) } else { was };
        c.active = active;
        if active != was
            && let Some(d) = self.dest_mut(dest)
        {
            let (gains, loses) =
                if active { (&mut d.active, &mut d.inactive) } else { (&mut d.inactive, &mut d.active) };
            *gains += 1;
            *loses = loses.saturating_sub(1);
        }
        // ip_vs_control_assure_ct
        let assures = match tcp {
            Some(_) => state == IpvsState::Established && state != old,
            None => !request,
        };
        if assures
            && let Some(template) = control.and_then(|id| self.by_id(id)).and_then(|t| self.conns.get_mut(t))
            && era.ipvs_assures_templates()
        {
            template.state = IpvsState::Assured;
        }
        self.rearm(at, now);
    }
}
