//! Modules, tables and hooks: what is loaded decides what is registered.

use super::Netns;
use crate::event::{RuleOutcome, RuleStep};
use crate::netfilter::conntrack::{Helper, TemplateId};
use crate::netfilter::hook::{HookFn, HookList, HookOps, HookPoint, InetHook, priority};
use crate::netfilter::ipvs::{
    DestSpec, Endpoint, IpvsError, ServiceId, ServiceSpec, ip_vs_conn_gc, ip_vs_flush_nodest,
};
#[cfg(feature = "nft")]
use crate::netfilter::nftables::{Nftables, Xt};
use crate::netfilter::xtables::matches::{Match, recent_tables_for};
use crate::netfilter::xtables::targets::{CtTarget, Target};
use crate::netfilter::xtables::{Entries, LoadedTable, RuleSet, RuleSetError, TableId};
use crate::sysctl::Sysctl;
use crate::{Cx, Era, Instant};
use packet::Family;
use std::rc::Rc;

impl Netns {
    /// The kernel's version.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Makes it another kernel, freshly booted: settings that the version decides are set.
    pub fn set_era(&mut self, era: Era) {
        self.era = era;
        self.ct.timeouts.udp_stream = era.udp_timeout_stream();
        self.ct.auto_helper = era.helper_sysctl().unwrap_or(false);
        self.ct.settings.events = if era.events_on_demand() { 2 } else { 1 };
        self.ct.limits = era.conntrack_limits();
        self.update_conntrack();
    }

    /// `modprobe br_netfilter`, `rmmod br_netfilter`: the bridge calls iptables from now on, or no more. The sysctls
    /// come with the module and begin at 1.
    pub fn set_br_netfilter(&mut self, loaded: bool) {
        if loaded && !self.modules.br_netfilter {
            let fresh = Sysctl::default();
            self.sysctl.bridge_nf_call_iptables = fresh.bridge_nf_call_iptables;
            self.sysctl.bridge_nf_call_ip6tables = fresh.bridge_nf_call_ip6tables;
            self.sysctl.bridge_nf_call_arptables = fresh.bridge_nf_call_arptables;
        }
        self.modules.br_netfilter = loaded;
        let sabotage = HookOps {
            point: HookPoint { family: Family::V4, hook: InetHook::PreRouting },
            priority: priority::FIRST,
            func: HookFn::Sabotage,
        };
        if loaded {
            self.hooks.register(sabotage);
        } else {
            self.hooks.unregister(HookFn::Sabotage);
        }
    }

    /// An IPv4 table, if it is loaded in this namespace.
    pub fn table(&self, table: TableId) -> Option<&LoadedTable> {
        self.tables[table as usize].as_ref()
    }

    /// A table of either family.
    pub fn table_of(&self, family: Family, table: TableId) -> Option<&LoadedTable> {
        match family {
            Family::V4 => self.table(table),
            Family::V6 => self.tables6[table as usize].as_ref(),
        }
    }

    /// The loaded IPv4 tables, the one that was first used last in front: the order of iptables-save.
    pub fn loaded_tables(&self) -> &[TableId] {
        &self.table_order
    }

    /// The same for either family: ip6tables-save has an order of its own.
    pub fn loaded_tables_of(&self, family: Family) -> &[TableId] {
        match family {
            Family::V4 => &self.table_order,
            Family::V6 => &self.table_order6,
        }
    }

    pub(crate) fn table_of_mut(&mut self, family: Family, table: TableId) -> Option<&mut LoadedTable> {
        match family {
            Family::V4 => self.table_mut(table),
            Family::V6 => self.tables6[table as usize].as_mut(),
        }
    }

    /// Takes a look at a rule off the counters: they stand as if the packet had not come so far yet.
    pub fn uncount(&mut self, step: &RuleStep) {
        let len = step.frame.ip().map_or(0, packet::Ip::total_len);
        let Some(table) = self.table_of_mut(step.ctx.family, step.table) else { return };
        let Some(chain) = table.rules.chains.iter().position(|c| c.name == step.chain) else { return };
        let counters = match &step.outcome {
            RuleOutcome::Match { .. } => {
                let rule = (step.n as usize).checked_sub(1);
                rule.and_then(|n| table.state.chain_mut(chain).get_mut(n)).map(|s| &mut s.counters)
            }
            RuleOutcome::Policy(_) => table.policy.get_mut(chain),
            _ => None,
        };
        if let Some(counters) = counters {
            counters.subtract(len);
        }
    }

    pub(super) fn all_tables(&self) -> impl Iterator<Item = &LoadedTable> {
        self.tables.iter().chain(&self.tables6).flatten()
    }

