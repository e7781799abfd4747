//! Links: the same moment and the same zoom level in a fresh browser, after a reload, and on the way back.

use crate::harness::{Page, visit};

#[track_caller]
fn wait_level(page: &Page, wanted: &str) {
    page.wait_until(&format!("the level {wanted}"), || {
        page.attribute("#map", "data-level").as_deref() == Some(wanted)
    });
}

#[track_caller]
fn wait_address(page: &Page, part: &str) {
    page.wait_until(&format!("{part} in the address"), || page.url().contains(part));
}

#[test]
fn a_link_keeps_the_level_and_the_hook() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/same-node-clusterip/44/worker-2?at=FORWARD");
        wait_level(page, "hook");
        page.wait_text(".crumbs", "FORWARD");
        let place = page.text("#position");
        // Somebody else opens what is in the address.
        page.press("ArrowRight");
        page.press("ArrowLeft");
        wait_address(page, "at=FORWARD");
        let link = page.url().split_once('#').unwrap().1.to_owned();
        page.open_fresh("#v1/dns-race");
        wait_level(page, "cluster");
        page.open_fresh(&format!("#{link}"));
        wait_level(page, "hook");
        page.wait_text(".crumbs", "FORWARD");
        assert_eq!(page.text("#position"), place);
        page.reload();
        wait_level(page, "hook");
        page.wait_text(".crumbs", "worker-2");
    });
}

#[test]
fn back_and_forward_go_through_the_levels() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/same-node-clusterip/44");
        page.click("#level-node");
        wait_address(page, "at=node");
        page.click("#level-hook");
        wait_address(page, "at=hook");
        page.eval("history.back()");
        wait_level(page, "node");
        page.eval("history.back()");
        wait_level(page, "cluster");
        page.eval("history.forward()");
        wait_level(page, "node");
    });
}

/// `?lab=` opens a page; from its first change on the fragment says what is shown, and the way back leads to what was opened.
#[test]
fn a_page_that_was_opened_by_a_query_keeps_what_is_done_with_it() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("?lab=rp-filter");
        page.click("#switch-route-present");
        wait_address(page, "set=route=present");
        let route = |page: &Page| {
            page.wait("#switch-route-present");
            page.eval("return document.querySelector('#switch-route-present').checked")
        };
        page.eval("history.back()");
        page.wait_until("the run before", || route(page) == false);
        page.eval("history.forward()");
        page.wait_until("the run again", || route(page) == true);
        page.reload();
        page.wait("#scrubber");
        assert_eq!(route(page), true);
    });
}
