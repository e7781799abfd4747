//! Which devices `ip link show` and `ip addr show` list.

use super::route;
use crate::diagnostic::Diagnostic;
use crate::words::{Words, address_with_prefix};
use ipnet::Ipv4Net;
use kernel::route::Scope;

/// What a device must be like to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkSelect {
    /// Its name: `[dev] NAME`.
    pub dev: Option<String>,
    /// `up`
    pub up: bool,
    /// `master BRIDGE`
    pub master: Option<String>,
    /// `nomaster`
    pub nomaster: bool,
    /// `type KIND`
    pub kind: Option<String>,
    /// `scope SCOPE`: only addresses of it.
    pub scope: Option<Scope>,
    /// `to PREFIX`: only addresses in it, and devices that have one.
    pub to: Option<Ipv4Net>,
}

const LINK: &[&str] = &["dev", "up", "type", "master", "nomaster"];
const ADDR: &[&str] = &["dev", "up", "type", "master", "nomaster", "scope", "to"];
const NOT_MODELLED: &[&str] = &[
    "group",
    "vrf",
    "dynamic",
    "permanent",
    "primary",
    "secondary",
    "temporary",
    "deprecated",
    "label",
    "proto",
];

/// Reads the words behind `show`.
pub(super) fn select(words: &mut Words<'_>, of_addr: bool) -> Result<LinkSelect, Diagnostic> {
    let mut s = LinkSelect::default();
    let known = if of_addr { ADDR } else { LINK };
    words.taken_for("dev");
    while let Some(token) = words.peek().cloned() {
        let word = token.text.as_ref();
        if NOT_MODELLED.contains(&word) || (!of_addr && matches!(word, "scope" | "to")) {
            return words.unexpected(&token, known, NOT_MODELLED);
        }
        if !known.contains(&word) {
            if s.dev.is_some() {
                return words.unexpected(&token, known, NOT_MODELLED);
            }
            s.dev = Some(words.need("a device")?.text.into_owned());
            continue;
        }
        words.next();
        match word {
            "dev" => s.dev = Some(words.need("the name of a device")?.text.into_owned()),
            "up" => s.up = true,
            "nomaster" => s.nomaster = true,
            "master" => s.master = Some(words.device()?),
            "type" => s.kind = Some(words.need("a type of device")?.text.into_owned()),
            "scope" => s.scope = Some(route::scope(words, "invalid \"scope\"\n")?),
            _ => s.to = Some(words.value("a prefix", address_with_prefix)?.trunc()),
        }
    }
    Ok(s)
}
