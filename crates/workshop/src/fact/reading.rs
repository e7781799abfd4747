//! What can be read off an event: the free answers to an exercise's questions.

use super::events::{entries, frames};
use super::{Fact, Judge};
use kernel::PacketId;
use packet::Frame;
use sim::{EventId, World};

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// The source address of the event's packet.
    Source,
    /// Its destination address.
    Destination,
    /// Its source port.
    SourcePort,
    /// Its destination port.
    DestinationPort,
    /// The name of the box.
    Box,
    /// How often it happens.
    Count,
}

impl Readable {
    /// All with their words in a lab's text.
    pub const WORDS: [(&'static str, Readable); 6] = [
        ("source", Readable::Source),
        ("destination", Readable::Destination),
        ("sourcePort", Readable::SourcePort),
        ("destinationPort", Readable::DestinationPort),
        ("box", Readable::Box),
        ("count", Readable::Count),
    ];

    /// The word in a lab's text.
    pub fn word(self) -> &'static str {
        Readable::WORDS.iter().find(|(_, r)| *r == self).map_or("", |(word, _)| word)
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Readable::Source => "the source address",
            Readable::Destination => "the destination address",
            Readable::SourcePort => "the source port",
            Readable::DestinationPort => "the destination port",
            Readable::Box => "the name of the box",
            Readable::Count => "how often it happens",
        }
    }
}

impl Judge<'_> {
    /// What this is at the first event that a fact speaks of. `None` if there is none, or its packet has no such thing.
    pub fn read(&self, what: Readable, of: &Fact) -> Option<String> {
        if what == Readable::Count {
            return self.times(of).map(|n| n.to_string());
        }
        let (world, event) = (self.world(), self.first(of)?);
        let entry = world.log().get(event)?;
        if what == Readable::Box {
            return world.host(entry.host).map(|ns| ns.name.clone());
        }
        let frame = frame_at(world, entry.packet?, event)?;
        let ip = frame.ip()?;
        match what {
            Readable::Source => Some(ip.src.to_string()),
            Readable::Destination => Some(ip.dst.to_string()),
            Readable::SourcePort => Some(ip.ports()?.0.to_string()),
            Readable::DestinationPort => Some(ip.ports()?.1.to_string()),
            Readable::Box | Readable::Count => None,
        }
    }
}

/// A packet as it was when an event had happened: as an event up to there last showed it.
pub(super) fn frame_at(world: &World, packet: PacketId, event: EventId) -> Option<&Frame> {
    let until = (EventId(0), EventId(event.0.saturating_add(1)));
    let of_it = entries(world, until).filter(|(_, e)| e.packet == Some(packet));
    of_it.filter_map(|(_, e)| frames(e.what()?).into_iter().flatten().last()).last()
}

/// Whether somebody means this who writes that: blanks around it and capitals do not matter.
pub fn is_meant(written: &str, is: &str) -> bool {
    written.trim().eq_ignore_ascii_case(is)
}
