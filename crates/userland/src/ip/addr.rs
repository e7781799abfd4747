//! `ip addr`

use super::select::{LinkSelect, select};
use crate::diagnostic::{Diagnostic, Fault};
use crate::words::{Words, address_with_prefix};
use ipnet::Ipv4Net;
use kernel::route::Scope;
use std::net::Ipv4Addr;

/// `ip addr ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddrCommand {
    /// `ip addr add`
    Add(AddrSpec),
    /// `ip addr replace`, `ip addr change`: added if it is not there.
    Replace(AddrSpec),
    /// `ip addr del`
    Del(AddrSpec),
    /// `ip addr flush dev D`
    Flush {
        /// `dev`
        dev: String,
    },
    /// `ip addr show`
    Show(LinkSelect),
}

/// An address of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrSpec {
    /// Address and length of its prefix.
    pub addr: Ipv4Net,
    /// The length of the prefix was said. `ip addr del` without takes the first that has the address.
    pub whole: bool,
    /// `dev`
    pub dev: String,
    /// `scope`
    pub scope: Option<Scope>,
    /// `broadcast`; `+` stands for the last address of the network.
    pub broadcast: Option<Ipv4Addr>,
    /// `noprefixroute`
    pub noprefixroute: bool,
    /// `metric`
    pub metric: u32,
    /// `label`
    pub label: Option<String>,
}

impl AddrSpec {
    /// An address of a device, with nothing more said about it.
    pub fn new(addr: Ipv4Net, dev: &str) -> AddrSpec {
        AddrSpec {
            addr,
            whole: true,
            dev: dev.to_owned(),
            scope: None,
            broadcast: None,
            noprefixroute: false,
            metric: 0,
            label: None,
        }
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Replace,
    Del,
    Flush,
    Show,
}

const VERBS: &[(&str, Verb)] = &[
    ("add", Verb::Add),
    ("change", Verb::Replace),
    ("replace", Verb::Replace),
    ("delete", Verb::Del),
    ("show", Verb::Show),
    ("list", Verb::Show),
    ("flush", Verb::Flush),
];

const KNOWN: &[&str] = &["dev", "scope", "broadcast", "noprefixroute", "metric", "label"];
const NOT_MODELLED: &[&str] = &[
    "anycast",
    "autojoin",
    "dadfailed",
    "deprecated",
    "home",
    "mngtmpaddr",
    "nodad",
    "optimistic",
    "peer",
    "preferred_lft",
    "proto",
    "valid_lft",
    "to",
    "up",
    "type",
    "master",
    "dynamic",
    "permanent",
    "primary",
    "secondary",
    "temporary",
];

const NO_DEVICE: &str = "Not enough information: \"dev\" argument is required.";

pub(super) fn command(words: &mut Words<'_>) -> Result<AddrCommand, Diagnostic> {
    if words.peek().is_none() {
        return Ok(AddrCommand::Show(LinkSelect::default()));
    }
    Ok(match words.verb("ip address", "add, del, show or flush", VERBS, &["save", "restore"])? {
        Verb::Add => AddrCommand::Add(spec(words)?),
        Verb::Replace => AddrCommand::Replace(spec(words)?),
        Verb::Del => AddrCommand::Del(spec(words)?),
        Verb::Show => AddrCommand::Show(select(words, true)?),
        Verb::Flush => match device(words)? {
            Some(dev) => AddrCommand::Flush { dev },
            None => {
                let fault = Fault::new("flush without a device", "expected dev DEVICE");
                return words.blame_last(fault.exits(1, "Flush requires arguments."));
            }
        },
    })
}

/// `[dev] NAME`
fn device(words: &mut Words<'_>) -> Result<Option<String>, Diagnostic> {
    let mut dev = None;
    words.taken_for("dev");
    while let Some(token) = words.peek().cloned() {
        match token.text.as_ref() {
            "dev" => {
                words.next();
                dev = Some(words.device()?);
            }
            word if matches!(word, "scope" | "label") || NOT_MODELLED.contains(&word) => {
                return words.unexpected(&token, &["dev"], &[word]);
            }
            _ if dev.is_none() => dev = Some(words.device()?),
            _ => words.end()?,
        }
    }
    Ok(dev)
}

fn spec(words: &mut Words<'_>) -> Result<AddrSpec, Diagnostic> {
    let (mut addr, mut dev, mut scope) = (None, None, None);
    let (mut brd, mut noprefixroute, mut metric, mut label) = (None, false, 0, None);
    let mut whole = true;
    words.taken_for("local");
    while let Some(token) = words.peek().cloned() {
        match token.text.as_ref() {
            "dev" => {
                words.next();
                dev = Some(words.device()?);
            }
            "scope" => {
                words.next();
                scope = Some(super::route::scope(words, "invalid scope value.")?);
            }
            "local" => {
                words.next();
            }
            "broadcast" | "brd" => {
                words.next();
                brd = Some(words.value("an address, + or -", broadcast)?);
            }
            "noprefixroute" => {
                words.next();
                noprefixroute = true;
            }
            "metric" | "priority" | "preference" => {
                words.next();
                metric = words.number_or("a metric", "\"metric\" value is invalid\n")?;
            }
            "label" => {
                words.next();
                label = Some(words.value("a label", |text| Ok(text.to_owned()))?);
            }
            word if NOT_MODELLED.contains(&word) => return words.unexpected(&token, KNOWN, NOT_MODELLED),
            text if addr.is_none() => {
                whole = text.contains('/');
                addr = Some(words.value("an address", address_with_prefix)?);
            }
            _ => return words.unexpected(&token, KNOWN, NOT_MODELLED),
        }
    }
    let Some(addr) = addr else {
        let fault = Fault::new("no address", "expected ADDRESS/LENGTH such as 10.0.0.1/24");
        return words.blame_last(match dev {
            Some(_) => fault.exits(2, "RTNETLINK answers: Operation not supported"),
            None => fault.exits(1, NO_DEVICE),
        });
    };
    match dev {
        Some(dev) => {
            let of_net = |b| match b {
                Brd::Last => Some(addr.broadcast()),
                Brd::First => Some(addr.network()),
                Brd::Is(b) => Some(b),
            };
            let broadcast = brd.and_then(of_net);
            Ok(AddrSpec { addr, whole, dev, scope, broadcast, noprefixroute, metric, label })
        }
        None => words.blame_last(Fault::new("no device", "expected dev DEVICE").exits(1, NO_DEVICE)),
    }
}

#[derive(Clone, Copy)]
enum Brd {
    Last,
    First,
    Is(Ipv4Addr),
}

fn broadcast(text: &str) -> Result<Brd, Fault> {
    Ok(match text {
        "+" => Brd::Last,
        "-" => Brd::First,
        _ => Brd::Is(crate::words::address(text)?),
    })
}
