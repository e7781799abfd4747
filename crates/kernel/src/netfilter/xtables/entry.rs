//! A table as packets meet it: one array of entries, chain after chain, each chain with an entry for its end, as in the
//! kernel's blob (`struct ipt_entry`, `translate_table` in net/ipv4/netfilter/ip_tables.c). Jumps lead to places in the array.
//!
//! An entry answers by itself what most rules ask: addresses, protocol, ports, conntrack's state, the mark. Whatever else
//! its rule asks is left to the rule.

use super::index::{Key, KeyIndex, rule_key};
use super::matches::{CtStates, Match};
use super::targets::Target;
use super::{ChainId, IpMatch, Neg, PortRange, Rule, RuleSet, Verdict};
use crate::Skb;
use crate::netfilter::hook::InetHook;
use packet::{L4, Protocol};
use std::net::IpAddr;
use std::rc::Rc;

/// So many rules of a chain must have a key, or it is walked rule by rule.
const KEYED_MIN: usize = 8;

/// What an entry does with a packet that matches.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// On to the next entry.
    Next,
    /// ACCEPT or DROP.
    Verdict(Verdict),
    /// RETURN.
    Return,
    /// To the entry there, and back.
    Jump(u32),
    /// To the end of an empty chain, and back.
    JumpToEmpty,
    /// To the entry there.
    Goto(u32),
    /// What the rule's target says.
    Target,
    /// Nothing: a user-defined chain ends here.
    End,
    /// Nothing: a built-in chain ends here.
    Policy,
}

/// What an entry says to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// Only the rule knows.
    AskRule,
}

/// Bits of [`Entry::flags`]: what is inverted, and what there is.
mod flag {
    pub const NOT_SRC: u16 = 1;
    pub const NOT_DST: u16 = 1 << 1;
    pub const PROTO: u16 = 1 << 2;
    pub const NOT_PROTO: u16 = 1 << 3;
    pub const PORTS: u16 = 1 << 4;
    pub const NOT_SPORT: u16 = 1 << 5;
    pub const NOT_DPORT: u16 = 1 << 6;
    pub const MARK: u16 = 1 << 7;
    pub const NOT_MARK: u16 = 1 << 8;
    /// The rule has to be asked for the rest.
    pub const MORE: u16 = 1 << 9;
    pub const ADDRESS: u16 = 1 << 10;
}

/// A rule, or the end of a chain. As large as a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    flags: u16,
    states: u16,
    /// Address and mask.
    src: (u32, u32),
    dst: (u32, u32),
    mark: (u32, u32),
    sport: PortRange,
    dport: PortRange,
    proto: u8,
    /// Where the rule stands.
    pub chain: ChainId,
    pub rule: u32,
    /// Which of all rules of the table it is; beyond them all for the end of a chain.
    pub state: u32,
    /// The first entry from here on that has no key; itself if it has none.
    pub plain: u32,
    pub does: Does,
}

/// What entries look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub src: u32,
    pub dst: u32,
    pub proto: u8,
    /// None if there are none, or they are not in this piece of the packet.
    pub ports: Option<(u16, u16)>,
    /// The bit of conntrack's state.
    states: u16,
    /// Bytes, IP header included.
    pub len: usize,
}

impl Packet {
    /// Of an IPv4 packet.
    #[inline(always)]
    pub fn of(skb: &Skb) -> Option<Packet> {
        let ip = skb.ip()?;
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (ip.src, ip.dst) else { return None };
        let states = CtStates::bit(skb.ct.state());
        let whole = !ip.is_fragment();
        let (proto, ports, len) = match &ip.l4 {
            L4::Tcp(tcp) => (Protocol::TCP, whole.then_some((tcp.sport, tcp.dport)), ip.total_len()),
            L4::Udp(udp) => (Protocol::UDP, whole.then_some((udp.sport, udp.dport)), 28 + udp.payload.len()),
            _ => (ip.protocol(), None, ip.total_len()),
        };
        Some(Packet { src: src.to_bits(), dst: dst.to_bits(), proto: proto.0, ports, states, len })
    }
}

/// Where the chain of a hook begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    pub first: u32,
    pub chain: ChainId,
    pub policy: Verdict,
    /// There are no rules in it.
    pub is_empty: bool,
}

