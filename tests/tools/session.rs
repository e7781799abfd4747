//! Playing a recorded session.

use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type};
use regex_lite::Regex;
use serde_json::{Map, Value, json};
use sim::operator::CommandOutput;
use sim::programs::http_server::{HttpServer, Page, Style};
use sim::programs::{Daemon, Program, Run};
use sim::{HostSpec, StepOutcome};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What became of a session.
#[derive(Debug, Default)]
pub struct Report {
    /// Commands that printed what the real tools printed.
    pub agree: usize,
    /// The others.
    pub differ: Vec<Difference>,
}

/// A command that printed something else.
#[derive(Debug)]
pub struct Difference {
    /// The command line.
    pub command: String,
    /// Ours and theirs.
    pub how: String,
}

/// Splits a command line as a shell does, without anything but quotes. `None` if it needs a real shell.
fn words(line: &str) -> Option<Vec<String>> {
    if line.contains(['|', ';', '>', '<', '$', '`', '&']) && !line.contains('\'') {
        return None;
    }
    let (mut out, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | ';' | '>' | '<' | '$' | '`') => return None,
            (None, c) if c.is_whitespace() => out.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    Some(out)
}

/// A server of HTTP, or else of DNS, and where it listens.
type Listens = (bool, (Ipv4Addr, u16));

/// The server modes of the sessions that scenarios do not have become programs.
fn servers(host: &mut Map<String, Value>) -> Vec<Listens> {
    let Some(Value::Array(list)) = host.get_mut("servers") else { return Vec::new() };
    let mut daemons = Vec::new();
    list.retain(|s| {
        let (addr, port) = s["bind"].as_str().unwrap().split_once(':').unwrap();
        let bind = (addr.parse().unwrap(), port.parse().unwrap());
        match s["mode"].as_str() {
            Some("http") => daemons.push((true, bind)),
            Some("dns") => daemons.push((false, bind)),
            _ => return true,
        }
        false
    });
    daemons
}

/// The HTTP server of the sessions.
fn http(bind: (Ipv4Addr, u16)) -> Daemon {
    let mut server = HttpServer::nginx(bind);
    server.style = Style::Named("lab".to_owned());
    (server.keep_alive, server.dated) = (false, false);
    let site = &mut server.sites[0];
    site.otherwise = Page::not_found("text/plain", "not found\n");
    let page = &mut site.pages[0];
    page.content_type = "text/plain".to_owned();
    page.body = "hello from {host}, you are {client}\n".to_owned();
    Daemon::new(server)
}

/// The DNS server of the sessions: every name has one address.
#[derive(Clone, Debug)]
struct OneAddress((Ipv4Addr, u16), Option<kernel::SocketId>);

impl Program for OneAddress {
    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let bind = self.0;
        let socket = *self.1.get_or_insert_with(|| {
            let socket = run.kernel(|ns, kcx| ns.udp_bind(bind, kcx)).unwrap().unwrap();
            run.own(socket);
            socket
        });
        while let Some(Some(d)) = run.kernel(|ns, _| ns.udp_recv(socket)) {
            let Some(query) = Dns::parse(&d.payload) else { continue };
            let mut answer = Dns { authoritative: true, recursion_available: true, ..query.answer() };
            let name = query.questions[0].name.clone();
            let data = DnsData::A([10, 96, 0, 80].into());
            answer.answers.push(DnsRecord { name, kind: dns_type::A, class: 1, ttl: 5, data });
            let bytes = answer.to_bytes();
            run.kernel(|ns, kcx| ns.udp_send(socket, Some(d.from), Some(d.to), bytes, kcx));
        }
        None
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }
}

/// A stimulus of a session as one of a scenario.
fn stimulus(s: &Value) -> Value {
    if s["do"] != "dns" {
        return s.clone();
    }
    let name = DnsName::new(s["name"].as_str().unwrap_or("web.default.svc.cluster.local")).unwrap();
    let query = Dns::query(s["id"].as_u64().unwrap_or(0x1234) as u16, name, dns_type::A).to_bytes();
    let mut udp = s.clone();
    udp["do"] = json!("udp");
    udp["payload"] = json!(String::from_utf8(query).unwrap());
    let fields = udp.as_object_mut().unwrap();
    fields.remove("name");
    fields.remove("id");
    udp
}

fn command(c: &Value, how: &str) -> Option<Value> {
    let argv = words(c["cmd"].as_str()?)?;
    let mut out = json!({ "do": how, "host": c["host"], "argv": argv });
    if let Some(stdin) = c.get("stdin") {
        out["stdin"] = stdin.clone();
    }
    Some(out)
}

