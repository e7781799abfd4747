//! `-m tcp`.

use super::udp::{list_ports, not_all, save_ports};
use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::unsigned;
use crate::names::port;
use kernel::netfilter::xtables::Neg;
use kernel::netfilter::xtables::matches::{TcpFlagsMatch, TcpMatch};
use packet::{Protocol, TcpFlags};

/// The flags in the order in which iptables prints them.
const FLAGS: [(&str, u8); 6] =
    [("FIN", 0x01), ("SYN", 0x02), ("RST", 0x04), ("PSH", 0x08), ("ACK", 0x10), ("URG", 0x20)];

/// `--syn` looks at these.
const SYN_MASK: u8 = 0x17;

impl Text for TcpMatch {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["source-port", "sport"], &["PORT[:PORT]"]).or_not(),
        Opt::value(&["destination-port", "dport"], &["PORT[:PORT]"]).or_not(),
        Opt::flag(&["syn"]).or_not(),
        Opt::value(&["tcp-flags"], &["MASK", "SET"]).or_not(),
        Opt::value(&["tcp-option"], &["NUMBER"]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "source-port" => self.sport = not_all(given, port::range(given.value, Protocol::TCP)?),
            "destination-port" => self.dport = not_all(given, port::range(given.value, Protocol::TCP)?),
            "tcp-option" => {
                let n = unsigned(given.value, 1, 255).and_then(|n| u8::try_from(n).ok());
                let n = n.ok_or_else(|| {
                    Fault::new(
                        format!("{} is not a TCP option", q(given.value)),
                        "expected a number from 1 to 255",
                    )
                    .usage(format!("Bad TCP option \"{}\"", given.value))
                })?;
                self.option = Some(given.neg(n));
            }
            _ if self.flags.is_some() => {
                return Err(Fault::new("--syn together with --tcp-flags", "expected only one of the two")
                    .usage("Only one of `--syn' or `--tcp-flags'  allowed"));
            }
            "syn" => {
                let value = TcpFlagsMatch { mask: TcpFlags(SYN_MASK), comp: TcpFlags::SYN };
                self.flags = Some(given.neg(value));
            }
            _ => {
                let value = TcpFlagsMatch {
                    mask: TcpFlags(flags(given.value)?),
                    comp: TcpFlags(flags(given.second)?),
                };
                // A test of no flag at all holds always and is dropped by iptables.
                let vain = value.mask.0 == 0 && value.comp.0 == 0;
                self.flags = (!vain || given.not).then(|| given.neg(value));
            }
        }
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        save_ports(self.sport, self.dport, out);
        out.optional(3, self.option.as_ref(), "--tcp-option", u8::to_string);
        out.optional(2, self.shown_flags(), "--tcp-flags", |f| {
            format!("{} {}", flags_text(f.mask), flags_text(f.comp))
        });
    }

    fn list(&self, names: &Names, out: &mut String) {
        out.push_str(" tcp");
        list_ports(self.sport, self.dport, Protocol::TCP, names, out);
        if let Some(n) = self.option {
            out.push_str(&format!(" option={}{}", if n.not { "!" } else { "" }, n.value));
        }
        if let Some(f) = self.shown_flags() {
            let not = if f.not { "!" } else { "" };
            let (mask, comp) = (f.value.mask, f.value.comp);
            out.push_str(&match names.numeric {
                true => format!(" flags:{not}0x{:02X}/0x{:02X}", mask.0, comp.0),
                false => format!(" flags:{not}{}/{}", flags_text(mask), flags_text(comp)),
            });
        }
    }

    fn twice(_: &str, name: &str) -> String {
        match name {
            "syn" | "tcp-flags" => "Only one of `--syn' or `--tcp-flags'  allowed".to_owned(),
            name => format!("Only one `--{name}' allowed"),
        }
    }
}

/// What iptables shows of the flags.
trait Shown {
    fn shown_flags(&self) -> Option<&Neg<TcpFlagsMatch>>;
}

impl Shown for TcpMatch {
    /// A rule that wants flags outside its mask never matches, and iptables shows nothing of it.
    fn shown_flags(&self) -> Option<&Neg<TcpFlagsMatch>> {
        self.flags.as_ref().filter(|f| f.not || f.value.mask.0 != 0)
    }
}

/// A list of flags; ALL and NONE are allowed. Empty words are skipped, as `strtok` does.
fn flags(text: &str) -> Result<u8, Fault> {
    text.split(',').filter(|w| !w.is_empty()).try_fold(0, |bits, word| {
        let known = FLAGS.iter().chain(&[("ALL", 0x3f), ("NONE", 0)]);
        let bit = known.clone().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, b)| *b);
        bit.map(|b| bits | b).ok_or_else(|| {
            Fault::new(
                format!("unknown TCP flag {}", q(word)),
                "expected a list of FIN, SYN, RST, PSH, ACK, URG, or ALL or NONE",
            )
            .usage(format!("Unknown TCP flag `{word}'"))
        })
    })
}

fn flags_text(flags: TcpFlags) -> String {
    let names: Vec<&str> = FLAGS.iter().filter(|(_, b)| flags.0 & b != 0).map(|(n, _)| *n).collect();
    if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
}
