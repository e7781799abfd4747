//! wasm-bindgen, in the version that Cargo.lock names: xtask contains it.

use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The name under which Trunk looks for it.
pub const NAME: &str = "wasm-bindgen";

/// Whether we were called as `wasm-bindgen`.
pub fn is_called(program: &OsString) -> bool {
    Path::new(program).file_stem().is_some_and(|name| name == NAME)
}

/// Writes `NAME.js` and `NAME_bg.wasm` for a compiled app.
pub fn generate(wasm: &Path, folder: &Path, name: &str) -> Result<()> {
    let [mut to, mut named] = ["--out-dir=", "--out-name="].map(OsString::from);
    to.push(folder);
    named.push(name);
    let args = [NAME.into(), "--target=web".into(), "--no-typescript".into(), to, named, wasm.into()];
    wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(args).context("wasm-bindgen")
}

/// Acts as wasm-bindgen.
pub fn main(args: impl Iterator<Item = OsString>) -> Result<()> {
    wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(args)
}

/// Acts as the test runner that Cargo calls with a test's wasm file.
pub fn test_runner(args: impl Iterator<Item = OsString>) -> Result<()> {
    let program = OsString::from("wasm-bindgen-test-runner");
    wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(std::iter::once(program).chain(args))
}

/// A folder for PATH in which this program is called `wasm-bindgen`.
pub fn folder(workspace: &Workspace, ourselves: &Path) -> Result<PathBuf> {
    let folder = workspace.cache("bin")?;
    let link = folder.join(format!("{NAME}{}", env::consts::EXE_SUFFIX));
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
    }
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(ourselves, &link);
    #[cfg(not(unix))]
    let made = fs::copy(ourselves, &link);
    made.with_context(|| format!("cannot make {}", link.display()))?;
    Ok(folder)
}
