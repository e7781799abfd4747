//! The boxes of the transcripts in `data/ipvs`, made by a Linux 6.1 in a virtual machine: node1 with the bridge cni0 and its
//! pods, node2, and a client, all on one LAN. Scenarios in JSON, as `nflab replay` takes them.

use serde_json::{Value, json};

/// A transcript.
pub fn transcript(name: &str) -> String {
    let path = format!("{}/data/ipvs/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The lines of the block of a transcript whose title begins so.
pub fn block(text: &str, title: &str) -> Vec<String> {
    let mut lines = text.lines();
    let found = lines.by_ref().any(|l| l.strip_prefix("=== ").is_some_and(|t| t.starts_with(title)));
    assert!(found, "no block {title:?}");
    lines.take_while(|l| !l.starts_with("=== ")).map(str::to_owned).collect()
}

/// A lab with what is to be done in it.
pub struct Lab {
    pub scenario: Value,
}

fn servers(port: u16) -> Value {
    json!([
        {"proto": "udp", "bind": format!("0.0.0.0:{port}")},
        {"proto": "tcp", "bind": format!("0.0.0.0:{port}"), "close": "server"}
    ])
}

/// The pods on node1 and the letters that the transcripts give them.
pub const PODS: [(&str, &str, u8); 4] =
    [("podb", "A", 11), ("pode", "B", 12), ("podf", "C", 13), ("podg", "D", 14)];

impl Lab {
    /// All boxes, without rules. Nothing calls iptables from the bridge.
    pub fn new() -> Lab {
        let mut lab = Lab {
            scenario: json!({
                "name": "ipvs", "settle_ms": 5, "stimuli": [],
                "hosts": {
                    "client": {
                        "addrs": {"eth0": ["192.168.1.100/24"]},
                        "routes": ["10.96.0.0/24 via 192.168.1.11"], "servers": []
                    },
                    "node1": {
                        "addrs": {"ens3": ["192.168.1.11/24"], "cni0": ["10.244.1.1/24"]},
                        "ip": ["link add kube-ipvs0 type dummy", "addr add 10.96.0.10/32 dev kube-ipvs0",
                               "route add 10.244.2.0/24 via 192.168.1.12"],
                        "sysctl": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 0},
                        "servers": []
                    },
                    "node2": {
                        "addrs": {"ens4": ["192.168.1.12/24"], "cni2": ["10.244.2.1/24"]},
                        "ip": ["route add 10.244.1.0/24 via 192.168.1.11"],
                        "sysctl": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 0},
                        "servers": []
                    },
                    "sw": {"addrs": {}, "servers": [], "sysctl": {"net.bridge.bridge-nf-call-iptables": 0}}
                },
                "links": [
                    {"type": "veth", "a": "node1:ens3", "b": "sw:p1"},
                    {"type": "veth", "a": "node2:ens4", "b": "sw:p2"},
                    {"type": "veth", "a": "client:eth0", "b": "sw:p3"},
                    {"type": "bridge", "host": "sw", "name": "br0", "ports": [{"dev": "p1"}, {"dev": "p2"}, {"dev": "p3"}]}
                ]
            }),
        };
        let ports = lab.pods(1, &[("poda", 10), ("podb", 11), ("pode", 12), ("podf", 13), ("podg", 14)]);
        lab.link(json!({"type": "bridge", "host": "node1", "name": "cni0", "ports": ports}));
        let ports = lab.pods(2, &[("podc", 10), ("podd", 11)]);
        lab.link(json!({"type": "bridge", "host": "node2", "name": "cni2", "ports": ports}));
        lab
    }

    fn link(&mut self, link: Value) {
        self.scenario["links"].as_array_mut().unwrap().push(link);
    }

    fn pods(&mut self, node: u8, pods: &[(&str, u8)]) -> Value {
        for (name, last) in pods {
            self.scenario["hosts"][*name] = json!({
                "addrs": {"eth0": [format!("10.244.{node}.{last}/24")]},
                "routes": [format!("default via 10.244.{node}.1")],
                "servers": servers(8080)
            });
            self.link(
                json!({"type": "veth", "a": format!("{name}:eth0"), "b": format!("node{node}:v{name}")}),
            );
        }
        pods.iter().map(|(name, _)| json!({"dev": format!("v{name}")})).collect()
    }

    /// Sets something of a box: `at` is a path such as `/ip`.
    pub fn host(&mut self, name: &str, key: &str, value: Value) {
        self.scenario["hosts"][name][key] = value;
    }

    /// One thing more to do; gives its number.
    pub fn then(&mut self, stimulus: Value) -> usize {
        let all = self.scenario["stimuli"].as_array_mut().unwrap();
        all.push(stimulus);
        all.len() - 1
    }

    /// A command on node1.
    pub fn cmd(&mut self, line: &str) -> usize {
        let argv: Vec<&str> = line.split_whitespace().collect();
        self.then(json!({"do": "cmd", "host": "node1", "argv": argv}))
    }

    /// A datagram of a box, or a TCP connection, from a port; the answer is waited for.
    pub fn flow(&mut self, host: &str, tcp: bool, src: &str, dst: &str) -> usize {
        self.then(match tcp {
            true => json!({
                "do": "tcp", "host": host, "src": src, "dst": dst, "request": "x", "timeout_ms": 300, "close": "server"
            }),
            false => json!({
                "do": "udp", "host": host, "src": src, "dst": dst, "connect": false, "payload": "x", "timeout_ms": 300
            }),
        })
    }

    pub fn sleep(&mut self, seconds: u64) {
        self.then(json!({"do": "sleep", "ms": seconds * 1000}));
    }

    pub fn run(&self) -> Record {
        Record(nflab::replay(&self.scenario).unwrap_or_else(|e| panic!("{e}")))
    }
}

/// What came of it.
pub struct Record(pub Value);

impl Record {
    pub fn outcome(&self, step: usize) -> &Value {
        &self.0["steps"][step]["outcome"]
    }

    /// What a command printed, standard error behind standard output, then the exit status if it is not 0.
    pub fn printed(&self, step: usize) -> Vec<String> {
        let outcome = self.outcome(step);
        let lines = |key: &str| outcome[key].as_array().cloned().unwrap_or_default();
        let all = lines("stdout").into_iter().chain(lines("stderr"));
        let mut all: Vec<String> = all.map(|l| l.as_str().unwrap().to_owned()).collect();
        match outcome["rc"].as_i64().unwrap_or_else(|| panic!("{outcome}")) {
            0 => {}
            rc => all.push(format!("[rc={rc}]")),
        }
        all
    }

    /// Who answered: the letter of the pod, `-` for nobody.
    pub fn picked(&self, step: usize) -> &'static str {
        let outcome = self.outcome(step);
        let text = outcome["result"][0]["text"].as_str().or(outcome["reply"].as_str()).unwrap_or_default();
        PODS.iter().find(|(pod, ..)| text.starts_with(pod)).map_or("-", |(_, letter, _)| letter)
    }
}
