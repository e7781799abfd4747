//! `-j SET` (net/netfilter/xt_set.c).

use super::TargetVerdict;
use crate::event::HookCtx;
use crate::netfilter::hook::InetHook;
use crate::netfilter::ipset::{SetCx, SetDirs, SetQuery};
use crate::netfilter::xtables::TableId;
use crate::netfilter::xtables::matches::with_sets;
use crate::{Cx, Netns, Skb};

/// A set, and what of the packet is meant.
pub type SetRef = (String, SetDirs);

/// Options of SET.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetTarget {
    /// `--add-set`
    pub add: Option<SetRef>,
    /// `--del-set`
    pub del: Option<SetRef>,
    /// `--map-set`
    pub map: Option<SetRef>,
    /// `--exist`: a member that is there gets a new timeout.
    pub exist: bool,
    /// `--timeout`, in seconds.
    pub timeout: Option<u32>,
    /// `--map-mark`
    pub map_mark: bool,
    /// `--map-prio`. Packets here have no class.
    pub map_prio: bool,
    /// `--map-queue`. Devices here have one queue.
    pub map_queue: bool,
}

/// The kernel counts milliseconds in 31 bits (`IPSET_MAX_TIMEOUT`).
const TIMEOUT_MAX: u32 = 2_147_483;

impl SetTarget {
    /// The sets that it names.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        [&self.add, &self.del, &self.map].into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// `set_target_v3_checkentry`: only mangle may set marks.
    pub(super) fn tables(&self) -> Option<&'static [TableId]> {
        self.map.is_some().then_some(&[TableId::Mangle])
    }

    /// Class and queue are chosen on the way out.
    pub(super) fn hooks(&self) -> Option<&'static [InetHook]> {
        let out = self.map.is_some() && (self.map_prio || self.map_queue);
        out.then_some(&[InetHook::Forward, InetHook::LocalOut, InetHook::PostRouting])
    }

    /// `set_target_v3`. What a set refuses is not told to anybody.
    pub(crate) fn eval(&self, ns: &mut Netns, skb: &mut Skb, ctx: &HookCtx, cx: &Cx<'_>) -> TargetVerdict {
        let Some(ip) = skb.ip() else { return TargetVerdict::Continue };
        let found = with_sets(ns, ctx, |sets, devs| {
            let cx = SetCx { ip, devs, now: cx.now };
            if let Some((name, dirs)) = &self.add {
                let timeout = self.timeout.map(|t| t.min(TIMEOUT_MAX));
                let _ = sets.add_packet(name, *dirs, timeout, self.exist, &cx);
            }
            if let Some((name, dirs)) = &self.del {
                let _ = sets.del_packet(name, *dirs, &cx);
            }
            let (name, dirs) = self.map.as_ref()?;
            sets.test_packet(name, &SetQuery { dirs: *dirs, ..SetQuery::default() }, &cx)
        });
        if let Some(skbinfo) = found.filter(|_| self.map_mark) {
            skb.mark = (skb.mark & !skbinfo.mask) ^ skbinfo.mark;
        }
        TargetVerdict::Continue
    }
}
