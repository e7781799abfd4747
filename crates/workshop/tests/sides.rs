//! Request and reply side by side, on the labs: what is paired, what is undone, and why not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kernel::PacketId;
use sim::view::{Flow, Gap, SideBox, SidePlace, Sides, Story, sides};
use workshop::{LabRun, Setting};

/// A lab that was run, with the settings of some switches.
fn run(lab: &str, set: &[(&str, &str)]) -> (LabRun, Story) {
    let setting: Setting = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let run = workshop::lab(lab).unwrap().run(&setting).unwrap();
    let story = Story::new(&run.run.world);
    (run, story)
}

/// The first packet of that name that a side sent which began.
fn first(story: &Story, label: &str) -> PacketId {
    let found = story.packets.iter().find(|p| p.label == label && p.flow == Flow::Request);
    found.unwrap_or_else(|| panic!("no {label}")).id
}

fn of(run: &(LabRun, Story), label: &str) -> Sides {
    sides(&run.0.run.world, &run.1, first(&run.1, label)).unwrap()
}

fn at<'a>(run: &(LabRun, Story), sides: &'a Sides, host: &str) -> &'a SideBox {
    let id = run.0.run.world.host_by_name(host).unwrap();
    sides.boxes.iter().find(|b| b.host == id).unwrap()
}

/// The gaps of a pair.
fn gaps(sides: &Sides) -> Vec<&Gap> {
    sides.boxes.iter().flat_map(|b| &b.nat).filter_map(|n| n.undone.as_ref().err()).collect()
}

/// The pair as text: boxes, places, and what either met there.
fn text(run: &(LabRun, Story), sides: &Sides) -> String {
    let world = &run.0.run.world;
    let mut out = String::new();
    let titles = |list: &[usize]| {
        let all: Vec<&str> = list.iter().map(|i| run.1.steps[*i].title.as_str()).collect();
        all.join("; ")
    };
    for b in &sides.boxes {
        let ns = world.host(b.host).unwrap();
        out += &format!("{}{}\n", ns.name, if b.ignored { " (ignored)" } else { "" });
        for r in &b.rows {
            out += &format!("  {}: {} | {}\n", r.place.name(ns), titles(&r.request), titles(&r.reply));
        }
        for n in &b.nat {
            out += &match &n.undone {
                Ok(step) => format!("  undone: {}\n", titles(&[*step])),
                Err(gap) => format!("  NOT UNDONE: {}\n", gap.why),
            };
        }
    }
    out + &sides.silence.clone().unwrap_or_default()
}

const SAME_NODE: &str = "same-node-clusterip";

#[test]
fn a_switched_reply_leaves_a_gap_that_names_br_netfilter() {
    let run = run(SAME_NODE, &[("br_netfilter", "off")]);
    let sides = of(&run, "SYN");
    let why: Vec<&str> = gaps(&sides).iter().map(|g| g.why.as_str()).collect();
    assert_eq!(
        why,
        [
            "no conntrack lookup here, because cnio0 switches the frame and br_netfilter is not loaded, so it never meets \
          PREROUTING"
        ]
    );
}

#[test]
fn the_gap_is_at_the_bridge_that_switched_the_reply() {
    let run = run(SAME_NODE, &[("br_netfilter", "off")]);
    let sides = of(&run, "SYN");
    assert!(matches!(gaps(&sides)[0].place, Some(SidePlace::Bridge(_))), "{:?}", gaps(&sides));
    let step = gaps(&sides)[0].step.unwrap();
    assert_eq!(run.1.steps[step].packet, sides.reply);
}

#[test]
fn with_br_netfilter_the_reply_is_un_nated() {
    let run = run(SAME_NODE, &[("br_netfilter", "on")]);
    let sides = of(&run, "SYN");
    let pairs = &at(&run, &sides, "worker-2").nat;
    assert_eq!(pairs.len(), 1, "{}", text(&run, &sides));
    let step = *pairs[0].undone.as_ref().unwrap();
    assert!(run.1.steps[step].title.starts_with("DNAT undone: source"), "{}", run.1.steps[step].title);
}

#[test]
fn the_reply_of_a_reply_is_the_same_pair() {
    let run = run(SAME_NODE, &[("br_netfilter", "on")]);
    let there = of(&run, "SYN");
    let back = sides(&run.0.run.world, &run.1, there.reply.unwrap()).unwrap();
    assert_eq!(there, back);
}

#[test]
fn every_step_of_either_packet_stands_in_one_row() {
    for lab in workshop::labs().into_iter().filter(|l| l.name != "cost-of-services") {
        let run = lab.run(&Setting::new()).unwrap();
        let story = Story::new(&run.run.world);
        for p in story.packets.iter().filter(|p| p.flow != Flow::Noise).take(12) {
            let s = sides(&run.run.world, &story, p.id).unwrap();
            let mut shown: Vec<usize> = s
                .boxes
                .iter()
                .flat_map(|b| &b.rows)
                .flat_map(|r| r.request.iter().chain(&r.reply))
                .copied()
                .collect();
            shown.sort_unstable();
            let of_pair =
                |x: &sim::view::Step| x.packet.is_some_and(|id| id == s.request || Some(id) == s.reply);
            let all: Vec<usize> =
                story.steps.iter().enumerate().filter(|(_, x)| of_pair(x)).map(|(i, _)| i).collect();
            assert_eq!(shown, all, "{} {}", lab.name, p.label);
        }
    }
}
