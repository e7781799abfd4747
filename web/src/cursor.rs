//! The cursor: where it is, and how it is moved.

use crate::load::Loaded;
use crate::look::Grain;
use crate::state::State;
use kernel::{NetnsId, PacketId};
use leptos::prelude::*;
use sim::EventId;
use sim::view::{Role, Step};
use std::rc::Rc;

impl State {
    /// Runs `f` on the current step.
    pub fn with_step<T>(&self, f: impl FnOnce(&Loaded, &Step, usize) -> T) -> Option<T> {
        let (loaded, cursor) = self.here();
        loaded.story.steps.get(cursor).map(|step| f(&loaded, step, cursor))
    }

    /// The run, and the step at which the cursor is.
    pub fn here(&self) -> (Rc<Loaded>, usize) {
        (self.loaded.get(), self.cursor.get())
    }

    /// The event up to which everything has happened.
    pub fn now(&self) -> EventId {
        self.with_step(|_, step, _| step.event).unwrap_or_default()
    }

    /// The packet that is looked at.
    pub fn packet(&self) -> Option<PacketId> {
        self.with_step(|loaded, _, cursor| loaded.story.packet_near(cursor)).flatten()
    }

    /// The box that is looked at.
    pub fn host(&self) -> NetnsId {
        self.pinned.get().or_else(|| self.with_step(|_, step, _| step.host)).unwrap_or_default()
    }

    /// The box whose tables are shown: the one that is looked at if it has any, else the lab's focus.
    pub fn table_host(&self) -> NetnsId {
        let loaded = self.loaded.get();
        let host = self.host();
        let has = |id| {
            loaded.world().host(id).is_some_and(|ns| {
                kernel::netfilter::xtables::TableId::ALL.into_iter().any(|t| ns.table(t).is_some())
            })
        };
        if has(host) {
            return host;
        }
        // A pod stands on a node.
        if let Role::Pod { node, .. } = loaded.story.topology.role(host)
            && has(node)
        {
            return node;
        }
        loaded.world().host_by_name(&loaded.lab.focus).unwrap_or(host)
    }

    /// Its name.
    pub fn table_host_name(&self) -> String {
        let id = self.table_host();
        self.loaded.with(|l| l.world().host(id).map_or(String::new(), |h| h.name.clone()))
    }

    /// The place of the cursor among the steps that are shown.
    pub fn position(&self) -> usize {
        let cursor = self.cursor.get();
        self.shown.with(|s| s.partition_point(|i| *i < cursor).min(s.len().saturating_sub(1)))
    }

    /// Moves the cursor to a step at once.
    pub fn jump(&self, step: usize) {
        let len = self.loaded.with_untracked(|l| l.story.steps.len());
        self.tween.set(false);
        self.cursor.set(step.min(len.saturating_sub(1)));
    }

    /// Moves the cursor by hand: stops playing, and says where it is.
    pub fn go(&self, step: usize) {
        self.playing.set(false);
        self.jump(step);
        self.speak();
    }

    /// Goes to a place among the steps that are shown.
    pub fn go_shown(&self, position: usize) {
        if let Some(step) = self.shown.with_untracked(|s| s.get(position).copied()) {
            self.go(step);
        }
    }

    /// One step forward as far as steps go now; false at the end.
    pub fn advance(&self) -> bool {
        self.advance_by(self.look.grain.get_untracked())
    }

    /// The next place to stop at in one direction.
    fn stop(&self, grain: Grain, forward: bool) -> Option<usize> {
        let (loaded, shown) = (self.loaded.get_untracked(), self.shown.get_untracked());
        let cursor = self.cursor.get_untracked();
        let ends = |w: &[usize]| match w {
            [a, b] => {
                let steps = &loaded.story.steps;
                let (before, s) = (steps.get(*a)?, steps.get(*b)?);
                grain.ends(s, before).then_some(*b)
            }
            _ => None,
        };
        let edge = if forward { shown.last() } else { shown.first() };
        let found = if grain == Grain::Event {
            let (ahead, behind) = (|i: &usize| *i > cursor, |i: &usize| *i < cursor);
            let all = shown.iter().copied();
            if forward { all.clone().find(ahead) } else { all.rev().find(behind) }
        } else if forward {
            shown.windows(2).filter_map(ends).find(|i| *i > cursor)
        } else {
            shown.windows(2).filter_map(ends).take_while(|i| *i < cursor).last()
        };
        // Beyond the last stop lies the end.
        found.or(edge.copied()).filter(|i| if forward { *i > cursor } else { *i < cursor })
    }

    /// The same for a size of step.
    fn advance_by(&self, grain: Grain) -> bool {
        match self.stop(grain, true) {
            Some(next) => {
                self.tween.set(true);
                self.cursor.set(next);
                true
            }
            None => false,
        }
    }

    /// One step by hand, as far as steps go now.
    pub fn step(&self, forward: bool) {
        self.step_by(self.look.grain.get_untracked(), forward);
    }

    /// One step of a size by hand.
    pub fn step_by(&self, grain: Grain, forward: bool) {
        self.playing.set(false);
        if forward {
            self.advance_by(grain);
        } else if let Some(before) = self.stop(grain, false) {
            self.tween.set(true);
            self.cursor.set(before);
        }
        self.speak();
    }

    /// Goes to the next or previous step that is shown and for which `test` is true, given the step and the one
    /// before it.
    pub fn seek(&self, forward: bool, test: impl Fn(&Step, &Step) -> bool) {
        let loaded = self.loaded.get_untracked();
        let cursor = self.cursor.get_untracked();
        let shown = self.shown.get_untracked();
        let steps = &loaded.story.steps;
        let pairs = shown.windows(2).filter_map(|w| match w {
            [a, b] => Some((*b, steps.get(*a)?, steps.get(*b)?)),
            _ => None,
        });
        let mut hits = pairs.filter(|(_, a, b)| test(b, a)).map(|(i, ..)| i);
        let found =
            if forward { hits.find(|i| *i > cursor) } else { hits.take_while(|i| *i < cursor).last() };
        if let Some(to) = found {
            self.go(to);
        }
    }

    /// Goes to the first step of the next or previous packet.
    pub fn seek_packet(&self, forward: bool) {
        let loaded = self.loaded.get_untracked();
        let noise = self.noise.get_untracked();
        let Some(now) = self.packet() else { return };
        let list: Vec<_> =
            loaded.story.packets.iter().filter(|p| noise || p.flow != sim::view::Flow::Noise).collect();
        let Some(at) = list.iter().position(|p| p.id == now) else { return };
        let to = if forward { at + 1 } else { at.wrapping_sub(1) };
        if let Some(p) = list.get(to) {
            self.go(p.steps.0);
        }
    }

    /// The current step as a sentence.
    pub fn sentence(&self) -> String {
        self.with_step(|loaded, step, _| {
            let host = loaded.world().host(step.host).map_or("", |h| h.name.as_str());
            let label = step.packet.and_then(|p| loaded.story.packet(p)).map_or("", |p| p.label.as_str());
            let mut out = String::from(host);
            for part in [label, step.section.as_str(), step.area.name()] {
                if !part.is_empty() {
                    out.push_str(", ");
                    out.push_str(part);
                }
            }
            out.push_str(": ");
            out.push_str(&step.title);
            out
        })
        .unwrap_or_default()
    }

    /// Says the current step to those who listen.
    pub fn speak(&self) {
        let sentence = untrack(|| self.sentence());
        self.spoken.set(sentence);
    }
}
