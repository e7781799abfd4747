//! nf_tables: texts that the real nft has read, against what it listed afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod kube_proxy;
mod listings;
mod sessions;
mod views;

use kernel::Instant;
use kernel::netfilter::nftables::Nftables;
use userland::nft::{Names, NftDone};

/// `nft ARGS` with that standard input.
fn nft(tables: &mut Nftables, args: &str, stdin: &str) -> NftDone {
    let devices = ["lo".to_owned()];
    let argv: Vec<String> = std::iter::once("nft").chain(args.split(' ')).map(str::to_owned).collect();
    userland::nft::nft(tables, &argv, stdin, Names { devices: &devices, now: Instant(0) })
}

/// The first line in which two texts differ.
fn difference(wanted: &str, got: &str) -> String {
    let (mut a, mut b) = (wanted.lines(), got.lines());
    let mut n = 0;
    loop {
        n += 1;
        match (a.next(), b.next()) {
            (None, None) => return "no line".to_owned(),
            (x, y) if x == y => {}
            (x, y) => return format!("line {n}\n  nft  {x:?}\n  here {y:?}"),
        }
    }
}
