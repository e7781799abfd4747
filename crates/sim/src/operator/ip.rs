//! What `ip` changes and prints.

pub(super) mod details;
mod route;
mod rule;
mod show;
mod stats;
#[cfg(test)]
mod tests;

pub use route::route_text;
pub use rule::rule_text;
pub use show::brief_addresses;
pub(super) use show::link_head;

use super::json::{Object, array};
use super::{CommandOutput, refused};
use crate::world::World;
use ipnet::Ipv4Net;
use kernel::bridge::Bridge;
use kernel::dev::{DevKind, IPIP_HEADROOM, IfAddr, Ipip, VXLAN_HEADROOM, Vxlan};
use kernel::neigh::{Neigh, Nud};
use kernel::{DevId, Instant, Netns, NetnsId, Refused};
use packet::Mac;
use std::net::Ipv4Addr;
use userland::ip::{
    AddrCommand, IpCommand, IpFormat, IpipSpec, LinkChange, LinkCommand, LinkKind, LinkSelect, NeighCommand,
    NeighFilter, NeighSpec, NewLink, NudWord, RouteCommand, RuleCommand, VxlanSpec, parse_ip, parse_ip_batch,
};

/// Lines to print, or what the real tool says when the kernel refuses.
type Done = Result<Vec<String>, String>;

/// `ip ...`, `ip -batch -`
pub(super) fn ip(world: &mut World, host: NetnsId, argv: &[String], stdin: Option<&str>) -> CommandOutput {
    if let [_, option, file] = argv
        && matches!(option.as_str(), "-b" | "-B" | "-batch")
        && file == "-"
    {
        return batch(world, host, stdin.unwrap_or_default());
    }
    if let [_, option] = argv
        && matches!(option.as_str(), "-V" | "-Version")
    {
        return CommandOutput::lines(vec!["ip utility, iproute2-6.1.0, libbpf 1.1.2".to_owned()]);
    }
    match parse_ip(argv) {
        Ok(line) => {
            let mut out = output(execute(world, host, &line.command, line.format));
            // A device that is not there is noticed before.
            if let Some(text) = wildcard(&line.command).filter(|_| out.status != 1) {
                out.stderr.splice(0..0, text.lines().map(str::to_owned));
            }
            out
        }
        Err(diagnostic) => refused(1, &diagnostic),
    }
}

fn batch(world: &mut World, host: NetnsId, text: &str) -> CommandOutput {
    let (commands, diagnostics) = parse_ip_batch(text);
    if let Some(first) = diagnostics.first() {
        return refused(1, first);
    }
    let mut lines = Vec::new();
    for (line, command) in commands {
        match execute(world, host, &command, IpFormat::default()) {
            Ok(more) => lines.extend(more),
            Err(why) => return output(Err(format!("{why}\nCommand failed -:{line}"))),
        }
    }
    CommandOutput::lines(lines)
}

fn output(done: Done) -> CommandOutput {
    match done {
        Ok(lines) => CommandOutput::lines(lines),
        Err(why) => {
            // What the kernel refuses ends in 2, what the tool itself does not understand in 1, a wrong argument in 255.
            let kernel = why.starts_with("RTNETLINK") || why.starts_with("Error: ");
            let argument = why.starts_with("Error: argument");
            CommandOutput::failed(if argument { 255 } else { 1 + i32::from(kernel) }, why)
        }
    }
}

/// What the tool says before it deletes an address that was written without the length of its prefix.
fn wildcard(command: &IpCommand) -> Option<String> {
    let IpCommand::Addr(AddrCommand::Del(spec)) = command else { return None };
    let text = format!(
        "Warning: Executing wildcard deletion to stay compatible with old scripts.\n         \
         Explicitly specify the prefix length ({}) to avoid this warning.\n         \
         This special behaviour is likely to disappear in further releases,\n         fix your scripts!",
        spec.addr
    );
    (!spec.whole).then_some(text)
}

/// Does one command.
fn execute(world: &mut World, host: NetnsId, command: &IpCommand, format: IpFormat) -> Done {
    change(world, host, command)?;
    world.host(host).map_or(Ok(Vec::new()), |ns| printed(world, ns, command, format))
}

