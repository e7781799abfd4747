//! A node as the rules see it: its addresses, and the rules that kube-proxy has written on it by some sync.

use cluster::kube_proxy::{Case, Config, Family, Mode, iptables_jumps};
use cluster::kubelet;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use kernel::dev::{DevKind, IfAddr};
use kernel::netfilter::nftables::Nftables;
use kernel::netfilter::xtables::matches::{Match, Nfacct};
use kernel::netfilter::xtables::{LoadedTable, RuleSet, TableId};
use kernel::route::{FibTable, NextHop, Route, RouteKind, Scope, proto};
use kernel::{DevId, Instant, Netns, NetnsId, PutRoute};
use packet::Mac;
use std::net::IpAddr;
use userland::iptables::{RestoreOptions, TableStore, apply_restore, iptables};

/// Where packets come from that neither the node nor one of its pods has sent.
pub const UPLINK: &str = "eth0";
/// Where the pods of the node are, if kube-proxy is not told another bridge.
const PODS: &str = "cni0";

/// A node, without neighbours: nothing is sent, rules are only asked.
pub struct Node {
    /// The box.
    pub ns: Netns,
    /// Whose packets.
    pub family: packet::Family,
    /// The bit of the mark by which kube-proxy remembers what to masquerade.
    pub masquerade: u32,
    uplink: DevId,
    pods: DevId,
    pod_nets: Vec<IpNet>,
}

/// kube-proxy's family as the engine's.
pub fn engine_family(family: Family) -> packet::Family {
    match family {
        Family::V4 => packet::Family::V4,
        Family::V6 => packet::Family::V6,
    }
}

impl Node {
    /// The node of a configuration, with its devices and addresses, and no rules.
    ///
    /// Its pods are where its bridge has an address, or in `pod_nets`.
    pub fn new(config: &Config, family: Family, pod_nets: &[IpNet]) -> Node {
        let mut ns = Netns::new(NetnsId(0), &config.node_name);
        let bridge = match &config.detect_local {
            cluster::kube_proxy::DetectLocal::BridgeInterface(name) => name.clone(),
            cluster::kube_proxy::DetectLocal::InterfaceNamePrefix(prefix) => format!("{prefix}0"),
            _ => PODS.to_owned(),
        };
        let uplink = add_device(&mut ns, UPLINK, 1);
        let pods = if bridge == UPLINK { uplink } else { add_device(&mut ns, &bridge, 2) };
        for ip in config.node_ips.iter().chain(&config.interface_ips) {
            let dev = if config.node_ips.contains(ip) { uplink } else { pods };
            match ip {
                _ if ip.is_loopback() => {}
                // The second time it is there already.
                IpAddr::V4(ip) => drop(ns.add_addr(dev, IfAddr::new(Ipv4Net::new_assert(*ip, 24)))),
                IpAddr::V6(ip) => drop(ns.add_addr6(dev, Ipv6Net::new_assert(*ip, 64))),
            }
        }
        // Whatever is nowhere near leaves for the LAN.
        let everywhere = Route {
            table: FibTable::MAIN,
            dst: Ipv4Net::default(),
            kind: RouteKind::Unicast,
            hops: vec![NextHop::new(None, uplink)],
            prefsrc: None,
            metric: 0,
            scope: Scope::Link,
            proto: proto::BOOT,
            mtu: None,
        };
        // The table is empty, and the device is up.
        let _ = ns.add_route(everywhere, PutRoute::Add);
        let masquerade = 1u32.checked_shl(u32::from(config.masquerade_bit)).unwrap_or(0);
        Node { ns, family: engine_family(family), masquerade, uplink, pods, pod_nets: pod_nets.to_vec() }
    }

    /// Loads what the kubelet and kube-proxy in mode iptables write: the jumps, then the text of each sync, as far as `step`
    /// (counted from 1).
    ///
    /// # Errors
    /// The mode is not modelled for the version, or the case has no such step, or the tool refuses the text.
    pub fn load_iptables(&mut self, case: &Case, family: Family, step: usize) -> Result<(), String> {
        let config = &case.config_for(Mode::Iptables);
        let texts = texts_until(case, family, step, Mode::Iptables, "iptables.txt")?;
        let kubelet = kubelet::iptables(&config.features(), family);
        if !kubelet.is_empty() {
            self.restore(&kubelet)?;
        }
        for line in iptables_jumps(config, family).lines() {
            let argv = words(&format!("iptables {line}"));
            let done = iptables(&mut Tables { ns: &mut self.ns, family: self.family }, &argv);
            // A chain may be there from the kubelet.
            if done.status != 0 && !line.contains(" -N ") {
                return Err(format!("iptables {line}: {}", done.stderr));
            }
        }
        for text in texts {
            self.restore(&text)?;
        }
        Ok(())
    }

