//! Other programs: finding, showing and running them.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Prints an error, with what caused it below.
pub fn explain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// The command line as one would type it.
pub fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words
        .map(|word| {
            let word = word.to_string_lossy();
            if word.is_empty() || word.contains([' ', '\'', '"', '$']) {
                format!("{word:?}")
            } else {
                word.into()
            }
        })
        .collect();
    let program = Path::new(&words[0])
        .file_name()
        .map_or_else(|| words[0].clone(), |name| name.to_string_lossy().into());
    [&[program][..], &words[1..]].concat().join(" ")
}

/// Runs the command with our output as its own, after saying what it is. An error if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    eprintln!("     $ {}", show(command));
    let status = command.status().with_context(|| format!("cannot start `{}`", show(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", show(command));
    }
    Ok(())
}

/// What the command prints on standard output; its errors go where ours go. An error if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let result = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    if !result.status.success() {
        bail!("`{}` failed ({})", show(command), result.status);
    }
    String::from_utf8(result.stdout)
        .with_context(|| format!("`{}` printed something that is not text", show(command)))
}

/// What the command prints on standard output, if it can be started and succeeds.
pub fn probe(command: &mut Command) -> Option<String> {
    let result = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    result.status.success().then(|| String::from_utf8_lossy(&result.stdout).into_owned())
}

/// Every file of that name on PATH, in order: the first is what a shell would run.
pub fn which_all(program: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    let mut found: Vec<PathBuf> = Vec::new();
    for file in env::split_paths(&path).map(|folder| folder.join(&name)) {
        if file.is_file() && !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// The program that a shell would run.
pub fn which(program: &str) -> Option<PathBuf> {
    which_all(program).into_iter().next()
}

/// PATH with a folder put in front.
pub fn path_with(folder: &Path) -> Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(env::split_paths(&path));
    env::join_paths(folders).with_context(|| format!("{} cannot be put on PATH", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["test", "two words", ""]);
        assert_eq!(show(&command), r#"cargo test "two words" """#);
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(&mut Command::new("false")).unwrap_err().to_string();
        assert!(error.contains("`false` failed"), "{error}");
    }
}
