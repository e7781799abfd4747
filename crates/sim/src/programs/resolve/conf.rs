//! /etc/resolv.conf (resolv.conf(5)) and /etc/hosts.

use std::net::Ipv4Addr;
use std::time::Duration;

/// What /etc/resolv.conf says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Servers, at most three; this host if none is named.
    pub servers: Vec<Ipv4Addr>,
    /// Domains that are tried behind a name.
    pub search: Vec<String>,
    /// A name with at least so many dots is first tried as it is.
    pub ndots: usize,
    /// How long the first server is waited for.
    pub timeout: Duration,
    /// How often all servers are asked.
    pub attempts: u32,
    /// A and AAAA are asked one after the other.
    pub single_request: bool,
    /// The second question leaves from another socket.
    pub single_request_reopen: bool,
    /// The servers take turns in being the first.
    pub rotate: bool,
    /// Servers are asked over TCP from the start.
    pub use_vc: bool,
    /// AAAA is never asked for (glibc 2.36).
    pub no_aaaa: bool,
}

impl Default for ResolvConf {
    fn default() -> ResolvConf {
        ResolvConf {
            servers: vec![Ipv4Addr::LOCALHOST],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            single_request: false,
            single_request_reopen: false,
            rotate: false,
            use_vc: false,
            no_aaaa: false,
        }
    }
}

/// At most that many servers are asked (`MAXNS`).
const MAX_SERVERS: usize = 3;

impl ResolvConf {
    /// Reads the file. Lines and options that glibc does not know it ignores; so do we.
    ///
    /// # Errors
    /// An option that glibc knows and that is not modelled: its name.
    pub fn parse(text: &str) -> Result<ResolvConf, String> {
        let mut conf = ResolvConf { servers: Vec::new(), ..ResolvConf::default() };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    if let Some(Ok(addr)) = words.next().map(str::parse) {
                        conf.servers.push(addr);
                    }
                }
                Some("search") => conf.search = words.map(|w| w.trim_end_matches('.').to_owned()).collect(),
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => {
                    for option in words {
                        conf.option(option)?;
                    }
                }
                _ => {}
            }
        }
        conf.servers.truncate(MAX_SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST);
        }
        Ok(conf)
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let (name, value) =
            option.split_once(':').map_or((option, None), |(n, v)| (n, v.parse::<u64>().ok()));
        match (name, value) {
            // The limits of resolv.h: RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY.
            ("ndots", Some(n)) => self.ndots = usize::try_from(n.min(15)).unwrap_or(15),
            ("timeout", Some(n)) => self.timeout = Duration::from_secs(n.min(30)),
            ("attempts", Some(n)) => self.attempts = u32::try_from(n.min(5)).unwrap_or(5),
            ("single-request", _) => self.single_request = true,
            ("single-request-reopen", _) => self.single_request_reopen = true,
            ("rotate", _) => self.rotate = true,
            ("use-vc", _) => self.use_vc = true,
            ("no-aaaa", _) => self.no_aaaa = true,
            ("inet6", _) => return Err(format!("options {name} of resolv.conf is not modelled")),
            _ => {}
        }
        Ok(())
    }

    /// The names that are asked for in turn (`__res_context_search`).
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut out: Vec<String> = self.search.iter().map(|d| format!("{name}.{d}")).collect();
        if name.matches('.').count() >= self.ndots {
            out.insert(0, name.to_owned());
        } else {
            out.push(name.to_owned());
        }
        out
    }

    /// How long the server with that index in the file is waited for (`send_dg`).
    pub(super) fn patience(&self, server: usize) -> Duration {
        let shifted = self.timeout * (1 << server.min(8));
        let share = if server > 0 {
            shifted / u32::try_from(self.servers.len().max(1)).unwrap_or(1)
        } else {
            shifted
        };
        Duration::from_secs(share.as_secs().max(1))
    }
}

/// The address that a file like /etc/hosts gives a name.
pub fn in_hosts_file(text: &str, name: &str) -> Option<Ipv4Addr> {
    let lines = text.lines().map(|l| l.split('#').next().unwrap_or_default());
    let mut found = lines.filter_map(|l| {
        let mut words = l.split_whitespace();
        let addr = words.next()?.parse().ok()?;
        words.any(|w| w.eq_ignore_ascii_case(name.trim_end_matches('.'))).then_some(addr)
    });
    found.next()
}

/// The name that a file like /etc/hosts gives an address.
pub fn name_of(text: &str, addr: Ipv4Addr) -> Option<&str> {
    let lines = text.lines().map(|l| l.split('#').next().unwrap_or_default());
    let mut found = lines.filter_map(|l| {
        let mut words = l.split_whitespace();
        (words.next()?.parse() == Ok(addr)).then(|| words.next())?
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";

    #[test]
    fn a_pods_file_is_read() {
        let conf = ResolvConf::parse(POD).unwrap();
        assert_eq!(conf.servers, [Ipv4Addr::new(10, 96, 0, 10)]);
        assert_eq!((conf.ndots, conf.search.len(), conf.attempts), (5, 3, 2));
    }

    #[test]
    fn names_with_few_dots_go_through_the_search_list_first() {
        let conf = ResolvConf::parse(POD).unwrap();
        let expected = ["web.default.svc.cluster.local", "web.svc.cluster.local", "web.cluster.local", "web"];
        assert_eq!(conf.candidates("web"), expected);
        assert_eq!(conf.candidates("web.example.com."), ["web.example.com"]);
        let one = ResolvConf::parse("search a b\n").unwrap();
        assert_eq!(one.candidates("x.y"), ["x.y", "x.y.a", "x.y.b"]);
    }

    #[test]
    fn an_option_that_is_not_modelled_is_refused() {
        assert!(ResolvConf::parse("options inet6\n").unwrap_err().contains("inet6"));
        assert!(ResolvConf::parse("options edns0 trust-ad nonsense:1\n").is_ok());
    }

    #[test]
    fn the_second_server_is_waited_for_as_glibc_does() {
        let conf = ResolvConf::parse("nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n").unwrap();
        let patience: Vec<u64> = (0..3).map(|i| conf.patience(i).as_secs()).collect();
        assert_eq!(patience, [5, 3, 6]);
    }

    #[test]
    fn hosts_are_found_by_any_of_their_names() {
        let text = "127.0.0.1 localhost\n10.0.0.9\tweb www # two\n";
        assert_eq!(in_hosts_file(text, "WWW"), Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(in_hosts_file(text, "two"), None);
        assert_eq!(name_of(text, Ipv4Addr::new(10, 0, 0, 9)), Some("web"));
    }
}
