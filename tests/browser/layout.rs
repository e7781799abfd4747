//! Where things are: everything in its window, nothing over something else, at every size; the tables fold.

use crate::harness::{Page, visit};
use serde_json::Value;

/// Elements that lie over each other though they are beside each other in the page, and what reaches out of the window.
const WRONG: &str = "
  const wrong = [];
  const seen = css => [...document.querySelectorAll(css)].filter(e => e.checkVisibility());
  const box = e => e.getBoundingClientRect();
  if (document.documentElement.scrollWidth > innerWidth + 1) wrong.push('the page is wider than the window');
  for (const e of seen('.bar, .panes > *, .mid > *, .bar > *:not(.switches, .workbench-row), .tl > *')) {
    const r = box(e);
    if (r.width && (r.left < -1 || r.right > innerWidth + 1)) wrong.push(`${e.className} reaches out`);
  }
  for (const parent of ['.bar', '.panes', '.mid', '.tl']) {
    const kids = seen(`${parent} > *`).filter(e => !['sticky', 'absolute', 'fixed'].includes(getComputedStyle(e).position));
    kids.forEach((a, i) => kids.slice(i + 1).forEach(b => {
      const [p, q] = [box(a), box(b)];
      const over = Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1
        && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 1;
      if (over) wrong.push(`${a.className} over ${b.className}`);
    }));
  }
  return wrong;";

fn wrong(page: &Page) -> Vec<String> {
    let list = page.eval(WRONG);
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn nothing_lies_over_something_else() {
    visit(|page| {
        for lab in ["same-node-clusterip", "tftp-ipvs", "hooks-and-chains"] {
            page.open_fresh(&format!("#v1/{lab}"));
            for (width, height) in
                [(1920, 1080), (1440, 900), (1280, 800), (1024, 768), (768, 1024), (390, 844), (320, 640)]
            {
                page.set_size(width, height);
                page.wait_until(&format!("{lab} in order at {width}x{height}: {:?}", wrong(page)), || {
                    wrong(page).is_empty()
                });
            }
        }
    });
}

#[test]
fn all_of_a_laptop_s_window_is_used_and_nothing_is_under_the_timeline() {
    visit(|page| {
        for (width, height) in [(1280, 800), (1440, 900), (1920, 1080)] {
            page.set_size(width, height);
            page.open_fresh("#v1/same-node-clusterip");
            page.wait_until("the timeline under the picture", || {
                page.eval(
                    "const box = css => document.querySelector(css).getBoundingClientRect();
                     return document.documentElement.scrollHeight <= innerHeight + 1
                       && box('.flow').bottom <= box('.foot').top && box('.lesson').bottom <= box('.foot').top",
                ) == true
            });
        }
    });
}

/// The middle of an element is what the pointer meets there.
fn is_on_top(page: &Page, css: &str) -> bool {
    page.eval(&format!(
        "const e = document.querySelector('{css}'), r = e.getBoundingClientRect();
         const top = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
         return !!top && (e === top || e.contains(top))"
    )) == true
}

#[test]
fn what_lies_under_an_open_drawer_is_in_sight_above_the_timeline() {
    visit(|page| {
        for (width, height) in [(1280, 800), (1440, 1000)] {
            page.set_size(width, height);
            page.open_fresh("#v1/trainer");
            page.click("#open-builder");
            page.click("#builder-start");
            page.wait("#builder-check");
            page.wait_until("the button Run", || is_on_top(page, "#command-run"));
            page.click("#drawer-switches");
            page.wait("[data-drawer=switches]");
            page.wait_until("the button Run", || is_on_top(page, "#command-run"));
            page.wait_until("a page as high as the window", || {
                page.eval("return document.documentElement.scrollHeight <= innerHeight") == true
            });
            assert_eq!(wrong(page), Vec::<String>::new());
        }
    });
}

#[test]
fn what_is_wrong_with_rules_is_told_beside_them() {
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/etp-local");
        page.click("#drawer-cluster");
        page.wait("#rules-text");
        page.eval("document.getElementById('rules-text').closest('details').open = true");
        page.enter("#rules-text", "*filter\n-A INPUT -p tpc -j DROP\nCOMMIT\n");
        page.click("#rules-apply");
        page.wait_text(".drawer > .wrong", "unknown protocol \"tpc\"");
        page.wait_until("what is wrong", || is_on_top(page, ".drawer > .wrong"));
        page.wait_until("the field", || is_on_top(page, "#rules-text"));
        page.wait_until("its button", || is_on_top(page, "#rules-apply"));
    });
}

