//! After the first visit the page needs no network; a new build takes the old one's place as a whole.

use crate::harness::{Page, dist, visit_served};
use std::fs;
use std::path::{Path, PathBuf};

/// Waits until the site is kept, and this page is served from what is kept.
fn wait_kept(page: &Page) {
    page.wait_until("the service worker to be in charge", || {
        page.eval("const c = navigator.serviceWorker.controller; return !!c && c.state === 'activated'")
            == true
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

/// A copy of the site that the test may change; it goes at the end.
struct Site(PathBuf);

impl Site {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nflab-{name}-{}", std::process::id()));
        copy(&dist(), &folder);
        Self(folder)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_second_visit_needs_no_network() {
    visit_served(&dist(), "/some/where/", |page, server| {
        wait_kept(page);
        drop(server);
        assert_eq!(page.eval("return fetch('./nowhere').then(() => 'there', () => 'gone')"), "gone");
        page.expect_console_error("nowhere");
        page.reload();
        page.wait_text("body", "Netfilter Lab");
        // By a link, and what is loaded only when it is needed: the worker of the load lab.
        page.open_fresh("?from=elsewhere#v1/conntrack-load?set=iteration=8,scale=100,seconds=4");
        page.click("#run");
        page.wait("#nine tr[data-iteration='8'] .ours");
        page.wait_until("everything to be kept", || {
            page.eval("return document.styleSheets.length > 3 && [...document.styleSheets].every(s => s.cssRules.length)")
                == true
        });
    });
}

#[test]
fn a_new_build_waits_until_it_is_wanted() {
    let site = Site::new("update");
    visit_served(&site.0, "/", |page, server| {
        wait_kept(page);
        let built = |mark: &str| {
            let page = fs::read_to_string(dist().join("index.html")).unwrap();
            let changed = page.replace("<title>Netfilter Lab</title>", &format!("<title>{mark}</title>"));
            assert_ne!(page, changed);
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/assets/sw.js");
            server.exclusively(|| {
                fs::write(site.0.join("index.html"), changed).unwrap();
                fs::copy(source, site.0.join("sw.js")).unwrap();
                xtask::offline::fill(&site.0).unwrap();
            });
        };
        let title = || page.eval("return document.title");
        let look =
            || drop(page.eval("return navigator.serviceWorker.ready.then(r => r.update()).then(() => 1)"));
        built("the second");
        look();
        page.wait_text("#update", "A new version is there");
        assert_eq!(title(), "Netfilter Lab");
        // Not before somebody says so.
        page.reload();
        page.wait_text("#update", "A new version is there");
        assert_eq!(title(), "Netfilter Lab");
        page.click("#update button");
        page.wait_until("the new build", || title() == "the second");
        page.wait_started();
        assert_eq!(page.count("#update"), 0);
        let kept = page.eval("return caches.keys().then(names => names.length)");
        assert_eq!(kept, 2, "the build before is kept for other tabs, no other");

        // A build that is only half there is not taken: the page stays as it was.
        built("the third");
        server.exclusively(|| fs::write(site.0.join("manifest.webmanifest"), "{}").unwrap());
        page.eval(
            "window.failed = new Promise(go => navigator.serviceWorker.ready.then(r => r.onupdatefound = () =>
               r.installing.onstatechange = e => go(e.target.state)));",
        );
        page.eval("return navigator.serviceWorker.ready.then(r => r.update()).then(() => 1, () => 1)");
        assert_eq!(page.eval("return window.failed"), "redundant");
        page.reload();
        assert_eq!(title(), "the second");
        page.ignore_console_errors("manifest.webmanifest");
    });
}

#[test]
fn while_somebody_works_on_it_nothing_is_kept() {
    let site = Site::new("unkept");
    visit_served(&site.0, "/", |page, server| {
        wait_kept(page);
        // What `cargo xtask serve` serves: the worker without a list.
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/assets/sw.js");
        server.exclusively(|| fs::copy(source, site.0.join("sw.js")).unwrap());
        page.eval("return navigator.serviceWorker.ready.then(r => r.update()).then(() => 1)");
        page.wait_until("nothing to be kept", || {
            page.eval("return caches.keys().then(names => names.length)") == 0
        });
    });
}
