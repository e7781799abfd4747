//! `ip neigh`

use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::words::{Words, mac, sought};
use ipnet::Ipv4Net;
use packet::Mac;
use std::net::Ipv4Addr;

/// `ip neigh ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeighCommand {
    /// `ip neigh add`: refused if there is one.
    Add(NeighSpec),
    /// `ip neigh replace`
    Replace(NeighSpec),
    /// `ip neigh change`: refused if there is none.
    Change(NeighSpec),
    /// `ip neigh del`
    Del(NeighSpec),
    /// `ip neigh flush dev D` or `all`
    Flush {
        /// `dev`; all devices without.
        dev: Option<String>,
    },
    /// `ip neigh show`
    Show(NeighFilter),
    /// `ip neigh get`
    Get {
        /// Whose.
        addr: Ipv4Addr,
        /// `dev`
        dev: String,
    },
}

/// The neighbours that `ip neigh show` lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeighFilter {
    /// `dev`; all devices without.
    pub dev: Option<String>,
    /// `to PREFIX`, or a prefix alone.
    pub to: Option<Ipv4Net>,
    /// `nud`: states in the words that are printed; all without.
    pub states: Vec<&'static str>,
}

/// `nud`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NudWord {
    /// Never asked again.
    Permanent,
    /// Just confirmed.
    Reachable,
    /// Known, but not confirmed.
    Stale,
    /// Never asked, may be dropped.
    Noarp,
}

/// A neighbour as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighSpec {
    /// Its address.
    pub addr: Ipv4Addr,
    /// `lladdr`
    pub lladdr: Option<Mac>,
    /// `dev`
    pub dev: String,
    /// `nud`; permanent if nothing is said.
    pub nud: NudWord,
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Replace,
    Change,
    Del,
    Flush,
    Show,
    Get,
}

const VERBS: &[(&str, Verb)] = &[
    ("add", Verb::Add),
    ("replace", Verb::Replace),
    ("change", Verb::Change),
    ("delete", Verb::Del),
    ("show", Verb::Show),
    ("list", Verb::Show),
    ("get", Verb::Get),
    ("flush", Verb::Flush),
];

const NUDS: [(&str, NudWord); 4] = [
    ("permanent", NudWord::Permanent),
    ("reachable", NudWord::Reachable),
    ("stale", NudWord::Stale),
    ("noarp", NudWord::Noarp),
];

const KNOWN: &[&str] = &["dev", "lladdr", "nud"];
const NOT_MODELLED: &[&str] =
    &["proxy", "router", "use", "managed", "extern_learn", "protocol", "vrf", "nomaster", "master", "unused"];

pub(super) fn command(words: &mut Words<'_>) -> Result<NeighCommand, Diagnostic> {
    if words.peek().is_none() {
        return Ok(NeighCommand::Show(NeighFilter::default()));
    }
    Ok(match words.verb("ip neigh", "add, replace, change, del, show, get or flush", VERBS, &[])? {
        Verb::Add => NeighCommand::Add(spec(words)?),
        Verb::Replace => NeighCommand::Replace(spec(words)?),
        Verb::Change => NeighCommand::Change(spec(words)?),
        Verb::Del => NeighCommand::Del(spec(words)?),
        Verb::Show => NeighCommand::Show(filter(words)?),
        Verb::Get => get(words)?,
        Verb::Flush => {
            if words.peek().is_none() {
                let fault = Fault::new("flush without a selection", "expected dev DEVICE or all");
                return words.blame_last(fault.exits(1, "Flush requires arguments."));
            }
            let all = words.take("all");
            let dev = if all { None } else { device(words)? };
            words.end()?;
            NeighCommand::Flush { dev }
        }
    })
}

fn get(words: &mut Words<'_>) -> Result<NeighCommand, Diagnostic> {
    let (mut addr, mut dev) = (None, None);
    words.taken_for("to");
    while let Some(token) = words.peek().cloned() {
        match token.text.as_ref() {
            "dev" => {
                words.next();
                dev = Some(words.device()?);
            }
            _ if addr.is_some() => return words.unexpected(&token, &["dev"], NOT_MODELLED),
            _ => {
                words.take("to");
                addr = Some(words.value("an address", whole)?);
            }
        }
    }
    match (addr, dev) {
        (Some(addr), Some(dev)) => Ok(NeighCommand::Get { addr, dev }),
        _ => {
            let says = "Device and address are required arguments.";
            words.blame_last(Fault::new(says, "expected ADDRESS dev DEVICE").exits(1, says))
        }
    }
}

