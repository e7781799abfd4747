//! The picture at its three levels: cluster, node, hook.

use crate::harness::{Page, REDUCED_MOTION, visit};

fn level(page: &Page) -> String {
    page.attribute("#map", "data-level").unwrap_or_default()
}

#[track_caller]
fn wait_level(page: &Page, wanted: &str) {
    page.wait_until(&format!("the level {wanted}"), || level(page) == wanted);
}

/// The class of what has the focus.
fn focused(page: &Page, css: &str) -> bool {
    page.eval(&format!("return document.activeElement.matches('{css}')")) == true
}

#[test]
fn three_levels_by_the_keyboard_alone() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait_text(".st.sel", "KUBE-SERVICES");
        assert_eq!(level(page), "cluster");
        // The tree has the focus, Enter goes into the box that is chosen there.
        page.eval("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()");
        while !page
            .eval("return document.activeElement.textContent")
            .as_str()
            .unwrap()
            .starts_with("worker-2")
        {
            page.press("ArrowDown");
        }
        page.wait("svg .ring.focus");
        page.press("Enter");
        wait_level(page, "node");
        page.wait_text(".crumbs", "worker-2");
        page.wait_until("the focus in the tree of hooks", || {
            focused(page, "[role=tree][aria-label=Hooks] [role=treeitem]")
        });
        let words =
            page.eval("return [...document.querySelectorAll('.mid .sr')].map(e => e.textContent).join(' ')");
        assert!(words.as_str().unwrap().contains("PREROUTING"), "the flow has words");
        page.wait("svg .hookcard .ring.focus");
        page.press("Enter");
        wait_level(page, "hook");
        page.wait_until("the focus in the hook", || focused(page, "#hookview"));
        page.wait_text(".hookview", "priority -100");
        page.wait_text(".hookview .wline.sel", "KUBE-SERVICES");
        page.press("Escape");
        wait_level(page, "node");
        page.press("Escape");
        wait_level(page, "cluster");
        // From anywhere by letters.
        page.press("h");
        wait_level(page, "hook");
        page.press("c");
        wait_level(page, "cluster");
    });
}

/// Goes to a step of those that the timeline shows.
fn go(page: &Page, at: u64) {
    page.eval(&format!(
        "const s = document.getElementById('scrubber'); s.value = {at}; s.dispatchEvent(new Event('input', {{bubbles: true}}))"
    ));
}

#[test]
fn nothing_covers_a_name_on_the_map() {
    // Of the packet that is looked at, and of those that were lost.
    let covered = "const hit = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
        const box = e => e.getBoundingClientRect();
        const over = [...document.querySelectorAll('.envelope:not(.little) .paper, .wreck .reason')].map(box);
        return [...document.querySelectorAll('.picture text.name')].filter(n => over.some(o => hit(o, box(n)))).map(n => n.textContent)";
    visit(|page| {
        page.emulate(&[REDUCED_MOTION]);
        for lab in ["mtu-black-hole", "tftp-ipvs", "same-node-clusterip", "stale-udp"] {
            for (width, height) in [(1280, 800), (390, 844)] {
                page.set_size(width, height);
                page.open_fresh(&format!("#v1/{lab}"));
                page.wait(".stage .packets");
                let end: u64 = page.attribute("#scrubber", "max").unwrap().parse().unwrap();
                for at in (0..end).step_by(7) {
                    go(page, at);
                    assert_eq!(
                        page.eval(covered),
                        serde_json::json!([]),
                        "{lab} at {at}, {width} pixels wide"
                    );
                }
            }
        }
    });
}

#[test]
fn an_envelope_does_not_hide_why_another_packet_was_lost() {
    let hidden = "const box = e => e.getBoundingClientRect();
        const paper = document.querySelector('.envelope:not(.little) .paper');
        const hit = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
        return [...document.querySelectorAll('.wreck .reason')].filter(r => paper && hit(box(paper), box(r))).map(r => r.textContent)";
    visit(|page| {
        page.emulate(&[REDUCED_MOTION]);
        page.set_size(1280, 800);
        page.open_fresh("#v1/dns-race");
        page.wait(".stage .packets");
        let end: u64 = page.attribute("#scrubber", "max").unwrap().parse().unwrap();
        let mut seen = 0;
        for at in (end / 4..end / 2).step_by(5) {
            go(page, at);
            seen += page.count(".wreck .reason");
            assert_eq!(page.eval(hidden), serde_json::json!([]), "at {at}");
        }
        assert!(seen > 0, "a packet was lost");
    });
}

