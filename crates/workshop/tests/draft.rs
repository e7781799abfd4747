//! What an author does becomes an exercise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::event::What;
use sim::EventId;
use std::rc::Rc;
use workshop::exercise::{Asked, Draft, Given, check};
use workshop::fact::{Readable, recorded};
use workshop::{At, Lab, Session, Typed, lab, read_lab};

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
}

/// The exercise that a draft's text is.
fn read(draft: &Draft) -> Rc<Lab> {
    let text = draft.print();
    Rc::new(read_lab(&text).map_err(|d| format!("{}\n{text}", d.show("draft", &text))).unwrap())
}

// ---------------------------------------------------------------------- questions

/// The text of the fact that speaks of the first end of an IP packet in a session's run.
fn first_drop(session: &Session) -> String {
    let run = session.run().unwrap();
    let log = run.run.world.log();
    let is_drop = |id: &EventId| match log.get(*id).unwrap().what() {
        Some(What::Drop { frame, .. }) => frame.ip().is_some(),
        _ => false,
    };
    let id = (0..).map(EventId).take(log.entries().len()).find(is_drop).unwrap();
    recorded(&session.lab, &run, id).unwrap()
}

#[test]
fn a_question_is_recorded_with_what_was_to_be_seen() {
    let mut draft = draft();
    let start = first_drop(&draft.start);
    assert!(start.contains("dropped: NetfilterDrop") && start.contains("step: \"a1\""), "{start}");
    let mut half = draft.start.clone();
    half.typed.push(typed("nodes", "iptables -t raw -F"));
    let later = first_drop(&half);
    assert_ne!(start, later, "another rule drops it then");
    let choices = Asked {
        ask: "Where does the packet end: here, or \"there\"?".to_owned(),
        answers: vec![("in raw".to_owned(), start.clone()), ("in FORWARD".to_owned(), later)],
        because: "raw comes first.".to_owned(),
        read: None,
    };
    let written = Asked {
        ask: "Whose address does it have there?".to_owned(),
        read: Some((Readable::Source, start)),
        because: "Nothing was translated yet.".to_owned(),
        ..Asked::default()
    };
    for (asked, answers) in [(&choices, vec![true, false]), (&written, vec![])] {
        assert_eq!(draft.marks(asked).unwrap().answers, [answers]);
    }
    let address = draft.marks(&written).unwrap().readings.remove(0).unwrap();
    assert_eq!(address, "10.0.0.100");
    draft.questions = vec![choices, written];
    let lab = read(&draft);
    assert_eq!(check(&lab), Ok(Vec::new()), "{}", draft.print());
    let marks = Session::new(lab).run().unwrap().marks.unwrap();
    for (question, given, is_right) in [
        (0, Given::Chosen(0), true),
        (0, Given::Chosen(1), false),
        (0, Given::Written(address.clone()), false),
        (1, Given::Written(format!(" {address} ")), true),
        (1, Given::Written("10.0.0.1".to_owned()), false),
        (1, Given::Written(String::new()), false),
        (1, Given::Chosen(0), false),
        (2, Given::Chosen(0), false),
    ] {
        assert_eq!(marks.is_right(question, &given), is_right, "{question} {given:?}");
    }
}

#[test]
fn whatever_is_recorded_holds_where_it_was_recorded() {
    for name in
        ["etp-local", "service-iptables", "tftp-ipvs", "dns-race", "mtu-black-hole", "same-node-clusterip"]
    {
        let session = Session::new(Rc::new(lab(name).unwrap()));
        let run = session.run().unwrap();
        let story = sim::view::Story::new(&run.run.world);
        let facts: Vec<String> =
            story.steps.iter().filter_map(|s| recorded(&session.lab, &run, s.key)).collect();
        assert!(facts.len() * 3 > story.steps.len() * 2, "{name}: {} of {}", facts.len(), story.steps.len());
        let answers = facts.iter().map(|fact| (fact.clone(), fact.clone())).collect();
        let marks = Draft::new(&session).unwrap().marks(&Asked { answers, ..Asked::default() }).unwrap();
        let wrong: Vec<&String> =
            facts.iter().zip(&marks.answers[0]).filter(|(_, is)| !**is).map(|(fact, _)| fact).collect();
        assert_eq!(wrong, Vec::<&String>::new(), "{name}");
    }
}

#[test]
fn what_can_be_read_is_read_off_the_event() {
    let draft = draft();
    let fact = first_drop(&draft.start);
    let read = |what| {
        let asked = Asked { read: Some((what, fact.clone())), ..Asked::default() };
        draft.marks(&asked).unwrap().readings.remove(0)
    };
    assert_eq!(read(Readable::Destination).as_deref(), Some("10.0.0.11"));
    assert_eq!(read(Readable::DestinationPort).as_deref(), Some("30080"));
    assert!(read(Readable::SourcePort).unwrap().parse::<u16>().is_ok());
    assert_eq!(read(Readable::Box).as_deref(), Some("node-1"));
    assert!(read(Readable::Count).unwrap().parse::<usize>().unwrap() >= 1);
    let nowhere = Asked { read: Some((Readable::Box, "{dropped: RpFilter}".to_owned())), ..Asked::default() };
    assert_eq!(draft.marks(&nowhere).unwrap().readings, [None]);
}

#[test]
fn a_fact_that_is_none_is_told() {
    let draft = draft();
    let asked = |fact: &str| Asked { answers: vec![("x".to_owned(), fact.to_owned())], ..Asked::default() };
    assert!(draft.marks(&asked("{dropped: Sometimes}")).unwrap_err().contains("expected any or one of"));
    assert!(draft.marks(&asked("{dropped: any\n, on: node-9}")).unwrap_err().contains("no such box"));
    assert!(draft.marks(&Asked::default()).unwrap_err().contains("no answer"));
}