    pub(crate) fn table_mut(&mut self, table: TableId) -> Option<&mut LoadedTable> {
        self.tables[table as usize].as_mut()
    }

    /// A table as packets meet it, if one has met it already.
    #[inline]
    pub(crate) fn entries_made(&self, table: TableId) -> Option<&Entries> {
        self.entries[table as usize].as_deref()
    }

    /// A table as packets meet it.
    pub(crate) fn entries(&mut self, table: TableId) -> Option<&Rc<Entries>> {
        let at = table as usize;
        if self.entries[at].is_none() {
            self.entries[at] = self.tables[at].as_ref().map(|t| Rc::new(Entries::new(&t.rules)));
        }
        self.entries[at].as_ref()
    }

    /// `iptables-restore` for one table: replaces it, registers its hooks, and turns conntrack on or off as the rules
    /// of all tables ask.
    pub fn load_table(&mut self, rules: RuleSet) -> Result<(), RuleSetError> {
        self.load_table_with_state(LoadedTable::new(rules))
    }

    /// As [`Netns::load_table`], with counters.
    pub fn load_table_with_state(&mut self, loaded: LoadedTable) -> Result<(), RuleSetError> {
        loaded.rules.check()?;
        let (family, table) = (loaded.rules.family, loaded.rules.table);
        self.request_modules(&loaded.rules);
        if table == TableId::Raw {
            self.new_templates();
            self.template_marks.retain(|id, _| !id.is_of(family));
        }
        let order = match family {
            Family::V4 => {
                self.tables[table as usize] = Some(loaded);
                self.entries[table as usize] = None;
                &mut self.table_order
            }
            Family::V6 => {
                self.tables6[table as usize] = Some(loaded);
                &mut self.table_order6
            }
        };
        if !order.contains(&table) {
            order.insert(0, table);
        }
        self.forget_recent_tables();
        self.register_table(family, table);
        self.update_conntrack();
        Ok(())
    }

    /// The mark of a rule's template.
    pub(crate) fn template_mark(&self, id: TemplateId) -> u32 {
        self.template_marks.get(&id).copied().unwrap_or(0)
    }

    pub(crate) fn set_template_mark(&mut self, id: TemplateId, mark: u32) {
        self.template_marks.insert(id, mark);
    }

    /// `nf_ct_ecache_ext_add`: a template made while nobody listens has no place for its masks.
    fn new_templates(&mut self) {
        self.ct.masks = self.ct.settings.events != 2 || self.ct.listened;
    }

    /// What comes with rules: the module that one needs (`request_module`; of a helper only conntrack's half), and the lists of
    /// xt_recent. One look at each rule: there may be many.
    fn request_modules(&mut self, rules: &RuleSet) {
        let mut physdev = false;
        for rule in rules.chains.iter().flat_map(|c| &c.rules) {
            if let Target::Ct(ct) = &rule.target {
                self.request_helper(ct);
            }
            for m in &rule.matches {
                match m {
                    Match::Physdev(_) => physdev = true,
                    Match::Recent(rule) => recent_tables_for(&mut self.recent, rule),
                    _ => {}
                }
            }
        }
        if physdev {
            self.set_br_netfilter(true);
        }
    }

    fn request_helper(&mut self, ct: &CtTarget) {
        self.modules.nf_conntrack_tftp |= ct.template.helper == Some(Helper::TFTP);
        self.modules.nf_conntrack_ftp |= ct.template.helper == Some(Helper::FTP);
    }

    /// The matches in the rules of all tables.
    fn all_matches(&self) -> impl Iterator<Item = &Match> {
        let rules = self.all_tables().flat_map(|t| &t.rules.chains).flat_map(|c| &c.rules);
        let of_tables = rules.flat_map(|r| &r.matches);
        #[cfg(feature = "nft")]
        return of_tables.chain(self.nft.xts().filter_map(|x| match x {
            Xt::Match(m) => Some(m),
            Xt::Target(_) => None,
        }));
        #[cfg(not(feature = "nft"))]
        of_tables
    }

    /// The targets of the rules of all tables.
    pub(super) fn all_targets(&self) -> impl Iterator<Item = &Target> {
        let rules = self.all_tables().flat_map(|t| &t.rules.chains).flat_map(|c| &c.rules);
        let of_tables = rules.map(|r| &r.target);
        #[cfg(feature = "nft")]
        return of_tables.chain(self.nft.xts().filter_map(|x| match x {
            Xt::Target(t) => Some(t),
            Xt::Match(_) => None,
        }));
        #[cfg(not(feature = "nft"))]
        of_tables
    }

