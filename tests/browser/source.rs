//! Courses that did not come with the program: opened by address, dropped on the page, with speaker notes beside them.

use crate::harness::{dist, visit, visit_served};
use crate::visitor::{choose, command, drop_file, saved};
use nflab::exercise::check;
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

/// An exercise of somebody's own.
fn exercise(name: &str, title: &str) -> String {
    format!(
        "apiVersion: netfilter-lab/v1\nkind: Lab\nmetadata: {{name: {name}}}\nbase: classroom\ntitle: {title}\nsummary: Closed.\n\
         setup:\n  - {{run: iptables -A FORWARD -d 10.244.2.6 -j DROP, on: node-1}}\n\
         steps:\n  - {{id: call, title: app calls web-2, on: app, run: curl -sS -m 1 http://10.244.2.6:8080/}}\n\
         prose:\n  - text: app asks web-2 and hears nothing.\n\
         goals:\n  - text: app is answered\n    that: {{step: call, status: 0}}\n\
         exercise:\n  task: Open it.\n  minutes: 2\n  hints: [Which rule?]\n\
         \x20 solutions:\n    - moves: [{{run: iptables -D FORWARD -d 10.244.2.6 -j DROP, on: node-1}}]\n\
         \x20 wrong:\n    - moves: [{{run: iptables -A INPUT -j ACCEPT, on: node-1}}]\n      typed: [iptables -A INPUT]\n      text: Not INPUT.\n\
         \x20 explanation: [A rule dropped it.]\n  notes: Ask for the counters.\n"
    )
}

fn course(version: &str, exercises: &str) -> String {
    format!(
        "apiVersion: netfilter-lab/v1\nkind: Course\nmetadata: {{name: mine}}\ntitle: A course of mine\nsummary: Three steps.\n\
         madeWith: {version}\nchapters:\n  - title: All\n    exercises: [{exercises}]\n"
    )
}

/// The built site with these files in its folder `courses`.
fn site(name: &str, files: &[(&str, String)]) -> PathBuf {
    let site = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("site-{name}"));
    let _ = fs::remove_dir_all(&site);
    fs::create_dir_all(site.join("courses")).unwrap();
    copy(&dist(), &site);
    for (name, text) in files {
        fs::write(site.join("courses").join(name), text).unwrap();
    }
    site
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir_all(&there).unwrap();
            copy(&path, &there);
        } else {
            let _ = fs::hard_link(&path, &there).or_else(|_| fs::copy(&path, &there).map(drop));
        }
    }
}

#[test]
fn a_course_is_opened_by_its_address() {
    let file =
        format!("{}---\n{}", course("0.0.9", "my-own, beside, no-route"), exercise("my-own", "One of mine"));
    let site = site("address", &[("mine.yaml", file), ("beside.yaml", exercise("beside", "One beside it"))]);
    visit_served(&site, "/x/", |page, _server| {
        page.open_fresh("?src=courses/mine.yaml");
        page.wait_text("#course-mine[open] .course-name", "A course of mine");
        // It was made with another version, and the page says with which.
        page.wait_text("#course-mine .strange-version", "version 0.0.9");
        page.wait_text("#course-mine", "One of mine");
        page.click("#begin-mine");
        page.wait_text("#exercise-title", "One of mine");
        page.wait_text("#exercise-number", "1 of 3");
        page.wait_text(".lesson .strange-version", "version 0.0.9");
        command(page, "iptables -D FORWARD -d 10.244.2.6 -j DROP");
        page.wait_text("#verdict", "Solved with one command");
        // The address brings the exercise: the link need not hold it.
        page.wait_until("the link", || page.url().contains("#v1/my-own") && page.url().contains("do="));
        assert!(
            !page.url().contains("y=") && page.url().contains("?src=courses/mine.yaml"),
            "{}",
            page.url()
        );
        page.reload();
        page.wait_text("#exercise-title", "One of mine");
        page.wait_text("#verdict", "Solved with one command");
        page.click("#go-on");
        page.wait_text("#exercise-title", "One beside it");
        page.click("#next-exercise");
        page.wait_text("#exercise-title", "No way to the other node");
        page.click("#to-courses");
        page.wait_text("#course-mine > summary", "1 of 3");
    });
}

