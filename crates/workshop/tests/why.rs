//! "Why?" for every end in the labs, and "why not?" for rules of the hook.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::event::What;
use sim::view::{Answer, Area, Asked, End, Step, Story, Tone, end, why_not};
use workshop::{LabRun, Setting};

fn run(lab: &str, set: &[(&str, &str)]) -> (LabRun, Story) {
    let setting: Setting = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let run = workshop::lab(lab).unwrap().run(&setting).unwrap();
    let story = Story::new(&run.run.world);
    (run, story)
}

fn step<'a>(run: &'a (LabRun, Story), title: &str) -> &'a Step {
    run.1.steps.iter().find(|s| s.title.contains(title)).unwrap_or_else(|| panic!("no {title}"))
}

fn why(run: &(LabRun, Story), title: &str) -> End {
    end(&run.0.run.world, step(run, title)).unwrap_or_else(|| panic!("no answer for {title}"))
}

/// The labs at their defaults; that of ten thousand Services has nothing to add.
fn labs() -> impl Iterator<Item = workshop::Lab> {
    workshop::labs().into_iter().filter(|l| l.name != "cost-of-services")
}

#[test]
fn every_bad_end_in_every_lab_has_an_answer() {
    let mut ends = 0;
    for lab in labs() {
        let run = lab.run(&Setting::new()).unwrap();
        let world = &run.run.world;
        for s in Story::new(world).steps.iter().filter(|s| s.tone == Tone::Bad) {
            let what = world.log().get(s.key).and_then(|e| e.what());
            let silent = matches!(
                what,
                Some(
                    What::Drop { .. }
                        | What::Route(_)
                        | What::Conntrack { .. }
                        | What::Neigh { .. }
                        | What::Rule(_)
                        | What::Nft(_)
                )
            );
            if !silent {
                continue;
            }
            ends += 1;
            let e = end(world, s).unwrap_or_else(|| panic!("{}: {}", lab.name, s.title));
            assert!(!e.by.is_empty() && !e.looked.is_empty() && !e.through.is_empty(), "{}: {e:?}", s.title);
            assert!(e.looked.iter().all(|l| !l.was.is_empty() && !l.needed.is_empty()), "{}: {e:?}", s.title);
        }
    }
    assert!(ends > 8, "{ends}");
}

#[test]
fn a_switched_frame_names_the_module_that_would_lend_it_to_the_hooks() {
    let run = run("same-node-clusterip", &[("br_netfilter", "off")]);
    let end = why(&run, "PREROUTING not called");
    assert_eq!(end.through, ["modprobe br_netfilter"]);
}

#[test]
fn a_segment_without_a_socket_asks_for_the_translation_to_be_undone() {
    let run = run("same-node-clusterip", &[("br_netfilter", "off")]);
    let end = why(&run, "no socket for 10.200.2.65:80");
    assert!(end.through[0].contains("so that the answer comes from 10.32.0.102:80"), "{:?}", end);
}

#[test]
fn an_icmp_error_that_comes_late_asks_for_the_socket_whose_packet_it_quotes() {
    let run = run("ipvs-rollout", &[]);
    let end = why(&run, "no socket for 10.96.0.80 → 10.244.1.5");
    assert_eq!(end.looked[0].what, "TCP socket of app for 10.244.1.5:40000, which called 10.96.0.80:80");
    assert_eq!(end.through[0], "A program that waits longer than the error takes to come.");
}

// ---------------------------------------------------------------------- why not

fn ask(run: &(LabRun, Story), title: &str, find: &str) -> Vec<Asked> {
    why_not(&run.0.run.world, step(run, title), find, 1000).rules
}

