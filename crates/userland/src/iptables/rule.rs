//! A rule as it is written: `-s`, `-d`, `-p`, ..., matches with their options, a target with its options.
//!
//! Extensions are read as they come; what depends on the table (does that chain exist?) waits for [`Spec::rules`].

use super::draft::{CHAIN_MAX, Draft};
use super::family::{has_match, has_target, match_not_modelled, target_not_modelled};
use super::hints::no_such_target;
use super::parse::Objects;
use super::text::{Given, Opt, Seen};
use super::{matches, targets};
use crate::args::{Args, Source, Token};
use crate::diagnostic::{Diagnostic, Fault, ToolError, q};
use crate::names::{addr, protocol, protocol_name};
use kernel::netfilter::xtables::matches::Match;
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{Counters, IfaceMatch, IpMatch, Neg, Rule, TableId};
use packet::{Family, Protocol};

/// The kernel's names of devices have room for this many bytes.
const IFACE_MAX: usize = 15;

/// A rule with lists of addresses becomes at most this many rules.
const EXPANSION_MAX: usize = 4096;

/// A rule has at most this many matches; [`CheckOf`](kernel::netfilter::xtables::CheckOf) counts them in a byte.
const MATCHES_MAX: usize = 100;

/// An extension being read.
#[derive(Clone, Debug)]
pub(super) struct Ext<'a, T> {
    value: T,
    /// Where its name stands.
    at: Token<'a>,
    seen: Seen,
}

