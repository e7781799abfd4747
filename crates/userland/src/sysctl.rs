//! `sysctl` (procps-ng).

use crate::args::{ArgLine, Token};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::words::{Words, arg_line};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysctlCommand {
    /// `-n`: print values without names.
    pub values_only: bool,
    /// `-N`: print names without values.
    pub names_only: bool,
    /// `-q`: do not print what was set.
    pub quiet: bool,
    /// `-e`: be silent about unknown names.
    pub ignore: bool,
    /// What to read and write, in order; empty for `-a`.
    pub items: Vec<SysctlItem>,
    /// `-a`
    pub all: bool,
}

/// A setting to read or to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysctlItem {
    /// Its name.
    pub key: SysctlKey,
    /// The value to write; `None` to read.
    pub value: Option<String>,
}

/// The name of a setting: the folders under /proc/sys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SysctlKey(pub Vec<String>);

impl SysctlKey {
    /// Reads a name with dots or slashes. The first of them decides which one separates; the other then stands for
    /// itself, as in `net/ipv4/conf/eth0.100/rp_filter` or `net.ipv4.conf.eth0/100.rp_filter`.
    pub fn parse(text: &str) -> Option<SysctlKey> {
        let text = text.strip_prefix("/proc/sys/").unwrap_or(text);
        let slashes =
            text.find(['.', '/']).is_some_and(|i| text.get(i..).is_some_and(|t| t.starts_with('/')));
        let (separator, other, meant) = if slashes { ('/', "", "") } else { ('.', "/", ".") };
        let part = |p: &str| if other.is_empty() { p.to_owned() } else { p.replace(other, meant) };
        let parts: Vec<String> = text.split(separator).map(part).collect();
        let good = parts.iter().all(|p| !p.is_empty() && p != ".." && !p.contains(char::is_whitespace));
        good.then_some(SysctlKey(parts))
    }

    /// With dots; a dot inside a part is written as a slash.
    pub fn dotted(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|p| p.replace('.', "/")).collect();
        parts.join(".")
    }

    /// The file, such as `/proc/sys/net/ipv4/ip_forward`.
    pub fn path(&self) -> String {
        format!("/proc/sys/{}", self.0.join("/"))
    }
}

/// Words for letters.
const LONG: [(&str, &str); 6] =
    [("write", "w"), ("values", "n"), ("names", "N"), ("quiet", "q"), ("ignore", "e"), ("all", "a")];

/// Reads a command line; `argv[0]` is the name of the program.
pub fn parse_sysctl<S: AsRef<str>>(argv: &[S]) -> Result<SysctlCommand, Diagnostic> {
    let line = arg_line(argv)?;
    let mut words = Words::new(&line, 1);
    let mut command = SysctlCommand {
        values_only: false,
        names_only: false,
        quiet: false,
        ignore: false,
        items: Vec::new(),
        all: false,
    };
    let mut write = false;
    while let Some(token) = words.next() {
        let Some(option) = token.text.strip_prefix('-') else {
            command.items.push(item(&words, &token, write)?);
            continue;
        };
        let letters = match option.strip_prefix('-') {
            Some(long) => LONG.iter().find(|(name, _)| *name == long).map_or("?", |(_, letter)| letter),
            None => option,
        };
        for letter in letters.chars() {
            match letter {
                'w' => write = true,
                'n' => command.values_only = true,
                'N' => command.names_only = true,
                'q' => command.quiet = true,
                'e' => command.ignore = true,
                'a' | 'A' | 'X' => command.all = true,
                _ => {
                    let help = "expected one of -w, -n, -N, -q, -e, -a, or a name";
                    let fault = Fault::new(format!("option {} is not modelled", q(&token.text)), help);
                    return words.blame(&token, fault);
                }
            }
        }
    }
    if command.items.is_empty() && !command.all {
        let fault = Fault::new("nothing to read or write", "expected NAME, NAME=VALUE or -a");
        let says = "sysctl: no variables specified\nTry `sysctl --help' for more information.";
        return words.blame_last(if argv.len() > 1 { fault.exits(1, says) } else { fault });
    }
    Ok(command)
}

fn item(words: &Words<'_>, token: &Token<'_>, write: bool) -> Result<SysctlItem, Diagnostic> {
    let (name, value) = token.text.split_once('=').map_or((token.text.as_ref(), None), |(n, v)| (n, Some(v)));
    let Some(key) = SysctlKey::parse(name.trim()) else {
        let help = "expected a name such as net.ipv4.ip_forward";
        return words.blame(token, Fault::new(format!("{} is not the name of a setting", q(name)), help));
    };
    let value = value.map(|v| v.trim().to_owned());
    if write && value.is_none() {
        let help = "expected NAME=VALUE in one word, without blanks around =";
        return words.blame(token, Fault::new(format!("{} has no value", q(&token.text)), help));
    }
    if value.as_deref() == Some("") {
        return words.blame(
            token,
            Fault::new(format!("{} has an empty value", q(name)), "expected a value behind ="),
        );
    }
    Ok(SysctlItem { key, value })
}

/// Reads settings in the form of `/etc/sysctl.conf`: `NAME = VALUE`, comments with `#` or `;`.
pub fn parse_sysctl_conf(text: &str) -> (Vec<(u32, SysctlItem)>, Vec<Diagnostic>) {
    let (mut items, mut diagnostics) = (Vec::new(), Vec::new());
    if let Err(d) = crate::args::check_text(text) {
        return (items, vec![d]);
    }
    for (n, text) in (1u32..).zip(text.lines()) {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let pair = trimmed.split_once('=').map(|(k, v)| (SysctlKey::parse(k.trim()), v.trim()));
        match pair {
            Some((Some(key), value)) if !value.is_empty() => {
                items.push((n, SysctlItem { key, value: Some(value.to_owned()) }));
            }
            _ => {
                let fault = Fault::new(format!("{} is not a setting", q(trimmed)), "expected NAME = VALUE");
                let line = ArgLine::split(n, text);
                let whole = Token { text: "".into(), start: 0, end: text.len(), quoted: false };
                diagnostics.extend(Words::new(&line, 0).blame::<()>(&whole, fault).err());
            }
        }
    }
    (items, diagnostics)
}
