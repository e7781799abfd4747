//! How a reader looks at the journey: which steps, in which form, how far a step goes.

use crate::state::State;
use crate::watched::Watched;
use sim::view::{Filter, Sides, Step};
use std::rc::Rc;

/// How far one step of Play and of the buttons goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// To the next step.
    Event,
    /// To the next hook.
    Hook,
    /// To the next device.
    Device,
}

/// The reader's choices for journey and timeline.
pub struct Look {
    /// Request and reply side by side, instead of the steps of one packet.
    pub both: Watched<bool>,
    /// The journey takes more room.
    pub wide: Watched<bool>,
    /// The filters are open.
    pub filters: Watched<bool>,
    /// Which steps are shown.
    pub filter: Watched<Filter>,
    /// Boxes that were opened or closed by hand, by place in the pair.
    pub opened: Watched<Vec<(usize, bool)>>,
    /// The pair that the chosen packet belongs to.
    pub sides: Watched<Option<Rc<Sides>>>,
    /// What is looked for among the rules of a hook.
    pub ask: Watched<String>,
    /// How far a step goes.
    pub grain: Watched<Grain>,
    /// The timeline shows the exchange at the cursor, not the whole run.
    pub zoomed: Watched<bool>,
    /// What was clicked to be shown everywhere: an address, a chain, a device.
    pub word: Watched<Option<String>>,
}

impl Default for Look {
    fn default() -> Look {
        Look {
            both: Watched::new(true),
            wide: Watched::new(false),
            filters: Watched::new(false),
            filter: Watched::new(Filter::default()),
            opened: Watched::new(Vec::new()),
            sides: Watched::new(None),
            ask: Watched::new(String::new()),
            grain: Watched::new(Grain::Event),
            zoomed: Watched::new(true),
            word: Watched::new(None),
        }
    }
}

/// Keeps the pair up to date.
pub fn follow(state: State) {
    crate::dom::effect(move || {
        let (loaded, packet) = (state.loaded.get(), state.chosen.get());
        let found = packet.and_then(|id| sim::view::sides(loaded.world(), &loaded.story, id)).map(Rc::new);
        let same = state.look.sides.with_untracked(|old| {
            old.as_ref().map(|s| (s.request, s.reply)) == found.as_ref().map(|s| (s.request, s.reply))
        });
        if !same {
            state.look.opened.set(Vec::new());
        }
        state.look.sides.set(found);
    });
}

/// Sets the filter: what it leaves out is left out of stepping and of the timeline too.
pub fn set_filter(state: State, filter: Filter) {
    state.look.filter.set(filter);
    state.set_noise(state.noise.get_untracked());
}

/// True where the device or the box is another one.
pub fn other_device(s: &Step, before: &Step) -> bool {
    s.place != before.place
}

/// True where a hook begins, or the packet leaves it.
pub fn other_hook(s: &Step, before: &Step) -> bool {
    (s.host, &s.section) != (before.host, &before.section)
}

impl Grain {
    /// True if a step of this size ends at `s`, which comes after `before`.
    pub fn ends(self, s: &Step, before: &Step) -> bool {
        match self {
            Grain::Event => true,
            Grain::Hook => other_hook(s, before),
            Grain::Device => other_device(s, before),
        }
    }
}
