//! What `bridge` changes and prints.

use super::{CommandOutput, refused};
use crate::world::World;
use kernel::bridge::FdbEntry;
use kernel::{DevId, Instant, Netns, NetnsId};
use userland::bridge::{BridgeCommand, FdbSpec, FdbState, parse_bridge};

/// `bridge fdb ...`, `bridge link ...`
pub(super) fn bridge(world: &mut World, host: NetnsId, argv: &[String]) -> CommandOutput {
    let command = match parse_bridge(argv) {
        Ok(command) => command,
        Err(diagnostic) => return refused(255, &diagnostic),
    };
    let now = world.now();
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    match command {
        BridgeCommand::FdbShow { br, dev } => {
            CommandOutput::lines(fdb_show(ns, br.as_deref(), dev.as_deref(), now))
        }
        BridgeCommand::FdbAdd(spec) | BridgeCommand::FdbAppend(spec) => fdb_set(ns, &spec, false, now),
        BridgeCommand::FdbReplace(spec) => fdb_set(ns, &spec, true, now),
        BridgeCommand::FdbDel(spec) => fdb_del(ns, &spec, now),
        BridgeCommand::LinkShow { dev } => CommandOutput::lines(link_show(ns, dev.as_deref())),
        BridgeCommand::LinkSet { dev, hairpin } => match bridge_of(ns, &dev) {
            Some((_, port)) => {
                ns.set_hairpin(port, hairpin);
                CommandOutput::default()
            }
            None => no_port(&dev),
        },
    }
}

fn no_port(dev: &str) -> CommandOutput {
    CommandOutput::failed(255, format!("Cannot find bridge device \"{dev}\""))
}

/// The bridge of a port (or of itself), and the port.
fn bridge_of(ns: &Netns, port: &str) -> Option<(DevId, DevId)> {
    let id = ns.device_by_name(port)?;
    let master = ns.device(id)?.master.unwrap_or(id);
    ns.bridge(master).map(|_| (master, id))
}

fn fdb_show(ns: &Netns, br: Option<&str>, dev: Option<&str>, now: Instant) -> Vec<String> {
    let mut out = Vec::new();
    for bridge in ns.devices().iter().filter(|d| br.is_none_or(|b| b == d.name)) {
        let Some(b) = ns.bridge(bridge.id) else { continue };
        for (mac, e) in b.fdb.entries(now) {
            let name = ns.dev_name(e.dev);
            if dev.is_some_and(|d| d != name) {
                continue;
            }
            let master = if e.dev == bridge.id { String::new() } else { format!(" master {}", bridge.name) };
            let state = match (e.local, e.is_static) {
                (true, _) => " permanent",
                (false, true) => " static",
                (false, false) => "",
            };
            out.push(format!("{mac} dev {name}{master}{state}"));
        }
    }
    out
}

fn fdb_set(ns: &mut Netns, spec: &FdbSpec, replace: bool, now: Instant) -> CommandOutput {
    let Some((bridge, port)) = bridge_of(ns, &spec.dev) else { return no_port(&spec.dev) };
    if !spec.master && bridge != port {
        // The device's own address filter: a veth takes every frame anyway.
        return CommandOutput::default();
    }
    let Some(b) = ns.bridge_mut(bridge) else { return CommandOutput::default() };
    if !replace && b.fdb.find(spec.mac, now).is_some() {
        return CommandOutput::failed(2, "RTNETLINK answers: File exists");
    }
    let entry = FdbEntry {
        dev: port,
        local: spec.state == FdbState::Permanent,
        is_static: spec.state != FdbState::Dynamic,
        updated: now,
    };
    b.fdb.set(spec.mac, entry);
    CommandOutput::default()
}

fn fdb_del(ns: &mut Netns, spec: &FdbSpec, now: Instant) -> CommandOutput {
    let Some((bridge, _)) = bridge_of(ns, &spec.dev) else { return no_port(&spec.dev) };
    let Some(b) = ns.bridge_mut(bridge) else { return CommandOutput::default() };
    if b.fdb.find(spec.mac, now).is_none() {
        return CommandOutput::failed(2, "RTNETLINK answers: No such file or directory");
    }
    b.fdb.remove(spec.mac);
    CommandOutput::default()
}

fn link_show(ns: &Netns, only: Option<&str>) -> Vec<String> {
    let ports = ns.devices().iter().filter(|d| only.is_none_or(|o| o == d.name));
    ports
        .filter_map(|d| {
            let master = ns.dev_name(d.master?);
            let number = d.id.0 + 1;
            Some(format!(
                "{number}: {}: mtu {} master {master} state forwarding priority 32 cost 2 ",
                d.name, d.mtu
            ))
        })
        .collect()
}
