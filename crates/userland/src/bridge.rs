//! `bridge` (iproute2): the forwarding database and the ports.

use crate::diagnostic::{Diagnostic, Fault};
use crate::ip::{PORT_NAMES, PortOption, port_option};
use crate::words::{Words, arg_line};
use packet::Mac;
use std::net::Ipv4Addr;

/// How a listing looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BridgeFormat {
    /// `-d`
    pub details: bool,
    /// `-j`
    pub json: bool,
    /// `-o`
    pub oneline: bool,
}

/// A command with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeLine {
    /// The options before it.
    pub format: BridgeFormat,
    /// The command.
    pub command: BridgeCommand,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeCommand {
    /// `bridge fdb add`: refused if there is one.
    FdbAdd(FdbSpec),
    /// `bridge fdb append`
    FdbAppend(FdbSpec),
    /// `bridge fdb replace`
    FdbReplace(FdbSpec),
    /// `bridge fdb del`
    FdbDel(FdbSpec),
    /// `bridge fdb show`
    FdbShow {
        /// `br`
        br: Option<String>,
        /// `dev`
        dev: Option<String>,
    },
    /// `bridge link show`
    LinkShow {
        /// `dev`
        dev: Option<String>,
    },
    /// `bridge vlan show`
    VlanShow {
        /// `dev`
        dev: Option<String>,
    },
    /// `bridge link set dev D hairpin on|off ...`
    LinkSet {
        /// `dev`
        dev: String,
        /// What is changed, in order.
        options: Vec<(PortOption, bool)>,
    },
    /// `bridge fdb flush dev BRIDGE`
    FdbFlush {
        /// `dev`
        dev: String,
    },
}

/// How long an entry lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FdbState {
    /// `permanent`, `local`: an address of the bridge itself. What is meant if nothing is said.
    #[default]
    Permanent,
    /// `static`: behind the port, and stays.
    Static,
    /// `dynamic`: behind the port, and ages.
    Dynamic,
}

/// An entry as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FdbSpec {
    /// The hardware address.
    pub mac: Mac,
    /// `dev`
    pub dev: String,
    /// `master`: the database of the bridge. Otherwise the device's own filter is meant (`self`).
    pub master: bool,
    /// `static`, `permanent`, `dynamic`
    pub state: FdbState,
    /// `dst`: the host behind which the address is, for a device of type vxlan.
    pub dst: Option<Ipv4Addr>,
}

#[derive(Clone, Copy)]
enum Object {
    Fdb,
    Link,
    Vlan,
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Append,
    Replace,
    Del,
    Show,
    Set,
    Flush,
}

const FDB: &[(&str, Verb)] = &[
    ("add", Verb::Add),
    ("append", Verb::Append),
    ("replace", Verb::Replace),
    ("delete", Verb::Del),
    ("show", Verb::Show),
    ("list", Verb::Show),
    ("flush", Verb::Flush),
];
const LINK: &[(&str, Verb)] = &[("set", Verb::Set), ("show", Verb::Show), ("list", Verb::Show)];

const SPEC: &[&str] = &["dst", "dev", "master", "self", "static", "permanent", "local", "dynamic"];
const SPEC_NOT_MODELLED: &[&str] =
    &["vlan", "port", "vni", "src_vni", "via", "router", "use", "extern_learn", "sticky", "nhid"];
const LINK_NOT_MODELLED: &[&str] = &[
    "cost",
    "fastleave",
    "guard",
    "hwmode",
    "learning_sync",
    "locked",
    "mcast_router",
    "mcast_to_unicast",
    "neigh_suppress",
    "priority",
    "root_block",
    "self",
    "master",
    "state",
    "vlan_tunnel",
];

/// Reads a command line; `argv[0]` is the name of the program.
pub fn parse_bridge<S: AsRef<str>>(argv: &[S]) -> Result<BridgeLine, Diagnostic> {
    let line = arg_line(argv)?;
    let mut words = Words::new(&line, 1);
    let format = options(&mut words)?;
    let objects = [("fdb", Object::Fdb), ("link", Object::Link), ("vlan", Object::Vlan)];
    let command = match words.choose("fdb, link or vlan", &objects, &["mdb", "vni", "monitor"])? {
        Object::Fdb => fdb(&mut words)?,
        Object::Link => link(&mut words)?,
        Object::Vlan if format.details => {
            let fault = Fault::new("-d of VLANs is not modelled", "expected bridge vlan");
            return words.blame_last(fault);
        }
        Object::Vlan => vlan(&mut words)?,
    };
    Ok(BridgeLine { format, command })
}

