//! Members of sets: text to value and back. Errors are in ipset's words, without its name.

use super::command::set_name;
use super::errors::IpsetError;
use super::icmp;
use crate::names::{number, protocol, protocol_name, service};
use kernel::netfilter::ipset::{Addrs, Elem, Elems, SetType};
use packet::{Port, Protocol};
use std::net::Ipv4Addr;

const ICMPV6: Protocol = Protocol(58);

/// The longest name of a device.
const IFACE_MAX: usize = 15;

/// Reads what stands behind `add NAME`, `del NAME` or `test NAME`.
pub(super) fn parse_entry(kind: SetType, text: &str) -> Result<Elems, IpsetError> {
    if kind == SetType::ListSet {
        return listed(text);
    }
    let dim = usize::from(kind.dimension());
    let mut rest = Some(text);
    let mut parts = Vec::new();
    // The last part is what remains; a comma in an earlier one ends it.
    while let Some(part) = rest {
        let split = part.split_once(',').filter(|(first, after)| !(first.is_empty() || after.is_empty()));
        let (first, after) = split.map_or((part, None), |(first, after)| (first, Some(after)));
        parts.push(first);
        rest = after;
    }
    if parts.len() > dim {
        let (found, allowed) = match dim {
            1 => ("Elem separator", "none"),
            2 => ("Two elem separators", "one"),
            _ => ("Three elem separators", "two"),
        };
        let name = kind.name();
        return Err(format!("Syntax error: {found} in {text}, but settype {name} supports {allowed}.").into());
    }
    if parts.len() < dim {
        let missing = if parts.len() == 1 { "Second" } else { "Third" };
        return Err(format!("Syntax error: {missing} element is missing from {text}.").into());
    }
    let mut elems = Elems::default();
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    if kind.has_addr() {
        elems.first = addrs(next())?;
    }
    if kind.has_port() {
        (elems.proto, elems.ports) = proto_port(next())?;
        if kind == SetType::BitmapPort && !matches!(elems.proto, Protocol::TCP | Protocol::UDP) {
            return Err("Syntax error: Only protocols TCP and UDP are valid".to_owned().into());
        }
    }
    if kind == SetType::HashNetIface {
        (elems.name, elems.physdev) = iface(next())?;
    }
    if kind.has_second() {
        let text = next();
        if kind == SetType::HashIpPortIp {
            let len = text.split_once('/').map(|(_, len)| u8_of(len, 32)).transpose()?;
            if len.is_some_and(|n| n != 32) || text.contains('-') {
                return Err(format!("Syntax error: plain IP address must be supplied: {text}").into());
            }
        }
        elems.second = addrs(text)?;
    }
    Ok(elems)
}

/// `SET`, or in the words of ipset 4 `SET,before,OTHER`.
fn listed(text: &str) -> Result<Elems, IpsetError> {
    let mut elems = Elems::default();
    let mut parts = text.splitn(3, ',');
    let name = set_name(parts.next().unwrap_or_default())?;
    elems.name = name.into();
    elems.place = match (parts.next(), parts.next()) {
        (None, _) => None,
        (Some(word @ ("before" | "after")), Some(near)) => Some((word == "before", set_name(near)?.into())),
        _ => {
            let says = "you must specify elements as setname,[before|after],setname";
            return Err(says.to_owned().into());
        }
    };
    Ok(elems)
}

/// `[physdev:]DEVICE`
fn iface(text: &str) -> Result<(Box<str>, bool), IpsetError> {
    let port = text.strip_prefix("physdev:");
    let name = port.unwrap_or(text);
    if name.len() > IFACE_MAX {
        return Err(
            format!("Syntax error: interface name '{name}' is longer than {IFACE_MAX} characters").into()
        );
    }
    Ok((name.into(), port.is_some()))
}

/// What `test` refuses although `add` takes it: anything that looks like a range, even of one.
pub(super) fn check_test(kind: SetType, elems: &Elems, text: &str) -> Result<(), IpsetError> {
    let (first, rest) = text.split_once(',').unwrap_or((text, text));
    let ports = if kind.has_addr() { rest.split(',').next().unwrap_or_default() } else { text };
    let what = match elems.first {
        _ if kind == SetType::HashIp => return Ok(()),
        Addrs::Range(..) if kind.has_addr() => "FROM-TO IP range",
        _ if kind.has_addr() && !kind.first_is_net() && first.contains('/') => "IP/CIDR range",
        _ if kind.has_port() && elems.proto != Protocol::ICMP && ports.contains('-') => "FROM-TO port range",
        _ => return Ok(()),
    };
    let family = if kind == SetType::BitmapPort { "unspec" } else { "inet" };
    let kind = kind.name();
    Err(format!("{what} is not allowed in command test with set type {kind} and family {family}").into())
}

