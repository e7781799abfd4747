//! `cargo xtask bench`: figures of the page in a real browser. What is measured, and how, is in tests/browser/bench.rs.

use crate::browser::{Browser, CHROME_VARIABLE, DRIVER_VARIABLE};
use crate::build;
use crate::run;
use crate::setup;
use crate::test::DIST_VARIABLE;
use crate::workspace::Workspace;
use anyhow::Result;
use clap::ValueEnum;
use std::path::PathBuf;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// Bytes, starts, switches, frames, long lists
    Page,
}

/// What is drawn or measured in the browser, by the name of its ignored test.
fn ignored(workspace: &Workspace, dist: Option<PathBuf>, name: &str) -> Result<()> {
    let Browser { chrome, driver, version } = setup::browser()?;
    let dist = match dist {
        Some(dist) => std::path::absolute(dist)?,
        None => build::main(workspace, true, None)?,
    };
    println!(
        "Chromium {version}, {} processors",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    let mut command = workspace.cargo();
    command.args(["test", "--package", "tests", "--features", "tests/browser", "--test", "browser", "--"]);
    command.args(["--ignored", "--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(DIST_VARIABLE, dist).env(CHROME_VARIABLE, chrome).env(DRIVER_VARIABLE, driver);
    run::run(&mut command)
}

/// Builds a release, unless there is one, and measures it.
pub fn main(workspace: &Workspace, what: Bench, dist: Option<PathBuf>) -> Result<()> {
    match what {
        Bench::Page => ignored(workspace, dist, "bench::page"),
    }
}

/// Builds a release, unless there is one, and takes a picture of every lab.
pub fn shots(workspace: &Workspace, dist: Option<PathBuf>) -> Result<()> {
    ignored(workspace, dist, "shots::every_lab")
}
