//! Kernel modules that change what a packet meets: what needs what, who uses whom, loading and removing (kernel/module).

use super::{Modules, Netns, Ports};
use crate::Cx;
use crate::netfilter::conntrack::HelperKind;
use crate::netfilter::ipvs::{Ipvs, Scheduler};
use crate::netfilter::xtables::targets::Target;

/// A module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: &'static str,
    /// Where Linux keeps its file, under `kernel/`.
    pub folder: &'static str,
    /// What must be loaded before.
    pub needs: &'static [&'static str],
    /// The size that lsmod shows; that of Debian's 6.1.
    pub size: u32,
}

const fn row(name: &'static str, folder: &'static str, needs: &'static [&'static str], size: u32) -> Module {
    Module { name, folder, needs, size }
}

const NETFILTER: &str = "net/netfilter";
const IPVS: &str = "net/netfilter/ipvs";
const IP_VS: &[&str] = &["ip_vs"];

/// The modules that are modelled. Everything else is built in here.
pub const MODULES: [Module; 15] = [
    row("br_netfilter", "net/bridge", &[], 36864),
    row("nf_conntrack_ftp", NETFILTER, &[], 24576),
    row("nf_nat_ftp", NETFILTER, &["nf_conntrack_ftp"], 20480),
    row("nf_conntrack_tftp", NETFILTER, &[], 20480),
    row("nf_nat_tftp", NETFILTER, &["nf_conntrack_tftp"], 16384),
    row("ip_vs", IPVS, &[], 188_416),
    row("ip_vs_rr", IPVS, IP_VS, 16384),
    row("ip_vs_wrr", IPVS, IP_VS, 16384),
    row("ip_vs_lc", IPVS, IP_VS, 16384),
    row("ip_vs_wlc", IPVS, IP_VS, 16384),
    row("ip_vs_sed", IPVS, IP_VS, 16384),
    row("ip_vs_nq", IPVS, IP_VS, 16384),
    row("ip_vs_sh", IPVS, IP_VS, 16384),
    row("ip_vs_dh", IPVS, IP_VS, 16384),
    row("ip_vs_mh", IPVS, IP_VS, 16384),
];

/// Why a module cannot be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleError {
    /// It is not loaded.
    NotLoaded,
    /// It is used, by these modules and perhaps otherwise.
    InUse(Vec<&'static str>),
}

impl Modules {
    fn slot(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "br_netfilter" => &mut self.br_netfilter,
            "nf_conntrack_ftp" => &mut self.nf_conntrack_ftp,
            "nf_nat_ftp" => &mut self.nf_nat_ftp,
            "nf_conntrack_tftp" => &mut self.nf_conntrack_tftp,
            "nf_nat_tftp" => &mut self.nf_nat_tftp,
            "ip_vs" => &mut self.ip_vs,
            _ => {
                let scheduler = name.strip_prefix("ip_vs_")?;
                let at = Scheduler::ALL.iter().position(|s| s.name() == scheduler)?;
                self.ip_vs_schedulers.get_mut(at)?
            }
        })
    }

    /// True if the module is loaded.
    pub fn has(mut self, name: &str) -> bool {
        self.slot(name).is_some_and(|loaded| *loaded)
    }
}

impl Netns {
    /// The loaded modules, the newest first, as lsmod lists them.
    pub fn loaded_modules(&self) -> Vec<&'static Module> {
        let known = self.module_order.iter().filter_map(|name| MODULES.iter().find(|m| m.name == *name));
        let others = MODULES.iter().filter(|m| !self.module_order.contains(&m.name));
        known.chain(others).filter(|m| self.modules.has(m.name)).collect()
    }

    /// `module_refcount`: how often a module is used, by other modules, rules and virtual servers; and those modules.
    pub fn module_users(&self, name: &str) -> (usize, Vec<&'static str>) {
        let users: Vec<&'static str> =
            self.loaded_modules().iter().filter(|m| m.needs.contains(&name)).map(|m| m.name).collect();
        // A scheduler holds ip_vs once by its symbols and once by being registered.
        let each = if name == "ip_vs" { 2 } else { 1 };
        let kind = HelperKind::ALL.into_iter().find(|k| name.strip_prefix("nf_conntrack_") == Some(k.name()));
        let rules = kind.map_or(0, |kind| self.helper_rules(kind));
        let served = match name.strip_prefix("ip_vs") {
            Some("") => self.ipvs.services().len(),
            Some(scheduler) => {
                let uses = |s: &&crate::netfilter::ipvs::Service| {
                    scheduler.strip_prefix('_') == Some(s.spec.scheduler.name())
                };
                self.ipvs.services().iter().filter(uses).count()
            }
            None => 0,
        };
        (users.len() * each + rules + served, users)
    }

    /// How many rules of the target CT name a helper.
    fn helper_rules(&self, kind: HelperKind) -> usize {
        let names =
            |t: &&Target| matches!(t, Target::Ct(ct) if ct.template.helper.is_some_and(|h| h.kind == kind));
        self.all_targets().filter(names).count()
    }

    /// `modprobe`: loads a module with what it needs; gives those that were not there, in the order in which they came.
    pub fn load_module(&mut self, name: &str) -> Vec<&'static Module> {
        let Some(module) = MODULES.iter().find(|m| m.name == name) else { return Vec::new() };
        let mut loaded: Vec<&'static Module> =
            module.needs.iter().flat_map(|n| self.load_module(n)).collect();
        if !self.modules.has(name) {
            self.set_module(module, true);
            loaded.push(module);
        }
        loaded
    }

    /// `delete_module`
    ///
    /// # Errors
    /// It is not there, or it is used.
    pub fn unload_module(&mut self, name: &str, cx: &mut Cx<'_>) -> Result<(), ModuleError> {
        let module = MODULES.iter().find(|m| m.name == name && self.modules.has(m.name));
        let Some(module) = module else { return Err(ModuleError::NotLoaded) };
        let (count, users) = self.module_users(name);
        if count > 0 {
            return Err(ModuleError::InUse(users));
        }
        if name == "ip_vs" {
            // Its connections and settings go with it.
            self.ipvs_forget(cx);
        }
        self.set_module(module, false);
        Ok(())
    }

    fn set_module(&mut self, module: &'static Module, on: bool) {
        self.module_order.retain(|m| *m != module.name);
        if on {
            self.module_order.insert(0, module.name);
        }
        match module.name {
            "br_netfilter" => self.set_br_netfilter(on),
            name => {
                if let Some(slot) = self.modules.slot(name) {
                    *slot = on;
                }
                // What it was told goes with it.
                match name {
                    _ if on => {}
                    "nf_conntrack_tftp" => self.modules.tftp_ports = Ports::default(),
                    "nf_conntrack_ftp" => {
                        (self.modules.ftp_ports, self.modules.ftp_loose) = (Ports::default(), false);
                    }
                    _ => {}
                }
            }
        }
        if module.name == "ip_vs" {
            self.update_ipvs();
        }
    }

    /// `__ip_vs_cleanup_batch`
    fn ipvs_forget(&mut self, cx: &mut Cx<'_>) {
        self.ipvs_gc(cx);
        self.ipvs = Ipvs::default();
    }
}
