//! Members of sets: text to value and back. Errors are in ipset's words, without its name.

use super::icmp;
use crate::names::{addr, number, protocol, protocol_name, service};
use kernel::netfilter::ipset::{Addrs, Elem, Elems, SetType};
use packet::{Port, Protocol};
use std::net::Ipv4Addr;

const ICMPV6: Protocol = Protocol(58);

/// Reads what stands behind `add NAME`, `del NAME` or `test NAME`.
pub fn parse_entry(kind: SetType, text: &str) -> Result<Elems, String> {
    let parts: Vec<&str> = text.split(',').collect();
    let dim = usize::from(kind.dimension());
    if parts.len() > dim {
        let (found, allowed) = match dim {
            1 => ("Elem separator", "none"),
            2 => ("Two elem separators", "one"),
            _ => ("Three elem separators", "two"),
        };
        let name = kind.name();
        return Err(format!("Syntax error: {found} in {text}, but settype {name} supports {allowed}."));
    }
    if parts.len() < dim {
        let missing = if parts.len() == 1 { "Second" } else { "Third" };
        return Err(format!("Syntax error: {missing} element is missing from {text}."));
    }
    let nothing = Addrs::Net(Ipv4Addr::UNSPECIFIED, 32);
    let mut elems = Elems { first: nothing, proto: Protocol(0), ports: (0, 0), second: nothing };
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    if kind.has_addr() {
        elems.first = addrs(next())?;
    }
    if kind.has_port() {
        (elems.proto, elems.ports) = proto_port(next())?;
    }
    if kind.has_second() {
        let text = next();
        if kind == SetType::HashIpPortIp && text.contains(['/', '-']) {
            return Err(format!("Syntax error: plain IP address must be supplied: {text}"));
        }
        elems.second = addrs(text)?;
    }
    Ok(elems)
}

/// What `test` refuses although `add` takes it.
pub fn check_test(kind: SetType, elems: &Elems) -> Result<(), String> {
    let what = match elems.first {
        _ if !(kind.has_addr() && kind.has_port()) || kind.first_is_net() => return Ok(()),
        Addrs::Net(_, 32) => return Ok(()),
        Addrs::Net(..) => "IP/CIDR range",
        Addrs::Range(..) => "FROM-TO IP range",
    };
    Err(format!("{what} is not allowed in command test with set type {} and family inet", kind.name()))
}

fn addrs(text: &str) -> Result<Addrs, String> {
    let one = |t: &str| {
        addr::dotted(t)
            .ok_or_else(|| format!("Syntax error: cannot parse {t}: resolving to IPv4 address failed"))
    };
    if let Some((ip, len)) = text.split_once('/') {
        return Ok(Addrs::Net(one(ip)?, u8_of(len, 32)?));
    }
    match text.split_once('-') {
        Some((from, to)) => Ok(Addrs::Range(one(from)?, one(to)?)),
        None => Ok(Addrs::Net(one(text)?, 32)),
    }
}

/// A number in ipset's words.
fn within(text: &str, max: u64) -> Result<u64, String> {
    match number::unsigned(text, 0, u64::MAX) {
        None => Err(format!("Syntax error: '{text}' is invalid as number")),
        Some(n) if n > max => Err(format!("Syntax error: '{text}' is out of range 0-{max}")),
        Some(n) => Ok(n),
    }
}

fn u8_of(text: &str, max: u8) -> Result<u8, String> {
    within(text, u64::from(max)).map(|n| u8::try_from(n).unwrap_or(max))
}

/// `[PROTO:]PORT[-PORT]`; without a protocol it is tcp.
pub(super) fn proto_port(text: &str) -> Result<(Protocol, (Port, Port)), String> {
    let known = text.split_once(':').filter(|(_, rest)| !rest.is_empty());
    let Some((name, rest)) = known else { return Ok((Protocol::TCP, ports(text, "tcp", Protocol::TCP)?)) };
    let proto = protocol(name).filter(|p| p.0 > 0);
    let proto = proto.ok_or_else(|| format!("Syntax error: cannot parse '{name}' as a protocol"))?;
    let shown = proto_name(proto);
    match proto {
        Protocol::ICMP => {
            let port = icmp_port(rest)?;
            Ok((proto, (port, port)))
        }
        ICMPV6 => Err("Syntax error: Protocol ICMPv6 can be used with family inet6 only".to_owned()),
        Protocol::TCP | Protocol::UDP | Protocol(132) | Protocol(136) => {
            Ok((proto, ports(rest, &shown, proto)?))
        }
        _ if rest == "0" => Ok((proto, (0, 0))),
        _ => Err(format!("Syntax error: Protocol {shown} can be used with pseudo port value 0 only.")),
    }
}

fn ports(text: &str, shown: &str, proto: Protocol) -> Result<(Port, Port), String> {
    let one = |t: &str| {
        let n = within(t, 65535).map(|n| Port::try_from(n).unwrap_or(Port::MAX));
        n.or_else(|why| service(t, proto).ok_or(why)).map_err(|why| {
            format!(
                "{why}\nSyntax error: '{shown}' is invalid as number\ncannot parse '{t}' as a {shown} port"
            )
        })
    };
    match text.split_once('-') {
        // The name of a service may have a dash.
        Some(_) if service(text, proto).is_some() => one(text).map(|p| (p, p)),
        Some((from, to)) => Ok((one(from)?, one(to)?)),
        None => one(text).map(|p| (p, p)),
    }
}

fn icmp_port(text: &str) -> Result<Port, String> {
    if let Some(port) = icmp::port(text) {
        return Ok(port);
    }
    let Some((kind, code)) = text.split_once('/') else {
        return Err(format!("Cannot parse {text} as an ICMP type/code."));
    };
    Ok(Port::from(u8_of(kind, 255)?) << 8 | Port::from(u8_of(code, 255)?))
}

fn proto_name(proto: Protocol) -> String {
    protocol_name(proto).map_or_else(|| proto.0.to_string(), str::to_owned)
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
    if kind.has_second() {
        out.push_str(&format!(",{}", addrs_text(e.second)));
    }
    out
}

/// A member as `list` and `save` print it.
pub fn elem_text(kind: SetType, e: &Elem) -> String {
    let (first, second) = (Addrs::Net(e.ip, e.cidr), Addrs::Net(e.ip2, e.cidr2));
    entry_text(kind, &Elems { first, proto: e.proto, ports: (e.port, e.port), second })
}
