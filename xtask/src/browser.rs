//! Finds a Chromium and a ChromeDriver that fit together. The first chromedriver on PATH need not be one that does.

use crate::run;
use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the browser; with [`DRIVER_VARIABLE`] it replaces the search.
pub const CHROME_VARIABLE: &str = "NFLAB_CHROME";
/// Names the driver.
pub const DRIVER_VARIABLE: &str = "NFLAB_CHROMEDRIVER";

/// How the tests start the browser: no window, no sandbox (it cannot have one as root), no connections of its own.
pub const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--disable-quic",
];

/// A browser and a driver of the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// The browser.
    pub chrome: PathBuf,
    /// Its driver.
    pub driver: PathBuf,
    /// The browser's version.
    pub version: String,
}

impl Browser {
    /// The one that the environment names, or the first pair with the same major version.
    pub fn find() -> Result<Self> {
        if let (Some(chrome), Some(driver)) = (env::var_os(CHROME_VARIABLE), env::var_os(DRIVER_VARIABLE)) {
            let chrome = PathBuf::from(chrome);
            let version = version(&chrome)
                .with_context(|| format!("{CHROME_VARIABLE}: {} does not run", chrome.display()))?;
            return Ok(Self { chrome, driver: driver.into(), version });
        }
        let chromes = versions(chromes());
        let drivers = versions(drivers());
        for (chrome, version) in &chromes {
            if let Some((driver, _)) = drivers.iter().find(|(_, other)| major(other) == major(version)) {
                return Ok(Self { chrome: chrome.clone(), driver: driver.clone(), version: version.clone() });
            }
        }
        bail!(
            "no browser and driver of the same version: browsers: {}; drivers: {}",
            list(&chromes),
            list(&drivers)
        )
    }
}

fn chromes() -> Vec<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let fixed = [
        "/usr/bin/chromium",
        "/snap/bin/chromium",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ];
    names.iter().flat_map(|name| run::which_all(name)).chain(fixed.map(PathBuf::from)).collect()
}

fn drivers() -> Vec<PathBuf> {
    let fixed = [
        "/usr/bin/chromedriver",
        "/usr/lib/chromium/chromedriver",
        "/usr/lib/chromium-browser/chromedriver",
        "/snap/bin/chromium.chromedriver",
    ];
    // GitHub's machines name the folder of the driver that fits their browser.
    let named = env::var_os("CHROMEWEBDRIVER").map(|folder| Path::new(&folder).join("chromedriver"));
    named.into_iter().chain(run::which_all("chromedriver")).chain(fixed.map(PathBuf::from)).collect()
}

/// Those that run, with their versions, each once.
fn versions(programs: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for program in programs {
        if program.is_file()
            && !found.iter().any(|(other, _)| *other == program)
            && let Some(version) = version(&program)
        {
            found.push((program, version));
        }
    }
    found
}

fn version(program: &Path) -> Option<String> {
    parse(&run::probe(Command::new(program).arg("--version"))?)
}

/// The version in a text such as `Chromium 156.0.8078.79 built on Debian`.
fn parse(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    text.split_whitespace().find(is_version).map(str::to_owned)
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

fn list(programs: &[(PathBuf, String)]) -> String {
    if programs.is_empty() {
        return "none".into();
    }
    let programs = programs.iter().map(|(program, version)| format!("{} {version}", program.display()));
    programs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let chrome = parse("Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)\n").unwrap();
        assert_eq!((chrome.as_str(), major(&chrome)), ("156.0.8078.79", "156"));
        assert_eq!(parse("ChromeDriver 148.0.1 (abc)").as_deref(), Some("148.0.1"));
        assert_eq!(parse("command not found"), None);
    }
}
