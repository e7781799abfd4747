//! `nflab lab serve`: the built page with somebody's file, which is shown anew whenever the file changes.
//!
//! A server of static files for one machine, no more: GET, whole files, a thread for each connection. What it adds to the page is a
//! script that asks whether the file has changed; the page itself opens the file by its address (`?src=`).

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Where the page is unless that port is taken or another is asked for.
const PORT: u16 = 8090;
/// A request is no longer than this.
const LONGEST: u64 = 16_384;
/// How long somebody may take to say what they want.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at the file.
const PAUSE: Duration = Duration::from_millis(300);

/// Under which the file's folder is.
const FOLDER: &str = "src/";
const SCRIPT: &str = "nflab-live.js";
const STATE: &str = "nflab-live";

/// Asks again and again, and loads the page anew when the file is another one.
const LIVE: &str = "\"use strict\";
let seen;
const look = async () => {
  try {
    const now = await (await fetch(\"./nflab-live\", {cache: \"no-store\"})).text();
    if (seen !== undefined && seen !== now) return location.reload();
    seen = now;
  } catch {}
  setTimeout(look, 400);
};
look();
";

/// What is served.
#[derive(Debug)]
pub struct Preview {
    site: PathBuf,
    folder: PathBuf,
    name: String,
}

/// What a request gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, 404 or 405.
    pub status: u16,
    /// Content-Type.
    pub mime: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Preview {
    /// The preview of a file in a built site.
    ///
    /// # Errors
    /// Says what is not there, and how one gets it.
    pub fn new(file: &str, site: &Path) -> Result<Preview, String> {
        if !site.join("index.html").is_file() {
            return Err(format!(
                "{}: no built page there. Build it with cargo xtask build, or name its folder with --site",
                site.display()
            ));
        }
        let path = Path::new(file);
        fs::metadata(path).map_err(|e| format!("{file}: {e}"))?;
        let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| format!("{file}: no file"))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Preview { site: site.to_owned(), folder: folder.to_owned(), name: name.to_owned() })
    }

    /// The address of the preview, behind the server's.
    pub fn address(&self) -> String {
        format!("?src={FOLDER}{}", escaped(&self.name))
    }

    /// What changes when a file of the folder that the page could read changes.
    pub fn state(&self) -> String {
        let mut names: Vec<PathBuf> = fs::read_dir(&self.folder)
            .map(|all| all.filter_map(|e| Some(e.ok()?.path())).filter(|p| is_text(p)).collect())
            .unwrap_or_default();
        names.sort();
        // FNV-1a: it only has to be another one.
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        for name in names {
            let text = fs::read(&name).unwrap_or_default();
            for byte in name.to_string_lossy().bytes().chain([0]).chain(text).chain([0]) {
                sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{sum:016x}")
    }

    /// The answer to a request for this path.
    pub fn answer(&self, path: &str) -> Answer {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = unescaped(path.trim_start_matches('/'));
        let hidden = path.split('/').any(|p| p.starts_with('.') || p.contains(['\\', ':', '\0']));
        if hidden {
            return not_found();
        }
        if let Some(name) = path.strip_prefix(FOLDER) {
            let file = self.folder.join(name);
            return if is_text(&file) && !name.contains('/') { whole(&file) } else { not_found() };
        }
        match path.as_str() {
            SCRIPT => Answer { status: 200, mime: "text/javascript", body: LIVE.into() },
            STATE => Answer { status: 200, mime: "text/plain", body: self.state().into() },
            "" | "index.html" => self.changed("index.html", |page| {
                page.replacen("</head>", &format!("<script src=\"./{SCRIPT}\" defer></script></head>"), 1)
            }),
            // Without its list the service worker takes itself away: what is served here is not to be kept.
            "sw.js" => self.changed("sw.js", |text| {
                let list = text.find("const FILES = {").and_then(|from| {
                    let to = text.get(from..)?.find("};")?;
                    Some((from, from + to))
                });
                match list {
                    Some((from, to)) => format!(
                        "{}const FILES = {{{}",
                        text.get(..from).unwrap_or_default(),
                        text.get(to..).unwrap_or_default()
                    ),
                    None => text,
                }
            }),
            other => whole(&self.site.join(other)),
        }
    }

    fn changed(&self, name: &str, change: impl FnOnce(String) -> String) -> Answer {
        let file = self.site.join(name);
        match fs::read_to_string(&file) {
            Ok(text) => Answer { status: 200, mime: mime(&file), body: change(text).into() },
            Err(_) => not_found(),
        }
    }
}

fn not_found() -> Answer {
    Answer { status: 404, mime: "text/plain", body: b"not found".to_vec() }
}

fn whole(file: &Path) -> Answer {
    match fs::read(file) {
        Ok(body) => Answer { status: 200, mime: mime(file), body },
        Err(_) => not_found(),
    }
}

/// Files that a page may open.
fn is_text(file: &Path) -> bool {
    matches!(file.extension().and_then(|e| e.to_str()), Some("yaml" | "yml"))
}

fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript",
        "css" => "text/css",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn escaped(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn unescaped(path: &str) -> String {
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Serves until somebody ends the program. Each time the file changes it is checked, and what was found is printed.
///
/// # Errors
/// There is nothing to serve, or no port to serve it on.
pub fn run(
    file: &str,
    site: &Path,
    port: Option<u16>,
    print: impl Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    let preview = Arc::new(Preview::new(file, site)?);
    let listener = listen(port).map_err(|e| format!("no port to serve on: {e}. Remedy: another --port"))?;
    let at = listener.local_addr().map_err(|e| e.to_string())?;
    print(&format!("{file} is shown at http://{at}/{}\nCtrl-C ends it.\n", preview.address()))?;
    let served = Arc::clone(&preview);
    thread::spawn(move || serve(&listener, &served));
    let mut seen = String::new();
    loop {
        let now = preview.state();
        if now != seen {
            seen = now;
            let names = [file.to_owned()];
            // What is wrong with the file is no reason to end.
            if let Err(e) = crate::exercise::check(&names, false, |line| print(&format!("{line}\n"))) {
                print(&format!("{e}\n"))?;
            }
        }
        thread::sleep(PAUSE);
    }
}

fn listen(port: Option<u16>) -> io::Result<TcpListener> {
    let on = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    match port {
        Some(port) => on(port),
        None => (PORT..PORT + 20).find_map(|port| on(port).ok()).map_or_else(|| on(0), Ok),
    }
}

/// Answers whoever comes.
pub fn serve(listener: &TcpListener, preview: &Arc<Preview>) {
    for stream in listener.incoming().flatten() {
        let preview = Arc::clone(preview);
        // Who goes away before the answer is whole does not want it any more.
        thread::spawn(move || drop(one(&stream, &preview)));
    }
}

fn one(stream: &TcpStream, preview: &Preview) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(LONGEST));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    // The headers do not matter, but they are read before the answer.
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = line.split(' ');
    let answer = match (words.next(), words.next()) {
        (Some("GET" | "HEAD"), Some(path)) => preview.answer(path),
        _ => Answer { status: 405, mime: "text/plain", body: b"only GET".to_vec() },
    };
    let reason = match answer.status {
        200 => "OK",
        404 => "Not Found",
        _ => "Method Not Allowed",
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.mime,
        answer.body.len()
    );
    let mut out = stream;
    out.write_all(head.as_bytes())?;
    if !line.starts_with("HEAD") {
        out.write_all(&answer.body)?;
    }
    out.flush()
}