/// What a command changes. Printing is apart: while a box is set up, nobody reads.
pub(super) fn change(world: &mut World, host: NetnsId, command: &IpCommand) -> Result<(), String> {
    let before = addresses(world, host);
    let done = perform(world, host, command);
    if matches!(command, IpCommand::Link(_)) {
        world.compare_ends();
    }
    let after = addresses(world, host);
    for (dev, up, addrs) in &before {
        let now = after.iter().find(|(d, ..)| d == dev);
        let stays_up = now.is_some_and(|(_, up, _)| *up);
        if *up && !stays_up {
            world.with(host, |ns, cx| ns.masquerade_gone(*dev, None, cx));
        }
        for addr in addrs {
            if !now.is_some_and(|(_, _, addrs)| addrs.contains(addr)) {
                world.with(host, |ns, cx| ns.masquerade_gone(*dev, Some(*addr), cx));
            }
        }
    }
    done
}

/// The devices of a box: which one, whether it is up, its addresses.
fn addresses(world: &World, host: NetnsId) -> Vec<(DevId, bool, Vec<Ipv4Addr>)> {
    let devices = world.host(host).map_or(&[][..], |ns| ns.devices());
    devices.iter().map(|d| (d.id, d.up, d.addrs.iter().map(|a| a.net.addr()).collect())).collect()
}

fn perform(world: &mut World, host: NetnsId, command: &IpCommand) -> Result<(), String> {
    let now = world.now();
    let Some(ns) = world.host_mut(host) else { return Ok(()) };
    match command {
        IpCommand::Addr(c) => addr(ns, c),
        IpCommand::Route(c) => route::change(ns, c),
        IpCommand::Rule(c) => rule::change(ns, c),
        IpCommand::Neigh(c) => {
            neigh(ns, c, now)?;
            // What is reachable begins to grow stale.
            world.with(host, Netns::neigh_settle);
            Ok(())
        }
        IpCommand::Link(LinkCommand::Add(NewLink {
            name,
            address,
            kind: LinkKind::Veth { peer, peer_address },
            ..
        })) => {
            let peer = peer.clone().ok_or("type veth: expected peer name NAME")?;
            if ns.device_by_name(name).is_some() {
                return Err("RTNETLINK answers: File exists".to_owned());
            }
            // veth_newlink makes the other end first.
            let ends = [
                add_link(ns, &peer, *peer_address, DevKind::Veth)?,
                add_link(ns, name, *address, DevKind::Veth)?,
            ];
            world.connect((host, ends[0]), (host, ends[1]));
            Ok(())
        }
        IpCommand::Link(LinkCommand::Del { dev }) => {
            let id = device(ns, dev)?;
            if ns.device(id).is_some_and(|d| matches!(d.kind, DevKind::Loopback)) {
                return Err("RTNETLINK answers: Operation not supported".to_owned());
            }
            world.remove_device(host, id);
            Ok(())
        }
        IpCommand::Link(c) => link(ns, c),
    }
}

fn device(ns: &Netns, name: &str) -> Result<DevId, String> {
    ns.device_by_name(name).ok_or_else(|| format!("Cannot find device \"{name}\""))
}

/// Refuses a device that is not there.
fn known(ns: &Netns, dev: Option<&String>) -> Result<(), String> {
    dev.map_or(Ok(()), |name| device(ns, name).map(|_| ()))
}

/// Refuses a selection by a device that is not there.
fn selectable(ns: &Netns, select: &LinkSelect) -> Result<(), String> {
    let missing = |name: &&String| ns.device_by_name(name).is_none();
    if let Some(name) = select.master.as_ref().filter(missing) {
        return Err(no_such(name));
    }
    match select.dev.as_ref().filter(missing) {
        Some(name) => Err(no_device(name)),
        None => Ok(()),
    }
}

/// A device that an argument names and that is not there.
fn no_such(name: &str) -> String {
    format!("Error: argument \"{name}\" is wrong: Device does not exist\n\n")
}

/// A device that is to be listed and is not there.
fn no_device(name: &str) -> String {
    format!("Device \"{name}\" does not exist.")
}

