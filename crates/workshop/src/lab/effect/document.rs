//! The objects of a cluster as documents: which is which, copies, and what a patch makes of them.

use super::{COPIES, FILE, Named, Refusal};
use cluster::Read;
use cluster::fields::text;
use cluster::yaml::{Entry, Value, Yaml, documents};

/// No more copies than this.
const MAX_COPIES: u32 = 5000;

pub(super) fn documents_of(text: &str) -> Result<Vec<Yaml>, String> {
    documents(text).map_err(|e| e.to_string())
}

pub(in crate::lab) fn one_document(text: &str) -> Result<Yaml, String> {
    documents_of(text)?.into_iter().next().ok_or_else(|| "expected a patch in JSON or YAML".to_owned())
}

/// Kind, namespace and name.
pub(crate) fn identity(document: &Yaml) -> (&str, &str, &str) {
    let metadata = document.get("metadata");
    let of = |key| metadata.and_then(|m| m.get(key)).and_then(|v| text(v).ok());
    (
        document.get("kind").map_or("", Yaml::token),
        of("namespace").unwrap_or("default"),
        of("name").unwrap_or_default(),
    )
}

/// The file that an object waits in.
pub fn file_of(document: &Yaml) -> Option<&str> {
    let annotations = document.get("metadata")?.get("annotations")?;
    annotations.get(FILE).map(Yaml::token)
}

/// Objects with their copies. `Err` is told where the number stands.
pub fn with_copies(documents: &[Yaml]) -> Read<Vec<Yaml>> {
    let mut out = Vec::new();
    for document in documents {
        let annotations = document.get("metadata").and_then(|m| m.get("annotations"));
        match annotations.and_then(|a| a.get(COPIES)) {
            None => out.push(document.clone()),
            Some(at) => {
                let wrong = || at.blame(format!("expected a number from 1 to {MAX_COPIES}"));
                let count: u32 = at.token().parse().map_err(|_| wrong())?;
                if !(1..=MAX_COPIES).contains(&count) {
                    return Err(wrong());
                }
                out.extend((1..=count).map(|n| numbered(document, n)));
            }
        }
    }
    Ok(out)
}

/// `{n}` is a number; `{a}.{b}` are the two lower bytes of an address: the number in two bytes.
fn numbered(document: &Yaml, n: u32) -> Yaml {
    let text = |t: &str| {
        t.replace("{n}", &n.to_string())
            .replace("{a}", &(n / 256).to_string())
            .replace("{b}", &(n % 256).to_string())
    };
    let value = match &document.value {
        Value::Plain(t) => Value::Plain(text(t)),
        Value::Text(t) => Value::Text(text(t)),
        Value::Sequence(items) => Value::Sequence(items.iter().map(|i| numbered(i, n)).collect()),
        Value::Mapping(entries) => {
            let entries = entries.iter().filter(|e| e.key != COPIES);
            Value::Mapping(entries.map(|e| Entry { value: numbered(&e.value, n), ..e.clone() }).collect())
        }
    };
    Yaml { value, ..document.clone() }
}

/// Of objects that are given those that are not there, and those that are, be it by one that was given before them.
pub(super) fn new_and_old<'y>(there: &[Yaml], given: &[&'y Yaml]) -> (Vec<&'y Yaml>, Vec<&'y Yaml>) {
    let (mut new, mut old): (Vec<&Yaml>, Vec<&Yaml>) = (Vec::new(), Vec::new());
    for object in given {
        let same = |d: &Yaml| identity(d) == identity(object);
        let known = there.iter().any(same) || new.iter().any(|d| same(d));
        if known { old.push(object) } else { new.push(object) }
    }
    (new, old)
}

/// A kind as it may be typed, in its long form.
pub(in crate::lab) fn singular(kind: &str) -> &str {
    match kind {
        "svc" | "services" => "service",
        "po" | "pods" => "pod",
        "no" | "nodes" => "node",
        "deploy" | "deployments" | "deployment.apps" => "deployment",
        "ep" => "endpoints",
        "cm" | "configmaps" => "configmap",
        "endpointslices" => "endpointslice",
        "ns" | "namespaces" => "namespace",
        "servicecidrs" => "servicecidr",
        other => other,
    }
}

pub(in crate::lab) fn is(document: &Yaml, named: &Named) -> bool {
    let (kind, namespace, name) = identity(document);
    let lower = kind.to_ascii_lowercase();
    singular(&named.kind.to_ascii_lowercase()) == lower
        && name == named.name
        && (namespace == named.namespace || lower == "node")
}

pub(super) fn find<'y>(documents: &'y mut [Yaml], named: &Named) -> Result<&'y mut Yaml, Refusal> {
    documents.iter_mut().find(|d| is(d, named)).ok_or_else(|| named.not_found())
}

/// A merge patch (RFC 7386); of `ports` those with the same `port` are one, as a strategic merge has it.
pub(in crate::lab) fn merge(into: &mut Yaml, patch: &Yaml) {
    let Value::Mapping(changes) = &patch.value else {
        *into = patch.clone();
        return;
    };
    if !matches!(into.value, Value::Mapping(_)) {
        into.value = Value::Mapping(Vec::new());
    }
    let Value::Mapping(entries) = &mut into.value else { return };
    for change in changes {
        let at = entries.iter().position(|e| e.key == change.key);
        match (at.and_then(|i| entries.get_mut(i)), change.value.is_null()) {
            (Some(_), true) => entries.retain(|e| e.key != change.key),
            (None, true) => {}
            (Some(old), false) if change.key == "ports" => merge_ports(&mut old.value, &change.value),
            (Some(old), false) => merge(&mut old.value, &change.value),
            (None, false) => entries.push(change.clone()),
        }
    }
}

fn merge_ports(into: &mut Yaml, patch: &Yaml) {
    let (Value::Sequence(old), Value::Sequence(new)) = (&mut into.value, &patch.value) else {
        *into = patch.clone();
        return;
    };
    let key = |v: &Yaml| v.get("port").map(|p| p.token().to_owned());
    for port in new {
        match old.iter_mut().find(|o| key(o).is_some() && key(o) == key(port)) {
            Some(same) => merge(same, port),
            None => old.push(port.clone()),
        }
    }
}