#[test]
fn a_lab_is_opened_by_its_address() {
    let site = site("lab", &[("one.yaml", exercise("one", "Only one"))]);
    visit_served(&site, "/", |page, _server| {
        page.open_fresh("?src=courses/one.yaml");
        page.wait_text("#exercise-title", "Only one");
    });
}

#[test]
fn what_cannot_be_opened_is_told() {
    let bad = course("0.1.0", "my-own").replace("chapters", "chapter");
    let lost = course("0.1.0", "nowhere-to-be-found");
    let site = site("bad", &[("bad.yaml", bad), ("lost.yaml", lost), ("other.yaml", "hello: [".to_owned())]);
    visit_served(&site, "/", |page, _server| {
        page.open_fresh("?src=courses/none.yaml");
        page.wait_text("main > .trouble", "courses/none.yaml cannot be opened: the server says 404");
        page.expect_console_error("404");
        page.open_fresh("?src=https://example.org/a.yaml");
        page.wait_text("main > .trouble", "expected a file of http://127.0.0.1");
        page.open_fresh("?src=courses/bad.yaml");
        page.wait_text(".file-wrong", "chapter");
        page.wait_text(".file-wrong", "^^^^");
        page.open_fresh("?src=courses/other.yaml");
        page.wait_text(".file-wrong", "not YAML");
        page.open_fresh("?src=courses/lost.yaml");
        page.wait_text("main > .trouble", "names the exercise nowhere-to-be-found");
        page.expect_console_error("404");
        // The page is there all the same.
        page.wait("#play");
    });
}

#[test]
fn a_course_is_dropped_on_the_page() {
    let file = format!("{}---\n{}", course("0.1.0", "my-own, no-route"), exercise("my-own", "One of mine"));
    visit(|page| {
        let open = |text: &str| drop_file(page, "mine.yaml", text);
        open(&file.replace("my-own, no-route", "my-own, no-such"));
        page.wait_text(".file-wrong", "no exercise no-such");
        open(&file);
        page.wait_text("#course-mine[open] .course-name", "A course of mine");
        assert_eq!(page.count("#course-mine .strange-version"), 0);
        page.click("#begin-mine");
        page.wait_text("#exercise-title", "One of mine");
        // Nobody else has this file: the link holds the exercise.
        command(page, "iptables -D FORWARD 99");
        page.wait_until("the link", || page.url().contains("y="));
        page.reload();
        page.wait_text("#exercise-title", "One of mine");
    });
}

#[test]
fn speaker_notes_follow_and_lead() {
    visit(|page| {
        page.open_fresh("#v1/no-forwarding");
        page.wait_text("#exercise-title", "The node that keeps everything");
        page.click("#to-courses");
        page.click("#to-trainer");
        page.click("#open-notes");
        page.wait_until("a second window", || page.windows().len() == 2);
        let first = page.windows().remove(0);
        let second = page.windows().remove(1);
        page.switch_to(&second);
        page.wait_started();
        page.wait_text("#noted", "The node that keeps everything");
        page.wait_text(".notes .point", "sysctl");
        // It leads...
        page.click("#notes-next");
        page.switch_to(&first);
        page.wait_text("#exercise-title", "No way to the other node");
        page.switch_to(&second);
        page.wait_text("#noted", "No way to the other node");
        // ... and follows.
        page.switch_to(&first);
        page.click("#next-exercise");
        page.switch_to(&second);
        page.wait_text("#noted", "A policy of somebody else");
    });
}