#[test]
fn what_a_command_prints_has_room_while_somebody_is_at_the_line() {
    let lines = "return document.querySelector('.term').clientHeight / 17";
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/etp-local");
        page.wait("#command-line");
        page.enter("#command-line", "kubectl get service web -o yaml");
        page.eval("document.getElementById('command-line').focus()");
        page.press("Enter");
        page.wait_text(".term", "loadBalancer");
        page.wait(".callout");
        page.wait_until("ten lines", || page.eval(lines).as_f64() >= Some(10.0));
        assert!(is_on_top(page, "#command-line") && is_on_top(page, "#command-run"));
        page.eval("document.getElementById('lab').focus()");
        page.wait_until("what has gone wrong", || is_on_top(page, ".callout"));
    });
}

#[test]
fn on_a_phone_the_packet_is_in_sight_and_each_pane_begins_at_its_top() {
    // The same air as the page keeps.
    let in_sight = "const box = css => document.querySelector(css).getBoundingClientRect();
         const p = box('.packets .envelope:not(.little) .paper');
         return p.top >= box('.panes').top && p.bottom <= box('.tl').top";
    visit(|page| {
        page.set_size(320, 640);
        for lab in ["same-node-clusterip", "tftp-ipvs"] {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait_until(&format!("{lab}: the packet at the start"), || page.eval(in_sight) == true);
            for _ in 0..6 {
                page.press("Shift+ArrowRight");
                page.wait_until(&format!("{lab}: the packet"), || page.eval(in_sight) == true);
            }
        }
        let top = "return document.querySelector('.panes').scrollTop";
        let pane = |name: &str| {
            page.eval(&format!(
                "[...document.querySelectorAll('nav.bottom button')].find(b => b.textContent === '{name}').click()"
            ));
        };
        pane("Journey");
        page.wait_until("the journey at its step", || page.eval(top).as_f64() > Some(0.0));
        pane("Lesson");
        page.wait_until("the lesson's top", || page.eval(top) == 0);
        page.eval("document.querySelector('.panes').scrollTop = 200");
        pane("Tables");
        page.wait_until("the tables' top", || page.eval(top) == 0);
    });
}

#[test]
fn on_a_phone_the_timeline_lies_over_no_part_of_the_map() {
    let free = "const box = css => document.querySelector(css).getBoundingClientRect();
         return box('.world .picture').bottom <= box('.tl').top && box('.stage').bottom <= box('.tl').top";
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        page.set_size(390, 844);
        for lab in ["invalid-rst", "snat-port-race", "etp-local"] {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait_until(&format!("all of {lab}'s map"), || page.eval(free) == true);
        }
    });
}

#[test]
fn why_a_packet_is_lost_and_what_would_help_can_be_read_at_once() {
    // No word of the answer is broken, and the first change is in sight with its button.
    let broken = "const line = e => parseFloat(getComputedStyle(e).lineHeight) || 1.5 * parseFloat(getComputedStyle(e).fontSize);
         return [...document.querySelectorAll('.looked thead th, .looked .was')]
           .filter(e => !/\\s/.test(e.textContent) && e.getBoundingClientRect().height > 1.6 * line(e)).map(e => e.textContent)";
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        for (width, height) in [(1280, 800), (768, 1024)] {
            page.set_size(width, height);
            page.open_fresh("#v1/localhost-nodeport");
            page.wait("#scrubber");
            let lost = "return [...document.querySelectorAll('.journey button')].find(b => b.textContent.includes('ends here'))?.click()";
            page.wait_until("the packet's end", || {
                page.eval(lost);
                page.count(".looked tbody tr") > 0
            });
            assert_eq!(page.eval(broken), serde_json::json!([]), "{width} pixels wide");
            page.wait_until("the change that helps", || is_on_top(page, ".outcome .apply"));
            assert!(is_on_top(page, "#command-line"), "the line to type in, {width} pixels wide");
        }
    });
}

#[test]
fn the_map_s_addresses_can_be_read_on_a_laptop() {
    // The small letters are ten pixels high where the map is drawn at its own size.
    let scale = "return Number(document.querySelector('.world').style.transform.match(/scale\\((.*)\\)/)[1])";
    visit(|page| {
        for (width, height, lab) in [
            (1440, 900, "dns-race"),
            (1440, 900, "etp-local"),
            (1920, 950, "etp-local"),
            (1280, 800, "etp-local"),
            (1280, 800, "same-node-clusterip"),
            (768, 1024, "etp-local"),
            (768, 1024, "tftp-ipvs"),
            (1024, 768, "same-node-clusterip"),
        ] {
            page.set_size(width, height);
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait_until(&format!("{lab} at {width}x{height}"), || page.eval(scale).as_f64() > Some(0.7));
        }
    });
}