fn addr(ns: &mut Netns, command: &AddrCommand) -> Result<(), String> {
    match command {
        AddrCommand::Add(spec) | AddrCommand::Replace(spec) => {
            let dev = device(ns, &spec.dev)?;
            let mut new = IfAddr { broadcast: spec.broadcast, ..IfAddr::new(spec.addr) };
            new.scope = spec.scope.unwrap_or(new.scope);
            (new.noprefixroute, new.metric) = (spec.noprefixroute, spec.metric);
            // IFNAMSIZ
            if spec.label.as_ref().is_some_and(|label| label.len() > 15) {
                return Err("Error: Attribute failed policy validation.".to_owned());
            }
            new.label = spec.label.clone().filter(|label| *label != spec.dev);
            let done = match command {
                AddrCommand::Replace(_) => ns.replace_addr(dev, new),
                _ => ns.add_addr(dev, new),
            };
            done.map_err(refused_text)
        }
        AddrCommand::Del(spec) => {
            let dev = device(ns, &spec.dev)?;
            // Without a length it is the first with that address (inet_rtm_deladdr).
            let same =
                |net: Ipv4Net| if spec.whole { net == spec.addr } else { net.addr() == spec.addr.addr() };
            let found = ns.device(dev).and_then(|d| {
                let named = |label: &Option<String>| label.clone().unwrap_or_else(|| d.name.clone());
                let fits = |a: &&IfAddr| {
                    same(a.net) && (spec.label.is_none() || named(&a.label) == named(&spec.label))
                };
                d.addrs.iter().find(fits).map(|a| a.net)
            });
            match found.is_some_and(|net| ns.del_addr(dev, net)) {
                true => Ok(()),
                false => Err("Error: ipv4: Address not found.".to_owned()),
            }
        }
        AddrCommand::Flush { dev } => {
            let dev = ns.device_by_name(dev).ok_or_else(|| no_device(dev))?;
            let nets: Vec<Ipv4Net> =
                ns.device(dev).map_or(Vec::new(), |d| d.addrs.iter().map(|a| a.net).collect());
            for net in nets {
                ns.del_addr(dev, net);
            }
            Ok(())
        }
        AddrCommand::Show(select) => selectable(ns, select),
    }
}

/// What ip(8) prints when the kernel refuses.
fn refused_text(why: Refused) -> String {
    match why {
        Refused::Errno(text) => format!("RTNETLINK answers: {text}"),
        Refused::Says(text) => format!("Error: {text}"),
    }
}

fn neigh(ns: &mut Netns, command: &NeighCommand, now: Instant) -> Result<(), String> {
    let exists = |ns: &Netns, dev: DevId, spec: &NeighSpec| {
        ns.neigh.entries().any(|(d, addr, _)| d == dev && addr == spec.addr)
    };
    let missing = || Err("RTNETLINK answers: No such file or directory".to_owned());
    match command {
        NeighCommand::Add(spec) | NeighCommand::Replace(spec) | NeighCommand::Change(spec) => {
            let dev = device(ns, &spec.dev)?;
            match (command, exists(ns, dev, spec)) {
                (NeighCommand::Add(_), true) => return Err("RTNETLINK answers: File exists".to_owned()),
                (NeighCommand::Change(_), false) => return missing(),
                _ => {}
            }
            let mac = spec.lladdr.ok_or("Error: No link layer address given.")?;
            let state = match spec.nud {
                NudWord::Permanent => Nud::Permanent,
                NudWord::Noarp => Nud::Noarp,
                NudWord::Reachable => Nud::Reachable,
                NudWord::Stale => Nud::Stale,
            };
            ns.neigh.set(dev, spec.addr, mac, state, now);
            Ok(())
        }
        NeighCommand::Del(spec) => {
            let dev = device(ns, &spec.dev)?;
            if ns.neigh.remove(dev, spec.addr) { Ok(()) } else { missing() }
        }
        NeighCommand::Flush { dev } => {
            let dev = dev.as_ref().map(|name| device(ns, name)).transpose()?;
            ns.neigh.flush(dev);
            Ok(())
        }
        NeighCommand::Show(filter) => known(ns, filter.dev.as_ref()),
        NeighCommand::Get { dev, .. } => known(ns, Some(dev)),
    }
}

/// A device that nobody gave an address has a stable one of its own.
fn default_mac(ns: &Netns) -> Mac {
    let n = ns.devices().len().to_be_bytes();
    let host = ns.id.0.to_be_bytes();
    Mac([0x02, 0x01, host[0], host[1], n[n.len() - 2], n[n.len() - 1]])
}

fn add_link(ns: &mut Netns, name: &str, mac: Option<Mac>, kind: DevKind) -> Result<DevId, String> {
    if ns.device_by_name(name).is_some() {
        return Err("RTNETLINK answers: File exists".to_owned());
    }
    let mac = mac.unwrap_or_else(|| default_mac(ns));
    Ok(ns.add_device(name, mac, kind))
}

