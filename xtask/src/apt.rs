//! Installing packages where the machine is Debian or Ubuntu, and the remedy where it is not.

use crate::run;
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the package lists were refreshed in this run.
static UPDATED: AtomicBool = AtomicBool::new(false);

/// The family of a Linux distribution, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian and what derives from it without changing package names.
    Debian,
    /// Ubuntu: Chromium has other package names.
    Ubuntu,
    /// Fedora and relatives.
    Fedora,
    /// Arch and relatives.
    Arch,
    /// macOS.
    Mac,
    /// Anything else.
    Other,
}

impl Family {
    /// This machine's.
    pub fn here() -> Self {
        if cfg!(target_os = "macos") {
            return Self::Mac;
        }
        Self::of(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    fn of(os_release: &str) -> Self {
        let ids = os_release
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")));
        let ids: Vec<&str> = ids.flat_map(|value| value.trim_matches('"').split_whitespace()).collect();
        let has = |id: &str| ids.contains(&id);
        match () {
            () if has("ubuntu") => Self::Ubuntu,
            () if has("debian") => Self::Debian,
            () if has("fedora") => Self::Fedora,
            () if has("arch") => Self::Arch,
            () => Self::Other,
        }
    }
}

/// Something to install, and what it is called where.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// What is missing, for people.
    pub what: &'static str,
    /// Debian's packages.
    pub debian: &'static [&'static str],
    /// Ubuntu's packages.
    pub ubuntu: &'static [&'static str],
    /// The remedy elsewhere: a command or an address, by family.
    pub elsewhere: fn(Family) -> &'static str,
}

impl Wanted {
    /// Installs it, or says what to do.
    pub fn install(&self) -> Result<()> {
        let family = Family::here();
        let packages = match family {
            Family::Debian => self.debian,
            Family::Ubuntu => self.ubuntu,
            _ => bail!("{} missing. Remedy: {}", self.what, (self.elsewhere)(family)),
        };
        let remedy = format!("sudo apt-get update && sudo apt-get install -y {}", packages.join(" "));
        println!("set-up: {} missing; installing the packages {}", self.what, packages.join(", "));
        let Some(prefix) = root() else {
            bail!(
                "{} missing, and installing it needs root or sudo. Remedy, as root: {}",
                self.what,
                remedy.replace("sudo ", "")
            );
        };
        let apt = |args: &[&str]| -> Result<()> {
            let words: Vec<&str> =
                prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]).collect();
            run::run(Command::new(words[0]).args(&words[1..]).args(args))
        };
        let installed = || -> Result<()> {
            if !UPDATED.swap(true, Ordering::Relaxed) {
                apt(&["update", "-q"])?;
            }
            apt(&[&["install", "-y", "-q", "--no-install-recommends"], packages].concat())
        };
        installed()
            .with_context(|| format!("{} could not be installed (no network?). Remedy: {remedy}", self.what))
    }
}

/// What to put before a command to run it as root: nothing if we are, sudo if it is there.
fn root() -> Option<&'static [&'static str]> {
    if run::probe(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    run::which("sudo").map(|_| &["sudo"][..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_apart() {
        assert_eq!(Family::of("NAME=x\nID=debian\n"), Family::Debian);
        assert_eq!(Family::of("ID=ubuntu\nID_LIKE=debian"), Family::Ubuntu);
        assert_eq!(Family::of("ID=linuxmint\nID_LIKE=\"ubuntu debian\""), Family::Ubuntu);
        assert_eq!(Family::of("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\""), Family::Fedora);
        assert_eq!(Family::of(""), Family::Other);
    }
}
