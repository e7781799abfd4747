//! The page's state in the address: `#v1/LAB/EVENT/BOX?set=SWITCH=VALUE,…&at=LEVEL&do=COMMANDS&v=VERSION`.
//! The level is `node`, `hook` (that of the packet) or a hook's name; without it the whole cluster is seen.
//!
//! What is looked at beside the picture: `tab=TABLE`, `cap=BOX`, `dev=DEVICE` and `frames=FILTER` of the capture, `box=`, `chain=`, `table=` and `only=` of
//! the journey's filter.
//!
//! Commands are `do=` in readable form where that is short, else `c=`, deflated. A lab that did not come with the program is there as a
//! whole, as `y=`. The fragment never leaves the browser. A fragment that makes no sense is as good as none;
//! what of one of ours cannot be read is told.

use crate::course::Place;
use crate::keys::TABS;
use crate::packed::{escape, pack, unescape, unpack};
use crate::state::Tab;
use crate::topology::Level;
use kernel::netfilter::hook::InetHook;
use sim::view::Only;
use std::rc::Rc;
use workshop::session::text;
use workshop::{Session, Setting, Typed};

/// What a link says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The lab; empty for the first one.
    pub lab: String,
    /// The event, if it names one.
    pub event: Option<u32>,
    /// The box that is looked at, if not the packet's.
    pub host: Option<String>,
    /// How near the picture is.
    pub level: Level,
    /// The hook that is looked at, if not the packet's.
    pub hook: Option<InetHook>,
    /// Switches that do not stand at their default.
    pub set: Setting,
    /// Commands that were typed.
    pub typed: Vec<Typed>,
    /// The lab's text, if it did not come with the program.
    pub source: Option<Rc<str>>,
    /// The version of the program that made the link, if it is not this one.
    pub version: Option<String>,
    /// What is looked at beside the picture; `None`: whatever it was.
    pub seen: Option<Seen>,
    /// What of it cannot be read.
    pub broken: Option<Broken>,
}

/// What is looked at beside the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The table at the bottom, if not the capture.
    pub tab: Option<Tab>,
    /// The box whose capture is shown.
    pub captured: Option<String>,
    /// Its device.
    pub device: Option<String>,
    /// The filter of the capture.
    pub frames: String,
    /// The journey is that in this box.
    pub host: Option<String>,
    /// The same of a table, or another part of the system.
    pub area: Option<String>,
    /// The same of a hook, and of what kind of steps.
    pub hook: Option<InetHook>,
    /// Which steps.
    pub only: Only,
}

impl Seen {
    /// Takes what a pair of the query says.
    fn take(&mut self, key: &str, value: &str) {
        let named = || Some(value).filter(|v| word(v)).map(str::to_owned);
        match key {
            "tab" => self.tab = TABS.iter().find(|(_, name)| *name == value).map(|(tab, _)| *tab),
            "cap" => self.captured = named(),
            "dev" => self.device = unescape(value),
            "frames" => self.frames = unescape(value).unwrap_or_default(),
            "box" => self.host = named(),
            "table" => self.area = unescape(value),
            "chain" => self.hook = InetHook::ALL.into_iter().find(|h| h.chain() == value),
            "only" => {
                self.only =
                    ONLY.iter().find(|(_, name)| *name == value).map(|(only, _)| *only).unwrap_or_default()
            }
            _ => {}
        }
    }

    /// Pairs of the query.
    fn print(&self, query: &mut Vec<String>) {
        let tab = TABS.iter().find(|(tab, _)| Some(*tab) == self.tab && *tab != Tab::Capture);
        let only = ONLY.iter().find(|(only, _)| *only == self.only);
        let frames = Some(self.frames.as_str()).filter(|text| !text.is_empty());
        for (key, value) in [
            ("tab", tab.map(|(_, name)| *name)),
            ("cap", self.captured.as_deref()),
            ("dev", self.device.as_deref()),
            ("frames", frames),
            ("box", self.host.as_deref()),
            ("table", self.area.as_deref()),
            ("chain", self.hook.map(InetHook::chain)),
            ("only", only.map(|(_, name)| *name)),
        ] {
            query.extend(value.map(|value| format!("{key}={}", escape(value))));
        }
    }
}

