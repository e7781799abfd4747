//! Building a world from its description.

use crate::apps::{App, TcpServer, TftpServer, UdpServer};
use crate::operator::{self, CommandOutput};
use crate::scenario::{Backend, HostSpec, LinkSpec, Scenario, ServerMode, Setup};
use crate::world::World;
use kernel::Netns;
use kernel::NetnsId;
use kernel::bridge::Bridge;
use kernel::dev::DevKind;
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{LoadedTable, Rule, RuleSet, RuleStates, TableId};
use packet::Mac;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use userland::iptables::{Objects, ParsedTable, RestoreOptions, apply_restore_with};

/// A world cannot be built: where in the description, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// The part of the description, such as `host node1, routes`.
    pub place: String,
    /// What is wrong, with the line and the token if it is a text.
    pub message: String,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for BuildError {}

fn error(place: impl Into<String>, message: impl Into<String>) -> BuildError {
    BuildError { place: place.into(), message: message.into() }
}

/// Builds the world of a scenario; its log begins empty.
pub(crate) fn build(scenario: &Scenario, seed: u64) -> Result<World, BuildError> {
    parts::finish(build_in_parts(scenario, seed))
}

/// The same in parts.
pub(crate) async fn build_in_parts(scenario: &Scenario, seed: u64) -> Result<World, BuildError> {
    let mut world = World::new(seed);
    for spec in &scenario.hosts {
        if world.host_by_name(&spec.name).is_some() {
            return Err(error(format!("host {}", spec.name), "a host of this name exists already"));
        }
        add_host(&mut world, spec);
    }
    join(&mut world, &scenario.hosts)?;
    fill(&mut world, &scenario.hosts, &scenario.links).await?;
    world.forget_log();
    Ok(world)
}

/// Adds boxes and links to a world that runs. A box that is there already gets what is said of it on top: commands, rules,
/// programs. A bridge that is there already gets the ports.
///
/// # Errors
/// The description is wrong: where, and what was expected. What was done before it stays.
pub fn extend(world: &mut World, hosts: &[HostSpec], links: &[LinkSpec]) -> Result<(), BuildError> {
    let new: Vec<HostSpec> =
        hosts.iter().filter(|spec| world.host_by_name(&spec.name).is_none()).cloned().collect();
    new.iter().for_each(|spec| add_host(world, spec));
    join(world, &new)?;
    parts::finish(fill(world, hosts, links))?;
    world.compare_ends();
    Ok(())
}

fn add_host(world: &mut World, spec: &HostSpec) {
    let id = world.add_host(&spec.name);
    if let Some(ns) = world.host_mut(id) {
        ns.set_era(spec.era);
        ns.set_child(spec.child);
        ns.set_br_netfilter(spec.modules.br_netfilter);
        ns.modules = spec.modules;
    }
}

/// Namespaces join their machines. Of machines that are new too, the settings for all devices count as made before.
fn join(world: &mut World, hosts: &[HostSpec]) -> Result<(), BuildError> {
    for spec in hosts {
        let Some(name) = &spec.machine else { continue };
        let (own, machine) = (find_host(world, &spec.name)?, find_host(world, name)?);
        world.join(own, machine);
        let Some(ns) = world.host_mut(own) else { continue };
        let made = hosts.iter().find(|h| h.name == *name).map_or(&[][..], |h| &h.sysctl);
        let inherited = ["net.ipv4.ip_forward", "net.ipv4.conf.all.", "net.ipv4.conf.default."];
        for (key, value) in made.iter().filter(|(key, _)| inherited.iter().any(|i| key.starts_with(i))) {
            ns.sysctl_set(key, *value).map_err(|e| error(format!("host {name}, sysctl"), e.to_string()))?;
        }
    }
    Ok(())
}

/// Links, then what is in the boxes.
async fn fill(world: &mut World, hosts: &[HostSpec], links: &[LinkSpec]) -> Result<(), BuildError> {
    for link in links {
        add_link(world, link)?;
    }
    for link in links {
        enslave(world, link)?;
    }
    for spec in hosts {
        configure(world, spec)?;
        set_up(world, spec).await?;
        if let Some(host) = world.host_by_name(&spec.name) {
            world.share(world.machine(host));
        }
        parts::pause().await;
    }
    for spec in hosts {
        start_servers(world, spec);
    }
    Ok(())
}

fn find_host(world: &World, name: &str) -> Result<NetnsId, BuildError> {
    world.host_by_name(name).ok_or_else(|| error("links", format!("there is no host {name:?}")))
}

fn add_device(
    world: &mut World,
    host: NetnsId,
    name: &str,
    mac: Mac,
    kind: DevKind,
) -> Result<kernel::DevId, BuildError> {
    let Some(ns) = world.host_mut(host) else { return Err(error("links", "no such host")) };
    if ns.device_by_name(name).is_some() {
        let place = format!("links, host {}", ns.name);
        return Err(error(place, format!("a device {name:?} exists already")));
    }
    let dev = ns.add_device(name, mac, kind);
    ns.set_up(dev, true);
    Ok(dev)
}

