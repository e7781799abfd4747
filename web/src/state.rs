//! The state of the page: which lab in which setting, where the cursor is, what is chosen. Everything else is a view
//! of it.

use crate::course::{self, Class};
use crate::cures;
use crate::dom::effect;
use crate::load::Loaded;
use crate::loadlab::{self, Bench};
use crate::look::{Look, set_filter};
use crate::panes::Sniff;
use crate::panes::Tables;
use crate::panes::fold::Fold;
use crate::slices::{self, Done, Opened};
use crate::topology::{Level, Zoom};
use crate::url::{Link, Seen};
use crate::watched::Watched;
use crate::words::Selected;
use crate::workbench::Desk;
use gloo::timers::callback::Timeout;
use kernel::{NetnsId, PacketId};
use leptos::prelude::*;
use sim::EventId;
use sim::view::Filter;
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use workshop::cure::Cure;
use workshop::{At, Refused, Session, Setting, Typed};

/// The tables at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// What tcpdump prints.
    Capture,
    /// The packet's fields.
    Packet,
    /// iptables-save.
    Rules,
    /// `conntrack -L`.
    Conntrack,
    /// `ipset list`.
    Sets,
    /// `ipvsadm -Ln`.
    Ipvs,
    /// Routes, neighbours, devices, what bridges have learned.
    Network,
    /// Modules, settings, addresses.
    Node,
    /// What the last switch has changed.
    Changes,
}

/// On a small screen, the pane that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The prose.
    Lesson,
    /// Map and hook diagram.
    Map,
    /// The packet's way.
    Journey,
    /// Capture, fields, rules.
    Tables,
}

