//! What is around a lab: the content security policy, the theme, a lab inside an article, the first visit.

use crate::harness::{DARK, Page, visit, visit_folder};
use crate::visitor::{command, fits, is_shown, position};
use serde_json::json;

#[test]
fn nothing_offends_the_policy() {
    visit(|page| {
        let policy = page.attribute("meta[http-equiv='Content-Security-Policy']", "content").unwrap();
        assert!(policy.contains("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("http"), "{policy}");
        // From the first moment on, in every document.
        let listen = "window.offences = []; addEventListener('securitypolicyviolation',
            e => offences.push(e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile + ':' + e.lineNumber), true);";
        page.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": listen}));
        page.open_fresh("");
        let labs = page.eval("return [...document.querySelectorAll('.lab option')].map(o => o.value)");
        let labs: Vec<String> = serde_json::from_value(labs).unwrap();
        assert!(labs.len() > 10, "{labs:?}");
        for lab in labs.iter().take(5) {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait("#play");
            // Every table, every switch, play, help, the menu of colours, a copy.
            page.eval("document.querySelectorAll('[role=tab]').forEach(t => t.click())");
            page.eval("document.querySelectorAll('[role=switch]').forEach(t => t.click())");
            page.press("End");
            page.click("#help-button");
            page.wait("dialog[open]");
            page.press("Escape");
            page.click("#theme");
            page.wait("#theme-menu:popover-open");
            page.press("Escape");
            assert_eq!(page.eval("return offences"), json!([]), "{lab}");
        }
        page.open_fresh("#v1/conntrack-load?set=iteration=8,scale=100,seconds=4");
        page.click("#run");
        page.wait("#nine tr[data-iteration='8'] .ours");
        assert_eq!(page.eval("return offences"), json!([]));
        // The listener hears what it is for.
        page.eval("const s = document.createElement('script'); s.textContent = '1'; document.body.append(s)");
        page.wait_until("an offence", || page.eval("return offences.length") == 1);
        page.expect_console_error("Content Security Policy");
    });
}

#[test]
fn the_theme_follows_the_system_until_it_is_chosen() {
    visit(|page| {
        let ground = || page.eval("return getComputedStyle(document.body).backgroundColor");
        let light = ground();
        page.emulate(&[DARK]);
        page.wait_until("the dark ground", || ground() != light);
        let dark = ground();
        page.click("#theme");
        page.click("#theme-menu input[value=light]");
        page.wait("html[data-theme=light]");
        assert_eq!(ground(), light);
        page.reload();
        assert_eq!(ground(), light);
        assert_eq!(
            page.eval("return document.querySelector('#theme-menu input[value=light]').checked"),
            true
        );
        // By keyboard: the menu opens, the arrows choose.
        page.eval("document.getElementById('theme').focus()");
        page.press("Enter");
        page.wait("#theme-menu:popover-open");
        page.press("Tab");
        page.press("ArrowUp");
        page.wait_gone("html[data-theme]");
        assert_eq!(ground(), dark);
        page.press("Escape");
        page.wait_gone("#theme-menu:popover-open");
        page.reload();
        assert_eq!(page.attribute("html", "data-theme"), None);
    });
}

#[test]
fn the_projector_makes_it_large() {
    visit(|page| {
        let size = || {
            page.eval("return document.querySelector('h1').getBoundingClientRect().height").as_f64().unwrap()
        };
        for width in [1280, 1920] {
            page.set_size(width, 800);
            let before = size();
            page.click("#theme");
            page.click("#projector");
            page.wait("html[data-projector]");
            assert!(size() > before * 1.2, "{before} {}", size());
            fits(page);
            page.press("Escape");
            page.reload();
            page.wait("html[data-projector]");
            fits(page);
            page.screenshot(&format!("projector-{width}"));
            page.click("#theme");
            page.click("#projector");
            page.wait_gone("html[data-projector]");
            page.press("Escape");
        }
    });
}

#[test]
fn a_lab_fits_into_an_article() {
    visit(|page| {
        page.set_size(640, 400);
        for link in ["?embed#v1/same-node-clusterip/44/worker-2", "#v1/same-node-clusterip/44/worker-2?embed"]
        {
            page.open_fresh(link);
            page.wait("#play");
            page.wait_text("h1", "takes a short cut");
            fits(page);
            let tall = page.eval("return document.documentElement.scrollHeight > 400");
            assert_eq!(tall, false, "{link}: it scrolls");
            let shown = |css: &str| {
                page.eval(&format!(
                    "const e = document.querySelector('{css}'); if (!e) return false;
                     const r = e.getBoundingClientRect(); return r.height > 20 && r.top >= 0 && r.bottom <= 400"
                ))
            };
            for css in [".mapcard", ".mapcard svg", ".tl", "#play", "#scrubber", "#whole"] {
                assert_eq!(shown(css), true, "{link}: {css}");
            }
            for css in [".lesson", ".journey", ".tables", ".bar", ".hint", "nav.bottom"] {
                assert_eq!(shown(css), false, "{link}: {css}");
            }
            let href =
                || page.eval("return document.getElementById('whole').href").as_str().unwrap().to_owned();
            let whole = href();
            assert!(whole.contains("/#v1/same-node-clusterip/") && whole.contains("/worker-2"), "{whole}");
            page.press("ArrowRight");
            page.wait_until("the link to follow", || href() != whole);
        }
        page.screenshot("embed");
    });
}

#[test]
fn a_first_visit_teaches_by_doing() {
    visit(|page| {
        assert_eq!(page.count("dialog[open]"), 0);
        page.wait_text("#tour", "1 of 3");
        page.wait_text("#tour", "Press Play");
        page.press("Space");
        page.wait_text("#tour", "2 of 3");
        page.press("Space");
        page.press("ArrowRight");
        page.wait_text("#tour", "3 of 3");
        page.reload();
        page.wait_text("#tour", "3 of 3");
        page.click("[role=switch]");
        page.wait_gone("#tour");
        page.reload();
        page.wait("#play");
        assert_eq!(page.count("#tour"), 0);
        page.eval("localStorage.clear()");
        page.reload();
        page.click("#tour button");
        page.wait_gone("#tour");
        page.reload();
        page.wait("#play");
        assert_eq!(page.count("#tour"), 0);
    });
}

#[test]
fn it_can_be_installed() {
    visit(|page| {
        let manifest = page.devtools("Page.getAppManifest", &json!({}));
        assert_eq!(manifest["errors"], json!([]), "{manifest}");
        assert!(manifest["data"].as_str().unwrap().contains("\"Netfilter Lab\""), "{manifest}");
        let icon = page.eval("return fetch('icon.svg').then(r => r.headers.get('content-type'))");
        assert_eq!(icon, "image/svg+xml");
    });
}

/// An article that shows the page in a frame. It is of the same origin here; the frame is a page like any other.
fn in_article(src: &str, size: (u32, u32), scenario: impl FnOnce(&Page)) {
    in_frame("", src, size, scenario);
}

/// The same in a frame with more attributes.
fn in_frame(more: &str, src: &str, (width, height): (u32, u32), scenario: impl FnOnce(&Page)) {
    let article = format!(
        "<!doctype html><title>An article</title><link rel=icon href=icon.svg>
        <iframe {more} src='lab.html{src}' width={width} height={height} style='border: 0'></iframe>"
    );
    let name = format!("nflab-article-{}-{width}-{}-{}", std::process::id(), src.len(), more.len());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(crate::harness::dist()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::rename(folder.join("index.html"), folder.join("lab.html")).unwrap();
    std::fs::write(folder.join("index.html"), article).unwrap();
    visit_folder(&folder, "/", |page| {
        page.enter_frame("iframe");
        page.wait_started();
        scenario(page);
    });
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn another_page_shows_it_in_a_frame() {
    in_article("?embed#v1/same-node-clusterip", (640, 400), |page| page.wait("#play"));
}

#[test]
fn a_frame_that_is_cut_off_plays_as_any_other() {
    in_frame("sandbox=allow-scripts", "?embed#v1/same-node-clusterip", (640, 400), |page| {
        assert_eq!(page.eval("return self.origin"), "null");
        assert_eq!(page.eval("try { return !localStorage } catch (e) { return e.name }"), "SecurityError");
        let before = position(page).0;
        page.eval("document.getElementById('play').click()");
        page.wait_until("it to play", || position(page).0 > before);
        page.eval("document.getElementById('play').click()");
        page.eval("document.getElementById('level-node').click()");
        page.wait("#map[data-level=node] .flowpic");
    });
}

/// The browser refuses whatever keeps something.
const REFUSE: &str = "for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches']) {
    Object.defineProperty(window, name, {get() { throw new DOMException(name, 'SecurityError') }})
}";

#[test]
fn an_exercise_fits_into_an_article() {
    in_article("?embed#v1/no-forwarding", (960, 600), |page| {
        page.set_size(1000, 700);
        let history = page.eval("return history.length");
        for refused in [false, true] {
            if refused {
                page.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": REFUSE}));
                page.leave_frame();
                page.reload();
                page.enter_frame("iframe");
                page.wait_started();
                assert_eq!(page.eval("try { return !localStorage } catch { return 'refused' }"), "refused");
            }
            page.wait_text(".embed-bar h1", "The node that keeps everything");
            fits(page);
            for css in
                [".task", ".goals", ".mapcard svg", "#play", "#scrubber", ".term", "#command-line", "#whole"]
            {
                let seen = page.eval_with(
                    "const e = document.querySelector(arguments[0]); const r = e.getBoundingClientRect();
                     return e.checkVisibility() && r.height > 15 && r.top >= 0 && r.bottom <= innerHeight",
                    &json!([css]),
                );
                assert_eq!(seen, true, "{css}");
            }
            for css in [".bar", ".journey", ".tables", ".hint", "nav.bottom", ".course-way", "#show-qr"] {
                assert!(!is_shown(page, css), "{css}");
            }
            page.click("#hint");
            page.wait(".lesson .hints li");
            command(page, "iptables -P FORWARD ACCEPT");
            page.wait("#verdict :is(.turn, .breach)");
            command(page, "sysctl -w net.ipv4.ip_forward=1");
            page.wait(".goal .done");
            page.screenshot(&format!("embed-exercise-{refused}"));
            // The whole page takes over what was done.
            let whole =
                || page.eval("return document.getElementById('whole').href").as_str().unwrap().to_owned();
            page.wait_until("the link", || {
                whole().contains("html#v1/no-forwarding") && whole().contains("ip_forward")
            });
            page.click("#reset-exercise");
            command(page, "sysctl -w net.ipv4.ip_forward=1");
            page.wait_text("#verdict", "Solved with one command, which is par.");
            page.wait_until("the verdict to be in sight", || {
                page.eval(
                    "const [a, b] = ['lesson', 'verdict'].map(id => document.getElementById(id).getBoundingClientRect()); \
                     return b.top >= a.top && b.bottom <= a.bottom + 1",
                ) == true
            });
            assert_eq!(page.count("#go-on, #progress-trouble, .trouble"), 0);
            if !refused {
                assert_eq!(page.eval("return Object.keys(localStorage)"), json!([]));
                // The article's way back is the reader's own.
                assert_eq!(page.eval("return history.length"), history);
            }
        }
    });
}

#[test]
fn in_a_narrow_article_an_exercise_shows_one_pane_at_a_time() {
    in_article("?embed#v1/no-forwarding", (360, 600), |page| {
        let tab = |name: &str| {
            page.eval(&format!(
                "[...document.querySelectorAll('nav.bottom button')].find(b => b.textContent === '{name}').click()"
            ));
        };
        page.wait_text(".task", "");
        for (name, css) in
            [("Lesson", ".task"), ("Map", "#command-line"), ("Journey", ".journey"), ("Lesson", ".goals")]
        {
            tab(name);
            page.wait_until(css, || is_shown(page, css));
            fits(page);
        }
        tab("Map");
        command(page, "sysctl -w net.ipv4.ip_forward=1");
        tab("Lesson");
        page.wait_text("#verdict", "Solved with one command");
        page.screenshot("embed-exercise-narrow");
    });
}