#[test]
fn a_trainer_steps_through_the_text_by_keys() {
    visit(|page| {
        page.open_fresh("#v1/same-node");
        page.wait_text("#exercise-title", "Same node");
        page.press("Home");
        let now =
            || page.eval("return document.querySelector('.lesson a[aria-current=step]')?.textContent ?? ''");
        page.press(".");
        page.wait_until("the first moment of the text", || now() == "translated");
        page.press(".");
        page.wait_until("the second one", || now() == "RST");
        page.press(",");
        page.wait_until("the first one again", || now() == "translated");
        page.press("F");
        page.wait_until("the whole screen", || page.eval("return !!document.fullscreenElement") == true);
        page.press("F");
        page.wait_until("the window", || page.eval("return !!document.fullscreenElement") == false);
    });
}

#[test]
fn what_is_done_with_a_lab_becomes_an_exercise() {
    visit(|page| {
        page.set_size(1440, 1000);
        page.open_fresh("#v1/etp-local?set=externalTrafficPolicy=Cluster");
        page.click("#courses-button");
        page.click("#to-trainer");
        page.click("#open-builder");
        page.wait_text("#builder-head", "An exercise of this lab");
        let type_in = |line: &str, n: &str| {
            choose(page, "#command-on", "nodes");
            command(page, line);
            page.wait_text("#drawer-commands .count-badge", n);
        };
        type_in("iptables -t raw -I PREROUTING -p tcp --dport 30080 -j DROP", "1");
        // The panes may still be moving for the command's run, and a click miss.
        page.wait_until("the goals", || {
            if page.count("#builder-goal-a1") == 0 {
                page.click("#builder-start");
            }
            page.count("#builder-goal-a1") == 1
        });
        page.wait_until("the goal", || {
            if page.count("#builder-goal-a1:checked") == 0 {
                page.click("#builder-goal-a1");
            }
            page.count("#builder-goal-a1:checked") == 1
        });
        // A wrong turn, and what there is to say of it.
        type_in("iptables -I INPUT -j ACCEPT", "2");
        page.enter("#builder-why", "INPUT comes after raw.");
        page.click("#builder-wrong");
        page.wait_text("#builder-ways", "Wrong turn: iptables -I INPUT -j ACCEPT");
        // Back at the start; who looks makes no move.
        page.wait_text("#drawer-commands .count-badge", "1");
        type_in("iptables -t raw -S", "2");
        type_in("iptables -t raw -F", "3");
        page.click("#builder-solution");
        page.wait_text("#builder-ways", "Solution: iptables -t raw -F");
        page.click("#builder-check");
        page.wait_text("#builder-told", "there are no hints");
        for (field, text) in [
            ("name", "closed-early"),
            ("title", "Closed early"),
            ("summary", "Nobody is answered."),
            ("prose", "The load balancer calls, and hears nothing."),
            ("task", "Let the calls in."),
            ("hints", "Which table is asked first?"),
            ("explanation", "raw comes before everything else."),
        ] {
            page.enter(&format!("#builder-{field}"), text);
        }
        page.click("#builder-check");
        page.wait_text("#builder-told", "It fails at the start, passes with each solution");
        // The file is an exercise that anybody can open.
        let file = saved(page, || page.click("#builder-save"));
        drop_file(page, "closed-early.yaml", &file);
        page.wait_text("#exercise-title", "Closed early");
    });
}

