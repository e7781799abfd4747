//! `send`: a TCP segment that no program sent.

use cluster::Read;
use cluster::fields::{Fields, number, text};
use cluster::yaml::Yaml;
use packet::{Ip, L4, Port, Tcp, TcpFlags, TcpOptions};
use sim::Stimulus;
use std::net::{IpAddr, SocketAddrV4};

/// A TCP segment whose numbers may be told by the initial numbers of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    ip: Ip,
    seq: Option<(usize, u32)>,
    ack: Option<(usize, u32)>,
}

impl Segment {
    /// Reads the mapping behind `send`.
    pub(super) fn read(at: &Yaml) -> Read<Segment> {
        let f = Fields::strict(at, &["src", "dst", "flags", "seq", "ack", "window", "payload"])?;
        let ((src, sport), (dst, dport)) = (endpoint(f.need("src")?)?, endpoint(f.need("dst")?)?);
        let (seq, ack) = (f.get("seq").map(sequence).transpose()?, f.get("ack").map(sequence).transpose()?);
        let tcp = Tcp {
            sport,
            dport,
            seq: seq.map_or(0, |n| n.1),
            ack: ack.map_or(0, |n| n.1),
            flags: flags(f.need("flags")?)?,
            window: f.port("window", 0)?.unwrap_or(64_240),
            options: TcpOptions::default(),
            checksum_ok: true,
            payload: f.text("payload")?.unwrap_or_default().as_bytes().to_vec(),
        };
        let relative = |n: Option<Number>| n.and_then(|(base, by)| Some((base?, by)));
        Ok(Segment { ip: Ip::new(src, dst, L4::Tcp(tcp)), seq: relative(seq), ack: relative(ack) })
    }

    /// What a box does.
    pub(super) fn stimulus(&self, host: &str) -> Stimulus {
        let packet = Stimulus::Raw { host: host.to_owned(), ip: self.ip.clone() };
        match (self.seq, self.ack) {
            (None, None) => packet,
            (seq, ack) => Stimulus::Relative { packet: Box::new(packet), seq, ack },
        }
    }

    /// In words.
    pub(super) fn text(&self, host: &str) -> String {
        format!("{host} sends a crafted segment to {}", self.ip.dst)
    }
}

fn endpoint(v: &Yaml) -> Read<(IpAddr, Port)> {
    let parsed: Result<SocketAddrV4, _> = text(v)?.parse();
    let at = parsed.map_err(|_| v.blame("expected an IPv4 address with a port, such as 10.244.1.5:80"))?;
    Ok((IpAddr::V4(*at.ip()), at.port()))
}

/// Which initial number, if it is relative to one, and the number or the distance.
type Number = (Option<usize>, u32);

/// `B+900000`: so far behind the second initial number that was seen; or a number.
fn sequence(v: &Yaml) -> Read<Number> {
    let Some((letter, distance)) = text(v).ok().and_then(|t| t.split_once('+')) else {
        return Ok((None, number(v, 0, u32::MAX)?));
    };
    let base = match letter.as_bytes() {
        [c @ b'A'..=b'Z'] => Some(usize::from(c - b'A')),
        _ => None,
    };
    let number =
        Some(distance).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
    match base.zip(number) {
        Some((base, by)) => Ok((Some(base), by)),
        None => {
            Err(v.blame("expected a number, or the letter of an initial number and a distance: B+900000"))
        }
    }
}

/// As tcpdump prints them: `S`, `PA`, `P.`, `R`.
fn flags(v: &Yaml) -> Read<TcpFlags> {
    let known = [
        ('F', TcpFlags::FIN),
        ('S', TcpFlags::SYN),
        ('R', TcpFlags::RST),
        ('P', TcpFlags::PSH),
        ('A', TcpFlags::ACK),
        ('.', TcpFlags::ACK),
        ('U', TcpFlags::URG),
    ];
    text(v)?.chars().try_fold(TcpFlags::default(), |all, c| {
        let flag = known.iter().find(|(name, _)| *name == c).map(|(_, flag)| *flag);
        flag.map(|f| all | f).ok_or_else(|| v.blame("expected flags: letters of FSRPAU, or . for A"))
    })
}
