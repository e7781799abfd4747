//! Notices that a source file changed, by looking.

use crate::build;
use crate::workspace::Workspace;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// How often to look.
const EVERY: Duration = Duration::from_millis(700);

/// The sources as last seen.
#[derive(Debug)]
pub struct Watch {
    places: Vec<PathBuf>,
    seen: BTreeMap<PathBuf, SystemTime>,
}

impl Watch {
    /// Watches what the page is made of.
    pub fn new(workspace: &Workspace) -> Self {
        let files = ["index.html", "Trunk.toml", "Cargo.toml", "Cargo.lock"].into_iter().map(PathBuf::from);
        let places = files.chain(build::sources(workspace).map(|package| package.folder.clone()));
        let places: Vec<PathBuf> = places.map(|place| workspace.root.join(place)).collect();
        Self { seen: look(&places), places }
    }

    /// Waits for a change, and for it to be over; the first file that differs.
    pub fn wait(&mut self) -> PathBuf {
        let mut changed = None;
        loop {
            thread::sleep(EVERY);
            let now = look(&self.places);
            match difference(&self.seen, &now) {
                Some(file) => changed = changed.or(Some(file)),
                None => {
                    if let Some(file) = changed {
                        return file;
                    }
                }
            }
            self.seen = now;
        }
    }
}

/// The first file that is new, gone or newer.
fn difference(
    before: &BTreeMap<PathBuf, SystemTime>,
    after: &BTreeMap<PathBuf, SystemTime>,
) -> Option<PathBuf> {
    let files = before.keys().chain(after.keys());
    files.into_iter().find(|file| before.get(*file) != after.get(*file)).cloned()
}

fn look(places: &[PathBuf]) -> BTreeMap<PathBuf, SystemTime> {
    let mut seen = BTreeMap::new();
    places.iter().for_each(|place| add(place, &mut seen));
    seen
}

fn add(path: &Path, seen: &mut BTreeMap<PathBuf, SystemTime>) {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    if hidden {
        return;
    }
    // A file may go away while we look.
    if path.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            add(&entry.path(), seen);
        }
    } else if let Ok(time) = fs::metadata(path).and_then(|data| data.modified()) {
        seen.insert(path.to_owned(), time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_gone_and_newer_files_differ() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let files = |list: &[(&str, u64)]| {
            list.iter().map(|(name, second)| (PathBuf::from(name), at(*second))).collect()
        };
        let before: BTreeMap<_, _> = files(&[("a", 1), ("b", 1)]);
        assert_eq!(difference(&before, &before), None);
        assert_eq!(difference(&before, &files(&[("a", 1), ("b", 2)])), Some("b".into()));
        assert_eq!(difference(&before, &files(&[("a", 1)])), Some("b".into()));
        assert_eq!(difference(&before, &files(&[("a", 1), ("b", 1), ("c", 1)])), Some("c".into()));
    }
}
