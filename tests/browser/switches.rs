//! Every switch of every lab, flipped by hand: picture, journey and outcome become what the engine says.

use crate::harness::{Page, visit};
use sim::view::Story;
use workshop::{Lab, Setting};

/// What a run comes to, read off the engine.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    goals: Vec<bool>,
    terminal: Vec<String>,
    /// Steps without background noise.
    steps: usize,
}

fn outcome(lab: &Lab, setting: &Setting) -> Outcome {
    let run = lab.run(setting).unwrap();
    let story = Story::new(&run.run.world);
    Outcome {
        goals: run.goals.iter().map(|g| g.reached).collect(),
        terminal: story.terminal.iter().map(|l| l.text.clone()).collect(),
        steps: story.steps.iter().filter(|s| !s.noise).count(),
    }
}

/// All settings of a lab, those nearest to its defaults first.
fn settings(lab: &Lab) -> Vec<Setting> {
    let mut all = vec![Setting::new()];
    for switch in &lab.switches {
        let with = |value: &str| {
            let value = value.to_owned();
            all.clone().into_iter().map(move |mut s: Setting| {
                s.insert(switch.name.to_owned(), value.clone());
                s
            })
        };
        all = switch.values().flat_map(with).collect();
    }
    let default = lab.default_setting();
    all.sort_by_key(|s| s.iter().filter(|(k, v)| default.get(*k) != Some(*v)).count());
    all
}

/// The setting in which a switch decides most: goals, else what is printed, else the way of the packets.
fn where_it_matters(lab: &Lab, name: &str, value: &str, outcomes: &[(Setting, Outcome)]) -> Setting {
    let of = |s: &Setting| outcomes.iter().find(|(k, _)| k == s).map(|(_, o)| o).unwrap();
    let other = |s: &Setting| {
        let mut s = s.clone();
        s.insert(name.to_owned(), value.to_owned());
        s
    };
    let tests: [fn(&Outcome, &Outcome) -> bool; 3] =
        [|a, b| a.goals != b.goals, |a, b| a.terminal != b.terminal, |a, b| a.steps != b.steps];
    let found = tests.iter().find_map(|test| {
        let mut all = outcomes.iter().filter(|(s, _)| s.get(name).is_some_and(|v| v != value));
        all.find(|(s, o)| test(o, of(&other(s)))).map(|(s, _)| s.clone())
    });
    found.unwrap_or_else(|| panic!("{name}={value} of {} changes nothing anywhere", lab.name))
}

/// Whether a setting has other rules, sets, virtual servers, modules or settings on some box than the defaults.
fn changes_nodes(lab: &Lab, setting: &Setting) -> bool {
    let (before, after) = (lab.run(&Setting::new()).unwrap().run.world, lab.run(setting).unwrap().run.world);
    after.hosts().iter().any(|new| {
        let old = before.host_by_name(&new.name).and_then(|id| before.host(id));
        old.is_some_and(|old| !sim::view::changes((&before, old), (&after, new)).is_empty())
    })
}

fn link(lab: &Lab, setting: &Setting) -> String {
    let default = lab.default_setting();
    let set = setting.iter().filter(|(k, v)| default.get(*k) != Some(*v));
    let set: Vec<String> = set.map(|(k, v)| format!("{k}={v}")).collect();
    format!("#v1/{}?set={}", lab.name, set.join(","))
}

/// What a visitor sees at the end of a run.
#[derive(Debug)]
struct Shown {
    picture: String,
    journey: String,
    terminal: String,
    goals: usize,
    total: String,
}

/// The map as it is for this run: the way of the run before it does not count.
fn without_ghost(page: &Page) -> String {
    let picture = page.eval(
        "const p = document.querySelector('.world').cloneNode(true);
         p.querySelectorAll('.ghost').forEach(g => g.remove());
         return p.outerHTML",
    );
    picture.as_str().unwrap().to_owned()
}

fn look(page: &Page) -> Shown {
    page.press("End");
    page.wait_until("the end", || {
        let text = page.text("#position");
        text.split_once(" / ").is_some_and(|(at, of)| at == of)
    });
    Shown {
        picture: without_ghost(page),
        journey: page.text(".journey"),
        terminal: page.text(".term"),
        goals: page.count(".goal .done"),
        total: page.text("#position").split_once(" / ").unwrap().1.to_owned(),
    }
}

#[track_caller]
fn agrees(shown: &Shown, engine: &Outcome, what: &str) {
    assert_eq!(shown.goals, engine.goals.iter().filter(|g| **g).count(), "{what}: goals");
    assert_eq!(shown.total, engine.steps.to_string(), "{what}: steps");
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in &engine.terminal {
        assert!(flat(&shown.terminal).contains(&flat(line)), "{what}: {line:?} in {}", shown.terminal);
    }
}

/// Every switch of a lab, to each of its other positions.
fn flip_all(name: &str) {
    let lab = workshop::lab(name).unwrap();
    let outcomes: Vec<(Setting, Outcome)> =
        settings(&lab).into_iter().map(|s| (s.clone(), outcome(&lab, &s))).collect();
    visit(|page| {
        page.set_size(1440, 900);
        for switch in &lab.switches {
            for value in switch.values().filter(|v| *v != switch.default) {
                let from = where_it_matters(&lab, &switch.name, value, &outcomes);
                let mut to = from.clone();
                to.insert(switch.name.to_owned(), value.to_owned());
                let of = |s: &Setting| outcomes.iter().find(|(k, _)| k == s).map(|(_, o)| o).unwrap();
                let what = format!("{name}: {}={value}", switch.name);

                page.open_fresh(&link(&lab, &from));
                let before = look(page);
                agrees(&before, of(&from), &format!("{what}, before"));

                let (id, command) = (format!("switch-{}", switch.name), switch.command(value).unwrap());
                page.eval(&format!(
                    "(document.getElementById('{id}') || document.getElementById('{id}-{value}')).click()"
                ));
                page.wait_text(&format!("#switch-{}-is", switch.name), &command);
                let after = look(page);
                agrees(&after, of(&to), &what);
                // The end may be a command that sends nothing.
                assert_ne!(
                    (&before.picture, &before.journey, &before.terminal, before.goals, &before.total),
                    (&after.picture, &after.journey, &after.terminal, after.goals, &after.total),
                    "{what}: picture, journey and outcome"
                );
                if changes_nodes(&lab, &to) {
                    page.click("#tab-Changes");
                    page.wait(".diff .new, .diff .gone");
                }
            }
        }
    });
}

#[test]
fn of_same_node_clusterip() {
    flip_all("same-node-clusterip");
}

#[test]
fn of_tftp_ipvs() {
    flip_all("tftp-ipvs");
}

#[test]
fn of_service_iptables() {
    flip_all("service-iptables");
}

#[test]
fn of_hooks_and_chains() {
    flip_all("hooks-and-chains");
}

#[test]
fn of_etp_local() {
    flip_all("etp-local");
}

#[test]
fn of_rp_filter() {
    flip_all("rp-filter");
}
