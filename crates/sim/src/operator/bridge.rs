//! What `bridge` changes and prints.

use super::ip::details::{bridge_link_json, bridge_link_line, port_cost, port_state};
use super::ip::link_head;
use super::json::{Object, array};
use super::{CommandOutput, refused};
use crate::world::World;
use kernel::bridge::FdbEntry;
use kernel::dev::{DevKind, Device, Vxlan, VxlanFdb};
use kernel::{DevId, Instant, Netns, NetnsId};
use packet::Mac;
use std::net::Ipv4Addr;
use userland::bridge::{BridgeCommand, BridgeFormat, BridgeLine, FdbSpec, FdbState, parse_bridge};
use userland::ip::PortOption;

/// `bridge fdb ...`, `bridge link ...`
pub(super) fn bridge(world: &mut World, host: NetnsId, argv: &[String]) -> CommandOutput {
    if let [_, option] = argv
        && matches!(option.as_str(), "-V" | "-Version")
    {
        return CommandOutput::lines(vec!["bridge utility, 6.1.0".to_owned()]);
    }
    let BridgeLine { format, command } = match parse_bridge(argv) {
        Ok(line) => line,
        Err(diagnostic) => return refused(255, &diagnostic),
    };
    if let BridgeCommand::LinkShow { dev } | BridgeCommand::VlanShow { dev } = &command
        && let Some(name) = dev.as_ref()
        && world.host(host).is_some_and(|ns| ns.device_by_name(name).is_none())
    {
        return CommandOutput::failed(255, format!("Cannot find device \"{name}\""));
    }
    if let BridgeCommand::LinkShow { dev } = &command {
        let lines = world.host(host).map(|ns| link_show(world, ns, dev.as_deref(), format));
        return CommandOutput::lines(lines.unwrap_or_default());
    }
    let now = world.now();
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    match command {
        BridgeCommand::FdbShow { br, dev } => {
            for (name, bridge) in [(&dev, ""), (&br, "bridge ")] {
                if let Some(name) = name.as_ref().filter(|n| ns.device_by_name(n).is_none()) {
                    return CommandOutput::failed(255, format!("Cannot find {bridge}device \"{name}\""));
                }
            }
            CommandOutput::lines(fdb_show(ns, br.as_deref(), dev.as_deref(), now, format))
        }
        BridgeCommand::FdbAdd(spec) | BridgeCommand::FdbAppend(spec) | BridgeCommand::FdbReplace(spec)
            if spec.dst.is_some() && vxlan(ns, &spec.dev).is_none() =>
        {
            not_supported()
        }
        BridgeCommand::FdbAdd(spec) if vxlan(ns, &spec.dev).is_some() => vxlan_fdb(ns, &spec, VxlanHow::Add),
        BridgeCommand::FdbAppend(spec) if vxlan(ns, &spec.dev).is_some() => {
            vxlan_fdb(ns, &spec, VxlanHow::Append)
        }
        BridgeCommand::FdbReplace(spec) if vxlan(ns, &spec.dev).is_some() => {
            vxlan_fdb(ns, &spec, VxlanHow::Replace)
        }
        BridgeCommand::FdbDel(spec) if vxlan(ns, &spec.dev).is_some() => vxlan_fdb_del(ns, &spec),
        BridgeCommand::FdbAdd(spec) => fdb_set(ns, &spec, FdbHow::Add, now),
        BridgeCommand::FdbAppend(spec) | BridgeCommand::FdbReplace(spec) => {
            fdb_set(ns, &spec, FdbHow::Replace, now)
        }
        BridgeCommand::FdbDel(spec) => fdb_del(ns, &spec, now),
        // Without VLAN filtering no port has any: the head alone is printed.
        BridgeCommand::VlanShow { .. } => CommandOutput::lines(vec![
            if format.json { "[]" } else { "port              vlan-id  " }.to_owned(),
        ]),
        BridgeCommand::LinkShow { .. } => CommandOutput::default(),
        BridgeCommand::LinkSet { dev, options } => link_set(ns, &dev, &options),
        BridgeCommand::FdbFlush { dev } => match ns.device_by_name(&dev) {
            None => no_port(&dev),
            Some(id) => match ns.bridge_mut(id) {
                Some(b) => {
                    b.fdb.clear();
                    CommandOutput::default()
                }
                None => not_supported(),
            },
        },
    }
}

fn no_port(dev: &str) -> CommandOutput {
    CommandOutput::failed(255, format!("Cannot find bridge device \"{dev}\""))
}

