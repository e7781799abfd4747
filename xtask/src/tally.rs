//! Counts tests by reading what test programs print.

use crate::run;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

/// How many tests ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that passed.
    pub passed: usize,
    /// Those that did not.
    pub failed: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Tally {
    /// What a line such as `test result: ok. 3 passed; 0 failed; …` says.
    pub fn parse(line: &str) -> Option<Self> {
        let rest = line.trim_start().strip_prefix("test result: ")?;
        let (_, counts) = rest.split_once(". ")?;
        let count = |what: &str| -> Option<usize> {
            let part = counts.split(';').find(|part| part.trim_end().ends_with(what))?;
            part.split_whitespace().next()?.parse().ok()
        };
        Some(Self { passed: count("passed")?, failed: count("failed")? })
    }

    /// Runs a test command, lets its output through and adds what it says. An error if it fails.
    pub fn run(&mut self, command: &mut Command) -> Result<()> {
        eprintln!("     $ {}", run::show(command));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", run::show(command)))?;
        let stdout = child.stdout.take().context("a child without output")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("reading the tests' output")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            *self += Self::parse(&line).unwrap_or_default();
        }
        let status = child.wait().context("waiting for the tests")?;
        if !status.success() {
            bail!("`{}` failed ({status})", run::show(command));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let line =
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s";
        assert_eq!(Tally::parse(line), Some(Tally { passed: 12, failed: 0 }));
        let line = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 filtered out";
        assert_eq!(Tally::parse(line), Some(Tally { passed: 3, failed: 2 }));
        assert_eq!(Tally::parse("test tally::tests::x ... ok"), None);
        assert_eq!(Tally::parse("no tests to run!"), None);
    }

    #[test]
    fn a_commands_output_is_added_up() {
        let mut tally = Tally::default();
        let lines = "test result: ok. 1 passed; 0 failed\nx\ntest result: ok. 2 passed; 0 failed";
        tally.run(Command::new("printf").arg(lines)).unwrap();
        assert_eq!(tally, Tally { passed: 3, failed: 0 });
        assert!(tally.run(&mut Command::new("false")).is_err());
    }
}
