//! Matches. One file each; every file has the options and `eval`, which appends a [`Check`] for each option that it
//! looked at and stops at the first that does not hold.

mod addrtype;
mod connmark;
mod conntrack;
mod helper;
mod icmp;
mod icmp6;
mod iprange;
mod ipvs;
mod length;
mod limit;
mod mac;
mod mark;
mod multiport;
mod nfacct;
mod owner;
mod physdev;
mod pkttype;
mod recent;
mod rpfilter;
mod sctp;
mod set;
mod statistic;
mod tcp;
mod tcpmss;
mod ttl;
mod udp;

pub use addrtype::{AddrType, AddrTypes, Addrtype};
pub use connmark::ConnmarkMatch;
pub use conntrack::{Conntrack, CtStates, CtStatus};
pub use helper::HelperMatch;
pub use icmp::IcmpMatch;
pub use icmp6::Icmp6Match;
pub use iprange::Iprange;
pub use ipvs::{IpvsMatch, IpvsMethod};
pub use length::LengthMatch;
pub use limit::{LIMIT_SCALE, Limit};
pub use mac::MacMatch;
pub use mark::MarkMatch;
pub use multiport::{Multiport, PortSide};
pub use nfacct::{Nfacct, NfacctMatch, NfacctQuota};
pub use owner::Owner;
pub use physdev::Physdev;
pub use pkttype::PkttypeMatch;
pub(crate) use recent::recent_tables_for;
pub use recent::{Recent, RecentOp, RecentTables};
pub use rpfilter::Rpfilter;
pub use sctp::{SctpChunkFlags, SctpChunkTypes, SctpChunks, SctpMatch};
pub use set::SetMatch;
pub(super) use set::with_sets;
pub use statistic::{Statistic, StatisticMode};
pub use tcp::{TcpFlagsMatch, TcpMatch};
pub use tcpmss::Tcpmss;
pub use ttl::TtlMatch;
pub use udp::UdpMatch;

use super::rule::{Check, CheckOf, PortRange, Seen};
use super::{Neg, RuleState, TableId};
use crate::event::HookCtx;
use crate::netfilter::hook::InetHook;
use crate::{Cx, Netns, Skb};

/// A match extension with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    /// `-m comment`
    Comment(String),
    /// `-m tcp`
    Tcp(TcpMatch),
    /// `-m udp`
    Udp(UdpMatch),
    /// `-m sctp`
    Sctp(Box<SctpMatch>),
    /// `-m icmp`
    Icmp(IcmpMatch),
    /// `-m icmp6`
    Icmp6(Icmp6Match),
    /// `-m multiport`
    Multiport(Multiport),
    /// `-m mark`
    Mark(MarkMatch),
    /// `-m conntrack`
    Conntrack(Box<Conntrack>),
    /// `-m state` (the older spelling of `--ctstate`)
    State(Neg<CtStates>),
    /// `-m addrtype`
    Addrtype(Addrtype),
    /// `-m statistic`
    Statistic(Statistic),
    /// `-m physdev`
    Physdev(Box<Physdev>),
    /// `-m recent`
    Recent(Recent),
    /// `-m set`
    Set(Box<SetMatch>),
    /// `-m connmark`
    Connmark(ConnmarkMatch),
    /// `-m ttl`
    Ttl(TtlMatch),
    /// `-m length`
    Length(LengthMatch),
    /// `-m helper`
    Helper(HelperMatch),
    /// `-m iprange`
    Iprange(Iprange),
    /// `-m ipvs`
    Ipvs(IpvsMatch),
    /// `-m limit`
    Limit(Limit),
    /// `-m mac`
    Mac(MacMatch),
    /// `-m nfacct`
    Nfacct(NfacctMatch),
    /// `-m owner`
    Owner(Owner),
    /// `-m pkttype`
    Pkttype(PkttypeMatch),
    /// `-m rpfilter`
    Rpfilter(Rpfilter),
    /// `-m tcpmss`
    Tcpmss(Tcpmss),
}

/// What a match may look at, besides the packet.
pub(crate) struct MatchCx<'a, 'b> {
    pub ns: &'a mut Netns,
    pub ctx: &'a HookCtx,
    pub state: &'a mut RuleState,
    pub cx: &'a mut Cx<'b>,
}

/// Collects the checks of one rule.
pub(crate) struct Checks {
    keep: bool,
    index: u8,
    part: u8,
    /// A match has found that the packet is not what it says it is (`xt_action_param.hotdrop`): it is dropped without asking
    /// any more rules.
    pub hotdrop: bool,
    pub list: Vec<Check>,
}

impl Checks {
    pub(crate) fn new(keep: bool) -> Checks {
        Checks { keep, index: 0, part: 0, hotdrop: false, list: Vec::new() }
    }

    /// True if the checks are kept.
    pub(crate) fn keep(&self) -> bool {
        self.keep
    }

    pub(crate) fn begin_match(&mut self, index: usize) {
        self.index = u8::try_from(index).unwrap_or(u8::MAX);
        self.part = 0;
    }

    /// Which match of the rule is being looked at.
    pub(crate) fn match_index(&self) -> usize {
        usize::from(self.index)
    }

    /// Notes a check on a part of the rule's own selector; returns `ok`.
    pub(crate) fn selector(&mut self, of: CheckOf, ok: bool, seen: impl FnOnce() -> Seen) -> bool {
        if self.keep {
            self.note(of, ok, seen());
        }
        ok
    }

    fn note(&mut self, of: CheckOf, ok: bool, seen: Seen) {
        self.list.push(Check { of, ok, seen });
    }

    /// Notes a check on the next option of the current match; returns `ok`.
    pub(crate) fn option(&mut self, ok: bool, seen: impl FnOnce() -> Seen) -> bool {
        if self.keep {
            self.note(CheckOf::Match { index: self.index, part: self.part }, ok, seen());
        }
        self.part = self.part.saturating_add(1);
        ok
    }

