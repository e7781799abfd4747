//! `-m recent`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang, cut};
use crate::names::addr;
use crate::names::number::u32_of;
use kernel::netfilter::xtables::matches::{Recent, RecentOp};
use packet::Family;

const OPS: [(&str, RecentOp); 4] = [
    ("set", RecentOp::Set),
    ("rcheck", RecentOp::Rcheck),
    ("update", RecentOp::Update),
    ("remove", RecentOp::Remove),
];

/// The longest name of a list.
const NAME_MAX: usize = 199;

/// Before any option is read.
pub(super) fn new(family: Family) -> Recent {
    Recent {
        op: RecentOp::Set,
        not: false,
        seconds: 0,
        reap: false,
        hitcount: 0,
        rttl: false,
        name: "DEFAULT".to_owned(),
        mask: addr::host_mask(family),
        dest: false,
    }
}

fn op_name(op: RecentOp) -> &'static str {
    OPS.iter().find(|(_, o)| *o == op).map_or("", |(name, _)| name)
}

impl Text for Recent {
    const OPTIONS: &'static [Opt] = &[
        Opt::flag(&["set"]).or_not(),
        Opt::flag(&["rcheck"]).or_not(),
        Opt::flag(&["update"]).or_not(),
        Opt::flag(&["remove"]).or_not(),
        Opt::value(&["seconds"], &["SECONDS"]),
        Opt::flag(&["reap"]),
        Opt::value(&["hitcount"], &["NUMBER"]),
        Opt::flag(&["rttl"]),
        Opt::value(&["name"], &["NAME"]),
        Opt::value(&["mask"], &["MASK"]),
        Opt::flag(&["rsource"]),
        Opt::flag(&["rdest"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        if let Some((_, op)) = OPS.iter().find(|(name, _)| *name == given.name) {
            (self.op, self.not) = (*op, given.not);
            return Ok(());
        }
        let v = given.value;
        let number = |min: u32| {
            u32_of(v).filter(|n| *n >= min).ok_or_else(|| {
                let help = format!("expected a number from {min} to 4294967295");
                let bounds = if min == 0 { "." } else { ", or out of range (1-4294967295)." };
                Fault::new(format!("{} is not a value for --{}", q(v), given.name), help)
                    .usage(format!("recent: bad value for option \"--{}\"{bounds}\n", given.name))
            })
        };
        match given.name {
            "seconds" => self.seconds = number(1)?,
            "hitcount" => self.hitcount = number(0)?,
            "reap" => self.reap = true,
            "rttl" => self.rttl = true,
            "rsource" => self.dest = false,
            "rdest" => self.dest = true,
            "mask" => self.mask = addr::resolved_of(given.family, v)?,
            _ => self.name = cut(v, NAME_MAX),
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if !OPS.iter().any(|(name, _)| seen.has(name)) {
            return Err(Fault::new(
                "recent without an operation",
                "expected --set, --rcheck, --update or --remove",
            )
            .usage("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'"));
        }
        seen.only_one_of("recent", &["set", "rcheck", "update", "remove"])?;
        seen.only_one("recent", "rttl", "set")?;
        seen.only_one("recent", "rttl", "remove")?;
        seen.both("recent", "reap", "seconds")
    }

    fn save(&self, out: &mut Save) {
        let mut text = format!("{}--{}", bang(self.not), op_name(self.op));
        text.push_str(&self.limits());
        text.push_str(&format!(" --name {} --mask {} --{}", self.name, self.mask, self.side()));
        out.check(0, text);
    }

    fn list(&self, _: &Names, out: &mut String) {
        let op = match self.op {
            RecentOp::Set => "SET",
            RecentOp::Rcheck => "CHECK",
            RecentOp::Update => "UPDATE",
            RecentOp::Remove => "REMOVE",
        };
        let limits = self.limits().replace(" --seconds ", " seconds: ").replace(" --reap", " reap");
        let limits = limits.replace(" --hitcount ", " hit_count: ").replace(" --rttl", " TTL-Match");
        let side = if self.dest { "dest" } else { "source" };
        out.push_str(&format!(
            "{} recent: {op}{limits} name: {} side: {side} mask: {}",
            if self.not { " !" } else { "" },
            self.name,
            self.mask
        ));
    }
}

/// The parts that both ways of printing have in common.
trait Parts {
    fn limits(&self) -> String;
    fn side(&self) -> &'static str;
}

impl Parts for Recent {
    fn limits(&self) -> String {
        let mut out = String::new();
        if self.seconds > 0 {
            out.push_str(&format!(" --seconds {}", self.seconds.cast_signed()));
        }
        if self.reap {
            out.push_str(" --reap");
        }
        if self.hitcount > 0 {
            out.push_str(&format!(" --hitcount {}", self.hitcount.cast_signed()));
        }
        if self.rttl {
            out.push_str(" --rttl");
        }
        out
    }

    fn side(&self) -> &'static str {
        if self.dest { "rdest" } else { "rsource" }
    }
}
