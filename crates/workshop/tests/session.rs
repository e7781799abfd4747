//! A lab with commands that a person has typed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::served;
use std::rc::Rc;
use workshop::cure::{Progress, Search, Wanted};
use workshop::{At, By, LabRun, Session, Setting, Typed, read_lab};

/// What the client does, and what is wanted.
const STEPS: &str = "
  - {id: one, on: client, run: 'curl -m 1 http://10.0.0.11:30080/'}
  - {id: two, on: client, run: 'curl -m 1 http://10.0.0.11:30080/'}
goals:
  - {text: both answer, that: {all: [{step: one, status: 0}, {step: two, status: 0}]}}
";

fn lab_text() -> String {
    served("web", "other", STEPS)
}

fn session(typed: &[Typed]) -> Session {
    let lab = Rc::new(read_lab(&lab_text()).unwrap());
    Session { lab, changes: Setting::new(), typed: typed.to_vec(), source: None }
}

fn run(typed: &[Typed]) -> LabRun {
    session(typed).run().unwrap()
}

fn on(at: At, host: &str, line: &str) -> Typed {
    Typed { at, on: Some(host.to_owned()), line: line.to_owned(), stdin: String::new() }
}

fn setup(line: &str) -> Typed {
    Typed { at: At::Setup, on: None, line: line.to_owned(), stdin: String::new() }
}

fn apply(yaml: &str) -> Typed {
    Typed { stdin: yaml.to_owned(), ..setup("kubectl apply -f -") }
}

fn wrong(run: &LabRun, n: usize) -> String {
    run.typed[n].wrong().unwrap_or_default()
}

/// The exit status of each exchange.
fn statuses(run: &LabRun) -> Vec<i32> {
    run.stimuli.iter().map(|s| s.command.as_ref().unwrap().1.status).collect()
}

const BLOCK: &str = "iptables -I FORWARD -p tcp --dport 80 -j DROP";
const UNBLOCK: &str = "iptables -D FORWARD -p tcp --dport 80 -j DROP";

#[test]
fn without_commands_it_is_the_labs_own_run() {
    let (mine, labs) = (run(&[]), read_lab(&lab_text()).unwrap().run(&Setting::new()).unwrap());
    assert_eq!(mine.stimuli, labs.stimuli);
    assert_eq!(mine.run.world.log().entries(), labs.run.world.log().entries());
    assert!(mine.goals[0].reached);
}

#[test]
fn a_command_at_setup_is_there_from_the_first_step_on() {
    let run = run(&[on(At::Setup, "node-1", BLOCK)]);
    assert_eq!(statuses(&run), [28, 28]);
    assert_eq!(run.typed[0].exchange, None);
}

#[test]
fn a_command_before_a_step_is_an_exchange_of_its_own() {
    let run = run(&[on(At::Before(1), "node-1", BLOCK)]);
    let by: Vec<By> = run.stimuli.iter().map(|s| s.by).collect();
    assert_eq!(by, [By::Step(0), By::Typed(0), By::Step(1)]);
    assert_eq!(statuses(&run), [0, 0, 28]);
    assert_eq!(run.typed[0].exchange, Some(1));
    assert_eq!(run.stimuli[1].name, format!("node-1: {BLOCK}"));
}

#[test]
fn commands_at_the_end_follow_the_last_step_in_their_order() {
    let list = [
        on(At::End, "node-1", "iptables -S FORWARD"),
        on(At::Before(9), "client", "curl http://10.0.0.11:30080/"),
    ];
    let run = run(&list);
    assert_eq!(run.stimuli.iter().map(|s| s.by).collect::<Vec<_>>()[2..], [By::Typed(0), By::Typed(1)]);
    let output = run.typed[1].output.as_ref().unwrap();
    assert!(output.stdout[0].starts_with("hello from a"), "{output:?}");
}