/// The options before the object: one dash is as good as two, and the beginning of a word is enough.
fn options(words: &mut Words<'_>) -> Result<BridgeFormat, Diagnostic> {
    let mut format = BridgeFormat::default();
    while let Some(token) = words.peek().filter(|t| t.text.starts_with('-')).cloned() {
        words.next();
        match token.text.trim_start_matches('-') {
            n if !n.is_empty() && "details".starts_with(n) => format.details = true,
            n if !n.is_empty() && "json".starts_with(n) => format.json = true,
            n if !n.is_empty() && "oneline".starts_with(n) => format.oneline = true,
            _ => {
                let message = format!("option {} is not modelled", crate::diagnostic::q(&token.text));
                return words
                    .blame(&token, Fault::new(message, "expected one of -d, -j, -o, or fdb, link, vlan"));
            }
        }
    }
    Ok(format)
}

fn vlan(words: &mut Words<'_>) -> Result<BridgeCommand, Diagnostic> {
    if words.peek().is_some() {
        let not_modelled = ["add", "delete", "global", "set", "tunnelshow"];
        words.choose("show", &[("show", Verb::Show), ("list", Verb::Show)], &not_modelled)?;
    }
    let mut dev = None;
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "dev" => dev = Some(words.device()?),
            _ => return words.unexpected(&token, &["dev"], &["vid"]),
        }
    }
    Ok(BridgeCommand::VlanShow { dev })
}

fn fdb(words: &mut Words<'_>) -> Result<BridgeCommand, Diagnostic> {
    let verb = match words.peek() {
        None => Verb::Show,
        Some(_) => words.choose("add, append, replace, del, show or flush", FDB, &["get"])?,
    };
    Ok(match verb {
        Verb::Add => BridgeCommand::FdbAdd(spec(words)?),
        Verb::Append => BridgeCommand::FdbAppend(spec(words)?),
        Verb::Replace => BridgeCommand::FdbReplace(spec(words)?),
        Verb::Del => BridgeCommand::FdbDel(spec(words)?),
        Verb::Flush => {
            words.take("dev");
            let dev = words.device()?;
            words.end()?;
            BridgeCommand::FdbFlush { dev }
        }
        Verb::Show | Verb::Set => {
            let (mut br, mut dev) = (None, None);
            while let Some(token) = words.next() {
                match token.text.as_ref() {
                    "br" => br = Some(words.device()?),
                    "dev" | "brport" => dev = Some(words.device()?),
                    _ => return words.unexpected(&token, &["br", "dev"], &["vlan", "state", "dynamic"]),
                }
            }
            BridgeCommand::FdbShow { br, dev }
        }
    })
}

fn spec(words: &mut Words<'_>) -> Result<FdbSpec, Diagnostic> {
    let mac = words.mac()?;
    let (mut dev, mut master, mut own, mut state) = (None, false, false, FdbState::default());
    let mut dst = None;
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "dev" => dev = Some(words.device()?),
            "dst" => dst = Some(words.address()?),
            "master" => master = true,
            "self" => own = true,
            "static" | "temp" => state = FdbState::Static,
            "permanent" | "local" => state = FdbState::Permanent,
            "dynamic" => state = FdbState::Dynamic,
            _ => return words.unexpected(&token, SPEC, SPEC_NOT_MODELLED),
        }
    }
    if master && own {
        return words.blame_last(Fault::new("self together with master", "expected one of the two"));
    }
    match dev {
        Some(dev) => Ok(FdbSpec { mac, dev, master, state, dst }),
        None => words.blame_last(Fault::new("no device", "expected dev DEVICE")),
    }
}

fn link(words: &mut Words<'_>) -> Result<BridgeCommand, Diagnostic> {
    let verb = match words.peek() {
        None => Verb::Show,
        Some(_) => words.choose("set or show", LINK, &[])?,
    };
    let (mut dev, mut options) = (None, Vec::new());
    let set = matches!(verb, Verb::Set);
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "dev" => dev = Some(words.device()?),
            word if set => match port_option(word) {
                Some(option) => options.push((option, words.switch()?)),
                None => return words.unexpected(&token, PORT_NAMES, LINK_NOT_MODELLED),
            },
            _ => return words.unexpected(&token, &["dev"], &["master"]),
        }
    }
    match (set, dev) {
        (false, dev) => Ok(BridgeCommand::LinkShow { dev }),
        (true, None) => words.blame_last(Fault::new("no device", "expected dev DEVICE")),
        (true, Some(_)) if options.is_empty() => {
            words.blame_last(Fault::new("nothing to change", "expected hairpin on or hairpin off"))
        }
        (true, Some(dev)) => Ok(BridgeCommand::LinkSet { dev, options }),
    }
}
