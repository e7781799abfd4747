//! The cluster while a lab runs: kubectl changes objects, and kube-proxy on each node follows.

use super::effect::{Effect, Refusal};
use super::forward;
use super::health;
use super::made::Made;
use super::pods::{self, Programs};
use super::rollout;
use super::split;
use super::stored::Stored;
use super::world::{WorldSpec, objects_after};
use super::{Act, Command};
use crate::kube::{Kube, Mode};
use cluster::controllers::Controllers;
use cluster::kube_proxy::{
    CHECK_INTERVAL, Change, Cleanup, ConntrackEntry, GracefulTermination, IpvsText, KubeProxy, Ruleset,
    SyncText, VirtualServers,
};
use cluster::object::{Node, Object, Objects, Protocol};
use cluster::yaml::Yaml;
use kernel::netfilter::conntrack::Row;
use kernel::netfilter::ipvs::Service;
use kernel::{Instant, Netns};
use sim::operator::CommandOutput;
use sim::{AppId, Shell, World};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The API server's objects, and the kube-proxies.
#[derive(Clone)]
pub(super) struct Live {
    spec: WorldSpec,
    documents: Vec<Yaml>,
    files: Vec<Yaml>,
    /// What `kubectl apply` was given.
    applied: Vec<Yaml>,
    kube: Kube,
    controllers: Controllers,
    programs: Programs,
    proxies: Vec<Proxy>,
    /// How often [`CHECK_INTERVAL`] has passed.
    checks: u64,
    shell: Shell,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({} kube-proxies)", self.proxies.len())
    }
}

#[derive(Clone)]
struct Proxy {
    node: String,
    runs: bool,
    proxy: KubeProxy,
    graceful: GracefulTermination,
    /// It has just begun.
    fresh: bool,
    /// Its process, which answers to health checks.
    process: Option<AppId>,
}

impl Live {
    /// A cluster whose boxes have just been made, of these documents; `files` wait for `kubectl apply`.
    pub fn new(
        spec: WorldSpec,
        (documents, files): (Vec<Yaml>, Vec<Yaml>),
        kube: Kube,
        programs: Programs,
        shell: Shell,
    ) -> Result<Live, String> {
        let mut controllers = Controllers::default();
        objects_after(&mut controllers, &documents).map_err(|e| e.to_string())?;
        let mut proxies = Vec::new();
        for node in kube.objects.nodes.values() {
            let Some((_, mut proxy)) = begun(&kube, node)? else { continue };
            // The boxes have the text of this one.
            proxy.sync();
            proxies.push(Proxy {
                node: node.metadata.name.clone(),
                runs: true,
                proxy,
                graceful: GracefulTermination::default(),
                fresh: false,
                process: None,
            });
        }
        Ok(Live {
            spec,
            documents,
            files,
            applied: Vec::new(),
            kube,
            controllers,
            programs,
            proxies,
            checks: 0,
            shell,
        })
    }

    /// The kube-proxies' processes begin, in boxes that have just been made.
    pub fn begin(&mut self, world: &mut World) {
        for proxy in &mut self.proxies {
            let Some(host) = world.host_by_name(&proxy.node) else { continue };
            let node = self.kube.objects.nodes.get(&proxy.node);
            let sites = health::sites(&proxy.proxy, node, world.now());
            proxy.process = Some(world.start_daemon(host, &health::process(sites)));
        }
    }

    /// The kube-proxies answer to health checks by what they know now; one that is stopped does not listen.
    fn answer_checks(&self, world: &mut World) {
        for proxy in &self.proxies {
            let Some(process) = proxy.process else { continue };
            let node = self.kube.objects.nodes.get(&proxy.node);
            let sites = match proxy.runs {
                true => health::sites(&proxy.proxy, node, world.now()),
                false => Vec::new(),
            };
            world.reconfigure_http(process, &sites);
        }
    }

    /// A command about the cluster.
    pub fn effects(&mut self, world: &mut World, effects: &[Effect]) -> CommandOutput {
        if let [Effect::Wrong(why)] = effects {
            return failed(why.clone());
        }
        if let [Effect::Get(query)] = effects {
            let age = world.now().since(Instant(0));
            return query.print(&self.stored(), age);
        }
        if let [Effect::Logs(logs)] = effects {
            return logs.print(&self.kube.objects, world);
        }
        if let [Effect::Status(named)] = effects {
            let said = rollout::status(named, &self.kube.objects);
            return said.unwrap_or_else(|refusal| failed(refusal.line()));
        }
        match self.change(world, effects) {
            Ok(output) => output,
            Err(refusal) => failed(refusal.line()),
        }
    }

