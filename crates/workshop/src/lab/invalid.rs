//! What the API server refuses of an object by itself: the field's path, and why, in its words (apimachinery, pkg/util/validation;
//! pkg/apis/core/validation, pkg/apis/apps/validation).

use super::apply::{first_ip, items, special};
use super::effect::identity;
use crate::session::quoted;
use crate::yaml_text::json_line;
use cluster::yaml::{Value, Yaml};
use ipnet::IpNet;
use std::net::IpAddr;

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

/// Its flag: a container has to have what nothing here needs, too.
struct Faults(Vec<String>, bool);

impl Faults {
    fn add(&mut self, path: &str, what: &str) {
        let line = format!("{path}: {what}");
        // kubectl tells what is told twice once.
        if !self.0.contains(&line) {
            self.0.push(line);
        }
    }

    fn required(&mut self, path: &str) {
        self.add(path, "Required value");
    }

    fn forbidden(&mut self, path: &str, why: &str) {
        self.add(path, &format!("Forbidden: {why}"));
    }

    /// `value` is as it is printed: text is quoted.
    fn invalid(&mut self, path: &str, value: &str, why: &str) {
        self.add(path, &format!("Invalid value: {value}: {why}"));
    }

    fn name(&mut self, path: &str, name: &str, form: &Form) {
        form.faults(name).iter().for_each(|why| self.invalid(path, &quoted(name), why));
    }

    fn twice(&mut self, path: &str, value: &str) {
        self.add(path, &format!("Duplicate value: {value}"));
    }

    fn one_of(&mut self, path: &str, given: Option<&str>, words: &[&str]) {
        if let Some(given) = given.filter(|given| !words.contains(given)) {
            let words: Vec<String> = words.iter().map(|w| quoted(w)).collect();
            let why = format!("Unsupported value: {}: supported values: {}", quoted(given), words.join(", "));
            self.add(path, &why);
        }
    }

    fn port(&mut self, path: &str, given: Option<&str>) {
        if let Some(number) = given.and_then(|n| n.parse::<i32>().ok()).filter(|n| !(1..=65_535).contains(n))
        {
            self.invalid(path, &number.to_string(), "must be between 1 and 65535, inclusive");
        }
    }

    /// `IsValidPortName`
    fn port_name(&mut self, path: &str, name: &str) {
        let is = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        for (wrong, why) in [
            (name.len() > 15, "must be no more than 15 characters"),
            (!name.chars().all(is), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
            (!name.contains(|c: char| c.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
            (name.contains("--"), "must not contain consecutive hyphens"),
            (name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen"),
        ] {
            if wrong {
                self.invalid(path, &quoted(name), why);
            }
        }
    }

    fn address(&mut self, path: &str, given: &str, outside: bool) {
        match given.parse::<IpAddr>() {
            Err(_) => {
                let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                self.invalid(path, &quoted(given), why);
            }
            Ok(ip) if outside => {
                if let Some(why) = special(ip) {
                    self.invalid(path, &quoted(given), &format!("may not be {why}"));
                }
            }
            Ok(_) => {}
        }
    }

    fn labels(&mut self, path: &str, labels: Option<&Yaml>) {
        let Some(Value::Mapping(entries)) = labels.map(|l| &l.value) else { return };
        for e in entries {
            let (prefix, name) = e.key.split_once('/').map_or((None, e.key.as_str()), |(p, n)| (Some(p), n));
            let mut why: Vec<String> = Vec::new();
            if let Some(prefix) = prefix {
                why.extend(SUBDOMAIN.faults(prefix).iter().map(|fault| format!("prefix part {fault}")));
            }
            why.extend(LABEL_NAME.faults(name));
            why.iter().for_each(|why| self.invalid(path, &quoted(&e.key), why));
            self.name(path, if e.value.is_null() { "" } else { e.value.token() }, &LABEL_VALUE);
        }
    }
}

/// The value of a field that is there.
fn given<'y>(at: Option<&'y Yaml>, key: &str) -> Option<&'y str> {
    at?.get(key).filter(|v| !v.is_null()).map(Yaml::token)
}

fn list<'y>(at: Option<&'y Yaml>, key: &str) -> &'y [Yaml] {
    at.and_then(|at| at.get(key)).map_or(&[], items)
}

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
/// `DefaultClientIPServiceAffinitySeconds`' limit.
const MAX_AFFINITY: i64 = 86_400;

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
    let mut f = Faults(Vec::new(), whole);
    let (kind, namespace, name) = identity(object);
    let form = match kind {
        "Service" => &LABEL_1035,
        "Namespace" => &LABEL,
        _ => &SUBDOMAIN,
    };
    match name {
        "" => f.add("metadata.name", "Required value: name or generateName is required"),
        name => f.name("metadata.name", name, form),
    }
    f.name("metadata.namespace", namespace, &LABEL);
    f.labels("metadata.labels", object.get("metadata").and_then(|m| m.get("labels")));
    let spec = object.get("spec");
    match kind {
        "Service" => service(&mut f, spec),
        "Pod" => pod(&mut f, spec, "spec"),
        "Deployment" => deployment(&mut f, spec),
        "EndpointSlice" => {
            for (i, endpoint) in list(Some(object), "endpoints").iter().enumerate() {
                addresses(
                    &mut f,
                    list(Some(endpoint), "addresses"),
                    &format!("endpoints[{i}].addresses"),
                    "",
                );
            }
        }
        "Endpoints" => {
            for (i, subset) in list(Some(object), "subsets").iter().enumerate() {
                let path = format!("subsets[{i}].addresses");
                addresses(&mut f, list(Some(subset), "addresses"), &path, "ip");
            }
        }
        _ => {}
    }
    f.0
}

