//! `-m ipvs`.

use super::conntrack::DIRECTIONS;
use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang, one_of};
use crate::names::{addr, port, protocol};
use kernel::netfilter::xtables::Neg;
use kernel::netfilter::xtables::matches::{IpvsMatch, IpvsMethod};
use packet::Family;

const METHODS: [(&str, IpvsMethod); 3] =
    [("GATE", IpvsMethod::Gate), ("IPIP", IpvsMethod::Ipip), ("MASQ", IpvsMethod::Masq)];

impl Text for IpvsMatch {
    const OPTIONS: &'static [Opt] = &[
        Opt::flag(&["ipvs"]).or_not(),
        Opt::value(&["vproto"], &["PROTOCOL"]).or_not(),
        Opt::value(&["vaddr"], &["ADDRESS[/MASK]"]).or_not(),
        Opt::value(&["vport"], &["PORT"]).or_not(),
        Opt::value(&["vdir"], &["ORIGINAL or REPLY"]),
        Opt::value(&["vmethod"], &["GATE, IPIP or MASQ"]).or_not(),
        Opt::value(&["vportctl"], &["PORT"]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let v = given.value;
        let bad = |f: Fault| f.usage(format!("ipvs: Bad value for \"--{}\" option: \"{v}\"", given.name));
        match given.name {
            "ipvs" => self.ipvs = Some(given.neg(())),
            "vproto" => {
                let proto = protocol(v).ok_or_else(|| {
                    let help = "expected a name such as tcp or a number from 0 to 255";
                    Fault::new(format!("unknown protocol {}", q(v)), help)
                        .usage(format!("unknown protocol \"{v}\" specified"))
                })?;
                self.proto = Some(given.neg(proto));
            }
            "vaddr" => self.addr = Some(given.neg(addr::resolved_network_of(given.family, v)?)),
            "vport" => self.port = Some(given.neg(port::resolved(v)?)),
            "vportctl" => self.portctl = Some(given.neg(port::resolved(v)?)),
            "vdir" => self.dir = Some(one_of(v, &DIRECTIONS, "direction").map_err(bad)?),
            _ => self.method = Some(given.neg(one_of(v, &METHODS, "method").map_err(bad)?)),
        }
        // Any other option implies it.
        if !self.is_plain() && self.ipvs == Some(Neg::plain(())) {
            self.ipvs = None;
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        if seen.0.is_empty() {
            let help = "expected at least one option such as --ipvs or --vaddr ADDRESS";
            return Err(
                Fault::new("ipvs without an option", help).usage("IPVS: At least one option is required")
            );
        }
        if self.ipvs.is_some() && !self.is_plain() {
            return Err(Fault::new("! --ipvs together with another option", "expected it alone")
                .usage("! --ipvs cannot be together with other options"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        self.write(true, &mut |order, not, name, value| {
            out.check(
                order,
                [bang(not), "--", name, if value.is_empty() { "" } else { " " }, value].concat(),
            );
        });
    }

    fn list(&self, names: &Names, out: &mut String) {
        self.write(names.numeric, &mut |_, not, name, value| {
            out.push(' ');
            out.push_str(&[bang(not), name, if value.is_empty() { "" } else { " " }, value].concat());
        });
    }
}

/// Both ways of printing have the same words in the same order.
trait Words {
    /// Hands over each option: its place in the kernel's order, `!`, name, value.
    fn write(&self, numeric: bool, word: &mut dyn FnMut(u8, bool, &str, &str));
}

impl Words for IpvsMatch {
    fn write(&self, numeric: bool, word: &mut dyn FnMut(u8, bool, &str, &str)) {
        if let Some(n) = self.ipvs {
            word(0, n.not, "ipvs", "");
        }
        if let Some(n) = self.proto {
            word(0, n.not, "vproto", &n.value.0.to_string());
        }
        if let Some(n) = &self.addr {
            let host = Names { family: Family::V4, numeric, proto: None }.host(n.value.addr)
                + &addr::mask_suffix(&n.value);
            let any = n.value.mask.is_unspecified() && !numeric;
            word(5, n.not, "vaddr", if any { "anywhere" } else { &host });
        }
        if let Some(n) = self.port {
            word(1, n.not, "vport", &n.value.to_string());
        }
        if let Some(dir) = self.dir {
            word(3, false, "vdir", DIRECTIONS.iter().find(|(_, d)| *d == dir).map_or("", |(name, _)| name));
        }
        if let Some(n) = self.method {
            let name = METHODS.iter().find(|(_, m)| *m == n.value).map_or("", |(name, _)| name);
            word(4, n.not, "vmethod", name);
        }
        if let Some(n) = self.portctl {
            word(2, n.not, "vportctl", &n.value.to_string());
        }
    }
}
