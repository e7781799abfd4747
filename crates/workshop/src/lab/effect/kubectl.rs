//! `kubectl` as it is typed: what it changes, or asks.

use super::command::Words;
use super::document::one_document;
use super::service::{self, Expose};
use super::{Effect, Given, Named};
use crate::lab::invalid::label_value;
use crate::lab::kubectl::{Looks, pair, query};
use crate::lab::logs::Logs;
use crate::session::quoted;
use cluster::yaml::{Value, Yaml};
use sim::operator::executed;

/// kubectl's commands, as far as they are read.
const KUBECTL: [&str; 13] = [
    "patch", "apply", "create", "run", "expose", "delete", "scale", "rollout", "set", "label", "get",
    "describe", "logs",
];
/// The others, which are not read.
const UNREAD: &str = "annotate api-resources api-versions attach auth autoscale certificate cluster-info completion config cordon cp debug diff \
                      drain edit events explain kustomize options plugin proxy replace taint top uncordon version wait help alpha";
const USAGE: &str = "expected kubectl patch KIND NAME -p PATCH, label KIND NAME KEY=VALUE, apply -f FILE, create -f FILE, create service TYPE NAME, run NAME --image=IMAGE, expose KIND NAME, delete KIND NAME, \
                     scale deployment NAME --replicas=N, rollout restart|status deployment NAME, get KIND, describe service|pod NAME, logs POD, exec POD -- COMMAND or set image daemonset/kube-proxy kube-proxy=IMAGE";

/// Reads the words behind `kubectl`. What kubectl itself refuses is an effect: it says so, and ends.
pub(super) fn read(words: &mut Words<'_>, stdin: Option<&str>) -> Result<Vec<Effect>, String> {
    match known(words, stdin) {
        Err(why) if is_kubectls(&why) => {
            while words.next().is_some() {}
            Ok(vec![Effect::Wrong(why)])
        }
        done => done,
    }
}

/// kubectl's own words.
fn is_kubectls(why: &str) -> bool {
    ["error: ", "Error from server", "You must "].iter().any(|begin| why.starts_with(begin))
}

/// What kubectl says where kinds are named and nothing of them.
const NO_NAME: &str = "error: resource(s) were provided, but no name was specified";
/// What it says where nothing is named.
const NOTHING: &str = "error: You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   \
                       '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