fn addresses(f: &mut Faults, all: &[Yaml], path: &str, key: &str) {
    for (i, one) in all.iter().enumerate() {
        let (ip, dot) = if key.is_empty() { (Some(one), "") } else { (one.get(key), ".") };
        if let Some(ip) = ip.map(Yaml::token).filter(|ip| ip.parse::<IpAddr>().is_ok()) {
            f.address(&format!("{path}[{i}]{dot}{key}"), ip, true);
        }
    }
}

/// `ValidateService`
fn service(f: &mut Faults, spec: Option<&Yaml>) {
    let (kind, ports) = (given(spec, "type").unwrap_or("ClusterIP"), list(spec, "ports"));
    let headless = spec.and_then(first_ip) == Some("None");
    let external = kind == "ExternalName";
    if ports.is_empty() && !headless && !external {
        f.required("spec.ports");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let why = format!("may not be set to 'None' for {kind} services");
            f.invalid("spec.clusterIPs[0]", "\"None\"", &why);
        }
        "ExternalName" => match given(spec, "externalName").unwrap_or_default() {
            "" => f.required("spec.externalName"),
            name => f.name("spec.externalName", name.strip_suffix('.').unwrap_or(name), &SUBDOMAIN),
        },
        _ => {}
    }
    let mut names = Vec::new();
    for (i, port) in ports.iter().enumerate() {
        let path = |key| format!("spec.ports[{i}].{key}");
        let of = |key| given(Some(port), key);
        match of("name").filter(|name| !name.is_empty()) {
            None if ports.len() > 1 => f.required(&path("name")),
            None => {}
            Some(name) => {
                f.name(&path("name"), name, &LABEL);
                if names.contains(&name) {
                    f.twice(&path("name"), &quoted(name));
                }
                names.push(name);
            }
        }
        f.port(&path("port"), of("port").or(Some("0")));
        f.one_of(&path("protocol"), of("protocol"), &PROTOCOLS);
        match of("targetPort").filter(|t| *t != "0") {
            Some(name) if name.parse::<i32>().is_err() => f.port_name(&path("targetPort"), name),
            number => f.port(&path("targetPort"), number),
        }
    }
    f.labels("spec.selector", spec.and_then(|s| s.get("selector")));
    let affinity = given(spec, "sessionAffinity").unwrap_or("None");
    f.one_of("spec.sessionAffinity", Some(affinity), &["ClientIP", "None"]);
    let config = spec.and_then(|s| s.get("sessionAffinityConfig")).filter(|c| !c.is_null());
    if affinity == "None" && config.is_some() {
        f.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None");
    }
    let seconds =
        given(config.and_then(|c| c.get("clientIP")), "timeoutSeconds").and_then(|n| n.parse().ok());
    if let Some(n) = seconds.filter(|n: &i64| affinity == "ClientIP" && !(1..=MAX_AFFINITY).contains(n)) {
        let why = format!("must be greater than 0 and less than {MAX_AFFINITY}");
        f.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", &n.to_string(), &why);
    }
    let ips = match list(spec, "clusterIPs") {
        [] => spec.and_then(|s| s.get("clusterIP")).map_or(&[][..], std::slice::from_ref),
        all => all,
    };
    let ips = ips.iter().filter(|ip| !ip.is_null()).map(Yaml::token);
    for (i, ip) in ips.enumerate().filter(|(i, ip)| !ip.is_empty() && (*i > 0 || *ip != "None")) {
        f.address(&format!("spec.clusterIPs[{i}]"), ip, false);
    }
    for (i, ip) in list(spec, "externalIPs").iter().map(Yaml::token).enumerate() {
        f.address(&format!("spec.externalIPs[{i}]"), ip, true);
    }
    f.one_of("spec.type", Some(kind), &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    let (mut node_ports, mut numbers) = (Vec::new(), Vec::new());
    for (i, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{i}]");
        let (protocol, number) = (given(Some(port), "protocol").unwrap_or("TCP"), given(Some(port), "port"));
        if let Some(node_port) = given(Some(port), "nodePort").filter(|n| *n != "0") {
            let path = format!("{path}.nodePort");
            if kind == "ClusterIP" {
                f.forbidden(&path, "may not be used when `type` is 'ClusterIP'");
            }
            if node_ports.contains(&(protocol, node_port)) {
                f.twice(&path, node_port);
            }
            node_ports.push((protocol, node_port));
        }
        let number = number.unwrap_or("0");
        if numbers.contains(&(protocol, number)) {
            let rest = "\"AppProtocol\":null,\"Port\"";
            let value = format!(
                "{{\"Name\":\"\",\"Protocol\":\"{protocol}\",{rest}:{number},\"TargetPort\":0,\"NodePort\":0}}"
            );
            f.twice(&path, &value);
        }
        numbers.push((protocol, number));
    }
    let balanced = kind == "LoadBalancer";
    let only = "may only be used when `type` is 'LoadBalancer'";
    const RANGES: &str = "spec.LoadBalancerSourceRanges";
    for (i, net) in list(spec, "loadBalancerSourceRanges").iter().map(|n| n.token().trim()).enumerate() {
        if !balanced {
            f.forbidden(RANGES, only);
        }
        if net.parse::<IpNet>().is_err() {
            let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            f.invalid(&format!("{RANGES}[{i}]"), &quoted(net), why);
        }
    }
    if !balanced && given(spec, "allocateLoadBalancerNodePorts").is_some() {
        f.forbidden("spec.allocateLoadBalancerNodePorts", only);
    }
    let outside = matches!(kind, "NodePort" | "LoadBalancer") || !list(spec, "externalIPs").is_empty();
    let policy = given(spec, "externalTrafficPolicy").filter(|policy| !policy.is_empty());
    match policy {
        Some(policy) if !outside => {
            let why = "may only be set for externally-accessible services";
            f.invalid("spec.externalTrafficPolicy", &quoted(policy), why);
        }
        policy => f.one_of("spec.externalTrafficPolicy", policy, &POLICIES),
    }
    if let Some(number) = given(spec, "healthCheckNodePort").filter(|n| *n != "0") {
        let path = "spec.healthCheckNodePort";
        match balanced && policy == Some("Local") {
            true => f.port(path, Some(number)),
            false => {
                let why =
                    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
                f.invalid(path, number, why);
            }
        }
    }
    f.one_of("spec.internalTrafficPolicy", given(spec, "internalTrafficPolicy"), &POLICIES);
}

