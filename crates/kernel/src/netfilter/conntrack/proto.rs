//! Protocols other than TCP (nf_conntrack_proto_udp.c, _icmp.c, _generic.c).

use super::Timeouts;
use super::table::Conn;
use crate::Instant;
use std::time::Duration;

/// A UDP flow that is answered later than this after its beginning is a stream (`udp_packet`).
const UDP_STREAM_AFTER: Duration = Duration::from_secs(2);

/// `nf_conntrack_udp_packet`: the time-out to set, and whether the flow has just become assured.
pub(super) fn udp_packet(
    conn: &mut Conn,
    seen_reply: bool,
    timeouts: &Timeouts,
    now: Instant,
) -> (u32, bool) {
    let stream_at = *conn.udp_stream_at.get_or_insert(now + UDP_STREAM_AFTER);
    if !seen_reply {
        return (timeouts.udp, false);
    }
    if now > stream_at {
        (timeouts.udp_stream, conn.set_status(super::status::ASSURED))
    } else {
        (timeouts.udp, false)
    }
}
