//! `kubectl` as it is typed: what it changes, or asks.

use super::command::Words;
use super::document::one_document;
use super::service::{self, Expose};
use super::{Effect, Given, Named};
use crate::lab::kubectl::{Looks, query};
use crate::lab::logs::Logs;
use crate::session::quoted;
use cluster::yaml::{Value, Yaml};

/// kubectl's commands, as far as they are read.
const KUBECTL: [&str; 13] = [
    "patch", "apply", "create", "run", "expose", "delete", "scale", "rollout", "set", "label", "get",
    "describe", "logs",
];
/// Those that people look for here, and that are not read.
const UNREAD: [&str; 3] = ["edit", "annotate", "replace"];
const USAGE: &str = "expected kubectl patch KIND NAME -p PATCH, label KIND NAME KEY=VALUE, apply -f FILE, create -f FILE, create service TYPE NAME, run NAME --image=IMAGE, expose KIND NAME, delete KIND NAME, \
                     scale deployment NAME --replicas=N, rollout restart|status deployment NAME, get KIND, describe service|pod NAME, logs POD, exec POD -- COMMAND or set image daemonset/kube-proxy kube-proxy=IMAGE";

/// Reads the words behind `kubectl`.
pub(super) fn read(words: &mut Words<'_>, stdin: Option<&str>) -> Result<Vec<Effect>, String> {
    let (mut namespace, mut plain, mut options) = ("default".to_owned(), Vec::new(), Vec::new());
    let mut looks = Looks::default();
    let (mut patch, mut file, mut replicas, mut tail) = (None, None, None, None);
    let (mut overwrite, mut every) = (false, false);
    // What is not modelled at all is not told by an option of it.
    let verb = words.argv.iter().find(|w| KUBECTL.contains(&w.as_str()) || UNREAD.contains(&w.as_str()));
    if let Some(verb) = verb.filter(|verb| UNREAD.contains(&verb.as_str())) {
        return Err(format!(
            "kubectl {verb} is not modelled; the page shows all objects under Cluster. {USAGE}"
        ));
    }
    let verb = verb.map_or("", String::as_str);
    let logs = verb == "logs";
    while let Some(word) = words.next() {
        if verb == "run" && word == "--" {
            // What its container is to run: a pod has the programs that the lab gives it.
            while words.next().is_some() {}
            break;
        }
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (word, None),
        };
        let mut value =
            |what| inline.map_or_else(|| words.need(what).map_err(|why| format!("{why} behind {name}")), Ok);
        match name {
            _ if service::takes(verb, name) => options.push((name.to_owned(), value("a value")?.to_owned())),
            "-n" | "--namespace" => namespace = value("a namespace")?.to_owned(),
            "--show-labels" if verb == "get" => looks.labels = true,
            "-l" if verb == "run" => options.push(("--labels".to_owned(), value("labels")?.to_owned())),
            "-i" | "-t" | "-it" | "-ti" | "--stdin" | "--tty" | "--rm" | "--attach" if verb == "run" => {
                return Err(format!(
                    "kubectl run {name} is not modelled: nobody types into a container; expected kubectl run NAME --image=IMAGE, \
                     and then kubectl exec NAME -- COMMAND"
                ));
            }
            "-A" | "--all-namespaces" => looks.all = true,
            "-o" | "--output" => looks.output = Some(value("a format")?),
            "-l" | "--selector" => looks.selector = Some(value("labels")?),
            _ if name.starts_with("-o") => looks.output = name.get(2..),
            "-p" | "--patch" => {
                let text = value("a patch")?;
                patch = Some(one_document(text).map_err(|why| format!("-p {text}: {why}"))?);
                if !matches!(&patch, Some(Yaml { value: Value::Mapping(_), .. })) {
                    return Err(format!("-p {text}: expected a mapping, such as {{\"spec\": {{...}}}}"));
                }
            }
            // As if Ctrl-C came when everything is printed that there is.
            "-f" | "--follow" if logs => {}
            "-w" | "--watch" if verb == "get" && inline.is_none() => {}
            "--tail" if logs => tail = Some(value("a number of lines")?.to_owned()),
            "-f" | "--filename" => file = Some(value("a file")?.to_owned()),
            "--type" => match value("a type of patch")? {
                "merge" | "strategic" => {}
                other => return Err(format!("patches of type {other:?} are not modelled")),
            },
            "--replicas" => {
                let n = value("a number")?;
                replicas = Some(n.parse().map_err(|_| format!("{n:?}: expected a number of replicas"))?);
            }
            "--overwrite" if inline.is_none() => overwrite = true,
            "--all" if matches!(verb, "delete" | "label") && inline.is_none() => every = true,
            // Nobody waits here.
            "--timeout" | "--watch" if verb == "rollout" => {
                value("a time")?;
            }
            "-w" if verb == "rollout" => {}
            // A pod that is deleted is gone at once.
            "--now" | "--wait" if verb == "delete" => {}
            _ if name.starts_with('-') => return Err(format!("kubectl's option {name:?} is not modelled")),
            _ => plain.push(word),
        }
    }
    let verb = plain.first().copied().unwrap_or_default();
    if let ("label", None, None, None) = (verb, &patch, &file, replicas) {
        let words = plain.get(1..).unwrap_or_default();
        looks.namespace = &namespace;
        let each = every || looks.selector.is_some();
        return if each { label_each(words, looks, overwrite) } else { label(&namespace, words, overwrite) };
    }
    let several = || {
        const WANT: &str = "expected KIND/NAME or KIND NAME";
        let named = |(kind, name): (&str, &str)| Named {
            kind: kind.to_ascii_lowercase(),
            namespace: namespace.clone(),
            name: name.to_owned(),
        };
        let begin = if verb == "rollout" { 2 } else { 1 };
        match plain.get(begin..) {
            Some(all @ [one, ..]) if one.contains('/') => {
                all.iter().map(|one| one.split_once('/').map(named).ok_or(WANT)).collect()
            }
            Some([kind, names @ ..]) if !names.is_empty() => {
                Ok(names.iter().map(|name| named((kind, name))).collect::<Vec<_>>())
            }
            _ => Err(WANT),
        }
        .map_err(|why| format!("kubectl {}: {why}", plain.join(" ")))
    };
    let named = || {
        let mut all = several()?;
        all.pop()
            .filter(|_| all.is_empty())
            .ok_or_else(|| format!("kubectl {}: expected one KIND NAME", plain.join(" ")))
    };
    if matches!(verb, "get" | "describe") && patch.is_none() && file.is_none() && replicas.is_none() {
        let words = plain.get(1..).unwrap_or_default();
        looks.namespace = &namespace;
        return query(verb, words, looks).map(|query| vec![Effect::Get(query)]);
    }
    if verb == "delete" && file.is_none() && (every || looks.selector.is_some()) {
        let [kind] = plain.get(1..).unwrap_or_default() else {
            return Err("expected kubectl delete KIND with --all or -l".to_owned());
        };
        looks.namespace = &namespace;
        return query(verb, &[kind], looks).map(|query| vec![Effect::DeleteEach(query)]);
    }
    if looks.all || looks.output.is_some() || looks.selector.is_some() {
        return Err(format!("kubectl {verb} has no -A, -o and -l here; get has"));
    }
    if let ("logs", None, None, None) = (verb, &patch, &file, replicas) {
        let words = plain.get(1..).unwrap_or_default();
        return Logs::read(&namespace, words, tail.as_deref()).map(|logs| vec![Effect::Logs(logs)]);
    }
    if let ("set", None, None, None) = (verb, &patch, &file, replicas) {
        return set_image(&namespace, plain.get(1..).unwrap_or_default()).map(|effect| vec![effect]);
    }
    if let ("delete", None, None, None) = (verb, &patch, &file, replicas) {
        return Ok(several()?.into_iter().map(Effect::Delete).collect());
    }
    if let ("rollout", Some(&"restart"), None, None, None) = (verb, plain.get(1), &patch, &file, replicas) {
        return Ok(vec![Effect::Restart(named()?)]);
    }
    if let ("rollout", Some(&"status"), None, None, None) = (verb, plain.get(1), &patch, &file, replicas) {
        return Ok(vec![Effect::Status(named()?)]);
    }
    let effect = match (verb, patch, file, replicas) {
        ("run", None, None, None) => service::run(&namespace, plain.get(1..).unwrap_or_default(), &options),
        ("patch", Some(patch), None, None) => Ok(Effect::Patch(named()?, patch)),
        ("apply", None, Some(file), None) => Given::of(file, stdin, &namespace).map(Effect::Apply),
        ("expose", None, None, None) => Ok(Effect::Expose(Expose { of: named()?, options })),
        ("create", None, None, None) => {
            service::create(&namespace, plain.get(1..).unwrap_or_default(), &options)
        }
        ("create", None, Some(file), None) if options.is_empty() => {
            Given::of(file, stdin, &namespace).map(Effect::Create)
        }
        ("delete", None, Some(file), None) => Given::of(file, stdin, &namespace).map(Effect::DeleteAll),
        ("scale", None, None, Some(n)) => Ok(Effect::Scale(named()?, n)),
        _ if plain.is_empty() => Err(USAGE.to_owned()),
        _ => Err(format!("kubectl {} is not read; {USAGE}", plain.join(" "))),
    };
    effect.map(|effect| vec![effect])
}