/// A lab of somebody's own: two pods, and nothing in their way.
const OWN: &str = concat!(
    r#"apiVersion: netfilter-lab/v1
kind: Lab
metadata: {name: two-pods}
title: Two pods
summary: One asks, the other one answers.
focus: web
world: {cni: bridge}
apps:
  - {on: web, app: http, port: 80}
steps:
  - {id: call, title: app calls web, on: app, run: curl -sS -m 1 http://10.244.1.5/}
"#,
    include_str!("../data/two-pods.yaml")
);

/// What `nflab lab check` says of a file; nothing if all is well.
fn lab_check(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    let out = RefCell::new(String::new());
    let well = check(&[path.display().to_string()], false, |line| {
        out.borrow_mut().push_str(line);
        Ok(())
    });
    if well == Ok(true) { String::new() } else { format!("{well:?} {}", out.borrow()) }
}

#[test]
fn a_lab_of_one_s_own_becomes_an_exercise_that_asks_before_play() {
    visit(|page| {
        page.set_size(1440, 1000);
        drop_file(page, "two-pods.yaml", OWN);
        page.wait_text(".lesson", "Two pods");
        page.click("#courses-button");
        page.click("#to-trainer");
        page.click("#open-builder");
        page.wait_text("#builder-head", "An exercise of this lab");
        let type_in = |line: &str, n: &str| {
            choose(page, "#command-on", "web");
            command(page, line);
            page.wait_text("#drawer-commands .count-badge", n);
        };
        type_in("iptables -A INPUT -p tcp --dport 80 -j DROP", "1");
        page.click("#builder-start");
        page.click("#builder-goal-call");

        // A free answer: the author stands where the packet ends.
        page.enter("#builder-ask", "On which box does the SYN end?");
        let mut back = 0;
        page.wait_until("the step at which it is dropped", || {
            page.eval("document.getElementById('lab').focus()");
            page.press(if back == 0 { "End" } else { "Alt+ArrowLeft" });
            back += 1;
            page.click("#builder-record");
            let fact = page.eval("return document.getElementById('builder-fact').value");
            fact.as_str().unwrap().contains("dropped: NetfilterDrop")
        });
        choose(page, "#builder-read", "box");
        page.click("#builder-free");
        page.wait_text("#builder-answers", "the name of the box: web");
        page.enter("#builder-because", "INPUT of web drops it.");
        page.click("#builder-question");
        page.wait_text("#builder-ways", "Question: On which box does the SYN end?");

        // Choices: what happens here, and what does not.
        page.enter("#builder-ask", "What becomes of the call?");
        page.click("#builder-record");
        page.enter("#builder-answer", "a rule drops it");
        page.click("#builder-choice");
        page.wait("#builder-answers .done");
        page.enter("#builder-answer", "it is answered");
        page.enter("#builder-fact", "{step: call, status: 99999}");
        page.click("#builder-choice");
        page.wait_text("#builder-told", "This is no fact");
        page.enter("#builder-fact", "{step: call, status: 0}");
        page.click("#builder-choice");
        page.wait_until("both answers", || page.count("#builder-answers li") == 2);
        assert_eq!(page.count("#builder-answers .done"), 1);
        page.enter("#builder-because", "No rule but that one is in its way.");
        page.screenshot("builder-question");
        page.click("#builder-question");
        page.wait_text("#builder-ways", "Question: What becomes of the call?");

        type_in("iptables -A INPUT -j ACCEPT", "2");
        page.enter("#builder-why", "The first rule that matches decides.");
        page.click("#builder-wrong");
        page.wait_text("#drawer-commands .count-badge", "1");
        type_in("iptables -F INPUT", "2");
        page.click("#builder-solution");
        page.wait_text("#builder-ways", "Solution: iptables -F INPUT");
        for (field, text) in [
            ("name", "no-visitors"),
            ("title", "No visitors"),
            ("summary", "Nobody is answered."),
            ("task", "Let the call in."),
            ("hints", "Which chain is asked last?"),
            ("explanation", "INPUT of the pod itself."),
        ] {
            page.enter(&format!("#builder-{field}"), text);
        }
        let file = saved(page, || page.click("#builder-save"));
        assert_eq!(lab_check("no-visitors.yaml", &file), "", "{file}");

        // Who opens it is asked first.
        drop_file(page, "no-visitors.yaml", &file);
        page.wait_text("#exercise-title", "No visitors");
        page.enter("#question-0-text", "app");
        page.press("Enter");
        page.wait_text(".question [role=status]", "Not so. Look at the packet, and try again.");
        page.enter("#question-0-text", " WEB ");
        page.click(".question button[type=submit]");
        page.wait_text(".question [role=status]", "INPUT of web drops it.");
        page.click("#question-1-0");
        page.wait_text(".question + .question [role=status]", "No rule but that one");
        page.screenshot("question-written");
        choose(page, "#command-on", "web");
        command(page, "iptables -F INPUT");
        page.wait_text("#verdict", "Solved with one command, which is par.");
    });
}
