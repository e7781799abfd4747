//! A run as a capture file: pcapng, as Wireshark and tshark read it (draft-ietf-opsawg-pcapng).
//!
//! Each device of each box is an interface of its own, as if a tcpdump ran on each. A device that carries Ethernet frames is
//! written as `LINKTYPE_ETHERNET`, not as the cooked frames of `tcpdump -i any`: those lack the destination's MAC address
//! (`LINKTYPE_LINUX_SLL2`), and the direction that they have stands in the flags of each packet here. An ipip device has
//! no link header, and is `LINKTYPE_RAW`, as in Linux.
//!
//! Time 0 of a run is 1970-01-01 00:00:00 UTC. Checksums are those of the wire: right where the engine knows them as
//! right, not what a sender leaves to its device.

use super::remarks::remarks;
use crate::{EventId, World};
use kernel::dev::{DevKind, Device};
use kernel::event::{TapDir, What};
use kernel::{DevId, Instant, Netns, NetnsId, PacketId};
use packet::{Frame, Mac};
use userland::wireshark::{LinkType, Packet};

/// A device of a box.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// The box.
    pub host: NetnsId,
    /// The device.
    pub dev: DevId,
    /// `worker-1 eth0`
    pub name: String,
    /// What it is: kind, addresses.
    pub description: String,
    /// Its MAC address.
    pub mac: Mac,
    /// What its frames begin with.
    pub link: LinkType,
}

/// A frame that a capture saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// When, in the log.
    pub event: EventId,
    /// The packet.
    pub packet: PacketId,
    /// The place of its interface in [`Captures::interfaces`].
    pub interface: usize,
    /// When.
    pub at: Instant,
    /// In which direction.
    pub dir: TapDir,
    /// What netfilter did to it before the next capture.
    pub comment: Option<String>,
}

/// What the captures of some devices saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Captures {
    /// The devices, in the order of boxes and devices.
    pub interfaces: Vec<Interface>,
    /// The frames in the order in which they were seen.
    pub taken: Vec<Taken>,
}

impl Captures {
    /// What those devices saw for which `pick` is true.
    pub fn new(world: &World, pick: impl Fn(NetnsId, DevId) -> bool) -> Captures {
        let mut interfaces = Vec::new();
        for ns in world.hosts() {
            let devices = ns.devices().iter().filter(|d| pick(ns.id, d.id));
            interfaces.extend(devices.map(|d| interface(ns, d)));
        }
        let mut comments = remarks(world).into_iter().peekable();
        let mut taken = Vec::new();
        for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
            let (Some(What::Tap { dev, dir, .. }), Some(packet)) = (entry.what(), entry.packet) else {
                continue;
            };
            let comment = std::iter::from_fn(|| comments.next_if(|(e, _)| *e <= event))
                .filter(|(e, _)| *e == event)
                .map(|(_, text)| text)
                .reduce(|a, b| format!("{a}; {b}"));
            let Some(interface) = interfaces.iter().position(|i| (i.host, i.dev) == (entry.host, *dev))
            else {
                continue;
            };
            taken.push(Taken { event, packet, interface, at: entry.at, dir: *dir, comment });
        }
        Captures { interfaces, taken }
    }

    /// What a frame's interface begins its frames with.
    pub fn link(&self, taken: &Taken) -> LinkType {
        self.interfaces.get(taken.interface).map_or(LinkType::Ethernet, |i| i.link)
    }

    /// A frame's bytes, as its interface has them.
    pub fn bytes(&self, world: &World, taken: &Taken) -> Vec<u8> {
        let Some(What::Tap { frame, .. }) = world.log().get(taken.event).and_then(|e| e.what()) else {
            return Vec::new();
        };
        match (self.link(taken), frame.ip()) {
            (LinkType::Raw, Some(ip)) => ip.wire_bytes(),
            _ => frame.to_bytes(),
        }
    }

    /// A frame at a place of [`Captures::taken`] with its bytes, as the file has it.
    pub fn packet<'a>(&'a self, i: usize, taken: &'a Taken, bytes: &'a [u8]) -> Packet<'a> {
        let interface = self.interfaces.get(taken.interface);
        Packet {
            number: u32::try_from(i).unwrap_or(u32::MAX).saturating_add(1),
            at: taken.at.0,
            first_at: self.taken.first().map_or(0, |t| t.at.0),
            link: self.link(taken),
            interface: u32::try_from(taken.interface).unwrap_or(u32::MAX),
            interface_name: interface.map_or("", |i| &i.name),
            interface_description: interface.map_or("", |i| &i.description),
            outbound: taken.dir == TapDir::Out,
            comment: taken.comment.as_deref(),
            bytes,
        }
    }

    /// The file.
    pub fn pcapng(&self, world: &World) -> Vec<u8> {
        let mut out = section_header();
        for i in &self.interfaces {
            out.extend(interface_description(i));
        }
        for t in &self.taken {
            out.extend(enhanced_packet(t, &self.bytes(world, t)));
        }
        out
    }
}

/// The frame that a capture saw at an event.
pub fn tapped(what: &What) -> Option<&Frame> {
    match what {
        What::Tap { frame, .. } => Some(frame),
        _ => None,
    }
}

