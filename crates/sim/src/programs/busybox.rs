//! `busybox APPLET`, and what of it stands for a plain name on a box where `busybox --install` was run.

use super::args::not_modelled;
use super::{Parsed, busybox_tftp, ping};
use crate::operator::CommandOutput;
use crate::world::World;
use kernel::NetnsId;
use std::borrow::Cow;

/// The applets: those that print what their namesakes do not.
const APPLETS: [&str; 3] = ["diff", "ping", "tftp"];

/// What is run for a command line: that of an applet where its plain name is BusyBox's. BusyBox's diff has no other form than `-u`.
pub(super) fn meant<'a>(world: &World, host: NetnsId, argv: &'a [String]) -> Cow<'a, [String]> {
    let Some((program, args)) = argv.split_first() else { return Cow::Borrowed(argv) };
    let plain = APPLETS.contains(&program.as_str()) && world.has_busybox(host);
    let inner = match program.rsplit('/').next() {
        _ if plain => argv,
        Some("busybox") => args,
        _ => return Cow::Borrowed(argv),
    };
    match inner.split_first() {
        Some((applet, args)) if applet == "diff" => {
            let head = ["diff", "-u"].map(str::to_owned);
            Cow::Owned(head.iter().chain(args).cloned().collect())
        }
        _ if plain => Cow::Owned(["busybox".to_owned()].iter().chain(inner).cloned().collect()),
        _ => Cow::Borrowed(argv),
    }
}

/// `busybox --install [-s]`: the plain names stand for applets from then on. `None` for another command line.
pub(super) fn install(world: &mut World, host: NetnsId, argv: &[String]) -> Option<CommandOutput> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["busybox", "--install"] | ["busybox", "--install", "-s"] => {
            world.install_busybox(host);
            Some(CommandOutput::default())
        }
        _ => None,
    }
}

pub(super) fn parse(argv: &[String], _: &str) -> Parsed {
    let args = argv.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("tftp") => busybox_tftp::parse(args),
        Some("ping") => ping::parse_busybox(args),
        applet => Err(not_modelled("busybox", applet.unwrap_or_default())),
    }
}
