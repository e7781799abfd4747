//! Which rules of a long chain a packet can match, without a look at the others.
//!
//! A rule that asks for one address, or for one port, is passed over if the packet has another. Nothing is lost by that:
//! addresses and protocol are what a rule checks first, so no match behind them would have been asked, whatever it
//! remembers or changes; and a port counts only if nothing but comments stands before it. All other rules are looked
//! at, one by one. A walk that is logged does not use the index, as its log tells of every rule.

use super::matches::{CtStates, Match};
use super::{IpMatch, Neg, PortRange, Rule, RuleSet};
use crate::Skb;
use packet::{Ip, L4, Port, Protocol};
use std::net::IpAddr;

/// So many rules of a chain must have a key, or it is walked rule by rule.
const KEYED_MIN: usize = 8;

/// What a rule asks for, or what a packet offers: kind, address, protocol, port.
type Key = u64;

/// The index of a rule set. It is made when it is first needed, and goes with the set.
#[derive(Clone, Debug)]
pub(crate) struct RuleIndex {
    /// Where the rules of a chain begin in `next`; none for a chain that is walked rule by rule.
    chains: Vec<Option<usize>>,
    /// For each rule: its own place if it has no key, else that of the next one without; one more for the chain's end.
    next: Vec<u32>,
    /// Rules with a key by its hash: `entries[buckets[h]..buckets[h + 1]]`, in the order of the rules.
    buckets: Vec<u32>,
    entries: Vec<(Key, u32)>,
    /// The kinds of keys that there are, as bits.
    kinds: u8,
    /// What each rule asks, chain after chain, and where the rules of each chain begin.
    asks: Vec<Asks>,
    first_asks: Vec<usize>,
}

/// What a rule asks, if one look at the packet answers it.
#[derive(Clone, Copy, Debug)]
enum Asks {
    /// Something else.
    More,
    /// For one of these states, as bits; all of them if it asks for nothing.
    State(u16),
    /// For a mark: value, mask, negated.
    Mark(u32, u32, bool),
}

impl Asks {
    fn of(rule: &Rule) -> Asks {
        // All but the matches.
        let Rule {
            src: None, dst: None, in_iface: None, out_iface: None, proto: None, fragment: None, ..
        } = rule
        else {
            return Asks::More;
        };
        let mut matches = rule.matches.iter().filter(|m| !matches!(m, Match::Comment(_)));
        match (matches.next(), matches.next()) {
            (None, _) => Asks::State(!0),
            (Some(Match::Conntrack(m)), None) => m.states().map_or(Asks::More, Asks::State),
            (Some(Match::Mark(m)), None) => Asks::Mark(m.mark.value.0, m.mark.value.1, m.mark.not),
            _ => Asks::More,
        }
    }
}

impl RuleIndex {
    /// Reads a rule set.
    pub fn new(rules: &RuleSet) -> RuleIndex {
        let mut index = RuleIndex {
            chains: Vec::new(),
            next: Vec::new(),
            buckets: Vec::new(),
            entries: Vec::new(),
            kinds: 0,
            asks: Vec::new(),
            first_asks: Vec::new(),
        };
        for chain in &rules.chains {
            index.first_asks.push(index.asks.len());
            index.asks.extend(chain.rules.iter().map(|r| Asks::of(r)));
            let begin = index.next.len();
            let keys: Vec<Option<Key>> = chain.rules.iter().map(|r| rule_key(r)).collect();
            let many = keys.iter().flatten().count() >= KEYED_MIN;
            index.chains.push(many.then_some(begin));
            if !many {
                continue;
            }
            index.next.extend((begin..=begin + keys.len()).map(number));
            for (at, key) in (begin..).zip(&keys) {
                index.entries.extend(key.map(|key| (key, number(at))));
            }
            for (at, _) in (begin..begin + keys.len()).zip(&keys).rev().filter(|(_, key)| key.is_some()) {
                index.next[at] = index.next[at + 1];
            }
        }
        index.sort();
        index
    }

    /// Puts the entries into buckets.
    fn sort(&mut self) {
        let count = self.entries.len().next_power_of_two();
        let hash = |(key, _): &(Key, u32)| bucket(*key, count);
        let mut begin = vec![0u32; count + 1];
        for e in &self.entries {
            self.kinds |= kind(e.0);
            begin[hash(e) + 1] += 1;
        }
        for i in 0..count {
            begin[i + 1] += begin[i];
        }
        self.buckets = begin.clone();
        let mut sorted = vec![(0, 0); self.entries.len()];
        for e in &self.entries {
            let to = &mut begin[hash(e)];
            sorted[*to as usize] = *e;
            *to += 1;
        }
        self.entries = sorted;
    }

    /// Whether a rule matches an IP packet, if one look tells it. It remembers nothing then.
    #[inline]
    pub fn quick(&self, chain: usize, rule: usize, skb: &Skb) -> Option<bool> {
        match *self.asks.get(self.first_asks.get(chain)? + rule)? {
            Asks::More => None,
            Asks::State(states) => Some(states == !0 || states & CtStates::bit(skb.ct.state()) != 0),
            Asks::Mark(value, mask, not) => Some((skb.mark & mask == value) != not),
        }
    }

    /// The first rule from `from` on that the packet can match; the chain's end if there is none.
    pub fn first(&self, chain: usize, from: usize, skb: &Skb) -> usize {
        match self.chains.get(chain) {
            Some(Some(begin)) => self.search(*begin, from, skb),
            _ => from,
        }
    }

    fn search(&self, begin: usize, from: usize, skb: &Skb) -> usize {
        let low = begin + from;
        let Some(plain) = self.next.get(low).copied() else { return from };
        if plain as usize == low {
            return from;
        }
        let Some(keys) = skb.ip().and_then(packet_keys) else { return from };
        let mut best = plain;
        for key in keys.into_iter().filter(|key| self.kinds & kind(*key) != 0) {
            let at = bucket(key, self.buckets.len() - 1);
            let entries = &self.entries[self.buckets[at] as usize..self.buckets[at + 1] as usize];
            let later = entries.partition_point(|(_, rule)| (*rule as usize) < low);
            let found = entries[later..].iter().take_while(|(_, rule)| *rule < best).find(|(k, _)| *k == key);
            best = found.map_or(best, |(_, rule)| *rule);
        }
        best as usize - begin
    }
}

/// A rule set has fewer rules than that.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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
fn rule_key(rule: &Rule) -> Option<Key> {
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

/// What a packet has. None if its ports cannot be seen although its protocol has some: then every rule is looked at.
fn packet_keys(ip: &Ip) -> Option<[Key; 4]> {
    let (src, dst, proto) = (ip.src_v4()?.to_bits(), ip.dst_v4()?.to_bits(), ip.protocol());
    let port = match &ip.l4 {
        L4::Tcp(tcp) if !ip.is_fragment() => tcp.dport,
        L4::Udp(udp) if !ip.is_fragment() => udp.dport,
        // A match may drop a packet with half a header.
        _ if proto == Protocol::TCP || proto == Protocol::UDP => return None,
        _ => 0,
    };
    let proto = proto.0;
    Some([
        key(BY_DST_PORT, dst, proto, port),
        key(BY_DST, dst, 0, 0),
        key(BY_SRC, src, 0, 0),
        key(BY_PORT, 0, proto, port),
    ])
}
