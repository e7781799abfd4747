//! `kubectl get` and `kubectl describe`: the objects of a cluster as kubectl prints them (staging/src/k8s.io/kubectl,
//! pkg/printers/internalversion). Ages are the time since the run began; what nobody has told is `<none>` or `<unknown>`.

mod columns;
mod describe;
mod jsonpath;

use super::effect::{Named, labels_of, one_document, resource, singular};
use super::rollout::available;
use super::selector::Selector;
use super::stored::Stored;
use crate::yaml_text::{Layout, json, yaml};
use cluster::kube_proxy::Version;
use cluster::object::{Metadata, NamespacedName, Service};
use cluster::yaml::{Value, Yaml};
use columns::{addresses, duration, pod, service, shortened, slice, titles};
use jsonpath::{Template, compare, relaxed};
use sim::operator::CommandOutput;
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The kinds, in their long form.
    kinds: Vec<String>,
    /// The names, and the kind that each is of; all without, and an empty kind for each of them.
    names: Vec<(String, String)>,
    /// `None` for all namespaces.
    namespace: Option<String>,
    output: Output,
    /// `-l`
    selector: Selector,
    /// `describe`
    describe: bool,
    /// `--show-labels`
    labels: bool,
    /// `--no-headers`
    bare: bool,
    /// `--field-selector`
    fields: Selector,
    /// `--sort-by`
    sort: Option<Template>,
}

/// `-o`
#[derive(Clone, Debug, PartialEq, Eq)]
enum Output {
    Table { wide: bool },
    Name,
    Yaml,
    Json,
    JsonPath(Template),
    Columns(Vec<(String, Template)>),
}

/// What is looked at, besides kinds and names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks<'a> {
    /// `-n`
    pub namespace: &'a str,
    /// `-A`
    pub all: bool,
    /// `-o`
    pub output: Option<&'a str>,
    /// `-l`
    pub selector: Option<&'a str>,
    /// `--show-labels`
    pub labels: bool,
    /// `--no-headers`
    pub bare: bool,
    /// `--field-selector`
    pub fields: Option<&'a str>,
    /// `--sort-by`
    pub sort: Option<&'a str>,
}

/// Kinds that are listed.
const KINDS: [&str; 8] =
    ["pod", "service", "node", "endpoints", "endpointslice", "deployment", "namespace", "configmap"];

/// Kinds that are described.
const DESCRIBED: [&str; 2] = ["pod", "service"];

/// Kinds that the API server has besides, and their short names.
const OTHERS: [&str; 15] = [
    "cronjob",
    "daemonset",
    "ds",
    "event",
    "ing",
    "ingresse",
    "ingress",
    "job",
    "networkpolicie",
    "replicaset",
    "rs",
    "secret",
    "servicecidr",
    "statefulset",
    "sts",
];

/// Since this release the API server says [`ENDPOINTS_WARNING`].
const ENDPOINTS_DEPRECATED: Version = Version::V1_35;

/// Columns that kubectl has come to print since 1.10 of pods, behind the others.
const SINCE_1_10: [&str; 2] = ["NOMINATED NODE", "READINESS GATES"];

/// The least width of a column of kubectl's 1.10.
const WIDTH_OF_1_10: usize = 10;

/// What the API server says of a kind that EndpointSlices have replaced.
const ENDPOINTS_WARNING: &str =
    "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// What `-o` may be.
const FORMATS: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,\
                       templatefile,wide,yaml";

/// Fields that `--field-selector` may ask for (pkg/apis/core/v1/conversion.go).
const SELECTED: &str =
    "metadata.name metadata.namespace spec.nodeName status.phase status.podIP spec.clusterIP spec.type";