    fn change(&mut self, world: &mut World, effects: &[Effect]) -> Result<CommandOutput, Refusal> {
        let (mut documents, mut controllers) = (self.documents.clone(), self.controllers.clone());
        let mut output = CommandOutput::default();
        let (mut all, mut warnings) = (Vec::new(), Vec::new());
        for effect in effects {
            all.extend(effect.expanded(&self.stored())?);
        }
        if let (true, [Effect::DeleteEach(_)]) = (all.is_empty(), effects) {
            output.stdout.push("No resources found".to_owned());
        }
        for effect in &all {
            let made = Made::of(effect, &controllers, &self.stored());
            let before = made.before(&self.documents);
            effect.check_whole(&documents)?;
            match made.change(effect, &mut documents, &mut controllers, &self.files) {
                // Of several that are to go the others do.
                Err(refusal) if matches!(effect, Effect::Delete(_)) => {
                    output.stderr.push(refusal.line());
                    continue;
                }
                done => done?,
            }
            let told = effect.told((&before, &documents, &self.applied), &self.files);
            output.stdout.extend(told.ok_or("this can be done only before the lab begins: as a switch")?);
            output.stderr.extend(effect.conflicts(&self.documents, &self.files));
            warnings.extend(effect.warnings());
        }
        let after = objects_after(&mut controllers, &documents).map_err(|e| e.to_string())?;
        if let Some(name) = after.nodes.keys().find(|name| self.kube.objects.nodes.get(*name).is_none()) {
            return Err(format!("node {name}: nodes that begin while a lab runs are not modelled").into());
        }
        let changes = changes(&self.kube.objects, &after);
        pods::follow(world, &mut self.kube, after, &self.programs, self.shell)?;
        (self.documents, self.controllers) = (documents, controllers);
        self.applied.extend(all.iter().flat_map(|effect| effect.applied(&self.files)));
        for proxy in &mut self.proxies {
            changes.iter().for_each(|c| proxy.proxy.apply(c.clone()));
        }
        for proxy in self.proxies.iter_mut().filter(|p| p.runs) {
            sync(self.shell, world, proxy)?;
        }
        self.answer_checks(world);
        output.status = i32::from(!output.stderr.is_empty());
        output.stderr.extend(warnings);
        Ok(output)
    }

    /// `kubectl port-forward` to a Service or a Deployment as one to a pod: see [`forward::to_pod`].
    pub fn forwarded(&self, command: &Command) -> Option<Result<Command, String>> {
        forward::to_pod(command, &self.kube.objects)
    }

    /// The box of a pod that has its node's network is the node's.
    pub fn name_boxes(&self, command: &mut Command) {
        for name in &mut command.on {
            let own = |p: &&cluster::object::Pod| p.host_network && p.metadata.name == *name;
            let pod = self.kube.objects.pods.values().find(own).filter(|p| !p.node_name.is_empty());
            if let Some(pod) = pod {
                name.clone_from(&pod.node_name);
            }
        }
    }

    /// What a step does, as the cluster stands now.
    pub fn resolved(&self, act: &Act) -> Act {
        match act {
            Act::Run(c) => match self.forwarded(c) {
                Some(Ok(to_pod)) => Act::Run(to_pod),
                _ => act.clone(),
            },
            act => act.clone(),
        }
    }

