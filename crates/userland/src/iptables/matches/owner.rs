//! `-m owner`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::Neg;
use kernel::netfilter::xtables::matches::Owner;

/// The users of Debian's base-passwd.
const USERS: [(&str, u32); 17] = [
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("sync", 4),
    ("games", 5),
    ("man", 6),
    ("lp", 7),
    ("mail", 8),
    ("news", 9),
    ("uucp", 10),
    ("proxy", 13),
    ("www-data", 33),
    ("backup", 34),
    ("list", 38),
    ("irc", 39),
    ("nobody", 65534),
];

/// Its groups.
const GROUPS: [(&str, u32); 38] = [
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("adm", 4),
    ("tty", 5),
    ("disk", 6),
    ("lp", 7),
    ("mail", 8),
    ("news", 9),
    ("uucp", 10),
    ("man", 12),
    ("proxy", 13),
    ("kmem", 15),
    ("dialout", 20),
    ("fax", 21),
    ("voice", 22),
    ("cdrom", 24),
    ("floppy", 25),
    ("tape", 26),
    ("sudo", 27),
    ("audio", 29),
    ("dip", 30),
    ("www-data", 33),
    ("backup", 34),
    ("operator", 37),
    ("list", 38),
    ("irc", 39),
    ("src", 40),
    ("shadow", 42),
    ("utmp", 43),
    ("video", 44),
    ("sasl", 45),
    ("plugdev", 46),
    ("staff", 50),
    ("games", 60),
    ("users", 100),
    ("nogroup", 65534),
];

impl Text for Owner {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["uid-owner"], &["USER[-USER]"]).or_not(),
        Opt::value(&["gid-owner"], &["GROUP[-GROUP]"]).or_not(),
        Opt::flag(&["socket-exists"]).or_not(),
        Opt::flag(&["suppl-groups"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "uid-owner" => self.uid = Some(given.neg(ids(given, &USERS)?)),
            "gid-owner" => self.gid = Some(given.neg(ids(given, &GROUPS)?)),
            "socket-exists" => self.socket_exists = Some(given.neg(())),
            _ if self.gid.is_none() => {
                let says =
                    "owner: Bad value for \"--suppl-groups\" option: \"you need to use --gid-owner first\"";
                return Err(Fault::new(
                    "--suppl-groups without --gid-owner",
                    "expected --gid-owner before it",
                )
                .usage(says));
            }
            _ => self.suppl_groups = true,
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.0.is_empty() {
            let help = "expected one of --uid-owner, --gid-owner, --socket-exists";
            return Err(Fault::new("owner without an option", help)
                .usage("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.condition(0, self.socket_exists, "--socket-exists");
        out.optional(1, self.uid.as_ref(), "--uid-owner", |r| range_text(*r));
        out.optional(2, self.gid.as_ref(), "--gid-owner", |r| range_text(*r));
        out.flag(self.suppl_groups, "--suppl-groups");
    }

    fn list(&self, names: &Names, out: &mut String) {
        if let Some(n) = self.socket_exists {
            out.push_str(&format!(" {}owner socket exists", bang(n.not)));
        }
        for (word, range, known) in [("UID", self.uid, &USERS[..]), ("GID", self.gid, &GROUPS[..])] {
            let Some(Neg { not, value }) = range else { continue };
            let name = known.iter().find(|(_, id)| value == (*id, *id)).filter(|_| !names.numeric);
            let text = name.map_or_else(|| range_text(value), |(name, _)| (*name).to_owned());
            out.push_str(&format!(" {}owner {word} match {text}", bang(not)));
        }
        if self.suppl_groups {
            out.push_str(" incl. suppl. groups");
        }
    }
}

fn range_text((min, max): (u32, u32)) -> String {
    if min == max { min.to_string() } else { format!("{min}-{max}") }
}

/// A name, a number, or a range of numbers.
fn ids(given: &Given<'_>, known: &[(&str, u32)]) -> Result<(u32, u32), Fault> {
    let text = given.value;
    if let Some((_, id)) = known.iter().find(|(name, _)| *name == text) {
        return Ok((*id, *id));
    }
    let one = |t: &str| unsigned(t, 0, u64::from(u32::MAX - 1)).and_then(|n| u32::try_from(n).ok());
    let (min, max) = text.split_once(['-', ':']).unwrap_or((text, text));
    one(min).zip(one(max)).ok_or_else(|| {
        let help = "expected a number, a range such as 1000-2000, or a name such as root";
        Fault::new(format!("{} is not a value for --{}", q(text), given.name), help)
            .usage(format!("owner: Bad value for \"--{}\" option: \"{text}\"", given.name))
    })
}