/// The namespaces that each cluster has.
pub(super) const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Reads the words behind `kubectl get` or `describe`.
///
/// # Errors
/// Says which word is not read, and what was expected.
pub fn query(verb: &str, words: &[&str], looks: Looks<'_>) -> Result<Query, String> {
    let describe = verb == "describe";
    let output = looks.output.unwrap_or_default();
    let output = match output.split_once('=').unwrap_or((output, "")) {
        ("", _) => Output::Table { wide: false },
        _ if describe => return Err("error: unknown shorthand flag: 'o' in -o".to_owned()),
        ("wide", "") => Output::Table { wide: true },
        ("name", "") => Output::Name,
        ("yaml", "") => Output::Yaml,
        ("json", "") => Output::Json,
        ("jsonpath" | "custom-columns", "") => {
            return Err("error: template format specified but no template given".to_owned());
        }
        ("jsonpath", text) => Output::JsonPath(Template::read(text)?),
        ("custom-columns", text) => {
            let column = |one: &str| match one.split_once(':') {
                Some((title, path)) => Ok((title.to_owned(), relaxed(path)?)),
                None => Err(format!(
                    "error: unexpected custom-columns spec: {one}, expected <header>:<json-path-expr>"
                )),
            };
            Output::Columns(text.split(',').map(column).collect::<Result<_, _>>()?)
        }
        (other, _) if FORMATS.split(',').any(|format| format == other) => {
            return Err(format!(
                "kubectl's output {other:?} is not modelled; expected -o wide, name, yaml, json, jsonpath=TEMPLATE, custom-columns=SPEC or nothing"
            ));
        }
        _ => {
            return Err(format!(
                "error: unable to match a printer suitable for the output format \"{output}\", allowed formats are: {FORMATS}"
            ));
        }
    };
    let sort = looks.sort.map(relaxed).transpose()?;
    let fields = looks.fields.map(Selector::read).transpose()?.unwrap_or_default();
    let selector = looks.selector.map(Selector::read).transpose()?.unwrap_or_default();
    let known = || format!("expected one of {}", KINDS.join(", "));
    let (first, rest) = words.split_first().ok_or_else(|| {
        let explain = match describe {
            true => "",
            false => "Use \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).\n",
        };
        format!(
            "You must specify the type of resource to {verb}. Use \"kubectl api-resources\" for a complete list of supported resources.\n\n\
             error: Required resource not specified.\n{explain}See 'kubectl {verb} -h' for help and examples"
        )
    })?;
    let mut names: Vec<(String, String)> = Vec::new();
    let mut kinds: Vec<&str> = Vec::new();
    if first.contains('/') {
        for word in words {
            let (kind, name) = pair(word)?;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
            names.push((singular(&kind.to_ascii_lowercase()).to_owned(), name.to_owned()));
        }
    } else {
        if rest.iter().any(|name| name.contains('/')) {
            return Err(
                "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form \
                 (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'"
                    .to_owned(),
            );
        }
        kinds.extend(first.split(','));
        names.extend(rest.iter().map(|name| (String::new(), (*name).to_owned())));
    }
    let mut long = Vec::new();
    for kind in kinds {
        if kind == "all" && !describe {
            long.extend(["pod", "service", "deployment"].map(str::to_owned));
            continue;
        }
        let lower = kind.to_ascii_lowercase();
        let kind = singular(&lower);
        if ![kind, kind.trim_end_matches('s')].iter().any(|k| KINDS.contains(k) || OTHERS.contains(k)) {
            return Err(format!("error: the server doesn't have a resource type \"{kind}\""));
        }
        if !KINDS.contains(&kind) || describe && !DESCRIBED.contains(&kind) {
            let what = if describe { format!("expected {}", DESCRIBED.join(" or ")) } else { known() };
            return Err(format!("kubectl {verb} {kind:?} is not modelled; {what}"));
        }
        long.push(kind.to_owned());
    }
    if !names.is_empty() && looks.selector.is_some() {
        return Err("error: name cannot be provided when a selector is specified".to_owned());
    }
    let namespace = (!looks.all).then(|| looks.namespace.to_owned());
    if looks.all && !names.is_empty() {
        return Err("error: a resource cannot be retrieved by name across all namespaces".to_owned());
    }
    if let Some(field) = fields.keys().find(|field| !SELECTED.split(' ').any(|known| known == *field)) {
        return Err(format!(
            "Error from server (BadRequest): Unable to find {:?} that match label selector {:?}, field selector {:?}: field label not \
             supported: {field}",
            plural(long.first().map_or("", String::as_str)),
            looks.selector.unwrap_or_default(),
            looks.fields.unwrap_or_default(),
        ));
    }
    let (labels, bare) = (looks.labels, looks.bare);
    Ok(Query { kinds: long, names, namespace, output, selector, describe, labels, bare, fields, sort })
}

