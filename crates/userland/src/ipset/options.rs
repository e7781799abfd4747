//! The options of `create` and of members.

use super::command::set_name;
use super::entry::{address, port_range, within};
use super::errors::IpsetError;
use super::line::Verb;
use kernel::netfilter::ipset::{Addrs, ElemInfo, Elems, Mask, SetOptions, SetType, SkbInfo};
use std::net::Ipv4Addr;

/// The kernel counts milliseconds in 31 bits.
const TIMEOUT_MAX: u64 = 2_147_483;
const COMMENT_MAX: usize = 255;

/// Options being read: each may be given once.
struct Options<'a> {
    words: std::slice::Iter<'a, String>,
    seen: Vec<&'static str>,
}

impl<'a> Options<'a> {
    fn new(words: &'a [String]) -> Options<'a> {
        Options { words: words.iter(), seen: Vec::new() }
    }

    /// The next option.
    fn next(&mut self) -> Option<&'a str> {
        self.words.next().map(String::as_str)
    }

    /// The word behind an option; `what` names what it sets.
    fn value(&mut self, option: &str, what: &'static str) -> Result<&'a str, IpsetError> {
        let Some(word) = self.words.next() else {
            return Err(IpsetError::usage(format!("Missing mandatory argument of option `{option}'")));
        };
        self.once(option, what)?;
        Ok(word)
    }

    fn once(&mut self, option: &str, what: &'static str) -> Result<(), IpsetError> {
        if self.seen.contains(&what) {
            return Err(format!("Syntax error: {option} already specified").into());
        }
        self.seen.push(what);
        Ok(())
    }

    fn number(&mut self, option: &str, what: &'static str, max: u64) -> Result<u64, IpsetError> {
        let word = self.value(option, what)?;
        within(word, max)
    }

    fn u32(&mut self, option: &str, what: &'static str) -> Result<u32, IpsetError> {
        self.number(option, what, u64::from(u32::MAX)).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    fn timeout(&mut self, option: &str) -> Result<Option<u32>, IpsetError> {
        self.number(option, "timeout", TIMEOUT_MAX).map(|n| u32::try_from(n).ok())
    }
}

/// The options of `create`, of which each type has its own.
pub(super) fn create_options(kind: SetType, words: &[String]) -> Result<SetOptions, IpsetError> {
    let mut out = SetOptions::default();
    let mut given = Options::new(words);
    while let Some(option) = given.next() {
        match option.strip_prefix("--").unwrap_or(option) {
            "family" if kind.is_hash() => match given.value("family", "family")? {
                "inet" | "ipv4" | "-4" => {}
                "inet6" | "ipv6" | "-6" => return Err(IpsetError::not_modelled("family inet6")),
                word => return Err(format!("Syntax error: unknown inet family {word}").into()),
            },
            "-4" if kind.is_hash() => given.once(option, "family")?,
            "-6" if kind.is_hash() => {
                given.once(option, "family")?;
                return Err(IpsetError::not_modelled("family inet6"));
            }
            "hashsize" if kind.is_hash() => out.hashsize = given.u32("hashsize", "hashsize")?,
            "maxelem" if kind.is_hash() => out.maxelem = given.u32("maxelem", "maxelem")?,
            "bucketsize" if kind.is_hash() => {
                let n = given.number("bucketsize", "bucketsize", 255)?;
                out.bucketsize = u8::try_from(n).unwrap_or(u8::MAX);
            }
            "initval" if kind.is_hash() => out.initval = given.u32("initval", "initval")?,
            // ipset 7.17 takes the word and does not tell the kernel.
            "forceadd" if kind.is_hash() => {}
            "netmask" if kind.has_netmask() => out.mask = netmask(&mut given)?,
            "bitmask" if kind.has_bitmask() => out.mask = bitmask(&mut given)?,
            "size" if kind == SetType::ListSet => out.size = given.u32("size", "size")?,
            "range" if kind.is_bitmap() => {
                let word = given.value("range", "range")?;
                given.seen.push("from");
                range(kind, word, &mut out, &mut given.seen)?;
            }
            "network" if kind == SetType::BitmapIp => {
                let word = given.value("network", "from")?;
                range(kind, word, &mut out, &mut given.seen)?;
            }
            "from" if kind.is_bitmap() => {
                let word = given.value("from", "from")?;
                end(kind, word, &mut out.ips.0, &mut out.ports.0)?;
            }
            "to" if kind.is_bitmap() => {
                let word = given.value("to", "to")?;
                end(kind, word, &mut out.ips.1, &mut out.ports.1)?;
            }
            "timeout" => out.timeout = given.timeout("timeout")?,
            "counters" => out.counters = true,
            "comment" => out.comment = true,
            "skbinfo" => out.skbinfo = true,
            word if ignored(kind, word) => {
                let taken = given.words.next();
                taken.ok_or_else(|| {
                    IpsetError::usage(format!("Missing mandatory argument of option `{word}'"))
                })?;
            }
            _ => return Err(IpsetError::unknown(option)),
        }
    }
    if kind.is_bitmap() {
        for (what, says) in [("from", "range"), ("to", "to")] {
            if !given.seen.contains(&what) {
                return Err(IpsetError::usage(format!("Mandatory option `{says}' is missing")));
            }
        }
    }
    Ok(out)
}

/// Options of ipset 4 that mean nothing any more.
fn ignored(kind: SetType, word: &str) -> bool {
    match word {
        "probes" | "resize" => {
            kind.is_hash() && !matches!(kind, SetType::HashNetPort | SetType::HashNetIface)
        }
        "gc" => kind == SetType::HashIp,
        "from" | "to" | "network" => {
            matches!(kind, SetType::HashIpPort | SetType::HashIpPortIp | SetType::HashIpPortNet)
        }
        _ => false,
    }
}

fn one_mask(given: &mut Options<'_>) -> Result<(), IpsetError> {
    if given.seen.contains(&"netmask") && given.seen.contains(&"bitmask") {
        let says = "Syntax error: bitmask and netmask are mutually exclusive, provide only one";
        return Err(says.to_owned().into());
    }
    Ok(())
}

fn netmask(given: &mut Options<'_>) -> Result<Mask, IpsetError> {
    let word = given.value("netmask", "netmask")?;
    one_mask(given)?;
    let number = super::entry::between(word, 1, 32).map_err(|e| IpsetError {
        says: format!("{}\nSyntax error: netmask is out of the inclusive range of 1-32", e.says),
        ..e
    })?;
    Ok(Mask::Net(u8::try_from(number).unwrap_or(32)))
}

fn bitmask(given: &mut Options<'_>) -> Result<Mask, IpsetError> {
    let word = given.value("bitmask", "bitmask")?;
    one_mask(given)?;
    let bits = address(word).map_err(|e| IpsetError {
        says: format!("{}\nSyntax error: bitmask is not valid for family = inet", e.says),
        ..e
    })?;
    Ok(Mask::Bits(bits))
}

/// `range FROM-TO` or `range NETWORK` of a bitmap.
fn range(
    kind: SetType,
    word: &str,
    out: &mut SetOptions,
    seen: &mut Vec<&'static str>,
) -> Result<(), IpsetError> {
    if kind == SetType::BitmapPort {
        out.ports = port_range(word)?;
        if word.contains('-') {
            seen.push("to");
        }
        return Ok(());
    }
    seen.push("to");
    let both = word.split_once('-').filter(|(_, to)| !to.is_empty());
    out.ips = match (both, word.split_once('/')) {
        (Some((from, to)), _) => (address(from)?, address(to)?),
        (None, Some((ip, len))) => {
            let (ip, len) = (address(ip)?, super::entry::between(len, 0, 32)?);
            let host = u32::MAX.checked_shr(u32::try_from(len).unwrap_or(32)).unwrap_or(0);
            (Ipv4Addr::from_bits(ip.to_bits() & !host), Ipv4Addr::from_bits(ip.to_bits() | host))
        }
        (None, None) => {
            return Err(format!("Syntax error: IP/cidr or IP-IP range must be specified: {word}").into());
        }
    };
    Ok(())
}

/// `from`, `to` of a bitmap.
fn end(kind: SetType, word: &str, ip: &mut Ipv4Addr, port: &mut u16) -> Result<(), IpsetError> {
    match kind {
        SetType::BitmapPort => *port = port_range(word)?.0,
        _ => match super::entry::addrs(word)? {
            Addrs::Net(one, 32) if !word.contains('/') => *ip = one,
            _ => {
                return Err(format!("Syntax error: plain IP address must be supplied: {word}").into());
            }
        },
    }
    Ok(())
}

/// The options of `add`, `del` and `test`; those that belong to the member go there.
pub(super) fn entry_options(
    verb: Verb,
    kind: SetType,
    words: &[String],
    elems: &mut Elems,
) -> Result<ElemInfo, IpsetError> {
    let (mut out, mut skb) = (ElemInfo::default(), None::<SkbInfo>);
    let mut given = Options::new(words);
    let add = verb == Verb::Add;
    while let Some(option) = given.next() {
        match option.strip_prefix("--").unwrap_or(option) {
            "nomatch" if kind.has_nomatch() && verb != Verb::Del => out.nomatch = true,
            "wildcard" if kind == SetType::HashNetIface && add => elems.wildcard = true,
            word @ ("before" | "after") if kind == SetType::ListSet => {
                if elems.place.is_some() {
                    given.seen.push("near");
                }
                let near = set_name(given.value(word, "near")?)?;
                elems.place = Some((word == "before", near.into()));
            }
            "timeout" if add => out.timeout = given.timeout("timeout")?,
            "packets" if add => out.packets = Some(given.number("packets", "packets", u64::MAX)?),
            "bytes" if add => out.bytes = Some(given.number("bytes", "bytes", u64::MAX)?),
            "comment" if add => out.comment = Some(comment(given.value("comment", "comment")?)?),
            "skbmark" if add => {
                let skb = skb.get_or_insert_default();
                (skb.mark, skb.mask) = skbmark(given.value("skbmark", "skbmark")?)?;
            }
            "skbprio" if add => {
                skb.get_or_insert_default().prio = skbprio(given.value("skbprio", "skbprio")?)?;
            }
            "skbqueue" if add => {
                let n = given.number("skbqueue", "skbqueue", 65535)?;
                skb.get_or_insert_default().queue = u16::try_from(n).unwrap_or(u16::MAX);
            }
            _ => return Err(IpsetError::unknown(option)),
        }
    }
    out.skbinfo = skb;
    Ok(out)
}

fn comment(text: &str) -> Result<String, IpsetError> {
    if text.contains('"') {
        return Err("Syntax error: \" character is not permitted in comments".to_owned().into());
    }
    if text.len() > COMMENT_MAX {
        let says =
            format!("Syntax error: Comment is longer than the maximum allowed {COMMENT_MAX} characters");
        return Err(says.into());
    }
    Ok(text.to_owned())
}

/// A hexadecimal number at the beginning, and what follows it.
fn hex(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    // Digits beyond the eighth push the first ones out.
    let last = digits.get(digits.len().saturating_sub(8)..)?;
    Some((u32::from_str_radix(last, 16).ok()?, rest))
}

/// `0xMARK[/0xMASK]`
fn skbmark(text: &str) -> Result<(u32, u32), IpsetError> {
    let wrong = || {
        let says = "Syntax error: Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)";
        IpsetError::from(says.to_owned())
    };
    let (mark, rest) = text.strip_prefix("0x").and_then(hex).ok_or_else(wrong)?;
    let mask = rest.strip_prefix("/0x").and_then(hex).map_or(u32::MAX, |(mask, _)| mask);
    Ok((mark, mask))
}

/// `MAJOR:MINOR`, both hexadecimal.
fn skbprio(text: &str) -> Result<u32, IpsetError> {
    let both = hex(text).and_then(|(major, rest)| Some((major, hex(rest.strip_prefix(':')?)?.0)));
    match both {
        Some((major, minor)) => Ok(major << 16 | (minor & 0xffff)),
        None => {
            let says = "Syntax error: Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)";
            Err(says.to_owned().into())
        }
    }
}
