//! Objects that kubectl makes of words: `kubectl expose`, `kubectl create service` and `kubectl run` (staging/src/k8s.io/kubectl,
//! pkg/cmd/expose, pkg/cmd/create and pkg/cmd/run).

use super::document::{one_document, singular};
use super::{Effect, Given, Maker, Named, Refusal};
use crate::lab::invalid::invalid;
use crate::session::quoted;
use cluster::object::{Objects, Protocol, read_document};
use cluster::yaml::Yaml;
use litemap::LiteMap;

type Labels = LiteMap<String, String>;
/// Options with their values, in the order in which they were given.
type Options = Vec<(String, String)>;

/// What `expose` takes.
const EXPOSE: [&str; 7] =
    ["--port", "--target-port", "--protocol", "--name", "--type", "--cluster-ip", "--session-affinity"];

/// The types of `create service`: its word, its name, and the option that the others have not.
const TYPES: [(&str, &str, &str); 4] = [
    ("clusterip", "ClusterIP", "--clusterip"),
    ("nodeport", "NodePort", "--node-port"),
    ("loadbalancer", "LoadBalancer", ""),
    ("externalname", "ExternalName", "--external-name"),
];

/// Options that give fields of `spec` as they are.
const FIELDS: [(&str, &str); 5] = [
    ("--type", "type"),
    ("--cluster-ip", "clusterIP"),
    ("--clusterip", "clusterIP"),
    ("--external-name", "externalName"),
    ("--session-affinity", "sessionAffinity"),
];

/// What `run` takes.
const RUN: [&str; 5] = ["--image", "--port", "--labels", "--restart", "--image-pull-policy"];

/// What `create deployment` takes.
const DEPLOYMENT: [&str; 3] = ["--image", "--replicas", "--port"];

/// Whether a command takes this option, which has a value.
pub(super) fn takes(verb: &str, option: &str) -> bool {
    match verb {
        "expose" => EXPOSE.contains(&option),
        "run" => RUN.contains(&option),
        "create" => {
            option == "--tcp"
                || DEPLOYMENT.contains(&option)
                || TYPES.iter().any(|(_, _, own)| *own == option)
        }
        _ => false,
    }
}

/// The value of an option; the last one counts.
fn last<'o>(options: &'o Options, name: &str) -> Option<&'o str> {
    options.iter().rfind(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// `kubectl expose`: what is exposed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expose {
    pub(super) of: Named,
    pub(super) options: Options,
}

impl Expose {
    /// The same with the Service that it makes: labels and selector are those of what is exposed, and its ports if none are given.
    ///
    /// # Errors
    /// What kubectl or the API server says of it.
    pub fn create(&self, objects: &Objects) -> Result<Effect, Refusal> {
        let key = self.of.key();
        let kind = singular(&self.of.kind);
        let missing = || self.of.not_found();
        let mut own: Vec<(String, Protocol)> = Vec::new();
        let (labels, selector) = match kind {
            "service" => {
                let service = objects.services.get(&key).ok_or_else(missing)?;
                service.ports.iter().for_each(|p| own.push((p.port.to_string(), p.protocol)));
                (&service.metadata.labels, &service.selector)
            }
            "pod" | "deployment" => {
                let deployment = objects.deployments.get(&key).filter(|_| kind != "pod");
                let pod = match deployment {
                    Some(d) => Some(&d.template),
                    None => objects.pods.get(&key).filter(|_| kind == "pod"),
                };
                let pod = pod.ok_or_else(missing)?;
                pod.ports.iter().for_each(|p| own.push((p.port.to_string(), p.protocol)));
                let of_pod = (&pod.metadata.labels, &pod.metadata.labels);
                deployment.map_or(of_pod, |d| (&d.metadata.labels, &d.selector))
            }
            _ => return Err(format!("cannot expose a {kind}").into()),
        };
        if selector.is_empty() {
            let why = match kind {
                "pod" => "the pod has no labels and cannot be exposed",
                _ => "the service has no pod selector set",
            };
            let why = format!("couldn't retrieve selectors via --selector flag or introspection: {why}");
            return Err(why.into());
        }
        let ports = self.ports(&own);
        if ports.is_empty() && last(&self.options, "--cluster-ip") != Some("None") {
            return Err("couldn't find port via --port flag or introspection".into());
        }
        let name = last(&self.options, "--name").unwrap_or(&self.of.name);
        if last(&self.options, "--type") == Some("ExternalName") {
            return Err("spec.externalName: Required value".into());
        }
        let metadata = (self.of.namespace.as_str(), name, texts(labels));
        Ok(service(metadata, &texts(selector), &ports, &self.options, None)?)
    }

