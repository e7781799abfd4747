//! At the end of a packet: the smallest change that lets it through, as a command, by one click.

use crate::harness::visit;
use kernel::DropReason;
use kernel::event::What;
use workshop::Setting;

/// The event at which a packet of a lab ends for a reason.
fn end(lab: &str, why: DropReason) -> u32 {
    let run = workshop::lab(lab).unwrap().run(&Setting::new()).unwrap();
    let entries = run.run.world.log().entries();
    let ends = |e: &&sim::Entry| matches!(e.what(), Some(What::Drop { reason, .. }) if *reason == why);
    entries.iter().position(|e| ends(&e)).and_then(|n| u32::try_from(n).ok()).unwrap()
}

#[test]
fn a_lost_packet_is_let_through_by_one_click() {
    visit(|page| {
        page.set_size(1440, 900);
        let event = end("rp-filter", DropReason::RpFilter);
        page.open_fresh(&format!("#v1/rp-filter/{event}"));
        page.wait_text(".ended", "rp_filter");
        // A looser rp_filter lets it pass, but the answer would be lost: what mends both comes first.
        page.wait_text(".rescue .cure code", "ip route add");
        page.click(".rescue .apply");
        page.wait_gone(".rescue");
        page.wait_until("the run with the change", || page.url().contains("route=present"));
    });
}

/// The last exchange succeeds, and still the goal is missed: the end of the run says which, and what reaches it.
#[test]
fn at_the_end_of_the_run_a_goal_that_is_missed_is_reached_by_one_click() {
    visit(|page| {
        page.set_size(1440, 900);
        for lab in ["dns-race", "localhost-nodeport"] {
            page.open_fresh(&format!("#v1/{lab}"));
            page.wait("#scrubber");
            page.press("End");
            page.wait_text(".try", "Not reached: ");
            page.click(".try .apply");
            page.wait_gone(".try");
        }
    });
}

/// The button that was pressed is gone then.
#[test]
fn after_a_change_the_focus_is_where_its_button_was() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/etp-local");
        page.wait("#scrubber");
        page.press("End");
        page.wait(".outcome .apply");
        page.eval("document.querySelector('.outcome .apply').focus()");
        page.press("Enter");
        page.wait_gone(".outcome .apply");
        page.wait_until("the focus", || page.eval("return document.activeElement.id") == "outcome");
    });
}
