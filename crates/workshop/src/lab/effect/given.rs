//! Objects that commands bring, and what the API server says of them.

use super::document::{file_of, identity};
use super::{FILE, Refusal};
use crate::lab::apply;
use crate::lab::invalid::invalid;
use crate::lab::kubectl::{NAMESPACES, plural};
use crate::lab::stored::check_pod_update;
use crate::yaml_text::json_line;
use cluster::object::prune;
use cluster::yaml::Yaml;

/// Where a command has objects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A file: those with the annotation [`FILE`].
    File(String),
    /// Standard input.
    Input(Vec<Yaml>),
    /// An object that kubectl makes of words.
    Made(Yaml, Maker),
}

/// Who makes an object of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// `kubectl expose`
    Expose,
    /// `kubectl create service`, of this type
    Service(&'static str),
    /// `kubectl run`
    Run,
}

impl Given {
    /// `-f FILE`, or `-f -` for standard input, whose objects are in this namespace if they name none. `Err` says what of the latter
    /// cannot be used.
    pub(super) fn of(
        verb: &str,
        file: String,
        stdin: Option<&str>,
        namespace: &str,
    ) -> Result<Given, String> {
        if file != "-" {
            return Ok(Given::File(file));
        }
        let stdin = stdin.unwrap_or_default();
        if stdin.trim().is_empty() {
            return Err(format!("error: no objects passed to {verb}"));
        }
        let mut objects = apply::objects_of(stdin).map_err(|e| e.to_string())?;
        for object in objects.iter_mut().filter(|_| namespace != "default") {
            let own = identity(object).1.to_owned();
            let metadata = apply::get_mut(object, "metadata");
            match metadata.filter(|m| m.get("namespace").is_none_or(Yaml::is_null)) {
                Some(metadata) => apply::set(metadata, "namespace", apply::plain(namespace.to_owned())),
                None if own != namespace => {
                    return Err(format!(
                        "error: the namespace from the provided object \"{own}\" does not match the namespace \"{namespace}\". You must \
                         pass '--namespace={own}' to perform this operation."
                    ));
                }
                None => {}
            }
        }
        Ok(Given::Input(objects))
    }

    /// The objects; `files` are those that wait in files. `Err` names a file that is not there.
    pub(super) fn objects<'y>(&'y self, files: &'y [Yaml]) -> Result<Vec<&'y Yaml>, String> {
        match self {
            Given::Input(objects) => Ok(objects.iter().collect()),
            Given::Made(object, _) => Ok(vec![object]),
            Given::File(file) => {
                let found: Vec<&Yaml> = files.iter().filter(|d| file_of(d) == Some(file)).collect();
                let missing = || {
                    format!("the path {file:?} does not exist: no object has the annotation {FILE}: {file}")
                };
                if found.is_empty() { Err(missing()) } else { Ok(found) }
            }
        }
    }

    /// Puts an object where the others are; one that is there already is another then. `Err` is what the API server says of that.
    pub(super) fn put(
        &self,
        documents: &mut Vec<Yaml>,
        files: &[Yaml],
        object: &Yaml,
    ) -> Result<(), Refusal> {
        let (kind, namespace, _) = identity(object);
        let old = documents.iter().find(|d| identity(d) == identity(object));
        let typed = !matches!(self, Given::File(_));
        if typed {
            let unknown = prune(&mut object.clone(), kind);
            if !unknown.is_empty() {
                let version = apply::word(object, "apiVersion").unwrap_or("v1");
                let why = format!(
                    "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error"
                );
                return Err(
                    self.server("BadRequest", &format!("{why}: {}", unknown_fields(&unknown).join(", ")))
                );
            }
            let others = || documents.iter().chain(files).map(identity);
            let known = |(kind, inside, name): (&str, &str, &str)| {
                inside == namespace || kind == "Namespace" && name == namespace
            };
            if !NAMESPACES.contains(&namespace) && !others().any(known) {
                return Err(self.server("NotFound", &format!("namespaces \"{namespace}\" not found")));
            }
        }
        if let Some(old) = old {
            check_pod_update(old, object)?;
        }
        let mut faults = Vec::new();
        if typed || kind == "Service" {
            let before = old.map(invalid).unwrap_or_default();
            faults = invalid(object);
            faults.retain(|fault| !before.contains(fault));
        }
        let of_update = old.map_or(Ok(()), |old| check_update(old, object));
        let free = || if typed { apply::check_free(object, documents, files) } else { Ok(()) };
        if let Err(first) = of_update.and_then(|()| free()) {
            faults = vec![first];
        }
        if !faults.is_empty() {
            return Err(match self {
                Given::Made(_, Maker::Service(_)) => {
                    let all = if let [one] = &faults[..] {
                        one.clone()
                    } else {
                        format!("[{}]", faults.join(", "))
                    };
                    self.server("", &format!("{kind} \"{}\" is invalid: {all}", identity(object).2))
                }
                _ => refused(object, &faults),
            });
        }
        let old = documents.iter_mut().find(|d| identity(d) == identity(object));
        match (self, old) {
            (Given::Input(_) | Given::Made(..), _) => apply::apply(documents, object),
            (Given::File(_), Some(old)) => *old = object.clone(),
            (Given::File(_), None) => documents.push(object.clone()),
        }
        Ok(())
    }

    /// What is said of an object that is there already.
    pub(super) fn conflict(&self, kind: &str, name: &str) -> String {
        let why = format!("{} \"{name}\" already exists", plural(&kind.to_ascii_lowercase()));
        self.server("AlreadyExists", &why).line()
    }

    /// How kubectl tells what the API server says of an object that is to be created.
    fn server(&self, reason: &str, why: &str) -> Refusal {
        let from = match self {
            Given::Made(_, Maker::Service(of)) => {
                return Refusal::Kubectl(format!("failed to create {of} service: {why}"));
            }
            Given::Made(..) => return Refusal::Server(format!("Error from server ({reason}): {why}")),
            Given::File(file) => file,
            Given::Input(_) => "STDIN",
        };
        Refusal::Server(format!("Error from server ({reason}): error when creating \"{from}\": {why}"))
    }
}

/// What kubectl prints of an object that the API server refuses for its fields (`checkErr`, pkg/cmd/util).
pub(super) fn refused(object: &Yaml, faults: &[String]) -> Refusal {
    let (kind, _, name) = identity(object);
    let why = if let [one] = faults { one.clone() } else { format!("\n* {}", faults.join("\n* ")) };
    Refusal::Server(format!("The {kind} \"{name}\" is invalid: {why}"))
}

pub(super) fn unknown_fields(paths: &[String]) -> Vec<String> {
    paths.iter().map(|path| format!("unknown field \"{path}\"")).collect()
}

/// Whether an object may be this after it was that.
///
/// # Errors
/// What the API server says of the first field that cannot be another.
pub(super) fn check_update(before: &Yaml, after: &Yaml) -> Result<(), String> {
    apply::check_cluster_ip(before, after)?;
    let selector = |d: &Yaml| d.get("spec").and_then(|s| s.get("selector")).map_or(String::new(), json_line);
    match identity(before).0 == "Deployment" && selector(before) != selector(after) {
        true => Err(format!("spec.selector: Invalid value: {}: field is immutable", selector(after))),
        false => Ok(()),
    }
}
