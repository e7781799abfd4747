//! `-m sctp`.

use super::udp::{list_ports, two_at_most};
use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::port;
use kernel::netfilter::xtables::matches::{SctpChunkFlags, SctpChunkTypes, SctpChunks, SctpMatch};
use packet::Protocol;

/// Chunks: name, type, and the letters of its flags from the highest bit on.
const CHUNKS: [(&str, u8, &str); 22] = [
    ("DATA", 0, "----IUBE"),
    ("INIT", 1, ""),
    ("INIT_ACK", 2, ""),
    ("SACK", 3, ""),
    ("HEARTBEAT", 4, ""),
    ("HEARTBEAT_ACK", 5, ""),
    ("ABORT", 6, "-------T"),
    ("SHUTDOWN", 7, ""),
    ("SHUTDOWN_ACK", 8, ""),
    ("ERROR", 9, ""),
    ("COOKIE_ECHO", 10, ""),
    ("COOKIE_ACK", 11, ""),
    ("ECN_ECNE", 12, ""),
    ("ECN_CWR", 13, ""),
    ("SHUTDOWN_COMPLETE", 14, "-------T"),
    ("I_DATA", 64, "----IUBE"),
    ("ASCONF_ACK", 128, ""),
    ("RE_CONFIG", 130, ""),
    ("PAD", 132, ""),
    ("FORWARD_TSN", 192, ""),
    ("ASCONF", 193, ""),
    ("I_FORWARD_TSN", 194, ""),
];

const HOW: [(&str, SctpChunks); 3] =
    [("all", SctpChunks::All), ("any", SctpChunks::Any), ("only", SctpChunks::Only)];

impl Text for SctpMatch {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["source-port", "sport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["destination-port", "dport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["chunk-types"], &["all|any|only", "CHUNK[:FLAGS],..."]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        if given.name == "chunk-types" {
            self.chunks = Some(given.neg(chunk_types(given.value, given.second)?));
            return Ok(());
        }
        let range = two_at_most("sctp", given).and_then(|v| port::range(v, Protocol::SCTP))?;
        let ports = Some(given.neg(range));
        match given.name {
            "source-port" => self.sport = ports,
            _ => self.dport = ports,
        }
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.optional(0, self.sport.as_ref(), "--sport", |p| port::range_text(*p));
        out.optional(1, self.dport.as_ref(), "--dport", |p| port::range_text(*p));
        out.optional(2, self.chunks.as_ref(), "--chunk-types", |c| chunks_text(c, false));
    }

    fn list(&self, names: &Names, out: &mut String) {
        out.push_str(" sctp");
        list_ports(self.sport, self.dport, Protocol::SCTP, names, out);
        if let Some(c) = &self.chunks {
            out.push_str(if c.not { " ! " } else { " " });
            out.push_str(&chunks_text(&c.value, names.numeric));
        }
    }
}

fn chunk_types(how: &str, list: &str) -> Result<SctpChunkTypes, Fault> {
    let Some((_, how)) = HOW.iter().find(|(word, _)| word.eq_ignore_ascii_case(how)) else {
        return Err(Fault::new(
            format!("{} says not how chunks are to fit", q(how)),
            "expected all, any or only",
        )
        .usage("Match type has to be one of \"ALL\", \"ANY\" or \"ONLY\""));
    };
    let mut types = SctpChunkTypes { how: *how, ..SctpChunkTypes::default() };
    if list.eq_ignore_ascii_case("ALL") {
        types.map = [u64::MAX; 4];
        return Ok(types);
    }
    if list.eq_ignore_ascii_case("NONE") {
        return Ok(types);
    }
    for item in list.split(',') {
        let (name, flags) = item.split_once(':').unwrap_or((item, ""));
        let Some((_, kind, letters)) = CHUNKS.into_iter().find(|(word, ..)| word.eq_ignore_ascii_case(name))
        else {
            return Err(Fault::new(
                format!("there is no chunk {}", q(name)),
                "expected DATA, INIT, SACK, ...",
            )
            .usage(format!("Unknown sctp chunk `{name}'")));
        };
        types.add(kind);
        for letter in flags.chars() {
            let upper = letter.to_ascii_uppercase();
            let Some(place) = letters.find(upper).filter(|_| upper != '-') else {
                return Err(Fault::new(
                    format!("{} is no flag of {name}", q(&letter.to_string())),
                    "expected its flags: upper case if they are to be set, lower case if not",
                )
                .usage(format!("Invalid flags for chunk type {kind}")));
            };
            let bit = 0x80 >> place;
            if !types.flags.iter().any(|f| f.kind == kind) {
                types.flags.push(SctpChunkFlags { kind, flags: 0, mask: 0 });
            }
            if let Some(f) = types.flags.iter_mut().find(|f| f.kind == kind) {
                f.mask |= bit;
                f.flags |= if letter == upper { bit } else { 0 };
            }
        }
    }
    Ok(types)
}

/// `any DATA:Be,INIT`
fn chunks_text(c: &SctpChunkTypes, numeric: bool) -> String {
    let how = HOW.iter().find(|(_, how)| *how == c.how).map_or("", |(word, _)| word);
    let list = match c.map {
        [u64::MAX, u64::MAX, u64::MAX, u64::MAX] => "ALL".to_owned(),
        [0, 0, 0, 0] => "NONE".to_owned(),
        _ => CHUNKS
            .into_iter()
            .filter(|(_, kind, _)| c.has(*kind))
            .map(|(name, kind, letters)| {
                let name = if numeric { format!("0x{kind:04X}") } else { name.to_owned() };
                let flags = c.flags.iter().find(|f| f.kind == kind);
                flags.map_or(name.clone(), |f| format!("{name}:{}", flags_text(f, letters)))
            })
            .collect::<Vec<_>>()
            .join(","),
    };
    format!("{how} {list}")
}

fn flags_text(f: &SctpChunkFlags, letters: &str) -> String {
    letters
        .chars()
        .enumerate()
        .filter(|(place, _)| f.mask & (0x80 >> place) != 0)
        .map(|(place, c)| if f.flags & (0x80 >> place) != 0 { c } else { c.to_ascii_lowercase() })
        .collect()
}
