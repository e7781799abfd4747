//! Two runs side by side: where they part.

use super::{Area, PacketInfo, Step, Story};
use crate::World;
use kernel::PacketId;

/// The first step at which the ways of two corresponding packets differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The packet in the one run and its step; `None` if there is no such packet, or its way has ended.
    pub a: (Option<PacketId>, Option<usize>),
    /// The same in the other run.
    pub b: (Option<PacketId>, Option<usize>),
}

/// A run to be compared.
type Side<'a> = (&'a World, &'a Story);

/// Where two runs part: of the packets whose ways differ, the one that does so first. `None` if all ways are the same. Packets correspond
/// to each other that were made on boxes of the same name, look alike and have the same number among those. Background noise is left out.
pub fn compare(a: Side<'_>, b: Side<'_>) -> Option<Difference> {
    let (ours, theirs) = (keys(a), keys(b));
    let mut all = Vec::new();
    for (i, (key, packet)) in ours.iter().enumerate() {
        let Some((_, other)) = theirs.iter().find(|(k, _)| k == key) else {
            all.push(Difference { a: (Some(packet.id), first(a.1, packet)), b: next(b, &theirs, i) });
            continue;
        };
        let (left, right) = (steps_of(a.1, packet.id), steps_of(b.1, other.id));
        let same = left.iter().zip(&right).take_while(|(x, y)| words(a, **x) == words(b, **y)).count();
        if same < left.len().max(right.len()) {
            let at = |steps: &[usize]| steps.get(same).copied();
            all.push(Difference { a: (Some(packet.id), at(&left)), b: (Some(other.id), at(&right)) });
        }
    }
    for (_, p) in theirs.iter().filter(|(key, _)| !ours.iter().any(|(k, _)| k == key)) {
        all.push(Difference { a: (None, None), b: (Some(p.id), first(b.1, p)) });
    }
    // Up to where they part both runs have the same steps, so that their numbers can be compared.
    all.into_iter().min_by_key(|d| d.a.1.into_iter().chain(d.b.1).min().unwrap_or(usize::MAX))
}

/// The steps of a packet, without those that are noise.
pub fn steps_of(story: &Story, id: PacketId) -> Vec<usize> {
    let Some(p) = story.packet(id) else { return Vec::new() };
    let steps = story.steps.iter().enumerate().skip(p.steps.0).take(p.steps.1 - p.steps.0);
    steps.filter(|(_, s)| s.packet == Some(id) && !s.noise).map(|(i, _)| i).collect()
}

type Key = (String, String, String, usize);

/// The packets of a run with what tells them apart.
fn keys<'a>((world, story): Side<'a>) -> Vec<(Key, &'a PacketInfo)> {
    let mut out: Vec<(Key, &PacketInfo)> = Vec::new();
    for p in story.packets.iter().filter(|p| p.flow != super::Flow::Noise) {
        let host = world.host(p.host).map_or(String::new(), |h| h.name.clone());
        let alike = |k: &Key| (&k.0, &k.1, &k.2) == (&host, &p.label, &p.flow_text);
        let number = out.iter().filter(|(k, _)| alike(k)).count();
        out.push(((host.clone(), p.label.clone(), p.flow_text.clone(), number), p));
    }
    out
}

fn first(story: &Story, p: &PacketInfo) -> Option<usize> {
    steps_of(story, p.id).first().copied()
}

/// The packet of the other run that comes instead of the one at this place, if one does.
fn next(b: Side<'_>, theirs: &[(Key, &PacketInfo)], at: usize) -> (Option<PacketId>, Option<usize>) {
    theirs.get(at).map_or((None, None), |(_, p)| (Some(p.id), first(b.1, p)))
}

/// What people read of a step. That routing has a heading says only that its box has hooks.
fn words<'a>((world, story): Side<'a>, step: usize) -> Option<(&'a str, &'a str, &'a str)> {
    let s: &Step = story.steps.get(step)?;
    let section = if s.area == Area::Route { "" } else { s.section.as_str() };
    Some((world.host(s.host).map_or("", |h| h.name.as_str()), section, s.title.as_str()))
}
