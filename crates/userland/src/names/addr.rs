//! Addresses and masks as iptables reads and prints them.

use super::number::unsigned;
use crate::diagnostic::{Fault, q};
use kernel::netfilter::xtables::IpMatch;
use packet::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Up to four numbers with dots; missing ones at the end are zero.
pub(crate) fn dotted(text: &str) -> Option<Ipv4Addr> {
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for (i, octet) in octets.iter_mut().enumerate() {
        match parts.next() {
            Some(p) => *octet = u8::try_from(unsigned(p, 0, 255)?).ok()?,
            None if i > 0 => break,
            None => return None,
        }
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// An address of which the last numbers may be missing, as in `10.1/16`; names are refused.
pub(crate) fn address(text: &str) -> Result<Ipv4Addr, Fault> {
    dotted(text).ok_or_else(|| no_address(text))
}

/// An address with all four numbers.
pub(crate) fn whole_address(text: &str) -> Result<Ipv4Addr, Fault> {
    dotted(text).filter(|_| text.split('.').count() == 4).ok_or_else(|| no_address(text))
}

/// An address as `getaddrinfo` reads it: the last number fills the bytes that are left, so that `10.1` is 10.0.0.1. The
/// only name that is known is localhost.
pub(crate) fn resolved(text: &str) -> Result<Ipv4Addr, Fault> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST);
    }
    let read = || {
        let (head, last) = text.rsplit_once('.').map_or((None, text), |(h, l)| (Some(h), l));
        let mut bits = 0u64;
        let mut left = 32u32;
        for part in head.into_iter().flat_map(|h| h.split('.')) {
            left = left.checked_sub(8).filter(|n| *n > 0)?;
            bits |= unsigned(part, 0, 255)? << left;
        }
        bits |= unsigned(last, 0, (1u64 << left) - 1)?;
        u32::try_from(bits).ok().map(Ipv4Addr::from)
    };
    // Its words depend on the machine.
    read().ok_or_else(|| no_address(text).silent())
}

/// `ADDRESS[/MASK]` with an address as in [`resolved`]; bits outside the mask stay.
pub(crate) fn resolved_network(text: &str) -> Result<IpMatch, Fault> {
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip, mask(bits).map_err(Fault::silent)?),
        None => (text, Ipv4Addr::BROADCAST),
    };
    Ok(IpMatch { addr: IpAddr::V4(resolved(ip)?), mask: IpAddr::V4(bits) })
}

fn no_address(text: &str) -> Fault {
    {
        let (message, help) = if text.parse::<std::net::Ipv6Addr>().is_ok() {
            (format!("{} is an IPv6 address", q(text)), "expected an IPv4 address")
        } else if text.chars().any(|c| c.is_ascii_alphabetic()) && !text.starts_with("0x") {
            (
                format!("{} is a name, not an address", q(text)),
                "expected an IPv4 address such as 10.0.0.1 (names are not looked up)",
            )
        } else {
            (
                format!("{} is not an IPv4 address", q(text)),
                "expected four numbers from 0 to 255 such as 10.0.0.1",
            )
        };
        Fault::new(message, help)
    }
}

/// A mask: a prefix length or dotted.
pub(crate) fn mask(text: &str) -> Result<Ipv4Addr, Fault> {
    if let Some(n) = unsigned(text, 0, 32) {
        return Ok(prefix_mask(u8::try_from(n).unwrap_or(32)));
    }
    let full = text.split('.').count() == 4;
    dotted(text).filter(|_| full).ok_or_else(|| {
        Fault::new(
            format!("{} is not a mask", q(text)),
            "expected a prefix length from 0 to 32, or a mask such as 255.255.0.0",
        )
        .usage(format!("invalid mask `{text}' specified"))
    })
}

/// The mask of a prefix length.
pub(crate) fn prefix_mask(len: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0))
}

/// The prefix length of a mask, if it is one.
pub(crate) fn prefix_len(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let len = bits.leading_ones();
    (bits.count_ones() == len).then(|| u8::try_from(len).unwrap_or(32))
}

/// The mask of a single address.
pub(crate) fn host_mask(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::BROADCAST),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    }
}

/// The prefix length of a mask of either family, if it is one.
pub(crate) fn prefix_len_of(mask: IpAddr) -> Option<u8> {
    match mask {
        IpAddr::V4(m) => prefix_len(m),
        IpAddr::V6(m) => {
            let len = m.to_bits().leading_ones();
            (m.to_bits().count_ones() == len).then(|| u8::try_from(len).unwrap_or(128))
        }
    }
}

/// An IPv6 address; names are refused.
fn address6(text: &str) -> Result<Ipv6Addr, Fault> {
    text.parse().map_err(|_| {
        let (message, help) = if dotted(text).is_some() {
            (format!("{} is an IPv4 address", q(text)), "expected an IPv6 address, or iptables")
        } else {
            (format!("{} is not an IPv6 address", q(text)), "expected an address such as fd00::1")
        };
        Fault::new(message, help)
    })
}

/// A mask for IPv6: a prefix length, or as an address.
fn mask6(text: &str) -> Result<Ipv6Addr, Fault> {
    if let Some(n) = unsigned(text, 0, 128) {
        let host = u32::try_from(128 - n).unwrap_or(0);
        return Ok(Ipv6Addr::from_bits(u128::MAX.checked_shl(host).unwrap_or(0)));
    }
    text.parse().map_err(|_| {
        let help = "expected a prefix length from 0 to 128, or a mask such as ffff:ffff::";
        Fault::new(format!("{} is not a mask", q(text)), help)
            .usage(format!("invalid mask `{text}' specified"))
    })
}

