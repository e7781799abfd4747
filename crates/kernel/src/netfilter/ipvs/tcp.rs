//! TCP's states as IPVS sees them (net/netfilter/ipvs/ip_vs_proto_tcp.c).

use super::{IpvsState, IpvsTimeouts};
use IpvsState::{Close, CloseWait, Established, FinWait, LastAck, None, SynRecv, SynSent, TimeWait};
use packet::TcpFlags;

/// Which packets IPVS sees of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// From the client.
    Input,
    /// From the real server.
    Output,
    /// From the client, of a connection whose answers take another way.
    InputOnly,
}

/// The state after a segment (`tcp_state_table`). A segment without any flag closes.
pub(super) fn next(state: IpvsState, flags: TcpFlags, side: Side) -> IpvsState {
    let request = side != Side::Output;
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
        return match (state, side) {
            (SynSent, _) => SynSent,
            (LastAck, _) => LastAck,
            (Close, _) | (None, Side::Input | Side::InputOnly) => Close,
            (Established | FinWait, Side::InputOnly | Side::Output) => FinWait,
            (Established, Side::Input) | (CloseWait, Side::Input | Side::InputOnly) => CloseWait,
            _ => TimeWait,
        };
    }
    if !flags.has(TcpFlags::ACK) {
        return Close;
    }
    match (state, request) {
        (None | SynRecv, _) => Established,
        (LastAck, true) => Close,
        (other, _) => other,
    }
}

/// `tcp_state_active`: counted as ActiveConn. Before 4.8 only ESTABLISHED was.
pub(super) fn is_active(state: IpvsState, syn_counts: bool) -> bool {
    state == Established || syn_counts && matches!(state, SynSent | SynRecv)
}

/// How long a state lasts, in seconds (`tcp_timeouts`, `udp_timeouts`).
pub(super) fn seconds(state: IpvsState, set: IpvsTimeouts) -> u32 {
    match state {
        None => 2,
        Established => set.tcp,
        FinWait => set.tcp_fin,
        SynSent | TimeWait => 120,
        SynRecv | CloseWait => 60,
        Close => 10,
        LastAck => 30,
        IpvsState::Udp => set.udp,
        IpvsState::Assured => 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(side_and_flags: &[(Side, u8)]) -> Vec<&'static str> {
        let mut state = None;
        let mut seen = Vec::new();
        for (side, flags) in side_and_flags {
            state = next(state, TcpFlags(*flags), *side);
            seen.push(state.name());
        }
        seen
    }

    const SYN: u8 = TcpFlags::SYN.0;
    const ACK: u8 = TcpFlags::ACK.0;
    const FIN: u8 = TcpFlags::FIN.0 | TcpFlags::ACK.0;
    const RST: u8 = TcpFlags::RST.0;

    #[test]
    fn a_connection_that_the_server_closes_first_ends_in_time_wait() {
        use Side::{Input, Output};
        let found = states(&[
            (Input, SYN),
            (Output, SYN | ACK),
            (Input, ACK),
            (Output, FIN),
            (Input, ACK),
            (Input, FIN),
            (Output, ACK),
        ]);
        assert_eq!(
            found,
            ["SYN_RECV", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "FIN_WAIT", "TIME_WAIT", "TIME_WAIT"]
        );
    }

    #[test]
    fn a_connection_that_the_client_closes_first_waits_for_the_server() {
        use Side::{Input, Output};
        let found = states(&[
            (Input, SYN),
            (Output, SYN | ACK),
            (Input, ACK),
            (Input, FIN),
            (Output, FIN),
            (Input, ACK),
        ]);
        assert_eq!(found, ["SYN_RECV", "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "TIME_WAIT", "TIME_WAIT"]);
    }

    #[test]
    fn a_reset_closes_and_a_direct_routed_connection_is_judged_by_one_side() {
        assert_eq!(states(&[(Side::Input, SYN), (Side::Output, RST)]), ["SYN_RECV", "CLOSE"]);
        let found = states(&[(Side::InputOnly, SYN), (Side::InputOnly, ACK), (Side::InputOnly, FIN)]);
        assert_eq!(found, ["SYN_RECV", "ESTABLISHED", "FIN_WAIT"]);
    }
}
