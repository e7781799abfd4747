//! Helpers: code that reads a flow's payload and announces the flows that will follow from it
//! (net/netfilter/nf_conntrack_helper.c).
//!
//! A helper comes in two halves, each a module of its own: conntrack's half announces, NAT's half makes the announced
//! flow follow the translation of its master.

mod ftp;
mod tftp;

pub use ftp::FtpLines;
pub(crate) use ftp::FtpType;

use super::{Conn, ConnInfo, Tuple, status};
use crate::netfilter::xtables::targets::Log;
use crate::netns::Modules;
use crate::{ConnId, Cut, Cx, DropReason, Netns, Skb};
use packet::Protocol;

/// A helper, by the name that `CT --helper` and `conntrack -L` use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Helper {
    /// nf_conntrack_tftp
    Tftp,
    /// nf_conntrack_ftp
    Ftp,
}

impl Helper {
    /// Every helper that is modelled.
    pub const ALL: [Helper; 2] = [Helper::Ftp, Helper::Tftp];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Helper::Tftp => "tftp",
            Helper::Ftp => "ftp",
        }
    }

    /// The helper of that name.
    pub fn from_name(name: &str) -> Option<Helper> {
        Helper::ALL.into_iter().find(|h| h.name() == name)
    }

    /// The protocol that it reads.
    pub fn proto(self) -> Protocol {
        match self {
            Helper::Tftp => Protocol::UDP,
            Helper::Ftp => Protocol::TCP,
        }
    }

    /// The port at which it is assigned without a rule, where the kernel does that.
    fn port(self) -> u16 {
        match self {
            Helper::Tftp => 69,
            Helper::Ftp => 21,
        }
    }

    /// How many announced flows of one master may be pending (`max_expected`).
    pub(super) fn max_expected(self) -> usize {
        match self {
            Helper::Tftp | Helper::Ftp => 1,
        }
    }

    /// How long an announcement holds, in seconds.
    pub(super) fn timeout(self) -> u64 {
        match self {
            Helper::Tftp | Helper::Ftp => 300,
        }
    }

    fn is_loaded(self, modules: &Modules) -> bool {
        match self {
            Helper::Tftp => modules.nf_conntrack_tftp,
            Helper::Ftp => modules.nf_conntrack_ftp,
        }
    }
}

/// `__nf_ct_helper_find`: the helper of the port from which the answers come, as the reply direction says now.
fn find(reply: &Tuple, modules: &Modules) -> Option<Helper> {
    Helper::ALL
        .into_iter()
        .find(|h| h.is_loaded(modules) && h.proto() == reply.proto && h.port() == reply.key.sport())
}

/// `__nf_ct_try_assign_helper`: by the rule's template, else by port where the kernel still does that. Called when the
/// entry is made, and again when NAT has changed the reply direction.
pub(crate) fn try_assign_helper(
    conn: &mut Conn,
    template: Option<Helper>,
    automatic: bool,
    modules: &Modules,
) {
    if let Some(helper) = template {
        conn.helper = Some(helper);
        conn.status |= status::HELPER;
    } else if conn.status & status::HELPER == 0 && conn.master.is_none() {
        conn.helper = if automatic { find(&conn.reply, modules) } else { None };
    }
}

/// `nf_ct_helper_log`: a helper says why it drops a packet.
pub(crate) fn nf_ct_helper_drop(ns: &Netns, skb: &Skb, helper: Helper, why: &str, cx: &mut Cx<'_>) -> Cut {
    let prefix = format!("nf_ct_{}: dropping packet: {why} ", helper.name());
    Log::without_rule(ns, skb, None, prefix, cx);
    cx.drop(skb, DropReason::CtHelper)
}

/// Runs the helper of a packet's flow, before the entry is confirmed (`nf_confirm`).
pub(super) fn help(
    ns: &mut Netns,
    skb: Skb,
    conn: ConnId,
    info: ConnInfo,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    match ns.ct.get(conn).and_then(|c| c.helper) {
        Some(helper) if !helper.is_loaded(&ns.modules) => Ok(skb),
        Some(Helper::Tftp) => tftp::help(ns, skb, conn, info, cx),
        Some(Helper::Ftp) => ftp::help(ns, skb, conn, info, cx),
        None => Ok(skb),
    }
}
