//! What tcpdump prints: `tcpdump -i any -nn -e`.

use super::assoc::Assoc;
use super::text::clock;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::What;
use kernel::{NetnsId, PacketId};
use userland::tcpdump::{Captured, Link, Look, Printer, direction};

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureLine {
    /// The event.
    pub event: EventId,
    /// The box.
    pub host: NetnsId,
    /// The packet.
    pub packet: PacketId,
    /// ARP.
    pub noise: bool,
    /// Time.
    pub time: String,
    /// Device.
    pub dev: String,
    /// `In`, `Out`, `P` (to somebody else), `B`, `M`.
    pub dir: &'static str,
    /// The rest of the line.
    pub text: String,
}

impl CaptureLine {
    /// The line as tcpdump prints it.
    pub fn line(&self) -> String {
        format!("{} {:<5} {:<3} {}", self.time, self.dev, self.dir, self.text)
    }
}

/// What captures on all devices of all boxes saw; each box has a tcpdump of its own.
pub fn capture(world: &World) -> Vec<CaptureLine> {
    let look = Look { link: Link::Cooked2, numeric: true, ether: true, ..Look::default() };
    let mut printers: Assoc<NetnsId, Printer> = Assoc::default();
    let mut out = Vec::new();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Seen::Kernel(What::Tap { dev, dir, frame }), Some(packet)) = (&*entry.seen, entry.packet) else {
            continue;
        };
        let Some(ns) = world.host(entry.host) else { continue };
        let printer = printers.or_insert_with(entry.host, || Printer::new(look.clone()));
        let ifindex = u32::from(dev.0) + 1;
        let seen = Captured { at: entry.at, dev: ns.dev_name(*dev), ifindex, dir: *dir, frame };
        out.push(CaptureLine {
            event,
            host: entry.host,
            packet,
            noise: frame.ip().is_none(),
            time: clock(entry.at),
            dev: ns.dev_name(*dev).to_owned(),
            dir: direction(*dir),
            text: printer.described(seen),
        });
    }
    out
}
