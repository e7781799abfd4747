//! `ip link`

use super::port::{BridgeOption, PORT_NAMES, PortOption, bridge_options, port_option};
use super::select::{LinkSelect, select};
use super::tunnel::{IpipSpec, VxlanSpec, ipip, vxlan};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::words::{Words, device};
use packet::Mac;

/// `ip link ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkCommand {
    /// `ip link add`
    Add(NewLink),
    /// `ip link del`
    Del {
        /// The device.
        dev: String,
    },
    /// `ip link set`
    Set {
        /// The device.
        dev: String,
        /// What is changed, in order.
        changes: Vec<LinkChange>,
    },
    /// `ip link show`
    Show(LinkSelect),
}

/// A new device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// Its name.
    pub name: String,
    /// `address`
    pub address: Option<Mac>,
    /// `mtu`
    pub mtu: Option<u32>,
    /// `type`
    pub kind: LinkKind,
}

/// The type of a new device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// `type veth [peer [name] NAME [address MAC]]`
    Veth {
        /// The name of the other end.
        peer: Option<String>,
        /// Its hardware address.
        peer_address: Option<Mac>,
    },
    /// `type bridge`
    Bridge(Vec<BridgeOption>),
    /// `type dummy`
    Dummy,
    /// `type vxlan id N ...`
    Vxlan(VxlanSpec),
    /// `type ipip ...`
    Ipip(IpipSpec),
}

/// A change of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// `up`
    Up,
    /// `down`
    Down,
    /// `promisc on|off`
    Promisc(bool),
    /// `address MAC`
    Address(Mac),
    /// `txqueuelen N`
    TxQueueLen(u32),
    /// `mtu N`
    Mtu(u32),
    /// `master BRIDGE`
    Master(String),
    /// `nomaster`
    NoMaster,
    /// `type bridge_slave hairpin on|off ...`
    Port(PortOption, bool),
    /// `type bridge ageing_time N ...`
    Bridge(BridgeOption),
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Del,
    Set,
    Show,
}

const VERBS: &[(&str, Verb)] = &[
    ("add", Verb::Add),
    ("set", Verb::Set),
    ("change", Verb::Set),
    ("delete", Verb::Del),
    ("show", Verb::Show),
    ("list", Verb::Show),
];

const CHANGES: &[&str] = &[
    "up",
    "down",
    "promisc",
    "address",
    "mtu",
    "txqueuelen",
    "master",
    "nomaster",
    "type bridge_slave hairpin on|off",
    "type bridge OPTION VALUE",
];
const NOT_MODELLED: &[&str] = &[
    "addrgenmode",
    "alias",
    "allmulticast",
    "arp",
    "broadcast",
    "carrier",
    "dynamic",
    "group",
    "gso_max_segs",
    "gso_max_size",
    "index",
    "link",
    "link-netns",
    "link-netnsid",
    "multicast",
    "name",
    "netns",
    "numrxqueues",
    "numtxqueues",
    "protodown",
    "state",
    "trailers",
    "txqlen",
    "txqueuelen",
    "vf",
    "vrf",
    "xdp",
];
const MTU: &str = "Invalid \"mtu\" value\n";
const ON_OFF: &str = "\"on\" or \"off\"";
const KINDS: &[&str] = &["veth", "bridge", "dummy", "vxlan", "ipip"];
const OTHER_KINDS: &[&str] = &[
    "bond",
    "bond_slave",
    "geneve",
    "gre",
    "gretap",
    "ifb",
    "ipoib",
    "ipvlan",
    "ipvtap",
    "macvlan",
    "macvtap",
    "netdevsim",
    "sit",
    "team",
    "tun",
    "vcan",
    "vlan",
    "vrf",
    "vti",
    "wireguard",
    "xfrm",
];

pub(super) fn command(words: &mut Words<'_>) -> Result<LinkCommand, Diagnostic> {
    if words.peek().is_none() {
        return Ok(LinkCommand::Show(LinkSelect::default()));
    }
    Ok(
        match words.verb(
            "ip link",
            "add, del, set or show",
            VERBS,
            &["replace", "xstats", "afstats", "property"],
        )? {
            Verb::Add => LinkCommand::Add(add(words)?),
            Verb::Del => {
                let dev = named(words)?;
                words.end()?;
                LinkCommand::Del { dev }
            }
            Verb::Set => set(words)?,
            Verb::Show => LinkCommand::Show(select(words, false)?),
        },
    )
}

/// `[dev] NAME`, which must be there.
fn named(words: &mut Words<'_>) -> Result<String, Diagnostic> {
    words.taken_for("dev");
    if words.take("dev") || words.peek().is_some() {
        return words.device();
    }
    words.blame_last(no_device())
}

fn no_device() -> Fault {
    let fault = Fault::new("no device", "expected the name of a device");
    fault.exits(255, "Not enough information: \"dev\" argument is required.")
}

