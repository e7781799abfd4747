//! What is printed of frames, held against tcpdump 4.99.3.

use crate::frames::{hex, talk};
use kernel::Instant;
use kernel::event::TapDir;
use userland::tcpdump::{Captured, Filter, Printer, parse_command};

#[test]
fn the_frames_are_those_that_tcpdump_was_shown() {
    let made: String = talk().iter().map(|f| hex(&f.to_bytes()) + "\n").collect();
    if let Ok(path) = std::env::var("WRITE_TALK") {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(made, include_str!("../data/tcpdump/talk.txt"));
}

/// What we print with the options of a look.
fn printed(link: &str, options: &str) -> Vec<String> {
    let device = if link == "EN10MB" { "-i eth0".to_owned() } else { format!("-i any -y LINUX_{link}") };
    let line = format!("tcpdump {device} {options}");
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let command = parse_command(&argv).unwrap();
    let filter = Filter::parse_for(&command.filter, command.look.link).unwrap();
    let mut printer = Printer::new(command.look);
    let frames = talk();
    let passing = frames.iter().enumerate().filter(|(_, f)| filter.matches(f));
    let print = |(n, frame)| {
        let at = Instant(n as u64 * 1_000_000);
        printer.print(Captured { at, dev: "eth0", ifindex: 2, dir: TapDir::In, frame })
    };
    passing.flat_map(print).collect()
}

#[test]
fn every_line_is_that_of_tcpdump() {
    let (mut wrong, mut lines) = (String::new(), 0);
    for look in format!("\n{}", include_str!("../data/tcpdump/printed.txt")).split("\n# ").skip(1) {
        let (head, text) = look.split_once('\n').unwrap();
        let (link, options) = head.split_once(' ').unwrap();
        let ours = printed(link, options).join("\n");
        lines += text.lines().count();
        let differs = ours.lines().zip(text.lines()).enumerate().find(|(_, (a, b))| a != b);
        if let Some((n, (got, want))) = differs {
            wrong += &format!("{head}, line {n}\n  tcpdump: {want}\n  we:      {got}\n");
        }
        assert!(differs.is_some() || ours.lines().count() == text.lines().count(), "{head}");
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(lines > 1000, "{lines}");
}
