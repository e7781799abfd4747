//! The lines of an iptables-restore text that are no command: `:CHAIN POLICY [PACKETS:BYTES]`, and the counters before
//! a rule.

use super::command::operation::new_chain_name;
use super::command::run::{no_policy, policy_of};
use super::draft::{CHAIN_MAX, Draft};
use super::family::program;
use super::parse::RestoreOptions;
use crate::args::{Source, Token};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::Counters;

/// `[PACKETS:BYTES]` before a rule, and the byte where the rule begins.
pub(super) fn rule_counters(source: Source<'_>) -> Result<(usize, Option<Counters>), Diagnostic> {
    let Some(rest) = source.text.strip_prefix('[') else { return Ok((0, None)) };
    let fault = |says: String| {
        Fault::new("broken counters before the rule", "expected [PACKETS:BYTES] such as [0:0]").usage(says)
    };
    let end = rest.find(' ').map_or(source.text.len(), |i| i + 1);
    let blame = |says| Diagnostic::new(source.line, source.text, 0, end, fault(says));
    let Some((inner, _)) = rest.split_once(']').filter(|(inner, _)| !inner.contains(' ')) else {
        return Err(blame(format!("Bad line {}: need ]", source.line)));
    };
    let Some(counters) = counters(inner) else {
        return Err(blame(format!("Bad line {}: need :", source.line)));
    };
    Ok((inner.len() + 2, Some(counters)))
}

fn counters(inner: &str) -> Option<Counters> {
    let (packets, bytes) = inner.split_once(':')?;
    let number = |t| unsigned(t, 0, u64::MAX);
    Some(Counters { packets: number(packets)?, bytes: number(bytes)? })
}

/// `:CHAIN POLICY [PACKETS:BYTES]`, as it is written. iptables-nft-restore looks at the counters only where it is told to.
#[cfg(feature = "nft")]
pub(super) fn chain_line<'a>(
    source: Source<'a>,
    rest: &'a str,
    program: &str,
    with_counters: bool,
) -> Result<(Token<'a>, Token<'a>, Option<Counters>), Diagnostic> {
    let mut words = words_of(rest, 1);
    let colon = Token { text: ":".into(), start: 0, end: 1, quoted: false };
    let says = |what: &str| format!("{program}: line {} {what} invalid", source.line);
    let Some(name) = words.next() else {
        let fault = Fault::new("a chain without a name", "expected :CHAIN POLICY [PACKETS:BYTES]");
        return Err(source.blame(&colon, fault.usage(says("chain name"))));
    };
    if name.text.len() > CHAIN_MAX {
        let message = format!("chain name {} is too long", q(&name.text));
        let fault = Fault::new(message, format!("expected at most {CHAIN_MAX} characters"));
        let text = format!("chain name `{}' too long (must be under {} chars)", name.text, CHAIN_MAX + 1);
        return Err(source.blame(&name, fault.usage(text)));
    }
    let Some(policy) = words.next() else {
        let fault = Fault::new(
            format!("chain {} without a policy", q(&name.text)),
            "expected ACCEPT or DROP, or - for a user-defined chain",
        );
        return Err(source.blame(&name, fault.usage(says("policy"))));
    };
    let word = words.next();
    let inner = word.as_ref().and_then(|w| w.text.strip_prefix('[')?.strip_suffix(']'));
    let counted = inner.and_then(counters);
    if with_counters && counted.is_none() && policy.text != "-" {
        let fault = Fault::new("no counters behind the policy", "expected [PACKETS:BYTES] such as [0:0]");
        let text = format!("invalid policy counters for chain '{}'", name.text);
        return Err(source.blame(word.as_ref().unwrap_or(&policy), fault.usage(text)));
    }
    Ok((name, policy, counted.filter(|_| with_counters)))
}