#[test]
fn nodes_stands_for_each_node() {
    let run = run(&[
        on(At::Setup, "nodes", "iptables -P FORWARD DROP"),
        on(At::End, "nodes", "iptables -S FORWARD"),
    ]);
    let ends: Vec<_> = run.stimuli.iter().filter(|s| s.by == By::Typed(1)).collect();
    assert_eq!(
        ends.iter().map(|s| &*s.name).collect::<Vec<_>>(),
        ["node-1: iptables -S FORWARD", "node-2: iptables -S FORWARD"]
    );
    assert!(ends.iter().all(|s| s.command.as_ref().unwrap().1.stdout[0] == "-P FORWARD DROP"));
}

/// Creates a node that the lab has.
fn create_again() -> Typed {
    let stdin = "apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n".to_owned();
    Typed { stdin, ..setup("kubectl create -f -") }
}

#[test]
fn who_names_no_box_hears_how_to_name_one() {
    let no_box = |at, line: &str| Typed { at, line: line.to_owned(), ..Typed::default() };
    let run = run(&[
        no_box(At::End, "ss -tn"),
        no_box(At::Before(0), "systemctl stop kube-proxy"),
        no_box(At::Setup, "ip addr"),
    ]);
    let boxes = "with one of lan, client, node-1, a, node-2, b as BOX";
    assert_eq!(wrong(&run, 0), format!("ss is run on a box: write it as `BOX: ss -tn`, {boxes}"));
    let systemctl = "systemctl is run on a box: write it as `BOX: systemctl stop kube-proxy`, ";
    assert_eq!(wrong(&run, 1), format!("{systemctl}{boxes}"));
    assert_eq!(wrong(&run, 2), format!("ip is run on a box: write it as `BOX: ip addr`, {boxes}"));
}

#[test]
fn a_line_begins_with_its_box() {
    for (line, on, rest) in [
        ("node-1: ss -tn", Some("node-1"), "ss -tn"),
        (" node-1: ss", Some("node-1"), "ss"),
        ("kubectl get pod", None, "kubectl get pod"),
        ("kubectl patch pod a -p '{a: b}'", None, "kubectl patch pod a -p '{a: b}'"),
    ] {
        let typed = Typed::of_line(line, At::End);
        assert_eq!((typed.on.as_deref(), typed.line.as_str()), (on, rest), "{line}");
    }
}

#[test]
fn a_refused_command_is_told_and_the_others_run() {
    let list = [
        on(At::End, "client", "kurl http://10.0.0.11/"),
        on(At::End, "client", "curl a | perl"),
        on(At::End, "nobody", "ip addr"),
        setup("kubectl scale deployment web --replicas=3"),
        on(At::Setup, "node-1", "iptables -A NO -j DROP"),
        on(At::Setup, "nobody", "ip addr"),
        setup("lab machine add x 10.0.0.5"),
        create_again(),
        on(At::Setup, "node-1", BLOCK),
    ];
    let run = run(&list);
    for (n, want) in [
        "kurl is not modelled; these are: ",
        "perl is not modelled; these are: ",
        "there is no box \"nobody\"; expected one of lan, client, ",
        "Error from server (NotFound): deployments.apps \"web\" not found",
        "iptables: No chain/target/match by that name.",
        "there is no box \"nobody\"; expected one of lan, client, ",
        "\"10.0.0.5\": expected an address with its prefix",
        "Error from server (AlreadyExists): error when creating \"STDIN\": nodes \"node-1\" already exists",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(wrong(&run, n).contains(want), "{n}: {}", wrong(&run, n));
    }
    assert_eq!(wrong(&run, 8), "");
    assert_eq!(statuses(&run), [28, 28]);
}

#[test]
fn what_the_boxes_cannot_be_made_with_is_refused_alone() {
    let run = run(&[
        apply("kind: Pod\nmetadata: {name: c}\nspec: {nodeName: node-1}\nstatus: {podIP: 10.9.9.9}\n"),
        setup("lab machine add second 10.0.0.101/24"),
    ]);
    assert!(
        wrong(&run, 0).contains("expected an address of 10.244.1.0/24, the podCIDR"),
        "{}",
        wrong(&run, 0)
    );
    assert!(run.run.world.host_by_name("second").is_some());
    assert!(run.run.world.host_by_name("c").is_none());
}

