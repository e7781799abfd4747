//! kube-proxy itself: it is told of changes and brings a node's rules up to date.

use super::config::{Config, Family};
use super::conntrack::{Cleanup, cleanup};
use super::health::{ServiceHealth, service_health};
use super::iptables::Iptables;
use super::ipvs::{Ipvs, IpvsText};
use super::nftables::Nftables;
use super::tracker::{Cache, Ports, Touched};
use super::{Change, Mode, NotModelled, Ruleset};
use crate::object::NamespacedName;
use ipnet::IpNet;
use sorted::Map;

/// The kube-proxy of a node, in one mode.
///
/// [`apply`](Self::apply) is what its informers tell it; [`sync`](Self::sync) is `syncProxyRules`. It remembers what it wrote,
/// so that a sync after a small change is a small one, as far as the real one's is.
#[derive(Clone, Debug)]
pub struct KubeProxy {
    config: Config,
    service_cidrs: Vec<IpNet>,
    mode: Mode,
    cache: Cache,
    families: Vec<PerFamily>,
}

#[derive(Clone, Debug)]
struct PerFamily {
    family: Family,
    ports: Ports,
    /// Services that have changed since the last sync, and whether their endpoints have.
    changed: Map<NamespacedName, bool>,
    /// The next sync writes everything.
    needs_all: bool,
    /// There was a sync.
    synced: bool,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Rules {
    Iptables(Iptables),
    Ipvs(Box<Ipvs>),
    Nftables(Box<Nftables>),
}

/// What a sync hands to the node's tools in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The family.
    pub family: Family,
    /// The text.
    pub text: SyncText,
    /// What becomes of connections that go to endpoints which are not there any more.
    pub conntrack: Cleanup,
}

/// The text of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncText {
    /// For `iptables-restore --noflush --counters`.
    Iptables(String),
    /// For several tools.
    Ipvs(IpvsText),
    /// For `nft -f -`.
    Nftables(String),
}

impl KubeProxy {
    /// A kube-proxy that has just started, on a node where none was before. `service_cidrs` are the networks of cluster IPs, as
    /// ServiceCIDR objects say; only mode nftables asks for them.
    ///
    /// # Errors
    /// The mode is not modelled for the version.
    pub fn new(config: Config, service_cidrs: Vec<IpNet>, mode: Mode) -> Result<KubeProxy, NotModelled> {
        if !config.version.modes().contains(&mode) {
            return Err(NotModelled { version: config.version, mode });
        }
        let of_family = |family: &Family| PerFamily {
            family: *family,
            ports: Ports::default(),
            changed: Map::new(),
            needs_all: true,
            synced: false,
            rules: match mode {
                Mode::Iptables => Rules::Iptables(Iptables::default()),
                Mode::Ipvs => Rules::Ipvs(Box::new(Ipvs::new(*family))),
                Mode::Nftables => Rules::Nftables(Box::default()),
            },
        };
        let families = [Family::V4, Family::V6].iter().filter(|f| config.families.contains(f));
        let families = families.map(of_family).collect();
        Ok(KubeProxy { config, service_cidrs, mode, cache: Cache::default(), families })
    }

