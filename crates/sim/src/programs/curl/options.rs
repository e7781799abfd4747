//! What is asked of curl: its command line.

use super::super::args::{Args, Mistake, millis, not_modelled};
use super::code;
use crate::operator::CommandOutput;
use std::net::Ipv4Addr;
use std::time::Duration;

const LONG: &[(&str, bool)] = &[
    ("silent", false),
    ("show-error", false),
    ("verbose", false),
    ("include", false),
    ("head", false),
    ("fail", false),
    ("output", true),
    ("max-time", true),
    ("connect-timeout", true),
    ("local-port", true),
    ("interface", true),
    ("write-out", true),
    ("ipv4", false),
    ("header", true),
    ("user-agent", true),
    ("request", true),
    ("no-buffer", false),
    ("insecure", false),
    ("http1.1", false),
    ("globoff", false),
    ("no-progress-meter", false),
    ("remote-name", false),
    // No server here sends anybody elsewhere.
    ("location", false),
];

/// Options that curl has and that are not modelled.
const NOT_MODELLED: &[&str] = &[
    "d",
    "data",
    "F",
    "form",
    "u",
    "user",
    "x",
    "proxy",
    "T",
    "upload-file",
    "6",
    "ipv6",
    "b",
    "cookie",
    "c",
    "cookie-jar",
    "e",
    "referer",
    "G",
    "get",
    "K",
    "config",
    "r",
    "range",
    "Z",
    "parallel",
    "retry",
    "resolve",
    "keepalive-time",
    "http2",
    "http1.0",
    "0",
    "limit-rate",
    "compressed",
    "V",
    "version",
    "h",
    "help",
    "D",
    "dump-header",
    "#",
    "progress-bar",
    "z",
    "time-cond",
    "anyauth",
    "basic",
    "cacert",
    "capath",
    "cert",
    "ciphers",
    "connect-to",
    "create-dirs",
    "data-ascii",
    "data-binary",
    "data-raw",
    "data-urlencode",
    "digest",
    "dns-ipv4-addr",
    "dns-servers",
    "doh-url",
    "fail-early",
    "fail-with-body",
    "happy-eyeballs-timeout-ms",
    "http0.9",
    "http2-prior-knowledge",
    "http3",
    "json",
    "key",
    "location-trusted",
    "max-filesize",
    "max-redirs",
    "netrc",
    "next",
    "no-keepalive",
    "no-sessionid",
    "noproxy",
    "oauth2-bearer",
    "output-dir",
    "parallel-max",
    "path-as-is",
    "preproxy",
    "proto",
    "raw",
    "rate",
    "remote-header-name",
    "remote-name-all",
    "request-target",
    "retry-all-errors",
    "retry-connrefused",
    "retry-delay",
    "retry-max-time",
    "socks4",
    "socks5",
    "socks5-hostname",
    "speed-limit",
    "speed-time",
    "stderr",
    "tcp-fastopen",
    "tcp-nodelay",
    "tlsv1.2",
    "tlsv1.3",
    "tr-encoding",
    "trace",
    "trace-ascii",
    "trace-time",
    "unix-socket",
    "url",
    "url-query",
];

const TRY_HELP: &str = "curl: try 'curl --help' or 'curl --manual' for more information";

/// What is asked of curl.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub silent: bool,
    pub show_error: bool,
    pub verbose: bool,
    pub include: bool,
    pub head: bool,
    pub fail: bool,
    /// One for each URL, in order; what is left over goes to standard output.
    pub outputs: Vec<String>,
    pub max_time: Option<Duration>,
    pub connect_timeout: Duration,
    pub local: (Ipv4Addr, u16),
    pub write_out: Option<String>,
    pub headers: Vec<String>,
    pub agent: String,
    pub method: Option<String>,
}

/// What a URL names, or why it names nothing: status and text.
pub(super) type Target = Result<(String, u16, String), (i32, String)>;