#[test]
fn a_machine_comes_and_goes() {
    let second = [
        setup("lab machine add second 10.0.0.101/24"),
        on(At::End, "second", "curl http://10.0.0.11:30080/"),
    ];
    assert_eq!(statuses(&run(&second)), [0, 0, 0]);
    let gone = run(&[setup("lab machine delete client")]);
    assert!(gone.run.world.host_by_name("client").is_none());
    assert!(wrong(&run(&[setup("lab machine delete x")]), 0).contains("expected one of client"));
}

#[test]
fn an_applied_service_gets_what_the_api_server_gives() {
    let yaml = "kind: Service\nmetadata: {name: new}\nspec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}\n";
    let run = run(&[
        apply(yaml),
        on(At::End, "client", "curl http://10.0.0.12:30086/"),
        on(At::End, "b", "curl http://10.96.1.1/"),
    ]);
    assert_eq!(statuses(&run), [0, 0, 0, 0], "{:?}", run.typed);
}

#[test]
fn an_applied_service_keeps_its_addresses() {
    let yaml = "kind: Service\nmetadata: {name: web}\nspec: {type: NodePort, selector: {app: other}, ports: [{port: 80}]}\n";
    let run = run(&[apply(yaml)]);
    let (_, output) = run.stimuli[0].command.as_ref().unwrap();
    assert!(output.stdout[0].starts_with("hello from b"), "{output:?}");
}

/// The API server moves no pod that is there.
#[test]
fn a_pods_node_cannot_be_patched() {
    let moved = r#"kubectl patch pod a -p '{"spec":{"nodeName":"node-2"}}'"#;
    for at in [At::Setup, At::End] {
        let run = run(&[Typed { at, ..setup(moved) }]);
        let said = wrong(&run, 0);
        assert!(said.starts_with("The Pod \"a\" is invalid: spec: Forbidden: "), "{said}");
    }
}

#[test]
fn a_pod_on_another_node_is_another_pod() {
    let run = run(&[
        setup("kubectl delete pod a"),
        apply("kind: Pod\nmetadata: {name: a, labels: {app: web}}\nspec: {nodeName: node-2}\n"),
        on(At::End, "a", "ip -br addr"),
        on(At::End, "client", "curl http://10.0.0.12:30080/"),
    ]);
    let addresses = &run.typed[2].output.as_ref().unwrap().stdout;
    assert!(addresses.iter().any(|l| l.contains("10.244.2.2/24")), "{addresses:?}");
    assert_eq!(statuses(&run), [0; 4]);
}

#[test]
fn a_deleted_node_takes_its_pods_along() {
    let run = run(&[setup("kubectl delete node node-1")]);
    assert!(run.run.world.host_by_name("a").is_none());
    assert!(run.run.world.host_by_name("b").is_some());
}

#[test]
fn a_wrong_object_is_told_with_its_place() {
    let run = run(&[apply("kind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 99999}]}\n")]);
    let refused = run.typed[0].refused.as_ref().unwrap();
    let place = refused.place.as_ref().unwrap();
    assert_eq!((place.line, place.column, &*place.token), (3, 23, "99999"));
    let said = "The Service \"x\" is invalid: spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive";
    assert_eq!(refused.message, said);
}

#[test]
fn what_is_undone_is_as_if_it_had_not_been() {
    let run = run(&[on(At::Setup, "node-1", BLOCK), on(At::Before(0), "node-1", UNBLOCK)]);
    assert_eq!(statuses(&run), [0, 0, 0]);
    assert!(run.goals[0].reached);
}