/// One address, in any form that inet_aton() takes.
pub(super) fn address(text: &str) -> Result<Ipv4Addr, IpsetError> {
    let wrong = || format!("Syntax error: cannot parse {text}: resolving to IPv4 address failed");
    aton(text).ok_or_else(|| wrong().into())
}

/// inet_aton(): one to four numbers, of which the last fills what remains: `10.1` is 10.0.0.1.
fn aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, bytes) = parts.split_last().filter(|(_, bytes)| bytes.len() < 4)?;
    let number = |part: &str, max: u64| {
        let digit = part.starts_with(|c: char| c.is_ascii_digit());
        number::unsigned(part, 0, max).filter(|_| digit).and_then(|n| u32::try_from(n).ok())
    };
    let mut bits = 0u32;
    for (n, byte) in (1u32..).zip(bytes) {
        bits |= number(byte, 255)? << (32 - 8 * n);
    }
    let room = u64::from(u32::MAX) >> (8 * bytes.len());
    Some(Ipv4Addr::from_bits(bits | number(last, room)?))
}

/// `ADDRESS`, `ADDRESS/LENGTH` or `FROM-TO`.
pub(super) fn addrs(text: &str) -> Result<Addrs, IpsetError> {
    if let Some((ip, len)) = text.split_once('/') {
        let len = u8_of(len, 32)?;
        return Ok(Addrs::Net(address(ip)?, len));
    }
    match text.split_once('-').filter(|(_, to)| !to.is_empty()) {
        Some((from, to)) => Ok(Addrs::Range(address(from)?, address(to)?)),
        None => Ok(Addrs::Net(address(text)?, 32)),
    }
}

/// A number.
pub(super) fn within(text: &str, max: u64) -> Result<u64, IpsetError> {
    between(text, 0, max)
}

/// A number with a least one.
pub(super) fn between(text: &str, min: u64, max: u64) -> Result<u64, IpsetError> {
    // A sign is understood as strtoull() does.
    let negative =
        || Some(0u64.wrapping_sub(number::unsigned(text.trim_start().strip_prefix('-')?, 0, u64::MAX)?));
    match number::unsigned(text, 0, u64::MAX).or_else(negative) {
        Some(n) if n >= min && n <= max => Ok(n),
        Some(_) => Err(format!("Syntax error: '{text}' is out of range {min}-{max}").into()),
        None => Err(format!("Syntax error: '{text}' is invalid as number").into()),
    }
}

fn u8_of(text: &str, max: u8) -> Result<u8, IpsetError> {
    within(text, u64::from(max)).map(|n| u8::try_from(n).unwrap_or(max))
}

/// `FROM-TO` or one port for the range of a bitmap.
pub(super) fn port_range(text: &str) -> Result<(Port, Port), IpsetError> {
    proto_port(text).map(|(_, ports)| ports)
}

/// `[PROTO:]PORT[-PORT]`; without a protocol it is tcp.
pub(super) fn proto_port(text: &str) -> Result<(Protocol, (Port, Port)), IpsetError> {
    let known = text.split_once(':').filter(|(name, rest)| !name.is_empty() && !rest.is_empty());
    let Some((name, rest)) = known else { return Ok((Protocol::TCP, ports(text, "tcp", Protocol::TCP)?)) };
    let proto = protocol(name).filter(|_| !matches!(name, "all" | "mh"));
    let proto = proto.ok_or_else(|| format!("Syntax error: cannot parse '{name}' as a protocol"))?;
    // ipset repeats what was typed, and asks for services in those very words.
    let shown = name;
    match proto {
        Protocol(0) if number::unsigned(name, 0, 255).is_none() => {
            Err(format!("Syntax error: Unsupported protocol '{name}'").into())
        }
        Protocol::ICMP => {
            let port = icmp_port(rest)?;
            Ok((proto, (port, port)))
        }
        // The second line is what ipset says when it meant to be silent.
        ICMPV6 => {
            let says = "Syntax error: Protocol ICMPv6 can be used with family inet6 only\n\
                        Invalid add command: missing setname";
            Err(says.to_owned().into())
        }
        Protocol::TCP | Protocol::UDP | Protocol(132) | Protocol(136) => {
            Ok((proto, ports(rest, shown, proto)?))
        }
        _ if rest == "0" => Ok((proto, (0, 0))),
        _ => Err(format!("Syntax error: Protocol {shown} can be used with pseudo port value 0 only.").into()),
    }
}

