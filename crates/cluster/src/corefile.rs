//! CoreDNS's Corefile (coredns.io/manual/configuration), as far as a lab needs it: which zones are served where, and by which
//! plugins.

use crate::diagnostic::Read;
use crate::yaml::Place;
use serde::{Deserialize, Serialize};

/// A Corefile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corefile {
    /// The server blocks, in their order.
    pub servers: Vec<Server>,
}

/// A server block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The zones, `.` for all names, each with its port.
    pub zones: Vec<(String, u16)>,
    /// The plugins, in the order of the text. CoreDNS asks them in an order of its own.
    pub plugins: Vec<Plugin>,
}

/// A plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name, such as `forward`.
    pub name: String,
    /// The words behind it: for `kubernetes` the zones, for `forward` the zone and where to.
    pub args: Vec<String>,
    /// The lines of its block, as words.
    pub block: Vec<Vec<String>>,
    /// The line of the Corefile where it stands, from 1.
    #[serde(default)]
    pub line: usize,
}

impl Server {
    /// A plugin by its name.
    pub fn plugin(&self, name: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|p| p.name == name)
    }

    /// The zones that the plugin `kubernetes` answers for: those named, or else the block's own.
    pub fn kubernetes_zones(&self) -> Vec<&str> {
        match self.plugin("kubernetes") {
            None => Vec::new(),
            Some(plugin) if plugin.args.is_empty() => self.zones.iter().map(|(z, _)| z.as_str()).collect(),
            Some(plugin) => plugin.args.iter().map(String::as_str).collect(),
        }
    }
}

impl Plugin {
    /// Where a `forward` sends questions: the zone, and addresses or files such as /etc/resolv.conf.
    pub fn forward(&self) -> Option<(&str, &[String])> {
        let (zone, to) = self.args.split_first().filter(|_| self.name == "forward")?;
        Some((zone, to))
    }

    /// The words of a line of the block, without its first.
    pub fn option(&self, name: &str) -> Option<&[String]> {
        let line = self.block.iter().find(|line| line.first().is_some_and(|word| word == name))?;
        line.get(1..)
    }
}

/// A word and where it stands.
type Word = (Place, String);

/// The words of each line that has some. `{` and `}` are words of their own where they stand alone, as in CoreDNS.
fn lines(text: &str) -> Vec<Vec<Word>> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words: Vec<Word> = Vec::new();
        let mut word: Option<Word> = None;
        let mut quoted = false;
        for (column, c) in (1..).zip(line.chars()) {
            match c {
                '"' => {
                    quoted = !quoted;
                    word.get_or_insert((Place { line: number, column }, String::new()));
                }
                '#' if !quoted && word.is_none() => break,
                c if c.is_whitespace() && !quoted => words.extend(word.take()),
                c => word.get_or_insert((Place { line: number, column }, String::new())).1.push(c),
            }
        }
        words.extend(word);
        if !words.is_empty() {
            lines.push(words);
        }
    }
    lines
}

fn words(line: &[Word]) -> Vec<String> {
    line.iter().map(|(_, word)| word.clone()).collect()
}

/// Splits off a `{` at the end.
fn opens(line: &[Word]) -> (&[Word], bool) {
    match line.split_last() {
        Some(((_, word), rest)) if word == "{" => (rest, true),
        _ => (line, false),
    }
}

impl Corefile {
    /// Reads a Corefile.
    ///
    /// # Errors
    /// Names line, column and token of the first thing that cannot be used: braces that do not match, a zone that is none, a
    /// plugin `kubernetes` or `forward` that is not complete.
    pub fn read(text: &str) -> Read<Corefile> {
        let mut servers: Vec<Server> = Vec::new();
        let mut rest = lines(text).into_iter();
        while let Some(line) = rest.next() {
            let (keys, open) = opens(&line);
            let Some((place, word)) = keys.first() else {
                return Err(line.first().map_or(Place::default(), |(p, _)| *p).blame("{", "expected a zone"));
            };
            // `(name) {` is a snippet, which `import` would bring in.
            if word.starts_with('(') {
                return Err(place.blame(word, "snippets are not modelled"));
            }
            if !open {
                return Err(place.blame(word, "expected ZONE {"));
            }
            let zones = keys.iter().map(zone).collect::<Read<Vec<_>>>()?;
            if zones.iter().any(|z| servers.iter().any(|s| s.zones.contains(z))) {
                return Err(place.blame(word, "a zone is served once on a port"));
            }
            let mut server = Server { zones, plugins: Vec::new() };
            let mut closed = false;
            while let Some(line) = rest.next() {
                let (head, open) = opens(&line);
                let Some((at, name)) = head.first() else {
                    return Err(place.blame("{", "expected a plugin"));
                };
                if name == "}" {
                    closed = true;
                    break;
                }
                let args = words(head.get(1..).unwrap_or(&[]));
                let mut plugin = Plugin { name: name.clone(), args, block: Vec::new(), line: at.line };
                if open && !block(&mut rest, &mut plugin.block) {
                    return Err(at.blame(name, "its block is not closed; expected }"));
                }
                check(*at, &plugin)?;
                server.plugins.push(plugin);
            }
            if !closed {
                return Err(place.blame(word, "its block is not closed; expected }"));
            }
            servers.push(server);
        }
        Ok(Corefile { servers })
    }
}

