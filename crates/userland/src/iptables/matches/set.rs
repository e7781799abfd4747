//! `-m set`.

use crate::diagnostic::{Fault, q};
use crate::ipset::NAME_MAX;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use crate::names::number;
use kernel::netfilter::ipset::{Compare, SetDirs};
use kernel::netfilter::xtables::matches::SetMatch;

/// What iptables says about a second set, by whichever of the two words.
const ONCE: &str = "--match-set can be specified only once";

impl Text for SetMatch {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["match-set"], &["NAME", "DIRECTIONS"]).or_not(),
        // The old word for it.
        Opt::value(&["set"], &["NAME", "DIRECTIONS"]).or_not(),
        // About `!` where it does not belong, set has its own words.
        Opt::flag(&["return-nomatch"]).or_not(),
        Opt::flag(&["update-counters"]).or_not(),
        Opt::flag(&["update-subcounters"]).or_not(),
        Opt::value(&["packets-eq"], &["NUMBER"]).or_not(),
        Opt::value(&["packets-lt"], &["NUMBER"]).or_not(),
        Opt::value(&["packets-gt"], &["NUMBER"]).or_not(),
        Opt::value(&["bytes-eq"], &["NUMBER"]).or_not(),
        Opt::value(&["bytes-lt"], &["NUMBER"]).or_not(),
        Opt::value(&["bytes-gt"], &["NUMBER"]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let query = &mut self.query;
        let what = match given.name {
            "return-nomatch" => "flag",
            name if name.ends_with("-lt") || name.ends_with("-gt") => "option",
            _ => "",
        };
        if given.not && !what.is_empty() {
            let name = given.name;
            return Err(Fault::new(
                format!("--{name} cannot be negated"),
                format!("expected --{name} without !"),
            )
            .usage(format!("--{name} {what} cannot be inverted")));
        }
        match given.name {
            "match-set" | "set" => {
                if !self.name.is_empty() {
                    return Err(Fault::new("two sets in one match", "expected one --match-set").usage(ONCE));
                }
                (self.name, query.dirs) = named(given)?;
                self.not = given.not;
            }
            "return-nomatch" => query.return_nomatch = true,
            "update-counters" => query.skip_counters |= given.not,
            "update-subcounters" => query.skip_subcounters |= given.not,
            "packets-eq" | "packets-lt" | "packets-gt" => compare("packets", given, &mut query.packets)?,
            _ => compare("bytes", given, &mut query.bytes)?,
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.has("match-set") || seen.has("set") {
            return Ok(());
        }
        Err(Fault::new("set without --match-set", "expected the option --match-set")
            .usage("You must specify `--match-set' with proper arguments"))
    }

    fn save(&self, out: &mut Save) {
        out.check(0, self.text("--"));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push(' ');
        out.push_str(&self.text(""));
    }

    fn twice(_: &str, name: &str) -> String {
        if matches!(name, "match-set" | "set") { ONCE.to_owned() } else { String::new() }
    }
}

/// The options as `-S` and `-L` print them, which differ in the dashes.
trait Shown {
    fn text(&self, dashes: &str) -> String;
}

impl Shown for SetMatch {
    fn text(&self, dashes: &str) -> String {
        let query = &self.query;
        let mut out =
            format!("{}{dashes}match-set {} {}", bang(self.not), self.name, directions_text(query.dirs));
        for (on, words) in [
            (query.return_nomatch, ["", "return-nomatch"]),
            (query.skip_counters, ["! ", "update-counters"]),
            (query.skip_subcounters, ["! ", "update-subcounters"]),
        ] {
            if on {
                out.push_str(&format!(" {}{dashes}{}", words[0], words[1]));
            }
        }
        for (what, compare) in [("packets", query.packets), ("bytes", query.bytes)] {
            let (not, how, n) = match compare {
                None => continue,
                Some(Compare::Eq(n)) => ("", "eq", n),
                Some(Compare::Ne(n)) => ("! ", "eq", n),
                Some(Compare::Lt(n)) => ("", "lt", n),
                Some(Compare::Gt(n)) => ("", "gt", n),
            };
            out.push_str(&format!(" {not}{dashes}{what}-{how} {n}"));
        }
        out
    }
}

/// `--packets-eq N` and its siblings, of which there may be one.
fn compare(what: &str, given: &Given<'_>, to: &mut Option<Compare>) -> Result<(), Fault> {
    if to.is_some() {
        let message = format!("--{} together with another condition on {what}", given.name);
        return Err(Fault::new(message, format!("expected one of --{what}-eq, --{what}-lt, --{what}-gt"))
            .usage(format!("only one of the --{what}-[eq|lt|gt] is allowed")));
    }
    let n = number::unsigned(given.value, 0, u64::MAX).ok_or_else(|| {
        Fault::new(format!("{} is not a number", q(given.value)), "expected a number")
            .usage(format!("Cannot parse {} as a counter value", given.value))
    })?;
    let how = given.name.rsplit('-').next().unwrap_or_default();
    *to = Some(match (how, given.not) {
        ("lt", _) => Compare::Lt(n),
        ("gt", _) => Compare::Gt(n),
        (_, true) => Compare::Ne(n),
        (_, false) => Compare::Eq(n),
    });
    Ok(())
}

/// `NAME DIRECTIONS`
pub(in crate::iptables) fn named(given: &Given<'_>) -> Result<(String, SetDirs), Fault> {
    let name = given.value;
    if name.len() > NAME_MAX {
        let message = format!("{} is too long for the name of a set", q(name));
        return Err(Fault::new(message, format!("expected at most {NAME_MAX} characters"))
            .usage(format!("setname `{name}' too long, max {NAME_MAX} characters.")));
    }
    Ok((name.to_owned(), directions(given.second).map_err(Fault::about_second)?))
}

/// `src,dst`: what follows the three letters is not looked at.
fn directions(text: &str) -> Result<SetDirs, Fault> {
    let mut dirs = SetDirs::default();
    for word in text.split(',') {
        if dirs.dim >= SetDirs::MAX {
            let help = format!("expected at most {}", SetDirs::MAX);
            return Err(Fault::new(format!("too many directions in {}", q(text)), help)
                .usage(format!("Can't be more src/dst options than {}.", SetDirs::MAX)));
        }
        if word.starts_with("src") {
            dirs.src |= 1 << dirs.dim;
        } else if !word.starts_with("dst") {
            return Err(Fault::new(
                format!("{} is not a list of directions", q(text)),
                "expected src or dst for each part of the set's members, such as dst,dst,src",
            )
            .usage("You must spefify (the comma separated list of) 'src' or 'dst'."));
        }
        dirs.dim += 1;
    }
    Ok(dirs)
}

/// Directions as they are typed.
pub(in crate::iptables) fn directions_text(dirs: SetDirs) -> String {
    let words: Vec<&str> = (0..dirs.dim).map(|n| if dirs.is_src(n) { "src" } else { "dst" }).collect();
    words.join(",")
}

/// A rule with a set that does not exist.
pub(in crate::iptables) fn missing(name: &str) -> Fault {
    Fault::new(format!("there is no set {}", q(name)), "expected a set that ipset has created")
        .usage(format!("Set {name} doesn't exist.\n"))
}
