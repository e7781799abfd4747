//! `kubectl port-forward`: a stream from a port of this host to 127.0.0.1 inside the pod.
//!
//! What carries it (API server, kubelet, the container runtime) is no part of the world: the bytes come out in the pod's
//! network namespace, from a process that the runtime starts there (containerd, `sandbox_portforward_linux.go`). So no rule for
//! Services sees them, and no address is translated.

use super::{Parsed, Program, Run};
use crate::operator::CommandOutput;
use kernel::socket::{Errno, Received, TcpStatus};
use kernel::{NetnsId, SocketId};
use std::net::Ipv4Addr;

#[derive(Clone, Debug)]
struct PortForward {
    pod: String,
    ports: Vec<(u16, u16)>,
    address: Ipv4Addr,
    /// Listeners, each with its ports.
    listeners: Vec<(SocketId, (u16, u16))>,
    streams: Vec<Stream>,
}

/// A connection of a client and the one inside the pod.
#[derive(Clone, Debug)]
struct Stream {
    outer: SocketId,
    inner: SocketId,
    ports: (u16, u16),
    connected: bool,
    /// What the client has said before the pod could hear it.
    waiting: Vec<u8>,
}

fn failed(text: String) -> CommandOutput {
    CommandOutput::failed(1, text)
}

pub(super) fn parse(argv: &[String], _: &str) -> Parsed {
    let not_modelled = |what: &str| failed(format!("kubectl {what} is not modelled"));
    let mut words = argv.iter().skip(1);
    let (mut rest, mut address) = (Vec::new(), Ipv4Addr::LOCALHOST);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-n" | "--namespace" => drop(words.next()),
            "--address" => {
                let text = words.next().cloned().unwrap_or_default();
                address =
                    text.parse().map_err(|_| not_modelled(&format!("port-forward --address {text}")))?;
            }
            option if option.starts_with("--address=") => {
                let text = option.trim_start_matches("--address=");
                address = text.parse().map_err(|_| not_modelled(&format!("port-forward {option}")))?;
            }
            option if option.starts_with("--namespace=") => {}
            option if option.starts_with('-') => return Err(not_modelled(&format!("port-forward {option}"))),
            word => rest.push(word.to_owned()),
        }
    }
    let (resource, ports) = match rest.split_first() {
        Some((verb, [])) if verb == "port-forward" => {
            return Err(failed(
                "error: TYPE/NAME and list of ports are required for port-forward\n\
                 See 'kubectl port-forward -h' for help and examples"
                    .to_owned(),
            ));
        }
        Some((verb, [resource, ports @ ..])) if verb == "port-forward" => (resource, ports),
        Some((verb, _)) => return Err(not_modelled(verb)),
        None => return Err(not_modelled("without a command")),
    };
    let pod = match resource.split_once('/') {
        None => resource.clone(),
        Some(("pod" | "pods" | "po", name)) => name.to_owned(),
        Some((kind, _)) => return Err(not_modelled(&format!("port-forward to a {kind}, but to a pod,"))),
    };
    if ports.is_empty() {
        return Err(failed(
            "error: TYPE/NAME and list of ports are required for port-forward\n\
             See 'kubectl port-forward -h' for help and examples"
                .to_owned(),
        ));
    }
    let mut pairs = Vec::new();
    for text in ports {
        let (local, remote) = text.split_once(':').unwrap_or((text, text));
        let port = |t: &str| t.parse::<u16>().ok().filter(|p| *p > 0);
        let local = if local.is_empty() { None } else { port(local) };
        match (local, port(remote)) {
            (Some(local), Some(remote)) => pairs.push((local, remote)),
            (None, Some(_)) if text.starts_with(':') => {
                return Err(not_modelled("port-forward with a local port of its choice"));
            }
            _ => return Err(failed(format!("error: Invalid port format '{text}'"))),
        }
    }
    Ok(Box::new(PortForward { pod, ports: pairs, address, listeners: Vec::new(), streams: Vec::new() }))
}

