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
use crate::netns::{Modules, Ports};
use crate::{ConnId, Cut, Cx, DropReason, Netns, Skb};
use packet::Protocol;

/// What a helper reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HelperKind {
    /// nf_conntrack_tftp
    Tftp,
    /// nf_conntrack_ftp
    Ftp,
}

impl HelperKind {
    /// Every kind that is modelled.
    pub const ALL: [HelperKind; 2] = [HelperKind::Ftp, HelperKind::Tftp];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            HelperKind::Tftp => "tftp",
            HelperKind::Ftp => "ftp",
        }
    }

    /// The port of a helper that has the kind's own name.
    fn port(self) -> u16 {
        match self {
            HelperKind::Tftp => 69,
            HelperKind::Ftp => 21,
        }
    }

    fn is_loaded(self, modules: &Modules) -> bool {
        match self {
            HelperKind::Tftp => modules.nf_conntrack_tftp,
            HelperKind::Ftp => modules.nf_conntrack_ftp,
        }
    }

    /// The helpers that the module registers, with the port of each (`nf_ct_helper_init`). Another port than the usual one has a
    /// number in its name: its place among the parameters, for FTP itself.
    fn registered(self, modules: &Modules) -> impl Iterator<Item = (Helper, u16)> {
        let ports = match self {
            HelperKind::Tftp => modules.tftp_ports,
            HelperKind::Ftp => modules.ftp_ports,
        };
        let loaded = if self.is_loaded(modules) { ports.or(self.port()) } else { Ports::default() };
        (0..loaded.count).map(move |at| {
            let port = loaded.list[usize::from(at)];
            let number = match self {
                _ if port == self.port() => None,
                HelperKind::Tftp => Some(u16::from(at)),
                HelperKind::Ftp => Some(port),
            };
            (Helper { kind: self, number }, port)
        })
    }
}

/// A helper, by the name that `CT --helper` and `conntrack -L` use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Helper {
    /// What it reads.
    pub kind: HelperKind,
    /// The number in its name: `tftp-0`.
    pub number: Option<u16>,
}

impl Helper {
    /// The helper for the usual port of TFTP.
    pub const TFTP: Helper = Helper { kind: HelperKind::Tftp, number: None };
    /// The helper for the usual port of FTP.
    pub const FTP: Helper = Helper { kind: HelperKind::Ftp, number: None };

    /// The name.
    pub fn name(self) -> String {
        let name = self.kind.name();
        self.number.map_or_else(|| name.to_owned(), |number| format!("{name}-{number}"))
    }

    /// The helper of that name.
    pub fn from_name(name: &str) -> Option<Helper> {
        let (head, number) = match name.split_once('-') {
            None => (name, None),
            Some((head, digits)) => (head, Some(digits.parse().ok()?)),
        };
        let kind = HelperKind::ALL.into_iter().find(|k| k.name() == head)?;
        // A number is written in one way only.
        Some(Helper { kind, number }).filter(|h| h.name() == name)
    }

    /// The protocol that it reads.
    pub fn proto(self) -> Protocol {
        match self.kind {
            HelperKind::Tftp => Protocol::UDP,
            HelperKind::Ftp => Protocol::TCP,
        }
    }

    /// How many announced flows of one master may be pending (`max_expected`).
    pub(super) fn max_expected(self) -> usize {
        1
    }

    /// How long an announcement holds, in seconds.
    pub(super) fn timeout(self) -> u64 {
        300
    }

    fn is_registered(self, modules: &Modules) -> bool {
        self.kind.registered(modules).any(|(helper, _)| helper == self)
    }
}

impl Netns {
    /// The helpers that a rule may name: those that are registered, and those whose module would be loaded for the rule.
    pub fn helpers(&self) -> Vec<Helper> {
        let usual =
            |kind: HelperKind| (!kind.is_loaded(&self.modules)).then_some(Helper { kind, number: None });
        let of = |kind: HelperKind| {
            kind.registered(&self.modules).map(|(helper, _)| helper).chain(usual(kind)).collect::<Vec<_>>()
        };
        HelperKind::ALL.into_iter().flat_map(of).collect()
    }
}

/// `__nf_ct_helper_find`: the helper of the port from which the answers come, as the reply direction says now.
fn find(reply: &Tuple, modules: &Modules) -> Option<Helper> {
    let all = HelperKind::ALL.into_iter().flat_map(|kind| kind.registered(modules));
    let mut fitting = all.filter(|(h, port)| h.proto() == reply.proto() && *port == reply.sport());
    fitting.next().map(|(helper, _)| helper)
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
    match ns.ct.get(conn).and_then(|c| c.helper).filter(|h| h.is_registered(&ns.modules)) {
        Some(helper) => match helper.kind {
            HelperKind::Tftp => tftp::help(ns, skb, conn, helper, cx),
            HelperKind::Ftp => ftp::help(ns, skb, conn, info, cx),
        },
        None => Ok(skb),
    }
}
