//! `-m conntrack` (net/netfilter/xt_conntrack.c).

use super::{Checks, MatchCx};
use crate::netfilter::conntrack::{CtState, Direction, L4Key, Tuple, status};
use crate::netfilter::xtables::{IpMatch, Neg, PortRange, Seen};
use crate::{Ct, Skb};
use packet::Protocol;
use std::net::{IpAddr, Ipv4Addr};

/// A set of states for `--ctstate`: one bit for each [`CtState`], and the two that are about NAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtStates(pub u16);

impl CtStates {
    /// The entry's source is translated.
    pub const SNAT: u16 = 1 << 6;
    /// The entry's destination is translated.
    pub const DNAT: u16 = 1 << 7;

    /// The bit of a state.
    pub fn bit(state: CtState) -> u16 {
        match state {
            CtState::Invalid => 1,
            CtState::Established => 2,
            CtState::Related => 4,
            CtState::New => 8,
            CtState::Untracked => 16,
        }
    }

    /// True if the state is in the set.
    pub fn contains(self, state: CtState) -> bool {
        self.0 & CtStates::bit(state) != 0
    }
}

/// A set of words for `--ctstatus`: bits of the entry's status. NONE is no bit, so it never matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtStatus(pub u32);

/// Options of conntrack, in the order in which iptables prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// `--ctstate`
    pub state: Option<Neg<CtStates>>,
    /// `--ctproto`
    pub proto: Option<Neg<Protocol>>,
    /// `--ctorigsrc`
    pub orig_src: Option<Neg<IpMatch>>,
    /// `--ctorigdst`
    pub orig_dst: Option<Neg<IpMatch>>,
    /// `--ctreplsrc`
    pub repl_src: Option<Neg<IpMatch>>,
    /// `--ctrepldst`
    pub repl_dst: Option<Neg<IpMatch>>,
    /// `--ctorigsrcport`
    pub orig_sport: Option<Neg<PortRange>>,
    /// `--ctorigdstport`
    pub orig_dport: Option<Neg<PortRange>>,
    /// `--ctreplsrcport`
    pub repl_sport: Option<Neg<PortRange>>,
    /// `--ctrepldstport`
    pub repl_dport: Option<Neg<PortRange>>,
    /// `--ctstatus`
    pub status: Option<Neg<CtStatus>>,
    /// `--ctexpire`: seconds, both ends included
    pub expire: Option<Neg<(u32, u32)>>,
    /// `--ctdir`
    pub dir: Option<Direction>,
}

/// What there is to look at.
struct View {
    orig: Tuple,
    reply: Tuple,
    status: u32,
    /// `nf_ct_expires`: the clock of an entry starts when it is confirmed; before that nothing is left.
    left: u32,
    dir: Direction,
}

impl View {
    fn of(skb: &Skb, m: &MatchCx<'_, '_>) -> Option<View> {
        match skb.ct {
            Ct::Tracked { conn, info } => {
                let c = m.ns.ct.get(conn)?;
                let left = if c.is_confirmed() { c.seconds_left(m.cx.now) } else { 0 };
                Some(View { orig: c.orig, reply: c.reply, status: c.status, left, dir: info.dir })
            }
            // The template of `-j CT` is an entry too, with nothing in it (nf_ct_tmpl_alloc).
            Ct::Template(..) => {
                let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                let none = Tuple::new(any, any, Protocol(0), L4Key::Other);
                let (dir, status) = (Direction::Original, status::CONFIRMED);
                Some(View { orig: none, reply: none, status, left: 0, dir })
            }
            Ct::None | Ct::Answer | Ct::Untracked => None,
        }
    }
}

impl Conntrack {
    fn only_state(&self) -> bool {
        matches!(
            self,
            Conntrack {
                state: _,
                proto: None,
                orig_src: None,
                orig_dst: None,
                repl_src: None,
                repl_dst: None,
                orig_sport: None,
                orig_dport: None,
                repl_sport: None,
                repl_dport: None,
                status: None,
                expire: None,
                dir: None,
            }
        )
    }

    /// The states that match, if nothing else is asked for; negation is in it.
    pub(crate) fn states(&self) -> Option<u16> {
        let nat = CtStates::SNAT | CtStates::DNAT;
        match self.state {
            _ if !self.only_state() => None,
            Some(s) if s.value.0 & nat != 0 => None,
            Some(s) => Some(s.value.0 ^ if s.not { !0 } else { 0 }),
            None => Some(!0),
        }
    }

    pub(super) fn eval(&self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let state = skb.ct.state();
        let only_state = self.only_state();
        // The entry is looked at if the rule asks for more than one of the first five states.
        let asks_nat = self.state.is_some_and(|s| s.value.0 & (CtStates::SNAT | CtStates::DNAT) != 0);
        if only_state && !asks_nat {
            return checks.optional(self.state.as_ref(), |s| s.contains(state), || Seen::State(state));
        }
        let entry = View::of(skb, m);
        let nat = entry.as_ref().map_or(0, |c| {
            (if c.status & status::SRC_NAT != 0 { CtStates::SNAT } else { 0 })
                | (if c.status & status::DST_NAT != 0 { CtStates::DNAT } else { 0 })
        });
        if !checks.optional(
            self.state.as_ref(),
            |s| s.contains(state) || s.0 & nat != 0,
            || Seen::State(state),
        ) {
            return false;
        }
        if only_state {
            return true;
        }
        let Some(c) = entry else {
            // Without an entry nothing but the state is looked at.
            return self.state.is_some() || checks.option(false, || Seen::Word("no entry"));
        };
        if let Some(want) = self.dir
            && !checks.option(want == c.dir, || Seen::Word(c.dir.name()))
        {
            return false;
        }
        let (orig, repl) = (&c.orig, &c.reply);
        checks.optional(self.proto.as_ref(), |p| *p == orig.proto(), || Seen::Proto(orig.proto()))
            && checks.optional(self.orig_src.as_ref(), |a| a.contains(orig.src()), || Seen::Addr(orig.src()))
            && checks.optional(self.orig_dst.as_ref(), |a| a.contains(orig.dst()), || Seen::Addr(orig.dst()))
            && checks.optional(self.repl_src.as_ref(), |a| a.contains(repl.src()), || Seen::Addr(repl.src()))
            && checks.optional(self.repl_dst.as_ref(), |a| a.contains(repl.dst()), || Seen::Addr(repl.dst()))
            && checks.optional(
                self.orig_sport.as_ref(),
                |p| p.contains(orig.sport()),
                || Seen::Port(orig.sport()),
            )
            && checks.optional(
                self.orig_dport.as_ref(),
                |p| p.contains(orig.dport()),
                || Seen::Port(orig.dport()),
            )
            && checks.optional(
                self.repl_sport.as_ref(),
                |p| p.contains(repl.sport()),
                || Seen::Port(repl.sport()),
            )
            && checks.optional(
                self.repl_dport.as_ref(),
                |p| p.contains(repl.dport()),
                || Seen::Port(repl.dport()),
            )
            && checks.optional(
                self.status.as_ref(),
                |s| c.status & s.0 != 0,
                || Seen::Text(status::names(c.status).join(",")),
            )
            && checks.optional(
                self.expire.as_ref(),
                |(min, max)| *min <= c.left && c.left <= *max,
                || Seen::Text(format!("{} s", c.left)),
            )
    }
}
