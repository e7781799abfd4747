//! Filters of tcpdump, held against tcpdump 4.99.3 with libpcap 1.10.3: which of the recorded frames pass.

use crate::frames::{frames, hex};
use userland::ToolError;
use userland::tcpdump::{Filter, Link};

#[test]
fn the_frames_are_those_that_tcpdump_was_shown() {
    let made: String = frames().iter().map(|f| hex(&f.to_bytes()) + "\n").collect();
    if let Ok(path) = std::env::var("WRITE_FRAMES") {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(made, include_str!("../data/tcpdump/frames.txt"));
}

#[test]
fn a_filter_lets_pass_what_tcpdump_lets_pass() {
    let frames = frames();
    let mut wrong = String::new();
    for line in include_str!("../data/tcpdump/filters.txt").lines() {
        let (text, expected) = line.split_once('\t').unwrap();
        let got = match Filter::parse(text) {
            Ok(filter) => {
                let numbers = (0..frames.len()).filter(|n| filter.matches(&frames[*n]));
                numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
            }
            Err(d) => match &d.tool {
                Some(ToolError::Usage(says)) => format!("! {says}"),
                _ => format!("! {d}"),
            },
        };
        if got != expected {
            wrong += &format!("{text}\n  tcpdump: {expected}\n  we:      {got}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_is_not_modelled_is_named() {
    for word in ["vlan", "mpls", "gateway", "protochain", "inbound"] {
        let text = format!("tcp and {word} 5");
        let d = Filter::parse(&text).unwrap_err();
        assert_eq!((d.span.col, d.token.as_str()), (9, word));
        assert!(d.message.contains("not modelled"), "{d}");
    }
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    for (text, col, token) in [
        ("port 80 443", 9, "443"),
        ("tcp[13 & 2", 11, "(end of the line)"),
        ("host foo", 6, "foo"),
        ("net 10.1.0.0/8", 14, "8"),
        ("tcp and (udp or)", 16, ")"),
        ("port 80 @", 9, "@"),
    ] {
        let d = Filter::parse(text).unwrap_err();
        assert_eq!((d.span.col, d.token.as_str()), (col, token), "{text}: {d}");
    }
}

#[test]
fn a_capture_of_all_devices_has_no_ethernet_header() {
    let d = Filter::parse_for("ether host 02:00:00:00:00:01", Link::Cooked2).unwrap_err();
    let says = "ethernet addresses supported only on ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel";
    assert_eq!(d.tool, Some(ToolError::Usage(says.to_owned())));
    let syn = &frames()[0];
    assert_eq!(syn.len(), 74);
    for (link, len) in [(Link::Ethernet, 74), (Link::Cooked, 76), (Link::Cooked2, 80)] {
        let filter = Filter::parse_for(&format!("len == {len} and tcp[tcpflags] == tcp-syn"), link).unwrap();
        assert!(filter.matches(syn), "{link:?}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{}tcp{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Filter::parse(&text).is_err());
    assert!(Filter::parse(&"not ".repeat(5000)).is_err());
}