    fn stored(&self) -> Stored<'_> {
        Stored { documents: &self.documents, objects: &self.kube.objects, kubelet: self.kube.kubelet }
    }

    /// `systemctl stop|start|restart kube-proxy` on a node.
    pub fn systemctl(&mut self, world: &mut World, node: &str, argv: &[String]) -> CommandOutput {
        let (verb, unit) = match argv {
            [_, verb, unit] => (verb.as_str(), unit.trim_end_matches(".service")),
            _ => return failed("expected systemctl stop|start|restart kube-proxy".to_owned()),
        };
        let Some(proxy) = self.proxies.iter_mut().find(|p| p.node == node && unit == "kube-proxy") else {
            return failed(format!("Failed to {verb} {unit}.service: Unit {unit}.service not found."));
        };
        let runs = match verb {
            "stop" => false,
            "start" | "restart" => true,
            _ => return failed(format!("systemctl {verb} is not modelled; expected stop, start or restart")),
        };
        let begins = runs && (!proxy.runs || verb == "restart");
        proxy.runs = runs;
        if begins && let Err(e) = begin(self.shell, world, &self.kube, proxy) {
            return failed(e);
        }
        self.answer_checks(world);
        CommandOutput::default()
    }

    /// How the boxes were made, the objects as they were given, and with what controllers have made of them.
    pub fn into_parts(self) -> (WorldSpec, Vec<Yaml>, Objects) {
        (self.spec, self.documents, self.kube.objects)
    }

    /// So much time passes; each minute the kube-proxies look after real servers that are to end.
    pub async fn wait(&mut self, world: &mut World, time: Duration) {
        let until = world.now() + time;
        while self.proxies.iter().any(|p| p.graceful.is_waiting()) {
            let next = Instant(0) + CHECK_INTERVAL * u32::try_from(minute(world) + 1).unwrap_or(u32::MAX);
            if next > until {
                break;
            }
            world.pass(next).await;
            self.look_after(world);
        }
        world.pass(until).await;
    }

    /// What the kube-proxies have to do at this time.
    pub fn look_after(&mut self, world: &mut World) {
        let minute = minute(world);
        if core::mem::replace(&mut self.checks, minute) == minute {
            return;
        }
        for proxy in self.proxies.iter_mut().filter(|p| p.runs && p.graceful.is_waiting()) {
            let Some(host) = world.host_by_name(&proxy.node) else { continue };
            world.with(host, |ns, cx| ns.ipvs_gc(cx));
            let lines = world.host(host).map(|ns| proxy.graceful.check(&NodeServers(ns))).unwrap_or_default();
            for line in lines {
                let argv: Vec<&str> = ["ipvsadm"].into_iter().chain(line.split(' ')).collect();
                // What it refuses is tried again in a minute.
                let _ = run(self.shell, world, &proxy.node, &argv, None);
            }
        }
    }

    /// kube-proxy's version and mode.
    pub fn proxy(&self) -> Option<(cluster::kube_proxy::Version, cluster::kube_proxy::Mode)> {
        self.kube.mode.map(|mode| (self.kube.version, mode.into()))
    }

    /// What the objects say now, and how the boxes were made.
    pub fn spec(&self) -> &WorldSpec {
        &self.spec
    }
}

fn failed(message: String) -> CommandOutput {
    CommandOutput::ended(1, Vec::new(), message.split('\n').map(str::to_owned).collect())
}

/// What kube-proxy is told when one state of the objects follows the other.
fn changes(before: &Objects, after: &Objects) -> Vec<Change> {
    let mut out = Vec::new();
    let apply = |object| Change::Apply(Box::new(object));
    for (key, node) in &after.nodes {
        if before.nodes.get(key) != Some(node) {
            out.push(apply(Object::Node(node.clone())));
        }
    }
    for (key, service) in &after.services {
        if before.services.get(key) != Some(service) {
            out.push(apply(Object::Service(service.clone())));
        }
    }
    for (key, slice) in &after.endpoint_slices {
        if before.endpoint_slices.get(key) != Some(slice) {
            out.push(apply(Object::EndpointSlice(slice.clone())));
        }
    }
    for (key, endpoints) in &after.endpoints {
        if before.endpoints.get(key) != Some(endpoints) {
            out.push(apply(Object::Endpoints(endpoints.clone())));
        }
    }
    let gone = before.services.iter().filter(|(key, _)| !after.services.contains_key(*key));
    out.extend(gone.map(|(key, _)| Change::DeleteService(key.clone())));
    let gone = before.endpoint_slices.iter().filter(|(key, _)| !after.endpoint_slices.contains_key(*key));
    out.extend(gone.map(|(key, _)| Change::DeleteEndpointSlice(key.clone())));
    let gone = before.endpoints.iter().filter(|(key, _)| !after.endpoints.contains_key(*key));
    out.extend(gone.map(|(key, _)| Change::DeleteEndpoints(key.clone())));
    out
}