fn not_supported() -> CommandOutput {
    CommandOutput::failed(255, "RTNETLINK answers: Operation not supported")
}

fn link_set(ns: &mut Netns, dev: &str, options: &[(PortOption, bool)]) -> CommandOutput {
    let Some(id) = ns.device_by_name(dev) else { return no_port(dev) };
    let bridged = ns.device(id).is_some_and(|d| d.master.is_some());
    match ns.port_flags(id).filter(|_| bridged) {
        Some(flags) => {
            options.iter().for_each(|(option, on)| option.set(flags, *on));
            CommandOutput::default()
        }
        None => not_supported(),
    }
}

/// An entry as it is listed.
struct FdbRow<'a> {
    mac: Mac,
    dev: &'a str,
    dst: Option<Ipv4Addr>,
    via: Option<&'a str>,
    /// The bridge whose it is; the device's own (`self`) if there is none.
    master: Option<&'a str>,
    state: &'static str,
}

impl FdbRow<'_> {
    /// The device is left out if it was asked for.
    fn text(&self, with_dev: bool) -> String {
        let word =
            |word: &str, value: Option<String>| value.map_or(String::new(), |v| format!("{word} {v} "));
        let dev = word("dev", with_dev.then(|| self.dev.to_owned()));
        let dst = word("dst", self.dst.map(|d| d.to_string()));
        let via = word("via", self.via.map(str::to_owned));
        let whose = word("master", self.master.map(str::to_owned));
        let own = if self.master.is_none() { "self " } else { "" };
        format!("{} {dev}{dst}{via}{own}{whose}{}", self.mac, self.state)
    }

    fn json(&self, with_dev: bool) -> String {
        let mut out = Object::default();
        out.text("mac", self.mac);
        if with_dev {
            out.text("ifname", self.dev);
        }
        if let Some(dst) = self.dst {
            out.text("dst", dst);
        }
        if let Some(via) = self.via {
            out.text("viaIf", via);
        }
        out.texts("flags", if self.master.is_none() { &["self"] } else { &[] });
        if let Some(master) = self.master {
            out.text("master", master);
        }
        out.text("state", self.state);
        out.done()
    }
}

fn fdb_show(
    ns: &Netns,
    br: Option<&str>,
    only: Option<&str>,
    now: Instant,
    format: BridgeFormat,
) -> Vec<String> {
    let rows = fdb_rows(ns, br, only, now);
    if format.json {
        return vec![array(&rows.iter().map(|r| r.json(only.is_none())).collect::<Vec<_>>())];
    }
    rows.iter().map(|r| r.text(only.is_none())).collect()
}

/// Device by device: what the bridge knows, the newest first, and the groups that the device itself listens to.
fn fdb_rows<'a>(ns: &'a Netns, br: Option<&str>, only: Option<&str>, now: Instant) -> Vec<FdbRow<'a>> {
    let mut out = Vec::new();
    for d in ns.devices().iter().filter(|d| !d.gone && only.is_none_or(|o| o == d.name)) {
        let bridge = d.master.or(ns.bridge(d.id).map(|_| d.id));
        let bridge_name = bridge.map(|b| ns.dev_name(b));
        if br.is_some() && br != bridge_name {
            continue;
        }
        let row = |mac, dst, state| FdbRow { mac, dev: &d.name, dst, via: None, master: None, state };
        let known = bridge.and_then(|b| ns.bridge(b)).map(|b| b.fdb.entries(now, b.ageing_time));
        let known = known.unwrap_or_default().into_iter().filter(|(_, e)| e.dev == d.id).map(|(mac, e)| {
            let state = match (e.local, e.is_static) {
                (true, _) => "permanent",
                (false, true) => "static",
                (false, false) => "",
            };
            FdbRow { master: Some(bridge_name.unwrap_or_default()), ..row(mac, None, state) }
        });
        let mut own = Vec::new();
        let added = |many: bool| d.filter.iter().filter(move |mac| mac.is_multicast() == many);
        own.extend(added(false).map(|mac| row(*mac, None, "permanent")));
        if matches!(d.kind, DevKind::Veth | DevKind::Bridge(_)) {
            own.push(row(Mac([0x33, 0x33, 0, 0, 0, 1]), None, "permanent"));
            if d.up {
                own.push(row(Mac([1, 0, 0x5e, 0, 0, 1]), None, "permanent"));
            }
        }
        own.extend(added(true).map(|mac| row(*mac, None, "permanent")));
        if let DevKind::Vxlan(v) = &d.kind {
            let all = v.remote.map(|r| (Mac::ZERO, r, false)).into_iter();
            let entries = v.fdb.iter().flat_map(|e| e.remotes.iter().map(|r| (e.mac, *r, e.learned)));
            own.extend(all.chain(entries).map(|(mac, remote, learned)| {
                let via = v.lower.filter(|_| v.remote == Some(remote) && mac == Mac::ZERO);
                let state = if learned { "" } else { "permanent" };
                FdbRow { via: via.map(|l| ns.dev_name(l)), ..row(mac, Some(remote), state) }
            }));
        }
        // The bridge's own come first of itself, last of a port.
        match ns.bridge(d.id) {
            Some(_) => out.extend(own.into_iter().chain(known)),
            None => out.extend(known.chain(own)),
        }
    }
    out
}

