//! Which rules of a long chain a packet can match, without a look at the others.
//!
//! A rule that asks for one address, or for one port, is passed over if the packet has another. Nothing is lost by that:
//! addresses and protocol are what a rule checks first, so no match behind them would have been asked, whatever it
//! remembers or changes; and a port counts only if nothing but comments stands before it. All other rules are looked
//! at, one by one. A walk that is logged does not use the index, as its log tells of every rule.

use super::entry::Packet;
use super::matches::Match;
use super::{IpMatch, Neg, PortRange, Rule};
use packet::{Port, Protocol};
use std::net::IpAddr;

/// What a rule asks for, or what a packet offers: kind, address, protocol, port.
pub(super) type Key = u64;

/// The entries that have a key.
#[derive(Clone, Debug)]
pub(super) struct KeyIndex {
    /// By the hash of the key: `entries[buckets[h]..buckets[h + 1]]`, in their order.
    buckets: Vec<u32>,
    entries: Vec<(Key, u32)>,
    /// The kinds of keys that there are, as bits.
    kinds: u8,
}

impl KeyIndex {
    /// Keys and where the entries stand, in that order.
    pub fn new(keyed: &[(Key, u32)]) -> KeyIndex {
        let count = keyed.len().next_power_of_two();
        let (mut begin, mut kinds) = (vec![0u32; count + 1], 0);
        for (key, _) in keyed {
            kinds |= kind(*key);
            begin[bucket(*key, count) + 1] += 1;
        }
        for i in 0..count {
            begin[i + 1] += begin[i];
        }
        let buckets = begin.clone();
        let mut entries = vec![(0, 0); keyed.len()];
        for e in keyed {
            let to = &mut begin[bucket(e.0, count)];
            entries[*to as usize] = *e;
            *to += 1;
        }
        KeyIndex { buckets, entries, kinds }
    }

    /// The first entry from `low` on that the packet can match, if it stands before `plain`; else that.
    pub fn first(&self, low: u32, plain: u32, packet: &Packet) -> u32 {
        let Some(keys) = packet_keys(packet) else { return low };
        let mut best = plain;
        for key in keys.into_iter().filter(|key| self.kinds & kind(*key) != 0) {
            let at = bucket(key, self.buckets.len() - 1);
            let entries = &self.entries[self.buckets[at] as usize..self.buckets[at + 1] as usize];
            // A bucket may be long: many rules may ask for the same.
            let later = if entries.len() < 8 { 0 } else { entries.partition_point(|(_, e)| *e < low) };
            let found = entries[later..].iter().take_while(|(_, e)| *e < best);
            best = found.filter(|(k, e)| *k == key && *e >= low).map(|(_, e)| *e).next().unwrap_or(best);
        }
        best
    }
}

fn bucket(key: Key, count: usize) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (count - 1)
}

const BY_DST: u8 = 1;
const BY_SRC: u8 = 2;
const BY_PORT: u8 = 3;
const BY_DST_PORT: u8 = 4;

fn key(kind: u8, addr: u32, proto: u8, port: Port) -> Key {
    u64::from(kind) << 56 | u64::from(addr) << 24 | u64::from(proto) << 16 | u64::from(port)
}

/// The bit of a key's kind.
fn kind(key: Key) -> u8 {
    1 << (key >> 56)
}

/// What a rule needs, if it is one of these.
pub(super) fn rule_key(rule: &Rule) -> Option<Key> {
    Some(match (one(&rule.dst), one(&rule.src), dport(rule)) {
        (Some(dst), _, Some((proto, port))) => key(BY_DST_PORT, dst, proto, port),
        (Some(dst), _, None) => key(BY_DST, dst, 0, 0),
        (None, Some(src), _) => key(BY_SRC, src, 0, 0),
        (None, None, Some((proto, port))) => key(BY_PORT, 0, proto, port),
        (None, None, None) => return None,
    })
}

/// The only address that fits.
fn one(option: &Option<Neg<IpMatch>>) -> Option<u32> {
    match option.as_ref().filter(|o| !o.not)?.value {
        IpMatch { addr: IpAddr::V4(addr), mask: IpAddr::V4(mask) } if mask.is_broadcast() => {
            Some(addr.to_bits())
        }
        _ => None,
    }
}

/// Protocol and port of a rule that asks for one port of a protocol before anything else.
fn dport(rule: &Rule) -> Option<(u8, Port)> {
    let proto = rule.proto.filter(|p| !p.not)?.value;
    let first = rule.matches.iter().find(|m| !matches!(m, Match::Comment(_)))?;
    let ports = match first {
        Match::Udp(m) if proto == Protocol::UDP => m.dport,
        Match::Tcp(m) if proto == Protocol::TCP => m.dport,
        _ => None,
    };
    let Neg { not: false, value: PortRange { min, max } } = ports? else { return None };
    (min == max).then_some((proto.0, min))
}

/// What a packet has. None if its ports cannot be seen although its protocol has some: then every rule is looked at, as a
/// match may drop a packet with half a header.
fn packet_keys(p: &Packet) -> Option<[Key; 4]> {
    let port = match p.ports {
        Some((_, dport)) => dport,
        None if p.proto == Protocol::TCP.0 || p.proto == Protocol::UDP.0 => return None,
        None => 0,
    };
    Some([
        key(BY_DST_PORT, p.dst, p.proto, port),
        key(BY_DST, p.dst, 0, 0),
        key(BY_SRC, p.src, 0, 0),
        key(BY_PORT, 0, p.proto, port),
    ])
}
