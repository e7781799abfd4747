//! ICMP redirects: sending them, believing them, and the per-destination limit that they share with ICMP errors
//! (`ip_rt_send_redirect`, net/ipv4/route.c; `inet_peer_xrlim_allow`, net/ipv4/icmp.c).

use crate::id::JIFFY;
use crate::{Cx, Instant, Netns, Skb};
use packet::icmp_type;
use std::net::Ipv4Addr;
use std::time::Duration;

/// What is remembered about a remote address (`struct inet_peer`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peer {
    tokens: Duration,
    last: Option<Instant>,
    redirects: u32,
}

/// ICMP errors that may follow each other before the limit bites (`XRLIM_BURST_FACTOR`).
pub(crate) const XRLIM_BURST: u32 = 6;
/// The same for errors of routing (`ip_rt_error_burst`).
const ERROR_BURST: u32 = 5;
/// After so many redirects without effect the host gives up.
const REDIRECT_NUMBER: u32 = 9;
/// The first pause between redirects; it doubles with each.
const REDIRECT_LOAD: Duration = Duration::from_millis(20);
/// After this silence it begins anew.
const REDIRECT_SILENCE: Duration = Duration::from_millis(20 << (REDIRECT_NUMBER + 1));

impl Netns {
    /// `inet_peer_xrlim_allow`: a token bucket for each destination.
    pub(crate) fn xrlim_allow(&mut self, to: Ipv4Addr, every: Duration, burst: u32, now: Instant) -> bool {
        let peer = self.peers.entry(to).or_default();
        let silent = peer.silent(now);
        // What was left in the same tick by another user of the bucket is not cut down.
        if silent > Duration::ZERO {
            peer.tokens = (peer.tokens + silent).min(every * burst);
        }
        peer.take(every)
    }

    /// The limit of `ip_error`, which takes from the same bucket: one message a second, five at once.
    pub(crate) fn peer_allows(&mut self, skb: &Skb, cx: &Cx<'_>) -> bool {
        let Some(src) = skb.ip().and_then(|ip| ip.src_v4()) else { return false };
        let every = Duration::from_secs(1);
        let peer = self.peers.entry(src).or_default();
        peer.tokens = (peer.tokens + peer.silent(cx.now)).min(every * ERROR_BURST);
        peer.take(every)
    }
}

impl Peer {
    /// The ticks since the last look at the bucket; a peer begins as one that was silent for a minute.
    fn silent(&mut self, now: Instant) -> Duration {
        let tick = |at: Instant| Duration::from_micros(at.0 / JIFFY * JIFFY);
        let last = self.last.replace(now);
        last.map_or(Duration::from_secs(60), |last| tick(now).saturating_sub(tick(last)))
    }

    fn take(&mut self, every: Duration) -> bool {
        let allowed = self.tokens >= every;
        if allowed {
            self.tokens -= every;
        }
        allowed
    }
}

/// `ip_rt_send_redirect`: tells the sender that it could have used the gateway itself.
pub(crate) fn ip_rt_send_redirect(ns: &mut Netns, skb: &Skb, cx: &mut Cx<'_>) {
    let Some((src, dst)) = skb.ip().and_then(|ip| Some((ip.src_v4()?, ip.dst_v4()?))) else { return };
    let Some(out) = skb.dst else { return };
    let gateway = out.gateway.unwrap_or(dst);
    let now = cx.now;
    let peer = ns.peers.entry(src).or_default();
    if peer.last.is_some_and(|last| now.since(last) > REDIRECT_SILENCE) {
        peer.tokens = Duration::ZERO;
        peer.redirects = 0;
    }
    if peer.redirects >= REDIRECT_NUMBER {
        peer.last = Some(now);
        return;
    }
    let pause = REDIRECT_LOAD * (1 << peer.redirects);
    let due = peer.redirects == 0 || peer.last.is_none_or(|last| now.since(last) > pause);
    if due {
        crate::ipv4::icmp_send(ns, skb, icmp_type::REDIRECT, 1, Some(gateway), cx);
        let peer = ns.peers.entry(src).or_default();
        peer.last = Some(now);
        peer.redirects += 1;
    }
}
