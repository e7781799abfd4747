//! Mode nftables (pkg/proxy/nftables/proxier.go): the transactions that bring the table `kube-proxy` of a family up to date.

use super::Ruleset;
use super::config::{Config, Family};
use super::nft_port::{Writer, Written};
use super::nft_setup::{node_port_ips, setup};
use super::nft_table::{Claim, Container, Elements, TABLE, Table, ip};
use super::tracker::{Cache, Delta, PortKey, Ports};
use crate::Objects;
use core::fmt::Write;
use ipnet::IpNet;
use sorted::{Map, Set};

/// What kube-proxy remembers from one sync to the next, and what the kernel holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Nftables {
    ports: Map<PortKey, Written>,
    elements: Elements,
    /// Two Service ports ask for the same element with different verdicts.
    contested: bool,
    /// Seconds of affinity by the name of the set.
    affinity_sets: Map<String, u32>,
    /// Chains of Services and endpoints that nothing needs any more: empty, but there.
    stale: Set<String>,
    /// Sets of clients that were found.
    foreign_sets: Set<String>,
    /// The base chains were made by this kube-proxy.
    synced: bool,
}

/// The first sync on a node where no kube-proxy was: the transaction.
pub fn first_sync(config: &Config, family: Family, objects: &Objects) -> String {
    let ports = Ports::all(config, family, &Cache::of(objects));
    let cidrs: Vec<IpNet> = objects.service_cidrs.values().flat_map(|c| &c.cidrs).copied().collect();
    Nftables::default().sync(config, &cidrs, family, &ports, None)
}

impl Nftables {
    /// One sync: the transaction for `nft -f -`. Without a `delta` everything is written. `service_cidrs` are the networks of
    /// cluster IPs, if they are known: what goes to an address there that no Service has is dropped.
    ///
    /// Chains that nothing needs any more are emptied but stay: kube-proxy deletes them in a sync more than a second later,
    /// because kernels before 6.2 hold on to them for a moment. Here no time passes between syncs.
    pub fn sync(
        &mut self,
        config: &Config,
        service_cidrs: &[IpNet],
        family: Family,
        ports: &Ports,
        delta: Option<&Delta>,
    ) -> String {
        let delta = delta.filter(|_| self.synced);
        let mut tx = String::new();
        if delta.is_none() {
            // A guess that saves most of the growing.
            tx.reserve(ports.endpoints * 620 + ports.ports.len() * 600);
            tx.push_str(&setup(config, service_cidrs, family, !self.synced));
        }
        self.synced = true;
        let old = self.note(ports, delta);
        let w = Writer::new(config, family);
        let every = delta.is_none() || self.contested || self.will_be_contested(&w, ports);
        if every {
            // Claims are made anew, in the order of the Service ports: the last of them wins.
            self.ports.values().flat_map(|p| &p.elements).for_each(|claim| self.elements.release(claim));
            self.contested = false;
        }
        for (port, written) in ports.ports.values().zip(self.ports.values_mut()) {
            if written.dirty {
                let mut ensure = |claim: &Claim, tx: &mut String| {
                    self.contested |= self.elements.is_contested(claim);
                    self.elements.ensure(family, claim, tx);
                };
                *written = w.write(port, &mut ensure, &mut tx);
            } else if every {
                for claim in &written.elements {
                    self.contested |= self.elements.is_contested(claim);
                    self.elements.ensure(family, claim, &mut tx);
                }
            }
        }
        self.clean_up(family, &old, &mut tx);
        tx
    }

    /// Looks what there is before a full sync (`readOrReset`).
    pub fn read(&mut self, found: &Ruleset) {
        // Only names of Services and endpoints have a slash.
        self.stale.extend(found.names("chain ").filter(|name| name.contains('/')).map(str::to_owned));
        for container in Container::ALL {
            self.elements.read(container, found.elements(container.name()));
        }
        let sets = || found.names("set ").filter(|name| name.starts_with("affinity-"));
        self.affinity_sets.retain(|known, _| sets().any(|name| name == known));
        self.foreign_sets = sets().map(str::to_owned).collect();
    }

    /// The table as it is after the last sync.
    pub fn table(&self, config: &Config, service_cidrs: &[IpNet], family: Family, ports: &Ports) -> String {
        let w = Writer::new(config, family);
        let mut rules = setup(config, service_cidrs, family, false);
        for port in ports.ports.values() {
            w.write(port, &mut |_, _| {}, &mut rules);
        }
        for name in &self.stale {
            let _ = writeln!(rules, "add chain {} {TABLE} {name}", ip(family));
        }
        let node_port_ips = node_port_ips(config, family);
        let (elements, affinity_sets) = (&self.elements, &self.affinity_sets);
        Table { family, rules: &rules, elements, node_port_ips, affinity_sets }.print()
    }

    /// Makes the ports those that are there now, and marks the ones to write. Gives what was written for them before.
    fn note(&mut self, ports: &Ports, delta: Option<&Delta>) -> Vec<Written> {
        let old: Vec<Written> = match delta {
            None => {
                let new = ports.ports.keys().map(|key| (key.clone(), Written::dirty())).collect();
                core::mem::replace(&mut self.ports, new).into_values().collect()
            }
            Some(delta) => {
                let old = delta.old.keys().filter_map(|key| self.ports.remove(key)).collect();
                self.ports.extend(delta.new.iter().map(|key| (key.clone(), Written::dirty())));
                old
            }
        };
        old.iter().flat_map(|p| &p.elements).for_each(|claim| self.elements.release(claim));
        old
    }

    /// A Service port that is about to be written asks for an element that another has with another verdict.
    fn will_be_contested(&self, w: &Writer<'_>, ports: &Ports) -> bool {
        let mut found = false;
        for (port, _) in ports.ports.values().zip(self.ports.values()).filter(|(_, w)| w.dirty) {
            let mut look = |claim: &Claim, _: &mut String| found |= self.elements.is_contested(claim);
            w.write(port, &mut look, &mut String::new());
        }
        found
    }

    /// What nothing needs any more: chains are emptied; sets of clients and elements are deleted.
    fn clean_up(&mut self, family: Family, old: &[Written], tx: &mut String) {
        for chain in old.iter().flat_map(Written::chains) {
            self.stale.insert(chain);
        }
        let mut sets = core::mem::take(&mut self.foreign_sets);
        sets.extend(old.iter().flat_map(Written::affinity_sets));
        for written in self.ports.values_mut().filter(|w| w.dirty) {
            written.dirty = false;
            if !self.stale.is_empty() {
                for name in written.chains() {
                    self.stale.remove(&name);
                }
            }
            for name in written.affinity_sets() {
                sets.remove(&name);
                // A set that is there is not changed by adding it again.
                self.affinity_sets.entry(name).or_insert(written.affinity.unwrap_or(0));
            }
        }
        for chain in &self.stale {
            let _ = writeln!(tx, "flush chain {} {TABLE} {chain}", ip(family));
        }
        for set in sets {
            let _ = writeln!(tx, "delete set {} {TABLE} {set}", ip(family));
            self.affinity_sets.remove(&set);
        }
        self.elements.end(family, tx);
    }
}