/// Takes the lines of a plugin's block. False if it does not end.
fn block(rest: &mut impl Iterator<Item = Vec<Word>>, out: &mut Vec<Vec<String>>) -> bool {
    let mut depth = 1usize;
    for line in rest {
        if line.first().is_some_and(|(_, word)| word == "}") {
            depth -= 1;
            if depth == 0 {
                return true;
            }
        }
        if opens(&line).1 {
            depth += 1;
        }
        out.push(words(&line));
    }
    false
}

/// `[SCHEME://]ZONE[:PORT]`
fn zone((place, word): &Word) -> Read<(String, u16)> {
    const DNS: u16 = 53;
    let word = word.trim_end_matches(',');
    let bare = word.split_once("://").map_or(word, |(_, rest)| rest);
    let (name, port) = match bare.rsplit_once(':') {
        None => (bare, DNS),
        Some((name, port)) => match port.parse() {
            Ok(port) => (name, port),
            Err(_) => return Err(place.blame(word, "expected ZONE:PORT")),
        },
    };
    let name = if name.is_empty() { "." } else { name };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '*');
    if !name.chars().all(fits) {
        return Err(place.blame(word, "expected a zone, such as cluster.local or ."));
    }
    Ok((name.to_owned(), port))
}

/// What a lab needs must be complete.
fn check(place: Place, plugin: &Plugin) -> Read<()> {
    match plugin.name.as_str() {
        "forward" if plugin.args.len() < 2 => {
            Err(place.blame("forward", "expected forward ZONE TO..., such as forward . /etc/resolv.conf"))
        }
        "import" => Err(place.blame("import", "not modelled; write the text in")),
        "kubernetes" => match plugin.option("pods") {
            Some([mode]) if matches!(mode.as_str(), "disabled" | "insecure" | "verified") => Ok(()),
            None => Ok(()),
            Some(other) => {
                Err(place.blame(&other.join(" "), "pods: expected disabled, insecure or verified"))
            }
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Corefile;

    /// As kubeadm writes it.
    const KUBEADM: &str = "\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
";

    #[test]
    fn kubeadms_corefile_is_read() {
        let corefile = Corefile::read(KUBEADM).unwrap();
        let server = &corefile.servers[0];
        assert_eq!(server.zones, [(".".to_owned(), 53)]);
        assert_eq!(server.kubernetes_zones(), ["cluster.local", "in-addr.arpa", "ip6.arpa"]);
        let forward = server.plugin("forward").unwrap();
        assert_eq!(
            (forward.forward(), forward.line),
            (Some((".", &["/etc/resolv.conf".to_owned()][..])), 13)
        );
        assert_eq!(server.plugin("kubernetes").unwrap().option("ttl"), Some(&["30".to_owned()][..]));
        assert_eq!(server.plugins.len(), 10);
    }

    #[test]
    fn zones_have_ports() {
        let corefile =
            Corefile::read("example.org a.test:1053 { # mine\n log\n}\n:54 {\n}\ndns://b {\n}\n").unwrap();
        let zones: Vec<_> = corefile.servers.iter().flat_map(|s| &s.zones).collect();
        let zones: Vec<_> = zones.iter().map(|(z, p)| (z.as_str(), *p)).collect();
        assert_eq!(zones, [("example.org", 53), ("a.test", 1053), (".", 54), ("b", 53)]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            (". {\n errors\n", "line 1, column 1: \".\": its block is not closed"),
            (". {\n kubernetes {\n  ttl 1\n", "line 2, column 2: \"kubernetes\": its block is not closed"),
            (". {\n forward .\n}\n", "line 2, column 2: \"forward\": expected forward ZONE TO"),
            (".:x {\n}\n", "\".:x\": expected ZONE:PORT"),
            ("a;b {\n}\n", "\"a;b\": expected a zone"),
            (".\n", "line 1, column 1: \".\": expected ZONE {"),
            (". {\n}\n.:53 {\n}\n", "line 3, column 1: \".:53\": a zone is served once"),
            (". {\n kubernetes x {\n pods maybe\n }\n}\n", "\"maybe\": pods: expected disabled"),
        ] {
            let e = Corefile::read(text).unwrap_err().to_string();
            assert!(e.contains(message), "{e}");
        }
    }
}