/// A command on a node; `Err` is what it says when it fails.
pub(super) fn run(
    shell: Shell,
    world: &mut World,
    node: &str,
    argv: &[&str],
    stdin: Option<&str>,
) -> Result<(), String> {
    let Some(host) = world.host_by_name(node) else { return Err(format!("there is no node {node}")) };
    let argv: Vec<String> = argv.iter().map(|w| (*w).to_owned()).collect();
    let output = parts::finish(shell(world, host, &argv, stdin))?;
    if output.status == 0 { Ok(()) } else { Err(format!("{}: {}", argv.join(" "), output.stderr.join("\n"))) }
}

/// How often [`CHECK_INTERVAL`] has passed since the beginning.
fn minute(world: &World) -> u64 {
    world.now().since(Instant(0)).as_secs() / CHECK_INTERVAL.as_secs()
}

/// The virtual servers of a node's kernel.
struct NodeServers<'w>(&'w Netns);

impl NodeServers<'_> {
    fn service(&self, named: &str) -> Option<&Service> {
        let (flag, socket) = named.split_once(' ')?;
        let proto = match flag {
            "-t" => packet::Protocol::TCP,
            "-u" => packet::Protocol::UDP,
            _ => packet::Protocol::SCTP,
        };
        let is = |s: &&Service| s.id.fwmark == 0 && s.id.proto == proto && s.id.to_string() == socket;
        self.0.ipvs.services().iter().find(is)
    }
}

fn socket((ip, port): (Ipv4Addr, u16)) -> String {
    format!("{ip}:{port}")
}

impl VirtualServers for NodeServers<'_> {
    fn has(&self, service: &str) -> bool {
        self.service(service).is_some()
    }

    fn servers(&self, service: &str) -> Vec<String> {
        self.service(service).map_or(Vec::new(), |s| s.dests.iter().map(|d| socket(d.spec.addr)).collect())
    }

    fn connections(&self, service: &str, server: &str) -> Option<u32> {
        let dest = self.service(service)?.dests.iter().find(|d| socket(d.spec.addr) == server)?;
        Some(dest.active + dest.inactive)
    }

    fn has_weights(&self, service: &str) -> bool {
        self.service(service).is_some_and(|s| s.dests.iter().any(|d| d.spec.weight != 1))
    }
}

/// The sets of a fresh kube-proxy hold what it says alone.
fn flushed(ipset: &str) -> String {
    let mut out = String::new();
    for line in ipset.lines() {
        out += &format!("{line}\n");
        if let Some(name) = line.strip_prefix("create ").and_then(|l| l.split(' ').next()) {
            out += &format!("flush {name}\n");
        }
    }
    out
}

/// One sync of a kube-proxy: what it hands to the tools of its node.
fn sync(shell: Shell, world: &mut World, proxy: &mut Proxy) -> Result<(), String> {
    let node = proxy.node.clone();
    for synced in proxy.proxy.sync() {
        if synced.family != cluster::kube_proxy::Family::V4 {
            continue;
        }
        let restore = ["iptables-restore", "--noflush", "--counters"];
        match &synced.text {
            SyncText::Iptables(text) => run(shell, world, &node, &restore, Some(text))?,
            SyncText::Nftables(text) => run(shell, world, &node, &["nft", "-f", "-"], Some(text))?,
            SyncText::Ipvs(IpvsText { iptables, ipset, virtual_servers, dummy_addresses }) => {
                let Some(host) = world.host_by_name(&node) else { continue };
                for line in dummy_addresses.lines() {
                    let (verb, address) = line.split_once(' ').unwrap_or(("add", line));
                    let there = |ns: &Netns| {
                        let dev = ns.device_by_name("kube-ipvs0").and_then(|d| ns.device(d));
                        dev.is_some_and(|d| d.addrs.iter().any(|a| a.net.addr().to_string() == address))
                    };
                    if proxy.fresh && verb == "add" && world.host(host).is_some_and(there) {
                        continue;
                    }
                    run(shell, world, &node, &["ip", "addr", verb, address, "dev", "kube-ipvs0"], None)?;
                }
                world.with(host, |ns, cx| ns.ipvs_gc(cx));
                let (graceful, fresh) = (&mut proxy.graceful, proxy.fresh);
                let lines =
                    world.host(host).map(|ns| graceful.sync(virtual_servers, fresh, &NodeServers(ns)));
                for line in lines.unwrap_or_default() {
                    let argv: Vec<&str> = ["ipvsadm"].into_iter().chain(line.split_whitespace()).collect();
                    run(shell, world, &node, &argv, None)?;
                }
                if !ipset.is_empty() {
                    let text = if proxy.fresh { flushed(ipset) } else { ipset.clone() };
                    run(shell, world, &node, &["ipset", "restore", "-!"], Some(&text))?;
                }
                run(shell, world, &node, &restore, Some(iptables))?;
            }
        }
        forget(shell, world, &node, &synced.conntrack)?;
    }
    proxy.fresh = false;
    Ok(())
}

