//! What of a shell a command line needs: `|`, `&&`, `||`, `;`, `>`, `<`, `( )`, `{a,b}`, and `for NAME in WORDS; do ...; done`, whose words may
//! be what a command prints, `$(COMMAND)`.
//!
//! POSIX.1-2017, Shell Command Language, and bash where it has more. A line is read once, before anything is run: there are no variables but
//! those of loops, and whoever wants to know what a line does can look at each command in it. Loops over words that are known are unrolled; in
//! others something stands for the value of the variable ([`blank`]) until the words are there.

mod expand;
mod lex;
mod read;
mod run;

pub use read::{beside, read};
pub use run::{Elsewhere, run};

use crate::operator::CommandOutput;

/// Commands, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// When each is run, and what it is.
    pub list: Vec<(Joint, Pipeline)>,
}

/// What stands before a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// `;`, or nothing: it is run.
    Then,
    /// `&&`: it is run if the last one has succeeded.
    And,
    /// `||`: it is run if the last one has failed.
    Or,
}

/// Commands of which each reads what the one before it prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipeline {
    /// At least one.
    pub stages: Vec<Stage>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What is run.
    pub what: What,
    /// `>`, `<` and the like, in their order.
    pub redirects: Vec<Redirect>,
}

/// What a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A program.
    Simple(Simple),
    /// `( ... )`, `{ ...; }` or a loop over words that are known.
    Group(Script),
    /// A loop over words of which a command prints some.
    Each(Each),
}

/// `for NAME in $(COMMAND); do LIST; done`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Each {
    /// The variable.
    pub name: String,
    /// Its values.
    pub values: Vec<Values>,
    /// What is run for each, with [`blank`] where the value is to stand.
    pub body: Script,
}

/// Values of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// This one.
    Known(String),
    /// Each word that a command prints.
    Printed(Script),
}

/// What stands for the value of a variable that is not known yet.
pub fn blank(name: &str) -> String {
    format!("{BLANK}{name}{BLANK}")
}

/// The value of a variable that is not known yet stands in one of these words.
pub fn has_blank(argv: &[String]) -> bool {
    argv.iter().any(|word| word.contains(BLANK))
}

/// What stands at both ends of [`blank`]: a letter for private use.
const BLANK: char = '\u{f8ff}';

/// A program and its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    /// Its words; there is at least one.
    pub argv: Vec<String>,
    /// The box, if it is not the script's.
    pub on: Option<String>,
}

/// Where something is read from, or printed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// `< FILE`
    Input(String),
    /// `> FILE`, `2> FILE`, `&> FILE`, and `>>`, which appends.
    File {
        /// Standard output goes there.
        out: bool,
        /// Standard error goes there.
        err: bool,
        /// What is there stays.
        append: bool,
        /// The file.
        path: String,
    },
    /// `2>&1`
    ErrToOut,
    /// `>&2`
    OutToErr,
}

impl Script {
    /// The words of a line that is one program without more.
    pub fn plain(&self) -> Option<&[String]> {
        let [(_, pipeline)] = self.list.as_slice() else { return None };
        match pipeline.stages.as_slice() {
            [Stage { what: What::Simple(one), redirects }] if redirects.is_empty() => Some(&one.argv),
            _ => None,
        }
    }

    /// Each program in it, in order, with whether it reads what another prints.
    pub fn each(&self) -> Vec<(&Simple, bool)> {
        let mut out = Vec::new();
        for (_, pipeline) in &self.list {
            for (n, stage) in pipeline.stages.iter().enumerate() {
                match &stage.what {
                    What::Simple(one) => out.push((one, n > 0)),
                    What::Group(group) => {
                        out.extend(group.each().into_iter().map(|(one, fed)| (one, fed || n > 0)))
                    }
                    What::Each(each) => {
                        each.printing().for_each(|script| out.extend(script.each()));
                        out.extend(each.body.each().into_iter().map(|(one, fed)| (one, fed || n > 0)));
                    }
                }
            }
        }
        out
    }

    /// The same with a value for a variable.
    fn with(&self, name: &str, value: &str) -> Script {
        let mut script = self.clone();
        script.put(&blank(name), value);
        script
    }

    fn put(&mut self, blank: &str, value: &str) {
        let put = |text: &mut String| {
            if text.contains(blank) {
                *text = text.replace(blank, value);
            }
        };
        for stage in self.list.iter_mut().flat_map(|(_, pipeline)| &mut pipeline.stages) {
            for redirect in &mut stage.redirects {
                match redirect {
                    Redirect::Input(path) | Redirect::File { path, .. } => put(path),
                    Redirect::ErrToOut | Redirect::OutToErr => {}
                }
            }
            match &mut stage.what {
                What::Simple(one) => one.argv.iter_mut().chain(&mut one.on).for_each(put),
                What::Group(group) => group.put(blank, value),
                What::Each(each) => {
                    for values in &mut each.values {
                        match values {
                            Values::Known(text) => put(text),
                            Values::Printed(script) => script.put(blank, value),
                        }
                    }
                    each.body.put(blank, value);
                }
            }
        }
    }

    /// It reads or writes a file of its box.
    pub fn has_files(&self) -> bool {
        self.list.iter().flat_map(|(_, pipeline)| &pipeline.stages).any(|stage| {
            let within = match &stage.what {
                What::Simple(_) => false,
                What::Group(group) => group.has_files(),
                What::Each(each) => each.printing().any(Script::has_files) || each.body.has_files(),
            };
            within || stage.redirects.iter().any(Redirect::has_file)
        })
    }

    /// The same to change them.
    pub fn each_mut(&mut self) -> Vec<&mut Simple> {
        let mut out = Vec::new();
        for stage in self.list.iter_mut().flat_map(|(_, pipeline)| &mut pipeline.stages) {
            match &mut stage.what {
                What::Simple(one) => out.push(one),
                What::Group(group) => out.extend(group.each_mut()),
                What::Each(each) => {
                    for values in &mut each.values {
                        if let Values::Printed(script) = values {
                            out.extend(script.each_mut());
                        }
                    }
                    out.extend(each.body.each_mut());
                }
            }
        }
        out
    }
}

impl Each {
    /// The commands that print values.
    fn printing(&self) -> impl Iterator<Item = &Script> {
        self.values.iter().filter_map(|values| match values {
            Values::Printed(script) => Some(script),
            Values::Known(_) => None,
        })
    }
}

impl Redirect {
    fn has_file(&self) -> bool {
        match self {
            Redirect::Input(path) | Redirect::File { path, .. } => path != "/dev/null",
            Redirect::ErrToOut | Redirect::OutToErr => false,
        }
    }
}

/// `sh -c LINE`: the line; `None` for another program. The error is that of a shell without one.
pub fn line_of(argv: &[String]) -> Option<Result<&str, String>> {
    let (program, words) = argv.split_first()?;
    matches!(base(program), "sh" | "bash").then(|| match words {
        [c, line] if c == "-c" => Ok(line.as_str()),
        _ => Err("expected sh -c LINE".to_owned()),
    })
}

/// The name of a program without its folder.
pub(super) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// A line that cannot be read, as a program's failure.
pub(super) fn unread(why: &str) -> CommandOutput {
    CommandOutput::failed(2, format!("bash: {why}"))
}