fn device(words: &mut Words<'_>) -> Result<Option<String>, Diagnostic> {
    let mut dev = None;
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "dev" => dev = Some(words.device()?),
            _ => {
                if sought(&token.text).is_ok() {
                    return words.unexpected(&token, &["dev"], &[&token.text]);
                }
                let fault = Fault::new(format!("unknown word {}", q(&token.text)), "expected dev");
                return words.blame(&token, fault.expected("any valid prefix", &token.text));
            }
        }
    }
    Ok(dev)
}

const STATES: [&str; 8] =
    ["PERMANENT", "NOARP", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "INCOMPLETE"];

fn filter(words: &mut Words<'_>) -> Result<NeighFilter, Diagnostic> {
    let mut filter = NeighFilter::default();
    while let Some(token) = words.peek().cloned() {
        let word = token.text.as_ref();
        if NOT_MODELLED.contains(&word) {
            return words.unexpected(&token, &["dev", "to", "nud"], NOT_MODELLED);
        }
        if ["dev", "to", "nud"].contains(&word) {
            words.next();
        }
        match word {
            "dev" => filter.dev = Some(words.device()?),
            "nud" if words.take("all") => filter.states.extend(STATES),
            "nud" => filter.states.push(words.value("a state", |text| {
                let found = STATES.iter().find(|state| state.eq_ignore_ascii_case(text));
                let states = STATES.join(", ").to_ascii_lowercase();
                found.copied().ok_or_else(|| {
                    let help = format!("expected all, {states}");
                    Fault::new("nud state is bad", help).wrong_argument(text, "nud state is bad")
                })
            })?),
            _ => filter.to = Some(words.value("a prefix", sought)?),
        }
    }
    Ok(filter)
}

fn spec(words: &mut Words<'_>) -> Result<NeighSpec, Diagnostic> {
    let (mut addr, mut lladdr, mut dev, mut nud) = (None, None, None, NudWord::Permanent);
    words.taken_for("to");
    while let Some(token) = words.peek().cloned() {
        match token.text.as_ref() {
            "dev" => {
                words.next();
                dev = Some(words.device()?);
            }
            "lladdr" => {
                words.next();
                lladdr = Some(words.value("a MAC address", link_address)?);
            }
            "nud" => {
                words.next();
                nud = words.value("a state", state)?;
            }
            "to" => {
                words.next();
            }
            word if NOT_MODELLED.contains(&word) => return words.unexpected(&token, KNOWN, NOT_MODELLED),
            _ if addr.is_none() => addr = Some(words.value("an address", whole)?),
            _ => return words.unexpected(&token, KNOWN, NOT_MODELLED),
        }
    }
    let required = "Device and destination are required arguments.";
    let Some(addr) = addr else {
        let fault = Fault::new("no address", "expected the neighbour's address");
        return words.blame_last(fault.exits(255, required));
    };
    match dev {
        Some(dev) => Ok(NeighSpec { addr, lladdr, dev, nud }),
        None => words.blame_last(Fault::new("no device", "expected dev DEVICE").exits(255, required)),
    }
}

fn whole(text: &str) -> Result<Ipv4Addr, Fault> {
    crate::words::address(text).map_err(|f| f.expected("any valid address", text))
}

/// One that is too short is left to the kernel.
fn link_address(text: &str) -> Result<Mac, Fault> {
    mac(text).map_err(|f| match &f.tool {
        Some(ToolError::Exit(_, says)) if says.starts_with("Invalid") => {
            f.exits(2, "Error: Invalid link address.")
        }
        _ => f,
    })
}

fn state(text: &str) -> Result<NudWord, Fault> {
    let names: Vec<&str> = NUDS.iter().map(|(n, _)| *n).collect();
    let help = format!("expected one of {}", names.join(", "));
    if ["incomplete", "delay", "probe", "failed", "none"].contains(&text) {
        return Err(Fault::new(format!("an entry cannot be set to {text} by hand here"), help));
    }
    let found = NUDS.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
    found.ok_or_else(|| {
        Fault::new(format!("unknown state {}", q(text)), help).wrong_argument(text, "nud state is bad")
    })
}
