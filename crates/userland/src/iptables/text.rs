//! What every match and target extension has in common: its options as data, reading one, printing all.
//!
//! A file of `matches/` or `targets/` is one implementation of [`Text`]: `OPTIONS`, `set`, `finish`, `save`, `list`.

use super::list::Names;
use crate::diagnostic::{Fault, q};
use kernel::netfilter::xtables::Neg;
use packet::{Family, Protocol};

/// An option of an extension.
#[derive(Debug)]
pub(super) struct Opt {
    /// The long names; the first is the one that iptables uses in its messages.
    pub names: &'static [&'static str],
    /// What stands behind it, in words for a message.
    pub args: &'static [&'static str],
    /// May be written with `!`.
    pub not: bool,
}

impl Opt {
    /// An option with one value.
    pub const fn value(names: &'static [&'static str], arg: &'static [&'static str]) -> Opt {
        Opt { names, args: arg, not: false }
    }

    /// An option without a value.
    pub const fn flag(names: &'static [&'static str]) -> Opt {
        Opt { names, args: &[], not: false }
    }

    /// The same, but `!` is allowed.
    pub const fn or_not(self) -> Opt {
        Opt { not: true, ..self }
    }

    /// The first name.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

/// An option as it stands in a rule.
pub(super) struct Given<'a> {
    /// Its first name.
    pub name: &'static str,
    /// Written with `!`.
    pub not: bool,
    /// The first value, empty if it has none.
    pub value: &'a str,
    /// The second value.
    pub second: &'a str,
    /// Whose rule.
    pub family: Family,
    /// `-p` so far.
    pub proto: Option<Neg<Protocol>>,
    /// The options of the same extension before this one.
    pub seen: &'a Seen,
}

impl Given<'_> {
    /// A value with this option's inversion.
    pub fn neg<T>(&self, value: T) -> Neg<T> {
        Neg { not: self.not, value }
    }

    /// The protocol of `-p`, as far as ports have names in it.
    pub fn proto(&self) -> Protocol {
        self.proto.map_or(Protocol::TCP, |p| p.value)
    }
}

/// Which options of an extension have been given, by first name, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(pub Vec<&'static str>);

impl Seen {
    /// True if the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// Refuses if the option was not given.
    pub fn need(&self, ext: &str, name: &str) -> Result<(), Fault> {
        if self.has(name) {
            return Ok(());
        }
        Err(Fault::new(format!("{ext} without --{name}"), format!("expected the option --{name}"))
            .usage(format!("{ext}: option \"--{name}\" must be specified\n")))
    }

    /// Refuses if one option was given but not the other that it needs.
    pub fn both(&self, ext: &str, name: &str, other: &str) -> Result<(), Fault> {
        if !self.has(name) || self.has(other) {
            return Ok(());
        }
        Err(Fault::new(format!("--{name} without --{other}"), format!("expected --{other} as well"))
            .usage(format!("{ext}: option \"--{name}\" also requires \"--{other}\".\n")))
    }

    /// Refuses two options that exclude each other.
    pub fn only_one(&self, ext: &str, name: &str, other: &str) -> Result<(), Fault> {
        if !(self.has(name) && self.has(other)) {
            return Ok(());
        }
        Err(Fault::new(format!("--{name} together with --{other}"), "expected only one of the two")
            .usage(format!("{ext}: option \"--{name}\" cannot be used together with \"--{other}\".\n")))
    }

    /// Refuses two of several options that exclude each other; iptables names the first two in this order.
    pub fn only_one_of(&self, ext: &str, names: &[&str]) -> Result<(), Fault> {
        let mut given = names.iter().filter(|n| self.has(n));
        match (given.next(), given.next()) {
            (Some(name), Some(other)) => self.only_one(ext, name, other),
            _ => Ok(()),
        }
    }
}

/// An extension's text form.
pub(super) trait Text {
    /// Its options.
    const OPTIONS: &'static [Opt];

    /// Takes one option. The values have been counted, `!` and repetition checked.
    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault>;

    /// Checks the whole after the last option.
    fn finish(&self, seen: &Seen) -> Result<(), Fault>;

    /// Writes the options as `-S` does.
    fn save(&self, out: &mut Save);

    /// Writes the options as `-L` does, with a blank before each word.
    fn list(&self, names: &Names, out: &mut String);