fn add_link(world: &mut World, link: &LinkSpec) -> Result<(), BuildError> {
    match link {
        LinkSpec::Veth { a, b, a_mac, b_mac } => {
            let (ha, hb) = (find_host(world, &a.0)?, find_host(world, &b.0)?);
            let mac_a = a_mac.unwrap_or_else(|| world.next_mac(ha));
            let mac_b = b_mac.unwrap_or_else(|| world.next_mac(hb));
            let da = add_device(world, ha, &a.1, mac_a, DevKind::Veth)?;
            let db = add_device(world, hb, &b.1, mac_b, DevKind::Veth)?;
            world.connect((ha, da), (hb, db));
        }
        LinkSpec::Bridge { host, name, mac, promisc, .. } => {
            let h = find_host(world, host)?;
            let there = world
                .host(h)
                .is_some_and(|ns| ns.device_by_name(name).is_some_and(|d| ns.bridge(d).is_some()));
            if there {
                return Ok(());
            }
            let mac = mac.unwrap_or_else(|| world.next_mac(h));
            let bridge = Bridge { mac_set_by_user: true, ..Bridge::default() };
            let dev = add_device(world, h, name, mac, DevKind::Bridge(Box::new(bridge)))?;
            if let Some(ns) = world.host_mut(h) {
                ns.set_promisc(dev, *promisc);
            }
        }
    }
    Ok(())
}

fn enslave(world: &mut World, link: &LinkSpec) -> Result<(), BuildError> {
    let LinkSpec::Bridge { host, name, ports, .. } = link else { return Ok(()) };
    let h = find_host(world, host)?;
    let Some(ns) = world.host_mut(h) else { return Ok(()) };
    let bridge = ns.device_by_name(name);
    for port in ports {
        let Some(dev) = ns.device_by_name(&port.dev) else {
            let place = format!("bridge {name} of host {host}");
            return Err(error(place, format!("there is no device {:?}", port.dev)));
        };
        ns.set_master(dev, bridge);
        if let Some(flags) = ns.port_flags(dev) {
            flags.hairpin = port.hairpin;
        }
    }
    Ok(())
}

fn configure(world: &mut World, spec: &HostSpec) -> Result<(), BuildError> {
    let place = |part: &str| format!("host {}, {part}", spec.name);
    let Some(host) = world.host_by_name(&spec.name) else { return Ok(()) };
    for command in &spec.ip {
        operator::ip_command(world, host, command).map_err(|e| error(place("ip"), e))?;
    }
    let Some(ns) = world.host_mut(host) else { return Ok(()) };
    for (key, value) in &spec.sysctl {
        ns.sysctl_set(key, *value).map_err(|e| error(place("sysctl"), e.to_string()))?;
    }
    if let Some(text) = &spec.ipset {
        operator::ipset_restore(ns, text).map_err(|e| error(place("ipset"), e))?;
    }
    let legacy = spec.iptables.as_deref().filter(|_| spec.backend == Backend::Legacy);
    if spec.trace || legacy.is_some() {
        restore(ns, legacy, &spec.tables, spec.trace).map_err(|e| error(place("iptables"), e.message))?;
    }
    #[cfg(feature = "nft")]
    if spec.backend == Backend::Nft {
        if let Some(text) = &spec.iptables {
            operator::nft_restore(ns, text, &["-c"]).map_err(|e| error(place("iptables-nft"), e))?;
        }
        world.set_backend(host, Backend::Nft);
    }
    let Some(ns) = world.host_mut(host) else { return Ok(()) };
    if spec.ct_probe {
        ns.add_ct_probe();
    }
    Ok(())
}

/// What is done with a box before anything else.
async fn set_up(world: &mut World, spec: &HostSpec) -> Result<(), BuildError> {
    let Some(host) = world.host_by_name(&spec.name) else { return Ok(()) };
    // They may be changed by what follows.
    for (path, text) in &spec.files {
        world.write_file(host, path, text.clone());
    }
    for setup in &spec.setup {
        let done = match setup {
            Setup::Command { shell, argv, stdin } => {
                let done = shell(world, host, argv, stdin.as_deref()).await;
                parts::pause().await;
                let failed = |e| BuildError { place: command_place(&spec.name, argv), message: e };
                succeeded(done).map_err(failed)
            }
            text => {
                let done = world.host_mut(host).map_or(Ok(()), |ns| read(ns, spec, text));
                done.map_err(|(part, e)| error(format!("host {}, {part}", spec.name), e))
            }
        };
        done?;
    }
    Ok(())
}

/// [`BuildError::place`] of a command that fails while it sets a box up.
pub fn command_place(host: &str, argv: &[String]) -> String {
    format!("host {host}, {}", argv.join(" "))
}

