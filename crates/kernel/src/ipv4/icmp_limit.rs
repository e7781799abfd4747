//! How many ICMP errors may be sent (net/ipv4/icmp.c).

use crate::route::XRLIM_BURST;
use crate::{DevId, Instant, Netns, Skb};
use packet::icmp_type;
use std::net::Ipv4Addr;
use std::time::Duration;

/// What is left of the limit for all destinations together (`icmp_global`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IcmpCredit {
    left: i64,
    /// When it was filled up last.
    filled: Option<Instant>,
}

/// The credit is filled up after this time at the earliest, and with no more than a second brings.
const FILL_AFTER: Duration = Duration::from_millis(20);

/// `icmp_global_allow`: there is credit left, or it is time for more.
fn icmp_global_allow(ns: &mut Netns, now: Instant) -> bool {
    let credit = &mut ns.icmp_credit;
    if credit.left > 0 {
        return true;
    }
    let second = Duration::from_secs(1);
    let passed = credit.filled.map_or(second, |at| now.since(at)).min(second);
    let more =
        i64::try_from(passed.as_millis()).unwrap_or(0).saturating_mul(ns.sysctl.icmp_msgs_per_sec) / 1000;
    if passed < FILL_AFTER || more <= 0 {
        return false;
    }
    *credit = IcmpCredit { left: (credit.left + more).min(ns.sysctl.icmp_msgs_burst), filled: Some(now) };
    true
}

/// `icmpv4_global_allow`, `icmpv4_xrlim_allow`: the limit for all destinations together, then that of this one. Only some
/// types are limited, and not on loopback; nor is what path MTU discovery lives by.
pub(super) fn icmp_allowed(
    ns: &mut Netns,
    about: &Skb,
    to: Ipv4Addr,
    out: DevId,
    (kind, code): (u8, u8),
    now: Instant,
) -> bool {
    let mtu = (kind, code) == (icmp_type::DEST_UNREACH, 4);
    let limited = ns.sysctl.icmp_ratemask >> kind.min(31) & 1 == 1 && !mtu && about.dev != Some(DevId(0));
    if !limited {
        return true;
    }
    let globally = ns.era().limits_icmp_globally();
    if globally && !icmp_global_allow(ns, now) {
        return false;
    }
    let every = Duration::from_millis(u64::try_from(ns.sysctl.icmp_ratelimit).unwrap_or(0));
    let allowed = out == DevId(0) || ns.xrlim_allow(to, every, XRLIM_BURST, now);
    if allowed && globally {
        // The kernel takes none, one or two, by chance.
        ns.icmp_credit.left -= 1;
    }
    allowed
}