const LABEL: &str =
    "expected kubectl label KIND NAME KEY=VALUE, or KEY- to take a label away; --all or -l instead of a NAME";

/// The words that name objects, and those that say what their labels are to be.
fn before_labels<'w, 'a>(words: &'w [&'a str]) -> (&'w [&'a str], &'w [&'a str]) {
    let is_label = |w: &&str| w.contains('=') || w.ends_with('-');
    words.split_at(words.iter().position(is_label).unwrap_or(words.len()))
}

/// `kubectl label KIND NAME... KEY=VALUE... KEY-...`: labels are set, and taken away.
fn label(namespace: &str, words: &[&str], overwrite: bool) -> Result<Vec<Effect>, String> {
    let (objects, labels) = before_labels(words);
    let pairs: Vec<(&str, &str)> = match objects {
        [one, ..] if one.contains('/') => {
            objects.iter().map(|one| one.split_once('/').ok_or(LABEL)).collect::<Result<_, _>>()?
        }
        [kind, names @ ..] if !names.is_empty() => names.iter().map(|name| (*kind, *name)).collect(),
        _ => return Err(LABEL.to_owned()),
    };
    let patch = labels_patch(labels)?;
    let label = |(kind, name): (&str, &str)| {
        let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        Effect::Label(Named { kind, namespace, name }, patch.clone(), overwrite)
    };
    Ok(pairs.into_iter().map(label).collect())
}