    /// `recent_mt_destroy`: lists that no rule names any more are gone.
    fn forget_recent_tables(&mut self) {
        if self.recent.is_empty() {
            return;
        }
        let used: Vec<String> = self
            .all_matches()
            .filter_map(|m| match m {
                Match::Recent(rule) => Some(rule.name.clone()),
                _ => None,
            })
            .collect();
        self.recent.retain(|name, _| used.contains(name));
    }

    /// How many matches in the rules of all tables name an object of nfacct: it is in use by them.
    pub fn nfacct_references(&self, name: &str) -> usize {
        self.all_matches().filter(|m| matches!(m, Match::Nfacct(n) if n.name == name)).count()
    }

    /// How often the rules of all tables and lists use a set: its References. The set is in use by them.
    pub fn set_references(&self, name: &str) -> usize {
        let by_targets: usize = self
            .all_targets()
            .map(|t| match t {
                Target::Set(t) => t.sets().filter(|s| *s == name).count(),
                _ => 0,
            })
            .sum();
        let matches = self.all_matches().filter(|m| matches!(m, Match::Set(s) if s.name == name));
        by_targets + matches.count() + self.ipsets.listed_in(name)
    }

    /// What is registered at the hooks, as `nft list hooks` shows it.
    pub fn hooks(&self) -> &HookList {
        &self.hooks
    }

    fn register_table(&mut self, family: Family, table: TableId) {
        let func = HookFn::Table(table);
        for &hook in table.hooks() {
            let point = HookPoint { family, hook };
            let ops = HookOps { point, priority: table.priority(hook), func };
            match table {
                TableId::Nat => self.hooks.register_nat(ops),
                _ => self.hooks.register(ops),
            }
        }
    }

    /// `nf_tables_commit`: the tables that a transaction has made take the place of the others. New base chains are registered,
    /// those that are gone are not any more, and conntrack is turned on or off as the rules ask. What does not stand is refused
    /// before ([`NftTable::validate`](crate::netfilter::nftables::NftTable::validate)).
    #[cfg(feature = "nft")]
    pub fn commit_nftables(&mut self, nft: Nftables) {
        let old = self.nft.registered();
        let new = nft.registered();
        for gone in old.iter().filter(|r| !new.contains(r)) {
            let func = HookFn::Nft(gone.base);
            self.hooks.unregister(func);
            self.hooks.unregister_nat(func);
        }
        for r in new.iter().filter(|r| !old.contains(r)) {
            let ops = HookOps { point: r.point, priority: r.priority, func: HookFn::Nft(r.base) };
            if r.nat { self.hooks.register_nat(ops) } else { self.hooks.register(ops) }
        }
        self.nft = nft;
        let (mut lists, mut physdev, mut templates) = (Vec::new(), false, Vec::new());
        for xt in self.nft.xts() {
            match xt {
                Xt::Match(Match::Recent(rule)) => lists.push(rule.clone()),
                Xt::Match(Match::Physdev(_)) => physdev = true,
                Xt::Target(Target::Ct(ct)) => templates.push(*ct),
                _ => {}
            }
        }
        lists.iter().for_each(|rule| recent_tables_for(&mut self.recent, rule));
        if physdev {
            self.set_br_netfilter(true);
        }
        if !templates.is_empty() {
            self.new_templates();
        }
        templates.iter().for_each(|ct| self.request_helper(ct));
        self.forget_recent_tables();
        self.update_conntrack();
    }

    /// `nf_ct_netns_get`: conntrack runs for a family while somebody needs it there.
    fn update_conntrack(&mut self) {
        for family in [Family::V4, Family::V6] {
            let tables = match family {
                Family::V4 => &self.tables,
                Family::V6 => &self.tables6,
            };
            let wanted = self.probe && family == Family::V4
                || self.era.conntrack_everywhere()
                || tables.iter().flatten().any(|t| t.rules.uses_conntrack())
                || cfg!(feature = "nft") && self.nft.uses_conntrack(family);
            self.set_conntrack(family, wanted);
        }
    }

    fn set_conntrack(&mut self, family: Family, wanted: bool) {
        if !wanted {
            for func in [HookFn::Defrag, HookFn::ConntrackIn, HookFn::Confirm] {
                self.hooks.unregister_of(family, func);
            }
            return;
        }
        for hook in [InetHook::PreRouting, InetHook::LocalOut] {
            let point = HookPoint { family, hook };
            if family == Family::V4 {
                let priority = priority::CONNTRACK_DEFRAG;
                self.hooks.register(HookOps { point, priority, func: HookFn::Defrag });
            }
            self.hooks.register(HookOps { point, priority: priority::CONNTRACK, func: HookFn::ConntrackIn });
        }
        for hook in [InetHook::LocalIn, InetHook::PostRouting] {
            let priority = priority::CONNTRACK_CONFIRM;
            let point = HookPoint { family, hook };
            self.hooks.register(HookOps { point, priority, func: HookFn::Confirm });
        }
    }

