//! The end of a real server in mode ipvs (pkg/proxy/ipvs/graceful_termination.go): a TCP server that still has connections gets the
//! weight 0, and is deleted when somebody finds that they are over.

use core::time::Duration;

/// How often that is looked at (`rsCheckDeleteInterval`).
pub const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// A virtual server, as ipvsadm's options name it (`-t 10.0.0.1:80`), and one of its real servers.
type Server = (String, String);

/// The real servers that are to end.
#[derive(Clone, Debug, Default)]
pub struct GracefulTermination {
    servers: Vec<Server>,
}

/// What a node's kernel has.
pub trait VirtualServers {
    /// There is this virtual server.
    fn has(&self, service: &str) -> bool;
    /// The real servers of a virtual server.
    fn servers(&self, service: &str) -> Vec<String>;
    /// How many connections a real server has, active and inactive; `None` if it is not there.
    fn connections(&self, service: &str, server: &str) -> Option<u32>;
    /// A real server of this virtual server has another weight than 1, which kube-proxy gives to all.
    fn has_weights(&self, service: &str) -> bool;
}

impl GracefulTermination {
    /// Some server is to end.
    pub fn is_waiting(&self) -> bool {
        !self.servers.is_empty()
    }

    /// The options of the `ipvsadm` commands that do what a sync wants ([`IpvsText::virtual_servers`](super::IpvsText)), one a line. A
    /// kube-proxy that has just started wants all that there is: `fresh`.
    pub fn sync(&mut self, wanted: &str, fresh: bool, node: &impl VirtualServers) -> Vec<String> {
        let mut out = Vec::new();
        for line in wanted.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [verb, flag, socket, rest @ ..] = words.as_slice() else { continue };
            let service = format!("{flag} {socket}");
            match (*verb, rest) {
                ("-D", _) => {
                    self.servers.retain(|(s, _)| *s != service);
                    out.push(line.to_owned());
                }
                ("-A", _) if node.has(&service) => out.push(line.replacen("-A", "-E", 1)),
                ("-a", ["-r", server, ..]) => {
                    let key = (service, (*server).to_owned());
                    if self.servers.contains(&key) {
                        // It is wanted again: what it had ends (`MoveRSOutofGracefulDeleteList`).
                        self.servers.retain(|s| *s != key);
                        out.push(delete(&key));
                        out.push(line.to_owned());
                    } else if node.connections(&key.0, &key.1).is_none() {
                        out.push(line.to_owned());
                    } else if fresh && node.has_weights(&key.0) {
                        // It may have been on its way out when the last kube-proxy ended. That takes its thresholds as well.
                        out.push(line.replacen("-a", "-e", 1));
                    }
                }
                ("-d", ["-r", server, ..]) => self.end((service, (*server).to_owned()), node, &mut out),
                _ => out.push(line.to_owned()),
            }
        }
        if fresh {
            self.end_strangers(wanted, node, &mut out);
        }
        out
    }

    /// What a fresh kube-proxy finds behind its virtual servers and does not want.
    fn end_strangers(&mut self, wanted: &str, node: &impl VirtualServers, out: &mut Vec<String>) {
        for line in wanted.lines().filter(|l| l.starts_with("-A ")) {
            let service = line.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" ");
            for server in node.servers(&service) {
                let asked = format!("-a {service} -r {server} ");
                let key = (service.clone(), server);
                if !wanted.lines().any(|l| l.starts_with(&asked)) && !self.servers.contains(&key) {
                    self.end(key, node, out);
                }
            }
        }
    }

    /// `GracefulDeleteRS`
    fn end(&mut self, key: Server, node: &impl VirtualServers, out: &mut Vec<String>) {
        if may_go(&key, node) {
            out.push(delete(&key));
        } else {
            out.push(format!("-e {} -r {} -m -w 0", key.0, key.1));
            self.servers.push(key);
        }
    }

    /// What is done each minute (`tryDeleteRs`): the options of `ipvsadm -d` for each server whose connections are over.
    pub fn check(&mut self, node: &impl VirtualServers) -> Vec<String> {
        let mut out = Vec::new();
        self.servers.retain(|key| {
            let there = node.connections(&key.0, &key.1).is_some();
            let over = !there || may_go(key, node);
            if over && there {
                out.push(delete(key));
            }
            !over
        });
        out
    }
}

/// Only TCP waits (`IsRsGracefulTerminationNeeded`): of UDP and SCTP the kernel ends connections without a server
/// (`expire_nodest_conn`).
fn may_go((service, server): &Server, node: &impl VirtualServers) -> bool {
    !service.starts_with("-t ") || node.connections(service, server).is_none_or(|n| n == 0)
}

