//! `bridge` (iproute2): the forwarding database and the ports.

use crate::args::Token;
use crate::diagnostic::{Diagnostic, Fault, ToolError};
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
    /// `master`: the database of the bridge.
    pub master: bool,
    /// `self`, which is meant too if nothing is said: the device's own filter.
    pub own: bool,
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
    let (format, stats) = options(&mut words)?;
    let objects = [("fdb", Object::Fdb), ("link", Object::Link), ("vlan", Object::Vlan)];
    let word = words.peek().map_or(String::new(), |t| t.text.to_string());
    let elsewhere = ["mdb", "vni", "monitor"];
    let object = words.choose("fdb, link or vlan", &objects, &elsewhere).map_err(|mut d| {
        let says = match word.as_str() {
            "" | "help" => "Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }".to_owned(),
            word if elsewhere.iter().any(|e| e.starts_with(word)) => return d,
            word => format!("Object \"{word}\" is unknown, try \"bridge help\"."),
        };
        d.tool = Some(ToolError::Exit(255, says));
        d
    });
    let object = object?;
    // Of ports it tells nothing more.
    if let Some(token) = stats.filter(|_| !matches!(object, Object::Link)) {
        let fault = Fault::new("-s of entries is not modelled", "expected -s of bridge link");
        return words.blame(&token, fault);
    }
    let command = match object {
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

/// Options that are not modelled.
const OPTIONS: &[&str] =
    &["batch", "color", "compressvlans", "family", "force", "help", "netns", "pretty", "timestamp"];

/// The options before the object: one dash is as good as two, and the beginning of a word is enough.
fn options<'a>(words: &mut Words<'a>) -> Result<(BridgeFormat, Option<Token<'a>>), Diagnostic> {
    let (mut format, mut stats) = (BridgeFormat::default(), None);
    while let Some(token) = words.peek().filter(|t| t.text.starts_with('-')).cloned() {
        words.next();
        match token.text.trim_start_matches('-') {
            n if !n.is_empty() && "details".starts_with(n) => format.details = true,
            n if !n.is_empty() && ("statistics".starts_with(n) || n == "stats") => stats = Some(token),
            n if !n.is_empty() && "json".starts_with(n) => format.json = true,
            n if !n.is_empty() && "oneline".starts_with(n) => format.oneline = true,
            _ => {
                let message = format!("option {} is not modelled", crate::diagnostic::q(&token.text));
                let fault = Fault::new(message, "expected one of -d, -j, -o, -V, or fdb, link, vlan");
                let known = OPTIONS.iter().any(|o| o.starts_with(token.text.trim_start_matches('-')));
                let says = format!("Option \"{}\" is unknown, try \"bridge help\".", token.text);
                return words.blame(&token, if known { fault } else { fault.exits(255, says) });
            }
        }
    }
    Ok((format, stats))
}

fn vlan(words: &mut Words<'_>) -> Result<BridgeCommand, Diagnostic> {
    if words.peek().is_some() {
        let not_modelled = ["add", "delete", "global", "set", "tunnelshow"];
        words.verb("bridge vlan", "show", &[("show", Verb::Show), ("list", Verb::Show)], &not_modelled)?;
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
        Some(_) => words.verb("bridge fdb", "add, append, replace, del, show or flush", FDB, &["get"])?,
    };
    Ok(match verb {
        Verb::Add => BridgeCommand::FdbAdd(spec(words)?),
        Verb::Append => BridgeCommand::FdbAppend(spec(words)?),
        Verb::Replace => BridgeCommand::FdbReplace(spec(words)?),
        Verb::Del => BridgeCommand::FdbDel(spec(words)?),
        Verb::Flush => {
            if !words.take("dev") && words.peek().is_none() {
                return words.blame_last(missing("Device is a required argument."));
            }
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
                    "vlan" | "state" | "dynamic" => {
                        return words.unexpected(&token, &["br", "dev"], &[&token.text]);
                    }
                    // The tool takes no offence.
                    _ => {}
                }
            }
            BridgeCommand::FdbShow { br, dev }
        }
    })
}

/// Something that must be said is not.
fn missing(says: &str) -> Fault {
    Fault::new("the command ends too early", "expected dev DEVICE").exits(255, says)
}

fn spec(words: &mut Words<'_>) -> Result<FdbSpec, Diagnostic> {
    const REQUIRED: &str = "Device and address are required arguments.";
    words.taken_for("to");
    let Some(address) = words.next().filter(|t| t.text != "dev") else {
        return words.blame_last(missing(REQUIRED));
    };
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
    let Some(dev) = dev else { return words.blame_last(missing(REQUIRED)) };
    match crate::words::mac(&address.text) {
        Ok(mac) => Ok(FdbSpec { mac, dev, master, own: own || !master, state, dst }),
        Err(fault) => {
            let says = format!("Invalid mac address {}", address.text);
            words.blame(&address, fault.exits(255, says))
        }
    }
}

fn link(words: &mut Words<'_>) -> Result<BridgeCommand, Diagnostic> {
    let verb = match words.peek() {
        None => Verb::Show,
        Some(_) => words.verb("bridge link", "set or show", LINK, &[])?,
    };
    let (mut dev, mut options) = (None, Vec::new());
    let set = matches!(verb, Verb::Set);
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "dev" => dev = Some(words.device()?),
            word if set => match port_option(word) {
                Some(option) => options.push((option, words.switch("one of \"off\", \"on\"", 234)?)),
                None => return words.unexpected(&token, PORT_NAMES, LINK_NOT_MODELLED),
            },
            "master" => return words.unexpected(&token, &["dev"], &["master"]),
            _ => {}
        }
    }
    match (set, dev) {
        (false, dev) => Ok(BridgeCommand::LinkShow { dev }),
        (true, None) => words.blame_last(missing("Device is a required argument.")),
        (true, Some(dev)) => Ok(BridgeCommand::LinkSet { dev, options }),
    }
}
