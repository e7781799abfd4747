//! What `nft` changes and prints.

use super::CommandOutput;
use crate::world::World;
use kernel::{Instant, Netns, NetnsId};
use userland::nft::{Names, device_names};

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
        status: i32::from(done.status),
        stdout: done.stdout.lines().map(str::to_owned).collect(),
        stderr: done.stderr.lines().map(str::to_owned).collect(),
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
