//! `-j CT` (net/netfilter/xt_CT.c).

use super::TargetVerdict;
use crate::netfilter::conntrack::{Template, TemplateId};
use crate::{Ct, Skb};

/// What conntrack shall do with the packet, before it has seen it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtTarget {
    /// `--notrack`
    pub notrack: bool,
    /// Everything else, which has no effect with `--notrack`.
    pub template: Template,
}

impl CtTarget {
    /// A packet that conntrack, or another rule of this kind, has seen already stays as it is.
    pub(super) fn eval(self, skb: &mut Skb, id: TemplateId) -> TargetVerdict {
        if skb.ct == Ct::None {
            skb.ct = if self.notrack { Ct::Untracked } else { Ct::Template(self.template, id) };
        }
        TargetVerdict::Continue
    }
}