/// The words for some of the steps.
const ONLY: [(Only, &str); 2] = [(Only::Changes, "changes"), (Only::Verdicts, "verdicts")];

/// What mail or chat have cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The commands.
    Commands,
    /// The lab's text.
    Lab,
}

/// Longest fragment that is looked at: less than what any browser takes.
pub const LIMIT: usize = 1_000_000;
/// Mail and chat break links that are longer.
pub const LONG: usize = 2000;
/// What is said of a state that no link holds.
pub const TOO_LONG: &str = "This is more than an address can hold: the link and a reload lead to what was here before. Save makes a file of it.";
/// Why a link may be broken.
const CUT: &str = "mail or chat may have cut it off";
/// Commands are readable up to this length.
const READABLE: usize = 240;
/// The version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Link {
    /// Reads a fragment, with or without its `#`. `None` if it is not one of ours.
    pub fn parse(fragment: &str) -> Option<Link> {
        let text = fragment.strip_prefix('#').unwrap_or(fragment);
        if text.len() > LIMIT {
            return None;
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut parts = path.split('/');
        if parts.next()? != "v1" {
            return None;
        }
        let mut link = Link { lab: parts.next().filter(|s| word(s))?.to_owned(), ..Link::default() };
        link.event = parts.next().and_then(|s| s.parse().ok());
        link.host = parts.next().filter(|s| word(s) && *s != "-").map(str::to_owned);
        let mut seen = Seen::default();
        for pair in query.split('&') {
            let Some((key, value)) = pair.split_once('=') else { continue };
            match key {
                "set" => {
                    let pairs = value.split(',').filter_map(|s| s.split_once('='));
                    for (k, v) in pairs.filter(|(k, v)| word(k) && word(v)) {
                        link.set.insert(k.to_owned(), v.to_owned());
                    }
                }
                "at" => (link.level, link.hook) = near(value),
                "do" => link.take_commands(unescape(value)),
                "c" => link.take_commands(unpack(value)),
                "y" => {
                    link.source = unpack(value).map(Rc::from);
                    if link.source.is_none() {
                        link.broken = Some(Broken::Lab);
                    }
                }
                "v" if value != VERSION && word(value) => link.version = Some(value.to_owned()),
                key => seen.take(key, value),
            }
        }
        link.seen = Some(seen);
        Some(link)
    }

    fn take_commands(&mut self, text: Option<String>) {
        match text.and_then(|text| text::parse(&text).ok()) {
            Some(typed) => self.typed = typed,
            None => self.broken = Some(Broken::Commands),
        }
    }

    /// What a page's query (`?lab=NAME`) asks for.
    pub fn of_query(query: &str) -> Option<Link> {
        let query = query.strip_prefix('?').unwrap_or(query);
        let lab = query.split('&').find_map(|pair| pair.strip_prefix("lab="))?;
        word(lab).then(|| Link { lab: lab.to_owned(), ..Link::default() })
    }

    /// The link to a session, without a moment.
    pub fn of(session: &Session) -> Link {
        let mut set = session.changes.clone();
        for (name, value) in &session.lab.default_setting() {
            if set.get(name) == Some(value) {
                set.remove(name);
            }
        }
        let lab = if word(&session.lab.name) { session.lab.name.clone() } else { "lab".to_owned() };
        Link { lab, set, typed: session.typed.clone(), source: session.source.clone(), ..Link::default() }
    }

    /// What it leads to came with the program, or is in the link.
    pub fn is_known(&self) -> bool {
        let built_in = Place::of(&self.lab).is_some() || self.lab == workshop::load::NAME;
        built_in || self.session().is_ok()
    }

    /// The lab of the link, as it begins. `Err` says why there is none.
    pub fn session(&self) -> Result<Session, String> {
        if self.broken == Some(Broken::Lab) {
            return Err(format!("The lab in this link cannot be read: {CUT}. This is the first one."));
        }
        if let Some(source) = &self.source {
            return Session::from_text(source)
                .map_err(|e| format!("The lab in the link cannot be read: {e}"));
        }
        match workshop::lab(&self.lab).or_else(|| workshop::exercise::exercise(&self.lab)) {
            Some(lab) => Ok(Session::new(Rc::new(lab))),
            None => Err(format!("There is no lab “{}”; this is the first one.", self.lab)),
        }
    }

    /// Whether a session is what the link asks for.
    pub fn asks_for(&self, session: &Session) -> bool {
        let asked = Link {
            event: None,
            host: None,
            level: Level::Cluster,
            hook: None,
            version: None,
            broken: None,
            seen: None,
            ..self.clone()
        };
        asked == Link::of(session)
    }

    /// What is to be said of a link that has been cut off, or that another version has made.
    pub fn remark(&self) -> Option<String> {
        if self.broken == Some(Broken::Commands) {
            return Some(format!(
                "The commands in this link cannot be read: {CUT}. This is the lab without them."
            ));
        }
        self.version.as_ref().map(|version| {
            format!(
                "This link was made by version {version}, and this is {VERSION}: the same commands may lead to other events."
            )
        })
    }

    /// The fragment, with its `#`.
    pub fn print(&self) -> String {
        let mut out = format!("#v1/{}", self.lab);
        if let Some(event) = self.event {
            out.push_str(&format!("/{event}"));
            if let Some(host) = &self.host {
                out.push_str(&format!("/{host}"));
            }
        }
        let mut query = Vec::new();
        if !self.set.is_empty() {
            let pairs: Vec<String> = self.set.iter().map(|(k, v)| format!("{k}={v}")).collect();
            query.push(format!("set={}", pairs.join(",")));
        }
        match (self.level, self.hook) {
            (Level::Cluster, _) => {}
            (Level::Node, _) => query.push("at=node".to_owned()),
            (Level::Hook, None) => query.push("at=hook".to_owned()),
            (Level::Hook, Some(hook)) => query.push(format!("at={}", hook.chain())),
        }
        if let Some(seen) = &self.seen {
            seen.print(&mut query);
        }
        if !self.typed.is_empty() {
            let text = text::print(&self.typed);
            let readable = escape(&text);
            query.push(if readable.len() <= READABLE {
                format!("do={readable}")
            } else {
                format!("c={}", pack(&text))
            });
        }
        if let Some(source) = &self.source {
            query.push(format!("y={}", pack(source)));
        }
        if self.event.is_some() || !query.is_empty() {
            query.push(format!("v={VERSION}"));
        }
        if !query.is_empty() {
            out.push('?');
            out.push_str(&query.join("&"));
        }
        out
    }
}

