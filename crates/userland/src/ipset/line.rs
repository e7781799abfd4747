//! A command line up to the command and its names: what does not depend on the type of a set.

use super::errors::IpsetError;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `create NAME TYPE ...`
    Create,
    /// `add NAME ENTRY ...`
    Add,
    /// `del NAME ENTRY ...`
    Del,
    /// `test NAME ENTRY ...`
    Test,
    /// `destroy [NAME]`
    Destroy,
    /// `list [NAME]`
    List,
    /// `save [NAME]`
    Save,
    /// `restore`
    Restore,
    /// `flush [NAME]`
    Flush,
    /// `rename OLD NEW`
    Rename,
    /// `swap A B`
    Swap,
    /// `help [TYPE]`
    Help,
    /// `version`
    Version,
}

/// Names, how many words must follow, how many may.
type VerbRow = (&'static str, &'static [&'static str], Verb, usize, usize);

/// In the order in which ipset looks for the beginning of a name.
const VERBS: &[VerbRow] = &[
    ("create", &["-N"], Verb::Create, 2, 2),
    ("add", &["-A"], Verb::Add, 2, 2),
    ("del", &["-D"], Verb::Del, 2, 2),
    ("test", &["-T"], Verb::Test, 2, 2),
    ("destroy", &["-X", "x"], Verb::Destroy, 0, 1),
    ("list", &["-L"], Verb::List, 0, 1),
    ("save", &["-S"], Verb::Save, 0, 1),
    ("restore", &["-R"], Verb::Restore, 0, 0),
    ("flush", &["-F"], Verb::Flush, 0, 1),
    ("rename", &["-E", "e"], Verb::Rename, 2, 2),
    ("swap", &["-W", "w"], Verb::Swap, 2, 2),
    ("help", &["-h", "-H"], Verb::Help, 0, 1),
    ("version", &["-v", "-V"], Verb::Version, 0, 0),
];

/// How `list` and `save` print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `plain`
    Plain,
    /// `save`
    Save,
    /// `xml`
    Xml,
}

/// Options that may stand anywhere in a line. In the lines of `restore` they hold from there on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpsetFlags {
    /// `-exist`, `-!`
    pub exist: bool,
    /// `-quiet`, `-q`
    pub quiet: bool,
    /// `-sorted`, `-s`
    pub sorted: bool,
    /// `-name`, `-n`
    pub names: bool,
    /// `-terse`, `-t`
    pub terse: bool,
    /// `-output`, `-o`
    pub output: Option<Output>,
}

/// A line: the command and the words behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsetLine {
    /// The command.
    pub verb: Verb,
    /// What follows it, without the options that may stand anywhere.
    pub words: Vec<String>,
}

/// Short and long name of an option that may stand anywhere.
const OPTIONS: [(&str, &str); 8] = [
    ("-o", "-output"),
    ("-s", "-sorted"),
    ("-q", "-quiet"),
    ("-r", "-resolve"),
    ("-!", "-exist"),
    ("-n", "-name"),
    ("-t", "-terse"),
    ("-f", "-file"),
];

impl IpsetFlags {
    /// Takes the options that may stand anywhere out of a line.
    fn take(&mut self, words: &mut Vec<String>) -> Result<(), IpsetError> {
        for (short, long) in OPTIONS {
            let is = |w: &String| *w == short || *w == long || w.strip_prefix('-') == Some(long);
            while let Some(at) = words.iter().position(is) {
                words.remove(at);
                let takes_word = matches!(short, "-o" | "-f");
                if takes_word && at >= words.len() {
                    return Err(IpsetError::usage(format!("Missing mandatory argument to option {short}")));
                }
                let word = if takes_word { words.remove(at) } else { String::new() };
                match short {
                    "-o" => self.output = Some(output(&word)?),
                    "-s" => self.sorted = true,
                    "-q" => self.quiet = true,
                    "-!" => self.exist = true,
                    "-n" => self.names = true,
                    "-t" => self.terse = true,
                    _ => return Err(IpsetError::not_modelled(&format!("option {long}"))),
                }
            }
        }
        Ok(())
    }
}

fn output(word: &str) -> Result<Output, IpsetError> {
    match word {
        "plain" => Ok(Output::Plain),
        "save" => Ok(Output::Save),
        "xml" => Ok(Output::Xml),
        _ => Err(format!("Syntax error: unknown output mode '{word}'").into()),
    }
}

impl IpsetLine {
    /// Finds the command in the words behind `ipset`; `restoring` in a line of `restore`.
    ///
    /// # Errors
    /// ipset's words about what it does not understand.
    pub fn parse(
        mut words: Vec<String>,
        flags: &mut IpsetFlags,
        restoring: bool,
    ) -> Result<IpsetLine, IpsetError> {
        flags.take(&mut words)?;
        if words.is_empty() {
            return Err(IpsetError::usage("No command specified."));
        }
        let word = words.remove(0);
        let begins = word.strip_prefix("--").unwrap_or(&word);
        let is = |(name, others, ..): &&VerbRow| {
            (!begins.is_empty() && name.starts_with(begins)) || others.contains(&word.as_str())
        };
        let Some((name, _, verb, need, max)) = VERBS.iter().find(is) else {
            return Err(match word.as_str() {
                "-" if !restoring => IpsetError::not_modelled("interactive mode"),
                _ => IpsetError::usage(format!("No command specified: unknown argument {word}")),
            });
        };
        if restoring && matches!(verb, Verb::Restore | Verb::Help | Verb::Version) {
            return Err(IpsetError::usage(format!("Command `{name}' is invalid in restore mode.")));
        }
        if words.len() < *need {
            let which = if words.is_empty() { "" } else { "second " };
            return Err(IpsetError::usage(format!("Missing {which}mandatory argument to command {name}")));
        }
        let open = matches!(verb, Verb::Create | Verb::Add | Verb::Del | Verb::Test);
        match words.get(*max) {
            // These print what they print whatever follows.
            _ if open || matches!(verb, Verb::Help | Verb::Version) => {}
            Some(more) => return Err(IpsetError::usage(format!("Unknown argument {more}"))),
            None => {}
        }
        Ok(IpsetLine { verb: *verb, words })
    }

    /// The word behind the command.
    pub fn name(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }
}