    /// The Service's ports: those of `--port`, or of what is exposed, each with the protocols that it has there.
    fn ports(&self, own: &[(String, Protocol)]) -> String {
        let option = |name| last(&self.options, name);
        let mut numbers: Vec<&str> = option("--port").into_iter().flat_map(|list| list.split(',')).collect();
        if numbers.is_empty() {
            for (number, _) in own {
                if !numbers.contains(&number.as_str()) {
                    numbers.push(number);
                }
            }
        }
        let mut out = String::new();
        for (i, number) in (1..).zip(&numbers) {
            let given = option("--protocol");
            let mut protocols: Vec<&str> = given.into_iter().collect();
            if protocols.is_empty() {
                own.iter().filter(|(n, _)| n == number).for_each(|(_, p)| protocols.push(p.name()));
            }
            if protocols.is_empty() {
                protocols.push("tcp");
            }
            for protocol in &protocols {
                let name = match (protocols.len(), numbers.len()) {
                    (1, 1) => String::new(),
                    (1, _) => format!("name: port-{i}, "),
                    _ => format!("name: port-{i}-{protocol}, "),
                };
                let upper = protocol.to_ascii_uppercase();
                out += &format!(
                    "{{{name}port: {}, protocol: {}, targetPort: {}}}, ",
                    number_or_name(number),
                    quoted(given.unwrap_or(&upper)),
                    number_or_name(option("--target-port").unwrap_or(number))
                );
            }
        }
        out
    }
}

/// `kubectl create service TYPE NAME`: the Service, whose pods have the label `app` with its name.
///
/// # Errors
/// What kubectl says of it.
pub(super) fn create(namespace: &str, words: &[&str], options: &Options) -> Result<Effect, String> {
    const WANT: &str = "expected kubectl create -f FILE, kubectl create namespace NAME, kubectl create deployment NAME --image=IMAGE, or kubectl create service clusterip|nodeport|loadbalancer|externalname NAME --tcp=PORT[:TARGET]";
    if let [kind @ ("namespace" | "ns" | "deployment" | "deploy"), names @ ..] = words {
        let [name] = names else {
            return Err(format!(
                "error: exactly one NAME is required, got {}\nSee 'kubectl create {kind} -h' for help and examples",
                names.len()
            ));
        };
        let text = match kind.starts_with('n') {
            true => format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", quoted(name)),
            false => deployment(namespace, name, options)?,
        };
        let object = one_document(&text)?;
        readable(&object)?;
        return Ok(Effect::Create(Given::Made(object, Maker::Run)));
    }
    let ["service" | "svc", word, name] = words else { return Err(WANT.to_owned()) };
    let (_, kind, own) = TYPES.iter().find(|(w, _, _)| w == word).ok_or(WANT)?;
    let named = last(options, own);
    if word == &"externalname" && named.is_none() {
        return Err("error: required flag(s) \"external-name\" not set".to_owned());
    }
    if let Some((option, _)) = options.iter().find(|(option, _)| option != "--tcp" && option != own) {
        return Err(format!("error: unknown flag: {option}"));
    }
    let node_port = last(options, "--node-port").map(|n| format!(", nodePort: {}", number_or_name(n)));
    let mut ports = String::new();
    for pair in options.iter().filter(|(option, _)| option == "--tcp").flat_map(|(_, list)| list.split(',')) {
        let (port, target) = pair.split_once(':').unwrap_or((pair, pair));
        ports += &format!(
            "{{name: {}, port: {}, protocol: TCP, targetPort: {}{}}}, ",
            quoted(&pair.replace(':', "-")),
            number_or_name(port),
            number_or_name(target),
            node_port.as_deref().unwrap_or_default()
        );
    }
    // Without ports are a Service without an address, and the name of somebody else.
    if ports.is_empty() && named != Some("None") && word != &"externalname" {
        return Err("error: at least one tcp port specifier must be provided".to_owned());
    }
    let label = format!("app: {}", quoted(name));
    service((namespace, name, label.clone()), &label, &ports, options, Some(kind))
}

/// `kubectl create deployment NAME --image=IMAGE` (pkg/cmd/create): its container is called as its image is.
fn deployment(namespace: &str, name: &str, options: &Options) -> Result<String, String> {
    let image = last(options, "--image").ok_or("error: required flag(s) \"image\" not set")?;
    check_image(image)?;
    let container = image.rsplit('/').next().and_then(|i| i.split([':', '@']).next()).unwrap_or_default();
    let port =
        last(options, "--port").map(|p| format!(", ports: [{{containerPort: {}}}]", number_or_name(p)));
    Ok(format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, namespace: {}, labels: {{app: {name}}}}}, spec: {{replicas: {}, \
         selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: {}, \
         image: {}{}}}]}}}}}}}}",
        quoted(namespace),
        number_or_name(last(options, "--replicas").unwrap_or("1")),
        quoted(&container.replace(['_', '.'], "-")),
        quoted(image),
        port.unwrap_or_default(),
        name = quoted(name),
    ))
}