/// The entries of a rule set. They are made when a packet first needs them, and go with the set.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    pub(super) rules: Rc<RuleSet>,
    entries: Vec<Entry>,
    bases: [Option<Base>; InetHook::ALL.len()],
    keys: KeyIndex,
}

impl Entries {
    /// Reads a rule set.
    pub fn new(rules: &Rc<RuleSet>) -> Entries {
        let mut chains = Vec::with_capacity(rules.chains.len());
        let mut count = 0;
        for chain in &rules.chains {
            chains.push(Place { first: number(count), is_empty: chain.rules.is_empty() });
            count += chain.rules.len() + 1;
        }
        let mut entries = Vec::with_capacity(count);
        let mut bases = [None; InetHook::ALL.len()];
        let mut keyed: Vec<(Key, u32)> = Vec::new();
        for (n, (chain, &Place { first: begin, .. })) in rules.chains.iter().zip(&chains).enumerate() {
            let id = ChainId(u16::try_from(n).unwrap_or(u16::MAX));
            if let Some((hook, policy)) = chain.base {
                let is_empty = chain.rules.is_empty();
                bases[hook as usize] = Some(Base { first: begin, chain: id, policy, is_empty });
            }
            let keys: Vec<Option<Key>> = chain.rules.iter().map(|r| rule_key(r)).collect();
            let many = keys.iter().flatten().count() >= KEYED_MIN;
            for (rule, at) in chain.rules.iter().zip(0..) {
                // Each chain before it has one entry more than it has rules.
                let state = begin + at - number(n);
                let e = Entry::new(rule, &chains);
                entries.push(Entry { chain: id, rule: at, state, plain: begin + at, ..e });
            }
            let end = begin + number(keys.len());
            let does = if chain.base.is_some() { Does::Policy } else { Does::End };
            entries.push(Entry { chain: id, rule: end - begin, plain: end, does, ..Entry::ANY });
            if many {
                keyed.extend((begin..).zip(&keys).filter_map(|(at, key)| Some(((*key)?, at))));
                let mut plain = end;
                for (at, key) in (begin..end).zip(&keys).rev() {
                    plain = if key.is_some() { plain } else { at };
                    entries[at as usize].plain = plain;
                }
            }
        }
        Entries { rules: Rc::clone(rules), entries, bases, keys: KeyIndex::new(&keyed) }
    }

    /// The chain of a hook.
    #[inline]
    pub(super) fn base(&self, hook: InetHook) -> Option<&Base> {
        self.bases[hook as usize].as_ref()
    }

    /// An entry. There is one at every place that another leads to.
    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&Entry> {
        self.entries.get(at as usize)
    }

    /// The first entry after one with a key, and that one included, that the packet can match.
    #[inline(never)]
    pub(super) fn search(&self, at: u32, plain: u32, packet: &Packet) -> u32 {
        self.keys.first(at, plain, packet)
    }
}

/// Where a chain begins.
struct Place {
    first: u32,
    is_empty: bool,
}

