//! What kind of address one is to `-m addrtype` (`match_type6`, net/netfilter/xt_addrtype.c).

use crate::netfilter::xtables::matches::{AddrType, AddrTypes};
use crate::{DevId, Netns};
use std::net::Ipv6Addr;

/// Neither multicast nor `::` (`ipv6_addr_type`).
fn is_unicast(addr: Ipv6Addr) -> bool {
    !addr.is_multicast() && !addr.is_unspecified()
}

/// Does the address satisfy the set of types? Unlike for IPv4, each kind that the set names is asked for by itself: multicast,
/// unicast and `::` must all hold that are named; of those that routing knows one is enough. And the word for what it is.
pub(crate) fn addr_types(
    ns: &Netns,
    addr: Ipv6Addr,
    dev: Option<DevId>,
    types: AddrTypes,
) -> (bool, AddrType) {
    let local = ns.is_local6(addr, dev);
    let is = match addr {
        a if a.is_multicast() => AddrType::Multicast,
        a if a.is_unspecified() => AddrType::Unspec,
        _ if local => AddrType::Local,
        _ => AddrType::Unicast,
    };
    let named = |t| types.contains(t);
    let by_kind = (!named(AddrType::Multicast) || addr.is_multicast())
        && (!named(AddrType::Unicast) || is_unicast(addr))
        && (!named(AddrType::Unspec) || addr.is_unspecified());
    let by_route = [AddrType::Anycast, AddrType::Local, AddrType::Unreachable].into_iter().any(named);
    (by_kind && (!by_route || named(AddrType::Local) && local), is)
}
