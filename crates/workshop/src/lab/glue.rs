//! Client programs as stimuli.

use sim::{CloseHow, Stimulus};
use std::net::Ipv4Addr;

pub(super) fn stimulus(host: &str, argv: &[String]) -> Option<Stimulus> {
    let mut words = argv.get(1..)?.iter().map(String::as_str);
    let mut agent = "curl/7.88.1".to_owned();
    let (mut port, mut timeout_ms, mut url, mut file) = (0, 1500, String::new(), String::new());
    let mut plain = Vec::new();
    while let Some(w) = words.next() {
        match w {
            "--local-port" => port = words.next()?.parse().ok()?,
            "-R" => port = words.next()?.split(':').next()?.parse().ok()?,
            "-m" => {
                timeout_ms = words
                    .next()?
                    .strip_suffix(".5")
                    .map_or(2000, |s| s.parse::<u64>().unwrap_or(1) * 1000 + 500)
            }
            "-A" => agent = words.next()?.to_owned(),
            "-c" => {
                words.next()?;
                file = words.next()?.to_owned();
            }
            _ => {
                url = w.to_owned();
                plain.push(w);
            }
        }
    }
    let host = host.to_owned();
    let any = Ipv4Addr::UNSPECIFIED;
    match argv.first()?.as_str() {
        "curl" => {
            let url = url.trim_start_matches("http://").trim_end_matches('/');
            let (addr, dport) = url.split_once(':').unwrap_or((url, "80"));
            let request =
                format!("GET / HTTP/1.1\r\nHost: {url}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n")
                    .into_bytes();
            Some(Stimulus::Tcp {
                host,
                src: (any, port),
                dst: (addr.parse().ok()?, dport.parse().ok()?),
                request,
                close: CloseHow::Client,
                timeout_ms,
            })
        }
        "tftp" => Some(Stimulus::Tftp {
            host,
            src: (any, port),
            dst: (plain.first()?.parse().ok()?, 69),
            file,
            strict: true,
            retransmit_ms: 5000,
            timeout_ms: 25_000,
        }),
        _ => None,
    }
}