/// A rule set has fewer entries than that.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Entry {
    /// Matches everything.
    const ANY: Entry = Entry {
        flags: 0,
        states: !0,
        src: (0, 0),
        dst: (0, 0),
        mark: (0, 0),
        sport: PortRange::ALL,
        dport: PortRange::ALL,
        proto: 0,
        chain: ChainId(0),
        rule: 0,
        // None.
        state: u32::MAX,
        plain: 0,
        does: Does::Next,
    };

    fn new(rule: &Rule, chains: &[Place]) -> Entry {
        let place = |chain: ChainId| chains.get(usize::from(chain.0));
        let first = |chain: ChainId| place(chain).map_or(u32::MAX, |p| p.first);
        let does = match &rule.target {
            Target::None => Does::Next,
            Target::Accept => Does::Verdict(Verdict::Accept),
            Target::Drop => Does::Verdict(Verdict::Drop),
            Target::Return => Does::Return,
            Target::Jump(chain) if place(*chain).is_some_and(|p| p.is_empty) => Does::JumpToEmpty,
            Target::Jump(chain) => Does::Jump(first(*chain)),
            Target::Goto(chain) => Does::Goto(first(*chain)),
            _ => Does::Target,
        };
        let mut e = Entry { does, ..Entry::ANY };
        e.flag(rule.in_iface.is_some() || rule.out_iface.is_some() || rule.fragment.is_some(), flag::MORE);
        for (option, not, own) in
            [(&rule.src, flag::NOT_SRC, &mut e.src), (&rule.dst, flag::NOT_DST, &mut e.dst)]
        {
            match option {
                None => {}
                Some(Neg { not: n, value: IpMatch { addr: IpAddr::V4(addr), mask: IpAddr::V4(mask) } }) => {
                    *own = (addr.to_bits(), mask.to_bits());
                    e.flags |= flag::ADDRESS;
                    e.flags |= if *n { not } else { 0 };
                }
                Some(_) => e.flags |= flag::MORE,
            }
        }
        if let Some(p) = &rule.proto {
            e.proto = p.value.0;
            e.flag(true, flag::PROTO);
            e.flag(p.not, flag::NOT_PROTO);
        }
        // A match that remembers something must not be asked if one before it does not hold, but whether one behind it holds is
        // not to be asked first either.
        let known = rule.matches.iter().take_while(|m| e.learn(rule, m)).count();
        e.flag(known < rule.matches.len(), flag::MORE);
        e
    }

    fn flag(&mut self, on: bool, flag: u16) {
        self.flags |= if on { flag } else { 0 };
    }

    /// Takes over what a match asks; false if it cannot.
    fn learn(&mut self, rule: &Rule, m: &Match) -> bool {
        let is = |proto| rule.proto == Some(Neg::plain(proto));
        let fresh = self.flags & flag::PORTS == 0;
        match m {
            Match::Comment(_) => true,
            Match::Conntrack(m) => match m.states() {
                Some(states) => {
                    self.states &= states;
                    true
                }
                None => false,
            },
            Match::State(s) => {
                self.states &= s.value.0 ^ if s.not { !0 } else { 0 };
                true
            }
            Match::Mark(m) if self.flags & flag::MARK == 0 => {
                self.mark = m.mark.value;
                self.flag(true, flag::MARK);
                self.flag(m.mark.not, flag::NOT_MARK);
                true
            }
            Match::Tcp(m) if is(Protocol::TCP) && fresh && m.flags.is_none() && m.option.is_none() => {
                self.ports(m.sport, m.dport);
                true
            }
            Match::Udp(m) if is(Protocol::UDP) && fresh => {
                self.ports(m.sport, m.dport);
                true
            }
            _ => false,
        }
    }

    fn ports(&mut self, sport: Option<Neg<PortRange>>, dport: Option<Neg<PortRange>>) {
        self.flag(true, flag::PORTS);
        self.flag(sport.is_some_and(|p| p.not), flag::NOT_SPORT);
        self.flag(dport.is_some_and(|p| p.not), flag::NOT_DPORT);
        self.sport = sport.map_or(PortRange::ALL, |p| p.value);
        self.dport = dport.map_or(PortRange::ALL, |p| p.value);
    }

    /// True if the answer may depend on the packet's ports.
    #[inline]
    pub(super) fn asks_ports(&self, p: &Packet) -> bool {
        self.flags & flag::PORTS != 0 && self.states & p.states != 0
    }

    /// Does the packet match? What the entry asks has no effect, so the order does not count.
    #[inline]
    pub(super) fn ask(&self, p: &Packet, mark: u32) -> Answer {
        let has = |f: u16| self.flags & f != 0;
        let lies = |addr: u32, (value, mask): (u32, u32)| (addr ^ value) & mask == 0;
        if self.states & p.states == 0 {
            return Answer::No;
        }
        if self.flags == 0 {
            return Answer::Yes;
        }
        if has(flag::ADDRESS)
            && (lies(p.dst, self.dst) == has(flag::NOT_DST) || lies(p.src, self.src) == has(flag::NOT_SRC))
        {
            return Answer::No;
        }
        if has(flag::PROTO) && (p.proto == self.proto) == has(flag::NOT_PROTO) {
            return Answer::No;
        }
        if has(flag::PORTS) {
            // A header that is cut short has consequences.
            let Some((sport, dport)) = p.ports else { return Answer::AskRule };
            if self.sport.contains(sport) == has(flag::NOT_SPORT)
                || self.dport.contains(dport) == has(flag::NOT_DPORT)
            {
                return Answer::No;
            }
        }
        match () {
            () if has(flag::MARK) && (mark & self.mark.1 == self.mark.0) == has(flag::NOT_MARK) => Answer::No,
            () if has(flag::MORE) => Answer::AskRule,
            () => Answer::Yes,
        }
    }
}
