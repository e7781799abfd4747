//! `-j TCPMSS`.

use super::number_in;
use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::targets::Tcpmss;

/// 65535 without the headers of IPv4.
const MSS_MAX: u64 = 65515;

impl Text for Tcpmss {
    const OPTIONS: &'static [Opt] =
        &[Opt::value(&["set-mss"], &["BYTES"]), Opt::flag(&["clamp-mss-to-pmtu"])];

    /// Of both the last one counts.
    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        *self = match given.name {
            "set-mss" => Tcpmss::Set((number_in("TCPMSS", given, 0, MSS_MAX)? & 0xffff) as u16),
            _ => Tcpmss::ClampToPmtu,
        };
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.0.is_empty() {
            let help = "expected --set-mss or --clamp-mss-to-pmtu";
            return Err(Fault::new("TCPMSS without a size", help)
                .usage("TCPMSS target: At least one parameter is required"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.other(match self {
            Tcpmss::Set(mss) => format!("--set-mss {mss}"),
            Tcpmss::ClampToPmtu => "--clamp-mss-to-pmtu".to_owned(),
        });
    }

    fn list(&self, _: &Names, out: &mut String) {
        match self {
            Tcpmss::Set(mss) => out.push_str(&format!(" TCPMSS set {mss}")),
            Tcpmss::ClampToPmtu => out.push_str(" TCPMSS clamp to PMTU"),
        }
    }
}
