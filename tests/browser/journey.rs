//! Journey and timeline: both ways, the missing un-NAT, filters, why and why not, steps of three sizes, a long run.

use crate::harness::visit;
use crate::visitor::{choose, position};

#[test]
fn a_missing_un_nat_is_marked_and_gone_when_it_works() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait_text(".badge.bad", "not un-NATed");
        page.wait_text(".nats .gap", "br_netfilter is not loaded");
        // It leads to the step that shows it.
        page.click(".nats .gap .undone .linklike");
        page.wait_text(".chip[aria-pressed=true]", "SYN-ACK");
        page.wait_text(".gapline", "not un-NATed");
        page.click("[role=switch]");
        page.wait("[role=switch][aria-checked=true]");
        page.wait_gone(".badge.bad");
        page.wait_text(".nats .undone", "DNAT undone: source 10.200.2.65:80 → 10.32.0.102:80");
    });
}

#[test]
fn a_box_opens_and_closes_and_the_other_form_lists_the_steps() {
    visit(|page| {
        page.set_size(1440, 900);
        page.wait(".box[aria-expanded=true]");
        page.click(".box[aria-expanded=true]");
        page.wait_gone(".box[aria-expanded=true]");
        page.click("#form-steps");
        page.wait_gone(".sidebox");
        page.wait(".st.sel");
        page.click("#form-both");
        page.wait(".sidebox");
        page.click("#widen");
        page.wait(".journey.wide");
    });
}

#[test]
fn a_station_of_the_way_is_clicked_with_the_mouse() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/localhost-nodeport");
        page.wait(".way.request .leg");
        let place = position(page);
        // What the pointer meets, not what a script reaches.
        page.click(".way.reply .leg");
        page.wait_until("another step", || position(page) != place);
    });
}

#[test]
fn filters_leave_out_steps_from_journey_and_timeline() {
    visit(|page| {
        page.set_size(1440, 900);
        let all = position(page).1;
        page.click("#filters-open");
        choose(page, "#filter-only", "changes");
        page.wait_until("fewer steps", || position(page).1 < all);
        page.wait_text("#filters-open", "Filter: ");
        choose(page, "#filter-hook", "PREROUTING");
        // That of the SYN, and of the SYN that is sent again.
        page.wait_until("DNAT alone", || position(page).1 == 2);
        page.click("#filter-clear");
        page.wait_until("all steps", || position(page).1 == all);
    });
}

#[test]
fn an_end_says_what_would_let_it_through_and_a_rule_why_not() {
    visit(|page| {
        page.set_size(1440, 900);
        page.click(".whynot summary");
        page.enter(".ask", "KUBE-NODEPORTS");
        page.wait_text(".asked", "KUBE-NODEPORTS");
        page.enter(".ask", "no such rule");
        page.wait_text(".whynot .none", "No such rule");
        // A field has an End of its own.
        page.eval("document.getElementById('lab').focus()");
        page.press("End");
        page.click(".callout");
        page.wait_text(".ended", "so that the answer comes from 10.32.0.102:80");
    });
}

#[test]
fn steps_go_by_event_by_hook_and_by_device() {
    visit(|page| {
        page.set_size(1440, 900);
        page.press("Home");
        page.eval("document.getElementById('scrubber').focus()");
        let here = || page.attribute("#scrubber", "aria-valuetext").unwrap_or_default();
        page.press("Shift+ArrowRight");
        page.wait_until("another device", || position(page).0 > 1);
        let device = position(page).0;
        page.press("Shift+ArrowLeft");
        page.wait_until("the start", || position(page).0 == 1);
        page.press("PageDown");
        page.wait_until("another hook", || position(page).0 > 1);
        page.press("PageUp");
        page.wait_until("the start", || position(page).0 == 1);
        assert!(here().starts_with("event 1 of "), "{}", here());
        choose(page, "#grain", "device");
        page.click("[aria-label='One step forward']");
        page.wait_until("a device at once", || position(page).0 == device);
    });
}

#[test]
fn a_long_run_shows_one_exchange_and_leads_to_the_others() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/dns-race");
        page.wait(".exbar.now");
        let bounds = || {
            let of = |name| page.attribute("#scrubber", name).unwrap().parse::<usize>().unwrap();
            (of("min"), of("max"))
        };
        let (from, to) = bounds();
        let all = position(page).1;
        assert!(to - from + 1 < all / 2, "{from}..{to} of {all}");
        page.eval("[...document.querySelectorAll('.exbar')].pop().click()");
        page.wait_until("another exchange", || bounds().0 > from);
        page.wait(".bar-of.now");
        page.click("#zoom");
        page.wait_until("the whole run", || bounds() == (0, all - 1));
    });
}

#[test]
fn a_swipe_is_a_step() {
    visit(|page| {
        page.set_size(390, 844);
        let start = position(page).0;
        let swipe = |from: i32, to: i32| {
            page.eval(&format!(
                "const target = document.querySelector('.lanes'); \
                 const touch = x => new Touch({{identifier: 1, target, clientX: x, clientY: 300}}); \
                 const at = (name, x, on) => target.dispatchEvent(new TouchEvent(name, \
                     {{bubbles: true, touches: on ? [touch(x)] : [], changedTouches: [touch(x)]}})); \
                 at('touchstart', {from}, true); at('touchend', {to}, false);"
            ));
        };
        swipe(200, 100);
        page.wait_until("one step forward", || position(page).0 == start + 1);
        swipe(100, 200);
        page.wait_until("one step back", || position(page).0 == start);
    });
}

#[test]
fn a_short_exchange_has_room_on_the_slider() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/dns-race/0");
        page.click("#switch-resolver-use-vc");
        page.wait("#switch-resolver-use-vc:checked");
        page.press("Home");
        page.wait_until("the first step", || position(page).0 == 1);
        let number = |name: &str| -> usize { page.attribute("#scrubber", name).unwrap().parse().unwrap() };
        let value = page.eval("return Number(document.getElementById('scrubber').value)");
        assert_eq!((number("min"), value), (0, serde_json::json!(0)));
        assert!(number("max") > 20, "places to go to: {}", number("max"));
    });
}

#[test]
fn the_slider_stands_where_the_cursor_is_in_another_exchange_too() {
    visit(|page| {
        page.open_fresh("#v1/snat-port-race");
        page.wait("#scrubber");
        let number = |script: &str| page.eval(script).as_str().and_then(|s| s.trim().parse::<u64>().ok());
        for key in ["End", "Home", "End"] {
            page.press(key);
            page.wait_until(&format!("the slider's place after {key}"), || {
                let at = number("return document.getElementById('position').textContent.split('/')[0]");
                let total = number("return document.getElementById('position').textContent.split('/')[1]");
                let slider = number("return document.getElementById('scrubber').value");
                let there = if key == "End" { total } else { Some(1) };
                at == there && slider.map(|s| s + 1) == at
            });
        }
    });
}