/// `vxlan_newlink`
fn add_vxlan(
    ns: &mut Netns,
    name: &str,
    mac: Option<Mac>,
    mtu: Option<u32>,
    spec: &VxlanSpec,
) -> Result<(), String> {
    let lower = spec.dev.as_ref().map(|dev| device(ns, dev)).transpose()?;
    let vxlan = Vxlan {
        vni: spec.vni,
        local: spec.local,
        remote: spec.remote,
        lower,
        port: spec.dstport,
        learning: spec.learning,
        fdb: Vec::new(),
    };
    // Two devices of one network on one port cannot be told apart (vxlan_vni_in_use).
    let same = |d: &kernel::dev::Device| match &d.kind {
        DevKind::Vxlan(v) => !d.gone && v.vni == vxlan.vni && v.port == vxlan.port,
        _ => false,
    };
    if ns.devices().iter().any(same) {
        return Err("Error: A VXLAN device with the specified VNI already exists.".to_owned());
    }
    let below = lower.and_then(|l| ns.device(l)).map(|d| d.mtu.saturating_sub(VXLAN_HEADROOM));
    let dev = add_link(ns, name, mac, DevKind::Vxlan(Box::new(vxlan)))?;
    if let Some(mtu) = mtu.or(below) {
        ns.set_mtu(dev, mtu);
    }
    Ok(())
}

fn link(ns: &mut Netns, command: &LinkCommand) -> Result<(), String> {
    match command {
        LinkCommand::Add(NewLink { kind: LinkKind::Vxlan(_) | LinkKind::Ipip(_), .. })
            if !cfg!(feature = "tunnels") =>
        {
            Err("tunnels are no part of this build".to_owned())
        }
        LinkCommand::Add(NewLink { name, address, mtu, kind: LinkKind::Vxlan(spec) }) => {
            add_vxlan(ns, name, *address, *mtu, spec)
        }
        LinkCommand::Add(new) => {
            let kind = match &new.kind {
                LinkKind::Bridge(options) => {
                    let mut bridge = Box::<Bridge>::default();
                    options.iter().for_each(|o| o.set(&mut bridge));
                    bridge.mac_set_by_user = new.address.is_some();
                    DevKind::Bridge(bridge)
                }
                LinkKind::Dummy => DevKind::Dummy,
                LinkKind::Veth { .. } | LinkKind::Vxlan(_) => DevKind::Veth,
                LinkKind::Ipip(IpipSpec { local, remote, nopmtudisc }) => {
                    DevKind::Ipip(Ipip { local: *local, remote: *remote, nopmtudisc: *nopmtudisc })
                }
            };
            let tunnel = matches!(kind, DevKind::Ipip(_));
            let dev = add_link(ns, &new.name, new.address, kind)?;
            if tunnel {
                ns.set_mtu(dev, 1500 - IPIP_HEADROOM);
            }
            if let Some(mtu) = new.mtu {
                ns.set_mtu(dev, mtu);
            }
            Ok(())
        }
        // The world does it, as a veth takes its other end along.
        LinkCommand::Del { dev } => device(ns, dev).map(|_| ()),
        LinkCommand::Set { dev, changes } => {
            for change in changes {
                if let LinkChange::Master(name) = change
                    && ns.device_by_name(name).is_none()
                {
                    return Err(no_such(name));
                }
            }
            let id = device(ns, dev)?;
            for change in changes {
                match change {
                    LinkChange::Up => ns.set_up(id, true),
                    LinkChange::Down => ns.set_up(id, false),
                    LinkChange::Promisc(on) => ns.set_promisc(id, *on),
                    // is_valid_ether_addr
                    LinkChange::Address(mac) if mac.is_multicast() || *mac == Mac::ZERO => {
                        return Err("RTNETLINK answers: Cannot assign requested address".to_owned());
                    }
                    LinkChange::Address(mac) => ns.set_mac(id, *mac),
                    LinkChange::Mtu(mtu) => {
                        let limit = ns.device(id).map_or((0, 0), details::mtu_limits);
                        if *mtu < limit.0 {
                            return Err("Error: mtu less than device minimum.".to_owned());
                        }
                        if limit.1 > 0 && *mtu > limit.1 {
                            return Err("Error: mtu greater than device maximum.".to_owned());
                        }
                        ns.set_mtu(id, *mtu);
                    }
                    LinkChange::TxQueueLen(packets) => ns.set_tx_queue_len(id, *packets),
                    LinkChange::Port(option, on) => {
                        let bridged = ns.device(id).is_some_and(|d| d.master.is_some());
                        match ns.port_flags(id).filter(|_| bridged) {
                            Some(flags) => option.set(flags, *on),
                            None => return Err("RTNETLINK answers: Operation not supported".to_owned()),
                        }
                    }
                    LinkChange::Bridge(option) => match ns.bridge_mut(id) {
                        Some(bridge) => option.set(bridge),
                        None => return Err("RTNETLINK answers: Operation not supported".to_owned()),
                    },
                    LinkChange::NoMaster => {
                        ns.set_master(id, None);
                    }
                    LinkChange::Master(name) => {
                        let master = device(ns, name)?;
                        if ns.bridge(id).is_some() && ns.bridge(master).is_some() {
                            return Err("Error: Can not enslave a bridge to a bridge.".to_owned());
                        }
                        if !ns.set_master(id, Some(master)) {
                            return Err("RTNETLINK answers: Operation not supported".to_owned());
                        }
                    }
                }
            }
            Ok(())
        }
        LinkCommand::Show(select) => selectable(ns, select),
    }
}

