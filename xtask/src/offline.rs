//! The list of files that the service worker keeps: `web/assets/sw.js` has a place for it.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The service worker, at the site's root: it can only serve what lies below it.
pub const WORKER: &str = "sw.js";

/// What the worker has where the list goes.
const EMPTY: &str = "const FILES = {};";

/// Writes the names and digests of all files of a finished site into its service worker. Nothing in it may change
/// afterwards. A site without a service worker is left as it is.
pub fn fill(site: &Path) -> Result<()> {
    let worker = site.join(WORKER);
    if !worker.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(&worker).with_context(|| format!("cannot read {}", worker.display()))?;
    let mut files = BTreeMap::new();
    add(site, "./", &mut files)?;
    // What a visitor asks for.
    let Some(page) = files.remove("./index.html") else { bail!("{} has no index.html", site.display()) };
    files.insert("./".to_owned(), page);
    fs::write(&worker, filled(&text, &files)?).with_context(|| format!("cannot write {}", worker.display()))
}

/// The same for a site in memory, names and contents, that may have a list already.
pub fn refill(site: &mut [(String, Vec<u8>)]) -> Result<()> {
    let mut files = BTreeMap::new();
    for (name, bytes) in site.iter().filter(|(name, _)| name != WORKER) {
        let name = if name == "index.html" { "./".to_owned() } else { format!("./{name}") };
        files.insert(name, digest(bytes));
    }
    let Some((_, worker)) = site.iter_mut().find(|(name, _)| name == WORKER) else { return Ok(()) };
    let text = std::str::from_utf8(worker).context("the service worker's text")?;
    let (from, to) = text
        .find("const FILES = {")
        .and_then(|from| Some((from, from + text.get(from..)?.find("};")? + 2)))
        .with_context(|| format!("{WORKER} has no place for the list"))?;
    let list = serde_json::to_string_pretty(&files).context("the list of files")?;
    let text = format!("{}const FILES = {list};{}", &text[..from], &text[to..]);
    *worker = text.into_bytes();
    Ok(())
}

/// A digest as `integrity` wants it.
fn digest(bytes: &[u8]) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(bytes)))
}

/// The worker's text with the list.
fn filled(text: &str, files: &BTreeMap<String, String>) -> Result<String> {
    if text.matches(EMPTY).count() != 1 {
        bail!("{WORKER} has no place for the list: the line `{EMPTY}`");
    }
    let list = serde_json::to_string_pretty(files).context("the list of files")?;
    Ok(text.replace(EMPTY, &format!("const FILES = {list};")))
}

/// Adds the files of a folder, as the site names them, each with its digest as `integrity` wants it.
fn add(folder: &Path, name: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let Some(last) = path.file_name().and_then(|last| last.to_str()) else { continue };
        if last.starts_with('.') || name == "./" && last == WORKER {
            continue;
        }
        let name = format!("{name}{last}");
        if path.is_dir() {
            add(&path, &format!("{name}/"), files)?;
        } else {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name, digest(&bytes));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_file_but_the_worker() {
        let folder = std::env::temp_dir().join(format!("nflab-offline-{}", std::process::id()));
        fs::create_dir_all(folder.join("labs")).unwrap();
        for (name, text) in [("index.html", "abc"), ("a.js", "a"), ("labs/b.txt", ""), (".hidden", "")] {
            fs::write(folder.join(name), text).unwrap();
        }
        fs::write(folder.join(WORKER), format!("// x\n{EMPTY}\n")).unwrap();
        fill(&folder).unwrap();
        let text = fs::read_to_string(folder.join(WORKER)).unwrap();
        let list = text.strip_prefix("// x\nconst FILES = ").unwrap().trim_end().trim_end_matches(';');
        let list: BTreeMap<String, String> = serde_json::from_str(list).unwrap();
        let names: Vec<&str> = list.keys().map(String::as_str).collect();
        assert_eq!(names, ["./", "./a.js", "./labs/b.txt"]);
        // The digest of "abc" that FIPS 180-2 gives.
        assert_eq!(list["./"], "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        // A list is filled in once.
        assert!(fill(&folder).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_real_worker_has_a_place_for_it() {
        let root = crate::workspace::Workspace::load().unwrap().root;
        let text = fs::read_to_string(root.join("web/assets").join(WORKER)).unwrap();
        assert!(filled(&text, &BTreeMap::new()).is_ok());
    }
}
