//! Display filters.

use crate::file::{Capture, folder, names};
use userland::wireshark::DisplayFilter;

#[test]
fn filters_let_those_packets_pass_that_tshark_lets_pass() {
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for name in names() {
        let Ok(golden) = std::fs::read_to_string(folder().join(format!("{name}.filters"))) else { continue };
        let capture = Capture::read(&name);
        let packets = capture.dissected();
        let lines: Vec<&str> = golden.lines().collect();
        for (i, text) in lines.iter().enumerate().filter(|(_, l)| !l.starts_with("    ")) {
            // Where no packet passes there is no line of numbers.
            let theirs = lines.get(i + 1).filter(|l| l.starts_with("    ")).map_or("", |l| l.trim());
            let ours = match DisplayFilter::parse(text) {
                Err(_) => "refused".to_owned(),
                Ok(filter) => {
                    let passed = packets.iter().filter(|(p, fields, _)| filter.matches(p.bytes, fields));
                    passed.map(|(p, ..)| p.number.to_string()).collect::<Vec<_>>().join(" ")
                }
            };
            asked += 1;
            if ours != theirs {
                wrong.push(format!("{name}: {text}\n  ours   {ours:.120}\n  tshark {theirs:.120}"));
            }
        }
    }
    assert!(asked > 200, "{asked}");
    assert!(wrong.is_empty(), "{} of {asked}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_wrong_is_named_and_underlined() {
    let cases = [
        ("tcp.prot == 80", "\"tcp.prot\" is neither a field nor a protocol", (1, 8), "tcp.port"),
        ("tcp.port == http", "\"http\" does not fit", (13, 4), "expected a number"),
        ("ip.src == 10.96.0.300", "\"10.96.0.300\" does not fit", (11, 11), "expected an IPv4 address"),
        ("tcp &&", "the filter ends too early", (7, 1), "expected a field"),
        ("(tcp", "the filter ends too early", (5, 1), "expected )"),
        ("tcp udp", "\"udp\" does not belong here", (5, 3), "expected and, or"),
        ("tcp.port in {80 443}", "\"443\" does not belong here", (17, 3), "expected a comma"),
        ("http.host matches \"x\"", "\"matches\" takes a regular expression", (11, 7), "expected contains"),
        ("ip.addr contains \"a\"", "ip.addr has an IPv4 address", (1, 7), "=="),
        ("tcp == 1", "tcp is a protocol and has no value", (1, 3), "one of its fields"),
        ("http.host == \"a", "the text has no end", (14, 2), "closing double quote"),
        ("eth.src[x] == 1", "\"x\" is no part of a field", (9, 1), "[offset:length]"),
    ];
    for (text, message, (col, len), help) in cases {
        let wrong = DisplayFilter::parse(text).unwrap_err();
        assert!(wrong.message.starts_with(message), "{text}: {}", wrong.message);
        assert_eq!((wrong.span.col, wrong.span.len), (col, len), "{text}: {}", wrong.render(text));
        assert!(wrong.help.contains(help), "{text}: {}", wrong.help);
    }
}

#[test]
fn the_empty_filter_lets_everything_pass() {
    assert!(DisplayFilter::parse("  ").unwrap().matches(&[], &[]));
}

#[test]
fn no_text_makes_it_panic() {
    let whole = "not (ip.addr == 10.0.0.0/8 && tcp[0:-2] == 0x1é) or len(http.host) in {1..2} & \"x\\";
    for from in 0..whole.len() {
        for to in from..=whole.len() {
            if let Some(part) = whole.get(from..to) {
                let _ = DisplayFilter::parse(part);
            }
        }
    }
    assert!(DisplayFilter::parse(&"(".repeat(100_000)).is_err());
    assert!(DisplayFilter::parse(&"!".repeat(100_000)).is_err());
}
