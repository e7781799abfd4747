//! Every control is reached by Tab alone, shows that it has the focus, and does what it is for by Enter, Space or an arrow.

use crate::harness::{Page, visit};
use serde_json::Value;
use std::collections::BTreeSet;

/// Numbers every control of a part of the page that can be seen and is not one of a group that arrow keys go through; listens to what keys do
/// to controls, and keeps the page from acting on it, so that it stays what it is while we walk.
const PREPARE: &str = r"
window.heard = [];
const number = e => e.closest?.('[data-walk]')?.dataset.walk;
for (const type of ['click', 'input', 'change', 'submit'])
  addEventListener(type, e => {
    heard.push(type + ' ' + number(e.target));
    e.stopImmediatePropagation();
    if (type === 'click' || type === 'submit') e.preventDefault();
  }, true);
const css = 'a[href], button, input, select, textarea, summary, [tabindex]';
const groups = new Set();
let count = 0;
for (const e of document.querySelectorAll(css)) {
  if (!e.closest(PART)) continue;
  if (e.disabled || e.tabIndex < 0 || !e.checkVisibility({visibilityProperty: true})) continue;
  if (e.closest('details:not([open])') && e.tagName !== 'SUMMARY') continue;
  if (e.type === 'radio') {
    // One of a group, the chosen one.
    if (!e.checked && document.querySelector(`input[name='${CSS.escape(e.name)}']:checked`)) continue;
    if (groups.has(e.name)) continue;
    groups.add(e.name);
  }
  e.dataset.walk = count++;
}
return count";

/// What has the focus: its number, what it is, and whether one sees that it has the focus.
const FOCUS: &str = r"
const e = document.activeElement;
if (!e || e === document.body) return {walk: null, what: 'nothing'};
const ring = n => n && [null, '::before'].some(part => {
  const s = getComputedStyle(n, part);
  return s.content !== 'none' && s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
});
const box = e.getBoundingClientRect();
return {
  walk: e.dataset.walk ?? null,
  what: e.outerHTML.slice(0, 160),
  kind: e.tagName + ' ' + (e.type ?? '') + ' ' + (e.getAttribute('role') ?? ''),
  ring: ring(e) || ring(e.nextElementSibling) || ring(e.querySelector('*')) || ring(e.parentElement),
  seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
}";

/// Goes through the page once; every control must be met.
#[track_caller]
fn walk(page: &Page, what: &str) {
    page.eval("document.activeElement?.blur()");
    assert!(walk_part(page, "body", what) > 10, "{what}: few controls");
}

/// The same from what has the focus through a part of the page; how many controls it has.
#[track_caller]
fn walk_part(page: &Page, part: &str, what: &str) -> u64 {
    let count = page.eval(&PREPARE.replace("PART", &format!("{part:?}"))).as_u64().unwrap();
    let mut met: BTreeSet<u64> = BTreeSet::new();
    let mut order = Vec::new();
    for _ in 0..count + 12 {
        if met.len() as u64 == count {
            break;
        }
        page.press("Tab");
        let focus = page.eval(FOCUS);
        let Some(walk) = focus["walk"].as_str().map(|n| n.parse::<u64>().unwrap()) else { continue };
        if !met.insert(walk) {
            // Round once.
            break;
        }
        order.push(walk);
        let label = &focus["what"];
        assert_eq!(focus["ring"], true, "{what}: one does not see that it has the focus: {label}");
        assert_eq!(focus["seen"], true, "{what}: it is out of sight: {label}");
        use_it(page, &focus, walk, what);
    }
    let missing: Vec<u64> = (0..count).filter(|n| !met.contains(n)).collect();
    if !missing.is_empty() {
        let list = missing.iter().map(|n| {
            page.eval(&format!(
                "return document.querySelector('[data-walk=\"{n}\"]')?.outerHTML.slice(0, 160)"
            ))
            .to_string()
        });
        panic!("{what}: Tab never comes to\n{}", list.collect::<Vec<_>>().join("\n"));
    }
    count
}

