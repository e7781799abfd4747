//! Progress as text and as a code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use workshop::exercise::{
    Chapter, Course, Done, Progress, STEP_CODE_LENGTH, Stage, course, courses, read_code, read_step_code,
    step_code,
};

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
    let states = code["nl2-netfilter-".len()..dashes].replace('0', "O").replace('1', "l");
    let misread = format!("nl2-netfilter-{states}{}", &code[dashes..]);
    assert_eq!(read_code(&misread, &course), read_code(&code, &course));
}

#[test]
fn every_single_slip_is_found() {
    let course = main_course();
    let code = some().code(&course, |_| 1);
    let begin = "nl2-netfilter-".len();
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
    assert!(read_code("hello", &course).unwrap_err().contains("begins with nl2-"));
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
        (Done { brought: true, hints: 1, ..Done::default() }, Stage::Brought),
        (Done { brought: true, ..solved(1) }, Stage::Par),
    ];
    let last = course.exercises().last().unwrap().to_owned();
    for (done, want) in dones {
        let mut p = Progress::default();
        p.done.insert(last.clone(), done);
        let read = read_code(&p.code(&course, |_| 1), &course).unwrap();
        assert_eq!(read.stages.last(), Some(&want));
    }
}

#[test]
fn a_code_of_an_older_version_is_read() {
    let exercises = ["a", "b", "c"].map(str::to_owned).to_vec();
    let chapters = vec![Chapter { title: String::new(), exercises }];
    let course = Course { name: "old".to_owned(), chapters, ..main_course() };
    // Three bits for each state: 001 opened, 111 solved at par, 000 not opened.
    let read = read_code("nl1-old-7g-x3", &course).unwrap();
    assert_eq!(read.stages, [Stage::Open, Stage::Par, Stage::New]);
}

// ---------------------------------------------------------------------- the code of a step

#[test]
fn a_step_s_code_leads_to_it() {
    let courses = courses();
    for (at, course) in courses.iter().enumerate() {
        for number in 1..=course.exercises().count() {
            let code = step_code(course, number).unwrap();
            assert_eq!(code.len(), STEP_CODE_LENGTH, "{code}");
            assert_eq!(read_step_code(&code, &courses), Ok((at, number)));
            // As it is heard and typed.
            let typed =
                format!(" {}-{} ", &code[..2].to_lowercase(), code[2..].replace('0', "O").replace('1', "l"));
            assert_eq!(read_step_code(&typed, &courses), Ok((at, number)), "{typed}");
        }
    }
}

#[test]
fn there_is_no_code_where_there_is_no_step() {
    let course = main_course();
    assert_eq!(step_code(&course, 0), None);
    assert_eq!(step_code(&course, course.exercises().count() + 1), None);
}

#[test]
fn every_slip_of_the_finger_in_a_step_s_code_is_told() {
    let courses = courses();
    let letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for number in 1..=main_course().exercises().count() {
        let code = step_code(&main_course(), number).unwrap();
        for at in 0..code.len() {
            for c in letters.chars() {
                let mut slip = code.clone();
                slip.replace_range(at..=at, &c.to_string());
                if slip != code {
                    let told = read_step_code(&slip, &courses).unwrap_err();
                    assert!(told.contains("a letter is wrong"), "{slip}: {told}");
                }
            }
        }
        for at in 1..code.len() {
            let mut letters: Vec<char> = code.chars().collect();
            letters.swap(at - 1, at);
            let slip: String = letters.into_iter().collect();
            if slip != code {
                let told = read_step_code(&slip, &courses).unwrap_err();
                assert!(told.contains("have changed places"), "{slip}: {told}");
            }
        }
    }
}

#[test]
fn what_is_no_code_of_a_step_is_told() {
    let courses = courses();
    let code = step_code(&main_course(), 3).unwrap();
    assert!(read_step_code(&code[1..], &courses).unwrap_err().contains("has 4 letters, expected 5"));
    assert!(read_step_code("", &courses).unwrap_err().contains("has 0 letters"));
    assert!(read_step_code("0u000", &courses).unwrap_err().contains("U is never in one"));
    // A course that is not here; and one of the same name in which another exercise has that number.
    let mut other = main_course();
    other.chapters[0].exercises.insert(0, "one-more".to_owned());
    for strange in [&courses[1..], &[other]] {
        assert!(read_step_code(&code, strange).unwrap_err().contains("not on this page"));
    }
}

#[test]
fn what_lies_before_the_step_is_not_solved_by_it() {
    let course = main_course();
    let names: Vec<&str> = course.exercises().collect();
    let mut p = Progress::default();
    p.done.insert(names[1].to_owned(), solved(1));
    p.done.insert(names[2].to_owned(), Done { hints: 2, ..Done::default() });
    p.bring(&course, 4);
    let stages: Vec<Stage> = names.iter().take(5).map(|name| p.stage(name, 1)).collect();
    assert_eq!(stages, [Stage::Brought, Stage::Par, Stage::Brought, Stage::New, Stage::New]);
    assert!(!Stage::Brought.is_solved());
    assert_eq!(p.next(&course), Some(names[3]), "one goes on where one was brought");
    // It comes back from text and code.
    assert_eq!(Progress::read(&p.print()), (p.clone(), Vec::new()));
    assert_eq!(read_code(&p.code(&course, |_| 1), &course).unwrap().stages[..5], stages[..]);
    // Who solves one of them later has solved it; who merges loses nothing.
    let mut later = Progress::default();
    later.done.insert(names[0].to_owned(), solved(1));
    p.merge(&later);
    assert_eq!((p.stage(names[0], 1), p.stage(names[2], 1)), (Stage::Par, Stage::Brought));
    later.merge(&p);
    assert_eq!(later.stage(names[2], 1), Stage::Brought);
    // When nothing else is left, one goes back.
    for name in names.iter().filter(|name| **name != names[2]) {
        p.done.insert((*name).to_owned(), solved(1));
    }
    assert_eq!(p.next(&course), Some(names[2]));
    p.done.insert(names[2].to_owned(), solved(1));
    assert_eq!(p.next(&course), None);
}
