//! `cargo xtask test`: every check there is, part by part.

use crate::browser::{self, Browser, CHROME_VARIABLE, DRIVER_VARIABLE};
use crate::build;
use crate::run;
use crate::setup;
use crate::site::Site;
use crate::tally::Tally;
use crate::trunk;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Names the built site for the browser tests.
pub const DIST_VARIABLE: &str = "NFLAB_DIST";
/// Names the folder that the browser tests write their screenshots to.
pub const SCREENSHOTS_VARIABLE: &str = "NFLAB_SCREENSHOTS";

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The sources are formatted
    Format,
    /// Clippy has nothing to say, for this machine and for the browser
    Lint,
    /// Unit, record and property tests on this machine
    Native,
    /// Unit tests that run as wasm in a headless Chromium
    Wasm,
    /// The release builds into dist/ and is small enough
    Build,
    /// Trunk builds the same site, and it works in a headless Chromium
    Trunk,
    /// End-to-end tests of dist/ in a headless Chromium
    Browser,
}

impl Part {
    const ALL: [Self; 7] =
        [Self::Format, Self::Lint, Self::Native, Self::Wasm, Self::Build, Self::Trunk, Self::Browser];

    fn heading(self) -> &'static str {
        match self {
            Self::Format => "formatting",
            Self::Lint => "clippy",
            Self::Native => "tests on this machine",
            Self::Wasm => "wasm tests in Chromium",
            Self::Build => "release build",
            Self::Trunk => "Trunk's build, and a smoke test of it",
            Self::Browser => "end-to-end tests in Chromium",
        }
    }

    /// Whether it runs tests, which can be filtered.
    fn has_tests(self) -> bool {
        matches!(self, Self::Native | Self::Wasm | Self::Trunk | Self::Browser)
    }
}

/// One run.
struct Tests<'a> {
    workspace: &'a Workspace,
    ourselves: &'a Path,
    /// For the test programs, after `--`.
    args: &'a [String],
    tally: Tally,
    /// The release, once it is built.
    site: Option<PathBuf>,
}

