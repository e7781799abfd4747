//! Frames as captures see them.

use super::packet_text::frame_text;
use kernel::event::TapDir;
use kernel::{DevId, Netns};
use packet::{Frame, Ip, L4, Payload, Tcp, TcpFlags};
use serde_json::{Value, json};
use sim::InitialNumbers;

/// TCP sequence numbers relative to the initial numbers seen so far: `A+1`.
#[derive(Default)]
pub struct Sequence {
    seen: InitialNumbers,
}

impl Sequence {
    /// Notes the initial number of a connection that a trace saw before any wire.
    pub fn observe(&mut self, ip: &Ip) {
        self.seen.see(ip);
    }

    fn seq(&self, t: &Tcp) -> Value {
        match self.seen.find(t.seq) {
            Some((i, d)) => Value::String(format!("{}+{d}", letter(i))),
            None => json!(t.seq),
        }
    }

    fn ack(&self, t: &Tcp) -> Value {
        if !t.flags.has(TcpFlags::ACK) {
            return json!(0);
        }
        match self.seen.find(t.ack.wrapping_sub(1)) {
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
        sequence.observe(ip);
        if let L4::Tcp(t) = &*ip.headers() {
            map.insert("seq".to_owned(), sequence.seq(t));
            map.insert("ack".to_owned(), sequence.ack(t));
        }
    }
    out
}
