//! The exercises and courses that come with the program, and what the check of an exercise finds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cluster::yaml::{Value as Node, Yaml, documents};
use nflab::exercise::check;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;
use workshop::exercise::{Breach, Move, attempt, courses, exercise, step_code};
use workshop::exercises::{COURSES, TEXTS};
use workshop::labs::TEXTS as LABS;
use workshop::{Lab, Session, read_lab};

/// Checks some; what was printed if something was found.
fn checked<'a>(names: impl Iterator<Item = &'a str>) {
    let names: Vec<String> = names.map(str::to_owned).collect();
    let out = RefCell::new(String::new());
    let well = check(&names, false, |line| {
        out.borrow_mut().push_str(line);
        out.borrow_mut().push('\n');
        Ok(())
    });
    assert_eq!(well, Ok(true), "{}", out.borrow());
}

/// A half of them, so that two processors share the work.
fn half(odd: usize) {
    checked(TEXTS.iter().enumerate().filter(|(n, _)| n % 2 == odd).map(|(_, (name, _))| *name));
}

#[test]
fn every_second_exercise_fails_at_the_start_passes_with_each_solution_and_fails_with_each_wrong_turn() {
    half(0);
}

#[test]
fn the_others_too() {
    half(1);
}

#[test]
fn courses_name_what_is_there() {
    checked(COURSES.iter().map(|(name, _)| *name));
}

#[test]
fn the_agenda_has_the_code_of_each_step() {
    let course = courses().remove(0);
    let agenda = nflab::exercise::agenda(Some(&course.name)).unwrap();
    for (n, name) in course.exercises().enumerate() {
        let code = step_code(&course, n + 1).unwrap();
        let line = agenda.lines().find(|l| l.contains(&format!("(`{name}`")));
        assert!(line.is_some_and(|l| l.ends_with(&format!("code {code})"))), "{name}: {line:?}");
    }
}

#[test]
fn every_exercise_is_in_a_course_and_each_article_has_one() {
    let courses = courses();
    assert_eq!(courses.len(), COURSES.len());
    assert_eq!(courses.iter().filter(|c| c.name.starts_with("article-")).count(), 5);
    for (name, _) in TEXTS {
        assert!(courses.iter().any(|c| c.exercises().any(|e| e == *name)), "{name} is in no course");
        assert_eq!(exercise(name).map(|lab| lab.name), Some((*name).to_owned()));
        assert!(LABS.iter().all(|(lab, _)| lab != name), "{name} is a lab's name too");
    }
    let main = courses.first().unwrap();
    assert!(main.exercises().count() >= 30, "{}", main.exercises().count());
}

fn read(text: &str) -> Rc<Lab> {
    Rc::new(read_lab(text).map_err(|d| d.show("text", text)).unwrap())
}

fn text(name: &str) -> String {
    TEXTS.iter().find(|(n, _)| *n == name).unwrap().1.to_owned()
}

/// What the check finds in an exercise of which something was changed.
fn finds(name: &str, from: &str, to: &str) -> Vec<String> {
    let changed = text(name).replacen(from, to, 1);
    assert_ne!(changed, text(name), "{from} is not in {name}");
    workshop::exercise::check(&read(&changed)).unwrap()
}

#[test]
fn a_start_that_is_not_broken_is_found() {
    let found = finds("no-forwarding", "ip_forward=0", "ip_forward=1");
    assert!(found.iter().any(|f| f.contains("before anything is done")), "{found:?}");
}

#[test]
fn a_solution_that_does_not_pass_is_found() {
    let found = finds("no-route", "via 10.0.0.12, on: node-1}]", "via 10.0.0.13, on: node-1}]");
    assert!(found.iter().any(|f| f.contains("does not pass")), "{found:?}");
}

#[test]
fn a_wrong_turn_that_passes_is_found() {
    let found = finds("no-forwarding", "iptables -I FORWARD -j ACCEPT", "sysctl -w net.ipv4.ip_forward=1");
    assert!(found.iter().any(|f| f.contains("passes")), "{found:?}");
}

