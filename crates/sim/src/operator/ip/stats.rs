//! What `ip -s` says of a device: the frames that passed it, counted over the log (iproute2, ip/ipaddress.c; drivers/net/veth.c and
//! loopback.c, net/bridge). A segment that stands for several is one.

use super::super::json::Object;
use crate::log::Seen;
use crate::world::World;
use kernel::dev::{DevKind, Device};
use kernel::event::{TapDir, What};
use kernel::{DevId, DropReason, NetnsId, PacketId};
use litemap::LiteMap;
use std::fmt::Write;

/// The bytes of a frame's own header, which lo does not count, nor a bridge of what it receives.
const HEADER: u64 = 14;

/// One direction of a device.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    bytes: u64,
    packets: u64,
    dropped: u64,
}

impl Counts {
    fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.packets += 1;
    }
}

/// What a device was given to send.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    out: Counts,
    /// Frames that were too long for the other end of a veth, which counts them too.
    too_long: u64,
}

/// Why there are no figures for some devices; `None` if there are.
pub(super) fn refused(world: &World, devices: &[&Device]) -> Option<String> {
    if world.is_quiet() {
        return Some("-s is not modelled where no log is kept: devices are counted from it".to_owned());
    }
    let tunnel = devices.iter().find(|d| matches!(d.kind, DevKind::Vxlan(_) | DevKind::Ipip(_)))?;
    Some(format!("-s of a tunnel such as {} is not modelled; expected another device", tunnel.name))
}

/// Frames that left by a device. A veth whose other end does not take a frame drops it.
fn sent(world: &World, host: NetnsId, dev: DevId) -> Sent {
    let peer = world.peer((host, dev)).map(|(host, _)| host);
    // Linux's bridge gives nothing to a port whose other end is down.
    let is_port = world.host(host).and_then(|ns| ns.device(dev)).is_some_and(|d| d.master.is_some());
    let mut sent = Sent::default();
    // The packets that were sent last, and what they counted.
    let mut last: LiteMap<PacketId, u64> = LiteMap::new();
    for entry in world.log().entries() {
        let (Seen::Kernel(what), Some(packet)) = (&*entry.seen, entry.packet) else { continue };
        match what {
            What::Tap { dev: at, dir: TapDir::Out, frame } if (entry.host, *at) == (host, dev) => {
                let bytes = frame.len() as u64;
                sent.out.add(bytes);
                last.insert(packet, bytes);
            }
            What::Drop { reason: reason @ (DropReason::TooLongForPeer | DropReason::DevDown), .. }
                if entry.host == host && *reason == DropReason::TooLongForPeer
                    || Some(entry.host) == peer && *reason == DropReason::DevDown =>
            {
                let Some(bytes) = last.remove(&packet) else { continue };
                sent.out.bytes -= bytes;
                sent.out.packets -= 1;
                let too_long = *reason == DropReason::TooLongForPeer;
                sent.out.dropped += u64::from(too_long || !is_port);
                sent.too_long += u64::from(too_long);
            }
            // Whatever else happens to it, it has left.
            What::Tap { .. } => drop(last.remove(&packet)),
            _ => {}
        }
    }
    sent
}

/// Frames that came in by a bridge, for the box itself.
fn received(world: &World, host: NetnsId, dev: DevId) -> Counts {
    let mut counts = Counts::default();
    for entry in world.log().entries().iter().filter(|e| e.host == host) {
        if let Seen::Kernel(What::Tap { dev: at, dir, frame }) = &*entry.seen
            && *at == dev
            && *dir != TapDir::Out
        {
            counts.add((frame.len() as u64).saturating_sub(HEADER));
        }
    }
    counts
}

/// What a device has received, and what it has sent.
fn counts(world: &World, host: NetnsId, d: &Device) -> [Counts; 2] {
    let Sent { out, .. } = sent(world, host, d.id);
    let received = match d.kind {
        DevKind::Loopback => {
            let lo = Counts { bytes: out.bytes - HEADER * out.packets, ..out };
            return [lo, lo];
        }
        // It counts what the other end sends.
        DevKind::Veth => {
            let other =
                world.peer((host, d.id)).map(|(host, dev)| sent(world, host, dev)).unwrap_or_default();
            Counts { dropped: other.too_long, ..other.out }
        }
        DevKind::Bridge(_) => received(world, host, d.id),
        DevKind::Dummy | DevKind::Vxlan(_) | DevKind::Ipip(_) => Counts::default(),
    };
    [received, out]
}

/// The lines behind a device (`__print_link_stats`): columns are as wide as their widest figure.
pub(super) fn lines(world: &World, host: NetnsId, d: &Device) -> Vec<String> {
    let counts = counts(world, host, d);
    let rows = counts.map(|c| [c.bytes, c.packets, 0, c.dropped, 0, 0]);
    let mut widths = [10, 7, 6, 7, 7, 7];
    for row in rows {
        for (width, figure) in widths.iter_mut().zip(row) {
            *width = (*width).max(figure.to_string().len());
        }
    }
    let titles = [
        ("RX", ["bytes", "packets", "errors", "dropped", "missed", "mcast"]),
        ("TX", ["bytes", "packets", "errors", "dropped", "carrier", "collsns"]),
    ];
    let mut out = Vec::new();
    for ((direction, titles), row) in titles.into_iter().zip(rows) {
        let mut title = format!("    {direction}:");
        let mut figures = "    ".to_owned();
        for (n, ((width, name), figure)) in widths.into_iter().zip(titles).zip(row).enumerate() {
            let named = if n == 0 { width - 4 } else { width };
            let _ = write!(title, " {name:>named$}");
            let _ = write!(figures, "{figure:>width$} ");
        }
        // A column for compressed packets, which has no title.
        title += &" ".repeat(11);
        out.extend([title, figures]);
    }
    out
}

/// The same in JSON.
pub(super) fn json(world: &World, host: NetnsId, d: &Device, out: &mut Object) {
    let figures = |c: Counts, names: [&str; 2]| {
        let mut one = Object::default();
        one.raw("bytes", c.bytes);
        one.raw("packets", c.packets);
        one.raw("errors", 0);
        one.raw("dropped", c.dropped);
        names.iter().for_each(|name| one.raw(name, 0));
        one.done()
    };
    let [received, sent] = counts(world, host, d);
    let mut stats = Object::default();
    stats.raw("rx", figures(received, ["over_errors", "multicast"]));
    stats.raw("tx", figures(sent, ["carrier_errors", "collisions"]));
    out.raw("stats64", stats.done());
}
