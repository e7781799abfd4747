//! The three levels of the picture: cluster, node, hook; and where it is looked at from.

use super::camera::{Camera, fit, nearer};
use crate::dom::{El, NONE, View, before_paint, el, part, text};
use crate::state::State;
use crate::watched::Watched;
use kernel::NetnsId;
use kernel::netfilter::hook::InetHook;
use leptos::prelude::{document, untrack};
use sim::EventId;
use sim::view::Spot;
use std::cell::Cell;

/// How near the picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Boxes and links.
    #[default]
    Cluster,
    /// The packet flow of one box.
    Node,
    /// The tables, chains and rules of one hook.
    Hook,
}

impl Level {
    /// All of them, from far to near.
    pub const ALL: [Level; 3] = [Level::Cluster, Level::Node, Level::Hook];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Cluster => "Cluster",
            Level::Node => "Node",
            Level::Hook => "Hook",
        }
    }
}

/// In fewer pixels letters of a wide drawing are too small.
const SLIM: i32 = 480;

/// What of the picture is looked at.
pub struct Zoom {
    /// How near.
    pub level: Watched<Level>,
    /// The hook that was chosen; `None` follows the packet.
    pub hook: Watched<Option<InetHook>>,
    /// The hook whose entry in the outline has the focus.
    pub outlined: Watched<Option<InetHook>>,
    /// The rule that was opened in the hook's view, and the step at which it was; at others the cursor's is.
    pub rule: Watched<Option<(usize, EventId)>>,
    /// What is unfolded in the hook's view.
    pub opened: Watched<Vec<String>>,
    /// The room for the map, in pixels.
    pub room: Watched<(i32, i32)>,
    /// The size of the map itself.
    pub size: Cell<(i32, i32)>,
    /// From where the map is looked at.
    pub camera: Watched<Camera>,
    /// The way before the last change is not shown any more.
    pub ghost_gone: Watched<bool>,
    /// The pointer has just moved the map.
    pub dragged: Watched<bool>,
}

impl Zoom {
    /// All of the cluster, in a room that is to be measured.
    pub fn new() -> Zoom {
        Zoom {
            level: Watched::new(Level::Cluster),
            hook: Watched::new(None),
            outlined: Watched::new(None),
            rule: Watched::new(None),
            opened: Watched::new(Vec::new()),
            room: Watched::new((720, 300)),
            size: Cell::new((720, 300)),
            camera: Watched::new(Camera::fit((720, 300), (720, 300))),
            ghost_gone: Watched::new(true),
            dragged: Watched::new(false),
        }
    }

    /// The stage has no room for a wide drawing.
    pub fn slim(&self, narrow: bool) -> bool {
        narrow || self.room.get().0 < SLIM
    }

    /// A point of the window, inside the stage.
    pub fn inside(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let stage = document().get_element_by_id("stage");
        let at = stage.map_or((0.0, 0.0), |e| {
            let r = e.get_bounding_client_rect();
            (r.left(), r.top())
        });
        (x - at.0, y - at.1)
    }

    /// Looks at all of the map, unless somebody has moved it.
    pub fn refit(&self) {
        if !self.camera.get_untracked().moved {
            let camera = Camera::fit(self.size.get(), self.room.get_untracked());
            if camera != self.camera.get_untracked() {
                self.camera.set(camera);
            }
        }
    }

    /// Reads off how much room there is; true if it is another than before.
    pub fn measure(&self) -> bool {
        let Some(stage) = document().get_element_by_id("stage") else { return false };
        let room = (stage.client_width(), stage.client_height());
        if room == self.room.get_untracked() || room.0 == 0 || room.1 == 0 {
            return false;
        }
        self.room.set(room);
        true
    }
}

impl State {
    /// The hook that is looked at: the chosen one, else the one that the packet is in or was in last.
    pub fn hook(&self) -> Option<InetHook> {
        self.zoom.hook.get().or_else(|| self.packet_hook())
    }

    /// The hook that the packet is in or was in last, in the box that is looked at.
    pub fn packet_hook(&self) -> Option<InetHook> {
        let (loaded, cursor) = (self.loaded.get(), self.cursor.get());
        let (host, packet) = (self.host(), self.packet());
        let steps = &loaded.story.steps;
        let mine = |s: &&sim::view::Step| s.host == host && s.packet == packet;
        let before = steps.get(..=cursor).into_iter().flatten().rev();
        let found = before.filter(mine).find_map(|s| hook_of(s.spot));
        found.or_else(|| steps.iter().skip(cursor).filter(mine).find_map(|s| hook_of(s.spot)))
    }

    /// Looks at a level.
    pub fn zoom_to(&self, level: Level) {
        if level == Level::Hook && untrack(|| self.hook()).is_none() {
            self.zoom.hook.set(Some(InetHook::PreRouting));
        }
        self.zoom.level.set(level);
    }