/// Plays all steps of a session.
pub fn play(text: &str) -> Report {
    let session: Value = serde_json::from_str(text).unwrap();
    let masks = masks(&session);
    let of_tcp = session["name"].as_str().unwrap().starts_with("tcpdump-tcp");
    let mut document = session["scenario"].clone();
    let mut daemons: BTreeMap<String, Vec<Listens>> = BTreeMap::new();
    for (name, host) in document["hosts"].as_object_mut().unwrap() {
        let host = host.as_object_mut().unwrap();
        host.insert("trace".to_owned(), json!(false));
        // It is set to what older kernels had from the start.
        if of_tcp {
            host.insert("kernel".to_owned(), json!("6.1"));
        }
        if let Some(Value::Object(settings)) = host.get_mut("sysctl") {
            settings.remove("net.ipv4.tcp_rmem");
        }
        host.entry("files").or_insert(json!({ "/etc/hosts": "127.0.0.1 localhost\n" }));
        daemons.insert(name.clone(), servers(host));
    }
    // What is done, and which recorded commands belong to it.
    let (mut stimuli, mut recorded): (Vec<Value>, Vec<Vec<&Value>>) = (Vec::new(), Vec::new());
    let mut push = |stimulus: Option<Value>, commands: Vec<&'static Value>| {
        if let Some(stimulus) = stimulus {
            stimuli.push(stimulus);
            recorded.push(commands);
        }
    };
    // The session lives as long as the test.
    let steps: &'static [Value] = Box::leak(session["steps"].as_array().unwrap().clone().into_boxed_slice());
    for step in steps {
        match step["type"].as_str() {
            Some("cmd") => {
                if session["name"] == "client-ping" {
                    // As when it was recorded: between errors, of which a host sends few a second.
                    push(Some(json!({ "do": "sleep", "ms": 1100 })), Vec::new());
                }
                push(command(step, "cmd"), vec![step]);
            }
            Some("stim") => push(Some(stimulus(&step["stimulus"])), Vec::new()),
            _ => {
                let watching: Vec<&Value> = step["commands"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|c| command(c, "start").is_some())
                    .collect();
                for c in &watching {
                    push(command(c, "start"), Vec::new());
                }
                for d in step["during"].as_array().unwrap() {
                    match d["type"].as_str() {
                        Some("cmd") => push(command(d, "cmd"), vec![d]),
                        _ => push(Some(stimulus(&d["stimulus"])), Vec::new()),
                    }
                }
                if session["name"] == "tcpdump-arp" {
                    // Two more questions for an address that nobody has, a second apart.
                    push(Some(json!({ "do": "sleep", "ms": 2500 })), Vec::new());
                }
                push(Some(json!({ "do": "wait" })), watching);
            }
        }
    }
    document["stimuli"] = Value::Array(stimuli);
    let mut scenario = nflab::scenario::parse(&document).unwrap();
    for host in &mut scenario.hosts {
        add_daemons(host, daemons.get(&host.name).map_or(&[], Vec::as_slice));
    }
    let run = scenario.run().unwrap();
    let mut report = Report::default();
    for (step, recorded) in run.steps.iter().zip(recorded) {
        match (&step.outcome, recorded.as_slice()) {
            (StepOutcome::Command(output), [real]) => compare(real, output, &masks, &mut report),
            (StepOutcome::NotRun(why), [real]) => {
                let command = real["cmd"].as_str().unwrap().to_owned();
                report.differ.push(Difference { command, how: why.clone() });
            }
            (StepOutcome::Ended(ended), all) => {
                for ((_, argv, output), real) in ended.iter().zip(all) {
                    assert_eq!(words(real["cmd"].as_str().unwrap()).as_ref(), Some(argv));
                    compare(real, output, &masks, &mut report);
                }
            }
            _ => {}
        }
    }
    report
}

fn add_daemons(host: &mut HostSpec, daemons: &[Listens]) {
    host.daemons.extend(
        daemons
            .iter()
            .map(|(is_http, bind)| if *is_http { http(*bind) } else { Daemon::new(OneAddress(*bind, None)) }),
    );
}

/// The masks by name: a pattern and what takes its place, or a word for what is not a pattern.
type Masks = BTreeMap<String, (Option<Regex>, String)>;

fn masks(session: &Value) -> Masks {
    let read = |(name, mask): (&String, &Value)| {
        let re = mask["re"].as_str().unwrap();
        let pattern = if re.starts_with('@') || name == "any" {
            None
        } else {
            Some(Regex::new(&format!("(?m){}", re.replace("\\Z", "\\z"))).unwrap())
        };
        let to = mask["to"].as_str().unwrap_or(re).replace("\\1", "${1}").replace("\\2", "${2}");
        (name.clone(), (pattern, to))
    };
    session["masks"].as_object().unwrap().iter().map(read).collect()
}

fn masked(text: &str, names: &Value, masks: &Masks) -> String {
    let mut text = text.to_owned();
    for name in names.as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        match masks.get(name) {
            Some((Some(re), to)) => text = re.replace_all(&text, to.as_str()).into_owned(),
            _ if name == "any" => text = (!text.is_empty()).to_string(),
            _ => {
                let mut lines: Vec<&str> = text.lines().collect();
                lines.sort_unstable();
                text = lines.join("\n");
            }
        }
    }
    text
}

fn compare(real: &Value, ours: &CommandOutput, masks: &Masks, report: &mut Report) {
    let join = |lines: &[String]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
    // A line that its tool has not ended looks like one that it has.
    let mask = |text: &str| {
        let text =
            if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        masked(&text, &real["mask"], masks)
    };
    let theirs = (
        real["status"].as_i64().unwrap(),
        mask(real["stdout"].as_str().unwrap()),
        mask(real["stderr"].as_str().unwrap()),
    );
    let got = (i64::from(ours.status), mask(&join(&ours.stdout)), mask(&join(&ours.stderr)));
    if theirs == got {
        report.agree += 1;
        return;
    }
    let command = format!("{}: {}", real["host"].as_str().unwrap(), real["cmd"].as_str().unwrap());
    let mut how = String::new();
    for (what, a, b) in [("stdout", &theirs.1, &got.1), ("stderr", &theirs.2, &got.2)] {
        let (a, b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
        for i in 0..a.len().max(b.len()) {
            if a.get(i) != b.get(i) {
                how +=
                    &format!("  {what} line {i}\n    theirs: {:?}\n    ours:   {:?}\n", a.get(i), b.get(i));
                break;
            }
        }
    }
    if theirs.0 != got.0 {
        how += &format!("  status {} instead of {}\n", got.0, theirs.0);
    }
    report.differ.push(Difference { command, how });
}
