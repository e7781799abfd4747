//! The words behind dig and nslookup.

use super::{ALL, Asker, SHOWN, Tool};
use crate::operator::CommandOutput;
use crate::programs::Program;
use crate::programs::args::not_modelled;
use crate::programs::dns_server::type_name;
use crate::programs::resolve::reverse_name;
use packet::dns_type;
use std::time::Duration;

fn kind_of(text: &str) -> Option<u16> {
    let known = [
        dns_type::A,
        dns_type::AAAA,
        dns_type::SRV,
        dns_type::PTR,
        dns_type::TXT,
        dns_type::NS,
        dns_type::SOA,
        dns_type::CNAME,
        dns_type::MX,
        dns_type::HINFO,
        dns_type::ANY,
    ];
    known.into_iter().find(|k| type_name(*k).eq_ignore_ascii_case(text))
}

/// `+NAME` and `+noNAME`: set or clear, and which bits of [`SHOWN`].
fn shown(word: &str) -> Option<(bool, u8)> {
    let (set, name) = word.strip_prefix("no").map_or((true, word), |name| (false, name));
    let bit = SHOWN.iter().zip(0..).find(|(n, _)| **n == name).map(|(_, bit)| 1 << bit);
    Some((set, if name == "all" { ALL } else { bit? }))
}

/// `dig [@SERVER] [NAME] [TYPE] [+OPTION...]`
pub fn parse_dig(argv: &[String], _: &str) -> Result<Box<dyn Program>, CommandOutput> {
    let line = argv.get(1..).unwrap_or_default().join(" ");
    let mut asker = Asker::new(Tool::Dig { short: false, line, edns: true, show: ALL }, String::new(), false);
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n > 0);
        if let Some(server) = word.strip_prefix('@') {
            let Ok(server) = server.parse() else { return Err(not_modelled("dig", "a server by its name")) };
            asker.server = Some(server);
        } else if let Some(option) = word.strip_prefix('+') {
            match option.split_once('=').map_or((option, None), |(n, v)| (n, number(v))) {
                ("short", _) => {
                    if let Tool::Dig { short, .. } = &mut asker.tool {
                        *short = true;
                    }
                }
                ("noedns", _) => {
                    if let Tool::Dig { edns, .. } = &mut asker.tool {
                        *edns = false;
                    }
                }
                (name, None) if shown(name).is_some() => {
                    if let (Tool::Dig { show, .. }, Some((set, bits))) = (&mut asker.tool, shown(name)) {
                        *show = if set { *show | bits } else { *show & !bits };
                    }
                }
                ("search", _) => asker.search = true,
                ("tcp" | "vc", None) => asker.tcp = true,
                ("notcp" | "novc", None) => asker.tcp = false,
                ("ignore", None) => asker.ignore = true,
                ("nosearch" | "recurse" | "nocookie" | "noignore", _) => {}
                ("time" | "timeout", Some(n)) => asker.timeout = Some(Duration::from_secs(u64::from(n))),
                ("tries", Some(n)) => asker.tries = n,
                ("retry", Some(n)) => asker.tries = n + 1,
                _ => return Err(not_modelled("dig", word)),
            }
        } else if word == "-p" {
            match words.next().and_then(|p| p.parse().ok()) {
                Some(port) => asker.port = port,
                None => return Err(CommandOutput::failed(1, "dig: couldn't parse port number")),
            }
        } else if word == "-x" {
            let Some(Ok(addr)) = words.next().map(|a| a.parse()) else {
                return Err(CommandOutput::failed(1, "Invalid IP address"));
            };
            asker.name = reverse_name(addr);
            asker.kinds = vec![dns_type::PTR];
        } else if word == "-t" {
            let Some(text) = words.next() else { return Err(CommandOutput::failed(1, "Invalid option: -t")) };
            match kind_of(text) {
                Some(kind) => asker.kinds = vec![kind],
                None => asker.warning = Some(format!(";; Warning, ignoring invalid type {text}")),
            }
        } else if word.starts_with('-') {
            return Err(not_modelled("dig", word));
        } else if word.eq_ignore_ascii_case("IN") {
        } else if let Some(kind) = kind_of(word) {
            asker.kinds = vec![kind];
        } else if asker.name.is_empty() {
            asker.name.clone_from(word);
        } else {
            return Err(not_modelled("dig", "several lookups"));
        }
    }
    if asker.name.is_empty() {
        asker.name = ".".to_owned();
        asker.kinds = vec![dns_type::NS];
    }
    Ok(Box::new(asker))
}

/// `nslookup [-OPTION...] NAME [SERVER]`
pub fn parse_nslookup(argv: &[String], _: &str) -> Result<Box<dyn Program>, CommandOutput> {
    let mut asker = Asker::new(Tool::Nslookup, String::new(), true);
    asker.kinds = vec![dns_type::A, dns_type::AAAA];
    for word in argv.iter().skip(1) {
        if let Some(option) = word.strip_prefix('-') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match (name, value) {
                ("type" | "query" | "querytype" | "q" | "ty", t) => match kind_of(t) {
                    Some(kind) => asker.kinds = vec![kind],
                    None => asker.remarks.push(format!("unknown query type: {t}")),
                },
                ("timeout", t) => match t.parse() {
                    Ok(n) => asker.timeout = Some(Duration::from_secs(n)),
                    Err(_) => return Err(not_modelled("nslookup", word)),
                },
                ("retry", t) => match t.parse::<u32>() {
                    Ok(n) => asker.tries = n + 1,
                    Err(_) => return Err(not_modelled("nslookup", word)),
                },
                ("port", t) => match t.parse() {
                    Ok(n) => asker.port = n,
                    Err(_) => return Err(not_modelled("nslookup", word)),
                },
                ("nosearch", _) => asker.search = false,
                ("vc", _) => asker.tcp = true,
                ("novc", _) => asker.tcp = false,
                ("debug" | "d2" | "norecurse", _) => return Err(not_modelled("nslookup", word)),
                _ => return Err(CommandOutput::failed(1, format!("*** Invalid option: {option}"))),
            }
        } else if asker.name.is_empty() {
            match word.parse() {
                Ok(addr) => {
                    asker.name = reverse_name(addr);
                    asker.kinds = vec![dns_type::PTR];
                    asker.search = false;
                }
                Err(_) => asker.name.clone_from(word),
            }
        } else {
            let Ok(server) = word.parse() else {
                return Err(not_modelled("nslookup", "a server by its name"));
            };
            asker.server = Some(server);
        }
    }
    if asker.name.is_empty() {
        return Err(not_modelled("nslookup", "a dialogue"));
    }
    Ok(Box::new(asker))
}
