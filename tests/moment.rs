//! The world as it stood at an event, held against the finished world and against what is folded from the log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::NetnsId;
use kernel::netfilter::xtables::TableId;
use sim::view::{RuleFormat, RuleRows, conntrack_at, listings, rule_hits};
use sim::{EventId, World, operator};
use workshop::{LabRun, Setting};

fn runs() -> Vec<(String, LabRun)> {
    let labs = workshop::labs();
    labs.iter().map(|lab| (lab.name.clone(), lab.run(&Setting::new()).unwrap())).collect()
}

fn last(run: &LabRun) -> EventId {
    EventId(u32::try_from(run.run.world.log().len()).unwrap() - 1)
}

/// Some events, from the first to the last.
fn some(run: &LabRun) -> Vec<EventId> {
    let last = last(run).0;
    (0..=last).step_by(last as usize / 8 + 1).chain([last]).map(EventId).collect()
}

/// What a command prints in a copy of a world.
fn printed(world: &World, host: NetnsId, line: &str) -> Vec<String> {
    let mut world = world.clone();
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    operator::command(&mut world, host, &argv, None).unwrap().stdout
}

#[test]
fn at_the_last_event_everything_is_as_in_the_finished_world() {
    for (lab, run) in runs() {
        let at_end = run.world_at(last(&run));
        for (there, here) in at_end.hosts().iter().zip(run.run.world.hosts()) {
            assert_eq!(listings(&at_end, there), listings(&run.run.world, here), "{lab}: {}", here.name);
            for line in ["iptables-save -c", "ip neigh", "ip route", "ip addr", "nft list ruleset"] {
                let (there, here) =
                    (printed(&at_end, there.id, line), printed(&run.run.world, here.id, line));
                assert_eq!(there, here, "{lab}: {line}");
            }
        }
        assert_eq!(at_end.log(), run.run.world.log(), "{lab}");
    }
}

#[test]
fn its_log_ends_with_the_event() {
    for (lab, run) in runs() {
        for event in some(&run) {
            let world = run.world_at(event);
            let before = &run.run.world.log().entries()[..=event.index()];
            assert!(world.log().entries() == before, "{lab} at {event:?}");
        }
    }
}

/// A line of conntrack without its third word, and that.
fn without_timeout(line: &str) -> (String, i64) {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let timeout = words.remove(2).parse().unwrap();
    (words.join(" "), timeout)
}

#[test]
fn conntrack_prints_at_the_last_event_what_is_read_off_the_log() {
    for (lab, run) in runs() {
        let event = last(&run);
        let world = run.world_at(event);
        for ns in world.hosts() {
            let folded = conntrack_at(&run.run.world, ns.id, event);
            let mut folded: Vec<String> = folded.iter().filter(|e| e.confirmed).map(|e| e.line()).collect();
            let mut listed = printed(&world, ns.id, "conntrack -L");
            folded.sort_by_key(|l| without_timeout(l).0);
            listed.sort_by_key(|l| without_timeout(l).0);
            // The log tells time-outs in whole seconds, so what is left of one may be told a second wrong.
            let (listed, left): (Vec<String>, Vec<i64>) = listed.iter().map(|l| without_timeout(l)).unzip();
            let folded = folded.iter().map(|l| without_timeout(l));
            let folded = folded.filter(|(line, left)| *left > 1 || listed.contains(line));
            let (folded, said): (Vec<String>, Vec<i64>) = folded.unzip();
            assert_eq!(listed, folded, "{lab}: {}", ns.name);
            let near = left.iter().zip(&said).all(|(a, b)| (a - b).abs() <= 1);
            assert!(near, "{lab}: {}: {left:?} {said:?}", ns.name);
        }
    }
}

#[test]
fn rules_have_counted_what_the_log_has_said_so_far() {
    let mut compared = 0;
    for (lab, run) in runs() {
        for event in some(&run) {
            let world = run.world_at(event);
            for ns in world.hosts() {
                let hits = rule_hits(&run.run.world, ns.id, event);
                let end = rule_hits(&run.run.world, ns.id, last(&run));
                let at_end = run.run.world.host(ns.id).unwrap();
                for table in TableId::ALL.into_iter().filter_map(|t| ns.table(t)) {
                    for (c, chain) in table.rules.chains.iter().enumerate() {
                        for n in 0..chain.rules.len() {
                            let key = (table.rules.table, chain.name.clone(), u32::try_from(n).unwrap() + 1);
                            let said = u64::from(hits.get(&key).copied().unwrap_or(0));
                            let counted = table.state.counters(c, n).packets;
                            // A rule that was written anew meanwhile has counted anew.
                            let whole = at_end.table(table.rules.table).unwrap().state.counters(c, n).packets;
                            if whole != u64::from(end.get(&key).copied().unwrap_or(0)) {
                                continue;
                            }
                            compared += counted;
                            assert_eq!(counted, said, "{lab} at {event:?}: {} {key:?}", ns.name);
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 2_000, "{compared}");
}

#[test]
fn rules_by_their_numbers_are_the_text_of_the_tools() {
    for (lab, run) in runs() {
        let world = run.world_at(last(&run));
        for ns in world.hosts().iter().filter(|ns| world.backend(ns.id) == sim::Backend::Legacy) {
            let lists = ns
                .loaded_tables()
                .iter()
                .map(|t| (RuleFormat::List(*t), format!("iptables -t {t} -L -n -v --line-numbers")));
            let saves = [
                (RuleFormat::Save, "iptables-save".to_owned()),
                (RuleFormat::SaveCounters, "iptables-save -c".to_owned()),
            ];
            for (format, line) in lists.chain(saves) {
                let rows = RuleRows::new(ns, format);
                let lines: Vec<String> = (0..rows.len()).map(|n| rows.text(ns, n)).collect();
                assert_eq!(lines, printed(&world, ns.id, &line), "{lab}: {}# {line}", ns.name);
                for n in 0..rows.len() {
                    if let Some(place) = rows.place(n) {
                        assert_eq!(rows.find(place), Some(n), "{lab}: {}# {line}", ns.name);
                    }
                }
            }
        }
    }
}

/// That pods have hooks with br_netfilter gives their routing a heading; it changes none of their steps.
#[test]
fn two_runs_part_at_a_step_that_people_read_differently() {
    let lab = workshop::lab("same-node-clusterip").unwrap();
    let run =
        |value: &str| lab.run(&Setting::from_iter([("br_netfilter".to_owned(), value.to_owned())])).unwrap();
    let (off, on) = (run("off"), run("on"));
    let (a, b) = (&off.run.world, &on.run.world);
    let stories = (sim::view::Story::new(a), sim::view::Story::new(b));
    let difference = sim::view::compare((a, &stories.0), (b, &stories.1)).unwrap();
    let title = |story: &sim::view::Story, step: Option<usize>| story.steps[step.unwrap()].title.clone();
    let titles = [title(&stories.0, difference.a.1), title(&stories.1, difference.b.1)];
    assert!(titles.iter().all(|t| t.contains("br_netfilter")), "{titles:?}");
    assert_ne!(titles[0], titles[1]);
}