    /// Loads what kube-proxy in mode nftables has made by its sync `step`. Rules for which `keep` says no are left out.
    ///
    /// # Errors
    /// As of [`Node::load_iptables`].
    pub fn load_nftables(
        &mut self,
        case: &Case,
        family: Family,
        step: usize,
        keep: fn(&str) -> bool,
    ) -> Result<(), String> {
        // The text is the table as it is then.
        let texts = texts_until(case, family, step, Mode::Nftables, "nftables.txt")?;
        let devices: Vec<String> = self.ns.devices().iter().map(|d| d.name.clone()).collect();
        let mut nft = Nftables::default();
        let names = userland::nft::Names { devices: &devices, now: Instant(0) };
        let lines = texts.last().map_or("", String::as_str).lines();
        let kept = lines.filter(|l| !l.starts_with("add rule ") || keep(l));
        let text: String = kept.map(|l| format!("{l}\n")).collect();
        userland::nft::load(&mut nft, &text, names).map_err(|e| e.to_string())?;
        self.ns.commit_nftables(nft);
        Ok(())
    }

    /// `iptables-restore --noflush --counters`, after `nfacct add` for the objects that the rules name.
    fn restore(&mut self, text: &str) -> Result<(), String> {
        let options = RestoreOptions { noflush: true, counters: true, family: self.family };
        let (ns, family) = (&self.ns, self.family);
        let existing = |table| {
            let empty = || LoadedTable::new(RuleSet::empty_of(family, table));
            ns.table_of(family, table).cloned().unwrap_or_else(empty)
        };
        let tables = apply_restore(&existing, text, options)
            .map_err(|all| all.first().map_or_else(String::new, ToString::to_string))?;
        for table in tables {
            let table = table.load();
            for m in table.rules.chains.iter().flat_map(|c| &c.rules).flat_map(|r| &r.matches) {
                if let Match::Nfacct(m) = m
                    && !self.ns.nfacct.iter().any(|o| o.name == m.name)
                {
                    self.ns.nfacct.push(Nfacct::new(&m.name, None));
                }
            }
            self.ns.load_table_with_state(table).map_err(|e| format!("{}: {}", e.chain, e.message))?;
        }
        Ok(())
    }

    /// The device by which a packet from there comes in: the node's own by `lo`, a pod's by the bridge, all others from the
    /// LAN.
    pub fn device_from(&self, src: IpAddr) -> DevId {
        if self.ns.has_local_addr(src) {
            return DevId(0);
        }
        let behind = |dev| match src {
            IpAddr::V4(src) => {
                self.ns.device(dev).is_some_and(|d| d.addrs.iter().any(|a| a.net.contains(&src)))
            }
            IpAddr::V6(src) => self.ns.addrs6().iter().any(|(d, net)| *d == dev && net.contains(&src)),
        };
        let own = self.pod_nets.iter().any(|net| net.contains(&src));
        if own || behind(self.pods) { self.pods } else { self.uplink }
    }
}

/// The texts of a family's file for each sync up to a step.
pub fn texts_until(
    case: &Case,
    family: Family,
    step: usize,
    mode: Mode,
    file: &str,
) -> Result<Vec<String>, String> {
    if step == 0 || step > case.steps.len() {
        return Err(format!("there is no step {step}; expected a number from 1 to {}", case.steps.len()));
    }
    if !case.config_for(mode).families.contains(&family) {
        let (name, other) = match family {
            Family::V4 => ("IPv4", "6"),
            Family::V6 => ("IPv6", "4"),
        };
        return Err(format!("the cluster has no {name} (families); expected --family {other}"));
    }
    let mut files = case.record(Some(mode)).map_err(|e| e.to_string())?;
    let part = if family == Family::V4 { "" } else { "v6/" };
    let texts = (1..=step).map(|n| {
        let step = if n == 1 { String::new() } else { format!("step{n}/") };
        let path = [&step, part, file].concat();
        let found = files.iter_mut().find(|f| f.path == path);
        found.map(|f| std::mem::take(&mut f.text)).ok_or_else(|| format!("{path} was not written"))
    });
    texts.collect()
}

fn add_device(ns: &mut Netns, name: &str, n: u8) -> DevId {
    let dev = ns.add_device(name, Mac([2, 0, 0, 0, 0, n]), DevKind::Dummy);
    ns.set_up(dev, true);
    dev
}

/// The words of a command line; quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (n, part) in line.split('"').enumerate() {
        match n % 2 {
            0 => out.extend(part.split_ascii_whitespace().map(str::to_owned)),
            _ => out.push(part.to_owned()),
        }
    }
    out
}

/// The tables of one family.
struct Tables<'a> {
    ns: &'a mut Netns,
    family: packet::Family,
}

impl TableStore for Tables<'_> {
    fn family(&self) -> packet::Family {
        self.family
    }

    fn get(&self, table: TableId) -> Option<&LoadedTable> {
        self.ns.table_of(self.family, table)
    }

    fn replace(&mut self, _: TableId, loaded: LoadedTable) {
        // userland has checked the set as the kernel does.
        let _ = self.ns.load_table_with_state(loaded);
    }
}