    /// The header that the match looks at is not there: a later fragment has none and does not match; in any other packet
    /// it is cut short, which does not happen by accident.
    pub(crate) fn short_header(&mut self, skb: &Skb) -> bool {
        let first = skb.ip().is_some_and(|ip| ip.frag.offset == 0);
        self.hotdrop |= first;
        self.option(false, || Seen::Word(if first { "header cut short" } else { "later fragment" }))
    }

    /// As [`Checks::option`] for an option that may be absent: an absent one holds and is not noted.
    pub(crate) fn optional<T>(
        &mut self,
        option: Option<&Neg<T>>,
        test: impl FnOnce(&T) -> bool,
        seen: impl FnOnce() -> Seen,
    ) -> bool {
        option.is_none_or(|o| self.option(o.apply(test), seen))
    }
}

impl Match {
    /// The name after `-m`.
    pub fn name(&self) -> &'static str {
        match self {
            Match::Comment(_) => "comment",
            Match::Tcp(_) => "tcp",
            Match::Udp(_) => "udp",
            Match::Sctp(_) => "sctp",
            Match::Icmp(_) => "icmp",
            Match::Icmp6(_) => "icmp6",
            Match::Multiport(_) => "multiport",
            Match::Mark(_) => "mark",
            Match::Conntrack(_) => "conntrack",
            Match::State(_) => "state",
            Match::Addrtype(_) => "addrtype",
            Match::Statistic(_) => "statistic",
            Match::Physdev(_) => "physdev",
            Match::Recent(_) => "recent",
            Match::Set(_) => "set",
            Match::Connmark(_) => "connmark",
            Match::Ttl(_) => "ttl",
            Match::Length(_) => "length",
            Match::Helper(_) => "helper",
            Match::Iprange(_) => "iprange",
            Match::Ipvs(_) => "ipvs",
            Match::Limit(_) => "limit",
            Match::Mac(_) => "mac",
            Match::Nfacct(_) => "nfacct",
            Match::Owner(_) => "owner",
            Match::Pkttype(_) => "pkttype",
            Match::Rpfilter(_) => "rpfilter",
            Match::Tcpmss(_) => "tcpmss",
        }
    }

    /// The hooks from which it may be reached; `None` for all.
    pub fn hooks(&self) -> Option<&'static [InetHook]> {
        use InetHook::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
        match self {
            Match::Mac(_) => Some(&[PreRouting, LocalIn, Forward]),
            Match::Owner(_) => Some(&[LocalOut, PostRouting]),
            Match::Rpfilter(_) => Some(&[PreRouting]),
            _ => None,
        }
    }

    /// The tables in which it may stand; `None` for all.
    pub fn tables(&self) -> Option<&'static [TableId]> {
        match self {
            Match::Rpfilter(_) => Some(&[TableId::Raw, TableId::Mangle]),
            _ => None,
        }
    }

    /// True if the match uses [`RuleState`].
    pub(crate) fn remembers(&self) -> bool {
        matches!(self, Match::Statistic(_) | Match::Limit(_))
    }

    /// True if loading the match turns conntrack on.
    pub fn uses_conntrack(&self) -> bool {
        matches!(self, Match::Conntrack(_) | Match::State(_) | Match::Connmark(_) | Match::Helper(_))
    }

    pub(crate) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        match self {
            Match::Comment(_) => checks.option(true, || Seen::Nothing),
            Match::Tcp(o) => o.eval(skb, checks),
            Match::Udp(o) => o.eval(skb, checks),
            Match::Sctp(o) => o.eval(skb, checks),
            Match::Icmp(o) => o.eval(skb, checks),
            Match::Icmp6(o) => o.eval(skb, checks),
            Match::Multiport(o) => o.eval(skb, checks),
            Match::Mark(o) => o.eval(skb, checks),
            Match::Conntrack(o) => o.eval(skb, m, checks),
            Match::State(o) => {
                let state = skb.ct.state();
                checks.option(o.apply(|s| s.contains(state)), || Seen::State(state))
            }
            Match::Addrtype(o) => o.eval(skb, m, checks),
            Match::Statistic(o) => o.eval(m, checks),
            Match::Physdev(o) => o.eval(skb, m, checks),
            Match::Recent(o) => o.eval(skb, m, checks),
            Match::Set(o) => o.eval(skb, m, checks),
            Match::Connmark(o) => o.eval(skb, m, checks),
            Match::Ttl(o) => o.eval(skb, checks),
            Match::Length(o) => o.eval(skb, checks),
            Match::Helper(o) => o.eval(skb, m, checks),
            Match::Iprange(o) => o.eval(skb, checks),
            Match::Ipvs(o) => o.eval(skb, m, checks),
            Match::Limit(o) => o.eval(m, checks),
            Match::Mac(o) => o.eval(skb, m, checks),
            Match::Nfacct(o) => o.eval(skb, m, checks),
            Match::Owner(o) => o.eval(skb, checks),
            Match::Pkttype(o) => o.eval(skb, checks),
            Match::Rpfilter(o) => o.eval(skb, m, checks),
            Match::Tcpmss(o) => o.eval(skb, checks),
        }
    }
}

/// `--sport`, `--dport`: the checks that tcp and udp share.
fn eval_ports(
    sport: Option<&Neg<PortRange>>,
    dport: Option<&Neg<PortRange>>,
    ports: (u16, u16),
    checks: &mut Checks,
) -> bool {
    checks.optional(sport, |r| r.contains(ports.0), || Seen::Port(ports.0))
        && checks.optional(dport, |r| r.contains(ports.1), || Seen::Port(ports.1))
}
