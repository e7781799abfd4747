//! An HTTP/1.1 server, as nginx or a Go program answers.

use super::{Program, Run, dns_server};
use kernel::socket::Received;
use kernel::{Instant, SocketId};
use std::net::Ipv4Addr;
use std::time::Duration;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its path, such as `/`.
    pub path: String,
    /// Its status, such as `200 OK`.
    pub status: &'static str,
    /// Its type.
    pub content_type: String,
    /// Further fields of the answer's header.
    pub headers: Vec<(&'static str, String)>,
    /// Its text. `{host}` stands for the box, `{client}` for the address that it sees, `{now}` for the time as Go prints one, `{utc}` for
    /// the time as RFC 3339 has it.
    pub body: String,
    /// How long it takes to make.
    pub after: Duration,
}

/// What is there on one address and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Where it listens.
    pub bind: (Ipv4Addr, u16),
    /// What it has.
    pub pages: Vec<Page>,
    /// What it says when it has no such page.
    pub otherwise: Page,
}

/// Whose header it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Style {
    /// nginx, or another server that says its name in `Server`.
    Named(String),
    /// A program with this name that uses Go's net/http.
    Go(&'static str),
}

/// The server.
#[derive(Clone, Debug)]
pub struct HttpServer {
    /// Its sites.
    pub sites: Vec<Site>,
    /// How it answers.
    pub style: Style,
    /// It leaves the connection open for more requests.
    pub keep_alive: bool,
    /// It says `Date`.
    pub dated: bool,
    listeners: Vec<((Ipv4Addr, u16), SocketId)>,
    open: Vec<Connection>,
    /// Answered, to be closed by the next call.
    closing: Vec<SocketId>,
    /// Answers that are still being made.
    later: Vec<Later>,
}

#[derive(Clone, Debug)]
struct Connection {
    socket: SocketId,
    bind: (Ipv4Addr, u16),
    client: Ipv4Addr,
    got: Vec<u8>,
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

impl Page {
    /// A page that is there, and is ready.
    pub fn ok(path: &str, content_type: &str, body: String) -> Page {
        Page {
            path: path.to_owned(),
            status: "200 OK",
            content_type: content_type.to_owned(),
            headers: Vec::new(),
            body,
            after: Duration::ZERO,
        }
    }

    /// What is said of one that is not there.
    pub fn not_found(content_type: &str, body: &str) -> Page {
        Page { status: "404 Not Found", ..Page::ok("", content_type, body.to_owned()) }
    }

    /// What Go's `http.NotFound` says.
    pub fn go_not_found() -> Page {
        let headers = vec![("X-Content-Type-Options", "nosniff".to_owned())];
        Page { headers, ..Page::not_found("text/plain; charset=utf-8", "404 page not found\n") }
    }
}

impl HttpServer {
    /// nginx with its first page.
    pub fn nginx(bind: (Ipv4Addr, u16)) -> HttpServer {
        let site = Site {
            bind,
            pages: vec![Page::ok("/", "text/html", WELCOME.to_owned())],
            otherwise: Page::not_found("text/html", NOT_FOUND),
        };
        HttpServer::new(Style::Named("nginx".to_owned()), vec![site])
    }

    /// A server with these sites. It says the date, and leaves connections open.
    pub fn new(style: Style, sites: Vec<Site>) -> HttpServer {
        HttpServer {
            sites,
            style,
            keep_alive: true,
            dated: true,
            listeners: Vec::new(),
            open: Vec::new(),
            closing: Vec::new(),
            later: Vec::new(),
        }
    }

    /// With a page of so many bytes that takes so long to make, for what depends on sizes and times.
    #[must_use]
    pub fn with_bytes(mut self, path: &str, bytes: usize, after: Duration) -> HttpServer {
        let body: String = (0..bytes).map(|i| if i % 64 == 63 { '\n' } else { 'x' }).collect();
        if let Some(site) = self.sites.first_mut() {
            site.pages.push(Page { after, ..Page::ok(path, "text/plain", body) });
        }
        self
    }

    /// The answer to a request whose head is whole, whether the connection stays, and how long the answer takes.
    fn answer(
        &self,
        head: &str,
        host: &str,
        connection: &Connection,
        now: Instant,
    ) -> (Vec<u8>, bool, Duration) {
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        let asks_close = head.lines().any(|l| l.eq_ignore_ascii_case("connection: close"));
        let stays = self.keep_alive && !asks_close;
        let not_allowed;
        let site = self.sites.iter().find(|s| s.bind == connection.bind);
        let page = match (site, &self.style, method) {
            (Some(site), Style::Go(_), _) | (Some(site), _, "GET" | "HEAD") => {
                site.pages.iter().find(|p| p.path == path).unwrap_or(&site.otherwise)
            }
            _ => {
                not_allowed = Page { status: "405 Not Allowed", ..Page::ok("", "text/plain", String::new()) };
                &not_allowed
            }
        };
        let body = page.body.replace("{host}", host).replace("{client}", &connection.client.to_string());
        let body = body.replace("{now}", &go_time(now)).replace("{utc}", &rfc3339(now));
        let mut out = format!("HTTP/1.1 {}\r\n", page.status);
        let mut field = |name: &str, value: &str| out += &format!("{name}: {value}\r\n");
        let (date, length) = (date(now.0 / 1_000_000), body.len().to_string());
        if let Style::Named(name) = &self.style {
            field("Server", name);
            if self.dated {
                field("Date", &date);
            }
        }
        field("Content-Type", &page.content_type);
        page.headers.iter().for_each(|(name, value)| field(name, value));
        if matches!(self.style, Style::Go(_)) && self.dated {
            field("Date", &date);
        }
        field("Content-Length", &length);
        match (&self.style, stays) {
            (_, false) => field("Connection", "close"),
            (Style::Named(_), true) => field("Connection", "keep-alive"),
            (Style::Go(_), true) => {}
        }
        out += "\r\n";
        if method != "HEAD" {
            out += &body;
        }
        (out.into_bytes(), stays, page.after)
    }

