//! Protocols other than TCP (nf_conntrack_proto_udp.c, _icmp.c, _generic.c).

use super::Timeouts;
use super::table::Conn;
use crate::Instant;
use std::time::Duration;

/// `nf_conntrack_udp_packet`: the time-out to set, and whether the flow has just become assured.
pub(super) fn udp_packet(
    conn: &mut Conn,
    seen_reply: bool,
    timeouts: &Timeouts,
    stream_after: Duration,
    now: Instant,
) -> (u32, bool) {
    if conn.udp_stream_at == Conn::NEVER {
        conn.udp_stream_at = now + stream_after;
    }
    if !seen_reply {
        return (timeouts.udp, false);
    }
    if now > conn.udp_stream_at {
        // One that clashed is over soon whatever happens.
        let lasts = conn.status & super::status::NAT_CLASH == 0;
        (timeouts.udp_stream, lasts && conn.set_status(super::status::ASSURED))
    } else {
        (timeouts.udp, false)
    }
}