#[test]
fn a_file_brings_a_session_back() {
    let typed = [
        on(At::Before(1), "node-1", r#"iptables -A FORWARD -m comment --comment "a: \"b\"" -j DROP"#),
        apply("kind: Pod\nmetadata: {name: c}\nspec: {nodeName: node-1}\n"),
        on(At::End, "client", "curl http://10.0.0.11:30080/"),
    ];
    let before = session(&typed);
    let text = Session { source: Some(lab_text().into()), ..before.clone() }.to_file().unwrap();
    let after = Session::from_text(&text).unwrap();
    assert_eq!((after.typed, after.source.as_deref()), (before.typed, Some(lab_text().as_str())));
    assert!(text.contains("      at: \"two\"\n"), "{text}");
}

#[test]
fn a_file_of_a_lab_of_ours_is_that_lab() {
    let lab = Rc::new(workshop::lab("etp-local").unwrap());
    let changes = Setting::from_iter([("externalTrafficPolicy".to_owned(), "Cluster".to_owned())]);
    let session = Session { changes, ..Session::new(lab) };
    let again = Session::from_text(&session.to_file().unwrap()).unwrap();
    assert!(again.same(&session) && again.source.is_none());
}

#[test]
fn every_lab_can_be_kept_in_a_file() {
    for lab in workshop::labs() {
        let session =
            Session { typed: vec![setup("lab machine add x 10.0.0.9/24")], ..Session::new(Rc::new(lab)) };
        session.to_file().unwrap();
    }
}

#[test]
fn a_wrong_session_in_a_file_is_told_with_its_place() {
    let text = |session: &str| lab_text().replace("goals:", &format!("{session}\ngoals:"));
    for (session, want) in [
        ("session: {set: {x: y}}", "no such switch"),
        ("session: {commands: [{run: a, at: three}]}", "\"three\": expected setup, end, or the id"),
        ("session: {command: []}", "no such field; expected one of set, commands"),
    ] {
        let error = Session::from_text(&text(session)).unwrap_err();
        assert!(error.message.contains(want) || error.to_string().contains(want), "{error}");
        assert!(error.line > 10, "{error}");
    }
}

// ---------------------------------------------------------------------- knobs

fn knob(session: &Session, name: &str) -> workshop::knobs::Knob {
    session.knobs().unwrap().into_iter().find(|k| k.name == name).unwrap_or_else(|| panic!("no knob {name}"))
}

#[test]
fn a_knob_says_how_it_stands_and_is_turned_and_turned_back() {
    let mut session = session(&[]);
    for (name, now, to, lines) in [
        ("web externalTrafficPolicy", "Cluster", "Local", 1),
        ("web internalTrafficPolicy", "Cluster", "Local", 1),
        ("web sessionAffinity", "None", "ClientIP", 1),
        ("proxy-mode", "iptables", "ipvs", 1),
        ("masqueradeAll", "false", "true", 1),
        ("br_netfilter", "off", "on", 1),
        ("nf_conntrack_tftp", "off", "on", 1),
        ("nf_nat_tftp", "off", "on", 1),
        ("net.ipv4.ip_forward", "1", "0", 1),
        ("net.ipv4.conf.all.rp_filter", "0", "2", 1),
        ("policy of FORWARD", "ACCEPT", "DROP", 1),
        ("kernel", "6.18", "4.19", 1),
        ("network plugin", "bridge", "flannel-host-gw", 1),
        ("hairpin mode", "none", "hairpin-veth", 1),
        ("a runs on", "node-1", "node-2", 1),
    ] {
        let one = knob(&session, name);
        assert_eq!(one.now, now, "{name}");
        session.turn(&one, to);
        assert_eq!(session.typed.len(), lines, "{name}");
        let wrong: Vec<_> = session.run().unwrap().typed.iter().filter_map(|t| t.wrong()).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        let turned = knob(&session, name);
        assert_eq!(turned.now, to, "{name}");
        session.turn(&turned, now);
        assert!(session.typed.is_empty(), "{name}: {:?}", session.typed);
    }
}

#[test]
fn no_knob_asks_kubectl_for_what_the_api_server_forbids() {
    for lab in workshop::labs() {
        let knobs = Session::new(Rc::new(lab)).knobs().unwrap();
        let commands = knobs.iter().flat_map(|k| &k.positions).flat_map(|t| &t.commands);
        let forbidden: Vec<_> = commands.filter(|c| c.line.contains("patch pod ")).collect();
        assert!(forbidden.is_empty(), "{forbidden:?}");
    }
}

#[test]
fn every_lab_has_knobs_whose_values_can_be_had() {
    for lab in workshop::labs() {
        let session = Session::new(Rc::new(lab));
        let knobs = session.knobs().unwrap();
        for knob in knobs.iter().filter(|k| !k.now.is_empty()) {
            assert!(
                knob.positions.iter().any(|t| t.value == knob.now),
                "{}: {} is {}",
                session.lab.name,
                knob.name,
                knob.now
            );
        }
    }
}

#[test]
fn a_moved_pod_takes_hand_written_endpoints_along() {
    let slice = "
---
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.5], nodeName: node-1}]
ports: [{name: '', port: 80}]
";
    let lab = Rc::new(read_lab(&(lab_text() + slice)).unwrap());
    let mut session = Session::new(lab);
    let one = knob(&session, "a runs on");
    session.turn(&one, "node-2");
    assert_eq!(session.typed[0].line, "lab pod default/a node-2 10.244.2.2");
    let objects = session.contents().unwrap().objects;
    let slice = objects.iter().find(|o| o.kind == "EndpointSlice").unwrap();
    assert!(slice.yaml.contains("10.244.2.2") && slice.yaml.contains("node-2"), "{}", slice.yaml);
    assert_eq!(statuses(&session.run().unwrap()), [0, 0]);
}