    /// Listens where sites are, and no longer where none is any more. `Some` is the status of a server that cannot.
    fn listen(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        let (here, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.listeners)
            .into_iter()
            .partition(|(bind, _)| self.sites.iter().any(|s| s.bind == *bind));
        self.listeners = here;
        for (bind, listener) in gone {
            run.close(listener);
            let (over, open) = std::mem::take(&mut self.open).into_iter().partition(|c| c.bind == bind);
            self.open = open;
            let over: Vec<Connection> = over;
            over.iter().for_each(|c| run.close_tcp(c.socket));
        }
        let new = |bind: &(Ipv4Addr, u16)| !self.listeners.iter().any(|(known, _)| known == bind);
        let new: Vec<(Ipv4Addr, u16)> = self.sites.iter().map(|s| s.bind).filter(new).collect();
        for bind in new {
            match (run.kernel(|ns, _| ns.tcp_listen(bind))?, &self.style) {
                (Ok(listener), style) => {
                    run.own(listener);
                    if let Style::Named(_) = style {
                        // As nginx asks for.
                        run.kernel(|ns, _| ns.tcp_backlog(listener, 511));
                    }
                    self.listeners.push((bind, listener));
                }
                (Err(errno), Style::Named(_)) => {
                    let why = errno.text();
                    run.print(format!("nginx: [emerg] bind() to {}:{} failed: {why}", bind.0, bind.1));
                    return Some(1);
                }
                // It goes on without.
                (Err(_), Style::Go(_)) => {}
            }
        }
        None
    }
}

/// A time as Go's `time.Time` prints itself, with the reading of the monotonic clock.
pub fn go_time(at: Instant) -> String {
    let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
    let (day, s) = (seconds / 86_400 % 31 + 1, seconds % 86_400);
    let fraction = fraction(micros);
    format!(
        "1970-01-{day:02} {:02}:{:02}:{:02}{fraction} +0000 UTC m=+{seconds}.{micros:06}000",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

/// A time as RFC 3339 has it, in UTC.
pub fn rfc3339(at: Instant) -> String {
    let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
    let (day, s) = (seconds / 86_400 % 31 + 1, seconds % 86_400);
    format!("1970-01-{day:02}T{:02}:{:02}:{:02}{}Z", s / 3600, s / 60 % 60, s % 60, fraction(micros))
}

/// A fraction of a second without zeros at its end.
fn fraction(micros: u64) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}").trim_end_matches('0').to_owned() }
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
        match &self.style {
            Style::Named(name) => name.split('/').next().unwrap_or_default(),
            Style::Go(name) => name,
        }
    }

    fn command(&self) -> Option<String> {
        (!self.sites.is_empty()).then(|| match self.name() {
            "nginx" => "nginx: master process nginx -g daemon off;".to_owned(),
            "coredns" => dns_server::COMMAND.to_owned(),
            name => name.to_owned(),
        })
    }

    fn reconfigure_http(&mut self, sites: &[Site]) {
        self.sites = sites.to_vec();
    }

    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn run(&mut self, run: &mut Run<'_, '_>) -> Option<i32> {
        if let Some(status) = self.listen(run) {
            return Some(status);
        }
        for socket in std::mem::take(&mut self.closing) {
            run.close_tcp(socket);
        }
        let now = run.now();
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|l| l.at <= now);
        self.later = later;
        for Later { socket, answer, stays, .. } in due {
            if !self.send(run, socket, &answer, stays) {
                self.open.retain(|c| c.socket != socket);
            }
        }
        for (bind, listener) in self.listeners.clone() {
            while let Some(Some(socket)) = run.kernel(|ns, _| ns.tcp_accept(listener)) {
                let from = run.kernel(|ns, _| ns.tcp_info(socket)).flatten().map(|(.., from)| from.0);
                run.own(socket);
                let client = from.unwrap_or(Ipv4Addr::UNSPECIFIED);
                self.open.push(Connection { socket, bind, client, got: Vec::new() });
            }
        }
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|connection| self.serve(run, connection));
        self.open = open;
        None
    }
}

impl HttpServer {
    /// False when the connection is over.
    fn serve(&mut self, run: &mut Run<'_, '_>, connection: &mut Connection) -> bool {
        let socket = connection.socket;
        loop {
            match run.kernel(|ns, _| ns.tcp_recv(socket)) {
                Some(Received::Data(data)) => connection.got.extend(data),
                Some(Received::Nothing) => break,
                Some(Received::Eof | Received::Error(_)) | None => {
                    run.close_tcp(socket);
                    self.later.retain(|l| l.socket != socket);
                    return false;
                }
            }
        }
        while let Some(end) = connection.got.windows(4).position(|w| w == b"\r\n\r\n") {
            let head: Vec<u8> = connection.got.drain(..end + 4).collect();
            let (host, now) = (run.host_name(), run.now());
            let (answer, stays, after) = self.answer(&String::from_utf8_lossy(&head), &host, connection, now);
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