fn delete((service, server): &Server) -> String {
    format!("-d {service} -r {server}")
}

#[cfg(test)]
mod tests {
    use super::{GracefulTermination, VirtualServers};

    /// Virtual server, real server, connections.
    struct Node(Vec<(&'static str, &'static str, u32)>);

    impl VirtualServers for Node {
        fn has(&self, service: &str) -> bool {
            self.0.iter().any(|(s, _, _)| *s == service)
        }

        fn servers(&self, service: &str) -> Vec<String> {
            self.0.iter().filter(|(s, _, _)| *s == service).map(|(_, r, _)| (*r).to_owned()).collect()
        }

        fn connections(&self, service: &str, server: &str) -> Option<u32> {
            self.0.iter().find(|(s, r, _)| *s == service && *r == server).map(|(_, _, n)| *n)
        }

        fn has_weights(&self, service: &str) -> bool {
            self.servers(service).contains(&WAITING.to_owned())
        }
    }

    const TCP: &str = "-t 10.0.0.1:80";
    const UDP: &str = "-u 10.0.0.1:53";
    const REAL: &str = "10.1.0.1:8080";
    /// One with the weight 0.
    const WAITING: &str = "10.1.0.3:8080";

    #[test]
    fn a_tcp_server_with_connections_waits_for_their_end() {
        let mut graceful = GracefulTermination::default();
        let wanted = format!("-d {TCP} -r {REAL}");
        let busy = Node(vec![(TCP, REAL, 1)]);
        assert_eq!(graceful.sync(&wanted, false, &busy), [format!("-e {TCP} -r {REAL} -m -w 0")]);
        assert!(graceful.check(&busy).is_empty() && graceful.is_waiting());
        assert_eq!(graceful.check(&Node(vec![(TCP, REAL, 0)])), [wanted]);
        assert!(!graceful.is_waiting());
    }

    #[test]
    fn a_server_without_connections_and_one_of_udp_go_at_once() {
        for (service, connections) in [(TCP, 0), (UDP, 7)] {
            let wanted = format!("-d {service} -r {REAL}");
            let node = Node(vec![(service, REAL, connections)]);
            assert_eq!(GracefulTermination::default().sync(&wanted, false, &node), [wanted], "{service}");
        }
    }

    #[test]
    fn a_server_that_is_wanted_again_is_deleted_and_added() {
        let mut graceful = GracefulTermination::default();
        let busy = Node(vec![(TCP, REAL, 1)]);
        graceful.sync(&format!("-d {TCP} -r {REAL}"), false, &busy);
        let again = format!("-a {TCP} -r {REAL} -m -w 1");
        assert_eq!(graceful.sync(&again, false, &busy), [format!("-d {TCP} -r {REAL}"), again]);
        assert!(!graceful.is_waiting());
    }

    #[test]
    fn with_its_virtual_server_a_server_is_forgotten() {
        let mut graceful = GracefulTermination::default();
        let busy = Node(vec![(TCP, REAL, 1)]);
        graceful.sync(&format!("-d {TCP} -r {REAL}"), false, &busy);
        graceful.sync(&format!("-D {TCP}"), false, &busy);
        assert!(!graceful.is_waiting());
    }

    #[test]
    fn a_fresh_kube_proxy_ends_what_is_not_wanted_and_leaves_the_rest() {
        let wanted = format!("-A {TCP} -s rr\n-a {TCP} -r {REAL} -m -w 1");
        let node = Node(vec![(TCP, REAL, 1), (TCP, "10.1.0.2:8080", 0)]);
        assert_eq!(
            GracefulTermination::default().sync(&wanted, true, &node),
            [format!("-E {TCP} -s rr"), format!("-d {TCP} -r 10.1.0.2:8080")]
        );
    }

    #[test]
    fn a_fresh_kube_proxy_edits_all_servers_if_one_has_another_weight() {
        let wanted = format!("-a {TCP} -r {REAL} -m -w 1\n-a {TCP} -r {WAITING} -m -w 1");
        let node = Node(vec![(TCP, REAL, 1), (TCP, WAITING, 0)]);
        let edited = wanted.replace("-a", "-e");
        assert_eq!(GracefulTermination::default().sync(&wanted, true, &node).join("\n"), edited);
        assert!(GracefulTermination::default().sync(&wanted, false, &node).is_empty());
    }
}