    /// One level nearer; true if there was one.
    pub fn zoom_in(&self) -> bool {
        let to = match self.zoom.level.get_untracked() {
            Level::Cluster => Level::Node,
            Level::Node => Level::Hook,
            Level::Hook => return false,
        };
        self.zoom_to(to);
        true
    }

    /// One level farther; true if there was one.
    pub fn zoom_out(&self) -> bool {
        let to = match self.zoom.level.get_untracked() {
            Level::Cluster => return false,
            Level::Node => {
                // Out of a box that was gone into, the packet is followed again.
                self.pinned.set(None);
                Level::Cluster
            }
            Level::Hook => {
                self.zoom.hook.set(None);
                Level::Node
            }
        };
        self.zoom.level.set(to);
        true
    }

    /// Goes into a box. The one where the packet is goes on to be followed.
    pub fn enter(&self, host: NetnsId) {
        let here = self.with_step_untracked(host);
        self.pinned.set(if here { None } else { Some(host) });
        self.zoom.hook.set(None);
        self.zoom_to(Level::Node);
    }

    fn with_step_untracked(&self, host: NetnsId) -> bool {
        untrack(|| self.with_step(|_, s, _| s.host == host)).unwrap_or(false)
    }

    /// Goes into a hook.
    pub fn enter_hook(&self, hook: InetHook) {
        let follows = untrack(|| self.packet_hook()) == Some(hook);
        self.zoom.hook.set(if follows { None } else { Some(hook) });
        self.zoom_to(Level::Hook);
    }
}

/// The hook that a place in the diagram belongs to.
pub fn hook_of(spot: Option<Spot>) -> Option<InetHook> {
    match spot? {
        Spot::Hook(h) | Spot::Fn(h, _) | Spot::IpvsOut(h) | Spot::Defrag(h) => Some(h),
        _ => None,
    }
}

/// Which level: a segmented control.
pub fn levels(state: State) -> View {
    let mut group = el("div").class("segments").attr("role", "radiogroup").attr("aria-label", "Zoom level");
    for (level, id) in Level::ALL.into_iter().zip(["level-cluster", "level-node", "level-hook"]) {
        let radio = el("input")
            .attr("type", "radio")
            .id(id)
            .attr("name", "level")
            .checked(move || state.zoom.level.get() == level)
            .on("change", move |_| state.zoom_to(level));
        group = group.add(el("label").add(radio).add(el("span").add(level.name())));
    }
    group.into()
}

/// Where in the picture one is: `Cluster › worker-2 › PREROUTING`; each part but the last leads there.
pub fn crumbs(state: State) -> View {
    part(move || {
        let level = state.zoom.level.get();
        let mut out = el("span").class("crumbs");
        if level != Level::Cluster {
            out = out
                .add(el("button").class("crumb").click(move || up_to(state, Level::Cluster)).add("Cluster"));
            let host = text(move || super::host_name(state));
            out = if level == Level::Hook {
                out.add(el("button").class("crumb").click(move || up_to(state, Level::Node)).add(host))
            } else {
                out.add(el("b").class("crumb").add(host))
            };
        }
        if level == Level::Hook {
            let name = text(move || state.hook().map_or("no hook", InetHook::chain).to_owned());
            out = out.add(el("b").class("crumb").add(name));
        }
        out.into()
    })
}

/// Goes out to a level, and puts the focus on the control that stays.
fn up_to(state: State, level: Level) {
    while state.zoom.level.get_untracked() != level && state.zoom_out() {}
    let id = if level == Level::Cluster { "level-cluster" } else { "level-node" };
    before_paint(move || crate::focus_on(id));
}

/// Buttons for the map.
pub fn camera_buttons(state: State) -> View {
    let button = |name: &'static str, label: &'static str| {
        el("button").class("btn quiet").attr("aria-label", label).attr("title", label).add(name)
    };
    let show = move || state.zoom.level.get() == Level::Cluster;
    part(move || {
        if !show() {
            return NONE;
        }
        let all: El = el("span")
            .class("lens")
            .add(button("−", "Zoom out (−)").click(move || nearer(state, 0.8)))
            .add(button("+", "Zoom in (+)").click(move || nearer(state, 1.25)))
            .add(button("Fit", "Fit: show all (0)").id("fit").click(move || fit(state)));
        all.into()
    })
}

/// Keys of the picture; true if it was one of them. `here` is true while the focus is in the picture.
pub fn key(state: State, key: &str, here: bool) -> bool {
    match key {
        "Escape" => state.zoom_out(),
        "Enter" if here => state.zoom_in(),
        _ => false,
    }
}

/// Letters and signs of the picture.
pub fn letter(state: State, key: &str) -> bool {
    match key {
        "+" | "=" => nearer(state, 1.25),
        "-" => nearer(state, 0.8),
        "0" => fit(state),
        "c" => state.zoom_to(Level::Cluster),
        "n" => state.zoom_to(Level::Node),
        "h" => state.zoom_to(Level::Hook),
        _ => return false,
    }
    true
}
