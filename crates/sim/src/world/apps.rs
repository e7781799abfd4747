//! Applications of a world, and what belongs to them: sockets, files, jobs.

use super::due::Work;
use super::{AppId, World};
use crate::apps::{App, AppCx, AppEvent, Outcome};
use crate::log::{Entry, Seen};
use crate::programs::dns_server::ServerBlock;
use crate::programs::http_server::Site;
use crate::programs::{Daemon, Job, Process};
use kernel::{Instant, NetnsId, SocketId};
use std::net::Ipv4Addr;
use std::rc::Rc;

impl World {
    /// Starts an application; it runs at once for the first time.
    pub fn start(&mut self, app: App) -> AppId {
        let id = AppId(self.apps.len());
        self.apps.push(app);
        if !self.stands_still() {
            self.run_app(id);
        }
        id
    }

    pub(super) fn run_app(&mut self, id: AppId) {
        if let Some((other, until)) = self.busy
            && other != id
            && self.now < until
        {
            return self.schedule(until, Work::App(id));
        }
        let Some(slot) = self.apps.get_mut(id.0) else { return };
        // The application is out of the list while it runs, so that it can be lent the world.
        let mut app = std::mem::replace(slot, App::Finished(Outcome::None));
        let mut wakes = Vec::new();
        app.run(&mut AppCx { world: self, id, wakes: &mut wakes });
        for at in wakes {
            self.schedule(at, Work::App(id));
        }
        self.apps[id.0] = app;
    }

    /// Runs the world until the application has an outcome. Every client gives up in the end, so this ends too; a
    /// server never has an outcome and returns `None` when nothing is left to do.
    pub fn run_to_outcome(&mut self, id: AppId) -> Option<Outcome> {
        parts::finish(self.outcome_in_parts(id))
    }

    /// The same in parts.
    pub(crate) async fn outcome_in_parts(&mut self, id: AppId) -> Option<Outcome> {
        let mut steps = 0;
        loop {
            if let Some(outcome) = self.outcome(id) {
                return Some(outcome.clone());
            }
            if !self.step(Instant(u64::MAX)) {
                return None;
            }
            super::breathe(&mut steps).await;
        }
    }

    /// The outcome of an application that has one.
    fn outcome(&self, id: AppId) -> Option<&Outcome> {
        match self.apps.get(id.0) {
            Some(App::Finished(outcome)) => Some(outcome),
            _ => None,
        }
    }

    /// A program that runs.
    pub(crate) fn process(&self, id: AppId) -> Option<&Process> {
        match self.apps.get(id.0) {
            Some(App::Process(process)) => Some(process),
            _ => None,
        }
    }

    /// What the servers of a box have printed since they began: each one's standard output, then its errors.
    pub fn printed(&self, host: NetnsId) -> impl Iterator<Item = &str> {
        let processes = self.apps.iter().filter_map(move |app| match app {
            App::Process(p) if p.is_daemon() && p.host() == host => Some(p),
            _ => None,
        });
        let lines = processes.map(Process::output).flat_map(|o| o.stdout.iter().chain(&o.stderr));
        lines.map(String::as_str)
    }

    /// The DNS servers of a box that are bound there answer by these blocks from now on.
    pub fn reconfigure_dns(&mut self, host: NetnsId, bind: (Ipv4Addr, u16), blocks: &[ServerBlock]) {
        for app in &mut self.apps {
            if let App::Process(p) = app
                && p.host() == host
            {
                p.reconfigure_dns(bind, blocks);
            }
        }
    }

    /// Starts a server on a box.
    pub fn start_daemon(&mut self, host: NetnsId, daemon: &Daemon) -> AppId {
        self.start(App::Process(daemon.process(host)))
    }

    /// A HTTP server has these sites from now on, and listens there.
    pub fn reconfigure_http(&mut self, server: AppId, sites: &[Site]) {
        if let Some(App::Process(p)) = self.apps.get_mut(server.0) {
            p.reconfigure_http(sites);
            self.run_app(server);
        }
    }

    /// The application goes on with its turn then; no other runs before.
    pub(crate) fn keep_busy(&mut self, app: AppId, until: Instant) {
        self.busy = Some((app, until));
    }

    /// The application owns this socket: news on it wake the application.
    pub(crate) fn own(&mut self, host: NetnsId, socket: SocketId, app: AppId) {
        self.owners.insert((host, socket), app);
    }

    /// The program that owns a socket: its name, the number of its process, and which of its sockets this is.
    pub(crate) fn owner(&self, host: NetnsId, socket: SocketId) -> Option<(&str, u16, usize)> {
        let app = *self.owners.get(&(host, socket))?;
        let before = self.owners.iter().filter(|((h, s), a)| **a == app && *h == host && s.0 < socket.0);
        Some((self.apps.get(app.0)?.name(), app.pid(), before.count()))
    }

    pub(crate) fn disown(&mut self, host: NetnsId, socket: SocketId) {
        self.owners.remove(&(host, socket));
    }

    pub(crate) fn app_event(&mut self, host: NetnsId, event: AppEvent) {
        self.app_events += 1;
        if !self.quiet {
            self.log.push(Entry { at: self.now, host, packet: None, seen: Rc::new(Seen::App(event)) });
        }
    }

    /// The text of a file of a box.
    pub fn file(&self, host: NetnsId, path: &str) -> Option<&str> {
        self.files.get(&(self.rooted(host), path.to_owned())).map(String::as_str)
    }

    /// The paths of a box's files.
    pub(crate) fn files_of(&self, host: NetnsId) -> impl Iterator<Item = &str> {
        let host = self.rooted(host);
        self.files.keys().filter(move |(h, _)| *h == host).map(|(_, path)| path.as_str())
    }

    /// Where in the log the ring buffer of a box's kernel begins.
    pub(crate) fn dmesg_from(&self, host: NetnsId) -> usize {
        self.dmesg.get(&host).copied().unwrap_or(0)
    }

    /// Empties the ring buffer of a box's kernel.
    pub(crate) fn clear_dmesg(&mut self, host: NetnsId) {
        let end = self.log.len();
        self.dmesg.insert(host, end);
    }

    /// Writes a file of a box.
    pub fn write_file(&mut self, host: NetnsId, path: &str, text: String) {
        self.files.insert((self.rooted(host), path.to_owned()), text);
    }

    pub(crate) fn add_job(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// Runs the jobs until those have ended that are waited for.
    pub(crate) async fn end_jobs(&mut self) {
        for at in 0..self.jobs.len() {
            if let Some(id) = self.jobs.get(at).and_then(|job| job.awaited(self)) {
                self.outcome_in_parts(id).await;
            }
        }
    }

    pub(crate) fn take_jobs(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }

    /// A client leaves its connection open.
    pub(crate) fn hold(&mut self, host: NetnsId, socket: SocketId) {
        self.held.push((host, socket));
    }

    /// A connection that was left open; they are counted from 0.
    pub(crate) fn held(&self, id: usize) -> Option<(NetnsId, SocketId)> {
        self.held.get(id).copied()
    }
}
