//! The command line.

use crate::bench::{self, Bench};
use crate::bindgen;
use crate::build;
use crate::room;
use crate::serve;
use crate::setup;
use crate::test::{self, Part};
use crate::wasm_opt;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommand under which Cargo calls us for each wasm test. Not for people.
pub const TEST_RUNNER: &str = "wasm-bindgen-test-runner";

/// Sets up, builds, serves and tests Netfilter Lab. Installs what is missing, and says so.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the page, serve it on this machine and print its address; build again when a source changes
    Serve {
        /// The port [default: 8080, or the next free one]
        #[arg(long)]
        port: Option<u16>,
        /// Serve what a release would be: smaller and faster, and much slower to build
        #[arg(long)]
        release: bool,
    },
    /// Build the site into dist/, for any static web server, under any path
    Build {
        /// What to publish: small and fast; prints the sizes, fails if the app is too big
        #[arg(long)]
        release: bool,
        /// Another folder than dist/
        #[arg(long, value_name = "FOLDER")]
        dist: Option<PathBuf>,
    },
    /// Run all tests, or one part of them
    Test {
        /// The part
        part: Option<Part>,
        /// For the test programs, after --: part of a test's name, --nocapture, …
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Measure a release in a headless Chromium; prints figures (docs/BENCHMARKS.md)
    Bench {
        /// What
        what: Bench,
        /// A site that is built already
        #[arg(long, value_name = "FOLDER")]
        dist: Option<PathBuf>,
    },
    /// Take a picture of every lab at four sizes in both themes, into <target>/screenshots/labs/
    Shots {
        /// A site that is built already
        #[arg(long, value_name = "FOLDER")]
        dist: Option<PathBuf>,
    },
    /// Pack a release and course files into one zip, for a room without internet: any static server serves it
    Zip {
        /// Course and lab files; they are courses/NAME there, opened by ?src=courses/NAME
        files: Vec<PathBuf>,
        /// A site that is built already
        #[arg(long, value_name = "FOLDER")]
        dist: Option<PathBuf>,
        /// The zip
        #[arg(long, value_name = "FILE", default_value = "netfilter-lab.zip")]
        out: PathBuf,
    },
    /// Only install what the other commands would
    Setup,
    /// Called by Trunk: put right what an old wasm-opt did to the app that was just built
    #[command(hide = true)]
    Mend,
}

/// Does what the command line says.
pub fn main() -> Result<ExitCode> {
    // Now: the file may be replaced while we run, by the tests that compile this very program.
    let ourselves = env::current_exe().context("the path of this program")?;
    let args: Vec<OsString> = env::args_os().collect();
    if args.first().is_some_and(bindgen::is_called) {
        return bindgen::main(args.into_iter()).map(|()| ExitCode::SUCCESS);
    }
    if args.get(1).is_some_and(|task| task == TEST_RUNNER) {
        return bindgen::test_runner(args.into_iter().skip(2)).map(|()| ExitCode::SUCCESS);
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return Ok(explain(&error, &args)),
    };
    let workspace = Workspace::load()?;
    match cli.task {
        Task::Serve { port, release } => serve::main(&workspace, port, release)?,
        Task::Build { release, dist } => drop(build::main(&workspace, release, dist)?),
        Task::Test { part, args } => return test::main(&workspace, &ourselves, part, &args),
        Task::Bench { what, dist } => bench::main(&workspace, what, dist)?,
        Task::Shots { dist } => bench::shots(&workspace, dist)?,
        Task::Zip { files, dist, out } => room::main(&workspace, &files, dist, &out)?,
        Task::Setup => setup::all(&workspace)?,
        Task::Mend => wasm_opt::mend_for_trunk()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what is wrong with the command line, and what would be right.
fn explain(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let _ = error.print();
    let list = matches!(
        error.kind(),
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument | ErrorKind::InvalidValue
    );
    if list {
        let mut command = Cli::command();
        command.build();
        let task = args.get(1).map(|task| task.to_string_lossy().into_owned()).unwrap_or_default();
        let part = command.find_subcommand_mut(&task).map(|task| task.render_help());
        eprintln!("\n{}", part.unwrap_or_else(|| command.render_help()));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn parts_and_arguments_are_told_apart() {
        let cli = Cli::try_parse_from(["xtask", "test", "browser", "--", "smoke", "--nocapture"]).unwrap();
        let Task::Test { part, args } = cli.task else { unreachable!() };
        assert_eq!(part, Some(Part::Browser));
        assert_eq!(args, ["smoke", "--nocapture"]);
        let error = Cli::try_parse_from(["xtask", "test", "borwser"]).unwrap_err().to_string();
        assert!(error.contains("borwser") && error.contains("browser"), "{error}");
    }
}