#[test]
fn a_rule_that_was_asked_names_the_part_that_failed_and_the_packets_value() {
    let run = run("same-node-clusterip", &[("br_netfilter", "off")]);
    let asked = ask(&run, "DNAT --to-destination", "KUBE-SERVICES");
    let failed = asked.iter().find_map(|a| match &a.answer {
        Answer::Failed(t) if t.text.starts_with("-d ") => Some(t),
        _ => None,
    });
    assert_eq!(failed.unwrap_or_else(|| panic!("{asked:?}")).seen, "10.32.0.102");
}

#[test]
fn a_rule_behind_the_one_that_ended_the_walk_was_never_reached() {
    let run = run("same-node-clusterip", &[("br_netfilter", "off")]);
    let all = ask(&run, "DNAT --to-destination", "-");
    let behind = all.iter().find_map(|a| match &a.answer {
        Answer::NotReached(why) if a.table == "nat" && why.contains("the walk ended at rule") => Some(why),
        _ => None,
    });
    assert!(behind.is_some_and(|w| w.contains("KUBE-SEP-3MQ7LGWSED2GAEFA")), "{all:?}");
}

#[test]
fn without_words_the_rules_of_the_steps_chain_are_asked() {
    let run = run("same-node-clusterip", &[("br_netfilter", "off")]);
    let asked = ask(&run, "DNAT --to-destination", "");
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|a| &*a.chain == "KUBE-SEP-3MQ7LGWSED2GAEFA"), "{asked:?}");
    assert!(asked.iter().any(|a| a.answer == Answer::Matched));
}

#[test]
fn nat_is_not_asked_for_later_packets_of_a_connection() {
    let run = run("same-node-clusterip", &[("br_netfilter", "on")]);
    let later =
        run.1.steps.iter().find(|s| s.area == Area::Conntrack && s.title.starts_with("ESTABLISHED")).unwrap();
    let asked = why_not(&run.0.run.world, later, "KUBE-SERVICES", 1000).rules;
    let nat = asked.iter().find(|a| a.table == "nat").unwrap();
    let Answer::NotReached(why) = &nat.answer else { panic!("{nat:?}") };
    assert!(why.contains("first packet of a connection only"), "{why}");
}

#[test]
fn at_most_as_many_rules_as_asked_for_are_answered_and_the_rest_counted() {
    let run = run("same-node-clusterip", &[("br_netfilter", "off")]);
    let s = step(&run, "DNAT --to-destination");
    let all = why_not(&run.0.run.world, s, "-", 1000);
    let few = why_not(&run.0.run.world, s, "-", 3);
    assert_eq!((few.rules.len(), few.more), (3, all.rules.len() - 3));
}

#[test]
fn rules_of_nf_tables_are_asked_too() {
    let (run, story) = run("localhost-nodeport", &[("mode", "nftables")]);
    let s = story.steps.iter().find(|s| s.area == Area::Nft).unwrap();
    let asked = why_not(&run.run.world, s, "ip", 1000).rules;
    let answered = asked.iter().filter(|a| a.table == "ip kube-proxy" && a.answer != Answer::Matched);
    assert!(answered.count() > 0, "{asked:?}");
}

#[test]
fn a_pod_that_was_deleted_is_on_the_map_where_it_was() {
    let (run, story) = run("stale-udp", &[]);
    let world = &run.run.world;
    let gone: Vec<_> = world.hosts().iter().filter(|h| world.is_retired(h.id)).collect();
    assert!(!gone.is_empty());
    for pod in gone {
        let role = story.topology.role(pod.id);
        assert!(matches!(role, sim::view::Role::Pod { bridge: Some(_), .. }), "{} {role:?}", pod.name);
    }
}

#[test]
fn a_search_tries_a_switch_and_its_knob_once() {
    use workshop::cure::{Search, Wanted};
    let lab = std::rc::Rc::new(workshop::lab("same-node-clusterip").unwrap());
    let session = workshop::Session::new(lab);
    let found = Search::new(&session, &session.run().unwrap(), Wanted::Goals).unwrap().all();
    let names: Vec<&str> = found.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.iter().filter(|n| **n == "br_netfilter=on").count(), 1, "{names:?}");
}