#[test]
fn a_rule_of_a_hook_is_a_line_and_nothing_reaches_into_the_next_pane() {
    let wrong = "const box = e => e.getBoundingClientRect(), wrong = [];
        for (const line of document.querySelectorAll('.hookview .asked:has(.text)')) {
          const [mark, n, text] = ['.mark', '.n', '.text'].map(css => box(line.querySelector(css)));
          if (!(mark.right <= n.left && n.right <= text.left && n.top < text.bottom && text.top < n.bottom)) wrong.push(line.textContent);
        }
        const card = box(document.getElementById('map'));
        for (const e of document.querySelectorAll('#map .head > *, .hookview .stop')) {
          if (e.checkVisibility() && box(e).right > card.right) wrong.push(`${e.className} reaches out`);
        }
        return wrong";
    visit(|page| {
        page.set_size(1280, 800);
        for link in ["same-node-clusterip/17?at=PREROUTING", "same-node-clusterip?at=hook"] {
            page.open_fresh(&format!("#v1/{link}"));
            wait_level(page, "hook");
            page.wait(".hookview .stop");
            assert_eq!(page.eval(wrong), serde_json::json!([]), "{link}");
        }
        assert!(page.count(".hookview .asked .text") > 0, "rules");
    });
}

#[test]
fn the_hook_shows_each_rule_that_was_tried_and_what_the_packet_had() {
    visit(|page| {
        page.set_size(1440, 900);
        page.click("#level-hook");
        wait_level(page, "hook");
        // The switch of levels has arrows of its own.
        page.eval("document.getElementById('lab').focus()");
        // Forward to the rule that matches behind others that did not.
        page.press("ArrowRight");
        page.wait_text(".wline.sel .tok.y", "-d 10.32.0.102/32");
        page.wait_text(".wline.sel .tok.y .seen", "10.32.0.102");
        // Those before it are one line, which opens.
        let fold = "[...document.querySelectorAll('.fold')].find(b => /\\d+ rules did not match/.test(b.textContent))";
        let before = page.count(".wline.miss");
        page.eval(&format!("{fold}.click()"));
        page.wait_until("the rules that failed", || page.count(".wline.miss") > before);
        // One of them shows the part that failed.
        page.eval("document.querySelector('.wline.miss').click()");
        page.wait(".wline.miss.sel .tok.n");
        // Rules that were not reached are there, folded.
        page.wait_text(".hookview", "not reached");
        page.wait_text(".hookview", "not entered");
        page.screenshot("picture-hook");
    });
}

#[test]
fn a_click_goes_in_and_the_packet_stays_followed() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait_text(".st.sel", "KUBE-SERVICES");
        let click = |css: &str| {
            page.eval(&format!(
                "const e = document.querySelector('{css}'); e.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))"
            ));
        };
        // The box with the packet.
        page.eval(
            "[...document.querySelectorAll('.picture .hit')].find(g => g.querySelector('title')?.textContent === 'worker-2')
             .dispatchEvent(new MouseEvent('click', {bubbles: true}))",
        );
        wait_level(page, "node");
        page.wait("svg .hookcard.met");
        page.screenshot("picture-node");
        click(".hookcard.met");
        wait_level(page, "hook");
        page.wait_text(".crumbs", "PREROUTING");
        // On it goes, to the next hook.
        for _ in 0..200 {
            if page.text(".crumbs").contains("FORWARD") {
                break;
            }
            page.press("ArrowRight");
        }
        page.wait_text(".crumbs", "FORWARD");
    });
}

#[test]
fn a_drop_stays_where_it_fell() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait_text(".st.sel", "KUBE-SERVICES");
        assert_eq!(page.count("svg .wreck"), 0);
        page.press("End");
        page.wait("svg .wreck .hull");
        page.wait("svg .wreck .reason");
        let there = page.eval("return document.querySelector('.wreck .hull').getAttribute('d')");
        page.press("ArrowLeft");
        page.wait("svg .wreck .hull");
        assert_eq!(page.eval("return document.querySelector('.wreck .hull').getAttribute('d')"), there);
        page.press("Home");
        page.wait_gone("svg .wreck");
    });
}

#[test]
fn the_map_is_moved_and_fits_again() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait_text(".st.sel", "KUBE-SERVICES");
        let transform = || page.eval("return document.querySelector('.world').style.transform");
        let whole = transform();
        page.eval("document.getElementById('stage').focus()");
        page.press("ArrowLeft");
        page.wait_until("the map to move", || transform() != whole);
        page.press("+");
        page.press("0");
        page.wait_until("the whole map again", || transform() == whole);
        page.eval(
            "document.getElementById('stage').dispatchEvent(new WheelEvent('wheel', {deltaY: -200, cancelable: true, clientX: 700, clientY: 250}))",
        );
        page.wait_until("the map to be nearer", || transform() != whole);
        page.click("#fit");
        page.wait_until("the whole map again", || transform() == whole);
    });
}