/// `PORT` or `FROM-TO`, which are numbers or names of services without a dash.
fn ports(text: &str, shown: &str, proto: Protocol) -> Result<(Port, Port), IpsetError> {
    let number = number::unsigned(shown, 0, 255).is_some();
    let one = |t: &str| {
        let n = within(t, 65535).map(|n| Port::try_from(n).unwrap_or(Port::MAX));
        let known = number || protocol_name(proto) == Some(shown);
        n.or_else(|why| service(t, proto).filter(|_| known).ok_or(why)).map_err(|why| {
            let name = if number {
                String::new()
            } else {
                format!("\nSyntax error: '{shown}' is invalid as number")
            };
            IpsetError::from(format!("{}{name}\ncannot parse '{t}' as a {shown} port", why.says))
        })
    };
    match text.split_once('-').filter(|(from, to)| !(from.is_empty() || to.is_empty())) {
        // The end is read first.
        Some((from, to)) => one(to).and_then(|to| Ok((one(from)?, to))),
        None => one(text).map(|p| (p, p)),
    }
}

fn icmp_port(text: &str) -> Result<Port, IpsetError> {
    if let Some(port) = icmp::port(text) {
        return Ok(port);
    }
    let Some((kind, code)) = text.split_once('/') else {
        return Err(format!("Cannot parse {text} as an ICMP type/code.").into());
    };
    Ok(Port::from(u8_of(kind, 255)?) << 8 | Port::from(u8_of(code, 255)?))
}

fn proto_name(proto: Protocol) -> String {
    let name = if proto.0 == 0 { Some("ip") } else { protocol_name(proto) };
    name.map_or_else(|| proto.0.to_string(), str::to_owned)
}

fn addrs_text(addrs: Addrs) -> String {
    match addrs {
        Addrs::Net(ip, 32) => ip.to_string(),
        Addrs::Net(ip, cidr) => format!("{ip}/{cidr}"),
        Addrs::Range(from, to) => format!("{from}-{to}"),
    }
}

/// Members as ipset prints what was typed.
pub fn entry_text(kind: SetType, e: &Elems) -> String {
    if kind == SetType::ListSet {
        // Whatever was typed, ipset says "after".
        let near = e.place.as_ref().map(|(_, near)| format!(" after {near}"));
        return format!("{}{}", e.name, near.unwrap_or_default());
    }
    let mut out = if kind.has_addr() { addrs_text(e.first) } else { String::new() };
    if kind.has_port() {
        if kind.has_addr() {
            out.push_str(&format!(",{}:", proto_name(e.proto)));
        }
        let (from, to) = e.ports;
        match icmp::name(from) {
            _ if e.proto != Protocol::ICMP => out.push_str(&from.to_string()),
            Some(name) => out.push_str(name),
            None => out.push_str(&format!("{}/{}", from >> 8, from & 0xff)),
        }
        if to != from {
            out.push_str(&format!("-{to}"));
        }
    }
    if kind == SetType::HashNetIface {
        out.push_str(if e.physdev { ",physdev:" } else { "," });
        out.push_str(&e.name);
    }
    if kind.has_second() {
        out.push_str(&format!(",{}", addrs_text(e.second)));
    }
    out
}

/// A member as `list` and `save` print it.
pub fn elem_text(kind: SetType, e: &Elem) -> String {
    let (first, second) = (Addrs::Net(e.ip, e.cidr), Addrs::Net(e.ip2, e.cidr2));
    let (proto, ports, physdev, name) = (e.proto, (e.port, e.port), e.physdev, e.name.clone());
    entry_text(kind, &Elems { first, proto, ports, second, physdev, name, ..Elems::default() })
}
