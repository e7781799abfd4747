//! Crafted packets, drawn from the bytes, through a node with rules of many kinds.
#![no_main]

use fuzz::{cmd, frame, world};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// Bytes that are used up.
struct Draw<'a>(&'a [u8]);

impl Draw<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }
}

const ADDRS: [&str; 12] = [
    "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.1.0.2", "10.9.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.255",
    "224.0.0.1", "10.1.0.255", "8.8.8.8",
];
const PORTS: [u16; 10] = [0, 1, 21, 53, 69, 80, 5000, 1023, 40000, 65535];

fn packet(d: &mut Draw<'_>, depth: u8) -> Value {
    let proto = d.of(&["udp", "tcp", "icmp", "132", "136", "47", "1", "6", "17", "255"]);
    let mut p = json!({ "proto": proto, "src": d.of(&ADDRS), "dst": d.of(&ADDRS), "ttl": d.byte() });
    let bits = d.byte();
    if proto == "udp" || proto == "tcp" {
        p["sport"] = json!(d.of(&PORTS));
        p["dport"] = json!(d.of(&PORTS));
    }
    if proto == "tcp" {
        let flags: String = "FSRPAUEC".chars().filter(|_| d.byte() & 1 == 1).collect();
        p["flags"] = json!(flags);
        p["seq"] = json!(d.number());
        p["ack"] = json!(d.number());
        p["win"] = json!(d.number() & 0xffff);
    }
    if proto == "icmp" {
        p["type"] = json!(d.byte() % 20);
        p["code"] = json!(d.byte() % 16);
        if bits & 1 == 1 && depth < 3 {
            p["inner"] = packet(d, depth + 1);
        }
    }
    if bits & 2 == 2 {
        p["badsum"] = json!(true);
    }
    if bits & 4 == 4 {
        p["df"] = json!(true);
    }
    if bits & 8 == 8 {
        p["mf"] = json!(true);
        p["ipid"] = json!(d.byte());
    }
    if bits & 16 == 16 {
        let from = u32::from(d.byte()) * 8;
        p["frag_slice"] = json!([from, from + u32::from(d.byte())]);
    }
    if bits & 32 == 32 {
        let payload: String = (0..d.byte()).map(|_| char::from(d.byte() % 95 + 32)).collect();
        p["payload"] = json!(d.of(&["PORT 10,0,0,2,4,1\r\n", "227 Entering (10,1,0,2,4,1)\r\n", "\0\u{1}file\0octet\0", ""]).to_owned() + &payload);
    }
    p
}

const RULES: &str = include_str!("../rules.txt");

fuzz_target!(|data: &[u8]| {
    let mut d = Draw(data);
    let mut stimuli = vec![cmd(&["iptables-restore"], Some(RULES))];
    while !d.0.is_empty() && stimuli.len() < 40 {
        let how = d.byte();
        let pkt = packet(&mut d, 0);
        stimuli.push(match how % 8 {
            0 => json!({ "do": "raw", "host": "node", "pkt": pkt }),
            1 => json!({ "do": "raw", "host": "pod", "dev": "eth0", "smac": "02:00:00:00:03:01", "dmac": "ff:ff:ff:ff:ff:ff", "pkt": pkt }),
            2 => json!({ "do": "sleep", "ms": 100 * u64::from(d.byte()) }),
            _ => frame(pkt),
        });
    }
    nflab::replay(&world(stimuli)).expect("the world itself is fine");
});