/// The level that a link names, and the hook.
fn near(word: &str) -> (Level, Option<InetHook>) {
    match word {
        "node" => (Level::Node, None),
        "hook" => (Level::Hook, None),
        name => match InetHook::ALL.into_iter().find(|h| h.chain() == name) {
            Some(hook) => (Level::Hook, Some(hook)),
            None => (Level::Cluster, None),
        },
    }
}

/// A name of ours.
fn word(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

    /// A link of an address has all that is looked at.
    fn bare() -> Link {
        Link { seen: Some(Seen::default()), ..Link::default() }
    }

    #[test]
    fn a_link_comes_back_as_it_was() {
        let mut link = Link { lab: "same-node-clusterip".to_owned(), ..bare() };
        for event in [None, Some(0), Some(34)] {
            link.event = event;
            assert_eq!(Link::parse(&link.print()), Some(link.clone()));
        }
        link.host = Some("worker-2".to_owned());
        link.set.insert("br_netfilter".to_owned(), "on".to_owned());
        let v = VERSION;
        assert_eq!(link.print(), format!("#v1/same-node-clusterip/34/worker-2?set=br_netfilter=on&v={v}"));
        assert_eq!(Link::parse(&link.print()), Some(link.clone()));
        link.typed = text::parse("setup nodes sysctl -w a=0\nend - kubectl delete pod x\n").unwrap();
        assert!(link.print().contains("&do=setup+nodes+sysctl+-w+a=0;end+-+kubectl+delete+pod+x&"));
        assert_eq!(Link::parse(&link.print()), Some(link.clone()));
        link.typed[0].stdin = "*filter\n".repeat(50);
        link.source = Some("kind: Lab".into());
        assert!(link.print().contains("&c=") && link.print().len() < 300, "{}", link.print());
        assert_eq!(Link::parse(&link.print()), Some(link));
    }

    #[test]
    fn a_level_comes_back() {
        let mut link = Link { lab: "x".to_owned(), event: Some(3), ..bare() };
        let levels = [(Level::Node, None), (Level::Hook, None), (Level::Hook, Some(InetHook::Forward))];
        for (level, hook) in levels {
            (link.level, link.hook) = (level, hook);
            assert_eq!(Link::parse(&link.print()), Some(link.clone()), "{}", link.print());
        }
        assert!(link.print().contains("at=FORWARD"));
        assert_eq!(Link::parse("#v1/x?at=elsewhere").unwrap().level, Level::Cluster);
    }

    #[test]
    fn what_was_cut_off_is_told() {
        let mut link = Link { lab: "x".to_owned(), ..Link::default() };
        link.typed =
            text::parse(&"end a iptables -A INPUT -s 10.1.2.3 -p tcp --dport 80 -j DROP\n".repeat(9))
                .unwrap();
        let printed = link.print();
        let cut = Link::parse(&printed[..printed.find("&v=").unwrap() - 9]).unwrap();
        assert_eq!((cut.broken, cut.typed.len()), (Some(Broken::Commands), 0));
        assert!(cut.remark().unwrap().contains("cut it off"));
        for (bad, broken) in
            [("do=garbage", Broken::Commands), ("c=x", Broken::Commands), ("y=A", Broken::Lab)]
        {
            assert_eq!(Link::parse(&format!("#v1/x?{bad}")).unwrap().broken, Some(broken), "{bad}");
        }
        let lab = Link::parse("#v1/etp-local?y=A").unwrap();
        assert!(lab.remark().is_none() && lab.session().unwrap_err().contains("cut it off"));
    }

    #[test]
    fn what_is_looked_at_comes_back() {
        let mut link = Link { lab: "x".to_owned(), event: Some(3), ..bare() };
        link.seen = Some(Seen { tab: Some(Tab::Ipvs), ..Seen::default() });
        assert_eq!(link.print(), format!("#v1/x/3?tab=IPVS&v={VERSION}"));
        link.seen = Some(Seen {
            tab: None,
            device: Some("eth0".to_owned()),
            captured: Some("node-1".to_owned()),
            frames: "ip.addr == 10.0.0.1 && tcp.flags.syn".to_owned(),
            host: Some("web".to_owned()),
            area: Some("table nat".to_owned()),
            hook: Some(InetHook::Forward),
            only: Only::Verdicts,
        });
        assert_eq!(Link::parse(&link.print()), Some(link));
        assert_eq!(Link::parse("#v1/x?tab=y&box=<b>&only=z&chain=w").unwrap().seen, bare().seen);
    }

    #[test]
    fn another_version_is_told() {
        assert_eq!(Link::parse(&format!("#v1/x?v={VERSION}")).unwrap().remark(), None);
        let link = Link::parse("#v1/x?v=99.0").unwrap();
        assert!(link.remark().unwrap().contains("99.0"));
    }

    #[test]
    fn a_query_names_a_lab() {
        let lab = |query| Link::of_query(query).map(|l| l.lab);
        assert_eq!(lab("?a=b&lab=dns-race"), Some("dns-race".to_owned()));
        assert_eq!((lab(""), lab("?lab="), lab("?lab=<b>")), (None, None, None));
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        for bad in [
            "",
            "#",
            "#v0/x",
            "#v1",
            "#v1/",
            "#v1/<b>",
            "#v1/a b",
            "#something",
            &format!("#v1/{}", "x".repeat(LIMIT)),
        ] {
            assert_eq!(Link::parse(bad), None, "{bad}");
        }
        let link = Link::parse("#v1/x/-3/%00/y?set=a,b=,=c,d=e&z").unwrap();
        assert_eq!((link.event, link.host), (None, None));
        assert_eq!(link.set.into_iter().collect::<Vec<_>>(), [("d".to_owned(), "e".to_owned())]);
    }
}
