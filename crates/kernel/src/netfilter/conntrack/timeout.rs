//! Time-outs in seconds, one sysctl each (`net.netfilter.nf_conntrack_*_timeout*`, nf_conntrack-sysctl.rst).

use super::{SctpState, TcpState};

/// The time-outs of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `tcp_timeout_syn_sent`
    pub tcp_syn_sent: u32,
    /// `tcp_timeout_syn_recv`
    pub tcp_syn_recv: u32,
    /// `tcp_timeout_established`
    pub tcp_established: u32,
    /// `tcp_timeout_fin_wait`
    pub tcp_fin_wait: u32,
    /// `tcp_timeout_close_wait`
    pub tcp_close_wait: u32,
    /// `tcp_timeout_last_ack`
    pub tcp_last_ack: u32,
    /// `tcp_timeout_time_wait`
    pub tcp_time_wait: u32,
    /// `tcp_timeout_close`
    pub tcp_close: u32,
    /// `tcp_timeout_max_retrans`
    pub tcp_max_retrans: u32,
    /// `tcp_timeout_unacknowledged`
    pub tcp_unacknowledged: u32,
    /// `udp_timeout`
    pub udp: u32,
    /// `udp_timeout_stream`
    pub udp_stream: u32,
    /// `icmp_timeout`
    pub icmp: u32,
    /// `icmpv6_timeout`
    pub icmpv6: u32,
    /// `gre_timeout`
    pub gre: u32,
    /// `gre_timeout_stream`
    pub gre_stream: u32,
    /// `sctp_timeout_closed`
    pub sctp_closed: u32,
    /// `sctp_timeout_cookie_wait`
    pub sctp_cookie_wait: u32,
    /// `sctp_timeout_cookie_echoed`
    pub sctp_cookie_echoed: u32,
    /// `sctp_timeout_established`
    pub sctp_established: u32,
    /// `sctp_timeout_shutdown_sent`
    pub sctp_shutdown_sent: u32,
    /// `sctp_timeout_shutdown_recd`
    pub sctp_shutdown_recd: u32,
    /// `sctp_timeout_shutdown_ack_sent`
    pub sctp_shutdown_ack_sent: u32,
    /// `sctp_timeout_heartbeat_sent`
    pub sctp_heartbeat_sent: u32,
    /// `generic_timeout`
    pub generic: u32,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            tcp_syn_sent: 120,
            tcp_syn_recv: 60,
            tcp_established: 432_000,
            tcp_fin_wait: 120,
            tcp_close_wait: 60,
            tcp_last_ack: 30,
            tcp_time_wait: 120,
            tcp_close: 10,
            tcp_max_retrans: 300,
            tcp_unacknowledged: 300,
            udp: 30,
            udp_stream: 120,
            icmp: 30,
            icmpv6: 30,
            gre: 30,
            gre_stream: 180,
            sctp_closed: 10,
            sctp_cookie_wait: 3,
            sctp_cookie_echoed: 3,
            sctp_established: 210,
            sctp_shutdown_sent: 3,
            sctp_shutdown_recd: 3,
            sctp_shutdown_ack_sent: 3,
            sctp_heartbeat_sent: 30,
            generic: 600,
        }
    }
}

impl Timeouts {
    /// The time-out of an SCTP state.
    pub fn sctp(&self, state: SctpState) -> u32 {
        match state {
            SctpState::None | SctpState::Closed => self.sctp_closed,
            SctpState::CookieWait => self.sctp_cookie_wait,
            SctpState::CookieEchoed => self.sctp_cookie_echoed,
            SctpState::Established => self.sctp_established,
            SctpState::ShutdownSent => self.sctp_shutdown_sent,
            SctpState::ShutdownRecd => self.sctp_shutdown_recd,
            SctpState::ShutdownAckSent => self.sctp_shutdown_ack_sent,
            SctpState::HeartbeatSent => self.sctp_heartbeat_sent,
        }
    }

    /// The time-out of a TCP state.
    pub fn tcp(&self, state: TcpState) -> u32 {
        match state {
            TcpState::None | TcpState::SynSent => self.tcp_syn_sent,
            // There is no sysctl for it.
            TcpState::SynSent2 => 120,
            TcpState::SynRecv => self.tcp_syn_recv,
            TcpState::Established => self.tcp_established,
            TcpState::FinWait => self.tcp_fin_wait,
            TcpState::CloseWait => self.tcp_close_wait,
            TcpState::LastAck => self.tcp_last_ack,
            TcpState::TimeWait => self.tcp_time_wait,
            TcpState::Close => self.tcp_close,
        }
    }
}
