//! What tshark reads in a capture file, and what it should.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use kernel::event::{TapDir, What};
use packet::{L4, Payload};
use sim::World;
use sim::view::Captures;
use std::process::Command;
use userland::wireshark::{Field, Follower, Kind, learn};

/// The fields that are compared.
const FIELDS: [&str; 9] = [
    "frame.time_epoch",
    "frame.interface_name",
    "frame.packet_flags_direction",
    "frame.len",
    "eth.src",
    "ip.src",
    "ip.dst",
    "tcp.flags",
    "udp.dstport",
];

/// A line for each packet of a file: time, interface, direction, length, addresses, flags, port.
///
/// # Panics
/// Without tshark, or if it refuses the file.
pub fn lines(file: &[u8]) -> Vec<String> {
    let path = std::env::temp_dir().join(format!("nflab-{}-{:x}.pcapng", std::process::id(), file.len()));
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(&path).args(["-o", "ip.defragment:FALSE"]);
    command.args(["-T", "fields", "-E", "occurrence=f"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let _ = std::fs::remove_file(&path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The same by the log.
pub fn expected(world: &World) -> Vec<String> {
    let tap = |e: &sim::Entry| {
        let Some(What::Tap { dev, dir, frame }) = e.what() else { return None };
        let ns = world.host(e.host)?;
        let (mut src, mut dst, mut flags, mut port) = Default::default();
        if let Payload::Ip(ip) = &frame.payload {
            (src, dst) = (ip.src.to_string(), ip.dst.to_string());
            // Of an ICMP error the packet that it quotes.
            let l4 = match &*ip.headers() {
                L4::Icmp(icmp) => icmp.inner().map(|i| i.headers().into_owned()),
                l4 => Some(l4.clone()),
            };
            match l4 {
                Some(L4::Tcp(t)) => flags = format!("0x{:04x}", t.flags.0),
                Some(L4::Udp(u)) => port = u.dport.to_string(),
                _ => {}
            }
        }
        let direction = if *dir == TapDir::Out { 2 } else { 1 };
        let mac = frame.src.to_string();
        Some(format!(
            "{}.{:06}000\t{} {}\t0x{direction:08x}\t{}\t{mac}\t{src}\t{dst}\t{flags}\t{port}",
            e.at.0 / 1_000_000,
            e.at.0 % 1_000_000,
            ns.name,
            ns.dev_name(*dev),
            frame.len(),
        ))
    };
    world.log().entries().iter().filter_map(tap).collect()
}

/// What tshark reads in each packet of a file: name, place, length and value of every field whose name we know, in its order. Fragments and
/// segments are not put together, as each packet is shown for itself.
///
/// # Panics
/// Without tshark, or if it refuses the file.
pub fn fields(file: &[u8]) -> Vec<Vec<String>> {
    let path =
        std::env::temp_dir().join(format!("nflab-{}-{:x}-fields.pcapng", std::process::id(), file.len()));
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(&path).args(["-T", "pdml"]);
    for option in
        ["ip.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE", "tcp.no_subdissector_on_error:FALSE"]
    {
        command.args(["-o", option]);
    }
    let output = command.output().unwrap();
    let _ = std::fs::remove_file(&path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    pdml(&String::from_utf8(output.stdout).unwrap())
}

fn pdml(text: &str) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = Vec::new();
    for tag in text.split('<').skip(1) {
        if tag.starts_with("packet>") {
            out.push(Vec::new());
        }
        if !tag.starts_with("field ") && !tag.starts_with("proto ") {
            continue;
        }
        let attribute = |name: &str| {
            let from = tag.split_once(&format!(" {name}=\""))?.1;
            Some(plain(&unescaped(from.split_once('"')?.0)))
        };
        let known =
            attribute("name").and_then(|n| userland::wireshark::known(&n)).filter(|k| k.name != "data");
        let (Some(known), Some(pos), Some(packet)) = (known, attribute("pos"), out.last_mut()) else {
            continue;
        };
        let value = if known.kind == Kind::Group { None } else { attribute("show") };
        let len = attribute("size").unwrap_or_default();
        packet
            .push(format!("{} {pos} {len} {}", known.name, value.unwrap_or_default()).trim_end().to_owned());
    }
    out
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#x27;", "'")];
    let text = pairs.iter().fold(text.to_owned(), |t, (from, to)| t.replace(from, to));
    text.replace("&amp;", "&")
}

/// What ends a line is one blank or two in a PDML file.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace("  ", " ").trim_end().to_owned()
}

/// The same as the capture pane shows it.
pub fn shown(captures: &Captures, world: &World) -> Vec<Vec<String>> {
    let mut follower = Follower::default();
    let packet = |(i, taken)| {
        let bytes = captures.bytes(world, taken);
        let (fields, _) = learn(&mut follower, &captures.packet(i, taken, &bytes));
        let line = |f: &Field| {
            let value = if f.known.kind == Kind::Group { String::new() } else { plain(&f.show(&bytes)) };
            format!("{} {} {} {value}", f.name(), f.at, f.len).trim_end().to_owned()
        };
        fields.iter().filter(|f| f.name() != "data").map(line).collect()
    };
    captures.taken.iter().enumerate().map(packet).collect()
}