impl Query {
    /// What kubectl prints. Its status is 1 if something that was named is not there.
    pub fn print(&self, stored: &Stored<'_>, age: Duration) -> CommandOutput {
        let (mut out, mut missing, mut trees) = (Vec::new(), Vec::new(), Vec::new());
        let mut open = false;
        let mut warnings = Vec::new();
        for kind in &self.kinds {
            if kind == "endpoints" && stored.kubelet >= ENDPOINTS_DEPRECATED {
                warnings.push(ENDPOINTS_WARNING.to_owned());
            }
            let mut rows = self.rows(kind, stored, age);
            let asked: Vec<&str> = self
                .names
                .iter()
                .filter(|(of, _)| of.is_empty() || of == kind)
                .map(|(_, n)| n.as_str())
                .collect();
            for name in &asked {
                if !rows.iter().any(|r| r.key.1 == *name) {
                    missing.push(not_found(kind, name));
                }
            }
            rows.retain(|r| self.names.is_empty() || asked.contains(&r.key.1.as_str()));
            let tree = |r: &Row| stored.get(kind, &r.key);
            if let Some(path) = &self.sort {
                let value = |r: &Row| tree(r).map(|tree| path.values(&tree).concat()).unwrap_or_default();
                sorted::sort_by(&mut rows, |a, b| compare(&value(a), &value(b)));
            }
            match &self.output {
                _ if rows.is_empty() => {}
                Output::Name => out.extend(rows.iter().map(|r| resource(kind, &r.key.1))),
                Output::Yaml | Output::Json | Output::JsonPath(_) | Output::Columns(_) => {
                    trees.extend(rows.iter().filter_map(tree));
                }
                Output::Table { .. } if self.describe => {
                    for (row, tree) in rows.iter().filter_map(|r| Some((r, tree(r)?))) {
                        if !out.is_empty() {
                            out.extend([String::new(), String::new()]);
                        }
                        let objects = stored.objects;
                        let service = objects.services.get(&row.key).filter(|_| kind == "service");
                        let pod = objects.pods.get(&row.key).filter(|_| kind == "pod");
                        out.extend(service.map(|s| describe::service(s, &tree, stored)).unwrap_or_default());
                        out.extend(pod.map(|p| describe::pod(p, &tree, stored)).unwrap_or_default());
                    }
                }
                Output::Table { wide } => {
                    out.extend((!out.is_empty()).then(String::new));
                    out.extend(self.table(kind, &rows, *wide, stored.kubelet));
                }
            }
        }
        // One that is named stands by itself.
        let one = self.names.len() == 1 && self.kinds.len() == 1;
        match &self.output {
            Output::Columns(columns) => {
                let field = |path: &Template, tree: &Yaml| {
                    let told = path.values(tree).join(",");
                    if told.is_empty() { "<none>".to_owned() } else { told }
                };
                let mut lines = vec![columns.iter().map(|(title, _)| title.clone()).collect()];
                lines.extend(
                    trees.iter().map(|tree| columns.iter().map(|(_, path)| field(path, tree)).collect()),
                );
                lines.drain(..usize::from(self.bare));
                out = aligned(&lines, 0);
            }
            Output::Yaml | Output::Json | Output::JsonPath(_) => {
                let tree = if one { trees.pop() } else { list(trees) };
                let text = tree.map(|t| match &self.output {
                    Output::JsonPath(template) => template.print(&t),
                    Output::Json => Ok(json(&t)),
                    _ => Ok(yaml(&t, Layout::Kubectl)),
                });
                match text {
                    Some(Ok(text)) => {
                        open = matches!(self.output, Output::JsonPath(_))
                            && !text.is_empty()
                            && !text.ends_with('\n');
                        out.extend(text.lines().map(str::to_owned));
                    }
                    Some(Err(why)) => missing.extend(why.lines().map(str::to_owned)),
                    None => {}
                }
            }
            Output::Table { .. } if out.is_empty() && missing.is_empty() => {
                missing.push(match &self.namespace {
                    Some(ns) if !self.kinds.iter().all(|k| ["node", "namespace"].contains(&k.as_str())) => {
                        format!("No resources found in {ns} namespace.")
                    }
                    _ => "No resources found".to_owned(),
                });
            }
            _ => {}
        }
        let status = i32::from(missing.iter().any(|l| l.starts_with("Error") || l.starts_with("error")));
        warnings.extend(missing);
        CommandOutput { open, ..CommandOutput::ended(status, out, warnings) }
    }

    /// The objects that are asked for.
    pub fn named(&self, stored: &Stored<'_>) -> Vec<Named> {
        let mut out = Vec::new();
        for kind in &self.kinds {
            for row in self.rows(kind, stored, Duration::ZERO) {
                let (namespace, name) = row.key;
                out.push(Named { kind: kind.clone(), namespace, name });
            }
        }
        out
    }