/// `kubectl run NAME --image=IMAGE` (pkg/cmd/run): a pod with the label `run`, or with those that are given. What it is to run
/// instead of its image's program makes no difference.
///
/// # Errors
/// What kubectl says of it.
pub(super) fn run(namespace: &str, words: &[&str], options: &Options) -> Result<Effect, String> {
    let image = last(options, "--image").ok_or("error: required flag(s) \"image\" not set")?;
    // What stands behind the name is for the container.
    let Some(name) = words.first() else {
        return Err("error: NAME is required for run\nSee 'kubectl run -h' for help and examples".to_owned());
    };
    check_image(image)?;
    let label = |pair: &str| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(format!("{}: {}, ", quoted(key), quoted(value))),
        Some(_) => Err("error: unexpected empty label key".to_owned()),
        None => Err(format!("error: unexpected label spec: {pair}")),
    };
    let labels: String = match last(options, "--labels") {
        None => format!("run: {}", quoted(name)),
        Some(all) => all.split(',').map(label).collect::<Result<_, _>>()?,
    };
    let port = |p| format!(", ports: [{{containerPort: {}}}]", number_or_name(p));
    let ports = last(options, "--port").map(port).unwrap_or_default();
    let restart = last(options, "--restart").unwrap_or("Always");
    if !["Always", "OnFailure", "Never"].contains(&restart) {
        return Err(format!("error: invalid restart policy: {restart}"));
    }
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {}, labels: {{{labels}}}}}, spec: \
         {{restartPolicy: {restart}, containers: [{{name: {name}, image: {}{ports}}}]}}}}",
        quoted(namespace),
        quoted(image),
        name = quoted(name),
    );
    let pod = one_document(&text)?;
    readable(&pod)?;
    Ok(Effect::Create(Given::Made(pod, Maker::Run)))
}

/// The name of an image (distribution, reference): small letters, behind a registry or not, with a tag or not.
fn check_image(image: &str) -> Result<(), String> {
    let path = image.rsplit('/').next().unwrap_or_default();
    let name = path.split([':', '@']).next().unwrap_or_default();
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = |c: char| c.is_ascii_alphanumeric();
    let rest = |c: char| ends(c) || "._-:/@".contains(c);
    match name.starts_with(small)
        && !name.contains(|c: char| c.is_ascii_uppercase())
        && image.ends_with(ends)
        && image.chars().all(rest)
    {
        true => Ok(()),
        false => Err(format!("error: Invalid image name {}: invalid reference format", quoted(image))),
    }
}

/// What makes the Service: namespace, name and labels, selector, ports. `of` is the type, if `create service` makes it.
fn service(
    (namespace, name, labels): (&str, &str, String),
    selector: &str,
    ports: &str,
    options: &Options,
    of: Option<&'static str>,
) -> Result<Effect, String> {
    let mut text = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {}, namespace: {}, labels: {{{labels}}}}}, \
         spec: {{selector: {{{selector}}}, ports: [{ports}], ",
        quoted(name),
        quoted(namespace),
    );
    if let Some(of) = of {
        text += &format!("type: {of}, ");
    }
    for (option, field) in FIELDS {
        if let Some(value) = last(options, option) {
            text += &format!("{field}: {}, ", quoted(value));
        }
    }
    let service = one_document(&(text + "}}"))?;
    readable(&service)?;
    let maker = of.map_or(Maker::Expose, Maker::Service);
    Ok(Effect::Create(Given::Made(service, maker)))
}

/// Whether an object can be used, or the API server tells why not. A place in its text says nothing to who has typed another.
fn readable(object: &Yaml) -> Result<(), String> {
    match read_document(object, &mut Vec::new()) {
        Err(d) if invalid(object).is_empty() => Err(format!("{:?}: {}", d.token, d.message)),
        _ => Ok(()),
    }
}

fn texts(map: &Labels) -> String {
    map.iter().map(|(key, value)| format!("{}: {}, ", quoted(key), quoted(value))).collect()
}

/// A port by its number, or by the name that a container has for it.
fn number_or_name(given: &str) -> String {
    if given.parse::<i64>().is_ok() { given.to_owned() } else { quoted(given) }
}
