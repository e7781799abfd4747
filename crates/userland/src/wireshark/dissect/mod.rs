//! Bytes to fields, layer by layer, with the names, places and values of Wireshark's dissectors.

mod app;
mod dns;
mod icmp;
mod ip;
mod link;
mod tcp;
mod udp;

use super::LinkType;
use super::follow::{Flows, Follower, Source};
use super::tree::{Field, Tree, Value};

/// A frame with what a capture file says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packet<'a> {
    /// Its number in the file, from 1.
    pub number: u32,
    /// Microseconds since 1970.
    pub at: u64,
    /// Of the file's first frame.
    pub first_at: u64,
    /// What it begins with.
    pub link: LinkType,
    /// The interface's number in the file, from 0.
    pub interface: u32,
    /// The interface's name.
    pub interface_name: &'a str,
    /// Its description.
    pub interface_description: &'a str,
    /// It was going out.
    pub outbound: bool,
    /// The comment.
    pub comment: Option<&'a str>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Reads a packet for the first time: in the order of the file. What it gives back tells [`dissect`] of its conversations.
pub fn learn(follower: &mut Follower, packet: &Packet<'_>) -> (Vec<Field>, Flows) {
    let mut flows = Flows::default();
    let fields = fields(packet, Source::Learn(follower, &mut flows));
    (fields, flows)
}

/// The fields of a packet that [`learn`] has read.
pub fn dissect(packet: &Packet<'_>, flows: &Flows) -> Vec<Field> {
    fields(packet, Source::Know(flows.0.iter()))
}

fn fields(p: &Packet<'_>, source: Source<'_>) -> Vec<Field> {
    let mut d = Dissector { t: Tree::new(p.bytes), source, quoted: false };
    d.frame(p);
    // What is missing in a frame that was cut is not shown.
    let _ = match p.link {
        LinkType::Ethernet => d.ethernet(0),
        LinkType::Raw => d.network(0),
    };
    d.t.fields
}

/// A packet that is being read.
struct Dissector<'a> {
    t: Tree<'a>,
    source: Source<'a>,
    /// Inside the packet that an ICMP error quotes.
    quoted: bool,
}

impl Dissector<'_> {
    fn frame(&mut self, p: &Packet<'_>) {
        let t = &mut self.t;
        let len = p.bytes.len();
        if let Some(comment) = p.comment {
            t.group("pkt_comment", 0, 0);
            t.add("frame.comment", 0, 0, Value::Text(comment.to_owned()));
            t.close();
        }
        t.group("frame", 0, len);
        t.add_number("frame.interface_id", 0, 0, p.interface);
        t.add("frame.interface_name", 0, 0, Value::Text(p.interface_name.to_owned()));
        t.add("frame.interface_description", 0, 0, Value::Text(p.interface_description.to_owned()));
        t.add_number("frame.packet_flags_direction", 0, 0, if p.outbound { 2 } else { 1 });
        t.note(if p.outbound { "Outbound" } else { "Inbound" });
        t.add("frame.time_epoch", 0, 0, Value::Time(p.at));
        t.add("frame.time_relative", 0, 0, Value::Time(p.at.saturating_sub(p.first_at)));
        t.add_number("frame.number", 0, 0, p.number);
        t.add_number("frame.len", 0, 0, len as i64);
        t.add_number("frame.cap_len", 0, 0, len as i64);
        t.close();
    }

    /// Bytes that no dissector takes.
    fn data(&mut self, at: usize, len: usize) -> Option<()> {
        if len == 0 {
            return Some(());
        }
        self.t.group("data", at, len);
        self.t.raw("data.data", at, len)?;
        self.t.add_number("data.len", at, 0, len as i64);
        self.t.close();
        Some(())
    }
}
