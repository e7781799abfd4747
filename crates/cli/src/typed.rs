//! Commands that are typed into a lab from the command line, and what they print.

use sim::operator::CommandOutput;
use workshop::LabRun;
use workshop::session::Typed;

/// What the commands from the `first` on have printed, as on a terminal.
pub fn text(typed: &[Typed], run: &LabRun, first: usize) -> String {
    let mut out = String::new();
    for (typed, result) in typed.iter().zip(&run.typed).skip(first) {
        let refused = result.refused.as_ref().map(|r| r.message.as_str());
        out += &exchange(typed, refused, result.output.as_ref());
    }
    out
}

/// A line that was typed, why it was refused, and what it printed.
pub fn exchange(typed: &Typed, refused: Option<&str>, output: Option<&CommandOutput>) -> String {
    let mut out = format!("{}$ {}\n", typed.on.as_deref().unwrap_or_default(), typed.line);
    if let Some(message) = refused {
        out += &format!("nflab: {message}\n");
    }
    for line in output.iter().flat_map(|o| o.stdout.iter().chain(&o.stderr)) {
        out += &format!("{line}\n");
    }
    out
}