    /// `ipvsadm -A`, `-E` with `edit`. The modules of IPVS and of the scheduler are loaded.
    pub fn ipvs_service(&mut self, spec: ServiceSpec, edit: bool) -> Result<(), IpvsError> {
        match edit {
            true => self.ipvs.edit_service(spec)?,
            false => self.ipvs.add_service(spec)?,
        }
        self.load_module("ip_vs");
        self.load_module(&format!("ip_vs_{}", spec.scheduler.name()));
        self.update_ipvs();
        Ok(())
    }

    /// `ipvsadm -D`
    pub fn ipvs_del_service(&mut self, id: ServiceId, now: Instant) -> Result<(), IpvsError> {
        self.ipvs.del_service(id, now)?;
        self.update_ipvs();
        Ok(())
    }

    /// `ipvsadm -a`, `-e` with `edit`.
    pub fn ipvs_dest(
        &mut self,
        id: ServiceId,
        spec: DestSpec,
        edit: bool,
        now: Instant,
    ) -> Result<(), IpvsError> {
        match edit {
            true => self.ipvs.edit_dest(id, spec),
            false => self.ipvs.add_dest(id, spec, now),
        }
    }

    /// `ipvsadm -d`
    pub fn ipvs_del_dest(&mut self, id: ServiceId, dest: Endpoint, now: Instant) -> Result<(), IpvsError> {
        self.ipvs.del_dest(id, dest, now)
    }

    /// `ipvsadm -C`
    pub fn ipvs_clear(&mut self, now: Instant) {
        while let Some(id) = self.ipvs.services().first().map(|s| s.id) {
            let _ = self.ipvs.del_service(id, now);
        }
        self.update_ipvs();
    }

    /// Ends the connections of IPVS whose time has come.
    pub fn ipvs_gc(&mut self, cx: &mut Cx<'_>) {
        ip_vs_conn_gc(self, cx);
    }

    /// Ends the connections that a deleted server has left behind, where `expire_nodest_conn` asks for it.
    pub fn ipvs_flush_nodest(&mut self, cx: &mut Cx<'_>) {
        ip_vs_flush_nodest(self, cx);
    }

    /// The hooks come with the first virtual server and go with the last, or with the module.
    pub(super) fn update_ipvs(&mut self) {
        for func in [HookFn::IpvsIn, HookFn::IpvsOut, HookFn::IpvsForwardIcmp] {
            self.hooks.unregister(func);
        }
        let by_module = self.modules.ip_vs && !self.era.ipvs_hooks_with_services();
        if self.ipvs.services().is_empty() && !by_module {
            return;
        }
        let places = [
            (InetHook::LocalIn, HookFn::IpvsOut),
            (InetHook::LocalIn, HookFn::IpvsIn),
            (InetHook::Forward, HookFn::IpvsForwardIcmp),
            (InetHook::Forward, HookFn::IpvsOut),
            (InetHook::LocalOut, HookFn::IpvsOut),
            (InetHook::LocalOut, HookFn::IpvsIn),
        ];
        for ((hook, func), priority) in places.into_iter().zip(priority::IPVS) {
            self.hooks.register(HookOps { point: HookPoint { family: Family::V4, hook }, priority, func });
        }
    }

    /// Registers the probe that reports conntrack's opinion after each lookup. It needs conntrack, as any rule that
    /// asks for a state does.
    pub fn add_ct_probe(&mut self) {
        self.probe = true;
        for hook in [InetHook::PreRouting, InetHook::LocalOut] {
            let point = HookPoint { family: Family::V4, hook };
            self.hooks.register(HookOps { point, priority: priority::CT_PROBE, func: HookFn::CtProbe });
        }
        self.update_conntrack();
    }

    /// What is registered at a hook, in the order in which it runs.
    pub fn hooks_at(&self, hook: InetHook) -> Vec<HookFn> {
        self.hooks.at(HookPoint { family: Family::V4, hook }).map(|o| o.func).collect()
    }

    /// The same for a family, with the priorities.
    pub fn hook_ops(&self, family: Family, hook: InetHook) -> Vec<HookOps> {
        self.hooks.at(HookPoint { family, hook }).collect()
    }
}
