//! Targets. One file each; every file has the options and `eval`.

mod connmark;
mod ct;
mod log;
mod mark;
mod nat;
mod netmap;
mod nflog;
mod reject;
mod set;
mod tcpmss;
mod ttl;

pub use connmark::{Connmark, ConnmarkOp, Shift};
pub use ct::CtTarget;
pub use log::Log;
pub use mark::Mark;
pub use nat::{Dnat, Masquerade, Redirect, Snat};
pub use netmap::Netmap;
pub use nflog::Nflog;
pub use reject::{Reject, RejectWith};
pub use set::{SetRef, SetTarget};
pub use tcpmss::Tcpmss;
pub use ttl::Ttl;

use super::table::ChainId;
use super::{TableId, Verdict};
use crate::event::HookCtx;
use crate::netfilter::conntrack::TemplateId;
use crate::netfilter::hook::InetHook;
use crate::{Ct, Cx, DropReason, Netns, Skb};

/// What a rule does with a packet that matches.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Target {
    /// No `-j`: count and continue.
    #[default]
    None,
    /// `-j ACCEPT`
    Accept,
    /// `-j DROP`
    Drop,
    /// `-j RETURN`
    Return,
    /// `-j CHAIN`
    Jump(ChainId),
    /// `-g CHAIN`
    Goto(ChainId),
    /// `-j MARK`
    Mark(Mark),
    /// `-j CONNMARK`
    Connmark(Connmark),
    /// `-j DNAT`
    Dnat(Dnat),
    /// `-j SNAT`
    Snat(Snat),
    /// `-j MASQUERADE`
    Masquerade(Masquerade),
    /// `-j REDIRECT`
    Redirect(Redirect),
    /// `-j REJECT`
    Reject(Reject),
    /// `-j LOG`
    Log(Log),
    /// `-j SET`
    Set(Box<SetTarget>),
    /// `-j TRACE`
    Trace,
    /// `-j CT`
    Ct(CtTarget),
    /// `-j NOTRACK`
    Notrack,
    /// `-j NETMAP`
    Netmap(Netmap),
    /// `-j NFLOG`
    Nflog(Nflog),
    /// `-j TTL`
    Ttl(Ttl),
    /// `-j TCPMSS`
    Tcpmss(Tcpmss),
    /// `-j CHECKSUM --checksum-fill`: a packet here carries no checksum that the device would still have to fill in.
    Checksum,
}

/// What the target says.
pub(crate) enum TargetVerdict {
    /// `XT_CONTINUE`
    Continue,
    /// Ends the table.
    Final(Verdict),
}

impl Target {
    /// True if loading the target turns conntrack on.
    pub fn uses_conntrack(&self) -> bool {
        match self {
            Target::Dnat(_)
            | Target::Snat(_)
            | Target::Masquerade(_)
            | Target::Redirect(_)
            | Target::Netmap(_)
            | Target::Connmark(_) => true,
            Target::Ct(ct) => !ct.notrack,
            _ => false,
        }
    }

    /// In which tables the kernel accepts it; `None` means everywhere.
    pub fn tables(&self) -> Option<&'static [TableId]> {
        match self {
            Target::Dnat(_)
            | Target::Snat(_)
            | Target::Masquerade(_)
            | Target::Redirect(_)
            | Target::Netmap(_) => Some(&[TableId::Nat]),
            Target::Ttl(_) | Target::Checksum => Some(&[TableId::Mangle]),
            Target::Reject(_) => Some(&[TableId::Filter]),
            Target::Trace | Target::Notrack | Target::Ct(_) => Some(&[TableId::Raw]),
            Target::Set(t) => t.tables(),
            _ => None,
        }
    }

    /// From which hooks the kernel lets it be reached; `None` means all.
    pub fn hooks(&self) -> Option<&'static [InetHook]> {
        match self {
            Target::Dnat(_) | Target::Redirect(_) => Some(&[InetHook::PreRouting, InetHook::LocalOut]),
            Target::Snat(_) => Some(&[InetHook::PostRouting, InetHook::LocalIn]),
            Target::Masquerade(_) => Some(&[InetHook::PostRouting]),
            Target::Reject(_) => Some(&[InetHook::LocalIn, InetHook::Forward, InetHook::LocalOut]),
            Target::Set(t) => t.hooks(),
            // The way out must be known.
            Target::Tcpmss(Tcpmss::ClampToPmtu) => {
                Some(&[InetHook::Forward, InetHook::LocalOut, InetHook::PostRouting])
            }
            _ => None,
        }
    }

    /// Jumps, ACCEPT, DROP and RETURN: what a trace reports as "return" or "policy" when the rule has no match.
    pub fn is_standard_verdict(&self) -> bool {
        matches!(self, Target::Accept | Target::Drop | Target::Return)
    }
}

/// Runs a target extension; `template` is that of its rule. `Err` drops the packet for a reason of its own.
pub(crate) fn eval_ext(
    target: &Target,
    template: TemplateId,
    ns: &mut Netns,
    skb: &mut Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<TargetVerdict, DropReason> {
    match target {
        Target::Mark(t) => Ok(t.eval(skb)),
        Target::Connmark(t) => Ok(t.eval(ns, skb)),
        Target::Dnat(t) => t.eval(ns, skb, ctx, cx),
        Target::Snat(t) => t.eval(ns, skb, ctx, cx),
        Target::Masquerade(t) => t.eval(ns, skb, ctx, cx),
        Target::Redirect(t) => t.eval(ns, skb, ctx, cx),
        Target::Reject(t) => Ok(t.eval(ns, skb, cx)),
        Target::Set(t) => Ok(t.eval(ns, skb, ctx, cx)),
        Target::Log(t) => {
            t.eval(ns, skb, ctx, cx);
            Ok(TargetVerdict::Continue)
        }
        Target::Trace => {
            skb.nf_trace = true;
            Ok(TargetVerdict::Continue)
        }
        Target::Ct(t) => Ok(t.eval(skb, template)),
        Target::Notrack => {
            if matches!(skb.ct, Ct::None) {
                skb.ct = Ct::Untracked;
            }
            Ok(TargetVerdict::Continue)
        }
        Target::Netmap(t) => t.eval(ns, skb, ctx, cx),
        Target::Ttl(t) => Ok(t.eval(skb)),
        Target::Tcpmss(t) => Ok(t.eval(ns, skb, cx)),
        Target::Nflog(_)
        | Target::Checksum
        | Target::None
        | Target::Accept
        | Target::Drop
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_) => Ok(TargetVerdict::Continue),
    }
}
