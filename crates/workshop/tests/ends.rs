//! What the end of a packet tells: what was looked at, and what would have let it through.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{called, called_after, in_other_words};
use sim::view::{End, Story, Tone, end};
use std::rc::Rc;
use workshop::{LabRun, Session, Setting, read_lab};

/// The answer for the first bad step whose title has these words.
fn why(lines: &str, title: &str) -> End {
    let run = called_after(lines).run().unwrap();
    let world = &run.run.world;
    let story = Story::new(world);
    let bad = story.steps.iter().filter(|s| s.tone == Tone::Bad);
    let titles: Vec<&str> = bad.clone().map(|s| s.title.as_str()).collect();
    let step = bad.clone().find(|s| s.title.contains(title)).unwrap_or_else(|| panic!("{titles:?}"));
    end(world, step).unwrap()
}

#[test]
fn a_frame_that_nobody_takes_names_who_believes_in_its_mac() {
    let line = "client: ip neigh replace 10.0.0.11 lladdr 02:00:00:00:00:99 dev eth0 nud permanent";
    let end = why(line, "nobody takes it: addressed to 02:00:00:00:00:99");
    assert_eq!(end.looked[0].what, "neighbour of client: ip neigh show 10.0.0.11");
    assert_eq!(end.looked[0].was, "dev eth0 lladdr 02:00:00:00:00:99 PERMANENT");
    assert!(end.through[0].starts_with("ip neigh del 10.0.0.11 dev eth0"), "{end:?}");
}

#[test]
fn a_frame_behind_the_wrong_port_names_the_entry_of_the_forwarding_database() {
    let line = "lan: bridge fdb add 02:00:00:00:02:01 dev p-node-2 master static";
    let end = why(line, "nobody takes it: addressed to 02:00:00:00:02:01");
    assert!(end.looked[0].was.starts_with("behind p-node-2"), "{end:?}");
    assert!(end.through[0].starts_with("bridge fdb del 02:00:00:00:02:01 dev p-node-2 master"), "{end:?}");
}

/// A switch sends copies everywhere until it has learned; the others ignore them, and nothing is lost.
#[test]
fn a_copy_for_somebody_else_is_no_end() {
    let run = called_after("lan: bridge link set dev p-node-1 learning off").run().unwrap();
    let story = Story::new(&run.run.world);
    assert!(story.steps.iter().any(|s| s.title.starts_with("ignored: addressed to")));
    assert!(!story.steps.iter().any(|s| s.title.starts_with("nobody takes it")));
}

#[test]
fn a_route_that_refuses_is_named_with_its_kind() {
    let end = why("node-1: ip route add blackhole 10.0.0.100", "no way to 10.0.0.100");
    assert_eq!(end.looked[0].was, "blackhole 10.0.0.100");
    assert!(end.through[0].starts_with("ip route del blackhole 10.0.0.100"), "{end:?}");
}

#[test]
fn a_rule_that_refuses_is_named_with_its_preference() {
    let end = why("node-1: ip rule add from 10.0.0.100 prohibit pref 9", "no way to");
    assert_eq!(end.looked[0].was, "prohibited, says the rule with preference 9");
    assert_eq!(end.through[0], "ip rule del pref 9");
}

#[test]
fn a_device_that_is_down_is_named() {
    let end = why("node-2: ip link set eth0 down", "device is down");
    assert_eq!((end.place.as_str(), end.looked[0].what.as_str()), ("node-2 · eth0", "eth0"));
    assert_eq!(end.through[0], "ip link set eth0 up");
}

/// The same for a lab's text.
fn why_in(text: &str, title: &str) -> End {
    let run = Session::new(Rc::new(read_lab(text).unwrap())).run().unwrap();
    let story = Story::new(&run.run.world);
    let step = story.steps.iter().find(|s| s.tone == Tone::Bad && s.title.contains(title)).unwrap();
    end(&run.run.world, step).unwrap()
}

#[test]
fn where_nobody_waits_is_told_where_programs_do() {
    let text =
        called().replace("[a, b], app: http, port: 80", "[a, b], app: http, port: 80, address: 127.0.0.1");
    let end = why_in(&text, "no socket for");
    assert_eq!(end.looked[0].was, "none; programs wait on 127.0.0.1:80");
}

#[test]
fn an_address_that_no_box_has_was_to_be_translated() {
    let route = ("apps:", "setup: [{on: client, run: ip route add 192.0.2.1/32 via 10.0.0.11}]\napps:");
    let elsewhere = ("http://10.0.0.11:30080/", "http://192.0.2.1/");
    let end = why_in(&in_other_words(called(), &[&[route, elsewhere]]), "no way to 192.0.2.1");
    assert_eq!(
        (end.looked[1].what.as_str(), end.looked[1].was.as_str()),
        ("box with the address 192.0.2.1", "none")
    );
    let end = why("node-1: ip route del 10.244.2.0/24", "no way to 10.244.2.5");
    assert_eq!(end.looked.len(), 1, "b has it");
}

#[test]
fn who_answers_arp_for_others_has_no_way_to_them() {
    let text = in_other_words(called(), &[&[("machines:", "cni: calico\n  machines:")]]);
    let end = why_in(&text, "who has 169.254.1.1");
    assert!(end.looked[1].what.ends_with("proxy_arp of node-1") && end.looked[1].was == "1", "{end:?}");
    assert_eq!(end.looked[2].what, "route of node-1 to 169.254.1.1");
}

/// The step with these words, and that to which it leads.
fn led(run: &LabRun, title: &str) -> (String, Option<String>) {
    let story = Story::new(&run.run.world);
    let at = story.steps.iter().position(|s| s.title.contains(title)).unwrap();
    let cause = story.cause(&run.run.world, at).map(|i| story.steps[i].title.clone());
    (story.steps[at].title.clone(), cause)
}

#[test]
fn the_line_of_a_program_that_failed_leads_to_the_packet_that_was_lost() {
    let run = called_after("node-2: iptables -I FORWARD -d 10.244.2.5 -j DROP").run().unwrap();
    assert_eq!(led(&run, "curl: (28)").1.as_deref(), Some("dropped by netfilter"));
    // It waits in vain for a packet that ends only when it has given up.
    let run = workshop::lab("ipvs-rollout").unwrap().run(&Setting::new()).unwrap();
    assert!(led(&run, "curl: (28)").1.unwrap().contains("10.244.2.5"));
    // The answer to its packet was lost.
    let run = called_after("b: iptables -I OUTPUT -j DROP").run().unwrap();
    assert_eq!(led(&run, "curl: (28)").1.as_deref(), Some("dropped by netfilter"));
}

#[test]
fn what_a_program_is_told_by_icmp_leads_to_the_packet_that_it_is_about() {
    let run = workshop::lab("stale-udp").unwrap().run(&Setting::new()).unwrap();
    assert_eq!(led(&run, "told: port unreachable").1.as_deref(), Some("dropped by netfilter"));
}

#[test]
fn a_step_with_an_answer_of_its_own_leads_nowhere() {
    let run = called_after("node-2: iptables -I FORWARD -d 10.244.2.5 -j DROP").run().unwrap();
    assert_eq!(led(&run, "dropped by netfilter").1, None);
}