impl Program for PortForward {
    fn name(&self) -> &str {
        "kubectl"
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn endless(&self) -> bool {
        true
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let Some(pod) = run.host_by_name(&self.pod) else {
            run.complain(format!("Error from server (NotFound): pods \"{}\" not found", self.pod));
            return Some(1);
        };
        if self.listeners.is_empty()
            && let Err(status) = self.listen(run)
        {
            return Some(status);
        }
        for (listener, ports) in self.listeners.clone() {
            while let Some(Some(outer)) = run.kernel(|ns, _| ns.tcp_accept(listener)) {
                run.own(outer);
                run.print(format!("Handling connection for {}", ports.0));
                self.open(run, pod, outer, ports);
            }
        }
        let mut streams = std::mem::take(&mut self.streams);
        streams.retain_mut(|s| s.run(run, pod, &self.pod));
        self.streams = streams;
        None
    }
}

impl PortForward {
    fn listen(&mut self, run: &mut Run<'_, '_>) -> Result<(), i32> {
        for (local, remote) in self.ports.clone() {
            let bind = (self.address, local);
            match run.kernel(|ns, _| ns.tcp_listen(bind)) {
                Some(Ok(listener)) => {
                    run.own(listener);
                    run.print(format!("Forwarding from {}:{local} -> {remote}", self.address));
                    self.listeners.push((listener, (local, remote)));
                }
                Some(Err(errno)) => {
                    let (addr, why) = (self.address, errno.text().to_ascii_lowercase());
                    run.complain(format!(
                        "Unable to listen on port {local}: Listeners failed to create with the following errors: [unable to create listener: Error listen tcp4 {addr}:{local}: bind: {why}]"
                    ));
                    run.complain(format!(
                        "error: unable to listen on any of the requested ports: [{{{local} {remote}}}]"
                    ));
                    return Err(1);
                }
                None => return Err(1),
            }
        }
        Ok(())
    }

    /// The process in the pod connects to its own 127.0.0.1.
    fn open(&mut self, run: &mut Run<'_, '_>, pod: NetnsId, outer: SocketId, ports: (u16, u16)) {
        let local = (Ipv4Addr::UNSPECIFIED, 0);
        let to = (Ipv4Addr::LOCALHOST, ports.1);
        match run.kernel_of(pod, |ns, kcx| ns.tcp_connect(local, to, kcx)) {
            Some(Ok(inner)) => {
                run.own_of(pod, inner);
                self.streams.push(Stream { outer, inner, ports, connected: false, waiting: Vec::new() });
            }
            Some(Err(errno)) => {
                lost(run, &self.pod, ports, errno);
                run.close_tcp(outer);
            }
            None => run.close_tcp(outer),
        }
    }
}

/// What kubectl says when nobody listens inside.
fn lost(run: &mut Run<'_, '_>, pod: &str, (local, remote): (u16, u16), errno: Errno) {
    let why = errno.text().to_ascii_lowercase();
    run.complain(format!(
        "an error occurred forwarding {local} -> {remote}: error forwarding port {remote} to pod {pod}, uid : failed to connect to localhost:{remote} inside namespace \"{pod}\", IPv4: dial tcp4 127.0.0.1:{remote}: connect: {why}"
    ));
}

impl Stream {
    /// Copies what there is, both ways. False when it is over.
    fn run(&mut self, run: &mut Run<'_, '_>, pod: NetnsId, name: &str) -> bool {
        let (outer, inner) = (self.outer, self.inner);
        if !self.connected {
            let status = run.kernel_of(pod, |ns, _| ns.tcp_info(inner)).flatten().map(|(s, ..)| s);
            let error = run.kernel_of(pod, |ns, _| ns.tcp_so_error(inner)).flatten();
            match (status, error) {
                (_, Some(errno)) => {
                    lost(run, name, self.ports, errno);
                    return self.end(run, pod);
                }
                (Some(TcpStatus::SynSent), None) => {}
                (Some(TcpStatus::Close) | None, None) => {
                    lost(run, name, self.ports, Errno::ECONNREFUSED);
                    return self.end(run, pod);
                }
                (Some(_), None) => self.connected = true,
            }
        }
        let mut ended = false;
        loop {
            match run.kernel(|ns, _| ns.tcp_recv(outer)) {
                Some(Received::Data(data)) => self.waiting.extend(data),
                Some(Received::Nothing) => break,
                Some(Received::Eof | Received::Error(_)) | None => {
                    ended = true;
                    break;
                }
            }
        }
        if self.connected && !self.waiting.is_empty() {
            let data = std::mem::take(&mut self.waiting);
            run.kernel_of(pod, |ns, kcx| {
                let _ = ns.tcp_send(inner, &data, kcx);
            });
        }
        loop {
            match run.kernel_of(pod, |ns, _| ns.tcp_recv(inner)) {
                Some(Received::Data(data)) => {
                    run.kernel(|ns, kcx| {
                        let _ = ns.tcp_send(outer, &data, kcx);
                    });
                }
                Some(Received::Nothing) => break,
                Some(Received::Eof | Received::Error(_)) | None => return self.end(run, pod),
            }
        }
        if ended { self.end(run, pod) } else { true }
    }

    fn end(&self, run: &mut Run<'_, '_>, pod: NetnsId) -> bool {
        let (outer, inner) = (self.outer, self.inner);
        // What the client has said was taken, though nobody will hear it.
        while let Some(Received::Data(_)) = run.kernel(|ns, _| ns.tcp_recv(outer)) {}
        run.close_tcp(outer);
        run.kernel_of(pod, |ns, kcx| ns.tcp_close(inner, kcx));
        false
    }
}
