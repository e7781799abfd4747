//! `kubectl exec`: a command of another box.

/// `kubectl exec [-it] POD -- COMMAND`: the pod whose command it is, and the command; `None` for another program.
///
/// # Errors
/// Says what of it is not read, and what was expected.
pub fn executed(argv: &[String]) -> Result<Option<(String, Vec<String>)>, String> {
    const USAGE: &str = "expected kubectl exec POD -- COMMAND";
    const NO_POD: &str = "error: pod, type/name or --filename must be specified";
    const NO_COMMAND: &str = "error: you must specify at least one command for the container";
    const OLD: &str = "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples";
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    if words.first() != Some(&"kubectl") || !words.iter().take_while(|w| **w != "--").any(|w| *w == "exec") {
        return Ok(None);
    }
    let dash = words.iter().position(|w| *w == "--");
    let at = dash.unwrap_or(words.len());
    let (mut pod, mut before) = (None, words.get(1..at).unwrap_or_default().iter());
    while let Some(word) = before.next() {
        match *word {
            "exec" | "-i" | "-t" | "-it" | "-ti" | "--stdin" | "--tty" => {}
            // A name says which pod it is, whatever its namespace; a pod is one box, whatever its containers.
            "-n" | "--namespace" | "-c" | "--container" => {
                before.next();
            }
            option if option.starts_with('-') => return Err(format!("{option:?} is not read here; {USAGE}")),
            name if pod.is_none() => pod = Some(name.trim_start_matches("pod/").to_owned()),
            _ => return Err(OLD.to_owned()),
        }
    }
    let command: Vec<String> = argv.get(at + 1..).unwrap_or_default().to_vec();
    match pod {
        Some(pod) if !command.is_empty() => Ok(Some((pod, command))),
        Some(_) => Err(NO_COMMAND.to_owned()),
        None => Err(NO_POD.to_owned()),
    }
}
