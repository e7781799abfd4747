//! The real Trunk: proof that `trunk build` and `trunk serve` make the same site from the same description.

use crate::bindgen;
use crate::run;
use crate::setup;
use crate::site::Site;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that the site is made for.
pub const VERSION: &str = "0.21.14";

/// Builds a release with Trunk; the site's folder.
pub fn build(workspace: &Workspace, ourselves: &Path) -> Result<PathBuf> {
    setup::wasm_target(workspace)?;
    if Site::read(&workspace.root)?.app()?.wasm_opt.is_some() {
        setup::wasm_opt()?;
    }
    let trunk = find_or_install(workspace)?;
    let dist = workspace.cache("trunk-dist")?;
    let mut command = Command::new(trunk);
    // Offline: the tools are there, and Trunk is not to fetch others.
    command.args(["build", "--release", "--offline", "--dist"]).arg(&dist).current_dir(&workspace.root);
    command.env("PATH", run::path_with(&bindgen::folder(workspace, ourselves)?)?);
    command
        .env("CARGO_TARGET_DIR", &workspace.target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    // This Trunk takes the customary NO_COLOR=1 for a mistake.
    command.env_remove("NO_COLOR");
    run::run(&mut command)?;
    Ok(dist)
}

/// Trunk of the right version: the one on PATH, ours, or else a newly installed one.
pub fn find_or_install(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace.target.join("xtask").join(format!("trunk-{VERSION}"));
    let ours = root.join("bin").join(format!("trunk{}", env::consts::EXE_SUFFIX));
    let candidates = run::which_all("trunk").into_iter().chain([ours.clone()]);
    if let Some(trunk) = candidates.into_iter().find(|trunk| is_right(trunk)) {
        println!("set-up: Trunk {VERSION} is {}", trunk.display());
        return Ok(trunk);
    }
    println!("set-up: Trunk {VERSION} is missing; building it into {} (once, some minutes)", root.display());
    let build = workspace.target.join("xtask").join("trunk-build");
    let mut command = workspace.cargo();
    command.args([
        "install",
        "--debug",
        "--locked",
        "--no-default-features",
        &format!("trunk@{VERSION}"),
        "--root",
    ]);
    command.arg(&root).env("CARGO_TARGET_DIR", &build);
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    run::run(&mut command).with_context(|| {
        format!(
            "Trunk {VERSION} could not be installed (no network?). Remedy: run this once with a network: \
             cargo install --locked --no-default-features trunk@{VERSION}"
        )
    })?;
    let _ = fs::remove_dir_all(build);
    Ok(ours)
}

fn is_right(trunk: &Path) -> bool {
    run::probe(Command::new(trunk).arg("--version").env_remove("NO_COLOR"))
        .is_some_and(|text| text.trim() == format!("trunk {VERSION}"))
}
