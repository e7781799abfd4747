//! What several tests have in common: a cluster, and what the fingerprints of logs and reports are made with.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::fmt::{self, Write};
use std::rc::Rc;
use workshop::cure::{Cure, Progress, Search, Wanted};
use workshop::{At, Session, Setting, Typed, read_lab};

/// Words of a lab's text, and others in their place.
pub type Words = &'static [(&'static str, &'static str)];

/// FNV-1a over everything that is written to it.
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Of nothing.
    pub const EMPTY: Fingerprint = Fingerprint(0xcbf2_9ce4_8422_2325);
}

impl Write for Fingerprint {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for byte in s.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// Two nodes, a pod on each, `a` and `b` with these labels `app`, and a Service of type NodePort for `app: web`.
pub fn two_pods(a: &str, b: &str) -> String {
    let pods = [(1, "a", a), (2, "b", b)].map(|(node, name, app)| {
        format!(
            "---
kind: Pod
metadata: {{name: {name}, labels: {{app: {app}}}}}
spec: {{nodeName: node-{node}}}
status: {{podIP: 10.244.{node}.5}}
"
        )
    });
    let service = "---
kind: Service
metadata: {name: web}
spec: {type: NodePort, clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
";
    [include_str!("../../../../tests/data/two-nodes.yaml"), &pods.concat(), service].concat()
}

/// A lab with these pods, a server on each, and a client beside the nodes; `steps` is the rest of its first document.
pub fn served(a: &str, b: &str, steps: &str) -> String {
    let head = "
apiVersion: netfilter-lab/v1
kind: Lab
metadata: {name: test}
title: t
summary: s
focus: node-1
world:
  machines: [{name: client, address: 10.0.0.100/24}]
apps: [{on: [a, b], app: http, port: 80}]
steps:
";
    [head, steps, &two_pods(a, b)].concat()
}

/// The client calls the Service of the pod `b` by the first node, and the pod; the goal is that both answer.
pub fn called() -> String {
    let steps = "  - {id: one, on: client, run: 'curl -m 3 http://10.0.0.11:30080/'}
  - {id: two, on: client, run: 'curl -m 3 http://10.244.1.5/'}
goals:
  - {text: both answer, that: {all: [{step: one, status: 0}, {step: two, status: 0}]}}
";
    served("other", "web", steps).replacen("10.0.0.100/24}", "10.0.0.100/24, knowsPods: true}", 1)
}

/// That lab with commands at setup, parted by ` && `.
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub fn called_after(lines: &str) -> Session {
    let typed = lines.split(" && ").map(|line| Typed::of_line(line, At::Setup)).collect();
    let lab = Rc::new(read_lab(&called()).unwrap());
    Session { lab, changes: Setting::new(), typed, source: None }
}

/// The lab's text with other words, each of which is in it.
pub fn in_other_words(mut text: String, words: &[&[(&str, &str)]]) -> String {
    for (from, to) in words.concat() {
        assert!(text.contains(from), "{from} is not in {text}");
        text = text.replacen(from, to, 1);
    }
    text
}

/// What the search finds first.
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub fn first(text: &str) -> String {
    let session = Session::new(Rc::new(read_lab(text).unwrap()));
    let run = session.run().unwrap();
    assert!(run.goals.iter().any(|g| !g.reached), "nothing is broken: {text}");
    let mut search = Search::new(&session, &run, Wanted::Goals).unwrap();
    loop {
        match search.step() {
            Progress::Tried => {}
            Progress::Found(cure) => return cure.text(),
            Progress::Done => return String::new(),
        }
    }
}

/// The lab with these words, and this done at setup.
pub fn after(words: Words, on: &str, line: &str) -> String {
    let setup = format!("setup: [{{on: {on}, run: '{line}'}}]\napps:");
    in_other_words(called(), &[words]).replacen("apps:", &setup, 1)
}

/// Only the first exchange is to succeed.
pub const ONE: (&str, &str) =
    ("{all: [{step: one, status: 0}, {step: two, status: 0}]}", "{step: one, status: 0}");

/// All that is found.
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub fn all_of(text: &str) -> Vec<String> {
    let session = Session::new(Rc::new(read_lab(text).unwrap()));
    let found = Search::new(&session, &session.run().unwrap(), Wanted::Goals).unwrap().all();
    found.iter().map(Cure::text).collect()
}

/// The cluster's DNS beside the pods; the client knows names outside.
pub const DNS: &str = "---
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, selector: {k8s-app: kube-dns}, ports: [{port: 53, protocol: UDP}]}
---
kind: Pod
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {nodeName: node-2}
status: {podIP: 10.244.2.53}
---
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
    .:53 {
        kubernetes cluster.local
        forward . 10.0.0.100
    }
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
";
