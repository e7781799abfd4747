//! A static file server for one folder, on this machine only. For `cargo xtask serve` and for the browser tests.

use anyhow::{Context, Result, anyhow};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use tiny_http::{Header, Method, Request, Response, StatusCode};

/// How many requests are answered at once.
const THREADS: usize = 4;

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    files: Arc<Files>,
    address: SocketAddr,
    http: Arc<Http>,
    threads: Vec<JoinHandle<()>>,
}

/// Only to give it a Debug.
struct Http(tiny_http::Server);

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

/// What is served.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    /// Begins and ends with a slash.
    prefix: String,
    /// Held for reading while a file is read.
    lock: RwLock<()>,
}

/// What a request gets.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    File { mime: &'static str, bytes: Vec<u8> },
    Redirect(String),
    NotFound,
}

impl Server {
    /// Serves a folder under a path such as `/` or `/x/y/`.
    pub fn start(listener: TcpListener, folder: &Path, prefix: &str) -> Result<Self> {
        let address = listener.local_addr().context("the server's address")?;
        let http = tiny_http::Server::from_listener(listener, None)
            .map_err(|error| anyhow!("cannot start the server: {error}"))?;
        let http = Arc::new(Http(http));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { "/".to_owned() } else { format!("/{prefix}/") };
        let files = Arc::new(Files { folder: folder.to_owned(), prefix, lock: RwLock::new(()) });
        let threads = (0..THREADS).map(|_| {
            let (http, files) = (Arc::clone(&http), Arc::clone(&files));
            // An error means that the server was told to stop.
            thread::spawn(move || {
                while let Ok(request) = http.0.recv() {
                    respond(&files, request);
                }
            })
        });
        Ok(Self { threads: threads.collect(), files, address, http })
    }

    /// The site's address.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.files.prefix)
    }

    /// Does something with the folder while nobody reads from it.
    pub fn exclusively<T>(&self, action: impl FnOnce() -> T) -> T {
        let _guard = self.files.lock.write().unwrap_or_else(PoisonError::into_inner);
        action()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for _ in &self.threads {
            self.http.0.unblock();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A port of this machine: the given one, any free one for 0.
pub fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn respond(files: &Files, request: Request) {
    let mut response = if matches!(request.method(), Method::Get | Method::Head) {
        match files.answer(request.url()) {
            Answer::File { mime, bytes } => with(Response::from_data(bytes), "Content-Type", mime),
            Answer::Redirect(to) => with(plain(301, "moved"), "Location", &to),
            Answer::NotFound => plain(404, "not found"),
        }
    } else {
        with(plain(405, "only GET and HEAD"), "Allow", "GET, HEAD")
    };
    response = with(response, "Cache-Control", "no-store");
    response = with(response, "X-Content-Type-Options", "nosniff");
    // The browser may have gone away.
    let _ = request.respond(response);
}

type Body = Response<std::io::Cursor<Vec<u8>>>;

fn plain(status: u16, text: &str) -> Body {
    with(
        Response::from_data(text.as_bytes()).with_status_code(StatusCode(status)),
        "Content-Type",
        "text/plain; charset=utf-8",
    )
}

fn with(response: Body, name: &str, value: &str) -> Body {
    match Header::from_bytes(name, value) {
        Ok(header) => response.with_header(header),
        Err(()) => response,
    }
}

impl Files {
    fn answer(&self, url: &str) -> Answer {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let Some(inside) = path.strip_prefix(&self.prefix) else {
            let root = self.prefix.trim_end_matches('/');
            return if path == root { Answer::Redirect(self.prefix.clone()) } else { Answer::NotFound };
        };
        let mut file = self.folder.clone();
        for part in inside.split('/').filter(|part| !part.is_empty()) {
            // Nothing hidden and nothing outside.
            match decode(part) {
                Some(part) if !part.starts_with('.') && !part.contains(['/', '\\', ':', '\0']) => {
                    file.push(part)
                }
                _ => return Answer::NotFound,
            }
        }
        let _guard = self.lock.read().unwrap_or_else(PoisonError::into_inner);
        if file.is_dir() {
            if !path.ends_with('/') {
                return Answer::Redirect(format!("{path}/"));
            }
            file.push("index.html");
        }
        match fs::read(&file) {
            Ok(bytes) => Answer::File { mime: mime(&file), bytes },
            Err(_) => Answer::NotFound,
        }
    }
}

/// Resolves the %XX of an address.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" | "yaml" | "yml" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("nflab-server-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("a b")).unwrap();
        fs::write(folder.join("index.html"), "home").unwrap();
        fs::write(folder.join("app.wasm"), "wasm").unwrap();
        fs::write(folder.join("a b/c.txt"), "text").unwrap();
        folder
    }

    #[test]
    fn files_are_found_under_the_prefix_and_only_there() {
        let folder = folder("files");
        let files = Files { folder: folder.clone(), prefix: "/x/y/".into(), lock: RwLock::new(()) };
        let file = |mime, bytes: &str| Answer::File { mime, bytes: bytes.into() };
        assert_eq!(files.answer("/x/y/"), file("text/html; charset=utf-8", "home"));
        assert_eq!(files.answer("/x/y/app.wasm?v=1"), file("application/wasm", "wasm"));
        assert_eq!(files.answer("/x/y/a%20b/c.txt"), file("text/plain; charset=utf-8", "text"));
        assert_eq!(files.answer("/x/y"), Answer::Redirect("/x/y/".into()));
        assert_eq!(files.answer("/x/y/a%20b"), Answer::Redirect("/x/y/a%20b/".into()));
        for outside in [
            "/",
            "/index.html",
            "/x/y/../y/index.html",
            "/x/y/%2e%2e/z",
            "/x/y/..%2fz",
            "/x/y/%zz",
            "/x/y/no",
        ] {
            assert_eq!(files.answer(outside), Answer::NotFound, "{outside}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_server_answers_and_stops() {
        let folder = folder("http");
        let server = Server::start(listen(0).unwrap(), &folder, "/").unwrap();
        let address = server.address;
        let ask = |request: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let answer = ask("GET /");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("home"), "{answer}");
        assert!(answer.contains("Cache-Control: no-store"), "{answer}");
        assert!(ask("POST /").starts_with("HTTP/1.1 405"));
        // Waits for its threads.
        drop(server);
        fs::remove_dir_all(folder).unwrap();
    }
}
