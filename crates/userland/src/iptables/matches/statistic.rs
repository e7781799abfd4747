//! `-m statistic`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use crate::names::number::{probability, probability_text, u32_of};
use kernel::netfilter::xtables::matches::{Statistic, StatisticMode};

const MODES: [(&str, StatisticMode); 2] =
    [("random", StatisticMode::Random(0)), ("nth", StatisticMode::Nth { every: 0, packet: 0 })];

/// What iptables says if an option of the other mode is given.
const NEED_PROBABILITY: &str = "--probability must be specified when using random mode";
const NEED_EVERY: &str = "--every and --packet must be specified when using nth mode";

impl Text for Statistic {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["mode"], &["random or nth"]),
        Opt::value(&["probability"], &["PROBABILITY from 0 to 1"]).or_not(),
        Opt::value(&["every"], &["NUMBER"]).or_not(),
        Opt::value(&["packet"], &["NUMBER"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let v = given.value;
        let range = |help: &str, bounds: &str| {
            Fault::new(format!("{} is not a value for --{}", q(v), given.name), help).usage(format!(
                "statistic: bad value for option \"--{}\", or out of range ({bounds}).\n",
                given.name
            ))
        };
        // The mode may also stand behind its options.
        let nth = matches!(self.mode, StatisticMode::Nth { .. });
        if given.name == "mode" {
            let new = MODES.iter().find(|(name, _)| *name == v).map(|(_, mode)| *mode).ok_or_else(|| {
                Fault::new(format!("unknown mode {}", q(v)), "expected random or nth")
                    .usage(format!("Bad mode \"{v}\""))
            })?;
            if given.seen.0.is_empty() {
                self.mode = new;
            } else if nth != matches!(new, StatisticMode::Nth { .. }) {
                return Err(mixed(given.seen.0.first().copied().unwrap_or_default(), !nth));
            }
            return Ok(());
        }
        let for_nth = given.name != "probability";
        if for_nth != nth {
            if !given.seen.0.is_empty() {
                return Err(mixed(given.name, nth));
            }
            self.mode = StatisticMode::Nth { every: 0, packet: 0 };
        }
        let every_help = "expected a number from 1 to 4294967295";
        match (given.name, &mut self.mode) {
            ("every", StatisticMode::Nth { every, .. }) => {
                *every = u32_of(v).filter(|n| *n > 0).ok_or_else(|| range(every_help, "1-4294967295"))?;
                self.not = given.not;
            }
            (_, StatisticMode::Nth { packet, .. }) => {
                *packet = u32_of(v).ok_or_else(|| range("expected a number from 0", "0-4294967295"))?;
            }
            (_, StatisticMode::Random(p)) => {
                let help = "expected a decimal number from 0 to 1 such as 0.5";
                *p = probability(v).ok_or_else(|| range(help, "0-1"))?;
                self.not = given.not;
            }
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        // iptables looks at the options that need each other before it looks at --mode.
        seen.both("statistic", "every", "packet")?;
        seen.both("statistic", "packet", "every")?;
        if seen.has("probability") {
            seen.need("statistic", "mode")?;
        }
        match self.mode {
            StatisticMode::Nth { .. } if !seen.has("mode") => {
                Err(Fault::new("--every without a mode", "expected --mode nth").usage(NEED_PROBABILITY))
            }
            StatisticMode::Random(_) if !seen.has("probability") => {
                Err(Fault::new("random mode without --probability", "expected --mode random --probability P")
                    .usage(NEED_PROBABILITY))
            }
            StatisticMode::Nth { .. } if !seen.has("every") => {
                Err(Fault::new("nth mode without --every", "expected --mode nth --every N --packet P")
                    .usage(NEED_EVERY))
            }
            StatisticMode::Nth { every, packet } if packet >= every => Err(Fault::new(
                format!("--packet {packet} is never reached with --every {every}"),
                format!("expected --packet from 0 to {}", every.saturating_sub(1)),
            )
            .usage("the --packet p must be 0 <= p <= n-1")),
            _ => Ok(()),
        }
    }

    fn save(&self, out: &mut Save) {
        let not = bang(self.not);
        out.check(
            0,
            match self.mode {
                StatisticMode::Random(p) => {
                    format!("--mode random {not}--probability {}", probability_text(p))
                }
                StatisticMode::Nth { every, packet } => {
                    format!("--mode nth {not}--every {every} --packet {packet}")
                }
            },
        );
    }

    fn list(&self, _: &Names, out: &mut String) {
        let not = bang(self.not);
        out.push_str(&match self.mode {
            StatisticMode::Random(p) => {
                format!(" statistic mode random {not}probability {}", probability_text(p))
            }
            StatisticMode::Nth { every, packet: 0 } => format!(" statistic mode nth {not}every {every}"),
            StatisticMode::Nth { every, packet } => {
                format!(" statistic mode nth {not}every {every} packet {packet}")
            }
        });
    }
}

/// An option that belongs to the other mode than the one given.
fn mixed(option: &str, nth: bool) -> Fault {
    let (mode, other, says) =
        if nth { ("nth", "random", NEED_EVERY) } else { ("random", "nth", NEED_PROBABILITY) };
    Fault::new(format!("--{option} does not belong to --mode {mode}"), format!("expected --mode {other}"))
        .usage(says)
}