    /// The columns as kubectl of a release prints them: each is as wide as its widest field and three blanks.
    fn table(&self, kind: &str, rows: &[Row], wide: bool, kubectl: Version) -> Vec<String> {
        let all = self.namespace.is_none() && !matches!(kind, "node" | "namespace");
        let with = |namespace: &str, name: &str, fields: &[String]| {
            let prefixed = self.kinds.len() > 1 && name != "NAME";
            let mut line: Vec<String> = if all { vec![namespace.to_owned()] } else { Vec::new() };
            line.push(if prefixed { resource(kind, name) } else { name.to_owned() });
            line.extend(fields.iter().cloned());
            line
        };
        let more = self.labels.then_some("LABELS");
        let old = kubectl == Version::V1_10;
        let there = |title: &&str| !old || !SINCE_1_10.contains(title);
        let titles: Vec<String> =
            titles(kind, wide).iter().copied().filter(there).chain(more).map(str::to_owned).collect();
        let mut lines = vec![with("NAMESPACE", "NAME", &titles)];
        lines.extend(rows.iter().map(|r| with(&r.key.0, &r.key.1, &r.fields)));
        lines.drain(..usize::from(self.bare));
        aligned(&lines, if old { WIDTH_OF_1_10 } else { 0 })
    }

    fn rows(&self, kind: &str, stored: &Stored<'_>, age: Duration) -> Vec<Row> {
        let objects = stored.objects;
        let wide = self.output == Output::Table { wide: true };
        let age = duration(age);
        let of = |m: &Metadata, fields: Vec<String>| Row { key: m.key(), fields };
        let mut rows: Vec<Row> = match kind {
            "pod" => {
                let unknown = if wide && stored.kubelet == Version::V1_10 { SINCE_1_10.len() } else { 0 };
                let fields = |p| {
                    let mut all = pod(p, wide, &age);
                    all.truncate(all.len() - unknown);
                    all
                };
                objects.pods.values().map(|p| of(&p.metadata, fields(p))).collect()
            }
            "service" => objects.services.values().map(|s| of(&s.metadata, service(s, wide, &age))).collect(),
            "endpoints" => {
                // Who has neither a selector nor endpoints that somebody has written has none.
                let has = |(key, s): &(&NamespacedName, &Service)| {
                    let mut slices = objects.endpoint_slices.values();
                    !s.selector.is_empty()
                        || slices.any(|e| (&e.metadata.namespace, &e.service) == (&key.0, &key.1))
                };
                let mut keys: Vec<NamespacedName> = objects.endpoints.keys().cloned().collect();
                keys.extend(objects.services.iter().filter(has).map(|(key, _)| key.clone()));
                sorted::sort(&mut keys);
                keys.dedup();
                let row = |key: NamespacedName| {
                    let fields = vec![shortened(&addresses(&key, objects, None)), age.clone()];
                    Row { key, fields }
                };
                keys.into_iter().map(row).collect()
            }
            "endpointslice" => {
                objects.endpoint_slices.values().map(|s| of(&s.metadata, slice(s, &age))).collect()
            }
            "deployment" => {
                let fields = |d: &cluster::object::Deployment| {
                    let (n, runs) = (d.replicas, available(d, objects));
                    vec![format!("{runs}/{n}"), n.to_string(), runs.to_string(), age.clone()]
                };
                objects.deployments.values().map(|d| of(&d.metadata, fields(d))).collect()
            }
            "configmap" => {
                let fields = |c: &cluster::object::ConfigMap| vec![c.data.len().to_string(), age.clone()];
                objects.config_maps.values().map(|c| of(&c.metadata, fields(c))).collect()
            }
            "namespace" => {
                let given = objects.namespaces.values().map(|m| m.name.as_str());
                let used = objects.services.keys().chain(objects.pods.keys()).map(|(ns, _)| ns.as_str());
                let mut names: Vec<&str> = NAMESPACES.into_iter().chain(given).chain(used).collect();
                sorted::sort(&mut names);
                names.dedup();
                let row = |name: &&str| Row {
                    key: (String::new(), (*name).to_owned()),
                    fields: vec!["Active".to_owned(), age.clone()],
                };
                names.iter().map(row).collect()
            }
            _ => {
                let fields = |n: &cluster::object::Node| {
                    let release = format!("v{}", stored.kubelet);
                    let mut f = vec!["Ready".to_owned(), "<none>".to_owned(), age.clone(), release];
                    if wide {
                        f.push(n.internal_ips.first().map_or("<none>".to_owned(), ToString::to_string));
                        f.extend(["<none>", "<unknown>", "<unknown>", "<unknown>"].map(str::to_owned));
                    }
                    f
                };
                objects.nodes.values().map(|n| of(&n.metadata, fields(n))).collect()
            }
        };
        rows.retain(|r| {
            let here = r.key.0.is_empty() || self.namespace.as_ref().is_none_or(|n| *n == r.key.0);
            here && (self.selector.is_empty() && self.fields.is_empty()
                || self.selects(stored.get(kind, &r.key).as_ref()))
        });
        for row in rows.iter_mut().filter(|_| self.labels) {
            let all = stored.get(kind, &row.key).map(|tree| labels_of(&tree)).unwrap_or_default();
            let all: Vec<String> =
                all.into_iter().map(|(key, value)| format!("{key}={}", value.unwrap_or_default())).collect();
            row.fields.push(if all.is_empty() { "<none>".to_owned() } else { all.join(",") });
        }
        // The API server lists by name.
        sorted::sort_by(&mut rows, |a, b| a.key.cmp(&b.key));
        rows
    }

