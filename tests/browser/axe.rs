//! axe-core finds nothing: light and dark, wide and narrow, in several labs, with help and menus open.

use crate::harness::{DARK, Page, visit};
use serde_json::{Value, json};

/// axe-core 4.14.1, as published on npm; its licences stand beside it.
const AXE: &str = include_str!("vendor/axe.min.js");

/// What it checks besides the rules of WCAG: what the field calls best practice is in as well.
const OPTIONS: &str = "{resultTypes: ['violations']}";

#[track_caller]
fn clean(page: &Page, what: &str) {
    // Into the page by the driver, which the page's policy does not concern.
    if page.eval("return typeof axe") == "undefined" {
        page.eval(&format!("{AXE}; window.axe = axe"));
    }
    let result = page.eval(&format!(
        "return axe.run(document, {OPTIONS}).then(r => r.violations.map(v => ({{id: v.id, help: v.help, \
         nodes: v.nodes.slice(0, 4).map(n => n.html.slice(0, 200) + ' ' + n.failureSummary)}})))"
    ));
    let Value::Array(violations) = &result else { panic!("{what}: axe answers {result}") };
    assert!(violations.is_empty(), "{what}:\n{}", serde_json::to_string_pretty(violations).unwrap());
}

/// Movements end at once, so that nothing is half seen.
fn still(page: &Page, dark: bool) {
    let mut features = vec![("prefers-reduced-motion", "reduce")];
    if dark {
        features.push(DARK);
    }
    page.emulate(&features);
}

fn both(page: &Page, link: &str, sizes: &[(u32, u32)]) {
    for (width, height) in sizes {
        page.set_size(*width, *height);
        for dark in [false, true] {
            still(page, dark);
            page.open_fresh(link);
            page.wait("#lab");
            clean(page, &format!("{link} {width} {}", if dark { "dark" } else { "light" }));
        }
    }
}

const WIDE: (u32, u32) = (1440, 900);
const NARROW: (u32, u32) = (390, 844);

#[test]
fn the_harness_finds_what_is_wrong() {
    visit(|page| {
        page.eval("document.body.insertAdjacentHTML('beforeend', '<img src=icon.svg>')");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clean(page, "an image")));
        let message = *result.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("image-alt"), "{message}");
    });
}

#[test]
fn the_first_page() {
    visit(|page| both(page, "", &[WIDE, NARROW]));
}

#[test]
fn other_labs() {
    visit(|page| {
        for lab in ["tftp-ipvs", "hooks-and-chains", "dns-race"] {
            both(page, &format!("#v1/{lab}"), &[WIDE, NARROW]);
        }
    });
}

#[test]
fn every_table() {
    visit(|page| {
        page.set_size(WIDE.0, WIDE.1);
        for dark in [false, true] {
            still(page, dark);
            page.open_fresh("#v1/ipvs-rollout");
            let tabs = page.eval("return [...document.querySelectorAll('[role=tab]')].map(t => t.id)");
            for tab in tabs.as_array().unwrap() {
                let tab = tab.as_str().unwrap();
                page.eval(&format!("document.getElementById('{tab}').click()"));
                page.wait(&format!("#{tab}[aria-selected=true]"));
                clean(page, &format!("{tab} dark {dark}"));
            }
        }
    });
}

#[test]
fn every_pane_of_a_small_screen() {
    visit(|page| {
        page.set_size(NARROW.0, NARROW.1);
        still(page, false);
        page.open_fresh("#v1/same-node-clusterip?set=br_netfilter=on");
        for pane in 1..=4 {
            page.click(&format!("nav.bottom button:nth-child({pane})"));
            clean(page, &format!("pane {pane}"));
        }
        for tab in ["Packet", "Node"] {
            page.click(&format!("#tab-{tab}"));
            page.wait(&format!("#tab-{tab}[aria-selected=true]"));
            clean(page, tab);
        }
    });
}

#[test]
fn help_and_menu() {
    visit(|page| {
        for (width, height) in [WIDE, NARROW] {
            page.set_size(width, height);
            for dark in [false, true] {
                still(page, dark);
                page.open_fresh("");
                page.click("#help-button");
                page.wait("dialog[open]");
                clean(page, &format!("help {width} dark {dark}"));
                page.press("Escape");
                page.wait_gone("dialog[open]");
                page.click("#theme");
                page.wait("#theme-menu:popover-open");
                clean(page, &format!("menu {width} dark {dark}"));
                page.press("Escape");
            }
        }
    });
}

#[test]
fn the_load_lab() {
    visit(|page| {
        for (width, height) in [WIDE, NARROW] {
            page.set_size(width, height);
            for dark in [false, true] {
                still(page, dark);
                page.open_fresh("#v1/conntrack-load?set=iteration=8,scale=100,seconds=4");
                clean(page, &format!("load lab {width} dark {dark}"));
                page.click("#run");
                page.wait("#nine tr[data-iteration='8'] .ours");
                clean(page, &format!("load lab's result {width} dark {dark}"));
            }
        }
    });
}

#[test]
fn courses_and_exercises() {
    visit(|page| {
        for link in ["#v1/courses", "#v1/trainer", "#v1/reset-by-stranger", "?embed#v1/no-forwarding"] {
            both(page, link, &[WIDE, NARROW]);
        }
    });
}

#[test]
fn the_builder_of_exercises() {
    visit(|page| {
        page.set_size(WIDE.0, WIDE.1);
        for dark in [false, true] {
            still(page, dark);
            page.open_fresh("#v1/trainer");
            page.click("#open-builder");
            page.click("#builder-start");
            page.wait("#builder-ask");
            clean(page, &format!("builder dark {dark}"));
        }
    });
}

#[test]
fn projector_and_article() {
    visit(|page| {
        page.set_size(WIDE.0, WIDE.1);
        page.eval("localStorage.setItem('projector', 'on')");
        for dark in [false, true] {
            still(page, dark);
            page.open_fresh("");
            page.wait("html[data-projector]");
            clean(page, &format!("projector dark {dark}"));
        }
        page.eval("localStorage.clear()");
        page.set_size(640, 400);
        page.open_fresh("?embed#v1/same-node-clusterip");
        clean(page, "embedded");
        // Nothing of this is lost on who looks at it with other eyes.
        page.emulate(&[("forced-colors", "active")]);
        page.devtools("Emulation.setEmulatedVisionDeficiency", &json!({"type": "deuteranopia"}));
        clean(page, "embedded, forced colours");
    });
}
