//! What the engine is lent for one step: time, chance, the log and a place to leave work for the world.

use crate::event::{Event, What};
use crate::id::JIFFY;
use crate::{Chance, Cut, DevId, DropReason, Instant, NetnsId, PacketId, Skb, SocketId};
use packet::Frame;
use std::rc::Rc;
use std::time::Duration;

/// Work that a box leaves to the world.
#[derive(Clone, Debug)]
pub enum Output {
    /// A frame leaves by a veth: deliver it to the peer.
    Transmit {
        /// Sending device.
        dev: DevId,
        /// Identity of the packet.
        id: PacketId,
        /// The frame.
        frame: Rc<Frame>,
    },
    /// A packet was sent over the loopback device: it comes back in with all its state.
    Loopback(Box<Skb>),
    /// The rest of what a program sends in one call: it goes on ([`crate::Netns::resume`]) when the network has done with
    /// what has left.
    Resume(Rest),
    /// Call [`crate::Netns::timer`] at or after that time.
    Timer {
        /// When.
        at: Instant,
        /// What for.
        timer: Timer,
    },
    /// A socket has news for its owner: data, connection, error, end.
    Wake(SocketId),
}

/// What a program's call, or an operator's command, has not sent yet.
#[derive(Clone, Debug)]
pub enum Rest {
    /// Pieces of a datagram.
    Pieces(Vec<Skb>),
    /// What waits in a TCP socket.
    Tcp(SocketId),
    /// What has waited for a neighbour: device, address as a number.
    Neigh(DevId, u32),
}

/// The timers of a box. A timer may fire late or for something that no longer exists; the handler checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Retransmission and delayed ACK of a TCP socket.
    Tcp(SocketId),
    /// ARP requests for a neighbour entry: device, address as a number.
    Neigh(DevId, u32),
    /// A datagram whose fragments have not all come: its number.
    Frag(u32),
}

/// Counters that make ids, shared by all boxes of a world.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    next_packet: u32,
    events: u64,
}

impl Ids {
    /// How many events there were, logged or not.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// A packet id never used before.
    pub fn packet(&mut self) -> PacketId {
        let id = PacketId(self.next_packet);
        self.next_packet = self.next_packet.wrapping_add(1);
        id
    }
}

/// When a timer fires (`calc_index`, kernel/time/timer.c): at the next tick after `delay`; a timer that is far away
/// sits in a coarser wheel, whose slots are 8, 64, 512 ticks.
fn wheel(now: Instant, delay: Duration) -> Instant {
    let ticks = (now + delay).0 / JIFFY;
    let away = ticks.saturating_sub(now.0 / JIFFY);
    let mut slot = 1;
    while away >= slot * 64 && slot < 1 << 24 {
        slot *= 8;
    }
    Instant((ticks / slot + 1).saturating_mul(slot).saturating_mul(JIFFY))
}

/// Context of one step.
pub struct Cx<'a> {
    /// The time.
    pub now: Instant,
    /// The box in which this happens.
    pub netns: NetnsId,
    /// Chance.
    pub rng: &'a mut Chance,
    /// Id counters.
    pub ids: &'a mut Ids,
    /// Log; `None` in quiet mode.
    pub log: Option<&'a mut Vec<Event>>,
    /// Work for the world, in order.
    pub out: &'a mut Vec<Output>,
}

impl Cx<'_> {
    /// Logs what happened to a packet; in quiet mode the closure is not called.
    #[inline]
    pub fn emit(&mut self, packet: PacketId, what: impl FnOnce() -> What) {
        self.ids.events += 1;
        if self.explains() {
            self.note(packet, what);
        }
    }

    /// Counts events that nobody would see, as [`Cx::emit`] does in quiet mode.
    pub(crate) fn pass_over(&mut self, events: usize) {
        self.ids.events += events as u64;
    }

    /// Apart from the way of a packet that nobody watches; the page, which always watches, is smaller without that.
    #[cfg_attr(not(target_arch = "wasm32"), cold, inline(never))]
    fn note(&mut self, packet: PacketId, what: impl FnOnce() -> What) {
        let what = what();
        if let Some(log) = self.log.as_deref_mut() {
            log.push(Event { at: self.now, netns: self.netns, packet, what });
        }
    }

    /// An identification for a packet of no connection (`__ip_select_ident`): not predictable.
    pub fn ip_id(&mut self) -> u16 {
        (self.rng.next_u32() & 0xffff) as u16
    }

    /// Asks for a timer after `delay`; returns when it will fire, which is a little later ([`wheel`]).
    pub(crate) fn set_timer(&mut self, delay: Duration, timer: Timer) -> Instant {
        let at = wheel(self.now, delay);
        self.out.push(Output::Timer { at, timer });
        at
    }

    /// True if events are kept, for callers that would have to collect details first.
    #[inline]
    pub fn explains(&self) -> bool {
        self.log.is_some()
    }

    /// Ends a packet: logs the reason and gives the [`Cut`] to return.
    pub fn drop(&mut self, skb: &Skb, reason: DropReason) -> Cut {
        self.emit(skb.id, || What::Drop { reason, dev: skb.dev, frame: skb.frame.clone() });
        Cut(reason)
    }

    /// Logs a line of the kernel's ring buffer.
    pub fn printk(&mut self, packet: PacketId, line: impl FnOnce() -> String) {
        self.emit(packet, || What::KernelLog(line()));
    }

    /// Logs a conntrack entry's change as ctnetlink would report it.
    pub fn ct_event(&mut self, packet: PacketId, what: impl FnOnce() -> crate::event::CtEvent) {
        self.emit(packet, || What::CtEvent(Box::new(what())));
    }
}
