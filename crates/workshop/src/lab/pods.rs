//! Pods that begin and end while a lab runs: their boxes, what the network plugin does on the node, and their programs.

use super::live::run;
use super::{App, File, Listens};
use crate::coredns;
use crate::kube::{Boxes, Kube};
use cluster::Objects;
use cluster::corefile::Corefile;
use cluster::object::{NamespacedName, Pod};
use cluster::pod_dns::resolv_conf;
use sim::programs::Daemon;
use sim::programs::dns_server::{DnsServer, ServerBlock};
use sim::programs::http_server::{HttpServer, Style};
use sim::{HostSpec, Shell, World, extend};
use std::rc::Rc;
use std::time::Duration;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a lab's text puts into boxes, in the setting in which it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    /// Files.
    pub files: Vec<File>,
    /// Programs that listen.
    pub apps: Vec<App>,
}

impl Programs {
    /// Gives boxes their files and programs. `Err` says what of a configuration is wrong.
    pub fn give(&self, boxes: &mut Boxes, objects: &Objects) -> Result<(), String> {
        if let Some(cluster) = &objects.kubelet {
            for host in &mut boxes.hosts {
                let own = |p: &&Pod| p.metadata.name == host.name && !p.host_network;
                if let Some(pod) = objects.pods.values().find(own) {
                    let text = resolv_conf(pod, cluster, self.file(&pod.node_name, RESOLV_CONF, objects));
                    host.files.push((RESOLV_CONF.to_owned(), text));
                }
            }
        }
        for file in &self.files {
            let on = boxes.hosts.iter_mut().filter(|h| file.on.holds(&h.name, objects));
            on.for_each(|h| h.files.push((file.path.clone(), file.text.clone())));
        }
        for app in &self.apps {
            for host in boxes.hosts.iter_mut().filter(|h| app.on.holds(&h.name, objects)) {
                start(app, host, objects)?;
            }
        }
        Ok(())
    }

    /// The text of a box's file, as far as the lab gives it.
    fn file(&self, name: &str, path: &str, objects: &Objects) -> &str {
        let on = self.files.iter().rfind(|f| f.path == path && f.on.holds(name, objects));
        on.map_or("", |f| &f.text)
    }
}

/// A program that runs on a box from the start. `Err` says what of its configuration is wrong.
fn start(app: &App, host: &mut HostSpec, objects: &Objects) -> Result<(), String> {
    match &app.server {
        Listens::Server(server) => host.servers.push(server.clone()),
        Listens::Http { bind, pages } => {
            let mut server = HttpServer::nginx(*bind);
            if let Some(first) = server.sites.first_mut().and_then(|s| s.pages.first_mut()) {
                first.body = "hello from {host}, you are {client}\n".to_owned();
                first.content_type = "text/plain".to_owned();
            }
            let server = pages
                .iter()
                .fold(server, |s, p| s.with_bytes(&p.path, p.bytes, Duration::from_millis(p.after_ms)));
            host.daemons.push(Daemon::new(server));
        }
        Listens::Dns { bind, table } => {
            let tables = vec![Rc::new(table.clone())];
            let block = ServerBlock { zones: vec![String::new()], tables, ..ServerBlock::default() };
            host.daemons.push(Daemon::new(DnsServer::new(*bind, vec![block])));
        }
        Listens::CoreDns { bind, config } => {
            let file = host.files.iter().rfind(|(path, _)| path == RESOLV_CONF);
            let resolv_conf = file.map_or("", |(_, text)| text);
            let blocks = server_blocks(config, bind.1, objects, resolv_conf)?;
            host.daemons.push(Daemon::new(DnsServer::new(*bind, blocks)));
            let sites = coredns::sites(corefile_of(config, objects)?);
            if !sites.is_empty() {
                host.daemons.push(Daemon::new(HttpServer::new(Style::Go("coredns"), sites)));
            }
        }
    }
    Ok(())
}

/// What CoreDNS knows.
fn server_blocks(
    config: &(String, String),
    port: u16,
    objects: &Objects,
    resolv_conf: &str,
) -> Result<Vec<ServerBlock>, String> {
    coredns::blocks(corefile_of(config, objects)?, port, objects, resolv_conf)
}

/// The Corefile of a ConfigMap, by its namespace and name.
fn corefile_of<'o>(config: &(String, String), objects: &'o Objects) -> Result<&'o Corefile, String> {
    let corefile = objects.config_maps.get(config).and_then(|m| m.corefile.as_ref());
    corefile.ok_or_else(|| format!("there is no ConfigMap {}/{} with a Corefile", config.0, config.1))
}

/// The cluster's pods are those of `after` now: who is gone loses box and veth, who is new gets them, each on its node, and what
/// the network plugin adds there. CoreDNS hears of what has changed.
pub(super) fn follow(
    world: &mut World,
    kube: &mut Kube,
    after: Objects,
    programs: &Programs,
    shell: Shell,
) -> Result<(), String> {
    let stays = |old: &Pod, new: Option<&Pod>| {
        new.is_some_and(|new| {
            (&old.node_name, &old.pod_ips, old.host_network)
                == (&new.node_name, &new.pod_ips, new.host_network)
        })
    };
    let before = &kube.objects.pods;
    // A pod whose node is not there is as one without a node.
    let own = |p: &Pod, objects: &Objects| !p.host_network && objects.nodes.contains_key(&p.node_name);
    let gone: Vec<Pod> = before
        .iter()
        .filter(|(k, p)| own(p, &kube.objects) && !stays(p, after.pods.get(*k)))
        .map(|(_, p)| p.clone())
        .collect();
    let mut running: Vec<NamespacedName> = before.keys().cloned().collect();
    let new: Vec<Pod> = after.pods.values().filter(|p| own(p, &after)).cloned().collect();
    let new: Vec<Pod> = new
        .into_iter()
        .filter(|p| before.get(&p.metadata.key()).is_none_or(|o| !stays(o, Some(p))))
        .collect();
    for pod in &gone {
        running.retain(|k| *k != pod.metadata.key());
        for text in kube.end_pod(pod)? {
            run(shell, world, &pod.node_name, &["iptables-restore", "--noflush"], Some(&text))?;
        }
        if let Some(id) = world.host_by_name(&pod.metadata.name) {
            world.retire(id);
        }
    }
    kube.objects = after;
    for pod in &new {
        if world.host_by_name(&pod.metadata.name).is_some() {
            return Err(format!("pod {}: there is a box of this name already", pod.metadata.name));
        }
        let mut boxes = kube.start_pod(pod, &running)?;
        if let Some(own) = boxes.hosts.first_mut() {
            let mut one = Boxes { hosts: vec![std::mem::take(own)], links: Vec::new() };
            programs.give(&mut one, &kube.objects)?;
            *own = one.hosts.pop().unwrap_or_default();
        }
        extend(world, &boxes.hosts, &boxes.links).map_err(|e| e.to_string())?;
        running.push(pod.metadata.key());
    }
    for app in &programs.apps {
        let Listens::CoreDns { bind, config } = &app.server else { continue };
        let there =
            world.hosts().iter().filter(|h| !world.is_retired(h.id) && app.on.holds(&h.name, &kube.objects));
        for host in there.map(|h| h.id).collect::<Vec<_>>() {
            let resolv_conf = world.file(host, RESOLV_CONF).unwrap_or_default().to_owned();
            let blocks = server_blocks(config, bind.1, &kube.objects, &resolv_conf)?;
            world.reconfigure_dns(host, *bind, &blocks);
        }
    }
    Ok(())
}