fn interface(ns: &Netns, d: &Device) -> Interface {
    let (kind, link) = match d.kind {
        DevKind::Loopback => ("loopback", LinkType::Ethernet),
        DevKind::Veth => ("veth", LinkType::Ethernet),
        DevKind::Bridge(_) => ("bridge", LinkType::Ethernet),
        DevKind::Dummy => ("dummy", LinkType::Ethernet),
        DevKind::Vxlan(_) => ("vxlan", LinkType::Ethernet),
        DevKind::Ipip(_) => ("ipip", LinkType::Raw),
    };
    let mut description = format!("{} of {}, {kind}", d.name, ns.name);
    if let Some(master) = d.master {
        description.push_str(&format!(", port of {}", ns.dev_name(master)));
    }
    for addr in &d.addrs {
        description.push_str(&format!(", {}", addr.net));
    }
    Interface {
        host: ns.id,
        dev: d.id,
        name: format!("{} {}", ns.name, d.name),
        description,
        mac: d.mac,
        link,
    }
}

// ---------------------------------------------------------------------- blocks

/// Section Header Block.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
/// Interface Description Block.
const INTERFACE_DESCRIPTION: u32 = 1;
/// Enhanced Packet Block.
const ENHANCED_PACKET: u32 = 6;
/// Tells the order of bytes.
const MAGIC: u32 = 0x1a2b_3c4d;

/// The codes of options.
mod option {
    /// `opt_comment`
    pub const COMMENT: u16 = 1;
    /// `if_name`, `epb_flags`
    pub const SECOND: u16 = 2;
    /// `if_description`
    pub const IF_DESCRIPTION: u16 = 3;
    /// `shb_userappl`
    pub const USER_APPLICATION: u16 = 4;
    /// `if_MACaddr`
    pub const IF_MAC: u16 = 6;
    /// `if_tsresol`
    pub const TIME_RESOLUTION: u16 = 9;
}

/// Fills up to a multiple of four.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

fn put_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    // A length has 16 bits; nothing here comes near.
    let value = value.get(..value.len().min(0xfff0)).unwrap_or_default();
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    pad(out);
}

/// A block of this body and these options.
fn block(kind: u32, mut body: Vec<u8>, options: &[(u16, &[u8])]) -> Vec<u8> {
    for (code, value) in options {
        put_option(&mut body, *code, value);
    }
    if !options.is_empty() {
        body.extend([0; 4]);
    }
    let len = (body.len() as u32).saturating_add(12).to_le_bytes();
    let mut out = kind.to_le_bytes().to_vec();
    out.extend(len);
    out.extend(body);
    out.extend(len);
    out
}

fn section_header() -> Vec<u8> {
    let mut body = MAGIC.to_le_bytes().to_vec();
    body.extend([1, 0, 0, 0]);
    // How long the section is, is not said.
    body.extend([0xff; 8]);
    block(SECTION_HEADER, body, &[(option::USER_APPLICATION, b"Netfilter Lab")])
}

fn interface_description(i: &Interface) -> Vec<u8> {
    let mut body = i.link.number().to_le_bytes().to_vec();
    // No frame is cut.
    body.extend([0; 6]);
    let mut options: Vec<(u16, &[u8])> =
        vec![(option::SECOND, i.name.as_bytes()), (option::IF_DESCRIPTION, i.description.as_bytes())];
    if i.link == LinkType::Ethernet {
        options.push((option::IF_MAC, &i.mac.0));
    }
    // Microseconds.
    options.push((option::TIME_RESOLUTION, &[6]));
    block(INTERFACE_DESCRIPTION, body, &options)
}

fn enhanced_packet(t: &Taken, bytes: &[u8]) -> Vec<u8> {
    let len = (bytes.len() as u32).to_le_bytes();
    let mut body = (t.interface as u32).to_le_bytes().to_vec();
    body.extend(((t.at.0 >> 32) as u32).to_le_bytes());
    body.extend((t.at.0 as u32).to_le_bytes());
    body.extend(len);
    body.extend(len);
    body.extend(bytes);
    pad(&mut body);
    let flags = flags(t.dir).to_le_bytes();
    let mut options: Vec<(u16, &[u8])> = Vec::new();
    if let Some(comment) = &t.comment {
        options.push((option::COMMENT, comment.as_bytes()));
    }
    options.push((option::SECOND, &flags));
    block(ENHANCED_PACKET, body, &options)
}

/// The flags word: bits 0 and 1 are the direction, 2 to 4 to whom a frame is addressed.
fn flags(dir: TapDir) -> u32 {
    let (direction, reception) = match dir {
        TapDir::Out => (2, 0),
        TapDir::In => (1, 1),
        TapDir::InMulticast => (1, 2),
        TapDir::InBroadcast => (1, 3),
        TapDir::InOther => (1, 4),
    };
    direction | reception << 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_its_length_twice_and_ends_on_four_bytes() {
        let out = block(6, vec![1, 2, 3, 4], &[(1, b"abcde")]);
        assert_eq!(out.len(), 12 + 4 + 12 + 4);
        assert_eq!(out[4..8], (out.len() as u32).to_le_bytes());
        assert_eq!(out[out.len() - 4..], out[4..8]);
        assert_eq!(out[12..24], [1, 0, 5, 0, b'a', b'b', b'c', b'd', b'e', 0, 0, 0]);
    }

    #[test]
    fn flags_tell_direction_and_whom_a_frame_is_for() {
        assert_eq!(flags(TapDir::Out), 0b0_0010);
        assert_eq!(flags(TapDir::In), 0b0_0101);
        assert_eq!(flags(TapDir::InMulticast), 0b0_1001);
        assert_eq!(flags(TapDir::InBroadcast), 0b0_1101);
        assert_eq!(flags(TapDir::InOther), 0b1_0001);
    }
}
