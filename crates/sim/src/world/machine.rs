//! Machines of several network namespaces: a node and its pods have one kernel.

use super::{AppId, World};
use crate::apps::App;
use kernel::{Instant, NetnsId};

/// A program that runs.
pub(crate) struct Running<'w> {
    /// The number of its process.
    pub pid: u16,
    /// Its name.
    pub name: &'w str,
    /// Its command line.
    pub command: String,
    /// Where it runs.
    pub host: NetnsId,
    /// It began with its box.
    pub daemon: bool,
    /// When it began.
    pub since: Instant,
}

impl World {
    /// The programs that a box sees: its own, and on the first namespace of a machine those of all. By their numbers.
    pub(crate) fn running(&self, host: NetnsId) -> Vec<Running<'_>> {
        let seen = |on: NetnsId| on == host || self.machine(on) == host;
        let mut out: Vec<Running<'_>> = Vec::new();
        for (n, app) in self.apps.iter().enumerate() {
            let Some(on) = app.host().filter(|on| seen(*on)) else { continue };
            let id = AppId(n);
            let (own, daemon, since) = match app {
                App::Process(p) => (p.command(), p.is_daemon(), p.since()),
                other => (Some(other.name().to_owned()), true, None),
            };
            let job = self.jobs.iter().find(|job| job.is(id)).map(|job| job.argv.join(" "));
            let Some(command) = own.map(|own| job.unwrap_or(own)) else { continue };
            // What answers at several places may be one program.
            if daemon && out.iter().any(|p| p.daemon && p.host == on && p.command == command) {
                continue;
            }
            let since = since.unwrap_or(Instant(0));
            out.push(Running { pid: id.pid(), name: app.name(), command, host: on, daemon, since });
        }
        out
    }

    /// The number of the next process.
    pub(crate) fn next_pid(&self) -> u16 {
        AppId(self.apps.len()).pid()
    }

    /// The box whose files and processes a program has that runs on this one: another only by `nsenter`.
    pub(crate) fn rooted(&self, host: NetnsId) -> NetnsId {
        self.root.filter(|(on, _)| *on == host).map_or(host, |(_, root)| root)
    }

    /// Programs of a box have the files and processes of another until [`World::put_root_back`].
    pub(crate) fn root(&mut self, host: NetnsId, root: NetnsId) -> Option<(NetnsId, NetnsId)> {
        self.root.replace((host, root))
    }

    /// As it was before [`World::root`].
    pub(crate) fn put_root_back(&mut self, before: Option<(NetnsId, NetnsId)>) {
        self.root = before;
    }

    /// The box that is the first namespace of a box's machine: itself, or the node of a pod.
    pub fn machine(&self, host: NetnsId) -> NetnsId {
        self.machines.get(&host).copied().unwrap_or(host)
    }

    /// The boxes of a box's machine that have not ceased to be, the first namespace first.
    pub fn namespaces(&self, host: NetnsId) -> impl Iterator<Item = NetnsId> {
        let first = self.machine(host);
        let beside = self.machines.iter().filter(move |(ns, of)| **of == first && !self.is_retired(**ns));
        std::iter::once(first).chain(beside.map(|(ns, _)| *ns))
    }

    /// A box without devices becomes a namespace of another's machine. It begins with the settings of all and of new devices that the
    /// first namespace has (net/ipv4/devinet.c, `inet_init_net`).
    pub(crate) fn join(&mut self, host: NetnsId, machine: NetnsId) {
        self.machines.insert(host, machine);
        let Some(first) = self.host(machine) else { return };
        let (era, all, default) = (first.era(), first.sysctl.all.clone(), first.sysctl.default.clone());
        let Some(ns) = self.host_mut(host) else { return };
        ns.set_child(true);
        ns.set_era(era);
        (ns.sysctl.all, ns.sysctl.default) = (all, default);
        self.share(machine);
    }

    /// What a machine has once is the same in all its namespaces: modules and the limits of conntrack, as `host` has them.
    pub(crate) fn share(&mut self, host: NetnsId) {
        let Some(ns) = self.host(host) else { return };
        let (modules, limits, log) = (ns.modules, ns.ct.limits, ns.sysctl.nf_log_all_netns);
        for other in self.namespaces(host).filter(|n| *n != host).collect::<Vec<_>>() {
            let Some(ns) = self.host_mut(other) else { continue };
            if ns.modules != modules {
                ns.set_br_netfilter(modules.br_netfilter);
                ns.modules = modules;
            }
            ns.ct.limits = limits;
            ns.sysctl.nf_log_all_netns = log;
        }
    }
}