/// The same with `--all` or `-l`.
fn label_each(words: &[&str], looks: Looks<'_>, overwrite: bool) -> Result<Vec<Effect>, String> {
    let (objects, labels) = before_labels(words);
    let [_] = objects else { return Err(LABEL.to_owned()) };
    let query = query("label", objects, looks)?;
    Ok(vec![Effect::LabelEach(query, labels_patch(labels)?, overwrite)])
}

/// What changes the labels of an object.
fn labels_patch(labels: &[&str]) -> Result<Yaml, String> {
    if labels.is_empty() {
        return Err(LABEL.to_owned());
    }
    let mut text = "{metadata: {labels: {".to_owned();
    for word in labels {
        let (key, value) = match (word.split_once('='), word.strip_suffix('-')) {
            (Some((key, value)), _) => (key, quoted(value)),
            (None, key) => (key.unwrap_or_default(), "null".to_owned()),
        };
        if key.is_empty() {
            return Err(format!("{word:?}: {LABEL}"));
        }
        text += &format!("{}: {value}, ", quoted(key));
    }
    one_document(&(text + "}}}"))
}

/// `daemonset/kube-proxy kube-proxy=registry.k8s.io/kube-proxy:v1.17.17`: only this image matters to packets.
fn set_image(namespace: &str, words: &[&str]) -> Result<Effect, String> {
    let image = match words {
        ["image", "daemonset/kube-proxy" | "ds/kube-proxy", image] if namespace == "kube-system" => image,
        _ => {
            return Err(
                "only `kubectl -n kube-system set image daemonset/kube-proxy kube-proxy=IMAGE` is modelled"
                    .to_owned(),
            );
        }
    };
    let tag =
        image.strip_prefix("kube-proxy=").and_then(|i| i.rsplit_once("kube-proxy:")).map(|(_, tag)| tag);
    let tag = tag.ok_or_else(|| {
        format!("{image:?}: expected an image, such as kube-proxy=registry.k8s.io/kube-proxy:v1.17.17")
    })?;
    tag.parse().map(Effect::KubeProxyVersion).map_err(|e: String| format!("{tag:?}: {e}"))
}
