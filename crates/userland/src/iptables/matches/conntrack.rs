//! `-m conntrack`.

use super::state::{ctstates, states_text};
use super::udp::two_at_most;
use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang, one_of, words_of, words_text};
use crate::names::{addr, number, port, protocol};
use kernel::netfilter::conntrack::{Direction, status};
use kernel::netfilter::xtables::matches::{Conntrack, CtStatus};
use kernel::netfilter::xtables::{IpMatch, Neg, PortRange};
use packet::{Family, Protocol};

/// The words of `--ctstatus`.
const STATUSES: [(&str, u32); 5] = [
    ("NONE", 0),
    ("EXPECTED", status::EXPECTED),
    ("SEEN_REPLY", status::SEEN_REPLY),
    ("ASSURED", status::ASSURED),
    ("CONFIRMED", status::CONFIRMED),
];

pub(super) const DIRECTIONS: [(&str, Direction); 2] =
    [("ORIGINAL", Direction::Original), ("REPLY", Direction::Reply)];

impl Text for Conntrack {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["ctstate"], &["STATE[,STATE...]"]).or_not(),
        Opt::value(&["ctproto"], &["PROTOCOL"]).or_not(),
        Opt::value(&["ctorigsrc"], &["ADDRESS[/MASK]"]).or_not(),
        Opt::value(&["ctorigdst"], &["ADDRESS[/MASK]"]).or_not(),
        Opt::value(&["ctreplsrc"], &["ADDRESS[/MASK]"]).or_not(),
        Opt::value(&["ctrepldst"], &["ADDRESS[/MASK]"]).or_not(),
        Opt::value(&["ctorigsrcport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["ctorigdstport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["ctreplsrcport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["ctrepldstport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["ctstatus"], &["STATUS[,STATUS...]"]).or_not(),
        Opt::value(&["ctexpire"], &["SECONDS[:SECONDS]"]).or_not(),
        Opt::value(&["ctdir"], &["ORIGINAL or REPLY"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let v = given.value;
        match given.name {
            "ctstate" => self.state = Some(given.neg(ctstates(v)?)),
            "ctproto" => self.proto = Some(given.neg(proto(v)?)),
            "ctorigsrc" => self.orig_src = Some(given.neg(net(given.family, v)?)),
            "ctorigdst" => self.orig_dst = Some(given.neg(net(given.family, v)?)),
            "ctreplsrc" => self.repl_src = Some(given.neg(net(given.family, v)?)),
            "ctrepldst" => self.repl_dst = Some(given.neg(net(given.family, v)?)),
            "ctorigsrcport" => {
                self.orig_sport =
                    Some(given.neg(two_at_most("conntrack", given).and_then(port::resolved_range)?))
            }
            "ctorigdstport" => {
                self.orig_dport =
                    Some(given.neg(two_at_most("conntrack", given).and_then(port::resolved_range)?))
            }
            "ctreplsrcport" => {
                self.repl_sport =
                    Some(given.neg(two_at_most("conntrack", given).and_then(port::resolved_range)?))
            }
            "ctrepldstport" => {
                self.repl_dport =
                    Some(given.neg(two_at_most("conntrack", given).and_then(port::resolved_range)?))
            }
            "ctstatus" => self.status = Some(given.neg(statuses(v)?)),
            "ctexpire" => self.expire = Some(given.neg(seconds(v)?)),
            _ => {
                let text = format!("conntrack: Bad value for \"--ctdir\" option: \"{v}\"");
                self.dir = Some(one_of(v, &DIRECTIONS, "direction").map_err(|f| f.usage(text))?);
            }
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.0.is_empty() {
            let help = "expected at least one option such as --ctstate NEW";
            return Err(Fault::new("conntrack without an option", help)
                .usage("conntrack: At least one option is required"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        // The kernel looks at the direction right after the state, iptables prints it last.
        out.optional(0, self.state.as_ref(), "--ctstate", |s| states_text(*s));
        out.optional(2, self.proto.as_ref(), "--ctproto", |p| p.0.to_string());
        let nets = [&self.orig_src, &self.orig_dst, &self.repl_src, &self.repl_dst];
        let names = ["--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst"];
        for (i, (name, net)) in (3u8..).zip(names.into_iter().zip(nets)) {
            out.optional(i, net.as_ref(), name, |n| format!("{}{}", n.addr, addr::mask_suffix(n)));
        }
        let names = ["--ctorigsrcport", "--ctorigdstport", "--ctreplsrcport", "--ctrepldstport"];
        let ports = [&self.orig_sport, &self.orig_dport, &self.repl_sport, &self.repl_dport];
        for (i, (name, port)) in (7u8..).zip(names.into_iter().zip(ports)) {
            out.optional(i, port.as_ref(), name, |p| port::range_text(*p));
        }
        out.optional(11, self.status.as_ref(), "--ctstatus", |s| statuses_text(*s));
        out.optional(12, self.expire.as_ref(), "--ctexpire", |e| seconds_text(*e));
        if let Some(dir) = self.dir {
            out.value(1, false, "--ctdir", dir_text(dir));
        }
    }

    fn list(&self, names: &Names, out: &mut String) {
        fn word<T>(out: &mut String, value: &Option<Neg<T>>, name: &str, text: impl FnOnce(&T) -> String) {
            if let Some(v) = value {
                out.push_str(&format!(" {}{name} {}", bang(v.not), text(&v.value)));
            }
        }
        let net = |n: &IpMatch| match names.numeric {
            false if n.addr.is_unspecified() => "anywhere".to_owned(),
            _ => names.host(n.addr) + &addr::mask_suffix(n),
        };
        let port = |p: &PortRange| port::range_text(*p);
        word(out, &self.state, "ctstate", |s| states_text(*s));
        word(out, &self.proto, "ctproto", |p| p.0.to_string());
        word(out, &self.orig_src, "ctorigsrc", net);
        word(out, &self.orig_dst, "ctorigdst", net);
        word(out, &self.repl_src, "ctreplsrc", net);
        word(out, &self.repl_dst, "ctrepldst", net);
        word(out, &self.orig_sport, "ctorigsrcport", port);
        word(out, &self.orig_dport, "ctorigdstport", port);
        word(out, &self.repl_sport, "ctreplsrcport", port);
        word(out, &self.repl_dport, "ctrepldstport", port);
        word(out, &self.status, "ctstatus", |s| statuses_text(*s));
        word(out, &self.expire, "ctexpire", |e| seconds_text(*e));
        if let Some(dir) = self.dir {
            out.push_str(&format!(" ctdir {}", dir_text(dir)));
        }
    }
}

fn proto(text: &str) -> Result<Protocol, Fault> {
    protocol(text).ok_or_else(|| {
        Fault::new(
            format!("unknown protocol {}", q(text)),
            "expected a name such as tcp or a number from 0 to 255",
        )
        .usage(format!("unknown protocol \"{text}\" specified"))
    })
}

fn net(family: Family, text: &str) -> Result<IpMatch, Fault> {
    let net = addr::resolved_network_of(family, text)?;
    match addr::prefix_len_of(net.mask) {
        None => Err(Fault::new(
            format!("{} has a mask with holes", q(text)),
            "expected a prefix length here: conntrack addresses take no other mask",
        )),
        _ => Ok(net),
    }
}

fn statuses(text: &str) -> Result<CtStatus, Fault> {
    words_of(text, &STATUSES, "status", |word| format!("Bad ctstatus \"{word}\"")).map(CtStatus)
}

fn statuses_text(set: CtStatus) -> String {
    let text = words_text(set.0, &STATUSES);
    if text.is_empty() { "NONE".to_owned() } else { text }
}

fn seconds(text: &str) -> Result<(u32, u32), Fault> {
    let (min, max) = text.split_once(':').unwrap_or((text, text));
    let one = |t: &str, default: u32| {
        let open = t.is_empty() && text.contains(':');
        if open { Some(default) } else { number::u32_of(t) }
    };
    one(min, 0).zip(one(max, u32::MAX)).ok_or_else(|| {
        Fault::new(format!("{} is not a time", q(text)), "expected seconds, or a range of seconds such as 10:30").usage(
            format!(
                "conntrack: bad value for option \"--ctexpire\" near \"{text}\", or out of range (0-4294967295).\n"
            ),
        )
    })
}

fn seconds_text((min, max): (u32, u32)) -> String {
    if min == max { min.to_string() } else { format!("{min}:{max}") }
}

fn dir_text(dir: Direction) -> &'static str {
    match dir {
        Direction::Original => "ORIGINAL",
        Direction::Reply => "REPLY",
    }
}
