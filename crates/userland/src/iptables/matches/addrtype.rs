//! `-m addrtype`.

use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, words_of, words_text};
use kernel::netfilter::xtables::Neg;
use kernel::netfilter::xtables::matches::{AddrType, AddrTypes, Addrtype};

impl Text for Addrtype {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["src-type"], &["TYPE[,TYPE...]"]).or_not(),
        Opt::value(&["dst-type"], &["TYPE[,TYPE...]"]).or_not(),
        Opt::flag(&["limit-iface-in"]),
        Opt::flag(&["limit-iface-out"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "src-type" => self.src = Some(given.neg(types(given.value)?)),
            "dst-type" => self.dst = Some(given.neg(types(given.value)?)),
            "limit-iface-in" => self.limit_iface_in = true,
            _ => self.limit_iface_out = true,
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one("addrtype", "limit-iface-in", "limit-iface-out")?;
        if self.src.is_none() && self.dst.is_none() {
            let help = "expected --src-type or --dst-type";
            return Err(Fault::new("addrtype without an address type", help)
                .usage("addrtype: you must specify --src-type or --dst-type"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        out.optional(0, self.src.as_ref(), "--src-type", |t| types_text(*t));
        out.optional(1, self.dst.as_ref(), "--dst-type", |t| types_text(*t));
        out.flag(self.limit_iface_in, "--limit-iface-in");
        out.flag(self.limit_iface_out, "--limit-iface-out");
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(" ADDRTYPE match");
        for (word, types) in [("src-type", self.src), ("dst-type", self.dst)] {
            if let Some(Neg { not, value }) = types {
                out.push_str(&format!(" {word} {}{}", if not { "!" } else { "" }, types_text(value)));
            }
        }
        if self.limit_iface_in {
            out.push_str(" limit-in");
        }
        if self.limit_iface_out {
            out.push_str(" limit-out");
        }
    }
}

/// Every type with its bit.
fn known() -> [(&'static str, u16); AddrType::ALL.len()] {
    let mut bit = 0u16;
    AddrType::ALL.map(|t| {
        bit = if bit == 0 { 1 } else { bit << 1 };
        (t.name(), bit)
    })
}

fn types(text: &str) -> Result<AddrTypes, Fault> {
    let bad = |word: &str| format!("addrtype: bad type \"{word}\"");
    words_of(text, &known(), "address type", bad).map(AddrTypes)
}

fn types_text(set: AddrTypes) -> String {
    words_text(set.0, &known())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_kernel() {
        for t in AddrType::ALL {
            assert!(types(t.name()).unwrap().contains(t), "{t:?}");
        }
        assert_eq!(types("LOCAL,unicast").map(types_text).as_deref(), Ok("UNICAST,LOCAL"));
    }
}
