//! A packet's fields, layer by layer.

use super::text::{icmp_message, icmp6_name};
use crate::log::Seen;
use crate::{EventId, World};
use kernel::PacketId;
use kernel::event::{IpvsStep, RuleStep, TunnelStep, What};
use packet::{ArpOp, Frame, IcmpBody, Ip, L4, Payload, TcpFlags};
use std::rc::Rc;

/// A field: name and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: String,
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Name.
    pub name: &'static str,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// The frame that an event carries, as it is after the event.
pub(crate) fn frame_of(what: &What) -> Option<&Rc<Frame>> {
    match what {
        What::Created { frame, .. } | What::Tap { frame, .. } | What::Drop { frame, .. } => Some(frame),
        What::Rule(step) => {
            let RuleStep { frame, .. } = &**step;
            Some(frame)
        }
        What::Nft(step) => Some(&step.frame),
        What::Nat { after, .. }
        | What::Tunnel {
            step: TunnelStep::Encapsulated { after, .. } | TunnelStep::Decapsulated { after, .. },
            ..
        }
        | What::Ipvs { step: IpvsStep::Rewritten { after, .. }, .. } => Some(after),
        What::CtProbe { frame, .. } => Some(frame),
        _ => None,
    }
}

fn frames(world: &World, packet: PacketId, until: EventId) -> impl Iterator<Item = &Rc<Frame>> + '_ {
    let end = world.log().len().min(until.index() + 1);
    world.log().entries()[..end].iter().rev().filter(move |e| e.packet == Some(packet)).filter_map(|e| {
        match &*e.seen {
            Seen::Kernel(what) => frame_of(what),
            _ => None,
        }
    })
}

/// The packet as it is at an event.
pub fn frame_at(world: &World, packet: PacketId, until: EventId) -> Option<Rc<Frame>> {
    frames(world, packet, until).next().map(Rc::clone)
}

/// The packet as it was before it last changed at or before an event; `None` if it has never changed.
pub fn frame_before(world: &World, packet: PacketId, until: EventId) -> Option<Rc<Frame>> {
    let mut all = frames(world, packet, until);
    let now = all.next()?;
    all.find(|f| *f != now).map(Rc::clone)
}

/// The headers of a frame.
pub fn layers(frame: &Frame) -> Vec<Layer> {
    let f = |name, value: String| Field { name, value };
    let ether = match frame.payload {
        Payload::Arp(_) => "ARP (0x0806)",
        Payload::Ip(_) => "IPv4 (0x0800)",
    };
    let mut out = vec![Layer {
        name: "Ethernet",
        fields: vec![
            f("source", frame.src.to_string()),
            f("destination", frame.dst.to_string()),
            f("type", ether.to_owned()),
        ],
    }];
    match &frame.payload {
        Payload::Arp(a) => out.push(Layer {
            name: "ARP",
            fields: vec![
                f("operation", if a.op == ArpOp::Request { "request" } else { "reply" }.to_owned()),
                f("sender", format!("{} is {}", a.spa, a.sha)),
                f("target", format!("{} {}", a.tpa, a.tha)),
            ],
        }),
        Payload::Ip(ip) => {
            out.push(Layer {
                name: "IPv4",
                fields: vec![
                    f("source", ip.src.to_string()),
                    f("destination", ip.dst.to_string()),
                    f("TTL", ip.ttl.to_string()),
                    f("protocol", ip.protocol().to_string()),
                    f("length", ip.total_len().to_string()),
                    f("id", ip.id.to_string()),
                    f("fragment", if ip.frag.df { "don't fragment" } else { "may fragment" }.to_owned()),
                    f("TOS", format!("0x{:02x}", ip.tos)),
                ],
            });
            out.push(transport(ip));
        }
    }
    out
}

fn transport(ip: &Ip) -> Layer {
    let f = |name, value: String| Field { name, value };
    match &ip.l4 {
        L4::Tcp(t) => {
            let names = [
                (TcpFlags::SYN, "SYN"),
                (TcpFlags::ACK, "ACK"),
                (TcpFlags::PSH, "PSH"),
                (TcpFlags::FIN, "FIN"),
                (TcpFlags::RST, "RST"),
                (TcpFlags::URG, "URG"),
            ];
            let flags: Vec<&str> = names.iter().filter(|(b, _)| t.flags.has(*b)).map(|(_, n)| *n).collect();
            let mut fields = vec![
                f("source port", t.sport.to_string()),
                f("destination port", t.dport.to_string()),
                f("flags", flags.join(" ")),
                f("seq", t.seq.to_string()),
                f("ack", if t.flags.has(TcpFlags::ACK) { t.ack.to_string() } else { "–".to_owned() }),
                f("window", t.window.to_string()),
            ];
            if !t.payload.is_empty() {
                fields.push(f("payload", format!("{} bytes", t.payload.len())));
            }
            Layer { name: "TCP", fields }
        }
        L4::Udp(u) => Layer {
            name: "UDP",
            fields: vec![
                f("source port", u.sport.to_string()),
                f("destination port", u.dport.to_string()),
                f("payload", format!("{} bytes", u.payload.len())),
            ],
        },
        L4::Icmp(i) => {
            let mut fields =
                vec![f("type", format!("{} ({})", i.kind, icmp_message(i))), f("code", i.code.to_string())];
            match &i.body {
                IcmpBody::Query { id, seq, .. } => {
                    fields.push(f("id", id.to_string()));
                    fields.push(f("seq", seq.to_string()));
                }
                IcmpBody::Error { inner, .. } => {
                    fields.push(f("about", format!("{} → {}", inner.src, inner.dst)));
                }
                IcmpBody::Raw(_) => {}
            }
            Layer { name: "ICMP", fields }
        }
        L4::Icmp6(i) => Layer {
            name: "ICMPv6",
            fields: vec![
                f("type", format!("{} ({})", i.kind, icmp6_name(i.kind, i.code))),
                f("code", i.code.to_string()),
            ],
        },
        L4::Other(_, data) => {
            Layer { name: "payload", fields: vec![f("length", format!("{} bytes", data.len()))] }
        }
    }
}

/// A layer's name, and its fields with the value that each had before, if another.
pub type LayerDiff = (&'static str, Vec<(Field, Option<String>)>);

/// The fields of `now`, each with the value it had in `before` if that was another one.
pub fn diff(before: Option<&Frame>, now: &Frame) -> Vec<LayerDiff> {
    let old = before.map(layers).unwrap_or_default();
    layers(now)
        .into_iter()
        .map(|layer| {
            let was = old.iter().find(|l| l.name == layer.name);
            let fields = layer
                .fields
                .into_iter()
                .map(|field| {
                    let was = was.and_then(|l| l.fields.iter().find(|o| o.name == field.name));
                    let was = was.filter(|o| o.value != field.value).map(|o| o.value.clone());
                    (field, was)
                })
                .collect();
            (layer.name, fields)
        })
        .collect()
}
