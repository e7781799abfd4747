//! `nflab lab serve`, over a real connection.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nflab::serve::{Preview, serve};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// A folder with a built page and a file beside it.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("site/x")).unwrap();
    fs::create_dir_all(folder.join("mine")).unwrap();
    fs::write(folder.join("site/index.html"), "<head><title>t</title></head><body></body>").unwrap();
    fs::write(folder.join("site/sw.js"), "a\nconst FILES = {\n  \"./\": \"sha256-x\"\n};\nb\n").unwrap();
    fs::write(folder.join("site/x/app.wasm"), [0, 97, 115, 109]).unwrap();
    fs::write(folder.join("mine/a lab.yaml"), "kind: Lab\n").unwrap();
    fs::write(folder.join("mine/secret.txt"), "secret").unwrap();
    folder
}

fn preview(name: &str) -> (PathBuf, Preview) {
    let folder = folder(name);
    let file = folder.join("mine/a lab.yaml");
    let preview = Preview::new(file.to_str().unwrap(), &folder.join("site")).unwrap();
    (folder, preview)
}

fn text(preview: &Preview, path: &str) -> String {
    let answer = preview.answer(path);
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn the_page_asks_whether_the_file_has_changed() {
    let (folder, preview) = preview("asks");
    assert_eq!(preview.address(), "?src=src/a%20lab.yaml");
    assert!(
        text(&preview, "/?src=src/a%20lab.yaml")
            .contains("<script src=\"./nflab-live.js\" defer></script></head>")
    );
    assert!(text(&preview, "/nflab-live.js").contains("location.reload()"));
    let before = text(&preview, "/nflab-live");
    assert_eq!(before, text(&preview, "/nflab-live"));
    fs::write(folder.join("mine/a lab.yaml"), "kind: Lab\ntitle: other\n").unwrap();
    assert_ne!(before, text(&preview, "/nflab-live"));
    assert_eq!(text(&preview, "/src/a%20lab.yaml"), "kind: Lab\ntitle: other\n");
}

#[test]
fn the_service_worker_keeps_nothing() {
    let (_, preview) = preview("worker");
    assert_eq!(text(&preview, "/sw.js"), "a\nconst FILES = {};\nb\n");
}

#[test]
fn nothing_else_is_served() {
    let (_, preview) = preview("else");
    for path in [
        "/src/secret.txt",
        "/src/../site/index.html",
        "/../mine/secret.txt",
        "/%2e%2e/mine/secret.txt",
        "/x",
        "/.git",
    ] {
        assert_eq!(preview.answer(path).status, 404, "{path}");
    }
    assert_eq!(preview.answer("/x/app.wasm").mime, "application/wasm");
}

#[test]
fn what_is_missing_is_told_before_anything_is_served() {
    let folder = folder("missing");
    let wrong = Preview::new("no-such.yaml", &folder.join("site")).unwrap_err();
    assert!(wrong.contains("no-such.yaml"), "{wrong}");
    let wrong = Preview::new("no-such.yaml", &folder).unwrap_err();
    assert!(wrong.contains("cargo xtask build"), "{wrong}");
}

#[test]
fn a_browser_is_answered() {
    let (_, preview) = preview("browser");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || serve(&listener, &Arc::new(preview)));
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut out = String::new();
        stream.read_to_string(&mut out).unwrap();
        out
    };
    let answer = ask("GET /src/a%20lab.yaml HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nkind: Lab\n"), "{answer}");
    assert!(ask("POST / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(ask("GET /nothing HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
}