#[test]
fn after_a_failure_there_is_room_for_the_lesson_and_for_two_changes() {
    let lines = "const p = document.querySelector('.lesson > p').getBoundingClientRect();
         return (document.querySelector('.lesson').getBoundingClientRect().bottom - p.top) / 20";
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        page.set_size(1280, 800);
        for lab in ["same-node-clusterip", "rp-filter", "tftp-ipvs"] {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait("#scrubber");
            page.press("End");
            page.wait(".callout");
            page.wait(".outcome .cure:nth-of-type(2) .apply");
            page.wait_until("the second change", || is_on_top(page, ".outcome .cure:nth-of-type(2) .apply"));
            assert!(page.eval(lines).as_f64() >= Some(4.0), "{lab}: {} lines", page.eval(lines));
            assert_eq!(wrong(page), Vec::<String>::new());
        }
    });
}

#[test]
fn a_tablet_has_all_in_sight_upright_and_on_its_side() {
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        for (width, height) in [(768, 1024), (1024, 768)] {
            page.set_size(width, height);
            for lab in ["same-node-clusterip", "tftp-ipvs", "mtu-black-hole"] {
                page.open_fresh(&format!("#v1/{lab}"));
                page.wait("#scrubber");
                page.press("End");
                page.wait(".outcome .apply");
                page.wait_until(&format!("{lab}: a page as high as the window, {width} pixels wide"), || {
                    page.eval("return document.documentElement.scrollHeight <= innerHeight") == true
                });
                page.wait_until("the change that helps", || is_on_top(page, ".outcome .apply"));
                assert!(is_on_top(page, "#command-line"), "{lab}: the line to type in, {width} pixels wide");
                assert_eq!(wrong(page), Vec::<String>::new());
            }
        }
    });
}

/// The page moves, so that each pane has most of the window between nothing and the timeline.
#[test]
fn a_small_phone_on_its_side_has_room_for_each_pane() {
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        page.set_size(667, 320);
        page.open_fresh("#v1/ipvs-rollout");
        page.wait("#scrubber");
        let seen = "scrollTo(0, document.querySelector('.panes').getBoundingClientRect().top + scrollY);
            return document.querySelector('.tl').getBoundingClientRect().top";
        for tab in 1..=4 {
            page.click(&format!("nav.bottom button:nth-child({tab})"));
            page.wait_until(&format!("150 pixels for the pane {tab}"), || {
                page.eval(seen).as_f64().is_some_and(|height| height > 150.0)
            });
        }
    });
}

/// A frame of an article is as low as a phone on its side, and has the packets' lanes all the same.
#[test]
fn a_low_frame_in_an_article_keeps_its_lanes() {
    visit(|page| {
        page.set_size(640, 400);
        page.open_fresh("?embed#v1/same-node-clusterip/44");
        page.wait_until("the lanes", || {
            page.eval("return document.querySelector('.tl .lanes').getBoundingClientRect().height > 20")
                == true
        });
        assert_eq!(page.eval("return document.documentElement.scrollHeight <= innerHeight"), true);
    });
}

#[test]
fn on_a_phone_what_has_come_of_it_follows_the_map() {
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        page.set_size(390, 844);
        page.open_fresh("#v1/etp-local");
        page.wait(".flow .strip");
        page.wait_until("map, outcome, packet flow", || {
            page.eval(
                "const box = css => document.querySelector(css).getBoundingClientRect();
                 const [map, outcome, flow] = ['.mapcard', '.outcome', '.flow'].map(box);
                 return map.bottom <= outcome.top && outcome.bottom <= flow.top && flow.height > 100",
            ) == true
        });
        page.eval("document.querySelector('.panes').scrollTop = 9999");
        page.wait_until("the timeline at the bottom", || {
            page.eval(
                "const box = css => document.querySelector(css).getBoundingClientRect();
                 return Math.abs(box('.tl').bottom - box('.panes').bottom) < 2",
            ) == true
        });
    });
}

#[test]
fn what_only_a_screen_reader_hears_makes_the_page_no_longer() {
    visit(|page| {
        page.eval("localStorage.setItem('hints', '7')");
        page.set_size(1280, 800);
        for lab in ["etp-local", "hooks-and-chains"] {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait("#scrubber");
            page.press("End");
            page.wait(".callout");
            page.wait_until("a page as high as the window", || {
                page.eval("return document.documentElement.scrollHeight <= innerHeight") == true
            });
        }
    });
}

#[test]
fn a_lan_is_drawn_once_where_its_clients_can_stand_over_it() {
    visit(|page| {
        page.set_size(1280, 800);
        for lab in ["snat-port-race", "rp-filter", "hooks-and-chains"] {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait(".picture .lan");
            page.wait_until(&format!("one bar in {lab}"), || page.count(".picture .lan") == 1);
        }
    });
}