#[test]
fn what_a_tool_says_is_wrong_is_told_and_not_where_its_help_is() {
    let run = run(&[on(At::Setup, "node-1", "iptables -A INPUT -p tpc -j DROP")]);
    assert!(wrong(&run, 0).ends_with(": unknown protocol \"tpc\" specified"), "{}", wrong(&run, 0));
}

#[test]
fn a_move_that_cannot_be_names_what_is_wrong() {
    for (line, named) in [
        ("lab pod x node-2", "pods \"x\" not found"),
        ("lab pod a node-2 10.244.2", "\"10.244.2\": expected an address"),
        ("lab pod a", "expected a node"),
    ] {
        let run = run(&[setup(line)]);
        assert!(wrong(&run, 0).contains(named), "{line}: {}", wrong(&run, 0));
    }
}

#[test]
fn kernels_and_proxies_say_what_they_are_held_against() {
    let session = session(&[]);
    assert_eq!(knob(&session, "kernel").held(), "recordings of the kernel");
    assert!(knob(&session, "proxy-mode").held().starts_with("recorded: "));
}

#[test]
fn objects_as_text_can_be_applied_again() {
    for lab in workshop::labs().into_iter().filter(|l| l.objects.len() < 100) {
        let session = Session::new(Rc::new(lab));
        let (run, objects) = (session.run().unwrap(), session.contents().unwrap().objects);
        let files = |o: &&workshop::session::objects::ObjectText| !o.yaml.contains("netfilter-lab/");
        let text: Vec<&str> = objects.iter().filter(files).map(|o| o.yaml.as_str()).collect();
        let again = Session { typed: vec![apply(&text.join("---\n"))], ..session.clone() }.run().unwrap();
        assert_eq!(wrong(&again, 0), "", "{}", session.lab.name);
        assert_eq!(again.stimuli, run.stimuli, "{}", session.lab.name);
    }
}