#[test]
fn a_question_without_a_right_answer_is_found() {
    let found = finds("before-conntrack", "times: 0}]}", "times: 7}]}");
    assert!(found.iter().any(|f| f.contains("answers are right")), "{found:?}");
}

#[test]
fn a_question_to_which_nothing_can_be_written_is_found() {
    let found = finds("reset-by-stranger", "dir: in, step: late}", "dir: in, step: go-on}");
    assert!(found.iter().any(|f| f.contains("nothing can be read at the start")), "{found:?}");
}

#[test]
fn a_dead_link_is_found() {
    let found = finds("first-match", "[zero](end)", "[zero](nowhere)");
    assert!(found.iter().any(|f| f.contains("leads nowhere")), "{found:?}");
}

#[test]
fn too_much_to_read_is_found() {
    let long = "word ".repeat(2000);
    let found = finds("first-match", "Make the exception work.", &long);
    assert!(found.iter().any(|f| f.contains("words are too many")), "{found:?}");
}

#[test]
fn an_exercise_to_begin_with_passes_its_check() {
    let lab = read(&nflab::exercise::beginning("my-first"));
    assert_eq!(lab.name, "my-first");
    assert_eq!(workshop::exercise::check(&lab), Ok(Vec::new()));
}

#[test]
fn the_example_of_the_documentation_passes_its_check() {
    let docs = include_str!("../docs/LABS.md");
    let example = docs.split("## Exercises").nth(1).unwrap();
    let lines = example.lines().skip_while(|l| !l.starts_with("    apiVersion"));
    let lines = lines.take_while(|l| l.is_empty() || l.starts_with("    "));
    let text: String = lines.map(|l| format!("{}\n", l.get(4..).unwrap_or_default())).collect();
    assert_eq!(workshop::exercise::check(&read(&text)), Ok(Vec::new()));
}

#[test]
fn what_is_to_be_kept_and_is_not_there_is_found() {
    let found = finds(
        "the-office",
        "rp_filter, on: minikube, prints: \"= 1\"",
        "rp_filter, on: minikube, prints: \"= 2\"",
    );
    assert!(found.iter().any(|f| f.contains("does not hold at the start")), "{found:?}");
}

fn moves(lab: &Rc<Lab>, line: &str, on: &str) -> Vec<Move> {
    let e = lab.exercise.as_ref().unwrap();
    let mut solution = e.solutions.first().unwrap().moves.clone();
    let Some(Move::Run(c)) = solution.first_mut() else { panic!("{solution:?}") };
    c.run = line.to_owned();
    c.argv = line.split(' ').map(str::to_owned).collect();
    c.on = vec![on.to_owned()];
    solution.truncate(1);
    solution
}

/// The same for an exercise whose first solution is a switch.
fn by_another(name: &str, line: &str, on: &str) -> workshop::exercise::Verdict {
    let lab = read(&text(name));
    let start = Session::new(Rc::clone(&lab)).run().unwrap();
    let moves = moves(&read(&text("no-route")), line, on);
    let now = attempt(&lab, &moves).run().unwrap();
    lab.exercise.as_ref().unwrap().verdict(&start, &now, &moves)
}

fn verdict(name: &str, line: &str, on: &str) -> workshop::exercise::Verdict {
    let lab = read(&text(name));
    let start = Session::new(Rc::clone(&lab)).run().unwrap();
    let moves = moves(&lab, line, on);
    let now = attempt(&lab, &moves).run().unwrap();
    lab.exercise.as_ref().unwrap().verdict(&start, &now, &moves)
}

#[test]
fn a_solution_that_nobody_wrote_down_passes() {
    let verdict =
        verdict("first-match", "iptables -I FORWARD 1 -s 10.244.1.5 -p tcp --dport 8080 -j ACCEPT", "node-1");
    assert!(verdict.solved, "{verdict:?}");
}

#[test]
fn a_rule_that_is_gone_is_told() {
    let verdict = verdict("first-match", "iptables -F FORWARD", "node-1");
    assert!(!verdict.solved);
    let gone =
        |b: &Breach| matches!(b, Breach::Rule(host, rule) if host == "node-1" && rule.contains("-A FORWARD"));
    assert!(verdict.breaches.iter().any(gone), "{verdict:?}");
}