    /// These chains of the IPv4 nat table exist already, from an earlier kube-proxy in mode iptables. Chains that belong to
    /// nobody's Service are left alone.
    #[must_use]
    pub fn with_chains<'c>(mut self, chains: impl IntoIterator<Item = &'c str>) -> KubeProxy {
        let mut found = Some(Iptables::with_chains(chains));
        for f in self.families.iter_mut().filter(|f| f.family == Family::V4) {
            if let (Rules::Iptables(rules), Some(iptables)) = (&mut f.rules, found.take()) {
                *rules = iptables;
            }
        }
        self
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Takes a change of the cluster's objects.
    pub fn apply(&mut self, change: Change) {
        let touched = match change {
            Change::Apply(object) => self.cache.apply(*object),
            Change::DeleteService(key) => self.cache.delete_service(&key),
            Change::DeleteEndpointSlice(key) => self.cache.delete_slice(&key),
            Change::DeleteEndpoints(key) => self.cache.delete_endpoints(&key),
        };
        for Touched { service, endpoints } in touched {
            for f in self.families.iter_mut().filter(|f| endpoints.is_none_or(|family| family == f.family)) {
                if !f.synced {
                    continue;
                }
                *f.changed.entry(service.clone()).or_default() |= endpoints.is_some();
            }
        }
    }

    /// The next sync writes everything anew, as each does that comes after an hour or a failure: it overwrites what somebody
    /// else has done to kube-proxy's chains.
    pub fn resync(&mut self) {
        for f in &mut self.families {
            f.needs_all = true;
        }
    }

    /// The same on a node where somebody has changed the rules by hand: what a full sync reads from the kernel is read from
    /// these, one for each family. Mode iptables looks for chains that nothing needs, mode nftables for chains, sets of
    /// clients and elements.
    pub fn resync_over<'r>(&mut self, found: impl IntoIterator<Item = (Family, &'r Ruleset)>) {
        self.resync();
        for (family, found) in found {
            for f in self.families.iter_mut().filter(|f| f.family == family) {
                match &mut f.rules {
                    Rules::Iptables(rules) => rules.read(found),
                    Rules::Nftables(rules) => rules.read(found),
                    Rules::Ipvs(_) => {}
                }
            }
        }
    }

    /// One sync, of each family.
    pub fn sync(&mut self) -> Vec<Synced> {
        let KubeProxy { config, service_cidrs, cache, families, .. } = self;
        families.iter_mut().map(|f| f.sync(config, service_cidrs, cache)).collect()
    }

    /// The health checks of Services that are answered after the last sync, of IPv4.
    pub fn service_health(&self) -> Vec<ServiceHealth> {
        let v4 = self.families.iter().filter(|f| f.family == Family::V4);
        v4.flat_map(|f| service_health(&self.config, self.mode, &f.ports)).collect()
    }

    /// The table of mode nftables as it is after the last sync, by family; none in other modes.
    pub fn nft_tables(&self) -> Vec<(Family, String)> {
        let table = |f: &PerFamily| match &f.rules {
            Rules::Nftables(rules) => {
                Some((f.family, rules.table(&self.config, &self.service_cidrs, f.family, &f.ports)))
            }
            _ => None,
        };
        self.families.iter().filter_map(table).collect()
    }

    /// What mode ipvs has on the node after the last sync, by family; none in other modes.
    pub fn ipvs_texts(&self) -> Vec<(Family, IpvsText)> {
        let text = |f: &PerFamily| match &f.rules {
            Rules::Ipvs(rules) => Some((f.family, rules.text(&self.config))),
            _ => None,
        };
        self.families.iter().filter_map(text).collect()
    }

    /// The chains of Services and endpoints that are in the IPv4 nat table after the last sync, in mode iptables.
    pub fn chains(&self) -> Vec<String> {
        let chains = self.families.iter().filter(|f| f.family == Family::V4).filter_map(|f| match &f.rules {
            Rules::Iptables(rules) => Some(rules.chains()),
            _ => None,
        });
        chains.flatten().collect()
    }
}

impl PerFamily {
    fn sync(&mut self, config: &Config, service_cidrs: &[IpNet], cache: &Cache) -> Synced {
        let changed = core::mem::take(&mut self.changed);
        let delta = if core::mem::replace(&mut self.synced, true) {
            Some(self.ports.update(config, self.family, cache, &changed))
        } else {
            self.ports = Ports::all(config, self.family, cache);
            None
        };
        let (family, ports) = (self.family, &self.ports);
        let conntrack = cleanup(config, family, ports, delta.as_ref());
        let needs_all = core::mem::take(&mut self.needs_all);
        let partial = delta.as_ref().filter(|_| !needs_all);
        let text = match &mut self.rules {
            Rules::Iptables(rules) => SyncText::Iptables(rules.sync(config, family, ports, partial)),
            Rules::Ipvs(rules) => SyncText::Ipvs(rules.sync(config, ports, partial)),
            Rules::Nftables(rules) => {
                SyncText::Nftables(rules.sync(config, service_cidrs, family, ports, partial))
            }
        };
        Synced { family, text, conntrack }
    }
}
