//! An HTTP/1.1 server, by default as nginx answers.

use super::{Program, Run};
use kernel::socket::Received;
use kernel::{Instant, SocketId};
use std::net::Ipv4Addr;
use std::time::Duration;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its path, such as `/`.
    pub path: String,
    /// Its type.
    pub content_type: String,
    /// Its text. `{host}` stands for the box, `{client}` for the address that it sees.
    pub body: String,
    /// How long it takes to make.
    pub after: Duration,
}

/// The server.
#[derive(Clone, Debug)]
pub struct HttpServer {
    bind: (Ipv4Addr, u16),
    /// What it says in `Server`.
    pub name: String,
    /// What it has.
    pub pages: Vec<Page>,
    /// What it says when it has no such page.
    pub not_found: String,
    /// It leaves the connection open for more requests.
    pub keep_alive: bool,
    /// It says `Date`.
    pub dated: bool,
    listener: Option<SocketId>,
    open: Vec<(SocketId, Ipv4Addr, Vec<u8>)>,
    /// Answered, to be closed by the next call.
    closing: Vec<SocketId>,
    /// Answers that are still being made.
    later: Vec<Later>,
}

#[derive(Clone, Debug)]
struct Later {
    at: Instant,
    socket: SocketId,
    answer: Vec<u8>,
    stays: bool,
}

/// The page that nginx is delivered with, in spirit.
const WELCOME: &str = "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n<h1>Welcome to nginx!</h1>\n</body>\n</html>\n";

/// What nginx says of a page that is not there.
const NOT_FOUND: &str = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

impl HttpServer {
    /// nginx with its first page.
    pub fn nginx(bind: (Ipv4Addr, u16)) -> HttpServer {
        HttpServer {
            bind,
            name: "nginx".to_owned(),
            pages: vec![Page {
                path: "/".to_owned(),
                content_type: "text/html".to_owned(),
                body: WELCOME.to_owned(),
                after: Duration::ZERO,
            }],
            not_found: NOT_FOUND.to_owned(),
            keep_alive: true,
            dated: true,
            listener: None,
            open: Vec::new(),
            closing: Vec::new(),
            later: Vec::new(),
        }
    }

    /// With a page of so many bytes that takes so long to make, for what depends on sizes and times.
    #[must_use]
    pub fn with_bytes(mut self, path: &str, bytes: usize, after: Duration) -> HttpServer {
        let body: String = (0..bytes).map(|i| if i % 64 == 63 { '\n' } else { 'x' }).collect();
        self.pages.push(Page { path: path.to_owned(), content_type: "text/plain".to_owned(), body, after });
        self
    }

    /// The answer to a request whose head is whole, whether the connection stays, and how long the answer takes.
    fn answer(
        &self,
        head: &str,
        host: &str,
        client: Ipv4Addr,
        run: &Run<'_, '_>,
    ) -> (Vec<u8>, bool, Duration) {
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        let asks_close = head.lines().any(|l| l.eq_ignore_ascii_case("connection: close"));
        let stays = self.keep_alive && !asks_close;
        let fill = |text: &str| text.replace("{host}", host).replace("{client}", &client.to_string());
        let page = self.pages.iter().find(|p| p.path == path);
        let (status, kind, body) = match (method, page) {
            ("GET" | "HEAD", Some(page)) => ("200 OK", page.content_type.as_str(), fill(&page.body)),
            ("GET" | "HEAD", None) => {
                let kind = if self.not_found.starts_with('<') { "text/html" } else { "text/plain" };
                ("404 Not Found", kind, fill(&self.not_found))
            }
            _ => ("405 Not Allowed", "text/plain", String::new()),
        };
        let mut out = format!("HTTP/1.1 {status}\r\nServer: {}\r\n", self.name);
        if self.dated {
            out += &format!("Date: {}\r\n", date(run.now().0 / 1_000_000));
        }
        out += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        out += if stays { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" };
        if method != "HEAD" {
            out += &body;
        }
        (out.into_bytes(), stays, page.map_or(Duration::ZERO, |p| p.after))
    }
}

/// The first days of 1970, as RFC 9110 writes a date.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (day, s) = (seconds / 86_400, seconds % 86_400);
    let name = DAYS.get((day % 7) as usize).copied().unwrap_or("Thu");
    format!("{name}, {:02} Jan 1970 {:02}:{:02}:{:02} GMT", day % 31 + 1, s / 3600, s / 60 % 60, s % 60)
}

impl Program for HttpServer {
    fn name(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let bind = self.bind;
        let listener = match self.listener {
            Some(listener) => listener,
            None => match run.kernel(|ns, _| ns.tcp_listen(bind))? {
                Ok(listener) => {
                    run.own(listener);
                    // As nginx asks for.
                    run.kernel(|ns, _| ns.tcp_backlog(listener, 511));
                    *self.listener.insert(listener)
                }
                Err(errno) => {
                    run.print(format!(
                        "nginx: [emerg] bind() to {}:{} failed: {}",
                        bind.0,
                        bind.1,
                        errno.text()
                    ));
                    return Some(1);
                }
            },
        };
        for socket in std::mem::take(&mut self.closing) {
            run.close_tcp(socket);
        }
        let now = run.now();
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|l| l.at <= now);
        self.later = later;
        for Later { socket, answer, stays, .. } in due {
            if !self.send(run, socket, &answer, stays) {
                self.open.retain(|(s, ..)| *s != socket);
            }
        }
        while let Some(Some(socket)) = run.kernel(|ns, _| ns.tcp_accept(listener)) {
            let from = run.kernel(|ns, _| ns.tcp_info(socket)).flatten().map(|(.., from)| from.0);
            run.own(socket);
            self.open.push((socket, from.unwrap_or(Ipv4Addr::UNSPECIFIED), Vec::new()));
        }
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|(socket, client, got)| self.serve(run, *socket, *client, got));
        self.open = open;
        None
    }
}

impl HttpServer {
    /// False when the connection is over.
    fn serve(
        &mut self,
        run: &mut Run<'_, '_>,
        socket: SocketId,
        client: Ipv4Addr,
        got: &mut Vec<u8>,
    ) -> bool {
        loop {
            match run.kernel(|ns, _| ns.tcp_recv(socket)) {
                Some(Received::Data(data)) => got.extend(data),
                Some(Received::Nothing) => break,
                Some(Received::Eof | Received::Error(_)) | None => {
                    run.close_tcp(socket);
                    self.later.retain(|l| l.socket != socket);
                    return false;
                }
            }
        }
        while let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            let head: Vec<u8> = got.drain(..end + 4).collect();
            let host = run.host_name();
            let (answer, stays, after) = self.answer(&String::from_utf8_lossy(&head), &host, client, run);
            if !after.is_zero() {
                let at = run.wake_after(after);
                self.later.push(Later { at, socket, answer, stays });
            } else if !self.send(run, socket, &answer, stays) {
                return false;
            }
        }
        true
    }

    /// Sends an answer. False when the connection is over.
    fn send(&mut self, run: &mut Run<'_, '_>, socket: SocketId, answer: &[u8], stays: bool) -> bool {
        run.kernel(|ns, kcx| {
            let _ = ns.tcp_send(socket, answer, kcx);
        });
        if !stays {
            self.closing.push(socket);
            run.next_call();
        }
        stays
    }
}