/// Presses what a control of this kind is used with.
#[track_caller]
fn use_it(page: &Page, focus: &Value, walk: u64, what: &str) {
    let kind = focus["kind"].as_str().unwrap();
    let (keys, expected): (&[&str], &str) = match kind.split(' ').collect::<Vec<_>>()[..] {
        ["A", ..] => (&["Enter"], "click"),
        ["BUTTON", ..] => (&["Enter", "Space"], "click"),
        ["SUMMARY", ..] => (&["Enter"], "click"),
        ["INPUT", "checkbox", ..] => (&["Space"], "click"),
        ["INPUT", "range", ..] => (&["ArrowRight", "ArrowLeft"], "input"),
        _ => return,
    };
    let heard = || -> Vec<String> { serde_json::from_value(page.eval("return heard.splice(0)")).unwrap() };
    heard();
    let value =
        || page.eval(&format!("return document.querySelector('[data-walk=\"{walk}\"]')?.value ?? ''"));
    for key in keys {
        let before = value();
        page.press(key);
        let heard = heard();
        // The page may move a slider itself.
        let moved = expected == "input" && value() != before;
        assert!(
            moved || heard.contains(&format!("{expected} {walk}")),
            "{what}: {key} does nothing here: {} (heard {heard:?})",
            focus["what"]
        );
    }
}

#[test]
fn every_control_of_the_first_lab() {
    visit(|page| {
        page.set_size(1440, 900);
        walk(page, "wide");
        page.set_size(390, 844);
        for pane in 1..=4 {
            page.open_fresh("#v1/same-node-clusterip");
            page.eval(&format!("document.querySelector('nav.bottom button:nth-child({pane})').click()"));
            walk(page, &format!("narrow, pane {pane}"));
        }
    });
}

#[test]
fn every_control_of_other_labs() {
    visit(|page| {
        page.set_size(1440, 900);
        for lab in ["ipvs-rollout", "hooks-and-chains"] {
            page.open_fresh(&format!("#v1/{lab}"));
            walk(page, lab);
        }
    });
}

/// A table with its tools; the tabs are gone through by arrows.
const TABLE: &str = ".tabrow :not([role=tab], [role=tablist]), [role=tabpanel]";

#[test]
fn every_control_of_every_table() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/ipvs-rollout");
        let mut controls = 0;
        let tabs = page.eval("return [...document.querySelectorAll('[role=tab]')].map(t => t.id)");
        for tab in tabs.as_array().unwrap() {
            let tab = tab.as_str().unwrap();
            page.open_fresh("#v1/ipvs-rollout");
            page.eval(&format!("document.getElementById('{tab}').click()"));
            page.wait(&format!("#{tab}[aria-selected=true]"));
            page.eval(&format!("document.getElementById('{tab}').focus()"));
            controls += walk_part(page, TABLE, tab);
        }
        assert!(controls > 20, "{controls} controls");
    });
}

#[test]
fn every_control_of_the_load_lab() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/conntrack-load?set=iteration=8,scale=100,seconds=4");
        page.click("#run");
        page.wait("#nine tr[data-iteration='8'] .ours");
        walk(page, "the load lab");
    });
}

#[test]
fn the_help_keeps_the_focus_and_gives_it_back() {
    visit(|page| {
        page.eval("document.getElementById('help-button').focus()");
        page.press("Enter");
        page.wait("dialog[open]");
        for _ in 0..6 {
            page.press("Tab");
            let inside = page.eval(
                "const e = document.activeElement; return e === document.body || !!e.closest('dialog')",
            );
            assert_eq!(inside, true, "the focus is behind the dialog");
        }
        page.press("Escape");
        page.wait_gone("dialog[open]");
        page.wait_until("the focus on the button", || {
            page.eval("return document.activeElement.id") == "help-button"
        });
    });
}

#[test]
fn after_a_click_on_a_position_the_arrow_keys_step() {
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/tftp-ipvs");
        let position = "#switch-kernel-4\\.19";
        page.click(position);
        page.wait_text("#switch-kernel-is", "4.19");
        let before = page.text("#position");
        page.press("ArrowRight");
        page.wait_until("the next step", || page.text("#position") != before);
        assert_eq!(page.count(&format!("{position}:checked")), 1);
    });
}