/// Runs one part or all, then prints how many tests passed and failed as the last line.
pub fn main(
    workspace: &Workspace,
    ourselves: &Path,
    part: Option<Part>,
    args: &[String],
) -> Result<ExitCode> {
    if !args.is_empty() && !part.is_some_and(Part::has_tests) {
        let with: Vec<String> = Part::ALL.into_iter().filter(|part| part.has_tests()).map(name).collect();
        bail!("arguments after -- need a part that runs tests: {}", with.join(", "));
    }
    let started = Instant::now();
    let parts = part.map_or(Part::ALL.to_vec(), |part| vec![part]);
    let mut tests = Tests { workspace, ourselves, args, tally: Tally::default(), site: None };
    let mut failures = Vec::new();

    println!("== set-up");
    if let Err(error) = tests.set_up(&parts) {
        run::explain(&error);
        println!("0 passed, 1 failed");
        return Ok(ExitCode::FAILURE);
    }
    for (index, part) in parts.iter().enumerate() {
        println!("\n== {} ({} of {}: {})", part.heading(), index + 1, parts.len(), name(*part));
        let before = (Instant::now(), tests.tally);
        let result = tests.part(*part);
        let seconds = before.0.elapsed().as_secs();
        match result {
            Ok(()) => println!("== {}: fine, {seconds} s", part.heading()),
            Err(error) => {
                run::explain(&error);
                println!("== {}: FAILED, {seconds} s", part.heading());
                failures.push(name(*part));
                // A part that failed without a failed test counts as one.
                if tests.tally.failed == before.1.failed {
                    tests.tally.failed += 1;
                }
            }
        }
    }
    println!("\nall in {} s", started.elapsed().as_secs());
    for part in &failures {
        println!("failed: {part} (again: cargo xtask test {part})");
    }
    println!("{} passed, {} failed", tests.tally.passed, tests.tally.failed);
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A part's name on the command line.
fn name(part: Part) -> String {
    part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl Tests<'_> {
    /// First of all what may have to be installed: better to fail now than after half an hour.
    fn set_up(&self, parts: &[Part]) -> Result<()> {
        let any = |wanted: &[Part]| parts.iter().any(|part| wanted.contains(part));
        if any(&[Part::Format, Part::Lint]) {
            setup::components(self.workspace)?;
        }
        if any(&[Part::Lint, Part::Wasm, Part::Build, Part::Trunk, Part::Browser]) {
            setup::wasm_target(self.workspace)?;
        }
        if any(&[Part::Build, Part::Trunk, Part::Browser])
            && Site::read(&self.workspace.root)?.app()?.wasm_opt.is_some()
        {
            println!("wasm-opt: {}", setup::wasm_opt()?.display());
        }
        if any(&[Part::Wasm, Part::Trunk, Part::Browser]) {
            let browser = setup::browser()?;
            println!(
                "browser: {} {}, driven by {}",
                browser.chrome.display(),
                browser.version,
                browser.driver.display()
            );
        }
        Ok(())
    }

    fn part(&mut self, part: Part) -> Result<()> {
        let before = self.tally;
        match part {
            Part::Format => run::run(self.workspace.cargo().args(["fmt", "--all", "--check"]))
                .context("the sources are not formatted. Remedy: cargo fmt --all")?,
            Part::Lint => self.lint()?,
            Part::Native => self.native()?,
            Part::Wasm => self.wasm()?,
            Part::Build => self.site = Some(build::main(self.workspace, true, None)?),
            Part::Trunk => {
                let site = trunk::build(self.workspace, self.ourselves)?;
                self.end_to_end(&site, &["smoke::"])?;
            }
            Part::Browser => {
                let site = match self.site.take() {
                    Some(site) => site,
                    None => build::main(self.workspace, true, None)?,
                };
                self.end_to_end(&site, &[])?;
            }
        }
        if part.has_tests() && self.tally == before {
            bail!("no test ran{}", if self.args.is_empty() { "" } else { ": none has that name" });
        }
        Ok(())
    }

    fn lint(&self) -> Result<()> {
        let strict = ["--", "-D", "warnings"];
        let mut native = self.workspace.cargo();
        // The page is looked at as what it is: for the browser.
        native.args(["clippy", "--workspace", "--exclude", "web", "--all-targets"]);
        native.args(["--features", "tests/browser"]);
        run::run(native.args(strict))?;
        let mut page = self.workspace.cargo_wasm("clippy");
        run::run(page.args(["--package", "web", "--all-targets"]).args(strict))?;
        let mut engine = self.workspace.cargo_wasm("clippy");
        for package in self.workspace.engine() {
            engine.args(["--package", &package.name]);
        }
        run::run(engine.args(["--lib", "--all-features"]).args(strict))
    }

    fn native(&mut self) -> Result<()> {
        setup::netfilter_tools();
        setup::tshark();
        let mut command = self.workspace.cargo();
        command.args(["test", "--workspace", "--exclude", "web", "--no-fail-fast", "--"]).args(self.args);
        self.tally.run(&mut command)
    }

    /// All tests of the page, and of other packages the integration test named `wasm`.
    fn wasm(&mut self) -> Result<()> {
        let browser = setup::browser()?;
        let capabilities = self.workspace.cache("wasm-test")?.join("webdriver.json");
        let options = json!({"goog:chromeOptions": {"binary": browser.chrome, "args": browser::FLAGS}});
        fs::write(&capabilities, options.to_string())
            .with_context(|| format!("cannot write {}", capabilities.display()))?;
        let runner = json!([self.ourselves, crate::cli::TEST_RUNNER]);

        let mut failed = Vec::new();
        let packages: Vec<_> = self.workspace.packages.iter().filter(|package| package.wasm_tests).collect();
        for package in packages {
            let targets: &[&str] = match package.name.as_str() {
                "web" => &["--lib", "--tests"],
                _ if package.tests.iter().any(|test| test == "wasm") => &["--all-features", "--test", "wasm"],
                _ => continue,
            };
            let mut command = self.workspace.cargo_wasm("test");
            command.args(["--package", &package.name, "--no-fail-fast"]).args(targets);
            command.args(["--config", &format!("target.{}.runner={runner}", crate::workspace::WASM)]);
            command
                .env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", &capabilities)
                .env("CHROMEDRIVER", &browser.driver);
            command.env("WASM_BINDGEN_TEST_TIMEOUT", "600").env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "120");
            command.arg("--").args(self.args);
            if let Err(error) = self.tally.run(&mut command) {
                run::explain(&error);
                failed.push(package.name.as_str());
            }
        }
        if !failed.is_empty() {
            bail!("wasm tests failed in {}", failed.join(", "));
        }
        Ok(())
    }

    /// The browser tests on a built site.
    fn end_to_end(&mut self, site: &Path, filter: &[&str]) -> Result<()> {
        let Browser { chrome, driver, .. } = setup::browser()?;
        setup::tshark();
        let screenshots = self.workspace.target.join("screenshots");
        let mut command: Command = self.workspace.cargo();
        // The same packages as in the tests on this machine, so that nothing is compiled twice.
        command.args([
            "test",
            "--workspace",
            "--exclude",
            "web",
            "--features",
            "tests/browser",
            "--test",
            "browser",
        ]);
        command.env(DIST_VARIABLE, site).env(SCREENSHOTS_VARIABLE, screenshots);
        command.env(CHROME_VARIABLE, chrome).env(DRIVER_VARIABLE, driver);
        // A failure names the line of the test and shows the page; a backtrace would hide both.
        command.env("RUST_BACKTRACE", "0");
        self.tally.run(command.arg("--").args(filter).args(self.args))
    }
}
