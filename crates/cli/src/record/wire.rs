//! Frames as captures see them.

use super::packet_text::frame_text;
use kernel::event::TapDir;
use kernel::{DevId, Netns};
use packet::{Frame, Ip, L4, Payload, Tcp, TcpFlags};
use serde_json::{Value, json};

/// TCP sequence numbers relative to the initial numbers seen so far: `A+1`.
#[derive(Default)]
pub struct Sequence {
    bases: Vec<u32>,
}

/// Numbers farther than this from a base belong to another.
const NEAR: u32 = 1 << 20;

impl Sequence {
    fn relative(&mut self, v: u32, new: bool) -> Option<(usize, u32)> {
        let near = |(i, base): (usize, &u32)| {
            let d = v.wrapping_sub(*base);
            (d < NEAR).then_some((i, d))
        };
        if let Some(found) = self.bases.iter().enumerate().find_map(near) {
            return Some(found);
        }
        if new {
            self.bases.push(v);
            return Some((self.bases.len() - 1, 0));
        }
        None
    }

    /// Notes the initial number of a connection that a trace saw before any wire.
    pub fn observe(&mut self, ip: &Ip) {
        if let L4::Tcp(t) = &ip.l4 {
            self.seq(t);
        }
    }

    fn seq(&mut self, t: &Tcp) -> Value {
        match self.relative(t.seq, t.flags.has(TcpFlags::SYN)) {
            Some((i, d)) => Value::String(format!("{}+{d}", letter(i))),
            None => json!(t.seq),
        }
    }

    fn ack(&mut self, t: &Tcp) -> Value {
        if !t.flags.has(TcpFlags::ACK) {
            return json!(0);
        }
        match self.relative(t.ack.wrapping_sub(1), false) {
            Some((i, d)) => Value::String(format!("{}+{}", letter(i), d + 1)),
            None => json!(t.ack),
        }
    }
}

fn letter(i: usize) -> char {
    char::from(b'A' + u8::try_from(i % 26).unwrap_or(0))
}

fn dir_text(dir: TapDir) -> &'static str {
    match dir {
        TapDir::Out => "out",
        TapDir::In => "in",
        TapDir::InBroadcast => "in-bcast",
        TapDir::InMulticast => "in-mcast",
        TapDir::InOther => "in-other",
    }
}

/// One frame on one interface.
pub fn wire_json(ns: &Netns, dev: DevId, dir: TapDir, frame: &Frame, sequence: &mut Sequence) -> Value {
    let mut out = json!({
        "if": ns.dev_name(dev),
        "dir": dir_text(dir),
        "smac": frame.src.to_string(),
        "dmac": frame.dst.to_string(),
        "pkt": frame_text(frame),
    });
    if let (Payload::Ip(ip), Some(map)) = (&frame.payload, out.as_object_mut()) {
        map.insert("ttl".to_owned(), json!(ip.ttl));
        if let Ip { l4: L4::Tcp(t), .. } = ip {
            map.insert("seq".to_owned(), sequence.seq(t));
            map.insert("ack".to_owned(), sequence.ack(t));
        }
    }
    out
}
