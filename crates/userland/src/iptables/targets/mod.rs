//! The text of target extensions, one file each.

mod checksum;
pub(super) mod connmark;
pub(super) mod ct;
mod log;
mod mark;
mod nat;
mod netmap;
mod nflog;
mod reject;
mod set;
mod tcpmss;
mod ttl;

use super::family::has_target;
use super::list::Names;
use super::text::{Given, Opt, Save, Seen, Text};
use crate::diagnostic::{Fault, q};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::targets::{
    Connmark, ConnmarkOp, CtTarget, Dnat, Log, Mark, Masquerade, Netmap, Nflog, Redirect, Shift, Snat,
    Target, Tcpmss, Ttl,
};
use packet::Family;
use std::net::Ipv4Addr;

/// The targets that are modelled, besides chains.
pub(super) const KNOWN: &[&str] = &[
    "ACCEPT",
    "CHECKSUM",
    "CONNMARK",
    "CT",
    "DNAT",
    "DROP",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NETMAP",
    "NFLOG",
    "NOTRACK",
    "REDIRECT",
    "REJECT",
    "RETURN",
    "SET",
    "SNAT",
    "TCPMSS",
    "TRACE",
    "TTL",
];

/// Targets of iptables that are not modelled.
pub(super) const NOT_MODELLED: &[&str] = &[
    "AUDIT",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "NFQUEUE",
    "QUEUE",
    "RATEEST",
    "SECMARK",
    "SYNPROXY",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TPROXY",
    "ULOG",
];

/// A target of that name before its options are read.
pub(super) fn new(family: Family, name: &str) -> Option<Target> {
    if !has_target(family, name) {
        return None;
    }
    Some(match name {
        "ACCEPT" => Target::Accept,
        "DROP" => Target::Drop,
        "RETURN" => Target::Return,
        "TRACE" => Target::Trace,
        "NOTRACK" => Target::Notrack,
        "CT" => Target::Ct(CtTarget::default()),
        "CONNMARK" => {
            let op = ConnmarkOp::Save { nfmask: u32::MAX, ctmask: u32::MAX };
            Target::Connmark(Connmark { op, shift: Shift::default() })
        }
        "MARK" => Target::Mark(Mark { value: 0, mask: 0 }),
        "DNAT" => Target::Dnat(Dnat::default()),
        "SNAT" => Target::Snat(Snat::default()),
        "MASQUERADE" => Target::Masquerade(Masquerade::default()),
        "REDIRECT" => Target::Redirect(Redirect::default()),
        "REJECT" => Target::Reject(reject::new(family)),
        "LOG" => Target::Log(Log::default()),
        "SET" => Target::Set(Box::default()),
        "CHECKSUM" => Target::Checksum,
        "NETMAP" => Target::Netmap(Netmap { net: Ipv4Addr::UNSPECIFIED, mask: Ipv4Addr::UNSPECIFIED }),
        "NFLOG" => Target::Nflog(Nflog::default()),
        "TCPMSS" => Target::Tcpmss(Tcpmss::ClampToPmtu),
        "TTL" => Target::Ttl(Ttl::Set(0)),
        _ => return None,
    })
}

/// The name after `-j`; `None` for no target and for chains.
pub(super) fn name(target: &Target) -> Option<&'static str> {
    Some(match target {
        Target::None | Target::Jump(_) | Target::Goto(_) => return None,
        Target::Accept => "ACCEPT",
        Target::Drop => "DROP",
        Target::Return => "RETURN",
        Target::Mark(_) => "MARK",
        Target::Connmark(_) => "CONNMARK",
        Target::Dnat(_) => "DNAT",
        Target::Snat(_) => "SNAT",
        Target::Masquerade(_) => "MASQUERADE",
        Target::Redirect(_) => "REDIRECT",
        Target::Reject(_) => "REJECT",
        Target::Log(_) => "LOG",
        Target::Set(_) => "SET",
        Target::Trace => "TRACE",
        Target::Ct(_) => "CT",
        Target::Notrack => "NOTRACK",
        Target::Checksum => "CHECKSUM",
        Target::Netmap(_) => "NETMAP",
        Target::Nflog(_) => "NFLOG",
        Target::Tcpmss(_) => "TCPMSS",
        Target::Ttl(_) => "TTL",
    })
}

