//! What has been lost on the map: where it lies, and what is said beside it.

use super::draw::port_label;
use super::layout::{LETTER, int};
use super::map::Map;
use super::path::Point;
use super::place::{Mark, aside};
use crate::svg::{Rect, Svg, folded};
use kernel::{NetnsId, PacketId, What};
use sim::view::{Area, Tone};

/// What has been lost so far in what is going on, at one step.
pub struct Lost {
    pub step: usize,
    /// Packets that were only not for this box.
    strays: Vec<Point>,
    wrecks: Vec<Wreck>,
    /// What is written on the map, with what they cover of it.
    pub marks: Vec<Mark>,
}

/// Packets that were lost at one place for one reason; where they lie, and what is said beside them.
struct Wreck {
    host: NetnsId,
    place: Point,
    reason: String,
    title: String,
    label: String,
    packets: Vec<Option<PacketId>>,
    at: Point,
    lines: Vec<String>,
}

/// Width of a lost packet with the gaps around it, and of a letter beside it, in tenths.
const WRECK: i32 = 34;
const REASON: i32 = 57;
/// Height of a line beside it.
const LINE: i32 = 11;

/// So many reasons are shown at a place.
const REASONS: usize = 2;

impl Lost {
    pub fn at(map: &Map, cursor: usize) -> Lost {
        let story = &map.loaded.story;
        let first = map.loaded.exchanges.get(map.loaded.exchange_at(cursor)).map_or(0, |e| e.steps.0);
        let mut out =
            Lost { step: cursor, strays: Vec::new(), wrecks: Vec::new(), marks: map.written.clone() };
        for (i, step) in story.steps.iter().enumerate().take(cursor + 1).skip(first) {
            if step.area != Area::Drop || step.noise {
                continue;
            }
            let Some(place) = map.layout.spot(step.place) else { continue };
            if step.tone == Tone::Dim {
                out.strays.push(place);
                continue;
            }
            // The one that falls now is the envelope itself.
            if i == cursor {
                continue;
            }
            // Addresses are told by the step.
            let reason = match map.loaded.world().log().get(step.key).and_then(|e| e.what()) {
                Some(What::Drop { reason, .. }) => reason.to_string(),
                _ => step.title.clone(),
            };
            let mut here = out.wrecks.iter_mut().filter(|w| w.place == place);
            if let Some(w) = here.find(|w| w.reason == reason) {
                w.packets.push(step.packet);
            } else if out.wrecks.iter().filter(|w| w.place == place).count() < REASONS {
                let label = step.packet.and_then(|p| story.packet(p)).map_or("", |p| p.label.as_str());
                out.wrecks.push(Wreck {
                    host: step.host,
                    place,
                    reason,
                    title: format!("{label}: {}", step.title),
                    label: label.to_owned(),
                    packets: vec![step.packet],
                    at: place,
                    lines: Vec::new(),
                });
            }
        }
        out.lay(map);
        out
    }

    /// Finds room for each.
    fn lay(&mut self, map: &Map) {
        let ports = map.layout.nodes.iter().flat_map(|n| &n.pods).filter_map(port_label);
        let mut marks = self.marks.clone();
        marks.extend(ports.map(|(x, y, name)| aside(x, y, name, LETTER)));
        for w in &mut self.wrecks {
            let frame = map.around(w.host);
            let times = if w.packets.len() > 1 { format!(" ×{}", w.packets.len()) } else { String::new() };
            w.lines = vec![format!("{}{times}", w.label)];
            w.lines.extend(folded(&w.reason, ((frame.w - WRECK) * 10 / REASON).clamp(12, 24)));
            let letters = w.lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
            let (wide, high) = (WRECK + int(letters) * REASON / 10, 3 + LINE * int(w.lines.len()));
            w.at = map.free(w.place, Rect { x: -15, y: -10, w: wide, h: high }, frame, &mut marks);
            self.marks.extend(marks.last());
        }
    }

    /// Where a packet lies that has been lost.
    pub fn place(&self, packet: PacketId) -> Option<Point> {
        let wreck = self.wrecks.iter().find(|w| w.packets.contains(&Some(packet)))?;
        Some((wreck.at.0 - 2, wreck.at.1 + 2))
    }

    /// Each with its reason; a stray one is a small cross.
    pub fn draw(&self, s: &mut Svg, current: Option<PacketId>) {
        for (x, y) in &self.strays {
            cross(s, "fallen dim", (x + 14, y - 4));
        }
        for w in &self.wrecks {
            let (x, y) = w.at;
            s.group(if w.packets.contains(&current) { "wreck" } else { "wreck old" }, None);
            s.title(&w.title);
            s.path(
                "hull",
                &format!("M{} {}l22 -5 3.4 14 -22 5zM{} {}l12.6 5 9.4 -10", x - 13, y - 2, x - 13, y - 2),
            );
            cross(s, "fallen", (x - 4, y - 3));
            for (line, i) in w.lines.iter().zip(0..) {
                s.text("tiny reason", x + 16, y + 1 + LINE * i, line);
            }
            s.end();
        }
    }
}

fn cross(s: &mut Svg, class: &str, (x, y): Point) {
    s.path(class, &format!("M{x} {y}l8 8m0-8-8 8"));
}
