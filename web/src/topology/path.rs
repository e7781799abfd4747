//! The way of a packet as lines on the map.

use super::layout::Layout;
use kernel::PacketId;
use sim::EventId;
use sim::view::{Assoc, Hop, Place};

/// A piece of the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The event by which it has been walked.
    pub event: EventId,
    /// Its corners.
    pub points: Vec<(i32, i32)>,
}

impl Piece {
    /// As the `d` of an SVG path.
    pub fn d(&self) -> String {
        let mut out = String::new();
        for (i, (x, y)) in self.points.iter().enumerate() {
            out.push_str(if i == 0 { "M" } else { "L" });
            out.push_str(&format!("{x} {y}"));
        }
        out
    }
}

/// Ways up and down keep apart by this.
const APART: i32 = 7;

fn is_wide(place: Place) -> bool {
    !matches!(place, Place::Dev(..))
}

/// The way of one packet. Inside a stack or bridge it runs level to the column of the port that it goes to or comes
/// from.
pub fn pieces(layout: &Layout, hops: &[Hop], packet: PacketId) -> Vec<Piece> {
    let mine: Vec<&Hop> = hops.iter().filter(|h| h.packet == packet).collect();
    let mut pens: Assoc<Place, i32> = Assoc::default();
    let mut out = Vec::new();
    for (i, hop) in mine.iter().enumerate() {
        let (Some(a), Some(b)) = (layout.anchor(hop.from), layout.anchor(hop.to)) else { continue };
        let start = pens.get(&hop.from).copied().unwrap_or(a.0);
        let column = if !is_wide(hop.to) {
            b.0
        } else if !is_wide(hop.from) {
            a.0
        } else if b.1 > a.1 {
            // Down: towards the port that comes next.
            column_after(layout, mine.get(i + 1..).unwrap_or_default(), hop.to).unwrap_or(start)
        } else {
            start
        };
        let shift = (b.1 - a.1).signum() * APART;
        let x = if is_wide(hop.to) && is_wide(hop.from) && column == start && pens.get(&hop.from).is_some() {
            start
        } else {
            column + shift
        };
        let mut points =
            vec![(if pens.get(&hop.from).is_some() { start } else { x }, a.1), (x, a.1), (x, b.1)];
        points.dedup();
        pens.set(hop.to, x);
        out.push(Piece { event: hop.event, points });
    }
    out
}

/// The column of the first port that is reached from `place`.
fn column_after(layout: &Layout, rest: &[&Hop], place: Place) -> Option<i32> {
    let next = rest.first().filter(|h| h.from == place)?;
    if is_wide(next.to) { None } else { layout.anchor(next.to).map(|p| p.0) }
}
