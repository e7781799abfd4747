//! Command lines of a lab.

use super::{Act, When};
use cluster::yaml::Place;
use sim::programs::sh::{self, Script};
use std::rc::Rc;

/// A command line, and where it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The boxes, each; none for a command that is run once, wherever kubectl is. An empty name stands for a box that is needed and was
    /// not named.
    pub on: Vec<String>,
    /// The line, as a shell reads it: see [`sim::programs::sh`].
    pub run: String,
    /// Its words, if it is one program; else those of `sh -c LINE`.
    pub argv: Vec<String>,
    /// What is in it, if it is more than one program.
    pub script: Option<Rc<Script>>,
    /// Standard input.
    pub stdin: Option<String>,
    /// The positions of the switches in which it is run.
    pub when: When,
    /// It does not have to end before the next one begins.
    pub background: bool,
    /// Where in the lab's text it stands.
    pub place: Place,
}

impl Command {
    /// The name of the program.
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Each program in it, in order.
    pub fn each(&self) -> Vec<&[String]> {
        match &self.script {
            None => vec![&self.argv],
            Some(script) => script.each().into_iter().map(|(one, _)| one.argv.as_slice()).collect(),
        }
    }

    /// `wait`: until the programs in the background have ended.
    pub fn waits(&self) -> bool {
        self.argv == ["wait"]
    }

    /// It can run in the background: one program of a box, which reads nothing.
    pub fn may_be_beside(&self) -> bool {
        !self.on.is_empty() && self.script.is_none() && self.stdin.is_none() && !self.waits()
    }

    /// What a step with it does.
    pub fn act(self) -> Act {
        if self.waits() { Act::Join } else { Act::Run(self) }
    }

    /// Nobody has said on which box it is to be run.
    pub fn lacks_box(&self) -> bool {
        self.on.iter().any(String::is_empty)
    }
}

/// The words of a line; of one that is more than a program, such as `iptables-save | grep KUBE`, those of `sh -c LINE`. `Err` says what
/// is not read.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let script = sh::read(line)?;
    Ok(match script.plain() {
        Some(argv) => argv.to_vec(),
        None => ["sh", "-c", line].map(str::to_owned).to_vec(),
    })
}

/// What is in `sh -c LINE`; `None` for another program.
pub(super) fn script(argv: &[String]) -> Result<Option<Script>, String> {
    sh::line_of(argv).map(|line| line.and_then(sh::read)).transpose()
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn only_what_is_more_than_a_program_is_a_shells() {
        let words = |line| split(line).unwrap().join(",");
        assert_eq!(words("iptables -A X  -j 'LOG it'"), "iptables,-A,X,-j,LOG it");
        assert_eq!(words("iptables-save | grep 'a b'"), "sh,-c,iptables-save | grep 'a b'");
        assert_eq!(words("echo 1 > f"), "sh,-c,echo 1 > f");
        assert!(split("a |").is_err() && split("").is_err());
    }
}