#[test]
fn what_is_not_allowed_is_told_with_its_reason() {
    let verdict = verdict("docker-was-here", "iptables -F FORWARD", "node-1");
    let why = verdict.breaches.iter().find_map(|b| match b {
        Breach::Means(line, why) if line == "iptables -F FORWARD" => Some(why.clone()),
        _ => None,
    });
    assert!(why.unwrap().contains("Other programs"), "{verdict:?}");
}

#[test]
fn what_must_stay_is_told() {
    let verdict = verdict("the-office", "sysctl -w net.ipv4.conf.all.rp_filter=0", "minikube");
    assert!(
        verdict.breaches.iter().any(|b| matches!(b, Breach::Changed(text) if text.contains("strict"))),
        "{verdict:?}"
    );
}

#[test]
fn what_an_exercise_cannot_mean_is_refused_where_it_stands() {
    for (from, to, says) in [
        ("base: classroom", "base: schoolroom", "there is no such lab; expected one of classroom"),
        ("  minutes: 4", "  minute: 4", "no such field"),
        ("  allow: [iptables]", "  at: never\n  allow: [iptables]", "no step has this id"),
        ("keepRules: [node-1]", "keepRules: [node-9]", "there is no such box"),
        (
            "      moves: [{run: iptables -I FORWARD -d",
            "      moves: [{run: iptables2 -I FORWARD -d",
            "is not modelled",
        ),
    ] {
        let text = text("first-match").replacen(from, to, 1);
        let told = read_lab(&text).map_err(|d| d.show("text", &text)).expect_err(from);
        assert!(told.contains(says), "{from}: {told}");
    }
}

// ---------------------------------------------------------------------- the schema for editors

/// As much of JSON Schema as docs/lab.schema.json uses: where a value does not fit.
fn misfit(root: &Value, schema: &Value, at: &Yaml, path: &str) -> Option<String> {
    let Some(rules) = schema.as_object() else { panic!("{schema}") };
    rules.iter().find_map(|(rule, want)| match (rule.as_str(), &at.value) {
        ("$ref", _) => {
            let name = want.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            misfit(root, &root["$defs"][name], at, path)
        }
        ("type", value) => {
            let kinds: Vec<&str> = match want {
                Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
                one => one.as_str().into_iter().collect(),
            };
            let fits = |kind: &&str| match (*kind, value) {
                ("object", Node::Mapping(_)) | ("array", Node::Sequence(_)) | ("string", Node::Text(_)) => {
                    true
                }
                ("integer" | "number", Node::Plain(t)) => t.parse::<i64>().is_ok(),
                ("boolean", Node::Plain(t)) => t == "true" || t == "false",
                ("string", Node::Plain(t)) => t.parse::<i64>().is_err(),
                _ => false,
            };
            (!kinds.iter().any(fits)).then(|| format!("{path}: expected {kinds:?}"))
        }
        ("enum", _) => {
            let known = want.as_array().unwrap().iter().any(|v| v.as_str() == Some(at.token()));
            (!known).then(|| format!("{path}: {} is not one of {want}", at.token()))
        }
        ("anyOf", _) => {
            let all = want.as_array().unwrap();
            let fits = all.iter().any(|s| misfit(root, s, at, path).is_none());
            (!fits).then(|| format!("{path}: fits none of {} forms", all.len()))
        }
        ("required", Node::Mapping(entries)) => {
            let mut keys = want.as_array().unwrap().iter().filter_map(Value::as_str);
            keys.find(|k| !entries.iter().any(|e| e.key == *k)).map(|k| format!("{path}: {k} is missing"))
        }
        ("properties", Node::Mapping(entries)) => entries
            .iter()
            .find_map(|e| misfit(root, want.get(&e.key)?, &e.value, &format!("{path}/{}", e.key))),
        ("additionalProperties", Node::Mapping(entries)) => entries
            .iter()
            .filter(|e| rules.get("properties").is_none_or(|p| p.get(&e.key).is_none()))
            .find_map(|e| match want {
                Value::Bool(false) => Some(format!("{path}: no such field as {}", e.key)),
                other => misfit(root, other, &e.value, &format!("{path}/{}", e.key)),
            }),
        ("items", Node::Sequence(items)) => {
            items.iter().enumerate().find_map(|(n, item)| misfit(root, want, item, &format!("{path}/{n}")))
        }
        ("minItems", Node::Sequence(items)) => (items.len()
            < usize::try_from(want.as_u64().unwrap()).unwrap())
        .then(|| format!("{path}: too few")),
        _ => None,
    })
}

