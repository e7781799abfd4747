//! A router with two veths, as in the recorded measurement: frames come in by one and leave by the other.

use super::rules::{self, PORT};
use kernel::dev::DevKind;
use kernel::netfilter::xtables::LoadedTable;
use kernel::{Chance, Cx, DevId, Ids, Instant, Netns, NetnsId, Output};
use packet::{Frame, Ip, L4, Mac, Payload, Udp};
use sim::World;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use userland::iptables::{ParsedTable, parse_restore};

const OWN: Mac = Mac([2, 0, 0, 0, 1, 1]);
const CLIENT: Mac = Mac([2, 0, 0, 0, 1, 2]);
/// Payload of a frame of 46 bytes: 14 Ethernet, 20 IP, 8 UDP.
const PAYLOAD: usize = 4;

/// The router and what it needs to run without a world.
pub struct Node {
    pub ns: Netns,
    inside: DevId,
    rng: Chance,
    ids: Ids,
    now: Instant,
    out: Vec<Output>,
    events: Vec<kernel::Event>,
    /// Log what happens, and do not look rules up by an index.
    pub explain: bool,
}

/// Reads an iptables-restore text.
pub fn parse(text: &str) -> Vec<LoadedTable> {
    let parsed = parse_restore(text).unwrap_or_else(|e| panic!("{}", e[0]));
    parsed.into_iter().map(ParsedTable::load).collect()
}

impl Node {
    /// A router with these rules.
    pub fn new(text: &str) -> Node {
        let mut world = World::new(1);
        let host = world.add_host("node");
        let mut ns = Netns::new(host, "node");
        for (name, mac) in [("eth0", OWN), ("eth1", Mac([2, 0, 0, 0, 2, 1]))] {
            ns.add_device(name, mac, DevKind::Veth);
        }
        *world.host_mut(host).unwrap() = ns;
        for command in [
            "ip link set eth0 up",
            "ip link set eth1 up",
            "ip addr add 10.244.0.1/24 dev eth0",
            "ip addr add 10.244.1.1/24 dev eth1",
            "ip route add 10.244.128.0/17 via 10.244.1.2",
            "ip route add 10.96.0.0/12 via 10.244.1.2",
            "ip neigh add 10.244.1.2 lladdr 02:00:00:00:02:02 dev eth1 nud permanent",
            "sysctl -w net.ipv4.ip_forward=1",
        ] {
            let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let done = sim::operator::command(&mut world, host, &argv, None).unwrap();
            assert_eq!(done.status, 0, "{command}: {done:?}");
        }
        let ns = world.host(host).unwrap().clone();
        let inside = ns.device_by_name("eth0").unwrap();
        let mut node = Node {
            ns,
            inside,
            rng: Chance::new(1, 1),
            ids: Ids::default(),
            now: Instant(1_000_000),
            out: Vec::new(),
            events: Vec::new(),
            explain: false,
        };
        node.load(text);
        node
    }

    /// `iptables-restore`: from the text to the tables that packets meet.
    pub fn load(&mut self, text: &str) {
        for table in parse(text) {
            self.ns.load_table_with_state(table).unwrap();
        }
    }

    /// Forwards one frame after the other; what leaves. Frames are not freed here.
    pub fn forward_all(&mut self, frames: Vec<Rc<Frame>>) -> Vec<Option<Rc<Frame>>> {
        let mut out = Vec::with_capacity(frames.len());
        for frame in frames {
            out.push(self.forward(frame));
        }
        out
    }

    /// Receives a frame and forwards it; the frame that leaves.
    pub fn forward(&mut self, frame: Rc<Frame>) -> Option<Rc<Frame>> {
        self.now = Instant(self.now.0 + 1);
        let id = self.ids.packet();
        let mut cx = Cx {
            now: self.now,
            netns: NetnsId(0),
            rng: &mut self.rng,
            ids: &mut self.ids,
            log: self.explain.then_some(&mut self.events),
            out: &mut self.out,
        };
        self.ns.receive(self.inside, id, frame, &mut cx);
        self.events.clear();
        match self.out.pop() {
            Some(Output::Transmit { frame, .. }) => Some(frame),
            _ => None,
        }
    }

    /// `conntrack -F`, and enough time that nothing of it is left.
    pub fn flush(&mut self) {
        self.now = Instant(self.now.0 + 10_000_000);
        let mut cx = Cx {
            now: self.now,
            netns: NetnsId(0),
            rng: &mut self.rng,
            ids: &mut self.ids,
            log: None,
            out: &mut self.out,
        };
        self.ns.ct_flush(&mut cx);
        self.out.clear();
        self.now = Instant(self.now.0 + 10_000_000);
    }
}

/// The frame of the `n`th flow to a service.
pub fn frame(n: u32, dst: Ipv4Addr) -> Rc<Frame> {
    let src = Ipv4Addr::new(10, 244, 0, 2 + (n / 50_000 % 200) as u8);
    let sport = 10_000 + (n % 50_000) as u16;
    let udp = Udp { sport, dport: PORT, checksum_ok: true, payload: vec![0; PAYLOAD].into() };
    let ip = Ip::new(IpAddr::V4(src), IpAddr::V4(dst), L4::Udp(udp));
    Rc::new(Frame { src: CLIENT, dst: OWN, payload: Payload::Ip(ip) })
}

/// Frames of as many flows to the last service.
pub fn flows(count: u32, services: u32) -> Vec<Rc<Frame>> {
    (0..count).map(|n| frame(n, rules::service(services - 1))).collect()
}
