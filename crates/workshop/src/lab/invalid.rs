//! What the API server refuses of an object by itself: the field's path, and why, in its words (apimachinery, pkg/util/validation;
//! pkg/apis/core/validation, pkg/apis/apps/validation).

use super::apply::{first_ip, items, special};
use super::effect::identity;
use crate::session::quoted;
use crate::yaml_text::json_line;
use cluster::yaml::{Entry, Value, Yaml};
use ipnet::IpNet;
use std::net::IpAddr;

/// Fields, and what each has to be; `[]` are the items of a list. `label` is a name, `port` a number from 1 (0 if there is none), `nonzero`
/// one that may be 0, `portname` the name of a port, `target` either, `ip` an address, `outside` one that other hosts have, `special` is no
/// address that they cannot have, `labels` a mapping; `once` differ in all items of a list, `need` has to be there, and `whole` where pods
/// have to be whole. Else it is one of the words that stand there.
const METADATA: &str = "metadata.namespace label
metadata.labels labels";
const SERVICE_PORT: &str = "name label
port port
protocol SCTP TCP UDP
targetPort target";
const SERVICE: &str = "spec.ports[].name once
spec.selector labels
spec.sessionAffinity ClientIP None
spec.externalIPs[] outside
spec.type ClusterIP ExternalName LoadBalancer NodePort
spec.internalTrafficPolicy Cluster Local";
const POD: &str = "containers whole
containers[].name whole
containers[].name label
containers[].name once
containers[].image whole
containers[].ports[].name portname
containers[].ports[].name once
containers[].ports[].containerPort need
containers[].ports[].containerPort nonzero
containers[].ports[].hostPort nonzero
containers[].ports[] hostport
containers[].ports[].protocol SCTP TCP UDP
restartPolicy Always OnFailure Never
dnsPolicy ClusterFirstWithHostNet ClusterFirst Default None";
const DEPLOYMENT: &str = "spec.replicas count
spec.selector need
spec.selector.matchLabels labels
spec.template.metadata.labels labels";

