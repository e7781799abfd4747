//! `-j CT`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::conntrack::Helper;
use kernel::netfilter::xtables::targets::CtTarget;

/// What else iptables takes here.
const NOT_MODELLED: &str = "is not modelled";

impl Text for CtTarget {
    const OPTIONS: &'static [Opt] = &[
        Opt::flag(&["notrack"]),
        Opt::value(&["helper"], &["NAME"]),
        Opt::value(&["ctevents"], &["EVENT[,EVENT...]"]),
        Opt::value(&["expevents"], &["EVENT[,EVENT...]"]),
        Opt::value(&["timeout"], &["NAME"]),
        Opt::value(&["zone"], &["NUMBER"]),
        Opt::value(&["zone-orig"], &["NUMBER"]),
        Opt::value(&["zone-reply"], &["NUMBER"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "notrack" => self.notrack = true,
            "helper" => {
                let helper = Helper::from_name(given.value).ok_or_else(|| {
                    let known: Vec<&str> = Helper::ALL.iter().map(|h| h.name()).collect();
                    let help = format!("expected {}", known.join(" or "));
                    Fault::new(format!("no helper {} is known", q(given.value)), help)
                })?;
                self.helper = Some(helper);
            }
            other => {
                let help = "expected --helper or --notrack";
                return Err(Fault::new(format!("--{other} of CT {NOT_MODELLED}"), help));
            }
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one("CT", "notrack", "helper")
    }

    fn save(&self, out: &mut Save) {
        out.flag(self.notrack, "--notrack");
        if let Some(helper) = self.helper {
            out.other(format!("--helper {}", helper.name()));
        }
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(" CT");
        if self.notrack {
            out.push_str(" notrack");
        }
        if let Some(helper) = self.helper {
            out.push_str(" helper ");
            out.push_str(helper.name());
        }
    }
}
