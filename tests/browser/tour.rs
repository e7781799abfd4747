//! The first lab as a visitor walks through it: with the mouse, with the keyboard alone, on a small screen.

use crate::harness::{DARK, Page, REDUCED_MOTION, visit};
use crate::visitor::{choose, fits, is_shown, position};

#[track_caller]
fn wait_position(page: &Page, wanted: usize) {
    page.wait_until(&format!("step {wanted}"), || position(page).0 == wanted);
}

#[test]
fn without_br_netfilter_it_fails_and_with_it_it_works() {
    visit(|page| {
        page.set_size(1440, 1000);
        // The SYN stands inside nat PREROUTING; nothing moves.
        page.wait_text(".st.sel", "KUBE-SERVICES");
        page.wait_text("#flow-title", "worker-2");
        page.wait_text(".term", "tmp2$ curl");
        let start = position(page).0;

        choose(page, ".speed select", "16");
        page.click("#play");
        page.wait_until("the packet to move", || position(page).0 > start + 3);
        // The rest would take a minute.
        page.press("End");
        page.press("Shift+ArrowLeft");
        let near = position(page);
        assert!(near.0 < near.1, "{near:?}");
        if page.text("#play") != "Pause" {
            page.click("#play");
        }
        page.wait_text(".callout", "tmp2 sends a RST to 10.200.2.65:80");
        page.screenshot("samenode-off");
        page.wait_text(".term", "Connection timed out");
        page.wait_text("#play", "Play");
        let (at, of) = position(page);
        assert_eq!(at, of, "play stops at the end");
        page.wait_text(".caplist", "10.200.2.63.58096 > 10.200.2.65.80: Flags [R]");
        page.wait_text(".ct.pinned", "SYN_SENT src=10.200.2.63 dst=10.32.0.102");
        page.wait_text(".try", "worker-2# modprobe br_netfilter");

        page.click(".apply");
        page.wait("[role=switch][aria-checked=true]");
        page.wait_gone(".callout");
        page.wait(".goal .done");
        page.press("End");
        page.wait_text(".term", "curl");
        assert_eq!(page.count(".term .bad"), 0);
        page.wait(".term .good");
        page.screenshot("samenode-on");

        // The flood is named as what it is.
        page.eval(
            "[...document.querySelectorAll('.lesson a')].find(a => a.textContent === 'floods').click()",
        );
        page.wait_text(".st.sel", "copies to veth-coredns-2 and veth-nginx2");
        page.wait_text(".st.sel", "each copy walks FORWARD");
        page.emulate(&[DARK]);
        page.screenshot("samenode-on-dark");
    });
}

#[test]
fn the_keyboard_is_enough() {
    visit(|page| {
        let start = position(page).0;
        page.press("ArrowRight");
        wait_position(page, start + 1);
        page.press("ArrowLeft");
        wait_position(page, start);
        page.press("Home");
        wait_position(page, 1);
        page.press("]");
        page.wait_text(".chip[aria-pressed=true]", "SYN-ACK");
        page.press("[");
        page.press("Shift+ArrowRight");
        page.press("j");
        page.press("Enter");
        page.wait_gone(".why");
        page.press("Enter");
        page.press("?");
        page.wait("dialog[open]");
        page.press("Escape");
        page.wait_gone("dialog[open]");
        page.press("Space");
        page.wait_text("#play", "Pause");
        page.press("Space");
        page.wait_text("#play", "Play");
        // The tabs by their arrows.
        page.eval("document.getElementById('tab-Capture').focus()");
        page.press("ArrowRight");
        page.wait("#tab-Packet[aria-selected=true]");
        // The switch by Space; the focus stays on it.
        page.eval("document.querySelector('[role=switch]').focus()");
        page.press("Space");
        page.wait("[role=switch][aria-checked=true]");
        page.wait_until("the focus on the switch", || {
            page.eval("return document.activeElement.getAttribute('role') === 'switch'") == true
        });
        page.press("End");
        let (at, of) = position(page);
        assert_eq!(at, of);
    });
}

#[test]
fn a_link_leads_to_its_moment() {
    visit(|page| {
        page.open_fresh("#v1/same-node-clusterip/44/worker-2?set=br_netfilter=on");
        page.wait("[role=switch][aria-checked=true]");
        page.wait_text("#flow-title", "worker-2");
        let there = position(page);
        page.press("ArrowRight");
        page.wait_until("the address to follow", || !page.url().contains("/44/"));
        assert!(page.url().contains("#v1/same-node-clusterip/"), "{}", page.url());
        page.open("#v1/same-node-clusterip/44/worker-2?set=br_netfilter=on");
        page.wait_until("the link to be followed", || position(page) == there);
        // What makes no sense is as good as nothing, or is said.
        page.open("#v1/no-such-lab/99999999?set=nothing=1");
        page.wait_text("[role=alert]", "no-such-lab");
        // What is written into the address a moment later would take the next one's place.
        page.wait_until("the address to follow", || !page.url().contains("no-such-lab"));
        page.open_fresh("#%%%");
        page.wait_text(".st.sel", "KUBE-SERVICES");
    });
}

#[test]
fn a_small_screen_shows_one_pane_at_a_time() {
    visit(|page| {
        page.set_size(390, 844);
        page.wait_text("nav.bottom [aria-current]", "Map");
        for (pane, shows) in
            [("Lesson", ".lesson"), ("Map", ".picture"), ("Journey", ".st.sel"), ("Tables", ".caplist")]
        {
            page.eval(&format!(
                "[...document.querySelectorAll('nav.bottom button')].find(b => b.textContent === '{pane}').click()"
            ));
            page.wait_until(&format!("{pane} to be shown"), || is_shown(page, shows));
            fits(page);
        }
        page.screenshot("samenode-narrow");
        page.set_size(320, 640);
        fits(page);
    });
}

#[test]
fn who_wants_no_motion_gets_none() {
    visit(|page| {
        page.emulate(&[REDUCED_MOTION]);
        let start = position(page).0;
        page.press("Space");
        page.wait_until("a step", || position(page).0 > start + 1);
        page.press("Space");
        let tween =
            page.eval("return getComputedStyle(document.querySelector('.envelope')).transitionDuration");
        assert!(tween == "0s", "{tween}");
    });
}