fn set(words: &mut Words<'_>) -> Result<LinkCommand, Diagnostic> {
    let (mut dev, mut changes) = (None, Vec::new());
    words.taken_for("dev");
    while let Some(token) = words.next() {
        changes.push(match token.text.as_ref() {
            "dev" => {
                dev = Some(words.device()?);
                continue;
            }
            "up" => LinkChange::Up,
            "down" => LinkChange::Down,
            "promisc" => LinkChange::Promisc(words.switch(ON_OFF, 1)?),
            "address" | "addr" => LinkChange::Address(words.mac()?),
            "mtu" => LinkChange::Mtu(words.number_or("a size in bytes", MTU)?),
            "txqueuelen" | "txqlen" | "qlen" => LinkChange::TxQueueLen(
                words.number_or("a number of packets", "Invalid \"txqueuelen\" value\n")?,
            ),
            "master" => LinkChange::Master(words.device()?),
            "nomaster" => LinkChange::NoMaster,
            "type" => {
                words.taken_for("");
                changes.extend(of_type(words)?);
                continue;
            }
            word if dev.is_none() && !NOT_MODELLED.contains(&word) => {
                dev = Some(device(word).map_err(|fault| words.diagnostic(&token, fault))?);
                continue;
            }
            _ => return words.unexpected(&token, CHANGES, NOT_MODELLED),
        });
    }
    match dev {
        Some(dev) => Ok(LinkCommand::Set { dev, changes }),
        None => words.blame_last(no_device()),
    }
}

/// `bridge_slave hairpin on|off ...`, `bridge ageing_time N ...`
fn of_type(words: &mut Words<'_>) -> Result<Vec<LinkChange>, Diagnostic> {
    let types = [("bridge_slave", false), ("bridge", true)];
    if words.choose("bridge_slave or bridge", &types, OTHER_KINDS)? {
        return Ok(bridge_options(words)?.into_iter().map(LinkChange::Bridge).collect());
    }
    let mut changes = Vec::new();
    while let Some(token) = words.next() {
        match port_option(&token.text) {
            Some(option) => changes.push(LinkChange::Port(option, words.switch(ON_OFF, 1)?)),
            None => return words.unexpected(&token, PORT_NAMES, &[&token.text]),
        }
    }
    match changes.is_empty() {
        true => words.blame_last(Fault::new("nothing to change", "expected hairpin on or hairpin off")),
        false => Ok(changes),
    }
}

fn add(words: &mut Words<'_>) -> Result<NewLink, Diagnostic> {
    let (mut name, mut address, mut mtu, mut kind) = (None, None, None, None);
    words.taken_for("dev");
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "name" | "dev" => name = Some(words.device()?),
            "address" => address = Some(words.mac()?),
            "mtu" => mtu = Some(words.number_or("a size in bytes", MTU)?),
            "type" => {
                words.taken_for("");
                kind = Some(link_kind(words)?);
            }
            word if NOT_MODELLED.contains(&word) => {
                return words.unexpected(&token, &["name", "address", "mtu", "type"], NOT_MODELLED);
            }
            word if name.is_none() => match device(word) {
                Ok(n) => name = Some(n),
                Err(fault) => return words.blame(&token, bad_name(word, fault)),
            },
            _ => return words.unexpected(&token, &["name", "address", "mtu", "type"], NOT_MODELLED),
        }
    }
    let Some(kind) = kind else {
        let help = format!("expected type {}", KINDS.join(" or "));
        let fault = Fault::new("a device without a type", help);
        return words.blame_last(fault.exits(1, "Not enough information: \"type\" argument is required"));
    };
    match name {
        Some(name) => Ok(NewLink { name, address, mtu, kind }),
        None => words.blame_last(Fault::new("a device without a name", "expected a name behind add")),
    }
}

fn link_kind(words: &mut Words<'_>) -> Result<LinkKind, Diagnostic> {
    let token = words.need("a type of device")?;
    match token.text.as_ref() {
        "bridge" => Ok(LinkKind::Bridge(bridge_options(words)?)),
        "dummy" => match words.next() {
            None => Ok(LinkKind::Dummy),
            Some(t) => {
                let fault = Fault::new(
                    format!("{} is not modelled", q(&t.text)),
                    "expected no options behind the type",
                );
                words.blame(&t, fault)
            }
        },
        "vxlan" if cfg!(feature = "tunnels") => Ok(LinkKind::Vxlan(vxlan(words)?)),
        "ipip" if cfg!(feature = "tunnels") => Ok(LinkKind::Ipip(ipip(words)?)),
        "veth" => {
            if !words.take("peer") {
                return words.end().map(|()| LinkKind::Veth { peer: None, peer_address: None });
            }
            let (mut peer, mut peer_address) = (None, None);
            words.taken_for("dev");
            while let Some(token) = words.next() {
                match token.text.as_ref() {
                    "name" => peer = Some(words.device()?),
                    "address" => peer_address = Some(words.mac()?),
                    word if NOT_MODELLED.contains(&word) || peer.is_some() => {
                        return words.unexpected(&token, &["name", "address"], NOT_MODELLED);
                    }
                    word => match device(word) {
                        Ok(n) => peer = Some(n),
                        Err(fault) => return words.blame(&token, fault),
                    },
                }
            }
            Ok(LinkKind::Veth { peer, peer_address })
        }
        word if OTHER_KINDS.contains(&word) => words.unexpected(&token, KINDS, OTHER_KINDS),
        word => {
            let fault = Fault::new(
                format!("unknown word {}", q(word)),
                format!("expected one of {}", KINDS.join(", ")),
            );
            words.blame(&token, fault.exits(2, "Error: Unknown device type."))
        }
    }
}

/// What the tool, or the kernel where it is only too long, says of a name that a device cannot have.
fn bad_name(name: &str, fault: Fault) -> Fault {
    if name.contains('/') {
        return fault.exits(255, format!("Error: argument \"{name}\" is wrong: \"dev\" not a valid ifname"));
    }
    fault.exits(2, "Error: Attribute failed policy validation.")
}