/// `ValidatePodSpec`
fn pod(f: &mut Faults, spec: Option<&Yaml>, path: &str) {
    let host = given(spec, "hostNetwork") == Some("true");
    if f.1 && list(spec, "containers").is_empty() {
        f.required(&format!("{path}.containers"));
    }
    let (mut names, mut taken) = (Vec::new(), Vec::new());
    for key in ["containers", "initContainers"] {
        for (i, container) in list(spec, key).iter().enumerate() {
            let path = format!("{path}.{key}[{i}]");
            let container = Some(container);
            match given(container, "name").unwrap_or_default() {
                "" if f.1 => f.required(&format!("{path}.name")),
                "" => {}
                name => {
                    f.name(&format!("{path}.name"), name, &LABEL);
                    if names.contains(&name) {
                        f.twice(&format!("{path}.name"), &quoted(name));
                    }
                    names.push(name);
                }
            }
            if f.1 && given(container, "image").unwrap_or_default().is_empty() {
                f.required(&format!("{path}.image"));
            }
            let mut port_names = Vec::new();
            for (i, port) in list(container, "ports").iter().enumerate() {
                let path = |key| format!("{path}.ports[{i}].{key}");
                let of = |key| given(Some(port), key);
                if let Some(name) = of("name").filter(|name| !name.is_empty()) {
                    f.port_name(&path("name"), name);
                    if port_names.contains(&name) {
                        f.twice(&path("name"), &quoted(name));
                    }
                    port_names.push(name);
                }
                match of("containerPort").unwrap_or("0") {
                    "0" => f.required(&path("containerPort")),
                    number => f.port(&path("containerPort"), Some(number)),
                }
                f.one_of(&path("protocol"), of("protocol"), &PROTOCOLS);
                let Some(number) = of("hostPort").filter(|n| *n != "0") else { continue };
                f.port(&path("hostPort"), Some(number));
                if host && of("containerPort") != Some(number) {
                    let why = "must match `containerPort` when `hostNetwork` is true";
                    f.invalid(&path("hostPort"), number, why);
                }
                let protocol = of("protocol").unwrap_or("TCP");
                let one = format!("{protocol}/{}/{number}", of("hostIP").unwrap_or_default());
                if key == "containers" && taken.contains(&one) {
                    f.twice(&path("hostPort"), &quoted(&one));
                }
                taken.push(one);
            }
        }
    }
    let restart = given(spec, "restartPolicy");
    f.one_of(&format!("{path}.restartPolicy"), restart, &["Always", "OnFailure", "Never"]);
    let dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    f.one_of(&format!("{path}.dnsPolicy"), given(spec, "dnsPolicy"), &dns);
}

/// `ValidateDeploymentSpec`
fn deployment(f: &mut Faults, spec: Option<&Yaml>) {
    if let Some(n) = given(spec, "replicas").filter(|n| n.parse::<i32>().is_ok_and(|n| n < 0)) {
        f.invalid("spec.replicas", n, "must be greater than or equal to 0");
    }
    let selector = spec.and_then(|s| s.get("selector")).filter(|s| !s.is_null());
    let wanted = selector.and_then(|s| s.get("matchLabels"));
    if selector.is_none() {
        f.required("spec.selector");
    }
    f.labels("spec.selector.matchLabels", wanted);
    let template = spec.and_then(|s| s.get("template"));
    let labels = template.and_then(|t| t.get("metadata")?.get("labels"));
    if let Some(Value::Mapping(wanted)) = wanted.map(|w| &w.value)
        && wanted.iter().any(|e| labels.and_then(|l| l.get(&e.key)).map(Yaml::token) != Some(e.value.token()))
    {
        let labels = labels.map_or("null".to_owned(), json_line);
        f.invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`");
    }
    f.labels("spec.template.labels", labels);
    pod(f, template.and_then(|t| t.get("spec")), "spec.template.spec");
}
