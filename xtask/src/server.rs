//! A static file server for one folder, on this machine only. For `cargo xtask serve` and for the browser tests.

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::runtime::Runtime;

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    files: Arc<Files>,
    address: SocketAddr,
    /// Taken when the server is dropped.
    runtime: Option<Runtime>,
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
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { "/".to_owned() } else { format!("/{prefix}/") };
        let files = Arc::new(Files { folder: folder.to_owned(), prefix, lock: RwLock::new(()) });
        let app = Router::new().fallback(respond).with_state(Arc::clone(&files));
        // A browser opens connections that it may never use: each one is only a task, so none keeps another waiting.
        let runtime = Runtime::new().context("cannot start the server")?;
        listener.set_nonblocking(true).context("the server's socket")?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).context("the server's socket")?
        };
        runtime.spawn(async move { axum::serve(listener, app).await });
        Ok(Self { files, address, runtime: Some(runtime) })
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
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A port of this machine: the given one, any free one for 0.
pub fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

async fn respond(State(files): State<Arc<Files>>, request: Request) -> Response {
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A frame with `sandbox` is of no origin, and the site is nobody's secret.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, fixed, allow, "only GET and HEAD").into_response();
    }
    match files.answer(&request.uri().to_string()) {
        Answer::File { mime, bytes } => (fixed, [(header::CONTENT_TYPE, mime)], bytes).into_response(),
        Answer::Redirect(to) => {
            (StatusCode::MOVED_PERMANENTLY, fixed, [(header::LOCATION, to)], "moved").into_response()
        }
        Answer::NotFound => (StatusCode::NOT_FOUND, fixed, "not found").into_response(),
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
        assert!(answer.contains("cache-control: no-store"), "{answer}");
        assert!(ask("POST /").starts_with("HTTP/1.1 405"));
        // Connections on which nothing is asked, as browsers open them.
        let silent: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert!(ask("GET /").starts_with("HTTP/1.1 200"));
        drop(silent);
        drop(server);
        fs::remove_dir_all(folder).unwrap();
    }
}