/// Reads a text that sets a box up. `Err` says what it is, and what is wrong with it.
fn read(ns: &mut Netns, spec: &HostSpec, setup: &Setup) -> Result<(), (String, String)> {
    let (part, done) = match setup {
        Setup::Command { .. } => return Ok(()),
        Setup::Ipset(text) => ("ipset", operator::ipset_restore(ns, text)),
        Setup::Ipvsadm(text) => ("ipvsadm", operator::ipvsadm_restore(ns, text)),
        #[cfg(feature = "nft")]
        Setup::Iptables(text) if spec.backend == Backend::Nft => {
            ("iptables-nft", operator::nft_restore(ns, text, &["-n"]))
        }
        Setup::Iptables(text) => ("iptables", restore_noflush(ns, text).map_err(|e| e.message)),
        #[cfg(feature = "nft")]
        Setup::Nft(text) => ("nft", operator::nft_load(ns, text).map_err(|e| e.to_string())),
    };
    done.map_err(|e| (part.to_owned(), e))
}

/// What a command says that fails while it sets a box up.
fn succeeded(done: Result<CommandOutput, String>) -> Result<(), String> {
    let output = done?;
    if output.status == 0 { Ok(()) } else { Err(output.stderr.join("\n")) }
}

fn start_servers(world: &mut World, spec: &HostSpec) {
    let Some(host) = world.host_by_name(&spec.name) else { return };
    for daemon in &spec.daemons {
        world.start(App::Process(daemon.process(host)));
    }
    for s in &spec.servers {
        world.start(match (s.tcp, s.mode) {
            (true, mode) => App::TcpServer(TcpServer::new(host, s.bind, mode, s.closes)),
            (false, ServerMode::Tftp { data, retransmit_ms }) => {
                let again = (retransmit_ms > 0).then(|| Duration::from_millis(retransmit_ms));
                App::TftpServer(TftpServer::new(host, s.bind, data, again))
            }
            (false, mode) => App::UdpServer(UdpServer::new(host, s.bind, mode)),
        });
    }
}

/// Loads iptables-restore text; `tables` that the text does not have are loaded empty. With `trace` the first rule
/// of raw PREROUTING and OUTPUT is TRACE.
pub(crate) fn restore(
    ns: &mut Netns,
    text: Option<&str>,
    tables: &[TableId],
    trace: bool,
) -> Result<(), BuildError> {
    let parsed = parse(ns, text.unwrap_or_default())?;
    for table in TableId::ALL {
        let given = parsed.iter().find(|l| l.rules.table == table);
        let mut loaded = match given {
            Some(l) => l.clone(),
            None if tables.contains(&table) => LoadedTable::new(RuleSet::empty(table)),
            None => continue,
        };
        if trace && table == TableId::Raw {
            let mut set = RuleSet::clone(&loaded.rules);
            let mut states = RuleStates::with_chains(set.chains.len());
            for (chain, state) in set.chains.iter_mut().zip(loaded.state.chains()) {
                let trace = chain.base.is_some();
                if trace {
                    chain.rules.insert(0, Rc::new(Rule { target: Target::Trace, ..Rule::default() }));
                }
                states.push_chain(trace.then(Default::default).into_iter().chain(state.iter().cloned()));
            }
            (loaded.rules, loaded.state) = (Rc::new(set), states);
        }
        load(ns, loaded)?;
    }
    Ok(())
}

/// `iptables-restore --noflush`
pub(crate) fn restore_noflush(ns: &mut Netns, text: &str) -> Result<(), BuildError> {
    let existing =
        |table| ns.table(table).cloned().unwrap_or_else(|| LoadedTable::new(RuleSet::empty(table)));
    let options = RestoreOptions { noflush: true, ..RestoreOptions::default() };
    let (sets, nfacct, helpers) = (operator::set_names(ns), operator::nfacct_names(ns), ns.helpers());
    let objects = Objects { sets: Some(&sets), nfacct: Some(&nfacct), helpers: Some(&helpers) };
    let tables = apply_restore_with(&existing, objects, text, options)
        .map_err(|list| error("iptables", first(&list)))?;
    for table in tables {
        load(ns, table.load())?;
    }
    Ok(())
}

fn load(ns: &mut Netns, loaded: LoadedTable) -> Result<(), BuildError> {
    ns.load_table_with_state(loaded).map_err(|e| error("iptables", format!("{}: {}", e.chain, e.message)))
}

fn parse(ns: &Netns, text: &str) -> Result<Vec<LoadedTable>, BuildError> {
    let empty = |table| LoadedTable::new(RuleSet::empty(table));
    let options = RestoreOptions { counters: true, ..RestoreOptions::default() };
    let (sets, nfacct, helpers) = (operator::set_names(ns), operator::nfacct_names(ns), ns.helpers());
    let objects = Objects { sets: Some(&sets), nfacct: Some(&nfacct), helpers: Some(&helpers) };
    match apply_restore_with(&empty, objects, text, options) {
        Ok(list) => Ok(list.into_iter().map(ParsedTable::load).collect()),
        Err(list) => Err(error("iptables", first(&list))),
    }
}

fn first(list: &[userland::Diagnostic]) -> String {
    list.first().map_or_else(|| "unknown error".to_owned(), ToString::to_string)
}