fn known(words: &mut Words<'_>, stdin: Option<&str>) -> Result<Vec<Effect>, String> {
    let (mut namespace, mut plain, mut options) = ("default".to_owned(), Vec::new(), Vec::new());
    let mut looks = Looks::default();
    let (mut patch, mut file, mut replicas, mut tail) = (None, None, None, None);
    let (mut overwrite, mut every) = (false, false);
    executed(words.all)?;
    // What is not modelled at all is not told by an option of it.
    let before = ["-n", "--namespace", "-o", "-l"];
    let plain_word = |i: &usize| {
        let valued =
            i.checked_sub(1).and_then(|i| words.argv.get(i)).is_some_and(|w| before.contains(&w.as_str()));
        !valued && words.argv.get(*i).is_some_and(|w| !w.starts_with('-'))
    };
    let verb = (0..words.argv.len()).find(plain_word).and_then(|i| words.argv.get(i));
    match verb.map(String::as_str) {
        Some(verb) if UNREAD.split(' ').any(|unread| unread == verb) => {
            return Err(format!(
                "kubectl {verb} is not modelled; the page shows all objects under Cluster. {USAGE}"
            ));
        }
        Some(verb) if !KUBECTL.contains(&verb) && !["exec", "port-forward"].contains(&verb) => {
            return Err(format!("error: unknown command {} for \"kubectl\"", quoted(verb)));
        }
        _ => {}
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
        let usage = format!("See 'kubectl {verb} --help' for usage.");
        let lacks = || match name.strip_prefix("--") {
            Some(_) => format!("error: flag needs an argument: {name}\n{usage}"),
            None => format!(
                "error: flag needs an argument: '{}' in {name}\n{usage}",
                name.trim_start_matches('-')
            ),
        };
        let mut value = |what| inline.map_or_else(|| words.need(what).map_err(|_| lacks()), Ok);
        match name {
            _ if service::takes(verb, name) => options.push((name.to_owned(), value("a value")?.to_owned())),
            "-n" | "--namespace" => namespace = value("a namespace")?.to_owned(),
            "--show-labels" if verb == "get" => looks.labels = true,
            "--no-headers" if verb == "get" => looks.bare = true,
            "--field-selector" if matches!(verb, "get" | "delete" | "describe") => {
                looks.fields = Some(value("a field")?);
            }
            "--sort-by" if verb == "get" => looks.sort = Some(value("a field")?),
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
                let read = one_document(text)
                    .map_err(|why| format!("error: unable to parse {}: {why}", quoted(text)))?;
                let what = match &read.value {
                    Value::Mapping(_) => "",
                    Value::Sequence(_) => "array",
                    _ => "string",
                };
                if !what.is_empty() {
                    return Err(format!(
                        "Error from server (BadRequest): json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
                    ));
                }
                patch = Some(read);
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
                let count: i64 = n.parse().map_err(|_| {
                    format!(
                        "error: invalid argument \"{n}\" for \"--replicas\" flag: strconv.ParseInt: parsing \"{n}\": invalid syntax\n{usage}"
                    )
                })?;
                let count = u32::try_from(count).map_err(|_| {
                    "error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0"
                })?;
                replicas = Some(count);
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
        let named = |(kind, name): (&str, &str)| Named {
            kind: kind.to_ascii_lowercase(),
            namespace: namespace.clone(),
            name: name.to_owned(),
        };
        let begin = if verb == "rollout" { 2 } else { 1 };
        match plain.get(begin..) {
            Some(all @ [one, ..]) if one.contains('/') => {
                all.iter().map(|one| pair(one).map(named)).collect()
            }
            Some([kind, names @ ..]) if !names.is_empty() => {
                Ok(names.iter().map(|name| named((kind, name))).collect::<Vec<_>>())
            }
            Some([_, ..]) => Err(NO_NAME),
            _ if verb == "rollout" => Err("error: required resource not specified"),
            _ => Err(NOTHING),
        }
        .map_err(|why: &str| why.to_owned())
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
    let chosen = looks.selector.or(looks.fields).is_some();
    if verb == "delete" && file.is_none() && (every || chosen) {
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
        ("apply", None, Some(file), None) => Given::of(verb, file, stdin, &namespace).map(Effect::Apply),
        ("expose", None, None, None) => Ok(Effect::Expose(Expose { of: named()?, options })),
        ("create", None, None, None) => {
            service::create(&namespace, plain.get(1..).unwrap_or_default(), &options)
        }
        ("create", None, Some(file), None) if options.is_empty() => {
            Given::of(verb, file, stdin, &namespace).map(Effect::Create)
        }
        ("delete", None, Some(file), None) => Given::of(verb, file, stdin, &namespace).map(Effect::DeleteAll),
        ("scale", None, None, Some(n)) => Ok(Effect::Scale(named()?, n)),
        ("scale", None, None, None) => Err("error: required flag(s) \"replicas\" not set".to_owned()),
        ("apply", None, None, None) => Err("error: must specify one of -f and -k".to_owned()),
        ("patch", None, None, None) => {
            Err("error: must specify --patch or --patch-file containing the contents of the patch".to_owned())
        }
        _ if plain.is_empty() => Err(USAGE.to_owned()),
        _ => Err(format!("kubectl {} is not read; {USAGE}", plain.join(" "))),
    };
    effect.map(|effect| vec![effect])
}

const NO_LABEL: &str = "error: at least one label update is required";
const NO_OBJECT: &str =
    "error: one or more resources must be specified as <resource> <name> or <resource>/<name>";

/// The words that name objects, and those that say what their labels are to be.
fn before_labels<'w, 'a>(words: &'w [&'a str]) -> (&'w [&'a str], &'w [&'a str]) {
    let is_label = |w: &&str| w.contains('=') || w.ends_with('-');
    words.split_at(words.iter().position(is_label).unwrap_or(words.len()))
}

/// `kubectl label KIND NAME... KEY=VALUE... KEY-...`: labels are set, and taken away.
fn label(namespace: &str, words: &[&str], overwrite: bool) -> Result<Vec<Effect>, String> {
    let (objects, labels) = before_labels(words);
    let pairs: Vec<(&str, &str)> = match objects {
        [one, ..] if one.contains('/') => objects.iter().map(|one| pair(one)).collect::<Result<_, _>>()?,
        [kind, names @ ..] if !names.is_empty() => names.iter().map(|name| (*kind, *name)).collect(),
        [_] => Vec::new(),
        _ => return Err(NO_OBJECT.to_owned()),
    };
    let patch = labels_patch(labels)?;
    if pairs.is_empty() {
        return Err(NO_NAME.to_owned());
    }
    let label = |(kind, name): (&str, &str)| {
        let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        Effect::Label(Named { kind, namespace, name }, patch.clone(), overwrite)
    };
    Ok(pairs.into_iter().map(label).collect())
}

/// The same with `--all` or `-l`.
fn label_each(words: &[&str], looks: Looks<'_>, overwrite: bool) -> Result<Vec<Effect>, String> {
    let (objects, labels) = before_labels(words);
    let [_] = objects else { return Err(NO_OBJECT.to_owned()) };
    let query = query("label", objects, looks)?;
    Ok(vec![Effect::LabelEach(query, labels_patch(labels)?, overwrite)])
}

/// What changes the labels of an object.
fn labels_patch(labels: &[&str]) -> Result<Yaml, String> {
    if labels.is_empty() {
        return Err(NO_LABEL.to_owned());
    }
    let mut text = "{metadata: {labels: {".to_owned();
    for word in labels {
        let (key, value) = match (word.split_once('='), word.strip_suffix('-')) {
            (Some((_, value)), _) if value.contains('=') => {
                return Err(format!("error: invalid label spec: {word}"));
            }
            (Some((key, value)), _) => {
                let why = label_value(value);
                if !why.is_empty() {
                    return Err(format!("error: invalid label value: {}: {why}", quoted(word)));
                }
                (key, quoted(value))
            }
            (None, Some(key)) => (key, "null".to_owned()),
            (None, None) => return Err(format!("error: unknown label spec: {word}")),
        };
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