/// What a command prints.
fn printed(world: &World, ns: &Netns, command: &IpCommand, format: IpFormat) -> Done {
    Ok(match command {
        IpCommand::Addr(AddrCommand::Show(select)) => devices(world, ns, select, show::What::Addr, format)?,
        IpCommand::Link(LinkCommand::Show(select)) => devices(world, ns, select, show::What::Link, format)?,
        IpCommand::Route(RouteCommand::Show(filter)) => route::show(ns, filter, format),
        IpCommand::Route(RouteCommand::Get(query)) => route::get(ns, query, world.now(), format)?,
        IpCommand::Rule(RuleCommand::Show { table, pref }) => rule::show(ns, *table, *pref, format),
        IpCommand::Neigh(NeighCommand::Show(filter)) => neighbours(ns, filter, None, format),
        IpCommand::Neigh(NeighCommand::Get { addr, dev }) => {
            let filter = NeighFilter { to: Some((*addr).into()), ..NeighFilter::default() };
            // It is no JSON, whatever was asked for.
            let found = neighbours(ns, &filter, Some(dev), IpFormat::default());
            if found.is_empty() {
                return Err("Error: Neighbour entry not found.".to_owned());
            }
            found
        }
        _ => Vec::new(),
    })
}

/// `ip neigh show`; the device is not printed if it was asked for.
/// With `of` it is `ip neigh get` on that device.
fn neighbours(ns: &Netns, filter: &NeighFilter, of: Option<&String>, format: IpFormat) -> Vec<String> {
    let dev = filter.dev.as_ref();
    let chosen = ns.neigh.entries().filter(|(d, addr, n)| {
        dev.or(of).is_none_or(|name| name == ns.dev_name(*d))
            && filter.to.is_none_or(|net| net.contains(addr))
            && match filter.states.as_slice() {
                [] => n.state != Nud::Noarp || of.is_some(),
                states => states.contains(&n.state.name()),
            }
    });
    let known = |state: Nud| !matches!(state, Nud::Incomplete | Nud::Failed);
    if format.json {
        let object = |(d, addr, n): (DevId, Ipv4Addr, &Neigh)| {
            let mut out = Object::default();
            out.text("dst", addr);
            if dev.is_none() {
                out.text("dev", ns.dev_name(d));
            }
            if known(n.state) {
                out.text("lladdr", n.mac);
            }
            out.texts("state", &[n.state.name()]);
            out.done()
        };
        return vec![array(&chosen.map(object).collect::<Vec<_>>())];
    }
    let line = |(d, addr, n): (DevId, Ipv4Addr, &Neigh)| {
        let mac = if known(n.state) { format!(" lladdr {}", n.mac) } else { String::new() };
        let dev = if dev.is_none() { format!(" dev {}", ns.dev_name(d)) } else { String::new() };
        format!("{addr}{dev}{mac} {} ", n.state.name())
    };
    chosen.map(line).collect()
}

/// The devices that were asked for.
fn devices(world: &World, ns: &Netns, select: &LinkSelect, what: show::What, format: IpFormat) -> Done {
    if !matches!(
        select.kind.as_deref(),
        None | Some("veth" | "bridge" | "dummy" | "vxlan" | "ipip" | "bridge_slave")
    ) {
        return Ok(if format.json { vec!["[]".to_owned()] } else { Vec::new() });
    }
    let here = ns.devices().iter().filter(|d| !d.gone);
    let chosen: Vec<_> = here.filter(|d| show::selected(ns, d, select, what, format)).collect();
    if let Some(d) = chosen.iter().find(|d| format.details && !format.brief && !details::known(d)) {
        return Err(format!("-d of a device such as {} is not modelled", d.name));
    }
    if let Some(why) = stats::refused(world, &chosen).filter(|_| format.stats && !format.brief) {
        return Err(why);
    }
    Ok(show::show(world, ns, &chosen, select, what, format))
}