#[test]
fn what_is_offered_to_be_added_fits_into_each_lab_and_again() {
    let names = ["no-forwarding", "tftp-modern"].into_iter();
    let exercises = names.map(|name| workshop::exercise::exercise(name).unwrap());
    let labs = workshop::labs().into_iter().chain(exercises);
    for lab in labs.filter(|l| l.objects.len() < 100) {
        let mut session = Session::new(Rc::new(lab));
        for n in [0, 2] {
            let now = session.contents().unwrap();
            let offered = (now.node.clone().unwrap(), now.client.clone().unwrap());
            session.typed.push(apply(&offered.0));
            session.typed.push(setup(&offered.1));
            let run = session.run().unwrap();
            assert_eq!(
                (wrong(&run, n), wrong(&run, n + 1)),
                (String::new(), String::new()),
                "{}",
                session.lab.name
            );
            assert_ne!(session.contents().unwrap().machines, now.machines);
        }
    }
}

#[test]
fn runs_are_compared_from_what_differs_first() {
    let steps = STEPS.replacen("-m 1", "-m 1 --local-port 50001", 1);
    let lab = Rc::new(read_lab(&served("web", "other", &steps)).unwrap());
    let runs = |typed: &[Typed]| {
        let session = Session { lab: Rc::clone(&lab), typed: typed.to_vec(), ..session(&[]) };
        let run = session.run().unwrap().run;
        let story = sim::view::Story::new(&run.world);
        (run.world, story)
    };
    let ping = on(At::Before(0), "client", "ping -c 1 10.0.0.11");
    let (a, b) = (runs(&[]), runs(&[ping, on(At::Before(0), "nodes", BLOCK)]));
    let first = sim::view::compare((&a.0, &a.1), (&b.0, &b.1)).unwrap();
    let seen = first.b.0.and_then(|id| b.1.packet(id)).unwrap();
    assert!(first.a.0.is_none() && seen.label.contains("echo request"), "{first:?} {seen:?}");
}

#[test]
fn a_node_that_cannot_be_is_refused_with_its_place() {
    let node = |net: &str, ip: &str| {
        format!(
            "kind: Node\napiVersion: v1\nmetadata: {{name: n9}}\nspec: {{{net}}}\nstatus:\n  addresses: [{{type: InternalIP, address: {ip}}}]\n"
        )
    };
    for (yaml, line, column, named) in [
        (node("podCIDR: 10.244.1.0/24", "10.0.0.77"), 4, 17, "expected another network"),
        (node("", "10.0.0.77"), 3, 18, "expected spec.podCIDR"),
        (node("podCIDR: 10.244.77.0/24", "10.0.0.11"), 6, 43, "has this address already"),
    ] {
        let run = run(&[apply(&yaml)]);
        let refused = run.typed[0].refused.clone().unwrap();
        let place = refused.place.unwrap();
        assert_eq!((place.line, place.column), (line, column), "{place}");
        assert!(place.message.contains(named), "{place}");
    }
}

// ---------------------------------------------------------------------- cures

fn cures(session: &Session, wanted: Wanted) -> Vec<workshop::cure::Cure> {
    let run = session.run().unwrap();
    Search::new(session, &run, wanted).map(Search::all).unwrap_or_default()
}

fn texts(cures: &[workshop::cure::Cure]) -> Vec<String> {
    cures.iter().map(workshop::cure::Cure::text).collect()
}

#[test]
fn nothing_is_to_be_cured_where_the_goal_is_reached() {
    let session = session(&[]);
    assert!(Search::new(&session, &session.run().unwrap(), Wanted::Goals).is_none());
}

#[test]
fn the_rule_that_dropped_it_goes_or_gets_one_before_it() {
    let session = session(&[on(At::Setup, "node-1", BLOCK)]);
    let found = texts(&cures(&session, Wanted::Goals));
    assert!(found.contains(&"node-1# iptables -t filter -D FORWARD 1".to_owned()), "{found:#?}");
    let before =
        "node-1# iptables -t filter -I FORWARD 1 -p tcp --dport 80 -d 10.244.1.5 -j ACCEPT".to_owned();
    assert!(found.contains(&before), "{found:#?}");
}

