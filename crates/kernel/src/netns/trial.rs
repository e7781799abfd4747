//! Single steps of a packet, for who wants to try rules without sending anything.

use super::Netns;
use crate::event::HookCtx;
use crate::netfilter::hook::InetHook;
use crate::netfilter::nf_hook_of;
use crate::netfilter::nftables::{ChainType, NftBase, NftFamily, nft_do_chain};
use crate::netfilter::xtables::{ChainEnd, TableId, walk_chain};
use crate::{Cut, Cx, DevId, DropReason, Skb};

impl Netns {
    /// Runs a hook for a packet of either family (`NF_HOOK`): conntrack, tables and NAT in the order of their priority, as for a
    /// packet that has come to this hook on its way. The packet as it leaves the hook.
    ///
    /// # Errors
    /// The packet ended here.
    pub fn run_hook(
        &mut self,
        hook: InetHook,
        skb: Skb,
        indev: Option<DevId>,
        outdev: Option<DevId>,
        cx: &mut Cx<'_>,
    ) -> Result<Skb, Cut> {
        nf_hook_of(self, hook, skb, indev, outdev, cx)
    }

    /// Walks one chain of a table with a packet: the walk of [`Netns::run_hook`] begun at this chain, which may be user-defined.
    /// `ctx` says at which hook, of which family, and by which devices. `None` if the table is not loaded or has no such
    /// chain.
    pub fn walk_chain(
        &mut self,
        table: TableId,
        chain: &str,
        skb: &mut Skb,
        ctx: &HookCtx,
        cx: &mut Cx<'_>,
    ) -> Option<ChainEnd> {
        walk_chain(self, table, chain, skb, ctx, cx)
    }

    /// The same for a chain of nf_tables, which may be no base chain. `Err` is why the packet is dropped. `None` if there is no such
    /// table or chain.
    pub fn walk_nft_chain(
        &mut self,
        (family, table, chain): (NftFamily, &str, &str),
        skb: &mut Skb,
        ctx: &HookCtx,
        cx: &mut Cx<'_>,
    ) -> Option<Result<(), DropReason>> {
        let table = self.nft.table(family, table)?;
        let chain = table.chain(chain)?;
        let kind = chain.base.map_or(ChainType::Filter, |b| b.kind);
        let base = NftBase { table: table.key, chain: chain.key, kind };
        Some(nft_do_chain(self, base, skb, ctx, cx))
    }

    /// Forgets what packets have left behind: conntrack's entries and the addresses in the lists of xt_recent. Rules, their
    /// counters and all settings stay. The next packet is the first of its flow.
    pub fn forget_flows(&mut self) {
        self.ct.forget();
        self.recent.iter_mut().for_each(|(_, list)| list.clear());
    }
}
