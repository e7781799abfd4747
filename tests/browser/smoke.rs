//! The site starts wherever it is put, and says why where it cannot. Also run on the site that Trunk builds.

use crate::harness::{DARK, REDUCED_MOTION, visit, visit_at, visit_file};

#[test]
fn the_page_mounts() {
    visit(|page| {
        page.wait_text("body", "Netfilter Lab");
        page.screenshot("smoke");
    });
}

#[test]
fn the_page_mounts_under_any_path() {
    visit_at("/x/y/", |page| {
        page.wait_text("body", "Netfilter Lab");
        assert!(page.url().ends_with("/x/y/"), "{}", page.url());
    });
}

#[test]
fn the_site_is_kept_for_later() {
    visit(|page| {
        page.wait_until("the service worker to be in charge", || {
            page.eval("const c = navigator.serviceWorker.controller; return !!c && c.state === 'activated'")
                == true
        });
        let missing = page.eval(
            "const app = document.querySelector('meta[name=app]');
             const files = [app.content, app.dataset.wasm, './', ...[...document.styleSheets].map(s => s.href)];
             return Promise.all(files.map(f => caches.match(f).then(r => r ? [] : f))).then(l => l.flat())",
        );
        assert_eq!(missing, serde_json::json!([]));
    });
}

#[test]
fn a_page_opened_as_a_file_says_what_to_do() {
    visit_file(|page| {
        page.wait_text("#boot", "needs a web server");
        page.wait_text("#boot", "python3 -m http.server -d '/");
        page.screenshot("opened-as-a-file");
    });
}

#[test]
fn a_site_with_a_missing_file_says_so() {
    visit(|page| {
        let app = page.eval("return document.querySelector('meta[name=app]').content");
        page.eval("document.querySelector('meta[name=app]').content = './gone.js'");
        assert!(app.as_str().is_some_and(|name| name.ends_with(".js")), "{app}");
        // A second start of a page whose app is gone.
        page.eval(
            "const boot = document.createElement('div'); boot.id = 'boot';
             boot.innerHTML = '<div id=boot-failed hidden>did not start <code id=boot-error></code></div>';
             document.body.prepend(boot);
             const script = document.createElement('script');
             script.src = document.querySelector('script[src*=boot]').src;
             document.head.append(script);",
        );
        page.wait_text("#boot", "did not start");
        page.expect_console_error("gone.js");
    });
}

#[test]
fn the_harness_emulates_what_a_visitor_prefers() {
    visit(|page| {
        let matches = |query: &str| page.eval(&format!("return matchMedia('{query}').matches"));
        page.emulate(&[DARK, REDUCED_MOTION]);
        assert_eq!(matches("(prefers-color-scheme: dark)"), true);
        assert_eq!(matches("(prefers-reduced-motion: reduce)"), true);
        page.emulate(&[]);
        assert_eq!(matches("(prefers-reduced-motion: reduce)"), false);
        page.set_size(400, 700);
        page.wait_until("the window to be narrow", || page.eval("return innerWidth") == 400);
    });
}
