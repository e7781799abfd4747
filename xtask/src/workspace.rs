//! Where things are: the workspace, its target folder, its packages.

use crate::run;
use anyhow::{Context, Result};
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of everything that runs in the browser.
pub const WASM: &str = "wasm32-unknown-unknown";

/// The workspace as Cargo sees it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Cargo's target folder; CARGO_TARGET_DIR is honoured.
    pub target: PathBuf,
    /// The members.
    pub packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root.
    pub folder: PathBuf,
    /// Whether it has a library.
    pub lib: bool,
    /// The names of its integration tests.
    pub tests: Vec<String>,
    /// Whether it has tests that run in the browser.
    pub wasm_tests: bool,
}

impl Workspace {
    /// Asks Cargo. Needs no network.
    pub fn load() -> Result<Self> {
        // Set when Cargo started us; otherwise the place that we were built in.
        let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let mut command = Command::new(cargo());
        command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(here);
        let metadata: Value = serde_json::from_str(&run::output(&mut command)?).context("cargo metadata")?;
        Self::parse(&metadata).context("cargo metadata printed something unexpected")
    }

    fn parse(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let target = PathBuf::from(metadata["target_directory"].as_str()?);
        let packages = metadata["packages"].as_array()?.iter().map(|package| Package::parse(package, &root));
        Some(Self { packages: packages.collect::<Option<_>>()?, target, root })
    }

    /// A cargo command in this workspace.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// A cargo command for the browser's target. The flags of .cargo/config.toml hold: an outer RUSTFLAGS would
    /// silently replace them.
    pub fn cargo_wasm(&self, subcommand: &str) -> Command {
        let mut command = self.cargo();
        command
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .args([subcommand, "--target", WASM]);
        command
    }

    /// A folder of our own under the target folder, made if it is not there.
    pub fn cache(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// The libraries of the engine: what is under crates/.
    pub fn engine(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.lib && package.folder.starts_with("crates"))
    }

    /// A path as one would type it in the root.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

impl Package {
    fn parse(package: &Value, root: &Path) -> Option<Self> {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let of_kind = |kind: &str| -> Vec<String> {
            let targets = package["targets"].as_array().into_iter().flatten();
            let targets = targets.filter(|target| {
                target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == kind))
            });
            targets.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect()
        };
        let mut dependencies = package["dependencies"].as_array().into_iter().flatten();
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            folder: manifest.parent()?.strip_prefix(root).ok()?.to_path_buf(),
            lib: !of_kind("lib").is_empty(),
            tests: of_kind("test"),
            wasm_tests: dependencies.any(|dependency| dependency["name"] == "wasm-bindgen-test"),
        })
    }
}

/// The cargo that started us, or the one on PATH.
fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_knows_its_members() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.root.join("index.html").is_file());
        let web = workspace.packages.iter().find(|package| package.name == "web").unwrap();
        assert!(web.lib && web.wasm_tests && web.folder == Path::new("web"), "{web:?}");
        assert!(workspace.engine().any(|package| package.name == "kernel"));
        assert!(workspace.engine().all(|package| package.name != "xtask"));
    }
}
