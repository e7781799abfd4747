//! The page's state in the address: `#v1/LAB/EVENT/BOX?set=SWITCH=VALUE,…`.
//!
//! The fragment never leaves the browser. A fragment that makes no sense is as good as none.

use workshop::Setting;

/// What a link says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The lab; empty for the first one.
    pub lab: String,
    /// The event, if it names one.
    pub event: Option<u32>,
    /// The box that is looked at, if not the packet's.
    pub host: Option<String>,
    /// Switches that do not stand at their default.
    pub set: Setting,
}

/// Longest fragment that is looked at.
const LIMIT: usize = 2000;

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
        let word =
            |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let mut link = Link { lab: parts.next().filter(|s| word(s))?.to_owned(), ..Link::default() };
        link.event = parts.next().and_then(|s| s.parse().ok());
        link.host = parts.next().filter(|s| word(s) && *s != "-").map(str::to_owned);
        for pair in query.split('&') {
            let Some(list) = pair.strip_prefix("set=") else { continue };
            let pairs = list.split(',').filter_map(|s| s.split_once('='));
            for (k, v) in pairs.filter(|(k, v)| word(k) && word(v)) {
                link.set.insert(k.to_owned(), v.to_owned());
            }
        }
        Some(link)
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
        if !self.set.is_empty() {
            let pairs: Vec<String> = self.set.iter().map(|(k, v)| format!("{k}={v}")).collect();
            out.push_str("?set=");
            out.push_str(&pairs.join(","));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

    #[test]
    fn a_link_comes_back_as_it_was() {
        let mut link = Link { lab: "same-node-clusterip".to_owned(), ..Link::default() };
        for event in [None, Some(0), Some(34)] {
            link.event = event;
            assert_eq!(Link::parse(&link.print()), Some(link.clone()));
        }
        link.host = Some("worker-2".to_owned());
        link.set.insert("br_netfilter".to_owned(), "on".to_owned());
        assert_eq!(link.print(), "#v1/same-node-clusterip/34/worker-2?set=br_netfilter=on");
        assert_eq!(Link::parse(&link.print()), Some(link));
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
            &format!("#v1/{}", "x".repeat(3000)),
        ] {
            assert_eq!(Link::parse(bad), None, "{bad}");
        }
        let link = Link::parse("#v1/x/-3/%00/y?set=a,b=,=c,d=e&z").unwrap();
        assert_eq!((link.event, link.host), (None, None));
        assert_eq!(link.set.into_iter().collect::<Vec<_>>(), [("d".to_owned(), "e".to_owned())]);
    }
}
