//! A reader of capture files, as far as ours go.

use std::io::Read;
use std::path::{Path, PathBuf};
use userland::wireshark::{Field, Flows, Follower, LinkType, Packet, learn};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wireshark")
}

/// The names of the files.
pub fn names() -> Vec<String> {
    let mut out: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter_map(|p| p.file_name()?.to_str()?.strip_suffix(".pcapng.gz").map(str::to_owned))
        .collect();
    out.sort();
    assert!(!out.is_empty());
    out
}

/// A file's content, unpacked.
pub fn unpacked(name: &str) -> Vec<u8> {
    let packed = std::fs::read(folder().join(name)).unwrap();
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut out).unwrap();
    out
}

struct Interface {
    link: LinkType,
    name: String,
    description: String,
}

struct Frame {
    interface: u32,
    at: u64,
    outbound: bool,
    comment: Option<String>,
    bytes: Vec<u8>,
}

/// A capture file.
pub struct Capture {
    interfaces: Vec<Interface>,
    frames: Vec<Frame>,
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap())
}

fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(b[at..at + 2].try_into().unwrap())
}

fn options(mut b: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut out = Vec::new();
    while b.len() >= 4 && u16_at(b, 0) != 0 {
        let len = usize::from(u16_at(b, 2));
        out.push((u16_at(b, 0), b[4..4 + len].to_vec()));
        b = &b[4 + len.next_multiple_of(4)..];
    }
    out
}

impl Capture {
    pub fn read(name: &str) -> Capture {
        let all = unpacked(&format!("{name}.pcapng.gz"));
        let mut out = Capture { interfaces: Vec::new(), frames: Vec::new() };
        let mut b = &all[..];
        while !b.is_empty() {
            let (kind, len) = (u32_at(b, 0), u32_at(b, 4) as usize);
            let body = &b[8..len - 4];
            let text = |all: &[(u16, Vec<u8>)], code| {
                all.iter().find(|(c, _)| *c == code).map(|(_, v)| String::from_utf8(v.clone()).unwrap())
            };
            if kind == 1 {
                let all = options(&body[8..]);
                out.interfaces.push(Interface {
                    link: if u16_at(body, 0) == 1 { LinkType::Ethernet } else { LinkType::Raw },
                    name: text(&all, 2).unwrap_or_default(),
                    description: text(&all, 3).unwrap_or_default(),
                });
            } else if kind == 6 {
                let len = u32_at(body, 12) as usize;
                let all = options(&body[20 + len.next_multiple_of(4)..]);
                let flags = all.iter().find(|(c, _)| *c == 2).map_or(0, |(_, v)| u32_at(v, 0));
                out.frames.push(Frame {
                    interface: u32_at(body, 0),
                    at: u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8)),
                    outbound: flags & 3 == 2,
                    comment: text(&all, 1),
                    bytes: body[20..20 + len].to_vec(),
                });
            }
            b = &b[len..];
        }
        out
    }

    /// The packets in order.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        (1..).zip(&self.frames).map(|(number, f)| {
            let i = &self.interfaces[f.interface as usize];
            Packet {
                number,
                at: f.at,
                first_at: self.frames[0].at,
                link: i.link,
                interface: f.interface,
                interface_name: &i.name,
                interface_description: &i.description,
                outbound: f.outbound,
                comment: f.comment.as_deref(),
                bytes: &f.bytes,
            }
        })
    }

    /// The packets with their fields.
    pub fn dissected(&self) -> Vec<(Packet<'_>, Vec<Field>, Flows)> {
        let mut follower = Follower::default();
        let read = |p: Packet<'_>| learn(&mut follower, &p);
        let all: Vec<_> = self.packets().map(read).collect();
        self.packets().zip(all).map(|(p, (fields, flows))| (p, fields, flows)).collect()
    }
}