/// Runs the same expression for whichever target has options; `$none` for the others.
macro_rules! each {
    ($t:expr, $o:ident => $body:expr, $none:expr) => {
        match $t {
            Target::Ct($o) => $body,
            Target::Mark($o) => $body,
            Target::Connmark($o) => $body,
            Target::Dnat($o) => $body,
            Target::Snat($o) => $body,
            Target::Masquerade($o) => $body,
            Target::Redirect($o) => $body,
            Target::Reject($o) => $body,
            Target::Log($o) => $body,
            Target::Set($o) => $body,
            Target::Netmap($o) => $body,
            Target::Nflog($o) => $body,
            Target::Tcpmss($o) => $body,
            Target::Ttl($o) => $body,
            Target::None
            | Target::Accept
            | Target::Drop
            | Target::Return
            | Target::Jump(_)
            | Target::Goto(_)
            | Target::Trace
            | Target::Checksum
            | Target::Notrack => $none,
        }
    };
}

fn options_of<T: Text>(_: &T) -> &'static [Opt] {
    T::OPTIONS
}

fn twice_of<T: Text>(_: &T, ext: &str, name: &str) -> String {
    T::twice(ext, name)
}

/// The options of a target.
pub(super) fn options(t: &Target) -> &'static [Opt] {
    let none = if *t == Target::Checksum { checksum::OPTIONS } else { &[] };
    each!(t, o => options_of(o), none)
}

/// Takes one option.
pub(super) fn set(t: &mut Target, given: &Given<'_>) -> Result<(), Fault> {
    each!(t, o => o.set(given), Ok(()))
}

/// Checks the target after its last option.
pub(super) fn finish(t: &Target, seen: &Seen) -> Result<(), Fault> {
    let other = || if *t == Target::Checksum { checksum::finish(seen) } else { Ok(()) };
    each!(t, o => o.finish(seen), other())
}

/// What iptables says about an option given twice.
pub(super) fn twice(t: &Target, option: &str) -> String {
    let ext = name(t).unwrap_or_default();
    each!(t, o => twice_of(o, ext, option), Ttl::twice(ext, option))
}

/// Its options as `-S` prints them.
pub(super) fn save(t: &Target) -> Save {
    let mut out = Save::default();
    out.flag(*t == Target::Checksum, "--checksum-fill");
    each!(t, o => o.save(&mut out), ());
    out
}

/// Its options as `-L` prints them.
pub(super) fn list(t: &Target, names: &Names, out: &mut String) {
    match t {
        Target::Notrack => out.push_str(" NOTRACK"),
        Target::Checksum => out.push_str(" CHECKSUM fill"),
        _ => {}
    }
    each!(t, o => o.list(names, out), ());
}

/// The value of an option as a number in a range.
fn number_in(ext: &str, given: &Given<'_>, min: u64, max: u64) -> Result<u64, Fault> {
    unsigned(given.value, min, max).ok_or_else(|| {
        let name = given.name;
        let help = format!("expected a number from {min} to {max}");
        Fault::new(format!("{} is not a value for --{name}", q(given.value)), help)
            .usage(format!("{ext}: bad value for option \"--{name}\", or out of range ({min}-{max}).\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_target_can_be_made_and_bears_its_name() {
        for known in KNOWN {
            assert_eq!(new(Family::V4, known).and_then(|t| name(&t)), Some(*known));
        }
    }

    #[test]
    fn known_and_not_modelled_are_sorted_and_disjoint() {
        assert!(KNOWN.is_sorted() && NOT_MODELLED.is_sorted());
        assert!(KNOWN.iter().all(|k| !NOT_MODELLED.contains(k)));
    }
}
