//! The text of target extensions, one file each.

mod connmark;
mod ct;
mod log;
mod mark;
mod nat;
mod reject;
mod set;

use super::list::Names;
use super::text::{Given, Opt, Save, Seen, Text};
use crate::diagnostic::Fault;
use kernel::netfilter::xtables::targets::{
    Connmark, CtTarget, Dnat, Log, Mark, Masquerade, Redirect, Reject, SetTarget, Snat, Target,
};

/// The targets that are modelled, besides chains.
pub(super) const KNOWN: &[&str] = &[
    "ACCEPT",
    "CONNMARK",
    "CT",
    "DNAT",
    "DROP",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NOTRACK",
    "REDIRECT",
    "REJECT",
    "RETURN",
    "SET",
    "SNAT",
    "TRACE",
];

/// Targets of iptables that are not modelled.
pub(super) const NOT_MODELLED: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "NETMAP",
    "NFLOG",
    "NFQUEUE",
    "QUEUE",
    "RATEEST",
    "SECMARK",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TPROXY",
    "TTL",
    "ULOG",
];

/// A target of that name before its options are read.
pub(super) fn new(name: &str) -> Option<Target> {
    Some(match name {
        "ACCEPT" => Target::Accept,
        "DROP" => Target::Drop,
        "RETURN" => Target::Return,
        "TRACE" => Target::Trace,
        "NOTRACK" => Target::Notrack,
        "CT" => Target::Ct(CtTarget::default()),
        "CONNMARK" => Target::Connmark(Connmark::Save { nfmask: u32::MAX, ctmask: u32::MAX }),
        "MARK" => Target::Mark(Mark { value: 0, mask: 0 }),
        "DNAT" => Target::Dnat(Dnat { addr: None, ports: None, random: false, persistent: false }),
        "SNAT" => Target::Snat(Snat {
            addr: None,
            ports: None,
            random: false,
            random_fully: false,
            persistent: false,
        }),
        "MASQUERADE" => Target::Masquerade(Masquerade::default()),
        "REDIRECT" => Target::Redirect(Redirect::default()),
        "REJECT" => Target::Reject(Reject::default()),
        "LOG" => Target::Log(Log::default()),
        "SET" => Target::Set(SetTarget::default()),
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
            Target::None
            | Target::Accept
            | Target::Drop
            | Target::Return
            | Target::Jump(_)
            | Target::Goto(_)
            | Target::Trace
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
    each!(t, o => options_of(o), &[])
}

/// Takes one option.
pub(super) fn set(t: &mut Target, given: &Given<'_>) -> Result<(), Fault> {
    each!(t, o => o.set(given), Ok(()))
}

/// Checks the target after its last option.
pub(super) fn finish(t: &Target, seen: &Seen) -> Result<(), Fault> {
    each!(t, o => o.finish(seen), Ok(()))
}

/// What iptables says about an option given twice.
pub(super) fn twice(t: &Target, option: &str) -> String {
    each!(t, o => twice_of(o, name(t).unwrap_or_default(), option), String::new())
}

/// Its options as `-S` prints them.
pub(super) fn save(t: &Target) -> Save {
    let mut out = Save::default();
    each!(t, o => o.save(&mut out), ());
    out
}

/// Its options as `-L` prints them.
pub(super) fn list(t: &Target, names: &Names, out: &mut String) {
    if *t == Target::Notrack {
        out.push_str(" NOTRACK");
    }
    each!(t, o => o.list(names, out), ());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_target_can_be_made_and_bears_its_name() {
        for known in KNOWN {
            assert_eq!(new(known).and_then(|t| name(&t)), Some(*known));
        }
    }

    #[test]
    fn known_and_not_modelled_are_sorted_and_disjoint() {
        assert!(KNOWN.is_sorted() && NOT_MODELLED.is_sorted());
        assert!(KNOWN.iter().all(|k| !NOT_MODELLED.contains(k)));
    }
}