#[test]
fn packets_move_by_animations_unless_motion_is_not_wanted() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait_text(".st.sel", "KUBE-SERVICES");
        // Counts what the browser is asked to animate.
        page.eval(
            "window.animated = 0; const old = Element.prototype.animate;
             Element.prototype.animate = function (...a) { window.animated++; return old.apply(this, a) }",
        );
        let moves = || page.eval("return window.animated").as_u64().unwrap();
        let walk = || (0..60).for_each(|_| page.press("ArrowRight"));
        walk();
        page.wait_until("a movement", || moves() > 0);
        page.emulate(&[REDUCED_MOTION]);
        let before = moves();
        walk();
        assert_eq!(moves(), before);
        let halo = page.eval("return getComputedStyle(document.querySelector('.envelope .halo')).display");
        assert_eq!(halo, "inline", "a ring marks the packet instead");
    });
}

#[test]
fn the_way_before_a_switch_is_a_ghost_until_dismissed() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait_text(".st.sel", "KUBE-SERVICES");
        assert_eq!(page.count("svg .way.ghost"), 0);
        page.click("[role=switch]");
        page.wait("svg .way.ghost");
        page.click("#ghost");
        page.wait_gone("svg .way.ghost");
    });
}

#[test]
fn the_large_scene_is_drawn_and_moves() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open("?bench=scene");
        page.wait_started();
        page.wait_until("two hundred packets", || page.count(".packets > .envelope") == 200);
        assert_eq!(page.count(".pod"), 1000);
        assert_eq!(page.count(".node"), 50);
        let at = || {
            page.eval("return [...document.querySelectorAll('.packets > .envelope')].map(e => e.style.transform).join()")
        };
        let start = at();
        page.wait_until("packets to move", || at() != start);
    });
}

#[test]
fn nodes_far_out_of_sight_are_not_drawn() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("?bench=scene");
        page.wait("#stage .node");
        assert_eq!(page.count(".node.out"), 0);
        let wheel = |by: i32| {
            page.eval(&format!(
                "for (let i = 0; i < 8; i++) document.getElementById('stage').dispatchEvent(
                   new WheelEvent('wheel', {{deltaY: {by}, clientX: 40, clientY: 40, cancelable: true}}))"
            ))
        };
        wheel(-400);
        page.wait_until("nodes that are left out", || page.count(".node.out") > 20);
        assert!(page.count(".node:not(.out)") > 0, "some are in sight");
        wheel(400);
        page.wait_gone(".node.out");
    });
}

#[test]
fn a_box_without_a_bridge_shows_by_which_device_the_packet_came() {
    visit(|page| {
        for (width, height) in [(1280, 800), (390, 844)] {
            page.set_size(width, height);
            page.open_fresh("#v1/same-node-clusterip");
            page.wait(".strip");
            page.press("End");
            page.wait_text("#flow-title", "tmp2");
            page.wait_text(".strip", "no bridge");
            page.wait_text(".strip", "eth0");
            // The hooks and what is between them are joined, on a phone as well.
            assert!(page.count(".strip .wire") > 7, "{width} pixels wide");
            assert!(page.count(".strip .wire.lit") > 0, "{width} pixels wide");
        }
    });
}

#[test]
fn a_switch_is_shown_as_one() {
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/mtu-black-hole/60/lan");
        page.wait_text(".strip", "a switch");
        assert_eq!(page.count(".strip .lend, .strip .hookname"), 0, "it has no hooks");
        page.wait_text(".strip", "p-router");
        page.open_fresh("#v1/mtu-black-hole/60/lan?at=node");
        page.wait_text(".flowpic", "a switch");
        assert_eq!(page.count(".flowpic .lend, .flowpic .hookcard"), 0, "nor here");
    });
}

#[test]
fn packets_lost_for_one_reason_are_counted_and_cover_no_badge() {
    let covered = "const hit = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
        const box = e => e.getBoundingClientRect();
        const over = [...document.querySelectorAll('.wreck .reason')].map(box);
        return [...document.querySelectorAll('.picture .badge')].filter(n => over.some(o => hit(o, box(n)))).length";
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/mtu-black-hole");
        page.wait("#scrubber");
        page.press("End");
        page.wait_text(".overlay", "unreachable ×8");
        assert_eq!(page.count("svg .wreck"), 2, "one at the router, one at the node");
        assert!(page.count(".picture .badge") > 0);
        assert_eq!(page.eval(covered), 0);
    });
}

#[test]
fn why_a_packet_was_lost_is_told_inside_its_node() {
    let outside = "const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
         const nodes = [...document.querySelectorAll('.card-box')].map(e => e.getBoundingClientRect());
         return [...document.querySelectorAll('.wreck .reason')]
           .filter(e => !nodes.some(n => inside(e.getBoundingClientRect(), n))).map(e => e.textContent)";
    visit(|page| {
        page.set_size(1280, 800);
        page.open_fresh("#v1/dns-race");
        page.wait("#scrubber");
        page.eval("const s = document.getElementById('scrubber'); s.value = 140; s.dispatchEvent(new Event('input', {bubbles: true}))");
        page.wait(".wreck .reason");
        assert_eq!(page.eval(outside), serde_json::json!([]));
    });
}