    /// What iptables says about an option given twice; nothing if that is allowed.
    fn twice(ext: &str, name: &str) -> String {
        format!("{ext}: option \"--{name}\" can only be used once.\n")
    }
}

/// Large options are kept apart from their rule.
impl<T: Text> Text for Box<T> {
    const OPTIONS: &'static [Opt] = T::OPTIONS;

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        (**self).set(given)
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        (**self).finish(seen)
    }

    fn save(&self, out: &mut Save) {
        (**self).save(out);
    }

    fn list(&self, names: &Names, out: &mut String) {
        (**self).list(names, out);
    }

    fn twice(ext: &str, name: &str) -> String {
        T::twice(ext, name)
    }
}

/// The options of an extension in the order in which they are printed.
#[derive(Debug, Default)]
pub(super) struct Save {
    /// Text, and the place in the kernel's order of evaluation; `None` if it is not evaluated by itself.
    pub options: Vec<(String, Option<u8>)>,
}

impl Save {
    /// An option that the kernel checks as the `order`th.
    pub fn check(&mut self, order: u8, text: String) {
        self.options.push((text, Some(order)));
    }

    /// The same with one value: `! --name value`.
    pub fn value(&mut self, order: u8, not: bool, name: &str, value: &str) {
        self.check(order, [bang(not), name, " ", value].concat());
    }

    /// The same that can be left out.
    pub fn optional<T>(
        &mut self,
        order: u8,
        option: Option<&Neg<T>>,
        name: &str,
        text: impl FnOnce(&T) -> String,
    ) {
        if let Some(n) = option {
            self.value(order, n.not, name, &text(&n.value));
        }
    }

    /// An option without value that the kernel checks.
    pub fn condition(&mut self, order: u8, option: Option<Neg<()>>, name: &str) {
        if let Some(n) = option {
            self.check(order, [bang(n.not), name].concat());
        }
    }

    /// An option that the kernel does not check by itself.
    pub fn other(&mut self, text: String) {
        self.options.push((text, None));
    }

    /// An option without value, if it is set.
    pub fn flag(&mut self, set: bool, text: &str) {
        if set {
            self.other(text.to_owned());
        }
    }
}

/// `! ` if inverted.
pub(super) fn bang(not: bool) -> &'static str {
    if not { "! " } else { "" }
}

/// A string as iptables-save writes it: in quotes unless it is a plain word.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// At most so many bytes of a string, as `strncpy` into the kernel's field leaves them.
pub(super) fn cut(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// A word of a list, upper or lower case.
pub(super) fn one_of<T: Copy>(word: &str, known: &[(&'static str, T)], what: &str) -> Result<T, Fault> {
    known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, v)| *v).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(n, _)| *n).collect();
        Fault::new(format!("unknown {what} {}", q(word)), format!("expected one of {}", names.join(", ")))
    })
}

/// A list of words, each a bit; upper or lower case, and the beginning of a word is enough. `bad` is what iptables
/// says about a word that it does not know.
pub(super) fn words_of<T: Copy + Default + std::ops::BitOr<Output = T>>(
    text: &str,
    known: &[(&'static str, T)],
    what: &str,
    bad: impl Fn(&str) -> String,
) -> Result<T, Fault> {
    text.split(',').try_fold(T::default(), |bits, word| {
        let upper = word.to_ascii_uppercase();
        let found = known.iter().find(|(name, _)| !upper.is_empty() && name.starts_with(&upper));
        found.map(|(_, b)| bits | *b).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(n, _)| *n).collect();
            Fault::new(
                format!("unknown {what} {}", q(word)),
                format!("expected a list of {}", names.join(", ")),
            )
            .usage(bad(word))
        })
    })
}

/// The words of the bits that are set.
pub(super) fn words_text<T>(bits: T, known: &[(&'static str, T)]) -> String
where
    T: Copy + Default + PartialEq + std::ops::BitAnd<Output = T>,
{
    let set = known.iter().filter(|(_, b)| bits & *b != T::default());
    set.map(|(n, _)| *n).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_iptables_save_quotes_them() {
        for (text, printed) in [
            ("simple", "simple"),
            ("with-dash_1", "with-dash_1"),
            ("ns/name:port", "\"ns/name:port\""),
            ("", "\"\""),
            ("it's \"q\" \\ x", r#""it\'s \"q\" \\ x""#),
            ("äö", "\"äö\""),
        ] {
            assert_eq!(quoted(text), printed);
        }
    }

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("é", 0), "");
    }
}
