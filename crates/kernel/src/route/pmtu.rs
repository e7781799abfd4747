//! What the host was told of the way to a destination (`ip_rt_update_pmtu`, net/ipv4/route.c).

use super::Flow;
use crate::{Instant, Netns};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The path MTU to a destination (`struct fib_nh_exception`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pmtu {
    /// Bytes.
    pub mtu: u32,
    /// It is the least that this host accepts, so DF is not set any more (`ip_mtu_locked`).
    pub locked: bool,
    /// Until when it is believed.
    pub expires: Instant,
}

impl Netns {
    /// Forgets what the host was told of single destinations: path MTUs and redirects (`ipv4_sysctl_rtcache_flush`).
    pub fn flush_route_cache(&mut self) {
        self.pmtu.clear();
        self.redirects.clear();
    }

    /// What is known of the path to `to`.
    pub fn pmtu_to(&self, to: Ipv4Addr, now: Instant) -> Option<Pmtu> {
        if self.pmtu.is_empty() {
            return None;
        }
        self.pmtu.get(&to).copied().filter(|p| p.expires > now)
    }

    /// `__ip_rt_update_pmtu`: a router says that only `mtu` bytes fit. Never more than was known; not less than
    /// `net.ipv4.route.min_pmtu`.
    pub(crate) fn update_pmtu(&mut self, to: Ipv4Addr, mtu: u32, now: Instant) {
        let known = self.pmtu_to(to, now);
        let Ok((dst, _)) = self.ip_route_output(&Flow::to(to)) else { return };
        let way = dst.mtu.map_or_else(|| self.device(dst.dev).map_or(1500, |d| d.mtu), |(mtu, _)| mtu);
        let old = known.map_or(way, |p| p.mtu);
        let locked = known.is_some_and(|p| p.locked) || dst.mtu.is_some_and(|(_, lock)| lock);
        if locked || old < mtu {
            return;
        }
        let least = u32::try_from(self.sysctl.route_min_pmtu).unwrap_or(552);
        let locked = mtu < least;
        let mtu = if locked { old.min(least) } else { mtu };
        let life = Duration::from_secs(u64::try_from(self.sysctl.route_mtu_expires).unwrap_or(600));
        self.pmtu.insert(to, Pmtu { mtu, locked, expires: now + life });
    }
}
