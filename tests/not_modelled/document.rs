//! The document and the tests name each other.

/// Where the tests of the differences are.
const SOURCES: [&str; 8] = [
    include_str!("different_boxes.rs"),
    include_str!("different_ipvs.rs"),
    include_str!("different_kube_proxy.rs"),
    include_str!("different_netfilter.rs"),
    include_str!("different_packets.rs"),
    include_str!("different_programs.rs"),
    include_str!("different_sets.rs"),
    include_str!("different_tunnels.rs"),
];

/// The names of the tests.
fn tests() -> Vec<&'static str> {
    let lines: Vec<&str> = SOURCES.iter().flat_map(|s| s.lines()).collect();
    let named = |w: &[&'static str]| {
        w[0].trim().eq("#[test]").then(|| w[1].trim().strip_prefix("fn ")?.strip_suffix("() {")).flatten()
    };
    lines.windows(2).filter_map(named).collect()
}

/// The items of a part of the document, each as one line.
fn items(part: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/NOT-MODELLED.md");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().skip_while(|l| *l != format!("## {part}")).skip(1);
    let mut out: Vec<String> = Vec::new();
    for line in lines.take_while(|l| !l.starts_with("## ")) {
        if let Some(item) = line.strip_prefix("- ") {
            out.push(item.to_owned());
        } else if let (Some(last), true) = (out.last_mut(), line.starts_with("  ")) {
            last.push(' ');
            last.push_str(line.trim());
        }
    }
    out
}

/// The test that an item names at its end.
fn key(item: &str) -> Option<&str> {
    item.strip_suffix('`')?.rsplit_once('`').map(|(_, key)| key)
}

#[test]
fn every_difference_names_its_test_and_every_test_is_named() {
    let (tests, mut items) = (tests(), items("Different from Linux"));
    items.extend(self::items("Different from kube-proxy"));
    assert!(items.len() > 40, "{}", items.len());
    let mut named: Vec<&str> = Vec::new();
    for item in &items {
        let key = key(item).unwrap_or_else(|| panic!("no test at the end of: {item}"));
        assert!(tests.contains(&key), "there is no test {key}: {item}");
        assert!(!named.contains(&key), "{key} is named twice");
        named.push(key);
    }
    let nameless: Vec<&&str> = tests.iter().filter(|t| !named.contains(t)).collect();
    assert!(nameless.is_empty(), "docs/NOT-MODELLED.md does not name {nameless:?}");
}
