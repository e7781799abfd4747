//! What is known of a packet from those before it: the conversations of a capture.
//!
//! Wireshark reads a capture once from its beginning and remembers what each packet's conversation was then: here too.

use std::net::IpAddr;

/// One side of a conversation.
type Side = (IpAddr, u16);

/// What a layer above TCP or UDP is, as far as earlier packets tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum App {
    #[default]
    Unknown,
    Http,
    Tftp,
}

/// What is known of a segment or datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// The conversation's number.
    pub stream: u32,
    /// What is taken off sequence and acknowledgement numbers.
    pub seq_base: u32,
    pub ack_base: u32,
    /// The window's shift: -1 if it is not known, -2 if there is none.
    pub scale: i8,
    pub app: App,
}

/// What is known of the transport headers of a packet, the outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows(pub(super) Vec<Flow>);

/// One direction of a TCP conversation.
#[derive(Clone, Copy, Debug)]
struct Way {
    base: Option<u32>,
    scale: i8,
}

impl Default for Way {
    fn default() -> Way {
        Way { base: None, scale: -1 }
    }
}

#[derive(Clone, Debug)]
struct Conversation {
    sides: (Side, Side),
    /// From the first side, from the second.
    ways: (Way, Way),
    app: App,
    stream: u32,
}

/// The conversations of a capture so far.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    tcp: Vec<Conversation>,
    udp: Vec<Conversation>,
    /// Who has asked for a file, and whom.
    tftp: Vec<(Side, IpAddr)>,
    tcp_streams: u32,
    udp_streams: u32,
}

/// What a dissector tells of a TCP segment.
pub(super) struct Segment {
    pub from: Side,
    pub to: Side,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub scale: Option<u8>,
    /// Its payload looks like HTTP.
    pub http: bool,
    /// An ICMP message quotes it: nothing is learned.
    pub quoted: bool,
}

const SYN: u8 = 2;
const ACK: u8 = 16;

fn find(list: &[Conversation], from: Side, to: Side) -> Option<(usize, bool)> {
    // The latest of those with the same ports.
    let at = list.iter().rposition(|c| c.sides == (from, to) || c.sides == (to, from))?;
    Some((at, list.get(at)?.sides != (from, to)))
}

impl Follower {
    pub(super) fn tcp(&mut self, s: &Segment) -> Flow {
        let begins = s.flags & (SYN | ACK) == SYN && !s.quoted;
        let mut found = find(&self.tcp, s.from, s.to);
        if let Some((at, back)) = found
            && begins
            && let Some(c) = self.tcp.get(at)
        {
            let way = if back { c.ways.1 } else { c.ways.0 };
            // The same ports again: another connection.
            if way.base.is_some_and(|base| base != s.seq) {
                found = None;
            }
        }
        let (at, back) = found.unwrap_or_else(|| {
            let stream = self.tcp_streams;
            self.tcp_streams = stream.saturating_add(1);
            let ways = (Way::default(), Way::default());
            self.tcp.push(Conversation { sides: (s.from, s.to), ways, app: App::Unknown, stream });
            (self.tcp.len() - 1, false)
        });
        let Some(c) = self.tcp.get_mut(at) else { return Flow::default() };
        if s.http {
            c.app = App::Http;
        }
        let (stream, app) = (c.stream, c.app);
        let (fwd, rev) = if back { (&mut c.ways.1, &mut c.ways.0) } else { (&mut c.ways.0, &mut c.ways.1) };
        if s.quoted {
            return Flow { stream, seq_base: 0, ack_base: 0, scale: fwd.scale, app };
        }
        let is_syn = s.flags & SYN != 0;
        if fwd.base.is_none() || is_syn && s.flags & ACK != 0 {
            fwd.base = Some(if is_syn { s.seq } else { s.seq.wrapping_sub(1) });
        }
        if rev.base.is_none() && s.flags & ACK != 0 {
            rev.base = Some(s.ack.wrapping_sub(1));
        }
        if is_syn {
            match s.scale {
                Some(shift) => fwd.scale = i8::try_from(shift).unwrap_or(14),
                None => (fwd.scale, rev.scale) = (-2, -2),
            }
        }
        let scale = if is_syn { -1 } else { fwd.scale };
        Flow { stream, seq_base: fwd.base.unwrap_or(0), ack_base: rev.base.unwrap_or(0), scale, app }
    }

    /// `asks` is true for a datagram that asks for a file.
    pub(super) fn udp(&mut self, from: Side, to: Side, asks: bool) -> Flow {
        let at = find(&self.udp, from, to).map(|(at, _)| at).unwrap_or_else(|| {
            let stream = self.udp_streams;
            self.udp_streams = stream.saturating_add(1);
            let ways = (Way::default(), Way::default());
            self.udp.push(Conversation { sides: (from, to), ways, app: App::Unknown, stream });
            self.udp.len() - 1
        });
        if asks && !self.tftp.contains(&(from, to.0)) {
            self.tftp.push((from, to.0));
        }
        // A server answers from a port of its own.
        let file = self.tftp.iter().any(|t| *t == (from, to.0) || *t == (to, from.0));
        let app = if file { App::Tftp } else { App::Unknown };
        Flow { stream: self.udp.get(at).map_or(0, |c| c.stream), app, ..Flow::default() }
    }
}

/// Where a dissector gets what is known of a packet's conversations.
pub(super) enum Source<'a> {
    /// The packet is read for the first time.
    Learn(&'a mut Follower, &'a mut Flows),
    /// It was read before.
    Know(std::slice::Iter<'a, Flow>),
}

impl Source<'_> {
    pub fn flow(&mut self, learn: impl FnOnce(&mut Follower) -> Flow) -> Flow {
        match self {
            Source::Learn(follower, flows) => {
                let flow = learn(follower);
                flows.0.push(flow);
                flow
            }
            Source::Know(flows) => flows.next().copied().unwrap_or_default(),
        }
    }
}