/// `:CHAIN POLICY [PACKETS:BYTES]`
pub(super) fn declare(
    draft: &mut Draft,
    source: Source<'_>,
    rest: &str,
    options: RestoreOptions,
) -> Result<(), Diagnostic> {
    // This line is split at blanks only; quotes have no meaning in it.
    let mut words = words_of(rest, 1);
    let colon = Token { text: ":".into(), start: 0, end: 1, quoted: false };
    let says =
        |what: &str| format!("{}-restore: line {} {what} invalid", program(options.family), source.line);
    let Some(name) = words.next() else {
        let fault = Fault::new("a chain without a name", "expected :CHAIN POLICY [PACKETS:BYTES]");
        return Err(source.blame(&colon, fault.usage(says("chain name"))));
    };
    if name.text.len() > CHAIN_MAX {
        let message = format!("chain name {} is too long", q(&name.text));
        let fault = Fault::new(message, format!("expected at most {CHAIN_MAX} characters"));
        let text = format!("Invalid chain name `{}' ({CHAIN_MAX} chars max)", name.text);
        return Err(source.blame(&name, fault.usage(text)));
    }
    let Some(policy) = words.next() else {
        let fault = Fault::new(
            format!("chain {} without a policy", q(&name.text)),
            "expected ACCEPT or DROP, or - for a user-defined chain",
        );
        return Err(source.blame(&name, fault.usage(says("policy"))));
    };
    let counted = match words.next() {
        None => None,
        Some(word) => {
            let inner = word.text.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
            Some(inner.and_then(counters).ok_or_else(|| {
                let fault = Fault::new(
                    format!("{} is not a pair of counters", q(&word.text)),
                    "expected [PACKETS:BYTES] such as [0:0]",
                );
                source.blame(&word, fault)
            })?)
        }
    };
    if let Some(extra) = words.next() {
        let fault =
            Fault::new(format!("{} behind the counters", q(&extra.text)), "expected the end of the line");
        return Err(source.blame(&extra, fault));
    }
    let id = match draft.find(&name.text) {
        Some(id) if draft.chain(id).is_some_and(|c| c.base.is_some()) => id,
        Some(id) if options.noflush => {
            draft.flush(id);
            id
        }
        Some(id) => {
            let before = draft.chain(id).and_then(|c| c.line);
            let help = before.map_or("expected each chain once".to_owned(), |l| {
                format!("expected each chain once; it was declared in line {l}")
            });
            let fault = Fault::new(format!("chain {} is declared twice", q(&name.text)), help);
            let says = format!("error creating chain '{}':File exists", name.text);
            return Err(source.blame(&name, fault.usage(says)));
        }
        None => {
            new_chain_name(&name.text).map_err(|f| source.blame(&name, f))?;
            draft.create(&name.text, Some(source.line)).map_err(|f| source.blame(&name, f))?
        }
    };
    if policy.text == "-" {
        return Ok(());
    }
    let bad = |why: &str| {
        format!("Can't set policy `{}' on `{}' line {}: {why}", policy.text, name.text, source.line)
    };
    let Some(chain) = draft.chain_mut(id) else { return Ok(()) };
    let Some((hook, _)) = chain.base else {
        return Err(source.blame(&name, no_policy(&name.text).usage(bad("Bad built-in chain name"))));
    };
    let verdict =
        policy_of(&policy.text).map_err(|f| source.blame(&policy, f.usage(bad("Bad policy name"))))?;
    chain.base = Some((hook, verdict));
    chain.policy = counted.filter(|_| options.counters).unwrap_or_default();
    Ok(())
}

/// The words of a part of a line that begins at a byte.
fn words_of(text: &str, from: usize) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        let word = text.get(start..)?;
        let len = word.find([' ', '\t']).unwrap_or(word.len());
        at = start + len;
        let word = word.get(..len).filter(|w| !w.is_empty())?;
        Some(Token { text: word.into(), start: from + start, end: from + at, quoted: false })
    })
}