/// Whether an entry that is there already stands in the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FdbHow {
    Add,
    Replace,
}

fn refused_by_kernel(why: &str) -> CommandOutput {
    CommandOutput::failed(255, format!("RTNETLINK answers: {why}"))
}

/// The device of an entry, and the bridge whose database is meant by `master`: a bridge has none of its own above it.
fn fdb_device(ns: &Netns, spec: &FdbSpec) -> Result<(DevId, Option<DevId>), CommandOutput> {
    let Some(id) = ns.device_by_name(&spec.dev) else {
        return Err(CommandOutput::failed(255, format!("Cannot find device \"{}\"", spec.dev)));
    };
    let master = ns.device(id).and_then(|d| d.master);
    if spec.master && master.is_none() { Err(not_supported()) } else { Ok((id, master)) }
}

/// `rtnl_fdb_add`: first the bridge's database, then the device's own.
fn fdb_set(ns: &mut Netns, spec: &FdbSpec, how: FdbHow, now: Instant) -> CommandOutput {
    let (id, master) = match fdb_device(ns, spec) {
        Ok(found) => found,
        Err(output) => return output,
    };
    if let Some(bridge) = master.filter(|_| spec.master) {
        let ready = ns.device(id).is_some_and(|d| port_state(ns, d) == "forwarding");
        if spec.state == FdbState::Dynamic && !ready {
            return refused_by_kernel("Operation not permitted");
        }
        if let Err(why) = br_fdb_add(ns, (bridge, id), spec, how, now) {
            return refused_by_kernel(why);
        }
    }
    if !spec.own {
        return CommandOutput::default();
    }
    if ns.bridge(id).is_some() {
        let done = match spec.state {
            FdbState::Permanent => br_fdb_add(ns, (id, id), spec, how, now),
            _ => Err("Invalid argument"),
        };
        return done.map_or_else(refused_by_kernel, |()| CommandOutput::default());
    }
    // ndo_dflt_fdb_add
    if !ns.device(id).is_some_and(|d| matches!(d.kind, DevKind::Veth | DevKind::Dummy)) {
        return CommandOutput::failed(255, "Error: FDB add only supported for Ethernet devices.");
    }
    if spec.state != FdbState::Permanent {
        return refused_by_kernel("Invalid argument");
    }
    let Some(filter) = ns.filter_mut(id) else { return not_supported() };
    match (filter.contains(&spec.mac), how) {
        (true, FdbHow::Add) => return refused_by_kernel("File exists"),
        (true, FdbHow::Replace) => {}
        (false, _) => filter.push(spec.mac),
    }
    CommandOutput::default()
}

/// `br_fdb_add`
fn br_fdb_add(
    ns: &mut Netns,
    (bridge, dev): (DevId, DevId),
    spec: &FdbSpec,
    how: FdbHow,
    now: Instant,
) -> Result<(), &'static str> {
    let Some(b) = ns.bridge_mut(bridge) else { return Ok(()) };
    if spec.mac == Mac::ZERO {
        return Err("Invalid argument");
    }
    if how == FdbHow::Add && b.find(spec.mac, now).is_some() {
        return Err("File exists");
    }
    let entry = FdbEntry {
        dev,
        local: spec.state == FdbState::Permanent,
        is_static: spec.state != FdbState::Dynamic,
        updated: now,
    };
    b.fdb.set(spec.mac, entry);
    Ok(())
}