#[test]
fn a_setting_is_found_and_its_session_works() {
    let session = session(&[on(At::Setup, "nodes", "sysctl -w net.ipv4.ip_forward=0")]);
    let found = cures(&session, Wanted::Exchange(0));
    assert!(
        texts(&found).contains(&"nodes# sysctl -w net.ipv4.ip_forward=1".to_owned()),
        "{:#?}",
        texts(&found)
    );
    assert!(
        found.iter().all(|c| c.session.run().unwrap().stimuli[0].command.as_ref().unwrap().1.status == 0)
    );
}

#[test]
fn two_changes_are_tried_where_one_is_not_enough() {
    let session = session(&[
        on(At::Setup, "nodes", "sysctl -w net.ipv4.ip_forward=0"),
        on(At::Setup, "nodes", "iptables -I FORWARD -j DROP"),
        on(At::Before(0), "node-1", "iptables -S FORWARD"),
    ]);
    let run = session.run().unwrap();
    let mut search = Search::new(&session, &run, Wanted::Goals).unwrap();
    let mut steps = 0;
    while !matches!(search.step(), Progress::Done) && steps < 2000 {
        steps += 1;
    }
    let (done, all) = search.progress();
    assert_eq!(done, all);
}

#[test]
fn a_dropped_packet_is_let_through() {
    let session = session(&[on(At::Setup, "node-1", BLOCK)]);
    let run = session.run().unwrap();
    let drop = run.run.world.log().entries().iter().find(|e| {
        matches!(e.what(), Some(kernel::event::What::Drop { reason: kernel::DropReason::NetfilterDrop, .. }))
    });
    let found = texts(&cures(&session, Wanted::Packet(drop.unwrap().packet.unwrap())));
    assert!(found.contains(&"node-1# iptables -t filter -D FORWARD 1".to_owned()), "{found:#?}");
}

#[test]
fn the_first_labs_cure_is_br_netfilter() {
    let session = Session::new(Rc::new(workshop::lab("same-node-clusterip").unwrap()));
    let run = session.run().unwrap();
    let mut search = Search::new(&session, &run, Wanted::Goals).unwrap();
    let first = loop {
        match search.step() {
            Progress::Found(cure) => break cure,
            Progress::Tried => {}
            Progress::Done => panic!("nothing helps"),
        }
    };
    assert!(first.text().contains("modprobe br_netfilter"), "{}", first.text());
}

/// A switch of the lab and a knob may do the same by another name, with the namespace spelt out, or by another patch of a release.
#[test]
fn no_change_is_offered_twice() {
    for lab in ["localhost-nodeport", "tftp-ipvs", "snat-port-race"] {
        let session = Session::new(Rc::new(workshop::lab(lab).unwrap()));
        let patch = |t: &str| match t.rsplit_once(":v") {
            Some((image, v)) => format!("{image}:v{}", v.rsplit_once('.').map_or(v, |(v, _)| v)),
            None => t.replace("-n default ", ""),
        };
        let found = texts(&cures(&session, Wanted::Goals));
        let mut found: Vec<String> = found.iter().map(|t| patch(t)).collect();
        let all = found.len();
        found.sort();
        found.dedup();
        assert!(all > 0 && found.len() == all, "{lab}: {found:#?}");
    }
}

#[test]
fn an_exercise_is_saved_and_opened_again() {
    let lab = workshop::exercise::exercise("no-forwarding").unwrap();
    let mut session = Session::new(Rc::new(lab));
    session.typed.push(Typed {
        at: At::Before(0),
        on: Some("node-1".to_owned()),
        line: "sysctl -w net.ipv4.ip_forward=1".to_owned(),
        stdin: String::new(),
    });
    let text = session.to_file().unwrap();
    let again = Session::from_text(&text).unwrap();
    assert!(again.same(&session), "{text}");
    assert!(again.run().unwrap().goals.iter().all(|g| g.reached));
}
