//! The tables at the bottom: what each tab lists is what the tool prints in the engine's world at the cursor.

use crate::harness::{Page, visit};
use crate::visitor::choose;
use sim::EventId;
use workshop::{LabRun, Setting};

const LABS: [&str; 2] = ["same-node-clusterip", "tftp-ipvs"];

/// The commands of each tab that are compared.
const TABS: [(&str, &[&str]); 6] = [
    (
        "Rules",
        &["iptables-save", "iptables-save -c", "iptables -t nat -L -n -v --line-numbers", "nft list ruleset"],
    ),
    ("Conntrack", &["conntrack -L", "conntrack -L expect", "conntrack -S", "conntrack -C"]),
    ("Sets", &["ipset list", "ipset save"]),
    ("IPVS", &["ipvsadm -Ln", "ipvsadm -Lnc"]),
    ("Network", &["ip route", "ip rule", "ip neigh", "bridge fdb", "bridge link", "ip addr"]),
    ("Node", &["dmesg", "lsmod"]),
];

fn engine(run: &LabRun, host: &str, line: &str) -> Vec<String> {
    let last = EventId(u32::try_from(run.run.world.log().len()).unwrap() - 1);
    let mut world = (*run.world_at(last)).clone();
    let id = world.host_by_name(host).unwrap();
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    sim::operator::command(&mut world, id, &argv, None).unwrap().stdout
}

/// The rows that are drawn, without the column in front of rules.
fn rows(page: &Page) -> Vec<String> {
    let rows = page.eval(
        "return [...document.querySelectorAll('#table-list .vrow')].map(r => { const c = r.cloneNode(true); \
         c.querySelectorAll('.hits, .changed, .sr').forEach(e => e.remove()); return c.textContent })",
    );
    rows.as_array().unwrap().iter().map(|r| r.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_long_capture_draws_only_what_is_in_sight() {
    visit(|page| {
        page.set_size(1440, 1000);
        page.open_fresh("#v1/dns-race");
        page.press("End");
        let count = || page.attribute("#cap", "aria-rowcount").and_then(|n| n.parse().ok()).unwrap_or(0);
        page.wait_until("a long list", || count() > 150);
        assert!(page.count("#cap .vrow") < 80);
        // The chosen packet is in sight, and a click on another leads to when it was captured.
        page.wait("#cap .vrow.now");
        let place = page.text("#position");
        page.eval("document.querySelector('#cap').scrollTop = 0");
        page.wait("#cap-0");
        page.click("#cap-0");
        page.wait_until("another place", || page.text("#position") != place);
        page.wait_until("what came later gone", || count() < 10);
    });
}

#[test]
fn each_tab_lists_what_the_tool_prints() {
    visit(|page| {
        for lab in LABS {
            let run = workshop::lab(lab).unwrap().run(&Setting::new()).unwrap();
            let last = run.run.world.log().len() - 1;
            page.open_fresh(&format!("#v1/{lab}/{last}"));
            for (tab, lines) in TABS {
                page.click(&format!("#tab-{tab}"));
                page.wait("#table-command");
                for line in lines {
                    choose(page, "#table-command", line);
                    let prompt = page.text(".tools label .mono");
                    let host = prompt.trim().trim_end_matches('#').to_owned();
                    let all = engine(&run, &host, line);
                    page.wait_until(&format!("{lab}: {host}# {line}"), || {
                        let shown = rows(page);
                        let count = page.attribute("#table-list", "aria-rowcount").unwrap_or_default();
                        count == all.len().to_string()
                            && all.iter().zip(&shown).all(|(a, b)| a == b)
                            && shown.is_empty() == all.is_empty()
                    });
                }
            }
        }
    });
}

#[test]
fn a_chain_is_gone_to_and_left_again() {
    visit(|page| {
        page.open_fresh("#v1/same-node-clusterip");
        page.click("#tab-Rules");
        page.wait("#table-list .vrow");
        page.enter("#table-filter", "-j KUBE-SERVICES");
        page.wait_until("the filter", || rows(page).iter().all(|r| r.contains("-j KUBE-SERVICES")));
        page.eval("[...document.querySelectorAll('#table-list .word')].filter(w => w.textContent == 'KUBE-SERVICES').pop().click()");
        page.wait("#table-back");
        page.wait_until("its first rule", || {
            let current = page.attribute("#table-list", "aria-activedescendant").unwrap_or_default();
            !current.is_empty() && page.text(&format!("#{current}")).contains("KUBE-SERVICES")
        });
        page.click("#table-back");
        page.wait_gone("#table-back");
    });
}

#[test]
fn a_hundred_thousand_rules_are_scrolled_and_few_are_drawn() {
    visit(|page| {
        page.open_fresh("#v1/many-rules");
        page.click("#tab-Rules");
        page.wait("#table-list .vrow");
        let count = page.attribute("#table-list", "aria-rowcount").unwrap().parse::<u32>().unwrap();
        assert!(count > 100_000, "{count}");
        page.eval("window.long = []; new PerformanceObserver(l => window.long.push(...l.getEntries().map(e => e.duration))).observe({type: 'longtask'})");
        let middle = count / 2;
        for row in [1000, middle, count - 1] {
            page.eval(&format!("document.getElementById('table-list').scrollTop = {row} * 20"));
            page.wait_until("the rows in sight", || page.count("#table-list .vrow") < 200 && {
                let drawn = page.eval("return [...document.querySelectorAll('#table-list .vrow')].map(r => Number(r.getAttribute('aria-rowindex')))");
                drawn.as_array().unwrap().iter().any(|n| n.as_u64() == Some(u64::from(row) + 1))
            });
        }
        let long = page.eval("return window.long.length ? Math.max(...window.long) : 0");
        println!("longest task while scrolling: {long} ms");
        page.eval("document.getElementById('table-list').focus()");
        page.press("Home");
        page.wait_until("the first row", || {
            page.attribute("#table-list", "aria-activedescendant").as_deref() == Some("table-list-0")
        });
        page.enter("#table-filter", "10.128.200.17/32");
        page.wait_until("the rule", || {
            page.attribute("#table-list", "aria-rowcount").as_deref() == Some("1")
        });
    });
}
