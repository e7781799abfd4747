//! What an author does becomes an exercise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::rc::Rc;
use workshop::exercise::{Draft, check};
use workshop::{At, Session, Typed, lab, read_lab};

fn typed(on: &str, line: &str) -> Typed {
    Typed { at: At::Setup, on: Some(on.to_owned()), line: line.to_owned(), stdin: String::new() }
}

/// A lab of the program, broken by a rule, with a solution and a wrong turn.
fn draft() -> Draft {
    let mut session = Session::new(Rc::new(lab("etp-local").unwrap()));
    session.changes.insert("externalTrafficPolicy".to_owned(), "Cluster".to_owned());
    let step = session.lab.steps.first().unwrap().id.clone();
    session.typed.push(typed("nodes", "iptables -I FORWARD -p tcp -j DROP"));
    session.typed.push(typed("nodes", "iptables -t raw -I PREROUTING -p tcp --dport 30080 -j DROP"));
    let mut draft = Draft::new(&session).unwrap();
    let after = |line: &str| {
        let mut session = session.clone();
        session.typed.push(typed("nodes", "iptables -S"));
        session.typed.push(typed("nodes", line));
        session
    };
    let first = draft.way(&after("iptables -t raw -F")).unwrap();
    assert_eq!(first.len(), 1, "looking is no move: {first:?}");
    let mut both = after("iptables -t raw -F");
    both.typed.push(typed("nodes", "iptables -D FORWARD 1"));
    draft.solutions.push(draft.way(&both).unwrap());
    draft.wrong.push(("The first rule is in another table: raw.".to_owned(), first));
    draft.goals.push(step);
    "my-own".clone_into(&mut draft.name);
    "Two rules: \"one\" and the other".clone_into(&mut draft.title);
    "Closed twice.".clone_into(&mut draft.summary);
    "A client calls.".clone_into(&mut draft.prose);
    "Open it: all of it.".clone_into(&mut draft.task);
    draft.hints = vec!["Look at raw.".to_owned(), String::new()];
    draft.explanation = vec!["raw comes first.".to_owned()];
    draft
}

#[test]
fn what_was_done_is_an_exercise_that_passes_its_check() {
    let draft = draft();
    let text = draft.print();
    let lab = Rc::new(read_lab(&text).map_err(|d| d.show("draft", &text)).unwrap());
    assert_eq!(lab.title, "Two rules: \"one\" and the other");
    assert_eq!(check(&lab), Ok(Vec::new()), "{text}");
    assert_eq!(lab.exercise.as_ref().unwrap().par(), 2);
}

#[test]
fn what_is_missing_is_found_by_the_check() {
    let mut draft = draft();
    draft.goals.clear();
    draft.hints.clear();
    let text = draft.print();
    let lab = Rc::new(read_lab(&text).map_err(|d| d.show("draft", &text)).unwrap());
    let found = check(&lab).unwrap().join("\n");
    assert!(found.contains("goals are missing") && found.contains("there are no hints"), "{found}");
}

#[test]
fn a_way_begins_where_the_start_ends() {
    let draft = draft();
    assert!(draft.way(&draft.start).unwrap_err().contains("no command"));
    let mut other = draft.start.clone();
    other.typed.remove(0);
    assert!(draft.way(&other).unwrap_err().contains("of the start is gone"));
    let exercise = Session::new(Rc::new(workshop::exercise::exercise("no-route").unwrap()));
    assert!(draft.way(&exercise).is_err());
    assert!(Draft::new(&exercise).unwrap_err().contains("comes with the program"));
}