/// An address that is written in full, of either family.
pub(crate) fn whole_address_of(family: Family, text: &str) -> Result<IpAddr, Fault> {
    match family {
        Family::V4 => whole_address(text).map(IpAddr::V4),
        Family::V6 => address6(text).map(IpAddr::V6),
    }
}

/// As [`resolved`], of either family.
pub(crate) fn resolved_of(family: Family, text: &str) -> Result<IpAddr, Fault> {
    match family {
        Family::V4 => resolved(text).map(IpAddr::V4),
        Family::V6 if text == "localhost" => Ok(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        Family::V6 => address6(text).map(IpAddr::V6).map_err(Fault::silent),
    }
}

/// As [`resolved_network`], of either family.
pub(crate) fn resolved_network_of(family: Family, text: &str) -> Result<IpMatch, Fault> {
    if family == Family::V4 {
        return resolved_network(text);
    }
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip, IpAddr::V6(mask6(bits).map_err(Fault::silent)?)),
        None => (text, host_mask(family)),
    };
    Ok(IpMatch { addr: resolved_of(family, ip)?, mask: bits })
}

/// `ADDRESS[/MASK]`; bits outside the mask are cleared.
pub(crate) fn network(family: Family, text: &str) -> Result<IpMatch, Fault> {
    match family {
        Family::V4 => network4(text),
        Family::V6 => network6(text),
    }
}

fn network6(text: &str) -> Result<IpMatch, Fault> {
    let (addr, bits) = match text.rsplit_once('/') {
        Some((addr, bits)) => (addr, mask6(bits)?),
        None => (text, Ipv6Addr::from_bits(u128::MAX)),
    };
    let ip = address6(addr).map_err(|f| f.usage(format!("host/network `{addr}' not found")))?;
    Ok(IpMatch { addr: IpAddr::V6(ip & bits), mask: IpAddr::V6(bits) })
}

fn network4(text: &str) -> Result<IpMatch, Fault> {
    if let Some(addr) = text.split('/').next().filter(|a| a.contains(':')) {
        return Err(no_address(addr).usage(format!("host/network `{addr}' not found")));
    }
    // The mask stands after the last slash, as the real parser looks for it.
    let (addr, bits) = match text.rsplit_once('/') {
        Some((addr, bits)) => (addr, mask(bits)?),
        None => (text, Ipv4Addr::BROADCAST),
    };
    let ip = address(addr).map_err(|f| f.usage(format!("host/network `{addr}' not found")))?;
    Ok(IpMatch { addr: IpAddr::V4(ip & bits), mask: IpAddr::V4(bits) })
}

/// The mask as it stands behind an address: nothing for a single address.
pub(crate) fn mask_suffix(net: &IpMatch) -> String {
    match net.mask {
        IpAddr::V4(m) => match prefix_len(m) {
            Some(32) => String::new(),
            Some(n) => format!("/{n}"),
            None => format!("/{m}"),
        },
        IpAddr::V6(m) => match prefix_len_of(net.mask) {
            Some(128) => String::new(),
            Some(n) => format!("/{n}"),
            None => format!("/{m}"),
        },
    }
}

/// `-s`, `-d` as -S prints them: always with a mask.
pub(crate) fn network_text(net: &IpMatch) -> String {
    match mask_suffix(net).as_str() {
        "" => format!("{}/{}", net.addr, if net.addr.is_ipv4() { 32 } else { 128 }),
        mask => format!("{}{mask}", net.addr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_iptables_reads_them() {
        // Recorded in ipt-rules-basic and asked from iptables 1.8.9.
        for (text, printed) in [
            ("10.0.0.1", "10.0.0.1/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.0.0.1/255.0.255.0", "10.0.0.0/255.0.255.0"),
            ("0/0", "0.0.0.0/0"),
            ("10", "10.0.0.0/32"),
            ("10.1/16", "10.1.0.0/16"),
            ("1.2.3.4/032", "1.2.3.0/26"),
            ("0x1.2.3.4", "1.2.3.4/32"),
            ("01.2.3.4", "1.2.3.4/32"),
            ("255.255.255.255", "255.255.255.255/32"),
        ] {
            assert_eq!(network4(text).map(|n| network_text(&n)).as_deref(), Ok(printed), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_reason() {
        for (text, message) in [
            ("10.0.0.256", "\"10.0.0.256\" is not an IPv4 address"),
            ("10.0.0.0/33", "\"33\" is not a mask"),
            ("10.0.0.0/", "\"\" is not a mask"),
            ("10.0.0.0/255.255", "\"255.255\" is not a mask"),
            ("fe80::1", "\"fe80::1\" is an IPv6 address"),
            ("no.such.host", "\"no.such.host\" is a name, not an address"),
            ("1.2.3.4.5", "\"1.2.3.4.5\" is not an IPv4 address"),
            ("1.2.3.4/24/3", "\"1.2.3.4/24\" is not an IPv4 address"),
            ("", "\"\" is not an IPv4 address"),
        ] {
            assert_eq!(network4(text).unwrap_err().message, message, "{text}");
        }
    }
}
