//! What a person does with a lab: commands, undo, links, knobs, objects, files.

use crate::harness::{Page, visit};
use crate::visitor::choose;

/// Puts a text into a field.
fn write(page: &Page, css: &str, text: &str) {
    page.wait(css);
    let text = text.replace('\n', "\\n").replace('\'', "\\'");
    page.eval(&format!(
        "const f = document.querySelector('{css}'); f.value = '{text}'; f.dispatchEvent(new Event('input', {{bubbles: true}}))"
    ));
}

fn typed(page: &Page) -> usize {
    page.text("#drawer-commands .count-badge").parse().unwrap_or(0)
}

#[track_caller]
fn wait_typed(page: &Page, n: usize) {
    page.wait_until(&format!("{n} commands"), || typed(page) == n);
}

#[test]
fn a_box_that_the_line_names_is_meant_whichever_is_chosen() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/etp-local");
        page.press("`");
        choose(page, "#command-on", "client");
        write(page, "#command-line", "node-1: ip route");
        page.click("#command-run");
        page.wait_until("the link", || page.url().contains("do=end+node-1+ip+route"));
    });
}

/// Its programs print for each other; the terminal has what is left of it.
#[test]
fn a_line_of_several_programs_prints_what_is_left_in_the_end() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/service-iptables");
        page.press("`");
        page.wait("#command-line");
        let line = "laptop: for i in 1 2 3; do curl -s http://192.168.99.100/ || echo no $i; done | sort -r | head -2";
        write(page, "#command-line", line);
        page.click("#command-run");
        wait_typed(page, 1);
        // Whoever types moves the line's cursor with it.
        page.eval("document.activeElement.blur()");
        page.press("End");
        let lines = || -> Vec<String> { page.text(".term").lines().map(str::to_owned).collect() };
        page.wait_until("what is left", || lines().iter().any(|l| l == "no 2"));
        let all = lines();
        let at = all.iter().position(|l| l.starts_with("laptop$ for i in 1 2 3;")).unwrap();
        assert_eq!(all[at + 1..at + 3], ["no 3", "no 2"]);
        assert!(!all[at..].iter().any(|l| l.contains("$ curl") || l == "no 1"), "{all:?}");
    });
}

#[test]
fn a_command_that_broke_it_is_taken_back_with_one_click() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh(
            "#v1/service-iptables?set=service=present&do=setup+minikube+ip+link+set+docker0+down",
        );
        wait_typed(page, 1);
        page.press("End");
        let undo = "[...document.querySelectorAll('.cure')].find(c => c.textContent.includes('Undo: minikube# ip link'))";
        page.wait_until("the change", || page.eval(&format!("return {undo} != null")) == true);
        page.eval(&format!("{undo}.querySelector('button').click()"));
        wait_typed(page, 0);
    });
}

#[test]
fn a_command_is_typed_undone_and_kept_by_the_link() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/etp-local");
        page.press("`");
        page.wait_until("the line to have the focus", || {
            page.eval("return document.activeElement.id") == "command-line"
        });
        choose(page, "#command-on", "client");
        write(page, "#command-line", "kurl x");
        page.click("#command-run");
        page.wait_text("#command-wrong", "kurl is not modelled");
        write(page, "#command-line", "curl -m 1 http://10.0.0.11:30080/");
        page.click("#command-run");
        wait_typed(page, 1);
        page.wait_until("the link", || page.url().contains("do=end+client+curl"));

        // Everybody who opens the link has the command, and so has who reloads.
        let url = page.url();
        page.reload();
        wait_typed(page, 1);
        assert_eq!(page.url(), url);
        page.click("#drawer-commands");
        page.wait_text(".typed", "hello from web-");

        page.click(".typed button");
        wait_typed(page, 0);
        page.click("#undo");
        wait_typed(page, 1);
        page.click("#redo");
        wait_typed(page, 0);
        page.wait_until("the address", || !page.url().contains("do="));
        page.eval("history.back()");
        wait_typed(page, 1);
    });
}

#[test]
fn a_knob_is_turned_and_the_runs_are_compared() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/etp-local");
        page.click("#drawer-switches");
        page.wait_text(".knobs", "kubectl -n default patch service web");
        page.wait_text(".knobs", "recordings of the kernel");
        choose(page, "#knob-policy-of-FORWARD", "DROP");
        wait_typed(page, 1);
        page.click("#drawer-compare");
        page.wait_text(".compare", "first difference");
        page.click("#dismiss-ghost");
        page.wait_gone("#dismiss-ghost");
    });
}

#[test]
fn objects_are_edited_as_yaml_and_what_is_wrong_is_underlined() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/etp-local");
        page.click("#drawer-cluster");
        page.wait_text(".objects", "Service web");
        write(page, "#yaml-text", "kind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 99999}]}\n");
        page.click("#yaml-apply");
        page.wait_text(".drawer .wrong", "3 | spec: {ports: [{port: 99999}]}");
        page.wait_text(".drawer .wrong", "^^^^^");
        write(
            page,
            "#yaml-text",
            "kind: Pod\nmetadata: {name: web-4, labels: {app: web}}\nspec: {nodeName: node-3}\n",
        );
        page.click("#yaml-apply");
        wait_typed(page, 1);
        page.wait_text(".objects", "Pod web-4");
        // Standard input is in the link too.
        page.wait_until("the link", || page.url().contains("c=") || page.url().contains("do="));
        page.reload();
        wait_typed(page, 1);
    });
}

#[test]
fn pods_are_moved_and_deleted_by_a_form() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/etp-local");
        page.click("#drawer-cluster");
        page.click("#pod-form summary");
        choose(page, "#knob-web-1-runs-on", "node-3");
        page.wait_until("the command", || typed(page) > 0);
        page.wait_until("web-1 on node-3", || {
            page.eval("return document.getElementById('knob-web-1-runs-on')?.value") == "node-3"
        });
        let before = typed(page);
        if page.count("#pod-form[open]") == 0 {
            page.click("#pod-form summary");
        }
        page.click("[aria-label='Delete Pod web-2']");
        page.wait_until("another command", || typed(page) > before);
        page.wait_gone("[aria-label='Delete Pod web-2']");
    });
}

#[test]
fn a_lab_is_named_in_the_query() {
    visit(|page| {
        page.open_fresh("?lab=dns-race");
        page.wait_until("the lab", || {
            let title = page.eval("return document.querySelector('.lesson .title')?.textContent ?? ''");
            title.as_str().is_some_and(|t| t.starts_with("Five seconds"))
        });
    });
}
