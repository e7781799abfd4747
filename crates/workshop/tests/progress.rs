//! Progress as text and as a code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use workshop::exercise::{Course, Done, Progress, Stage, course, courses, read_code};

fn solved(moves: u8) -> Done {
    Done { solved: true, moves, ..Done::default() }
}

fn some() -> Progress {
    let mut p = Progress { name: "Ada L".to_owned(), ..Progress::default() };
    p.done.insert("no-route".to_owned(), solved(1));
    p.done.insert("no-forwarding".to_owned(), Done { hints: 2, ..Done::default() });
    p.done.insert("same-node".to_owned(), Done { revealed: true, missed: 1, ..solved(3) });
    p
}

fn main_course() -> Course {
    course("netfilter").unwrap()
}

#[test]
fn a_text_comes_back_as_it_was() {
    let (read, wrong) = Progress::read(&some().print());
    assert_eq!((read, wrong), (some(), Vec::new()));
    assert_eq!(Progress::read(""), (Progress::default(), Vec::new()));
}

#[test]
fn a_damaged_line_costs_no_other() {
    let text = some().print().replace("exercise no-route solved", "exercise no-route sol\u{0}ved");
    let (read, wrong) = Progress::read(&text);
    assert_eq!(read.done.len(), 2);
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with("line ") && wrong[0].contains("expected solved"), "{wrong:?}");
}

#[test]
fn what_another_version_wrote_is_kept() {
    let text = "netfilter-lab progress 1\nname Ada\nexercise gone-since solved moves=2\nexercise no-route solved moves=1 stars=3\nbadge 5 of 7\n";
    let (mut read, wrong) = Progress::read(text);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(read.done.get("no-route"), Some(&solved(1)));
    assert_eq!(read.print(), text);
    // Here, too.
    let mut mine = some();
    mine.merge(&read);
    assert!(
        mine.print().contains("stars=3\n") && mine.print().contains("\nbadge 5 of 7\n"),
        "{}",
        mine.print()
    );
    read = read.forgotten();
    assert_eq!(read.print(), "netfilter-lab progress 1\nname Ada\n");
}

#[test]
fn what_is_no_progress_at_all_is_told() {
    let (read, wrong) = Progress::read("{\"a\": 1}\nmore\n");
    assert_eq!(read, Progress::default());
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn merging_keeps_the_better_of_two() {
    let mut mine = some();
    let mut other = Progress::default();
    other.done.insert("no-route".to_owned(), Done { hints: 1, ..Done::default() });
    other.done.insert("no-forwarding".to_owned(), solved(1));
    mine.merge(&other);
    assert_eq!(mine.done.get("no-route"), Some(&solved(1)));
    assert_eq!(mine.done.get("no-forwarding"), Some(&solved(1)));
    assert_eq!(mine.name, "Ada L");
}

#[test]
fn a_code_says_the_state_of_every_exercise() {
    let course = main_course();
    let code = some().code(&course, |_| 1);
    let read = read_code(&code, &course).unwrap();
    assert_eq!(read.name, "Ada L");
    let of = |name: &str| read.stages[course.exercises().position(|e| e == name).unwrap()];
    assert_eq!(of("no-route"), Stage::Par);
    assert_eq!(of("no-forwarding"), Stage::Hinted);
    assert_eq!(of("same-node"), Stage::Copied);
    assert_eq!(of("twins"), Stage::New);
}

#[test]
fn codes_are_short_and_forgive_what_is_misread() {
    let course = main_course();
    let code = Progress { name: String::new(), ..some() }.code(&course, |_| 1);
    assert!(code.len() < 60, "{code}");
    assert_eq!(read_code(&format!("  {} ", code.to_uppercase()), &course), read_code(&code, &course));
    let dashes = code.rfind('-').unwrap();
    let states = code["nl1-netfilter-".len()..dashes].replace('0', "O").replace('1', "l");
    let misread = format!("nl1-netfilter-{states}{}", &code[dashes..]);
    assert_eq!(read_code(&misread, &course), read_code(&code, &course));
}

#[test]
fn every_single_slip_is_found() {
    let course = main_course();
    let code = some().code(&course, |_| 1);
    let begin = "nl1-netfilter-".len();
    for at in begin..code.len() {
        for c in "0q7z-".chars() {
            let mut slip = code.clone();
            slip.replace_range(at..=at, &c.to_string());
            if slip != code {
                assert_ne!(read_code(&slip, &course), read_code(&code, &course), "{slip}");
            }
        }
    }
}

#[test]
fn what_is_no_code_is_told() {
    let course = main_course();
    assert!(read_code("hello", &course).unwrap_err().contains("begins with nl1-"));
    let other = courses().into_iter().nth(1).unwrap();
    let code = some().code(&other, |_| 1);
    assert!(read_code(&code, &course).unwrap_err().contains("another course"));
    let cut = &some().code(&course, |_| 1)[..20];
    assert!(read_code(cut, &course).is_err());
}

#[test]
fn every_stage_survives_a_code() {
    let course = main_course();
    let dones = [
        (Done::default(), Stage::Open),
        (Done { hints: 1, ..Done::default() }, Stage::Hinted),
        (Done { revealed: true, ..Done::default() }, Stage::Shown),
        (Done { revealed: true, ..solved(1) }, Stage::Copied),
        (Done { hints: 1, ..solved(1) }, Stage::Helped),
        (solved(2), Stage::Solved),
        (Done { missed: 1, ..solved(1) }, Stage::Solved),
        (solved(1), Stage::Par),
    ];
    let last = course.exercises().last().unwrap().to_owned();
    for (done, want) in dones {
        let mut p = Progress::default();
        p.done.insert(last.clone(), done);
        let read = read_code(&p.code(&course, |_| 1), &course).unwrap();
        assert_eq!(read.stages.last(), Some(&want));
    }
}
