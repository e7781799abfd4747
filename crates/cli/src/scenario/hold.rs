//! Packets that stop on their way, so that others overtake them.

use super::{Node, Result, wrong};
use kernel::netfilter::{Hold, PacketFilter, Stop};
use packet::Protocol;
use sim::Stimulus;
use std::net::IpAddr;

/// `hold`: which packets, at which points, and in which order they go on.
pub(super) fn hold(n: &Node<'_>) -> Result<Stimulus> {
    let mut packets = PacketFilter::default();
    if let Some(p) = n.get("packets")? {
        for key in p.object()?.keys() {
            if !["proto", "src", "dst", "sport", "dport"].contains(&key.as_str()) {
                return wrong(&p.place, format!("expected proto, src, dst, sport or dport, found {key:?}"));
            }
        }
        let addr = |key: &str| p.get(key)?.map(|a| a.parse("an IPv4 address").map(IpAddr::V4)).transpose();
        let port = |key: &str| p.get(key)?.map(|v| v.number()).transpose();
        packets = PacketFilter {
            proto: p.get("proto")?.map(|v| protocol(&v)).transpose()?,
            src: addr("src")?,
            dst: addr("dst")?,
            sport: port("sport")?,
            dport: port("dport")?,
        };
    }
    let mut stops = Vec::new();
    for stop in n.or("at", Vec::new(), Node::list)? {
        let name = stop.text()?;
        let Some(known) = Stop::from_name(&name) else {
            let all = Stop::ALL.map(Stop::name).join(", ");
            return wrong(&stop.place, format!("expected one of {all}, found {name:?}"));
        };
        stops.push(known);
    }
    if stops.is_empty() {
        stops = Stop::CONNTRACK.to_vec();
    }
    let cpu = |v: &Node<'_>| v.number::<u8>().map(usize::from);
    let order = n.get("order")?.map(|o| o.list()?.iter().map(cpu).collect::<Result<_>>()).transpose()?;
    let count = match n.get("count")? {
        Some(c) => cpu(&c)?,
        None => 2,
    };
    Ok(Stimulus::Hold { host: n.need("host")?.text()?, hold: Hold { packets, count, stops }, order })
}

fn protocol(n: &Node<'_>) -> Result<Protocol> {
    let name = match n.value.as_u64() {
        Some(number) => number.to_string(),
        None => n.text()?,
    };
    match (name.as_str(), name.parse()) {
        ("tcp", _) => Ok(Protocol::TCP),
        ("udp", _) => Ok(Protocol::UDP),
        ("icmp", _) => Ok(Protocol::ICMP),
        (_, Ok(number)) => Ok(Protocol(number)),
        _ => wrong(&n.place, format!("expected tcp, udp, icmp or a number, found {name:?}")),
    }
}