/// A kube-proxy of a node that knows the objects and has written nothing; none if the node has none.
fn begun(kube: &Kube, node: &Node) -> Result<Option<(Mode, KubeProxy)>, String> {
    let Some((mode, config)) = kube.proxy_config(node)? else { return Ok(None) };
    let cidrs = kube.objects.service_cidrs.values().flat_map(|c| c.cidrs.iter().copied()).collect();
    let mut proxy = KubeProxy::new(config, cidrs, mode.into()).map_err(|e| e.to_string())?;
    changes(&Objects::default(), &kube.objects).into_iter().for_each(|c| proxy.apply(c));
    Ok(Some((mode, proxy)))
}

/// A kube-proxy begins on a node: it makes what is not there, writes everything, looks at what it finds, and knows of nothing that is to
/// end.
fn begin(shell: Shell, world: &mut World, kube: &Kube, proxy: &mut Proxy) -> Result<(), String> {
    let name = proxy.node.clone();
    let node = kube.objects.nodes.get(&name).ok_or_else(|| format!("there is no node {name}"))?;
    let Some((mode, mut fresh)) = begun(kube, node)? else { return Ok(()) };
    let host = world.host_by_name(&name).ok_or_else(|| format!("there is no node {name}"))?;
    let mut found = Ruleset::default();
    let said = |world: &mut World, line: &str| {
        let output = parts::finish(shell(world, host, &split(line).ok()?, None)).ok()?;
        (output.status == 0).then(|| output.stdout.join("\n"))
    };
    match mode {
        #[cfg(feature = "nft")]
        Mode::Nftables => found.nft(&said(world, "nft list table ip kube-proxy").unwrap_or_default()),
        Mode::Iptables => found.restore(&said(world, "iptables-save").unwrap_or_default()),
        // A first sync of this mode looks at the kernel as it goes.
        Mode::Ipvs => {}
    }
    for (there, make) in kube.proxy_makes(node)? {
        if there.is_none_or(|there| said(world, &there).is_none()) {
            // A chain or a device that is there is refused.
            let _ = said(world, &make);
        }
    }
    fresh.resync_over([(cluster::kube_proxy::Family::V4, &found)]);
    (proxy.proxy, proxy.fresh, proxy.graceful) = (fresh, true, GracefulTermination::default());
    sync(shell, world, proxy)
}

/// The connections that a sync makes the kernel forget.
fn forget(shell: Shell, world: &mut World, node: &str, cleanup: &Cleanup) -> Result<(), String> {
    let now = world.now();
    let host = world.host_by_name(node).and_then(|id| world.host(id));
    let rows = host.map(|ns| ns.ct.rows(now)).unwrap_or_default();
    let gone = rows.iter().filter_map(|row| entry(row).filter(|e| cleanup.deletes(e)).map(|_| row));
    let commands: Vec<Vec<String>> = gone.filter_map(delete).collect();
    for argv in commands {
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        run(shell, world, node, &argv, None)?;
    }
    Ok(())
}

fn entry(row: &Row) -> Option<ConntrackEntry> {
    (row.orig.proto() == packet::Protocol::UDP).then(|| ConntrackEntry {
        protocol: Some(Protocol::Udp),
        original_dst: (row.orig.dst(), row.orig.dport()),
        reply_src: (row.reply.src(), row.reply.sport()),
    })
}

/// `conntrack -D` of one entry.
fn delete(row: &Row) -> Option<Vec<String>> {
    let (sport, dport) = (row.orig.sport(), row.orig.dport());
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (row.orig.src(), row.orig.dst()) else { return None };
    let line =
        format!("conntrack -D -p udp --orig-src {src} --orig-dst {dst} --sport {sport} --dport {dport}");
    Some(line.split(' ').map(str::to_owned).collect())
}