/// `rtnl_fdb_del`
fn fdb_del(ns: &mut Netns, spec: &FdbSpec, now: Instant) -> CommandOutput {
    let (id, master) = match fdb_device(ns, spec) {
        Ok(found) => found,
        Err(output) => return output,
    };
    let missing = || refused_by_kernel("No such file or directory");
    let own_bridge = ns.bridge(id).is_some().then_some(id);
    for bridge in master.filter(|_| spec.master).into_iter().chain(own_bridge.filter(|_| spec.own)) {
        let Some(b) = ns.bridge_mut(bridge) else { continue };
        if b.find(spec.mac, now).is_none_or(|e| e.dev != id) {
            return missing();
        }
        b.fdb.remove(spec.mac);
    }
    if spec.own && own_bridge.is_none() {
        let Some(filter) = ns.filter_mut(id) else { return missing() };
        let Some(at) = filter.iter().position(|mac| *mac == spec.mac) else { return missing() };
        filter.remove(at);
    }
    CommandOutput::default()
}

/// The state of a device of type vxlan.
fn vxlan<'a>(ns: &'a mut Netns, dev: &str) -> Option<&'a mut Vxlan> {
    let id = ns.device_by_name(dev)?;
    ns.vxlan_mut(id)
}

/// What becomes of an entry that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum VxlanHow {
    Add,
    Append,
    Replace,
}

/// `vxlan_fdb_update`: one host for an address; several only for a group, or for all that are not known.
fn vxlan_fdb(ns: &mut Netns, spec: &FdbSpec, how: VxlanHow) -> CommandOutput {
    let refused = |text: &str| CommandOutput::failed(255, format!("RTNETLINK answers: {text}"));
    let (Some(v), Some(dst)) = (vxlan(ns, &spec.dev), spec.dst) else { return refused("Invalid argument") };
    let many = spec.mac.is_multicast() || spec.mac == Mac::ZERO;
    let Some(entry) = v.fdb.iter_mut().find(|e| e.mac == spec.mac) else {
        v.fdb.push(VxlanFdb { mac: spec.mac, remotes: vec![dst], learned: false });
        return CommandOutput::default();
    };
    match how {
        VxlanHow::Add => return refused("File exists"),
        VxlanHow::Replace if many => return refused("Operation not supported"),
        VxlanHow::Replace => (entry.remotes, entry.learned) = (vec![dst], false),
        VxlanHow::Append if many && !entry.remotes.contains(&dst) => entry.remotes.push(dst),
        // Nothing is said, and nothing changes.
        VxlanHow::Append => {}
    }
    CommandOutput::default()
}

fn vxlan_fdb_del(ns: &mut Netns, spec: &FdbSpec) -> CommandOutput {
    let Some(v) = vxlan(ns, &spec.dev) else { return not_supported() };
    let known = |e: &VxlanFdb| e.mac == spec.mac && spec.dst.is_none_or(|d| e.remotes.contains(&d));
    if !v.fdb.iter().any(known) {
        return CommandOutput::failed(255, "RTNETLINK answers: No such file or directory");
    }
    for entry in v.fdb.iter_mut().filter(|e| e.mac == spec.mac) {
        entry.remotes.retain(|r| spec.dst.is_some_and(|d| d != *r));
    }
    v.fdb.retain(|e| !e.remotes.is_empty());
    CommandOutput::default()
}

fn link_show(world: &World, ns: &Netns, only: Option<&str>, format: BridgeFormat) -> Vec<String> {
    let ports = ns.devices().iter().filter(|d| !d.gone && only.is_none_or(|o| o == d.name));
    let ports = ports.filter_map(|d| Some((d, ns.device(d.master?)?)));
    if format.json {
        let object = |(d, master): (&Device, &Device)| {
            let (number, name, flags) = link_head(world, ns, d);
            let mut out = Object::default();
            out.raw("ifindex", number);
            if let Some((_, other)) = name.split_once('@') {
                out.text("link", other);
            }
            out.text("ifname", &d.name);
            out.texts("flags", &flags.split(',').collect::<Vec<_>>());
            out.raw("mtu", d.mtu);
            out.text("master", &master.name);
            out.text("state", port_state(ns, d));
            out.raw("priority", 32);
            out.raw("cost", port_cost(d));
            if format.details {
                bridge_link_json(d, &mut out);
            }
            out.done()
        };
        return vec![array(&ports.map(object).collect::<Vec<_>>())];
    }
    let lines = |(d, master): (&Device, &Device)| {
        let (number, name, flags) = link_head(world, ns, d);
        let (state, cost) = (port_state(ns, d), port_cost(d));
        let mut out = vec![format!(
            "{number}: {name}: <{flags}> mtu {} master {} state {state} priority 32 cost {cost} ",
            d.mtu, master.name
        )];
        if format.details {
            out.push(bridge_link_line(d));
        }
        if format.oneline { vec![out.join("\\")] } else { out }
    };
    ports.flat_map(lines).collect()
}
