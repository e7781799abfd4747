//! The way of a packet as lines on the map.

use super::layout::Layout;
use kernel::PacketId;
use sim::EventId;
use sim::view::{Assoc, Hop, Place};

/// A corner.
pub type Point = (i32, i32);

/// A piece of the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The event by which it has been walked.
    pub event: EventId,
    /// Its corners.
    pub points: Vec<Point>,
}

/// Lines as the `d` of an SVG path.
pub fn d(points: &[Point]) -> String {
    let mut out = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        out.push_str(if i == 0 { "M" } else { "L" });
        out.push_str(&x.to_string());
        out.push(' ');
        out.push_str(&y.to_string());
    }
    out
}

/// Ways up and down keep apart by this.
const APART: i32 = 6;
/// Above a node: where a line to a neighbouring box runs.
const LANE: i32 = 9;

fn is_wide(place: Place) -> bool {
    !matches!(place, Place::Dev(..))
}

/// The way of one packet. Inside a stack or bridge it runs level to the column of the port that it goes to or comes
/// from.
pub fn pieces(layout: &Layout, hops: &[Hop], packet: PacketId) -> Vec<Piece> {
    let mine: Vec<&Hop> = hops.iter().filter(|h| h.packet == packet).collect();
    let mut pens: Assoc<Place, Point> = Assoc::default();
    let mut out = Vec::new();
    for (i, hop) in mine.iter().enumerate() {
        let rest = mine.get(i + 1..).unwrap_or_default();
        let Some(points) = line(layout, hop, rest, &pens) else { continue };
        pens.set(hop.to, points.last().copied().unwrap_or_default());
        out.push(Piece { event: hop.event, points });
    }
    out
}

fn line(layout: &Layout, hop: &Hop, rest: &[&Hop], pens: &Assoc<Place, Point>) -> Option<Vec<Point>> {
    let (a, b) = (layout.index.get(hop.from)?.line, layout.index.get(hop.to)?.line);
    let pen = pens.get(&hop.from).copied();
    let start = pen.unwrap_or(a);
    let rails = |place: Place| layout.lans.iter().find(|l| l.host == place.host());
    // A LAN has a level for each row of nodes.
    let level = |place: Place, y: i32, near: i32| match rails(place) {
        Some(lan) if is_wide(place) => {
            let bars = lan.bars.iter().map(|b| b.center().1);
            bars.min_by_key(|bar| (bar - near).abs()).unwrap_or(y)
        }
        _ => y,
    };
    let (from_y, to_y) = match (is_wide(hop.from), is_wide(hop.to)) {
        (true, false) => (pen.map_or(a.1, |p| p.1), b.1),
        (false, true) => (a.1, level(hop.to, b.1, a.1)),
        _ => (a.1, b.1),
    };
    let column = if !is_wide(hop.to) {
        b.0
    } else if !is_wide(hop.from) {
        a.0
    } else if to_y > from_y {
        // Down: towards the port that comes next.
        column_after(layout, rest, hop.to).unwrap_or(start.0)
    } else {
        start.0
    };
    let shift = (to_y - from_y).signum() * APART;
    let x = if is_wide(hop.to) && is_wide(hop.from) && column == start.0 && pen.is_some() {
        start.0
    } else {
        column + shift
    };
    let x = if to_y == from_y { b.0 } else { x };
    let first = if pen.is_some() { (start.0, from_y) } else { (x, from_y) };
    let mut points = vec![first];
    if let Some(lan) = rails(hop.from).filter(|_| is_wide(hop.from) && !is_wide(hop.to)) {
        // Along the bar of the other row, if it is another.
        let bar = level(hop.from, from_y, to_y);
        if bar != from_y {
            points.extend([(lan.trunk + shift / 2, from_y), (lan.trunk + shift / 2, bar)]);
        }
        points.push((x, bar));
    } else if pods_apart(layout, hop) {
        let lane = from_y.min(to_y) - LANE;
        points.extend([(start.0, lane), (b.0, lane)]);
        points.push((b.0, to_y));
        return Some(points);
    } else {
        points.push((x, from_y));
    }
    points.push((x, to_y));
    points.dedup();
    Some(points)
}

/// Both ends are ways out of nodes: the line between them runs above the nodes.
fn pods_apart(layout: &Layout, hop: &Hop) -> bool {
    let is_up = |place: Place| {
        layout
            .nodes
            .iter()
            .any(|n| n.host == place.host() && n.uplinks.iter().any(|u| Place::Dev(n.host, u.dev) == place))
    };
    is_up(hop.from) && is_up(hop.to)
}

/// The column of the first port that is reached from `place`.
fn column_after(layout: &Layout, rest: &[&Hop], place: Place) -> Option<i32> {
    let next = rest.first().filter(|h| h.from == place)?;
    if is_wide(next.to) { None } else { layout.index.get(next.to).map(|s| s.line.0) }
}

/// Joins lines into one, from the first corner to the last.
pub fn joined<'a>(lines: impl Iterator<Item = &'a [Point]>) -> Vec<Point> {
    let mut out: Vec<Point> = Vec::new();
    for line in lines {
        out.extend(line);
    }
    out.dedup();
    out
}
