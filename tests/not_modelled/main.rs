//! docs/NOT-MODELLED.md: what is refused there is refused here, and what is different there is different here. If one of these
//! tests fails, something was built: the document has to follow.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod different_boxes;
mod different_ipvs;
mod different_kube_proxy;
mod different_netfilter;
mod different_packets;
mod different_programs;
mod different_sets;
mod different_tunnels;
mod document;
mod refused;

use kernel::Netns;
use kernel::event::{TapDir, What};
use packet::{Frame, Ip};
use serde_json::{Value, json};
use sim::{Entry, Run, StepOutcome};

/// A box `a` that is linked to a box `b`, and what is done there.
struct Pair {
    document: Value,
}

impl Pair {
    /// 10.0.0.1 and 10.0.0.2 on eth0, which know each other; `b` answers at UDP 53 and TCP 80.
    fn new() -> Pair {
        Pair {
            document: json!({
                "name": "pair", "settle_ms": 1, "stimuli": [],
                "hosts": {
                    "a": {
                        "addrs": { "eth0": ["10.0.0.1/24"] },
                        "neigh": ["10.0.0.2 lladdr 02:00:00:00:02:01 dev eth0"],
                    },
                    "b": {
                        "addrs": { "eth0": ["10.0.0.2/24"] },
                        "neigh": ["10.0.0.1 lladdr 02:00:00:00:01:01 dev eth0"],
                        "servers": [
                            { "proto": "udp", "bind": "0.0.0.0:53" },
                            { "proto": "udp", "bind": "0.0.0.0:9", "mode": "sink" },
                            { "proto": "tcp", "bind": "0.0.0.0:80" },
                        ],
                    },
                },
                "links": [{ "type": "veth", "a": "a:eth0", "b": "b:eth0" }],
            }),
        }
    }

    /// The same with these rules in `a`.
    fn with_rules(rules: &str) -> Pair {
        let mut pair = Pair::new();
        pair.set("a", "iptables", json!(rules));
        pair.set("a", "trace", json!(false));
        pair
    }

    fn set(&mut self, host: &str, key: &str, value: Value) {
        self.document["hosts"][host][key] = value;
    }

    /// One thing more to do; gives its number.
    fn then(&mut self, stimulus: Value) -> usize {
        let all = self.document["stimuli"].as_array_mut().unwrap();
        all.push(stimulus);
        all.len() - 1
    }

    /// A command in `a`.
    fn cmd(&mut self, line: &str) -> usize {
        self.cmd_in("a", line)
    }

    fn cmd_in(&mut self, host: &str, line: &str) -> usize {
        let argv: Vec<&str> = line.split(' ').collect();
        self.then(json!({ "do": "cmd", "host": host, "argv": argv }))
    }

    /// A datagram from `a` to `b`, for which nobody waits.
    fn udp(&mut self, sport: u16, dport: u16) -> usize {
        self.udp_to(sport, &format!("10.0.0.2:{dport}"))
    }

    fn udp_to(&mut self, sport: u16, to: &str) -> usize {
        let src = format!("0.0.0.0:{sport}");
        self.then(json!({ "do": "udp", "host": "a", "src": src, "dst": to, "reply": false }))
    }

    /// A crafted packet that leaves `from`, as a frame to the other box.
    fn frame(&mut self, from: &str, pkt: Value) -> usize {
        let macs = ["02:00:00:00:01:01", "02:00:00:00:02:01"];
        let (smac, dmac) = if from == "a" { (macs[0], macs[1]) } else { (macs[1], macs[0]) };
        self.then(json!({ "do": "raw", "host": from, "dev": "eth0", "smac": smac, "dmac": dmac, "pkt": pkt }))
    }

    fn sleep(&mut self, ms: u64) {
        self.then(json!({ "do": "sleep", "ms": ms }));
    }

    fn run(&self) -> Done {
        self.run_as(true)
    }

    /// The boxes are the first namespaces of their machines, unless they are children.
    fn run_as(&self, child: bool) -> Done {
        let mut scenario = nflab::scenario::parse(&self.document).unwrap();
        for host in &mut scenario.hosts {
            host.child = child;
        }
        Done(scenario.run().unwrap())
    }
}

/// What came of it.
struct Done(Run);

impl Done {
    fn host(&self, name: &str) -> &Netns {
        self.0.world.host(self.0.world.host_by_name(name).unwrap()).unwrap()
    }

    /// What a command printed, both outputs; its status if it is not 0.
    fn printed(&self, step: usize) -> Vec<String> {
        match &self.0.steps[step].outcome {
            StepOutcome::Command(c) => {
                let status = (c.status != 0).then(|| format!("[rc={}]", c.status));
                c.stdout.iter().chain(&c.stderr).cloned().chain(status).collect()
            }
            StepOutcome::NotRun(why) => vec![why.clone()],
            other => panic!("{other:?}"),
        }
    }

    /// What happened in a box during a step.
    fn entries<'a>(&'a self, host: &str, step: usize) -> impl Iterator<Item = &'a Entry> {
        let (id, s) = (self.0.world.host_by_name(host).unwrap(), &self.0.steps[step]);
        let all = &self.0.world.log().entries()[s.first.index()..s.end.index()];
        all.iter().filter(move |e| e.host == id)
    }

    /// The frames that a box sent (or received) in a step, with the time in microseconds.
    fn frames(&self, host: &str, step: usize, out: bool) -> Vec<(u64, Frame)> {
        let frame = |e: &Entry| match e.what()? {
            What::Tap { dir, frame, .. } if (*dir == TapDir::Out) == out => Some((e.at.0, (**frame).clone())),
            _ => None,
        };
        self.entries(host, step).filter_map(frame).collect()
    }

    /// The IP packets among them.
    fn packets(&self, host: &str, step: usize, out: bool) -> Vec<Ip> {
        self.frames(host, step, out).iter().filter_map(|(_, f)| f.ip().cloned()).collect()
    }

    /// What the kernel of a box has logged in the whole run.
    fn kernel_log(&self, host: &str) -> Vec<String> {
        let id = self.0.world.host_by_name(host).unwrap();
        let line = |e: &Entry| match e.what()? {
            What::KernelLog(line) => Some(line.clone()),
            _ => None,
        };
        self.0.world.log().entries().iter().filter(|e| e.host == id).filter_map(line).collect()
    }
}

/// What a box says to a command: status, both outputs, or why it was not run.
fn say(argv: &[&str], stdin: Option<&str>) -> Result<(i64, String), String> {
    let mut pair = Pair::new();
    let step = pair.then(json!({ "do": "cmd", "host": "a", "argv": argv, "stdin": stdin }));
    match &pair.run().0.steps[step].outcome {
        StepOutcome::NotRun(why) => Err(why.clone()),
        StepOutcome::Command(c) => Ok((i64::from(c.status), c.stdout.concat() + &c.stderr.concat())),
        other => panic!("{other:?}"),
    }
}

/// What a box prints to a command, line by line.
fn printed(line: &str) -> Vec<String> {
    let mut pair = Pair::new();
    let step = pair.cmd(line);
    pair.run().printed(step)
}
