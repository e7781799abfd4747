//! The load lab: a test runs in a worker while the page stays awake; charts, the table of nine, the address.

use crate::harness::{DARK, Page, visit};
use crate::visitor::{choose, fits};

/// The page with the lab in a setting; tests are short, and the machine small.
fn open(page: &Page, set: &str) {
    page.open(&format!("#v1/conntrack-load?set={set}"));
    page.wait_text("#lesson", "Conntrack under load");
    page.wait("#nine");
}

/// Second of the test that goes on.
fn second(page: &Page) -> u64 {
    let value = page.eval("const p = document.querySelector('#progress'); return p ? p.value : 0");
    value.as_u64().unwrap_or(0)
}

#[test]
fn the_lab_is_in_the_list_and_says_model() {
    visit(|page| {
        page.set_size(1440, 900);
        choose(page, ".lab select", "conntrack-load");
        page.wait_text("#bench-title", "one pod behind a NodePort");
        page.wait_text(".bench", "A model, no measurement");
        page.wait_text("#constants", "slowness");
        page.wait_text("#constants", "turn");
        assert_eq!(page.count(".goal"), 2);
        assert_eq!(page.count(".goal .done"), 0, "nothing has been run");
        assert_eq!(page.count("#nine tbody tr"), 9);
        page.wait_until("the address to follow", || page.url().ends_with("#v1/conntrack-load"));
        // And back to a lab of single packets.
        choose(page, ".lab select", "same-node-clusterip");
        page.wait_text(".st.sel", "KUBE-SERVICES");
        assert_eq!(page.count("#nine"), 0);
    });
}

#[test]
fn a_test_runs_and_draws_its_charts() {
    visit(|page| {
        page.set_size(1440, 900);
        open(page, "iteration=8,scale=100,seconds=30");
        page.click("#run");
        page.wait_until("progress", || second(page) > 0);
        page.wait("#chart-files .s0");
        page.wait_gone("#progress");
        page.wait_text("#chart-files", "served");
        page.wait_text("#chart-count", "learn-k8s-2");
        for chart in ["chart-files", "chart-count", "chart-expect", "chart-drop", "chart-busy"] {
            let words = page.attribute(&format!("#{chart} svg.chart"), "aria-label").unwrap();
            assert!(words.contains("at most") || words.contains("0 all the time"), "{chart}: {words}");
            // Its figures as a table, for who cannot see it.
            assert_eq!(page.count(&format!("#{chart} table tbody tr")), 10, "{chart}");
        }
        let words = page.attribute("#chart-files svg.chart", "aria-label").unwrap();
        assert!(words.contains("the article: 5,100"), "{words}");
        page.wait_text("#log", "The kernel has logged nothing.");
        page.wait_text("#nine tr[data-iteration='8']", "5,100");
        page.wait("#nine tr[data-iteration='8'] .ours");
        assert_eq!(page.count("#nine .ours"), 1);
        // A switch moves, and the figures are no longer those of the setting.
        page.eval("document.getElementById('switch-replicas-2').click()");
        page.wait_text("#bench-title", "Iteration 9");
        page.wait_gone("#chart-files");
        page.wait_until("the address to follow", || {
            page.url().contains("#v1/conntrack-load?set=iteration=9,scale=100,seconds=30")
        });
        // The result of iteration 8 is still there.
        page.click("#nine tr[data-iteration='8'] button");
        page.wait("#chart-files .s0");
    });
}

#[test]
fn a_test_can_be_cancelled_and_run_again() {
    visit(|page| {
        open(page, "iteration=9,scale=10,seconds=3600");
        page.click("#run");
        page.wait_until("progress", || second(page) > 0);
        // The page is awake: it answers while the worker works.
        page.click("#theme");
        page.click("#theme-menu input[value=dark]");
        page.wait("html[data-theme=dark]");
        page.press("Escape");
        page.click("#cancel");
        page.wait_text("#load-position", "cancelled at");
        page.wait_gone("#progress");
        page.wait("#run");
        let text = page.text("#load-position");
        choose(page, "#switch-seconds", "5");
        page.wait_until("the address to follow", || page.url().contains("seconds=5"));
        assert!(!text.contains("cancelled at 3600"));
        page.click("#run");
        page.wait("#nine tr[data-iteration='9'] .ours");
    });
}

#[test]
fn all_nine_fill_the_table() {
    visit(|page| {
        page.set_size(1440, 900);
        open(page, "scale=100,seconds=12");
        page.click("#run-all");
        page.wait_until("nine rows", || page.count("#nine .ours") == 9);
        page.wait_gone("#progress");
        let row = page.text("#nine tr[data-iteration='1']");
        assert!(row.contains("8,500") && row.contains('%'), "{row}");
        // Iteration 4 is a second look at iteration 2.
        let ours = |n: u32| page.text(&format!("#nine tr[data-iteration='{n}'] .ours"));
        assert_eq!(ours(2), ours(4));
        // Without Kubernetes there is no conntrack, and no chart of it.
        page.click("#nine tr[data-iteration='1'] button");
        page.wait_text("#bench-title", "Iteration 1");
        page.wait("#chart-busy");
        assert_eq!(page.count("#chart-count"), 0);
    });
}

#[test]
fn what_cannot_be_run_says_why() {
    visit(|page| {
        open(page, "pod.nf_conntrack_udp_timeout=10");
        page.wait_text("#forbidden", "SysctlForbidden");
        assert_eq!(page.attribute("#run", "disabled").as_deref(), Some("true"));
        page.click("#switch-allowedUnsafeSysctls");
        page.wait_gone("#forbidden");
        page.wait_text("#switch-allowedUnsafeSysctls-is", "systemctl restart kubelet");
        // A number that does not go stays as it was, and the page says what goes.
        choose(page, "#switch-nf_conntrack_max", "7");
        page.wait_text("[role=alert]", "a number from 1024");
        page.wait_until("the old value", || {
            page.eval("return document.getElementById('switch-nf_conntrack_max').value") == "131072"
        });
        // So does a link.
        page.open("#v1/conntrack-load?set=replicas=12");
        page.wait_text("[role=alert]", "a number from 1 to 3");
    });
}

#[test]
fn a_small_screen_shows_all_of_it() {
    visit(|page| {
        page.set_size(390, 844);
        open(page, "iteration=5,scale=100,seconds=200");
        page.click("#run");
        page.wait("#chart-count .s1");
        page.wait_gone("#progress");
        fits(page);
        page.screenshot("load-narrow");
        page.eval("document.querySelector('#chart-count').scrollIntoView()");
        page.screenshot("load-narrow-charts");
        page.eval("document.querySelector('#nine').scrollIntoView()");
        page.screenshot("load-narrow-nine");
        page.eval("document.querySelector('.load-settings').scrollIntoView()");
        page.screenshot("load-narrow-settings");
        page.set_size(1440, 1900);
        fits(page);
        page.eval("scrollTo(0, 0)");
        page.screenshot("load");
        page.emulate(&[DARK]);
        page.screenshot("load-dark");
    });
}
