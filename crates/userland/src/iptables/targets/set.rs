//! `-j SET`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::matches::set::{directions_text, named};
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::u32_of;
use kernel::netfilter::xtables::targets::SetTarget;

const SETS: [&str; 3] = ["add-set", "del-set", "map-set"];

impl Text for SetTarget {
    // iptables takes `!` and does not look at it.
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["add-set"], &["NAME", "DIRECTIONS"]).or_not(),
        Opt::value(&["del-set"], &["NAME", "DIRECTIONS"]).or_not(),
        Opt::value(&["map-set"], &["NAME", "DIRECTIONS"]).or_not(),
        Opt::flag(&["exist"]),
        Opt::value(&["timeout"], &["SECONDS"]),
        Opt::flag(&["map-mark"]),
        Opt::flag(&["map-prio"]),
        Opt::flag(&["map-queue"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "add-set" => self.add = Some(named(given)?),
            "del-set" => self.del = Some(named(given)?),
            "map-set" => self.map = Some(named(given)?),
            "exist" => self.exist = true,
            "map-mark" => self.map_mark = true,
            "map-prio" => self.map_prio = true,
            "map-queue" => self.map_queue = true,
            _ => {
                let seconds = u32_of(given.value).filter(|n| *n < u32::MAX).ok_or_else(|| {
                    Fault::new(format!("{} is not a time", q(given.value)), "expected seconds")
                        .usage("Invalid value for option --timeout or out of range 0-4294967294")
                })?;
                self.timeout = Some(seconds);
            }
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        let refuse = |says: String| {
            Err(Fault::new("SET without what it needs", "expected --add-set, --del-set or --map-set")
                .usage(says))
        };
        if !SETS.iter().any(|s| seen.has(s)) {
            return refuse("You must specify either `--add-set' or `--del-set' or `--map-set'".to_owned());
        }
        if self.add.is_none() && seen.has("exist") {
            return refuse("Flag `--exist' can be used with `--add-set' only".to_owned());
        }
        if self.add.is_none() && seen.has("timeout") {
            return refuse("Option `--timeout' can be used with `--add-set' only".to_owned());
        }
        if self.map.is_none() {
            if let Some(map) = ["map-mark", "map-prio", "map-queue"].iter().find(|m| seen.has(m)) {
                return refuse(format!("Flag `--{map}' can be used with `--map-set' only"));
            }
        } else if !(self.map_mark || self.map_prio || self.map_queue) {
            return refuse("You must specify flags `--map-mark' or '--map-prio` or `--map-queue'".to_owned());
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.other(shown(self, "--"));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push(' ');
        out.push_str(&shown(self, ""));
    }

    fn twice(_: &str, name: &str) -> String {
        if SETS.contains(&name) { format!("--{name} can be specified only once") } else { String::new() }
    }
}

/// The options as `-S` and `-L` print them, which differ in the dashes.
fn shown(t: &SetTarget, dashes: &str) -> String {
    let mut words = Vec::new();
    let mut named = |word: &str, set: &Option<(String, _)>| {
        if let Some((name, dirs)) = set {
            words.push(format!("{dashes}{word} {name} {}", directions_text(*dirs)));
        }
    };
    named("add-set", &t.add);
    if t.exist {
        words.push(format!("{dashes}exist"));
    }
    words.extend(t.timeout.map(|n| format!("{dashes}timeout {n}")));
    let mut named = |word: &str, set: &Option<(String, _)>| {
        if let Some((name, dirs)) = set {
            words.push(format!("{dashes}{word} {name} {}", directions_text(*dirs)));
        }
    };
    named("del-set", &t.del);
    named("map-set", &t.map);
    for (on, word) in [(t.map_mark, "map-mark"), (t.map_prio, "map-prio"), (t.map_queue, "map-queue")] {
        if on {
            words.push(format!("{dashes}{word}"));
        }
    }
    words.join(" ")
}
