//! A run in parts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use parts::Parts;
use std::cell::RefCell;
use std::rc::Rc;
use workshop::exercise::{courses, exercise};
use workshop::{Lab, LabRun, PARTS_AT_ONCE, Session, lab, labs};

/// The run of a lab as it begins, and in how many parts it was done.
fn counted(lab: Lab) -> (LabRun, u32) {
    let session = Session::new(Rc::new(lab));
    let mut work = Parts::new(async move { session.run_in_parts(|_, _| ()).await.unwrap() });
    let mut parts = 1;
    loop {
        if let Some(run) = work.go_on() {
            return (run, parts);
        }
        parts += 1;
    }
}

thread_local! {
    static TOLD: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn a_run_tells_how_many_of_its_steps_are_done() {
    let session = Session::new(Rc::new(lab("hooks-and-chains").unwrap()));
    let all = session.lab.steps.len();
    parts::finish(session.run_in_parts(|done, all| TOLD.with_borrow_mut(|t| t.push((done, all))))).unwrap();
    assert_eq!(TOLD.take(), (0..all).map(|done| (done, all)).collect::<Vec<_>>());
}

#[track_caller]
fn is_short(lab: Lab) {
    let name = lab.name.clone();
    let (_, parts) = counted(lab);
    assert!(parts <= PARTS_AT_ONCE, "{name}: {parts}");
}

#[test]
fn the_labs_are_short() {
    labs().into_iter().for_each(is_short);
}

#[test]
fn the_exercises_are_short() {
    for course in courses() {
        course.exercises().for_each(|name| is_short(exercise(name).unwrap()));
    }
}

#[test]
fn a_hundred_thousand_rules_are_read_in_many_parts() {
    let (_, parts) = counted(lab("many-rules").unwrap());
    assert!(parts > 3 * PARTS_AT_ONCE, "{parts}");
}

#[test]
fn a_run_in_parts_is_the_same() {
    let (run, _) = counted(lab("invalid-rst").unwrap());
    let whole = Session::new(Rc::new(lab("invalid-rst").unwrap())).run().unwrap();
    assert_eq!(run.run.world.log().entries(), whole.run.world.log().entries());
    assert_eq!((run.claims, run.goals, run.moments), (whole.claims, whole.goals, whole.moments));
}