/// Reads the command line: what is asked, and of which URLs.
pub(super) fn read(argv: &[String]) -> Result<(Options, Vec<Target>), CommandOutput> {
    let usage = |line: String| CommandOutput::failed(code::FAILED_INIT, format!("{line}\n{TRY_HELP}"));
    let args = Args::read(argv, "sSviIf4NkgOL", "omwHAX", LONG, false).map_err(|mistake| match mistake {
        Mistake::Unknown(option) if NOT_MODELLED.contains(&option.trim_start_matches('-')) => {
            let dashes = if option.starts_with('-') { "" } else { "-" };
            not_modelled("curl", &format!("{dashes}{option}"))
        }
        Mistake::Unknown(o) if o.starts_with('-') => usage(format!("curl: option {o}: is unknown")),
        Mistake::Unknown(o) => usage(format!("curl: option -{o}: is unknown")),
        Mistake::NeedsValue(o) if o.starts_with('-') => {
            usage(format!("curl: option {o}: requires parameter"))
        }
        Mistake::NeedsValue(o) => usage(format!("curl: option -{o}: requires parameter")),
    })?;
    if args.rest.is_empty() {
        return Err(match args.options.is_empty() {
            true => CommandOutput::failed(code::FAILED_INIT, TRY_HELP),
            false => usage("curl: no URL specified!".to_owned()),
        });
    }
    let silent = args.has(&["s", "silent"]);
    let show_error = args.has(&["S", "show-error"]);
    let time = |names: &[&str]| match args.value(names) {
        None => Ok(None),
        Some(text) => match millis(text) {
            Some(0) => Ok(None),
            Some(ms) => Ok(Some(Duration::from_millis(ms))),
            None => {
                Err(usage(format!("curl: option {}: expected a proper numerical parameter", dashed(names))))
            }
        },
    };
    let local_port = match args.value(&["local-port"]).map(str::parse::<u16>) {
        None => 0,
        Some(Ok(port)) => port,
        Some(Err(_)) => return Err(not_modelled("curl", "--local-port with a range")),
    };
    let local = match args.value(&["interface"]).map(str::parse) {
        None => Ipv4Addr::UNSPECIFIED,
        Some(Ok(addr)) => addr,
        Some(Err(_)) => return Err(not_modelled("curl", "--interface with a device")),
    };
    let mut targets = Vec::new();
    for url in &args.rest {
        if url.contains(['[', ']', '{', '}']) {
            return Err(not_modelled("curl", "[], {} in a URL"));
        }
        targets.push(match read_url(url) {
            Ok(target) => Ok(target),
            Err(BadUrl::Scheme(s)) if ["https", "ftp", "tftp", "telnet", "file"].contains(&s.as_str()) => {
                return Err(not_modelled("curl", &format!("{s}://")));
            }
            Err(BadUrl::Scheme(s)) => {
                let text = format!("Protocol \"{s}\" not supported or disabled in libcurl");
                Err((code::UNSUPPORTED_PROTOCOL, text))
            }
            Err(BadUrl::Format) => Err((code::URL, "URL using bad/illegal format or missing URL".to_owned())),
        });
    }
    let outputs = args.options.iter().filter(|(n, _)| OUTPUTS.contains(&n.as_str())).enumerate();
    let outputs =
        outputs.map(|(n, (_, v))| v.clone().or_else(|| args.rest.get(n).map(|url| remote_name(url))));
    let outputs: Vec<String> = outputs.flatten().collect();
    if outputs.iter().any(String::is_empty) {
        let text = "curl: Remote file name has no length!\n\
                    curl: (23) Failed writing received data to disk/application";
        return Err(CommandOutput::failed(code::WRITE, if silent { "" } else { text }));
    }
    let headers = args.options.iter().filter(|(n, _)| n == "H" || n == "header");
    let options = Options {
        silent,
        show_error,
        verbose: args.has(&["v", "verbose"]),
        include: args.has(&["i", "include"]),
        head: args.has(&["I", "head"]),
        fail: args.has(&["f", "fail"]),
        outputs,
        max_time: time(&["m", "max-time"])?,
        connect_timeout: time(&["connect-timeout"])?.unwrap_or(Duration::from_secs(300)),
        local: (local, local_port),
        write_out: args.value(&["w", "write-out"]).map(str::to_owned),
        headers: headers.filter_map(|(_, v)| v.clone()).collect(),
        agent: args.value(&["A", "user-agent"]).unwrap_or("curl/7.88.1").to_owned(),
        method: args.value(&["X", "request"]).map(str::to_owned),
    };
    Ok((options, targets))
}

/// Options that say where a URL's text goes.
const OUTPUTS: [&str; 4] = ["o", "output", "O", "remote-name"];

/// The last part of a URL's path, as `-O` has it.
fn remote_name(url: &str) -> String {
    let path =
        url.split_once("://").map_or(url, |(_, rest)| rest).split(['?', '#']).next().unwrap_or_default();
    path.split_once('/').map_or("", |(_, path)| path.rsplit('/').next().unwrap_or_default()).to_owned()
}

fn dashed(names: &[&str]) -> String {
    let name = names.first().copied().unwrap_or_default();
    if name.len() == 1 { format!("-{name}") } else { format!("--{name}") }
}

enum BadUrl {
    Scheme(String),
    Format,
}

/// `[http://]HOST[:PORT][/PATH]`
fn read_url(url: &str) -> Result<(String, u16, String), BadUrl> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(BadUrl::Scheme(scheme.to_ascii_lowercase()));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let (host, port) = match authority.split_once(':') {
        None => (authority, 80),
        Some((host, "")) => (host, 80),
        Some((host, port)) => (host, port.parse().map_err(|_| BadUrl::Format)?),
    };
    if host.is_empty() || host.contains([' ', '[', '@']) {
        return Err(BadUrl::Format);
    }
    Ok((host.to_owned(), port, path))
}