// ---------------------------------------------------------------------- labs of one's own

/// A lab that did not come with the program: with what is usual in one, and unusual.
const OWN: &str = concat!(
    r#"# A lab of somebody.
apiVersion: netfilter-lab/v1
kind: Lab
metadata: {name: mine}
title: Mine
summary: Two pods.
focus: node-1
world: {cni: bridge}
setup:
    # Four blanks.
    - {run: sysctl -w net.ipv4.ip_forward=1, on: nodes}

apps:
- {on: web, app: http, port: 80}
steps:
  - {id: call, title: the client calls, on: app, run: curl -m 1 http://10.244.1.5/}
switches:
  - {name: forward, on: nodes, title: may it?, values: {"on": sysctl -w net.ipv4.ip_forward=1, "off": sysctl -w net.ipv4.ip_forward=0}}
prose:
  - text: A [call](syn).
claims:
  - text: it gets its answer
    that: {step: call, status: 0}
    when: {forward: "on"}
goals:
  - text: it gets no answer
    that: {step: call, status: 28}
moments:
  syn: {captured: "tcp[tcpflags] == tcp-syn", on: app}
"#,
    include_str!("../../../tests/data/two-pods.yaml")
);

/// Makes an exercise of a lab: what breaks it, what mends it, what does not, and a question.
fn exercise_of(mut session: Session, breaks: Typed, mends: Typed, turns: Typed, goal: &str) -> Draft {
    session.typed.push(breaks);
    let mut draft = Draft::new(&session).unwrap();
    let after = |one: Typed| {
        let mut session = session.clone();
        session.typed.push(one);
        draft.way(&session).unwrap()
    };
    let (solution, wrong) = (after(mends), after(turns));
    draft.solutions.push(solution);
    draft.wrong.push(("No.".to_owned(), wrong));
    draft.goals.push(goal.to_owned());
    draft.questions.push(Asked {
        ask: "On which box does it end?".to_owned(),
        read: Some((Readable::Box, first_drop(&session))),
        because: "Look at it.".to_owned(),
        ..Asked::default()
    });
    for (field, text) in
        [(&mut draft.name, "new"), (&mut draft.title, "New"), (&mut draft.summary, "Of another lab.")]
    {
        text.clone_into(field);
    }
    "Mend it.".clone_into(&mut draft.task);
    draft.hints.push("Where does it end?".to_owned());
    draft.explanation.push("There.".to_owned());
    draft
}

#[test]
fn a_lab_of_one_s_own_becomes_an_exercise() {
    let drop = typed("nodes", "iptables -I OUTPUT -j ACCEPT");
    for text in [
        OWN.to_owned(),
        OWN.replace(
            "setup:\n    # Four blanks.\n    - {run: sysctl -w net.ipv4.ip_forward=1, on: nodes}\n",
            "setup: []\n",
        ),
    ] {
        let session = Session::from_text(&text).unwrap();
        assert!(session.source.is_some());
        let draft = exercise_of(
            session,
            typed("web", "iptables -A INPUT -p tcp --dport 80 -j DROP"),
            typed("web", "iptables -F INPUT"),
            drop.clone(),
            "call",
        );
        let lab = read(&draft);
        assert_eq!(check(&lab), Ok(Vec::new()), "{}", draft.print());
        assert_eq!(lab.switches, Vec::new(), "an exercise has switches of its own");
        assert_eq!(lab.objects.len(), 3);
        assert!(draft.print().contains("# Four blanks.") == text.contains("# Four blanks."));
    }
}

#[test]
fn an_exercise_becomes_another_one() {
    let session = Session::new(Rc::new(workshop::exercise::exercise("no-route").unwrap()));
    let goal = session.lab.steps[0].id.clone();
    // The lab's own way out, so that only what is broken now is in the way.
    let solution =
        workshop::exercise::attempt(&session.lab, &session.lab.exercise.as_ref().unwrap().solutions[0].moves);
    let mended = Session { typed: solution.typed, ..session };
    let draft = exercise_of(
        mended,
        typed("nodes", "iptables -I FORWARD -j DROP"),
        typed("nodes", "iptables -D FORWARD 1"),
        typed("nodes", "iptables -I INPUT -j ACCEPT"),
        &goal,
    );
    let lab = read(&draft);
    assert_eq!(check(&lab), Ok(Vec::new()), "{}", draft.print());
}

#[test]
fn a_lab_that_depends_on_its_switches_keeps_them() {
    let text =
        OWN.replace("on: web, app: http, port: 80", "on: web, app: http, port: 80, when: {forward: \"on\"}");
    let mut session = Session::from_text(&text).unwrap();
    let draft = Draft::new(&session).unwrap();
    assert!(draft.print().contains("\nswitches:\n"), "{}", draft.print());
    session.changes.insert("forward".to_owned(), "off".to_owned());
    assert!(Draft::new(&session).unwrap_err().contains("depends on its switches"));
}

#[test]
fn a_text_that_leaves_no_place_is_told() {
    for (from, to) in [("kind: Lab\n", "kind: \"Lab\"\n"), ("setup:\n    # Four blanks.\n    - ", "setup: [")]
    {
        let text = OWN.replace(from, to).replace(
            "setup: [{run: sysctl -w net.ipv4.ip_forward=1, on: nodes}",
            "setup: [{run: sysctl -w net.ipv4.ip_forward=1, on: nodes}]",
        );
        assert_ne!(text, OWN);
        let session = Session::from_text(&text).unwrap();
        assert!(Draft::new(&session).unwrap_err().contains("no place for an exercise"), "{from}");
    }
}
