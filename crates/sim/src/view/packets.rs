//! The packets of a run.

use super::step::Step;
use super::text::{endpoints, flow_text, segment, tftp_message};
use crate::World;
use crate::log::Seen;
use kernel::event::{Origin, What};
use kernel::{NetnsId, PacketId};
use packet::{Frame, IcmpBody, L4, TcpFlags};

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// From the side that began.
    Request,
    /// Back.
    Reply,
    /// A TCP segment that ends the connection with force.
    Reset,
    /// Background.
    Noise,
}

/// A packet.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketInfo {
    /// Its number.
    pub id: PacketId,
    /// The packet that it answers.
    pub parent: Option<PacketId>,
    /// Where it was made.
    pub host: NetnsId,
    /// By whom.
    pub origin: Origin,
    /// `SYN`, `SYN-ACK`, ...
    pub label: String,
    /// `10.0.0.1:41000 → 10.0.0.2:80`, as made.
    pub flow_text: String,
    /// Which way.
    pub flow: Flow,
    /// The same segment was sent before.
    pub again: bool,
    /// Its first step, and one past its last.
    pub steps: (usize, usize),
}

/// All packets in the order of their making.
pub fn packets(world: &World, steps: &[Step]) -> Vec<PacketInfo> {
    let mut out = Vec::new();
    let mut frames: Vec<&Frame> = Vec::new();
    let mut sides = Sides::default();
    for entry in world.log().entries() {
        let (Seen::Kernel(What::Created { origin, parent, frame }), Some(id)) = (&*entry.seen, entry.packet)
        else {
            continue;
        };
        let again = frame.ip().is_some_and(|_| frames.iter().any(|f| same_segment(f, frame)));
        frames.push(frame);
        out.push(PacketInfo {
            id,
            parent: *parent,
            host: entry.host,
            origin: *origin,
            label: segment(frame),
            flow_text: flow_text(frame),
            flow: flow(frame, &mut sides),
            again,
            steps: (steps.len(), 0),
        });
    }
    for (i, step) in steps.iter().enumerate() {
        let Some(info) = step.packet.and_then(|id| out.iter_mut().find(|p| p.id == id)) else { continue };
        info.steps = (info.steps.0.min(i), i + 1);
    }
    out.retain(|p| p.steps.0 < p.steps.1);
    out
}

fn same_segment(a: &Frame, b: &Frame) -> bool {
    let key = |f: &Frame| {
        let ip = f.ip()?;
        let t = ip.tcp()?;
        (t.seq_len() > 0).then_some((ip.src, ip.dst, t.sport, t.dport, t.seq, t.flags, t.payload.len()))
    };
    key(a).is_some_and(|k| key(b) == Some(k))
}

/// Who asks and who answers, as far as packets have told.
#[derive(Default)]
struct Sides {
    clients: Vec<String>,
    /// Those that sent a SYN-ACK: under NAT their answers go to an address that asked nobody.
    servers: Vec<String>,
}

fn flow(frame: &Frame, sides: &mut Sides) -> Flow {
    let Some(ip) = frame.ip() else { return Flow::Noise };
    if ip.tcp().is_some_and(|t| t.flags.has(TcpFlags::RST)) {
        return Flow::Reset;
    }
    let (src, dst) = endpoints(ip);
    // An ICMP error answers the packet that it quotes.
    let is_error = ip.icmp().is_some_and(|i| matches!(i.body, IcmpBody::Error { .. }));
    if sides.clients.contains(&dst) || sides.servers.contains(&src) || is_error {
        return Flow::Reply;
    }
    if ip.tcp().is_some_and(|t| t.flags.has(TcpFlags::SYN) && t.flags.has(TcpFlags::ACK)) {
        sides.servers.push(src);
        return Flow::Reply;
    }
    // A TFTP server sends its data from a port of its own, and under NAT to an address that asked nobody.
    if let L4::Udp(udp) = &ip.l4
        && tftp_message(&udp.payload).is_some_and(|m| m.starts_with("DATA"))
    {
        return Flow::Reply;
    }
    if !sides.clients.contains(&src) {
        sides.clients.push(src);
    }
    Flow::Request
}