/// How a name is to look: what is said of one that does not, what it may be like, and the expression.
struct Form(&'static str, &'static str, &'static str, usize);

const LABEL_1035: Form = Form(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an \
     alphanumeric character",
    "'my-name',  or 'abc-123'",
    "[a-z]([-a-z0-9]*[a-z0-9])?",
    63,
);
const LABEL: Form = Form(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
     alphanumeric character",
    "'my-name',  or '123-abc'",
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    63,
);
const SUBDOMAIN: Form = Form(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
     alphanumeric character",
    "'example.com'",
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
    253,
);
const LABEL_VALUE: Form = Form(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character",
    "'MyValue',  or 'my_value',  or '12345'",
    "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
    63,
);
const LABEL_NAME: Form = Form(
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    "'MyName',  or 'my.name',  or '123-abc'",
    "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
    63,
);

impl Form {
    fn has(&self, name: &str) -> bool {
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let upper = |c: char| c.is_ascii_alphanumeric();
        let between = |part: &str, edge: fn(char) -> bool, inner: &str| {
            part.starts_with(edge)
                && part.ends_with(edge)
                && part.chars().all(|c| edge(c) || inner.contains(c))
        };
        match self.2 {
            of if of == LABEL_1035.2 => {
                name.starts_with(|c: char| c.is_ascii_lowercase()) && between(name, lower, "-")
            }
            of if of == LABEL.2 => between(name, lower, "-"),
            of if of == SUBDOMAIN.2 => name.split('.').all(|part| between(part, lower, "-")),
            of => of == LABEL_VALUE.2 && name.is_empty() || between(name, upper, "-_."),
        }
    }

    /// What is wrong with a name.
    fn faults(&self, name: &str) -> Vec<String> {
        let Form(must, like, expression, most) = self;
        let mut out = Vec::new();
        if name.len() > *most {
            out.push(format!("must be no more than {most} characters"));
        }
        if !self.has(name) {
            out.push(match self.2 == LABEL.2 && SUBDOMAIN.has(name) {
                true => "must not contain dots".to_owned(),
                false => format!("{must} (e.g. {like}, regex used for validation is '{expression}')"),
            });
        }
        out
    }
}

/// What kubectl says of the value of a label before it asks the API server; nothing if it may be one.
pub fn label_value(value: &str) -> String {
    LABEL_VALUE.faults(value).join(";")
}

struct Faults {
    lines: Vec<String>,
    /// A pod has to have containers with all that they need.
    whole: bool,
}

impl Faults {
    fn add(&mut self, path: &str, kind: &str, rest: &str) {
        let line = format!("{path}: {kind}{rest}");
        // kubectl tells what is told twice once.
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }

    fn required(&mut self, path: &str) {
        self.add(path, "Required value", "");
    }

    fn forbidden(&mut self, path: &str, why: &str) {
        self.add(path, "Forbidden: ", why);
    }

    /// `value` is as it is printed: text is quoted.
    fn invalid(&mut self, path: &str, value: &str, why: &str) {
        self.add(path, "Invalid value: ", &[value, why].join(": "));
    }

    /// Holds a tree against rules; its fields are told behind this.
    fn hold(&mut self, rules: &str, tree: Option<&Yaml>, before: &str) {
        for (path, rule) in rules.lines().filter_map(|line| line.split_once(' ')) {
            self.follow(path, tree, before.to_owned(), rule, &mut Vec::new());
        }
    }

    fn follow(&mut self, path: &str, at: Option<&Yaml>, told: String, rule: &str, seen: &mut Vec<String>) {
        if path.is_empty() {
            return self.check(at.filter(|v| !v.is_null()), &told, rule, seen);
        }
        let (step, rest) = path.split_once('.').unwrap_or((path, ""));
        let dot = if told.is_empty() || told.ends_with('.') { "" } else { "." };
        let Some(key) = step.strip_suffix("[]") else {
            return self.follow(
                rest,
                at.and_then(|at| at.get(step)),
                [&told, dot, step].concat(),
                rule,
                seen,
            );
        };
        // What is told once is so in the innermost list.
        let mut own = Vec::new();
        for (i, item) in at.and_then(|at| at.get(key)).map_or(&[][..], items).iter().enumerate() {
            self.follow(rest, Some(item), format!("{told}{dot}{key}[{i}]"), rule, &mut own);
        }
    }

    fn check(&mut self, at: Option<&Yaml>, path: &str, rule: &str, seen: &mut Vec<String>) {
        let Some(v) = at.filter(|v| !items(v).is_empty() || !matches!(&v.value, Value::Sequence(_))) else {
            match rule {
                "whole" if !self.whole => {}
                "whole" | "need" => self.required(path),
                "port" => self.invalid(path, "0", PORT),
                _ => {}
            }
            return;
        };
        let given = v.token();
        let number = given.parse::<i64>();
        let text = quoted(given);
        let mut wrong = |why: &str| self.invalid(path, &text, why);
        match rule {
            "need" | "whole" => {}
            _ if given.is_empty() => {}
            "label" => LABEL.faults(given).iter().for_each(|why| wrong(why)),
            "once" if seen.contains(&text) => self.add(path, "Duplicate value: ", &text),
            "once" => seen.push(text),
            "target" | "nonzero" if given == "0" => {}
            "port" | "nonzero" | "target" if number.is_ok() => {
                if number.is_ok_and(|n| !(1..=65_535).contains(&n)) {
                    self.invalid(path, given, PORT);
                }
            }
            "count" if number.is_ok_and(|n| n < 0) => {
                self.invalid(path, given, "must be greater than or equal to 0");
            }
            "count" => {}
            "hostport" => {
                let of = |key| v.get(key).map(Yaml::token).unwrap_or_default();
                let protocol = if of("protocol").is_empty() { "TCP" } else { of("protocol") };
                let one = quoted(&[protocol, of("hostIP"), of("hostPort")].join("/"));
                if seen.contains(&one) && !of("hostPort").is_empty() {
                    self.add(&[path, ".hostPort"].concat(), "Duplicate value: ", &one);
                }
                seen.push(one);
            }
            "target" | "portname" => port_name(given).for_each(wrong),
            "port" | "nonzero" => {}
            "ip" | "outside" | "special" => match given.parse::<IpAddr>() {
                Err(_) if rule == "special" => {}
                Err(_) => wrong("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
                Ok(ip) if rule != "ip" => {
                    special(ip).iter().for_each(|why| wrong(&["may not be ", why].concat()));
                }
                Ok(_) => {}
            },
            "labels" => self.labels(path, v),
            words => {
                if !words.split(' ').any(|word| word == given) {
                    let words = words.replace(' ', "\", \"");
                    self.add(path, "Unsupported value: ", &format!("{text}: supported values: \"{words}\""));
                }
            }
        }
    }

    fn labels(&mut self, path: &str, labels: &Yaml) {
        let Value::Mapping(entries) = &labels.value else { return };
        for e in entries {
            let (prefix, name) = e.key.rsplit_once('/').unwrap_or(("a", &e.key));
            let mut why: Vec<String> =
                SUBDOMAIN.faults(prefix).iter().map(|w| ["prefix part ", w].concat()).collect();
            why.extend(LABEL_NAME.faults(name));
            why.iter().for_each(|why| self.invalid(path, &quoted(&e.key), why));
            let value = if e.value.is_null() { "" } else { e.value.token() };
            LABEL_VALUE.faults(value).iter().for_each(|why| self.invalid(path, &quoted(value), why));
        }
    }
}

const PORT: &str = "must be between 1 and 65535, inclusive";

/// `IsValidPortName`
fn port_name(name: &str) -> impl Iterator<Item = &'static str> {
    let is = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let wrong = [
        (name.len() > 15, "must be no more than 15 characters"),
        (!name.chars().all(is), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        (!name.contains(|c: char| c.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    wrong.into_iter().filter(|(wrong, _)| *wrong).map(|(_, why)| why)
}

/// Each field that the API server refuses, in its words. That a pod has containers, with names and images, nothing here needs.
pub fn invalid(object: &Yaml) -> Vec<String> {
    faults(object, false)
}

/// The same, if a pod lacks something of its containers; else none.
pub fn incomplete(object: &Yaml) -> Vec<String> {
    let all = faults(object, true);
    if all.len() > invalid(object).len() { all } else { Vec::new() }
}

fn faults(object: &Yaml, whole: bool) -> Vec<String> {
    let mut f = Faults { lines: Vec::new(), whole };
    let (kind, _, name) = identity(object);
    let form = match kind {
        "Service" => &LABEL_1035,
        "Namespace" => &LABEL,
        _ => &SUBDOMAIN,
    };
    match name {
        "" => f.add("metadata.name", "Required value: name or generateName is required", ""),
        name => form.faults(name).iter().for_each(|why| f.invalid("metadata.name", &quoted(name), why)),
    }
    f.hold(METADATA, Some(object), "");
    let spec = object.get("spec");
    match kind {
        "Service" => service(&mut f, object, spec),
        "Pod" => f.hold(POD, spec, "spec."),
        "Deployment" => {
            f.hold(DEPLOYMENT, Some(object), "");
            let template = spec.and_then(|s| s.get("template"));
            let labels = template.and_then(|t| t.get("metadata")?.get("labels"));
            let wanted = spec.and_then(|s| s.get("selector")?.get("matchLabels"));
            if let Some(Value::Mapping(wanted)) = wanted.map(|w| &w.value) {
                let has =
                    |e: &Entry| labels.and_then(|l| l.get(&e.key)).map(Yaml::token) == Some(e.value.token());
                if !wanted.iter().all(has) {
                    let labels = labels.map_or("null".to_owned(), json_line);
                    let why = "`selector` does not match template `labels`";
                    f.invalid("spec.template.metadata.labels", &labels, why);
                }
            }
            f.hold(POD, template.and_then(|t| t.get("spec")), "spec.template.spec.");
        }
        "EndpointSlice" => f.hold("endpoints[].addresses[] special", Some(object), ""),
        "Endpoints" => f.hold("subsets[].addresses[].ip special", Some(object), ""),
        _ => {}
    }
    f.lines
}

/// `ValidateService`: what goes with what.
fn service(f: &mut Faults, object: &Yaml, spec: Option<&Yaml>) {
    let of = |at: Option<&Yaml>, key: &str| -> String {
        let value = at.and_then(|at| at.get(key)).filter(|v| !v.is_null());
        value.map_or(String::new(), |v| v.token().to_owned())
    };
    let list = |key: &str| spec.and_then(|s| s.get(key)).map_or(&[][..], items);
    let (kind, ports, first) = (of(spec, "type"), list("ports"), spec.and_then(first_ip).unwrap_or_default());
    let kind = if kind.is_empty() { "ClusterIP" } else { &kind };
    let (balanced, headless) = (kind == "LoadBalancer", first == "None");
    let node_ports = balanced || kind == "NodePort";
    if kind == "ExternalName" {
        let name = of(spec, "externalName");
        let path = "spec.externalName";
        match name.strip_suffix('.').unwrap_or(&name) {
            "" => f.required(path),
            name => SUBDOMAIN.faults(name).iter().for_each(|why| f.invalid(path, &quoted(name), why)),
        }
    } else if ports.is_empty() && !headless {
        f.required("spec.ports");
    }
    if node_ports && headless {
        f.invalid("spec.clusterIPs[0]", "\"None\"", &format!("may not be set to 'None' for {kind} services"));
    }
    let (mut seen, mut numbers) = (Vec::new(), Vec::new());
    for (i, port) in ports.iter().enumerate() {
        if ports.len() > 1 && of(Some(port), "name").is_empty() {
            f.required(&format!("spec.ports[{i}].name"));
        }
        f.hold(SERVICE_PORT, Some(port), &format!("spec.ports[{i}]."));
    }
    f.hold(SERVICE, Some(object), "");
    for (i, port) in ports.iter().enumerate() {
        let of = |key| of(Some(port), key);
        let protocol = Some(of("protocol")).filter(|p| !p.is_empty()).unwrap_or_else(|| "TCP".to_owned());
        let (number, node_port) = ((protocol.clone(), of("port")), (protocol, of("nodePort")));
        let path = format!("spec.ports[{i}]");
        if !matches!(&*node_port.1, "" | "0") {
            let path = [&path, ".nodePort"].concat();
            if kind == "ClusterIP" {
                f.forbidden(&path, "may not be used when `type` is 'ClusterIP'");
            }
            if seen.contains(&node_port) {
                f.add(&path, "Duplicate value: ", &node_port.1);
            }
            seen.push(node_port);
        }
        if numbers.contains(&number) {
            let (protocol, port) = &number;
            let value = format!(
                "{{\"Name\":\"\",\"Protocol\":\"{protocol}\",\"AppProtocol\":null,\"Port\":{port},\"TargetPort\":0,\"NodePort\":0}}"
            );
            f.add(&path, "Duplicate value: ", &value);
        }
        numbers.push(number);
    }
    if first.is_empty() || !headless {
        match list("clusterIPs") {
            [] => f.check(spec.and_then(|s| s.get("clusterIP")), "spec.clusterIPs[0]", "ip", &mut Vec::new()),
            _ => f.hold("clusterIPs[] ip", spec, "spec."),
        }
    }
    let only = "may only be used when `type` is 'LoadBalancer'";
    let affinity = of(spec, "sessionAffinity");
    let seconds = spec.and_then(|s| s.get("sessionAffinityConfig"));
    if affinity != "ClientIP" && seconds.is_some() {
        f.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None");
    } else if let Ok(n) = of(seconds.and_then(|s| s.get("clientIP")), "timeoutSeconds").parse::<i64>()
        && !(1..=86_400).contains(&n)
    {
        let path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        f.invalid(path, &n.to_string(), "must be greater than 0 and less than 86400");
    }
    for (i, net) in list("loadBalancerSourceRanges").iter().map(|n| n.token().trim()).enumerate() {
        let path = "spec.LoadBalancerSourceRanges";
        if !balanced {
            f.forbidden(path, only);
        }
        if net.parse::<IpNet>().is_err() {
            let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            f.invalid(&format!("{path}[{i}]"), &quoted(net), why);
        }
    }
    let policy = of(spec, "externalTrafficPolicy");
    let path = "spec.externalTrafficPolicy";
    if node_ports || !list("externalIPs").is_empty() {
        f.hold("externalTrafficPolicy Cluster Local", spec, "spec.");
    } else if !policy.is_empty() {
        f.invalid(path, &quoted(&policy), "may only be set for externally-accessible services");
    }
    let number = of(spec, "healthCheckNodePort");
    if !(matches!(&*number, "" | "0") || balanced && policy == "Local") {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        f.invalid("spec.healthCheckNodePort", &number, why);
    }
}
