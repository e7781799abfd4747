//! An exercise that stands on a lab: what it does not say itself is the lab's.

use cluster::Read;
use cluster::yaml::{Entry, Value, Yaml};

/// What is taken from the lab, where the exercise does not say it. Claims, goals, prose and switches are never taken.
const TAKEN: [&str; 6] = ["focus", "world", "files", "apps", "steps", "moments"];

/// The labs that an exercise may stand on: names and texts.
pub(crate) fn bases() -> impl Iterator<Item = (&'static str, &'static str)> {
    crate::exercises::BASES.iter().chain(&crate::labs::TEXTS).copied()
}

/// The documents of an exercise, with those of the lab that its field `base` names.
///
/// # Errors
/// Says where `base` names no lab, and which there are.
pub(crate) fn with_base(
    mut documents: Vec<Yaml>,
    is_lab: impl Fn(&Yaml) -> bool,
    read: impl Fn(&str) -> Option<Read<Vec<Yaml>>>,
) -> Read<Vec<Yaml>> {
    let Some(at) = documents.iter().position(&is_lab) else { return Ok(documents) };
    let Some(base) = documents.get_mut(at).and_then(|lab| take(lab, "base")) else { return Ok(documents) };
    let Some(theirs) = read(base.token()) else {
        let known: Vec<&str> = bases().map(|(name, _)| name).collect();
        return Err(base.blame(format!("there is no such lab; expected one of {}", known.join(", "))));
    };
    let mut theirs = theirs?;
    let mut lab = documents.remove(at);
    if let Some(n) = theirs.iter().position(&is_lab) {
        inherit(&mut lab, theirs.remove(n));
    }
    // An object of the same name takes the place of the lab's.
    let named: Vec<_> = documents.iter().map(name_of).collect();
    theirs.retain(|d| !named.contains(&name_of(d)));
    let mut all = vec![lab];
    all.append(&mut theirs);
    all.append(&mut documents);
    Ok(all)
}

fn entries(of: &mut Yaml) -> Option<&mut Vec<Entry>> {
    match &mut of.value {
        Value::Mapping(entries) => Some(entries),
        _ => None,
    }
}

fn take(from: &mut Yaml, key: &str) -> Option<Yaml> {
    let entries = entries(from)?;
    let at = entries.iter().position(|e| e.key == key)?;
    Some(entries.remove(at).value)
}

fn inherit(lab: &mut Yaml, mut base: Yaml) {
    let setup = take(&mut base, "setup");
    let Some(ours) = entries(lab) else { return };
    // Moments speak of steps: other steps have other moments.
    let other_steps = ours.iter().any(|o| o.key == "steps");
    for e in entries(&mut base).map(std::mem::take).unwrap_or_default() {
        let wanted = TAKEN.contains(&e.key.as_str());
        let strange = e.key == "moments" && other_steps;
        if wanted && !strange && !ours.iter().any(|o| o.key == e.key) {
            ours.push(e);
        }
    }
    // What the lab sets up is there before the exercise breaks something.
    let Some(mut setup) = setup else { return };
    match ours.iter_mut().find(|e| e.key == "setup") {
        Some(e) => {
            if let (Value::Sequence(first), Value::Sequence(then)) = (&mut setup.value, &mut e.value.value) {
                first.append(then);
                std::mem::swap(first, then);
            }
        }
        None => ours.push(Entry { key: "setup".to_owned(), place: setup.place, value: setup }),
    }
}

/// Kind, namespace and name.
fn name_of(document: &Yaml) -> (String, String, String) {
    let word = |at: &Yaml, key: &str| match &at.value {
        Value::Mapping(entries) => entries.iter().find(|e| e.key == key).map(|e| e.value.clone()),
        _ => None,
    };
    let text = |v: Option<Yaml>| v.map_or(String::new(), |v| v.token().to_owned());
    let metadata = word(document, "metadata");
    let of = |key| text(metadata.as_ref().and_then(|m| word(m, key)));
    let namespace = of("namespace");
    let namespace = if namespace.is_empty() { "default".to_owned() } else { namespace };
    (text(word(document, "kind")), namespace, of("name"))
}