/// Where a text does not fit the schema.
fn schema_says(text: &str) -> Option<String> {
    let root: Value = serde_json::from_str(include_str!("../docs/lab.schema.json")).unwrap();
    documents(text).unwrap().iter().find_map(|d| {
        d.get("apiVersion").filter(|v| v.token() == "netfilter-lab/v1")?;
        let of = if d.get("kind").is_some_and(|k| k.token() == "Course") { "course" } else { "lab" };
        misfit(&root, &root["$defs"][of], d, "")
    })
}

#[test]
fn the_schema_for_editors_knows_every_field_that_is_used() {
    for (name, text) in LABS.iter().chain(TEXTS).chain(COURSES) {
        assert_eq!(schema_says(text), None, "{name}");
    }
}

#[test]
fn the_schema_for_editors_finds_what_the_program_refuses() {
    for (from, to, says) in [
        ("  minutes: 4", "  minute: 4", "minute"),
        ("  minutes: 4", "  minutes: four", "integer"),
        ("kind: Lab", "kind: Laboratory", "Laboratory"),
        ("title: The rule that comes too late\n", "", "title is missing"),
        ("      typed: [iptables -A]", "      typed: iptables -A", "array"),
    ] {
        let changed = text("first-match").replacen(from, to, 1);
        let told = schema_says(&changed).expect(from);
        assert!(told.contains(says), "{from}: {told}");
    }
}

// ---------------------------------------------------------------------- what people try besides

#[test]
fn who_looks_makes_no_move_and_needs_no_leave() {
    let lab = read(&text("docker-was-here"));
    let start = Session::new(Rc::clone(&lab)).run().unwrap();
    let mut all = moves(&lab, "ip route", "node-1");
    all.extend(moves(&lab, "conntrack -L", "node-1"));
    let looked = |all: &[Move]| {
        let now = attempt(&lab, all).run().unwrap();
        lab.exercise.as_ref().unwrap().verdict(&start, &now, all)
    };
    let verdict = looked(&all);
    assert_eq!((verdict.moves, verdict.breaches.len(), verdict.wrong), (0, 0, None), "{verdict:?}");
    all.extend(moves(&lab, "iptables -I FORWARD -s 10.244.0.0/16 -d 10.244.2.6 -j ACCEPT", "node-1"));
    let verdict = looked(&all);
    assert!(verdict.solved && verdict.moves == 1, "{verdict:?}");
}

#[test]
fn who_lets_everybody_in_has_not_solved_it() {
    let verdict = verdict("docker-was-here", "iptables -A FORWARD -j ACCEPT", "node-1");
    assert!(
        verdict.breaches.iter().any(|b| matches!(b, Breach::Changed(text) if text.contains("stranger"))),
        "{verdict:?}"
    );
}

/// The verdict on another command, and what is said to it.
#[track_caller]
fn is_a_wrong_turn(name: &str, line: &str, on: &str, says: &str) {
    let verdict = verdict(name, line, on);
    assert!(!verdict.solved, "{line}: {verdict:?}");
    let lab = read(&text(name));
    let turn = verdict.wrong.and_then(|n| lab.exercise.as_ref().unwrap().wrong.get(n));
    let told = turn.map_or("nothing", |turn| turn.text.as_str());
    assert!(told.contains(says), "{line}: {told}");
}

