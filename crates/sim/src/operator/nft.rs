//! What `nft` changes and prints.

use super::CommandOutput;
use crate::world::World;
use kernel::{Instant, Netns, NetnsId};
use packet::Family;
use userland::iptables::{NftStore, Output, iptables_nft, iptables_nft_restore, iptables_nft_save};
use userland::nft::{Names, device_names};

/// `iptables-nft`, `iptables-nft-save`, `iptables-nft-restore` and those of ip6tables.
pub(super) fn iptables(
    ns: &mut Netns,
    (family, what): (Family, Option<&str>),
    argv: &[String],
    stdin: &str,
    now: Instant,
) -> Output {
    let devices = device_names(ns);
    let mut tables = ns.nft.clone();
    let mut store = NftStore {
        family,
        nft: &mut tables,
        names: Names { devices: &devices, now },
        legacy: !ns.loaded_tables_of(family).is_empty(),
        sets: Some(super::set_names(ns)),
        nfacct: Some(super::nfacct_names(ns)),
        helpers: Some(ns.helpers()),
    };
    let done = match what {
        Some("save") => iptables_nft_save(&mut store, argv, super::SAVE_DATE),
        Some("restore") => iptables_nft_restore(&mut store, argv, stdin),
        _ => iptables_nft(&mut store, argv),
    };
    // A restore keeps what was done up to its first mistake.
    if done.status == 0 || what == Some("restore") {
        ns.commit_nftables(tables);
    }
    done
}

/// `nft ...`
pub(super) fn nft(world: &mut World, host: NetnsId, argv: &[String], stdin: Option<&str>) -> CommandOutput {
    let now = world.now();
    let Some(ns) = world.host_mut(host) else { return CommandOutput::default() };
    let devices = device_names(ns);
    let mut tables = ns.nft.clone();
    let names = Names { devices: &devices, now };
    let done = userland::nft::nft(&mut tables, argv, stdin.unwrap_or_default(), names);
    if done.status == 0 {
        ns.commit_nftables(tables);
    }
    CommandOutput {
        stdout: done.stdout.lines().map(str::to_owned).collect(),
        ..CommandOutput::failed(i32::from(done.status), done.stderr)
    }
}

/// `nft -f -` while a box is set up.
pub(super) fn load(ns: &mut Netns, text: &str) -> Result<(), userland::Diagnostic> {
    let devices = device_names(ns);
    let mut tables = ns.nft.clone();
    userland::nft::load(&mut tables, text, Names { devices: &devices, now: Instant(0) })?;
    ns.commit_nftables(tables);
    Ok(())
}