    /// An object has the labels that are asked for.
    fn selects(&self, tree: Option<&Yaml>) -> bool {
        let labels = tree.and_then(|t| t.get("metadata")?.get("labels"));
        let value = |field: &str| field.split('.').try_fold(tree?, |at, key| at.get(key)).map(Yaml::token);
        if !self.fields.selects(value) {
            return false;
        }
        self.selector.selects(|key| labels.and_then(|l| l.get(key)).map(Yaml::token))
    }
}

/// Lines whose columns are as wide as their widest fields and three blanks, and at least so wide.
fn aligned(lines: &[Vec<String>], least: usize) -> Vec<String> {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |i: usize| {
        let widest = lines.iter().filter_map(|l| l.get(i)).map(|f| f.chars().count() + 3).max();
        widest.unwrap_or(0).max(least)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |l: &Vec<String>| {
        let padded = l.iter().zip(&widths).enumerate().map(|(i, (field, width))| {
            if i + 1 == columns { field.clone() } else { format!("{field:<width$}") }
        });
        padded.collect::<String>()
    };
    lines.iter().map(line).collect()
}

/// `pod/web` as kind and name (cli-runtime, `splitResourceTypeName`).
///
/// # Errors
/// What kubectl says of another form.
pub(super) fn pair(word: &str) -> Result<(&str, &str), &'static str> {
    match word.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            Err("error: arguments in resource/name form may not have more than one slash")
        }
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() && !kind.contains(',') => Ok((kind, name)),
        _ => Err("error: arguments in resource/name form must have a single resource and name"),
    }
}

/// An object in a list.
struct Row {
    /// Namespace and name.
    key: (String, String),
    fields: Vec<String>,
}

/// Several objects, or none.
fn list(trees: Vec<Yaml>) -> Option<Yaml> {
    let mut list =
        one_document("{apiVersion: v1, items: [], kind: List, metadata: {resourceVersion: ''}}").ok()?;
    if let Value::Mapping(entries) = &mut list.value
        && let Some(items) = entries.iter_mut().find(|e| e.key == "items")
    {
        items.value.value = Value::Sequence(trees);
    }
    Some(list)
}

/// How the API server names a kind in messages: in the plural, with its group. The kind is in lower-case letters, in the singular.
pub(super) fn plural(kind: &str) -> String {
    let plural = match kind {
        "endpoints" => kind.to_owned(),
        "ingress" => "ingresses".to_owned(),
        "networkpolicy" => "networkpolicies".to_owned(),
        _ => format!("{kind}s"),
    };
    plural + group(kind)
}

/// What the API server says of an object that is not there.
pub(super) fn not_found(kind: &str, name: &str) -> String {
    format!("Error from server (NotFound): {} \"{name}\" not found", plural(kind))
}

/// The group of a kind, behind a full stop; none for those of the core.
pub(super) fn group(kind: &str) -> &'static str {
    match kind {
        "daemonset" | "deployment" | "replicaset" | "statefulset" => ".apps",
        "endpointslice" => ".discovery.k8s.io",
        "ingress" | "networkpolicy" | "servicecidr" => ".networking.k8s.io",
        _ => "",
    }
}