/// A handle on all signals. They stay until the page is closed: so a handle is one pointer, whatever takes it along.
#[derive(Clone, Copy)]
pub struct State(&'static Signals);

impl Deref for State {
    type Target = Signals;

    fn deref(&self) -> &Signals {
        self.0
    }
}

/// All signals.
pub struct Signals {
    /// The run.
    pub loaded: Watched<Rc<Loaded>>,
    /// The run before the last change of a switch; for a link that asks for a setting, the run at the defaults.
    pub before: Watched<Option<Rc<Loaded>>>,
    /// What can be undone, and done again.
    pub history: Watched<History>,
    /// Something that one should know, which is no mistake.
    pub notice: Watched<Option<String>>,
    /// The steps that are shown: all, or all but the background.
    pub shown: Watched<Rc<Vec<usize>>>,
    /// Changes that would reach the goals.
    pub cures: Watched<Vec<Cure>>,
    /// Changes that would let the packet through at whose end the cursor is.
    pub rescue: Watched<cures::Rescue>,
    /// The cursor: a step.
    pub cursor: Watched<usize>,
    /// The box that is looked at; `None` follows the packet.
    pub pinned: Watched<Option<NetnsId>>,
    /// Background noise is shown.
    pub noise: Watched<bool>,
    /// It plays.
    pub playing: Watched<bool>,
    /// Speed in quarters: 4 is normal.
    pub speed: Watched<u32>,
    /// The last move was a single step, to be shown as a movement.
    pub tween: Watched<bool>,
    /// The explanation of the current step is open.
    pub why: Watched<bool>,
    /// The table that is shown.
    pub tab: Watched<Tab>,
    /// The pane that is shown on a small screen.
    pub pane: Watched<Pane>,
    /// What the live region says.
    pub spoken: Watched<String>,
    /// Something that went wrong.
    pub error: Watched<Option<String>>,
    /// The help is open.
    pub help: Watched<bool>,
    /// Single-letter keys are on.
    pub letters: Watched<bool>,
    /// The screen is narrower than 720 px.
    pub narrow: Watched<bool>,
    /// The box whose entry in the outline has the focus.
    pub outlined: Watched<Option<NetnsId>>,
    /// What was done at the cursor: an exchange of the run.
    pub exchange: Watched<usize>,
    /// [`State::packet`], but changed only when another packet is looked at.
    pub chosen: Watched<Option<PacketId>>,
    /// The box whose capture is shown; `None` for all.
    pub captured: Watched<Option<NetnsId>>,
    /// The capture tab.
    pub sniff: Sniff,
    /// The session that is being run in place of the one that is shown.
    pub going: RefCell<Option<Session>>,
    /// The link that stands in the address, as far as has been heard.
    pub address: RefCell<Option<Link>>,
    /// The button that has just copied something.
    pub copied: Watched<&'static str>,
    /// How the journey is looked at.
    pub look: Look,
    /// Courses and progress.
    pub class: Class,
    /// The load lab.
    pub bench: Bench,
    /// What is being prepared on the workbench.
    pub desk: Desk,
    /// How near the picture is, and what of it is looked at.
    pub zoom: Zoom,
    /// A word that was chosen in some output: it is marked everywhere.
    pub selected: Watched<Option<Selected>>,
    /// What is kept of the tables at the bottom.
    pub tables: &'static Tables,
    /// Whether they are to be seen.
    pub fold: Fold,
}

/// Sessions before and after this one, the nearest last.
#[derive(Clone, Default)]
pub struct History {
    /// What can be undone.
    pub past: Vec<Session>,
    /// What has been undone.
    pub future: Vec<Session>,
}

impl State {
    /// The state that a link asks for, of which the run is there.
    pub fn new((link, done): (Option<Link>, Done)) -> Result<State, String> {
        let Opened { loaded, before, error } = done?;
        let notice = link.as_ref().and_then(Link::remark);
        let signals = Signals {
            shown: Watched::new(shown(&loaded, false, Filter::default())),
            cursor: Watched::new(loaded.start()),
            before: Watched::new(before),
            history: Watched::new(History::default()),
            notice: Watched::new(notice),
            loaded: Watched::new(loaded),
            cures: Watched::new(Vec::new()),
            rescue: Watched::new(cures::Rescue::default()),
            pinned: Watched::new(None),
            noise: Watched::new(false),
            playing: Watched::new(false),
            speed: Watched::new(4),
            tween: Watched::new(false),
            why: Watched::new(true),
            tab: Watched::new(Tab::Capture),
            pane: Watched::new(Pane::Map),
            spoken: Watched::new(String::new()),
            error: Watched::new(error),
            help: Watched::new(false),
            letters: Watched::new(true),
            narrow: Watched::new(false),
            outlined: Watched::new(None),
            exchange: Watched::new(0),
            chosen: Watched::new(None),
            captured: Watched::new(None),
            sniff: Sniff::default(),
            going: RefCell::default(),
            address: RefCell::new(link.clone()),
            copied: Watched::new(""),
            look: Look::default(),
            class: Class::default(),
            bench: Bench::default(),
            desk: Desk::default(),
            zoom: Zoom::new(),
            selected: Watched::new(None),
            tables: Box::leak(Box::default()),
            fold: Fold::default(),
        };
        let state = State(Box::leak(Box::new(signals)));
        match link {
            Some(link) if link.lab == workshop::load::NAME => loadlab::open(state, &link.set),
            Some(link) if course::Place::of(&link.lab).is_some() => state.follow(&link),
            Some(link) => state.place(&link),
            None => {}
        }
        cures::find(state);
        Ok(state)
    }

    /// All signals, for what lives as long as the page.
    pub fn signals(&self) -> &'static Signals {
        self.0
    }

    /// What of the picture is looked at.
    pub fn lens(&self) -> &'static Zoom {
        &self.0.zoom
    }

    // ------------------------------------------------------------------ links

    /// The link to this moment.
    pub fn link(&self) -> Link {
        let place = self.class.place.get();
        if place != course::Place::Lab {
            return Link { lab: place.name().to_owned(), ..Link::default() };
        }
        if self.bench.shown.get() {
            let lab = workshop::load::NAME.to_owned();
            return Link { lab, set: self.bench.changes(), ..Link::default() };
        }
        let loaded = self.loaded.get();
        let event = loaded.story.steps.get(self.cursor.get()).map(|s| s.event.0);
        let host = self.pinned.get().and_then(|id| loaded.world().host(id)).map(|ns| ns.name.clone());
        let link = Link {
            event,
            host,
            level: self.zoom.level.get(),
            hook: self.zoom.hook.get().filter(|_| self.zoom.level.get() == Level::Hook),
            seen: Some(self.seen(&loaded)),
            ..Link::of(&loaded.session)
        };
        // What the page's address brings need not be in the fragment again.
        let text = link.source.as_deref().unwrap_or_default();
        match self.class.shelf.with(|shelf| shelf.serves(&link.lab, text)) {
            true => Link { source: None, ..link },
            false => link,
        }
    }

    fn seen(&self, loaded: &Loaded) -> Seen {
        let name = |id: Option<NetnsId>| loaded.world().host(id?).map(|ns| ns.name.clone());
        let filter = self.look.filter.get();
        Seen {
            tab: Some(self.tab.get()).filter(|tab| *tab != Tab::Capture),
            captured: name(self.captured.get()),
            device: self.captured.get().and_then(|id| {
                let ns = loaded.world().host(id)?;
                ns.device(self.sniff.device.get()?).map(|d| d.name.clone())
            }),
            frames: self.sniff.filter.get(),
            host: name(filter.host),
            area: filter.area.map(|a| a.name().to_owned()),
            hook: filter.hook,
            only: filter.only,
        }
    }

    /// Looks at what a link names.
    fn look_at(&self, seen: &Seen) {
        let loaded = self.loaded.get_untracked();
        let named =
            |name: &Option<String>| name.as_deref().and_then(|name| loaded.world().host_by_name(name));
        let area = |name: &String| loaded.story.steps.iter().map(|s| s.area).find(|a| a.name() == name);
        let captured = named(&seen.captured);
        let device = captured.and_then(|id| loaded.world().host(id)).zip(seen.device.as_deref());
        if seen.tab.is_some() || captured.is_some() || !seen.frames.is_empty() {
            self.fold.unfold();
        }
        self.tab.set(seen.tab.unwrap_or(Tab::Capture));
        self.captured.set(captured);
        self.sniff
            .device
            .set(device.and_then(|(ns, name)| ns.devices().iter().find(|d| d.name == name)).map(|d| d.id));
        self.sniff.filter.set(seen.frames.clone());
        let (host, area) = (named(&seen.host), seen.area.as_ref().and_then(area));
        let filter = Filter { host, area, hook: seen.hook, only: seen.only };
        if filter != self.look.filter.get_untracked() {
            set_filter(*self, filter);
            self.look.filters.set(!filter.is_off());
        }
    }

    /// Goes where a link leads.
    pub fn follow(&self, link: &Link) {
        if let Some(place) = course::Place::of(&link.lab) {
            return course::place(*self, place);
        }
        let link = &match &link.source {
            Some(_) => link.clone(),
            None => Link { source: self.class.shelf.with_untracked(|s| s.text(&link.lab)), ..link.clone() },
        };
        self.class.place.set(course::Place::Lab);
        if link.lab == workshop::load::NAME {
            return loadlab::open(*self, &link.set);
        }
        loadlab::close(*self);
        self.notice.set(link.remark());
        let same = self.loaded.with_untracked(|l| link.asks_for(&l.session));
        if same {
            slices::stop();
            return self.place(link);
        }
        let (state, link) = (*self, link.clone());
        self.going.take();
        slices::run(open(Some(link.clone())), move |done| {
            match done {
                // The address says again what is shown.
                None => return crate::write_address(state),
                Some(Ok(Opened { loaded, before, error })) => {
                    state.error.set(error);
                    let now = state.loaded.get_untracked();
                    let before = if now.session.same_lab(&loaded.session) {
                        state.remember(&now.session);
                        Some(now)
                    } else {
                        state.history.set(History::default());
                        before
                    };
                    state.show(loaded, before);
                }
                Some(Err(e)) => state.error.set(Some(e)),
            }
            state.place(&link);
        });
    }

    fn place(&self, link: &Link) {
        let loaded = self.loaded.get_untracked();
        // Where there is no such lab another one is shown.
        let event = link.event.filter(|_| link.lab == Link::of(&loaded.session).lab);
        let cursor = event.map_or(loaded.start(), |e| loaded.story.step_at(EventId(e)));
        if loaded.story.steps.get(cursor).is_some_and(|s| s.noise) {
            self.noise.set(true);
        }
        if let Some(seen) = &link.seen {
            self.look_at(seen);
        }
        self.jump(cursor);
        self.pinned.set(link.host.as_deref().and_then(|name| loaded.world().host_by_name(name)));
        self.zoom.hook.set(link.hook);
        self.zoom_to(link.level);
    }

    // ------------------------------------------------------------------ runs

    /// Runs the lab again with a changed session; if it cannot be run, that is said. The run before stays as a ghost. The cursor
    /// stays where it is if everything up to there happens again, and goes back to the start if not.
    pub fn edit(&self, change: impl FnOnce(&mut Session)) {
        self.edit_then(change, || {});
    }

    /// The same; `then` is done when that is on the page, or cannot be.
    pub fn edit_then(&self, change: impl FnOnce(&mut Session), then: impl FnOnce() + 'static) {
        let (state, mut session) = (*self, self.asked());
        change(&mut session);
        self.run(session, move |done| {
            match done {
                Ok(loaded) => state.take_over(loaded),
                Err(e) => state.error.set(Some(e)),
            }
            then();
        });
    }

    /// What is shown, or what is being run to be shown in its place: an edit changes that.
    fn asked(&self) -> Session {
        let shown = self.loaded.with_untracked(|l| l.session.clone());
        let going = self.going.take().filter(|going| slices::is_going() && going.same_lab(&shown));
        going.unwrap_or(shown)
    }

    /// Runs a session of the lab that is shown. `then` is told nothing if it is stopped.
    fn run(&self, session: Session, then: impl FnOnce(Result<Rc<Loaded>, String>) + 'static) {
        let state = *self;
        self.going.replace(Some(session.clone()));
        let work = async { Loaded::new(session, slices::told).await.map(Opened::alone) };
        slices::run(work, move |done| {
            state.going.take();
            match done {
                Some(done) => then(done.map(|opened| opened.loaded)),
                // What was chosen for it goes back to what is shown.
                None => state.loaded.set(state.loaded.get_untracked()),
            }
        });
    }

    /// Shows a run of an edit, which can be undone.
    fn take_over(&self, loaded: Rc<Loaded>) {
        let before = self.loaded.get_untracked();
        self.replace(&loaded);
        self.remember(&before.session);
    }

    /// Shows another run of the same lab.
    fn replace(&self, loaded: &Rc<Loaded>) {
        let before = self.loaded.get_untracked();
        self.error.set(None);
        let event = before.story.steps.get(self.cursor.get_untracked()).map(|s| s.event);
        let stays = event.filter(|e| loaded.same_until(&before, *e));
        self.show(Rc::clone(loaded), Some(before));
        if let Some(event) = stays {
            self.jump(loaded.story.step_at(event));
            self.speak();
        }
    }

    /// What stands now can be undone to from here on.
    fn remember(&self, session: &Session) {
        let mut history = self.history.get_untracked();
        history.past.push(session.clone());
        history.future.clear();
        self.history.set(history);
    }

    /// Takes the last edit back, or does it again. One that is still being run is stopped.
    pub fn travel(&self, back: bool) {
        if slices::is_going() {
            return slices::stop();
        }
        let mut history = self.history.get_untracked();
        let to = if back { history.past.pop() } else { history.future.pop() };
        let Some(to) = to else { return };
        let now = self.loaded.with_untracked(|l| l.session.clone());
        if back {
            history.future.push(now)
        } else {
            history.past.push(now)
        }
        let state = *self;
        self.run(to, move |done| match done {
            Ok(loaded) => {
                state.replace(&loaded);
                state.history.set(history);
            }
            Err(e) => state.error.set(Some(e)),
        });
    }

    /// Adds a command, and goes to where it is run. `then` is told why it was refused, in which case nothing has changed, or what a command
    /// complained of that was run; with `well`, one that complains is not taken over either.
    pub fn try_typed(
        &self,
        typed: Typed,
        well: bool,
        then: impl FnOnce(Result<Option<String>, Refused>) + 'static,
    ) {
        let (state, at) = (*self, typed.at);
        let mut session = self.asked();
        session.typed.push(typed.tidy());
        self.run(session, move |done| {
            let loaded = match done {
                Ok(loaded) => loaded,
                Err(message) => return then(Err(Refused { message, place: None })),
            };
            let result = loaded.run.typed.last().cloned().unwrap_or_default();
            if let Some(refused) = result.refused {
                return then(Err(refused));
            }
            let wrong = result.wrong();
            if wrong.is_none() || !well {
                state.take_over(Rc::clone(&loaded));
                let exchange = result.exchange.and_then(|e| loaded.exchanges.get(e));
                if let Some(exchange) = exchange.filter(|_| at != At::Setup) {
                    state.go(exchange.steps.0);
                }
            }
            then(Ok(wrong));
        });
    }

    /// Takes a command away.
    pub fn remove_typed(&self, n: usize) {
        self.edit(|session| {
            if n < session.typed.len() {
                session.typed.remove(n);
            }
        });
    }

    /// The run before the last edit, as long as it is to be seen behind this one.
    pub fn ghost(&self) -> Option<Rc<Loaded>> {
        if self.zoom.ghost_gone.get() { None } else { self.before.get() }
    }

    /// Takes the ghost away.
    pub fn dismiss_ghost(&self) {
        self.zoom.ghost_gone.set(true);
    }

    /// Puts another lab on the page.
    pub fn open_session(&self, session: Session) {
        let state = *self;
        self.going.take();
        slices::run(with_defaults(session), move |done| match done {
            None => {}
            Some(Ok(Opened { loaded, before, .. })) => {
                state.error.set(None);
                state.notice.set(None);
                state.history.set(History::default());
                state.pinned.set(None);
                state.show(loaded, before);
            }
            Some(Err(e)) => state.error.set(Some(e)),
        });
    }

    fn show(&self, loaded: Rc<Loaded>, before: Option<Rc<Loaded>>) {
        let start = loaded.start();
        // Boxes have other numbers where others have come or gone.
        let was = self.loaded.get_untracked();
        let again = |id: Option<NetnsId>| {
            let name = was.world().host(id?).map(|h| h.name.clone())?;
            loaded.world().host_by_name(&name)
        };
        for watched in [&self.pinned, &self.captured, &self.outlined] {
            let (old, new) = (watched.get_untracked(), again(watched.get_untracked()));
            if old != new {
                watched.set(new);
            }
        }
        if self.captured.with_untracked(Option::is_none) {
            self.sniff.device.set(None);
        }
        // The way that was looked at a moment ago stays as a ghost.
        self.zoom.ghost_gone.set(!before.as_ref().is_some_and(|b| Rc::ptr_eq(b, &was)));
        self.playing.set(false);
        self.tween.set(false);
        // The cursor must not lie beyond the end of either run while both change.
        self.cursor.set(0);
        // A filter names boxes of one lab.
        if self.loaded.with_untracked(|l| l.lab.name != loaded.lab.name) {
            self.look.filter.set(Filter::default());
            self.desk.yaml_wrong.set(None);
        }
        let mut filter = self.look.filter.get_untracked();
        let host = again(filter.host);
        if host != filter.host {
            filter.host = host;
            self.look.filter.set(filter);
        }
        self.shown.set(shown(&loaded, self.noise.get_untracked(), filter));
        self.before.set(before);
        self.loaded.set(loaded);
        self.cursor.set(start);
        cures::find(*self);
        self.speak();
    }

    /// Shows or hides background noise.
    pub fn set_noise(&self, on: bool) {
        self.noise.set(on);
        let filter = self.look.filter.get_untracked();
        self.shown.set(shown(&self.loaded.get_untracked(), on, filter));
    }

    /// Says for a moment that a button has copied something.
    pub fn show_copied(self, button: &'static str) {
        self.copied.set(button);
        let end = move || {
            if self.copied.get_untracked() == button {
                self.copied.set("");
            }
        };
        Timeout::new(1600, end).forget();
    }

    /// Keeps [`State::chosen`] and [`State::exchange`] up to date.
    pub fn follow_packet(self) {
        self.chosen.set(untrack(|| self.packet()));
        effect(move || {
            let (loaded, cursor) = self.here();
            let exchange = loaded.exchange_at(cursor);
            if self.exchange.get_untracked() != exchange {
                self.exchange.set(exchange);
            }
        });
        effect(move || {
            let now = self.packet();
            if self.chosen.get_untracked() != now {
                self.chosen.set(now);
            }
        });
    }
}

