//! Asking a text for its only mistake.

use userland::Diagnostic;
use userland::iptables::parse_restore;

/// The only diagnostic of a text.
pub fn only(text: &str) -> Diagnostic {
    match parse_restore(text) {
        Err(all) => match <[Diagnostic; 1]>::try_from(all) {
            Ok([d]) => d,
            Err(all) => panic!("more than one diagnostic for {text:?}: {all:#?}"),
        },
        Ok(_) => panic!("accepted: {text:?}"),
    }
}

/// Line, column, token, message and help of the only diagnostic.
#[track_caller]
pub fn says(text: &str, line: u32, col: u32, token: &str, message: &str, help: &str) {
    let d = only(text);
    let got = (d.span.line, d.span.col, d.token.as_str(), d.message.as_str(), d.help.as_str());
    assert_eq!(got, (line, col, token, message, help), "{text}");
}

/// The same for a rule in table filter: a text of three lines with the rule in the second.
#[track_caller]
pub fn rule(rule: &str, token: &str, message: &str, help: &str) {
    let text = format!("*filter\n{rule}\nCOMMIT\n");
    let d = only(&text);
    let got = (d.span.line, d.token.as_str(), d.message.as_str(), d.help.as_str());
    assert_eq!(got, (2, token, message, help), "{rule}");
    let at = rule.rfind(token).map(|i| rule[..i].chars().count() + 1).expect("the token is in the rule");
    assert!(d.span.col as usize <= at, "{rule}: column {}", d.span.col);
}