#[test]
fn who_silences_the_pod_has_not_mended_what_it_answers() {
    let rst = "-p tcp --tcp-flags RST RST -j DROP";
    for (line, on) in [
        (format!("iptables -I OUTPUT {rst}"), "app"),
        (format!("iptables -I FORWARD {rst}"), "node-1"),
        (format!("iptables -t mangle -I POSTROUTING {rst}"), "app"),
    ] {
        is_a_wrong_turn("reset-by-stranger", &line, on, "app still hears from a stranger");
    }
    is_a_wrong_turn(
        "reset-by-stranger",
        "iptables -I INPUT -s 10.244.2.5 -j DROP",
        "app",
        "one pod against one other",
    );
    let rule = "iptables -I FORWARD -m conntrack --ctstate INVALID -j DROP";
    assert!(verdict("reset-by-stranger", rule, "node-1").solved);
}

#[test]
fn a_question_asks_for_the_address_of_the_stranger() {
    let lab = read(&text("reset-by-stranger"));
    let marks = Session::new(lab).run().unwrap().marks.unwrap();
    assert_eq!(marks.readings, [Some("10.244.2.5".to_owned())]);
}

#[test]
fn who_breaks_what_worked_has_not_solved_it() {
    let broken = by_another("five-seconds", "iptables -P FORWARD DROP", "node-1");
    assert!(!broken.solved, "{broken:?}");
    let broken = verdict("pod-calls-itself", "sysctl -w net.bridge.bridge-nf-call-iptables=0", "node-1");
    assert!(!broken.solved, "{broken:?}");
}

#[test]
fn labels_are_an_answer_too() {
    let verdict = verdict("lonely-node", "kubectl label pod other app=web --overwrite", "node-1");
    assert!(verdict.solved, "{verdict:?}");
}

// ---------------------------------------------------------------------- a course with its exercises in one file

fn course_file(rest: &str) -> String {
    format!(
        "apiVersion: netfilter-lab/v1\nkind: Course\nmetadata: {{name: mine}}\ntitle: Mine\nsummary: Two.\nmadeWith: 0.1.0\n\
         chapters:\n  - title: All\n    exercises: [my-first, no-route]\n{rest}"
    )
}

#[test]
fn a_course_brings_its_exercises_along() {
    let own = nflab::exercise::beginning("my-first");
    let other = text("pod-calls-itself").replace("name: pod-calls-itself", "name: no-route");
    let file = course_file(&format!("---\n{own}---\n# with objects\n{other}"));
    assert!(workshop::exercise::is_course(&file) && !workshop::exercise::is_course(&own));
    let read = workshop::exercise::read_course_file(&file).map_err(|d| d.show("f", &file)).unwrap();
    let names: Vec<&str> = read.exercises.iter().map(|(lab, _)| lab.name.as_str()).collect();
    assert_eq!(names, ["my-first", "no-route"]);
    // Each text is one of its own.
    for (lab, text) in &read.exercises {
        assert_eq!(read_lab(text).map(|l| l.name).ok().as_ref(), Some(&lab.name));
        assert_eq!(workshop::exercise::check(&Rc::new(read_lab(text).unwrap())), Ok(Vec::new()));
    }
}

#[test]
fn what_is_wrong_in_a_course_file_is_told_where_it_stands() {
    let own = nflab::exercise::beginning("my-first");
    for (rest, line, says) in [
        ("---\nkind: Pod\n".to_owned(), 11, "expected kind: Lab"),
        (format!("---\n{}", own.replace("minutes: ", "minute: ")), 0, "no such field"),
        (format!("---\n{}", own.replace("my-first", "another")), 11, "no chapter of the course names"),
        (format!("---\n{own}---\n{own}"), 0, "there twice"),
        ("---\n{\n".to_owned(), 0, "not YAML"),
    ] {
        let file = course_file(&rest);
        let wrong = workshop::exercise::read_course_file(&file).expect_err(says);
        assert!(wrong.message.contains(says), "{wrong}");
        assert!(line == 0 || wrong.line == line, "{says}: {wrong}");
    }
    let file = course_file(&format!("---\n{}", own.replace("minutes: ", "minute: ")));
    let wrong = workshop::exercise::read_course_file(&file).unwrap_err();
    assert_eq!(file.lines().nth(wrong.line - 1).map(|l| l.contains("minute: ")), Some(true), "{wrong}");
}
