//! `-m set`.

use crate::diagnostic::{Fault, q};
use crate::ipset::NAME_MAX;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use kernel::netfilter::ipset::SetDirs;
use kernel::netfilter::xtables::matches::SetMatch;

impl Text for SetMatch {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["match-set"], &["NAME", "DIRECTIONS"]).or_not(),
        Opt::flag(&["return-nomatch"]),
        Opt::flag(&["update-counters"]).or_not(),
        Opt::flag(&["update-subcounters"]).or_not(),
        Opt::value(&["packets-eq"], &["NUMBER"]).or_not(),
        Opt::value(&["packets-lt"], &["NUMBER"]),
        Opt::value(&["packets-gt"], &["NUMBER"]),
        Opt::value(&["bytes-eq"], &["NUMBER"]).or_not(),
        Opt::value(&["bytes-lt"], &["NUMBER"]),
        Opt::value(&["bytes-gt"], &["NUMBER"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        if given.name != "match-set" {
            let message = format!("--{} is not modelled", given.name);
            return Err(Fault::new(message, "expected only --match-set NAME DIRECTIONS"));
        }
        let (name, dirs) = (given.value, given.second);
        if name.len() > NAME_MAX {
            let message = format!("{} is too long for the name of a set", q(name));
            return Err(Fault::new(message, format!("expected at most {NAME_MAX} characters"))
                .usage(format!("setname `{name}' too long, max {NAME_MAX} characters.")));
        }
        *self = SetMatch {
            not: given.not,
            name: name.to_owned(),
            dirs: directions(dirs).map_err(Fault::about_second)?,
        };
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.has("match-set") {
            return Ok(());
        }
        Err(Fault::new("set without --match-set", "expected the option --match-set")
            .usage("You must specify `--match-set' with proper arguments"))
    }

    fn save(&self, out: &mut Save) {
        out.check(0, format!("{}--match-set {} {}", bang(self.not), self.name, shown(self.dirs)));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" {}match-set {} {}", bang(self.not), self.name, shown(self.dirs)));
    }

    fn twice(_: &str, name: &str) -> String {
        format!("--{name} can be specified only once")
    }
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

fn shown(dirs: SetDirs) -> String {
    let words: Vec<&str> = (0..dirs.dim).map(|n| if dirs.is_src(n) { "src" } else { "dst" }).collect();
    words.join(",")
}

/// A rule with a set that does not exist.
pub(in crate::iptables) fn missing(name: &str) -> Fault {
    Fault::new(format!("there is no set {}", q(name)), "expected a set that ipset has created")
        .usage(format!("Set {name} doesn't exist.\n"))
}
