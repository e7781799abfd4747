//! What tshark reads in a capture file, and what it should.

use kernel::event::{TapDir, What};
use packet::{L4, Payload};
use sim::World;
use std::process::Command;

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