fn shown(loaded: &Loaded, noise: bool, filter: Filter) -> Rc<Vec<usize>> {
    let story = &loaded.story;
    let kept = |i: usize| filter.keeps(&story.steps, &story.changes, i);
    let steps = story.steps.iter().enumerate();
    Rc::new(steps.filter(|(i, s)| (noise || !s.noise) && kept(*i)).map(|(i, _)| i).collect())
}

/// A session's run, with that of the same lab at its defaults if it is at something else.
async fn with_defaults(session: Session) -> Done {
    let loaded = Loaded::new(session, slices::told).await?;
    let session = &loaded.session;
    if loaded.run.setting == loaded.lab.default_setting() && session.typed.is_empty() {
        return Ok(Opened::alone(loaded));
    }
    let session = Session { changes: Setting::new(), typed: Vec::new(), ..session.clone() };
    Ok(Opened { before: Loaded::new(session, |_, _| slices::told(0, 0)).await.ok(), ..Opened::alone(loaded) })
}

/// The lab of a link in its setting, with its commands; what of it cannot be had is left out and said.
pub async fn open(link: Option<Link>) -> Done {
    let first = || {
        let first = workshop::lab_titles().next();
        first.and_then(|(name, _)| workshop::lab(name)).ok_or("there is no lab".to_owned())
    };
    let plain = |lab| Session::new(Rc::new(lab));
    // Behind the load lab, which has no steps, lies the first one.
    let link = link.filter(|link| link.lab != workshop::load::NAME && course::Place::of(&link.lab).is_none());
    let Some(link) = link else { return Loaded::new(plain(first()?), slices::told).await.map(Opened::alone) };
    let (session, mut error) = match link.session() {
        Ok(session) => (session, None),
        Err(e) => (plain(first()?), Some(e)),
    };
    let asked = Session { changes: link.set, typed: link.typed, ..session.clone() };
    let opened = match with_defaults(asked).await {
        Ok(opened) => opened,
        Err(e) => {
            error = error.or(Some(format!("The link asks for something that this lab does not have: {e}.")));
            with_defaults(session).await?
        }
    };
    Ok(Opened { error, ..opened })
}