#[test]
fn the_packet_flow_can_be_read_in_a_narrow_column() {
    let scale = "const s = document.querySelector('.strip'), [, , w, h] = s.getAttribute('viewBox').split(' ').map(Number);
         const b = s.getBoundingClientRect(); return Math.min(b.width / w, b.height / h)";
    visit(|page| {
        page.set_size(834, 1194);
        page.open_fresh("#v1/same-node-clusterip");
        page.wait_until("letters that can be read", || page.eval(scale).as_f64() > Some(0.8));
    });
}

#[test]
fn no_name_in_the_timeline_is_half_seen() {
    let half = "return [...document.querySelectorAll('.bars .bar-of')].filter(b => {
           const range = document.createRange(); range.selectNodeContents(b);
           const [r, box] = [range.getBoundingClientRect(), b.getBoundingClientRect()];
           return r.top < box.bottom - 1 && r.right > box.right + 1;
         }).map(b => b.textContent)";
    visit(|page| {
        for (width, height) in [(1280, 800), (390, 844)] {
            page.set_size(width, height);
            page.open_fresh("#v1/dns-race");
            page.wait(".bars .bar-of");
            assert_eq!(page.eval(half), serde_json::json!([]), "{width} pixels wide");
        }
    });
}

#[test]
fn a_lab_begins_with_a_packet_on_the_map() {
    visit(|page| {
        for lab in ["invalid-rst", "ipvs-rollout", "localhost-nodeport", "stale-udp"] {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait(".packets .envelope:not(.little)");
        }
    });
}

#[test]
fn an_unfolded_table_has_room_for_rules_in_a_low_window() {
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/same-node-clusterip");
        page.click("#tab-Rules");
        let rows = "const list = document.querySelector('.tables .vlist').getBoundingClientRect();
             return [...document.querySelectorAll('.tables .vrow')].filter(r => {
               const b = r.getBoundingClientRect(); return b.top >= list.top && b.bottom <= list.bottom && b.bottom <= innerHeight;
             }).length";
        page.wait("#fold-tables[aria-expanded=true]");
        page.wait_until("eight lines", || page.eval(rows).as_f64() >= Some(8.0));
        assert_eq!(wrong(page), Vec::<String>::new());
    });
}

#[test]
fn tables_fold_where_room_is_dear_and_open_when_asked_for() {
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/same-node-clusterip");
        page.wait("#fold-tables[aria-expanded=false]");
        assert_eq!(page.count(".tables .caplist"), 0);
        // Another table, or the same.
        page.click("#tab-Conntrack");
        page.wait("#fold-tables[aria-expanded=true]");
        page.wait(".tables .vlist, .tables .none");
        page.click("#fold-tables");
        page.wait("#fold-tables[aria-expanded=false]");
        page.click("#tab-Conntrack");
        page.wait("#fold-tables[aria-expanded=true]");
        page.click("#fold-tables");
        page.wait("#fold-tables[aria-expanded=false]");
        // The filter of the capture by its key.
        page.eval("document.getElementById('lab').focus()");
        page.press("/");
        page.wait_until("the filter", || page.eval("return document.activeElement.id") == "display-filter");
        page.set_size(1920, 1080);
        page.open_fresh("#v1/same-node-clusterip");
        page.wait("#fold-tables[aria-expanded=true]");
    });
}

#[test]
fn what_a_table_offers_lies_inside_its_card() {
    let outside = "return [...document.querySelectorAll('.tools > *')]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth - 8)
        .map(e => e.textContent)";
    visit(|page| {
        for (width, height) in [(768, 1024), (390, 844)] {
            page.set_size(width, height);
            page.open_fresh("#v1/tftp-ipvs");
            if width < 720 {
                page.click("nav.bottom button:last-child");
            }
            page.click("#tab-Rules");
            page.wait("#held-against");
            assert_eq!(page.eval(outside), serde_json::json!([]), "{width} pixels wide");
        }
    });
}

#[test]
fn in_four_lanes_no_name_touches_a_tick() {
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/invalid-rst");
        page.press("End");
        page.wait(".bars[data-rows='4'] .bar-of");
        // Letters have no more than nine tenths of their line over its base.
        let touching = page.eval(
            "const lanes = document.querySelector('.bars').getBoundingClientRect();
             const lane = lanes.height / 4;
             const tick = [...document.querySelectorAll('.ticks rect:not(.program)')];
             const high = Math.max(...tick.map(t => t.getBoundingClientRect().height));
             return [...document.querySelectorAll('.bars .bar-of')].filter(b => {
               const style = getComputedStyle(b);
               return 1 + parseFloat(style.lineHeight) * 0.9 > lane - high;
             }).length",
        );
        assert_eq!(touching, 0);
    });
}
