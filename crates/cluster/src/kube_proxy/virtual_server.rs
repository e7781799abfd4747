//! The virtual servers and the addresses of kube-ipvs0 (pkg/proxy/ipvs/proxier.go, `syncService`, `syncEndpoint`).

use super::tracker::PortKey;
use crate::object::Protocol;
use sorted::Map;

/// Where a virtual server answers: `address:port` and protocol.
pub(super) type Address = (String, Protocol);

/// A virtual server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VirtualServer {
    /// Seconds for which a client keeps its real server.
    pub persistence: Option<u32>,
    /// The real servers, sorted.
    pub servers: Vec<String>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct VirtualServers {
    /// Who asks for each, in the order of the Service ports: the last has it.
    servers: Map<Address, Vec<(PortKey, VirtualServer)>>,
    /// How many Service ports ask for an address.
    bound: Map<String, u32>,
    /// What was touched, as it was at the last sync.
    touched: Map<Address, Option<VirtualServer>>,
    touched_addresses: Map<String, bool>,
    /// There was a sync: what is touched is noted.
    made: bool,
}

/// The options that name a virtual server.
fn service(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "-t",
        Protocol::Udp => "-u",
        Protocol::Sctp => "--sctp-service",
    }
}

impl VirtualServers {
    fn touch(&mut self, address: &Address) {
        if self.made && !self.touched.contains_key(address) {
            let was = self.get(address).cloned();
            self.touched.insert(address.clone(), was);
        }
    }

    fn get(&self, address: &Address) -> Option<&VirtualServer> {
        self.servers.get(address).and_then(|all| all.last()).map(|(_, server)| server)
    }

    /// A Service port asks for a virtual server.
    pub fn ask(&mut self, key: &PortKey, address: Address, server: VirtualServer) {
        self.touch(&address);
        let all = self.servers.entry(address).or_default();
        // The same port may ask twice, for an external IP that is also the load balancer's.
        let at = all.partition_point(|(other, _)| other <= key);
        all.insert(at, (key.clone(), server));
    }

    /// A Service port does not ask for a virtual server any more.
    pub fn withdraw(&mut self, key: &PortKey, address: &Address) {
        self.touch(address);
        if let Some(all) = self.servers.get_mut(address) {
            all.retain(|(other, _)| other != key);
            if all.is_empty() {
                self.servers.remove(address);
            }
        }
    }

    /// A Service port asks for an address. True if it is the first.
    pub fn bind(&mut self, ip: &str) -> bool {
        self.touch_address(ip);
        let claims = match self.bound.get_mut(ip) {
            Some(claims) => claims,
            None => self.bound.entry(ip.to_owned()).or_default(),
        };
        *claims += 1;
        *claims == 1
    }

    /// A Service port does not ask for an address any more. True if it was the last.
    pub fn unbind(&mut self, ip: &str) -> bool {
        self.touch_address(ip);
        let Some(claims) = self.bound.get_mut(ip) else { return false };
        *claims -= 1;
        let last = *claims == 0;
        if last {
            self.bound.remove(ip);
        }
        last
    }

    fn touch_address(&mut self, ip: &str) {
        if self.made && !self.touched_addresses.contains_key(ip) {
            self.touched_addresses.insert(ip.to_owned(), self.bound.contains_key(ip));
        }
    }

    /// The addresses, one a line.
    pub fn print_addresses(&self) -> String {
        self.bound.keys().flat_map(|ip| [ip, "\n"]).collect()
    }

    /// What has changed of the addresses; all of them the first time. Must come before [`update`](Self::update).
    pub fn update_addresses(&mut self) -> String {
        if !self.made {
            return self.print_addresses();
        }
        let mut out = String::new();
        for (ip, was) in core::mem::take(&mut self.touched_addresses) {
            match (was, self.bound.contains_key(&ip)) {
                (false, true) => out.push_str(&format!("add {ip}\n")),
                (true, false) => out.push_str(&format!("del {ip}\n")),
                _ => {}
            }
        }
        out
    }

    /// As `ipvsadm -S -n` prints them.
    pub fn print(&self, scheduler: &str) -> String {
        let mut out = String::new();
        for (address, all) in &self.servers {
            let Some((_, server)) = all.last() else { continue };
            head("-A", address, server, scheduler, &mut out);
            for real in &server.servers {
                add_real(address, real, &mut out);
            }
        }
        out
    }

    /// What brings the virtual servers up to date; all of them the first time.
    ///
    /// Nothing is known of connections here: a removed real server goes. [`GracefulTermination`](super::GracefulTermination) lets
    /// those wait that have some.
    pub fn update(&mut self, scheduler: &str) -> String {
        if !core::mem::replace(&mut self.made, true) {
            return self.print(scheduler);
        }
        let mut out = String::new();
        for (address, was) in core::mem::take(&mut self.touched) {
            let (socket, protocol) = &address;
            match (was, self.get(&address)) {
                (None, None) => {}
                (Some(_), None) => out.push_str(&format!("-D {} {socket}\n", service(*protocol))),
                (was, Some(is)) => {
                    let word = if was.is_none() { "-A" } else { "-E" };
                    let old = was.unwrap_or_default();
                    if word == "-A" || old.persistence != is.persistence {
                        head(word, &address, is, scheduler, &mut out);
                    }
                    for real in is.servers.iter().filter(|r| old.servers.binary_search(r).is_err()) {
                        add_real(&address, real, &mut out);
                    }
                    for real in old.servers.iter().filter(|r| is.servers.binary_search(r).is_err()) {
                        out.push_str(&format!("-d {} {socket} -r {real}\n", service(*protocol)));
                    }
                }
            }
        }
        out
    }
}

fn head(word: &str, (socket, protocol): &Address, server: &VirtualServer, scheduler: &str, out: &mut String) {
    for part in [word, " ", service(*protocol), " ", socket, " -s ", scheduler] {
        out.push_str(part);
    }
    if let Some(seconds) = server.persistence {
        out.push_str(&format!(" -p {seconds}"));
    }
    // Maglev hashing looks at ports only with this flag.
    out.push_str(if scheduler == "mh" { " -b mh-port\n" } else { "\n" });
}

fn add_real((socket, protocol): &Address, real: &str, out: &mut String) {
    for part in ["-a ", service(*protocol), " ", socket, " -r ", real, " -m -w 1\n"] {
        out.push_str(part);
    }
}
