//! What four articles about Kubernetes networking observed, seen here. Each test names the observation; where an article is
//! wrong, the test holds what Linux and kube-proxy do.
//!
//! 000: "Exposing TFTP Server as Kubernetes Service, Part 10"; 001: "Kubernetes service iptables magic"; 002: "Debugging
//! Kubernetes Networking"; 003: "My Kubernetes Networking Journey, Part 2".

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod a000;
mod a001;
mod a002;
mod a003;
mod a004;

use cluster::kube_proxy::{Case, Family, Mode, iptables_jumps};
use kernel::event::{TapDir, What};
use kernel::netfilter::xtables::{LoadedTable, TableId};
use kernel::{Netns, PacketId};
use packet::Ip;
use sim::operator::CommandOutput;
use sim::{CloseHow, Run, Stimulus};
use std::net::Ipv4Addr;
use userland::iptables::{TableStore, iptables, iptables_restore};
use workshop::{At, LabRun, Session, Setting, Typed, query};

/// A lab with some of its switches flipped.
fn lab(name: &str, changes: &[(&str, &str)]) -> LabRun {
    let setting = changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    workshop::lab(name).unwrap().run(&Setting::from_iter(setting)).unwrap()
}

/// What commands print that are typed at the end, each as `BOX: COMMAND`, or without a box if it is about the cluster.
fn typed(name: &str, changes: &[(&str, &str)], lines: &[&str]) -> Vec<CommandOutput> {
    let mut session = Session::new(workshop::lab(name).unwrap().into());
    session.changes = Setting::from_iter(changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    session.typed = lines.iter().map(|line| Typed::of_line(line, At::End)).collect();
    let output = |t: workshop::TypedResult| t.output.unwrap_or_else(|| panic!("{:?}", t.refused));
    session.run().unwrap().typed.into_iter().map(output).collect()
}

fn netns<'a>(run: &'a Run, name: &str) -> &'a Netns {
    run.world.host(run.world.host_by_name(name).unwrap()).unwrap()
}

/// What a capture on a device of a box shows: direction and packet.
fn capture<'a>(run: &'a Run, host: &str, dev: &str) -> Vec<(TapDir, PacketId, &'a Ip)> {
    let id = run.world.host_by_name(host).unwrap();
    let dev_is = |d| netns(run, host).dev_name(d) == dev;
    query::entries(run)
        .filter(|(_, e)| e.host == id)
        .filter_map(|(_, e)| match e.what()? {
            What::Tap { dev, dir, frame, .. } if dev_is(*dev) => Some((*dir, e.packet?, frame.ip()?)),
            _ => None,
        })
        .collect()
}

/// Words of a command line; what stands in quotes is one word.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(i, part)| {
            let plain = part.split_whitespace().map(str::to_owned).collect();
            if i % 2 == 0 { plain } else { vec![part.to_owned()] }
        })
        .collect()
}

/// What a command prints on a box after a run; it must work.
fn shell(run: &Run, host: &str, line: &str) -> Vec<String> {
    let mut world = run.world.clone();
    let id = world.host_by_name(host).unwrap();
    let out = sim::operator::command(&mut world, id, &words(line), None).unwrap();
    assert_eq!((out.status, &out.stderr), (0, &Vec::new()), "{line}");
    out.stdout
}

/// A command on a box, as part of a scenario.
fn command(host: &str, argv: Vec<String>) -> Stimulus {
    Stimulus::Command { shell: sim::operator::shell, host: host.to_owned(), argv, stdin: None }
}

/// An HTTP client.
fn http(host: &str, src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16)) -> Stimulus {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", dst.0).into_bytes();
    let (host, close) = (host.to_owned(), CloseHow::Client);
    Stimulus::Tcp { host, src, dst, request, close, timeout_ms: 1500 }
}

fn outcome(run: &Run, stimulus: usize) -> String {
    query::outcome_text(&run.steps[stimulus].outcome)
}

/// Tables as commands load them.
#[derive(Default)]
struct Store(Vec<(TableId, LoadedTable)>);

impl TableStore for Store {
    fn get(&self, table: TableId) -> Option<&LoadedTable> {
        self.0.iter().find(|(t, _)| *t == table).map(|(_, loaded)| loaded)
    }

    fn replace(&mut self, table: TableId, loaded: LoadedTable) {
        self.0.retain(|(t, _)| *t != table);
        self.0.push((table, loaded));
    }
}

/// What the kube-proxy of a case, in mode iptables, has loaded after its last sync.
struct Loaded(Store);

impl Loaded {
    fn new(yaml: &str) -> Loaded {
        let case = Case::read(yaml).unwrap_or_else(|e| panic!("{e}"));
        let mut loaded = Loaded(Store::default());
        for line in iptables_jumps(&case.config, Family::V4).lines() {
            let out = iptables(&mut loaded.0, &words(&format!("iptables {line}")));
            // A chain that is there already is as good.
            assert!(out.stderr.is_empty() || line.contains(" -N "), "{line}: {}", out.stderr);
        }
        loaded.restore(&case.record(Some(Mode::Iptables)).unwrap().pop().unwrap().text);
        loaded
    }

    /// `iptables-restore --noflush`
    fn restore(&mut self, text: &str) {
        let out = iptables_restore(&mut self.0, &["iptables-restore", "--noflush"], text);
        assert_eq!(out.stderr, "");
    }

    /// `iptables ARGS`, with single blanks.
    fn iptables(&mut self, args: &str) -> Vec<String> {
        let out = iptables(&mut self.0, &words(&format!("iptables {args}")));
        assert_eq!(out.stderr, "", "{args}");
        out.stdout.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The rules of a chain of table nat, as `iptables -t nat -S CHAIN` prints them.
    fn rules(&mut self, chain: &str) -> Vec<String> {
        self.iptables(&format!("-t nat -S {chain}")).split_off(1)
    }

    /// `iptables -t nat -L CHAIN` without the line of column heads.
    fn list(&mut self, chain: &str) -> Vec<String> {
        let mut lines = self.iptables(&format!("-t nat -L {chain}"));
        lines.remove(1);
        lines
    }
}