impl<'a, T> Ext<'a, T> {
    fn new(value: T, at: &Token<'a>) -> Ext<'a, T> {
        Ext { value, at: at.clone(), seen: Seen::default() }
    }
}

/// What stands behind `-j` or `-g`.
#[derive(Clone, Debug)]
enum Jump<'a> {
    Target(Ext<'a, Target>),
    Chain { at: Token<'a>, goto: bool },
}

/// Which extension an option belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Target,
    /// The match at that place.
    Match(usize),
}

/// A rule being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Spec<'a> {
    family: Family,
    src: Option<(Token<'a>, bool)>,
    dst: Option<(Token<'a>, bool)>,
    in_iface: Option<(Token<'a>, Neg<IfaceMatch>)>,
    out_iface: Option<(Token<'a>, Neg<IfaceMatch>)>,
    proto: Option<Neg<Protocol>>,
    /// The match of the protocol was brought by one of its options.
    proto_match: bool,
    fragment: Option<Neg<()>>,
    matches: Vec<Ext<'a, Match>>,
    jump: Option<Jump<'a>>,
    /// `-c`
    pub counters: Option<Counters>,
    /// The networks of `src` and `dst`, once they have been read.
    nets: Option<(Vec<Net>, Vec<Net>)>,
}

/// The value of `-s` or `-d`; every address is none.
type Net = Option<Neg<IpMatch>>;

/// What a rule may refer to.
pub(super) struct Scope<'d> {
    /// The table.
    pub draft: &'d Draft,
    /// The line below that declares a chain of that name.
    pub declared_later: &'d dyn Fn(&str) -> Option<u32>,
    /// What else exists.
    pub objects: Objects<'d>,
}

impl<'a> Spec<'a> {
    /// Nothing yet.
    pub fn new(family: Family) -> Spec<'a> {
        Spec { family, ..Spec::default() }
    }

    /// `-s`, `-d`
    pub fn address(&mut self, dst: bool, value: Token<'a>, not: bool) {
        *(if dst { &mut self.dst } else { &mut self.src }) = Some((value, not));
    }

    /// `-i`, `-o`
    pub fn iface(&mut self, out: bool, value: Token<'a>, not: bool) -> Result<(), Fault> {
        let name = iface(&value.text)?;
        let place = if out { &mut self.out_iface } else { &mut self.in_iface };
        *place = Some((value, Neg { not, value: name }));
        Ok(())
    }

    /// `-p`
    pub fn protocol(&mut self, value: &Token<'a>, not: bool) -> Result<(), Fault> {
        let text = value.text.as_ref();
        let proto = protocol(text).ok_or_else(|| {
            let help = "expected a name such as tcp, udp, icmp, or a number from 0 to 255";
            Fault::new(format!("unknown protocol {}", q(text)), help)
                .usage(format!("unknown protocol \"{}\" specified", text.to_ascii_lowercase()))
        })?;
        if proto.0 == 0 && not {
            return Err(Fault::new(
                "the rule would never match: all is every protocol",
                "expected a protocol",
            )
            .usage("rule would never match protocol"));
        }
        self.proto = (proto.0 != 0).then_some(Neg { not, value: proto });
        Ok(())
    }

    /// `-f`
    pub fn fragment(&mut self, not: bool) -> Result<(), Fault> {
        if self.family == Family::V6 {
            return Err(Fault::new("-f: IPv6 has fragments elsewhere", "expected a rule without -f")
                .usage("`-f' is not supported in IPv6, use -m frag instead"));
        }
        self.fragment = Some(Neg { not, value: () });
        Ok(())
    }

    /// `-m`
    pub fn load_match(&mut self, name: &Token<'a>) -> Result<(), Fault> {
        let text = match name.text.as_ref() {
            "icmpv6" | "ipv6-icmp" => "icmp6",
            text => text,
        };
        let family = self.family;
        let known = || {
            let names: Vec<&str> = matches::KNOWN.iter().copied().filter(|n| has_match(family, n)).collect();
            format!("expected one of {}", names.join(", "))
        };
        let absent = match_not_modelled(family, text, matches::NOT_MODELLED);
        let new = matches::new(family, text).ok_or_else(|| match absent {
            true => Fault::new(format!("match {} is not modelled", q(text)), known()),
            false => Fault::new(format!("unknown match {}", q(text)), known())
                .usage(format!("Couldn't load match `{text}':No such file or directory\n")),
        })?;
        if self.matches.len() >= MATCHES_MAX {
            return Err(Fault::new("too many matches in a rule", format!("expected at most {MATCHES_MAX}")));
        }
        if self.matches.is_empty() {
            // They are large, and most rules have no more.
            self.matches.reserve_exact(2);
        }
        self.matches.push(Ext::new(new, name));
        Ok(())
    }

    /// `-j`, `-g`
    pub fn jump(&mut self, name: Token<'a>, goto: bool) -> Result<(), Fault> {
        let text = name.text.as_ref();
        if text.len() > CHAIN_MAX {
            let message = format!("{} is too long for the name of a chain or target", q(text));
            return Err(Fault::new(message, format!("expected at most {CHAIN_MAX} characters"))
                .usage(format!("Invalid target name `{text}' ({CHAIN_MAX} chars max)")));
        }
        if text.is_empty() {
            return Err(Fault::new("an empty target name", "expected a target or a chain")
                .usage("Invalid target name (too short)"));
        }
        if !goto && target_not_modelled(self.family, text, targets::NOT_MODELLED) {
            let names: Vec<&str> =
                targets::KNOWN.iter().copied().filter(|n| has_target(self.family, n)).collect();
            let help = format!("expected one of {}, or a chain", names.join(", "));
            return Err(Fault::new(format!("target {text} is not modelled"), help));
        }
        let target = targets::new(self.family, text).filter(|_| !goto);
        self.jump = Some(match target {
            Some(t) => Jump::Target(Ext::new(t, &name)),
            None => Jump::Chain { at: name, goto },
        });
        Ok(())
    }

    /// The option of that name, of the newest extension that has it.
    pub fn option(&self, name: &str) -> Option<(Owner, &'static Opt)> {
        let of = |options: &'static [Opt]| options.iter().find(|o| o.names.contains(&name));
        if let Some(Jump::Target(t)) = &self.jump
            && let Some(opt) = of(targets::options(&t.value))
        {
            return Some((Owner::Target, opt));
        }
        let mut newest = self.matches.iter().enumerate().rev();
        newest.find_map(|(i, m)| Some((Owner::Match(i), of(matches::options(&m.value))?)))
    }

    /// The options that can stand here, the newest extension first.
    pub fn options(&self) -> Vec<(Owner, &'static Opt)> {
        let mut out = Vec::new();
        if let Some(Jump::Target(t)) = &self.jump {
            out.extend(targets::options(&t.value).iter().map(|o| (Owner::Target, o)));
        }
        for (i, m) in self.matches.iter().enumerate().rev() {
            out.extend(matches::options(&m.value).iter().map(|o| (Owner::Match(i), o)));
        }
        out
    }

    /// Brings the match of the protocol, as iptables does when it meets an option that it does not know. False if
    /// there is none, or it has been brought already.
    pub fn load_protocol_match(&mut self, at: &Token<'a>) -> Result<bool, Fault> {
        let Some(name) = self.proto.filter(|_| !self.proto_match).and_then(|p| protocol_name(p.value)) else {
            return Ok(false);
        };
        // Its match has another name.
        let name = if name == "ipv6-icmp" { "icmp6" } else { name };
        let Some(new) = matches::new(self.family, name) else {
            return match match_not_modelled(self.family, name, matches::NOT_MODELLED) {
                true => Err(Fault::new(
                    format!("options of protocol {name} are not modelled"),
                    "expected -p tcp, -p udp or -p icmp for options of a protocol",
                )),
                false => Ok(false),
            };
        };
        self.proto_match = true;
        self.matches.push(Ext::new(new, at));
        Ok(true)
    }

    /// Takes an option of an extension. `shown` is how it was written.
    pub fn set(
        &mut self,
        owner: Owner,
        opt: &'static Opt,
        not: bool,
        shown: &dyn Fn() -> String,
        values: (&str, &str),
    ) -> Result<(), Fault> {
        let name = opt.name();
        let (ext, seen) = match owner {
            Owner::Target => match &self.jump {
                Some(Jump::Target(t)) => (targets::name(&t.value).unwrap_or_default(), &t.seen),
                _ => return Ok(()),
            },
            Owner::Match(i) => match self.matches.get(i) {
                Some(m) => (m.value.name(), &m.seen),
                None => return Ok(()),
            },
        };
        if not && !opt.not {
            let shown = shown();
            return Err(Fault::new(
                format!("{shown} cannot be negated"),
                format!("expected {shown} without !"),
            )
            .usage(format!("{ext}: option \"--{name}\" cannot be inverted.\n")));
        }
        if seen.has(name) {
            let twice = match (owner, &self.jump) {
                (Owner::Target, Some(Jump::Target(t))) => targets::twice(&t.value, name),
                (Owner::Match(i), _) => {
                    self.matches.get(i).map_or(String::new(), |m| matches::twice(&m.value, name))
                }
                _ => String::new(),
            };
            // Who does not mind says nothing.
            if !twice.is_empty() {
                let message = format!("{} is given twice", shown());
                return Err(Fault::new(message, "expected it only once").usage(twice));
            }
        }
        let given = |seen| Given {
            name,
            not,
            value: values.0,
            second: values.1,
            family: self.family,
            proto: self.proto,
            seen,
        };
        match (owner, &mut self.jump) {
            (Owner::Match(i), _) => {
                if let Some(m) = self.matches.get_mut(i) {
                    matches::set(&mut m.value, &given(&m.seen))?;
                    m.seen.0.push(name);
                }
            }
            (Owner::Target, Some(Jump::Target(t))) => {
                targets::set(&mut t.value, &given(&t.seen))?;
                t.seen.0.push(name);
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks every extension after its last option.
    pub fn finish(&self, source: Source<'_>) -> Result<(), Diagnostic> {
        for m in &self.matches {
            matches::finish(&m.value, &m.seen).map_err(|f| source.blame(&m.at, f))?;
        }
        if let Some(Jump::Target(t)) = &self.jump {
            targets::finish(&t.value, &t.seen).map_err(|f| source.blame(&t.at, f))?;
        }
        Ok(())
    }

    /// The chain behind `-j` or `-g`, if it is one.
    #[cfg(feature = "nft")]
    pub fn jump_to(&self) -> Option<&Token<'a>> {
        match &self.jump {
            Some(Jump::Chain { at, .. }) => Some(at),
            _ => None,
        }
    }

    /// What iptables says about options that it takes all the same.
    pub fn warnings(&self) -> String {
        let mut out = String::new();
        for m in &self.matches {
            match &m.value {
                Match::Iprange(ranges) => {
                    let ranges = [ranges.src, ranges.dst].into_iter().flatten().map(|n| n.value);
                    for (min, max) in ranges.filter(|(min, max)| min > max) {
                        let range = format!("{min}-{max}");
                        out.push_str(&format!(
                            "xt_iprange: range {range} is reversed and will never match\n"
                        ));
                    }
                }
                Match::Set(_) if m.seen.has("set") => {
                    out.push_str("--set option deprecated, please use --match-set\n");
                }
                _ => {}
            }
        }
        if let Some(Jump::Target(t)) = &self.jump
            && matches!(&t.value, Target::Nflog(_))
            && t.seen.has("nflog-range")
        {
            out.push_str(
                "warn: --nflog-range has never worked and is no longer supported, please use --nflog-size instead\n",
            );
        }
        out
    }

    /// Refuses a set that does not exist.
    fn check_sets(&self, source: Source<'_>, sets: &[String]) -> Result<(), Diagnostic> {
        let absent = |name: &str| !sets.iter().any(|s| s == name);
        let refuse = |at: &Token<'_>, name: &str| {
            let named = Args::of_line(source, 0).find(|t| t.start > at.start && t.text == name);
            Err(source.blame(named.as_ref().unwrap_or(at), matches::missing_set(name)))
        };
        for m in &self.matches {
            let Match::Set(set) = &m.value else { continue };
            if absent(&set.name) {
                return refuse(&m.at, &set.name);
            }
        }
        if let Some(Jump::Target(t)) = &self.jump
            && let Target::Set(set) = &t.value
            && let Some(name) = set.sets().find(|name| absent(name))
        {
            return refuse(&t.at, name);
        }
        Ok(())
    }

    /// `-i` has no meaning where a packet leaves, `-o` none where it comes in.
    pub fn fits_chain(&self, source: Source<'_>, chain: &str) -> Result<(), Diagnostic> {
        let (bad, letter, direction) = match chain {
            "POSTROUTING" | "OUTPUT" => (&self.in_iface, 'i', "come in"),
            "PREROUTING" | "INPUT" => (&self.out_iface, 'o', "leave"),
            _ => return Ok(()),
        };
        let Some((at, _)) = bad else { return Ok(()) };
        let other = if letter == 'i' { 'o' } else { 'i' };
        let fault = Fault::new(
            format!("-{letter} in {chain}, where packets do not {direction}"),
            format!("expected -{other}, or no device"),
        );
        Err(source.blame(at, fault.usage(format!("Can't use -{letter} with {chain}\n"))))
    }

    /// The rules that this stands for: lists of addresses give one for each pair.
    pub fn rules(self, source: Source<'_>, scope: &Scope<'_>) -> Result<Vec<Rule>, Diagnostic> {
        scope.objects.sets.map_or(Ok(()), |sets| self.check_sets(source, sets))?;
        let read;
        let (srcs, dsts) = match &self.nets {
            Some(nets) => nets,
            None => {
                read = (networks(self.family, source, &self.src)?, networks(self.family, source, &self.dst)?);
                &read
            }
        };
        if srcs.len().saturating_mul(dsts.len()) > EXPANSION_MAX {
            let at = self.src.as_ref().or(self.dst.as_ref());
            let fault = Fault::new(
                "the lists of addresses make too many rules",
                format!("expected at most {EXPANSION_MAX}"),
            );
            let whole = Token { text: "".into(), start: 0, end: source.text.len(), quoted: false };
            return Err(source.blame(at.map_or(&whole, |(t, _)| t), fault));
        }
        let target = self.target(source, scope)?;
        // Collected in place they would keep the memory of what was only needed to read them.
        let mut matches = Vec::with_capacity(self.matches.len());
        matches.extend(self.matches.into_iter().map(|m| m.value));
        let rule = Rule {
            src: None,
            dst: None,
            in_iface: self.in_iface.map(|(_, i)| i),
            out_iface: self.out_iface.map(|(_, i)| i),
            proto: self.proto,
            fragment: self.fragment,
            matches,
            target,
        };
        if let ([src], [dst]) = (&srcs[..], &dsts[..]) {
            return Ok(vec![Rule { src: *src, dst: *dst, ..rule }]);
        }
        let mut pairs = srcs.iter().flat_map(|s| dsts.iter().map(move |d| (*s, *d)));
        let last = pairs.next_back();
        let mut rules: Vec<Rule> = pairs.map(|(src, dst)| Rule { src, dst, ..rule.clone() }).collect();
        rules.extend(last.map(|(src, dst)| Rule { src, dst, ..rule }));
        Ok(rules)
    }

    /// Checks `-s` and `-d`; `replaces` is the chain of a command that takes one rule only.
    pub fn check_addresses(
        &mut self,
        source: Source<'_>,
        replaces: Option<&Token<'_>>,
    ) -> Result<(), Diagnostic> {
        let (srcs, dsts) =
            (networks(self.family, source, &self.src)?, networks(self.family, source, &self.dst)?);
        let fits = match replaces {
            Some(at) if srcs.len() != 1 || dsts.len() != 1 => {
                let fault =
                    Fault::new("-R with a list of addresses", "expected one source and one destination");
                Err(source.blame(at, fault.usage("Replacement rule does not specify a unique address")))
            }
            _ => Ok(()),
        };
        self.nets = Some((srcs, dsts));
        fits
    }

    fn target(&self, source: Source<'_>, scope: &Scope<'_>) -> Result<Target, Diagnostic> {
        let (at, goto) = match &self.jump {
            None => return Ok(Target::None),
            Some(Jump::Target(t)) => {
                return match (scope.draft.table, &t.value) {
                    (TableId::Nat, Target::Drop) => Err(source.blame(&t.at, drop_in_nat())),
                    (_, target) => Ok(target.clone()),
                };
            }
            Some(Jump::Chain { at, goto }) => (at, *goto),
        };
        let name = at.text.as_ref();
        let found =
            scope.draft.find(name).map(|id| (id, scope.draft.chain(id).is_some_and(|c| c.base.is_some())));
        match found {
            Some((_, true)) => Err(source.blame(
                at,
                Fault::new(format!("{name} is a built-in chain"), "expected a user-defined chain to jump to")
                    .says(ToolError::INVALID),
            )),
            Some((id, false)) => Ok(if goto { Target::Goto(id) } else { Target::Jump(id) }),
            None => Err(source.blame(at, no_such_target(name, goto, scope))),
        }
    }
}

/// iptables refuses DROP in table nat by itself.
pub(super) fn drop_in_nat() -> Fault {
    Fault::new(
        "DROP in table nat",
        "expected to drop in table filter: nat sees only the first packet of a flow",
    )
    .usage("\nThe \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n")
}

/// `-s`, `-d`: a list of networks. Every address is the same as no option.
fn networks(
    family: Family,
    source: Source<'_>,
    value: &Option<(Token<'_>, bool)>,
) -> Result<Vec<Net>, Diagnostic> {
    let Some((at, not)) = value else { return Ok(vec![None]) };
    if *not && at.text.contains(',') {
        let fault = Fault::new("! with a list of addresses", "expected a single address or network behind !");
        let says = "! not allowed with multiple source or destination IP addresses";
        return Err(source.blame(at, fault.usage(says)));
    }
    let every = |net: &IpMatch| !not && net.mask.is_unspecified();
    let mut out = Vec::new();
    for part in at.text.split(',').take(EXPANSION_MAX + 1) {
        let net = addr::network(family, part.trim_start_matches(' ')).map_err(|f| source.blame(at, f))?;
        out.push((!every(&net)).then_some(Neg { not: *not, value: net }));
    }
    Ok(out)
}

/// A device name; a final `+` stands for any continuation.
pub(super) fn iface(text: &str) -> Result<IfaceMatch, Fault> {
    if text.is_empty() {
        return Err(Fault::new("an empty device name", "expected a name such as eth0 or eth+")
            .usage("Empty interface is likely to be undesired"));
    }
    if text.len() > IFACE_MAX {
        let help = format!("expected at most {IFACE_MAX} characters");
        return Err(Fault::new(format!("{} is too long for a device name", q(text)), help)
            .usage(format!("interface name `{text}' must be shorter than IFNAMSIZ ({IFACE_MAX})")));
    }
    if text == "!" {
        return Err(Fault::new("\"!\" must stand before the option", "expected ! -i DEVICE or ! -o DEVICE"));
    }
    if text.contains(['/', ' ', '\t']) {
        let message = format!("{} cannot be the name of a device", q(text));
        return Err(Fault::new(message, "expected a name without slash and blank"));
    }
    let (name, wildcard) = text.strip_suffix('+').map_or((text, false), |n| (n, true));
    Ok(IfaceMatch { name: name.to_owned(), wildcard })
}
