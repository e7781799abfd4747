//! What the tests see: [`visit`] and [`Page`].

mod driver;
mod page;
mod tests;

pub use page::{DARK, Page, REDUCED_MOTION};

use std::path::{Path, PathBuf};
use xtask::server::{self, Server};
use xtask::test::DIST_VARIABLE;

/// Serves the site at `/`, opens it, waits until it has started, runs the scenario, checks console and requests.
pub fn visit(scenario: impl FnOnce(&Page)) {
    visit_at("/", scenario);
}

/// The same with the site under another path, such as `/x/y/`.
pub fn visit_at(path: &str, scenario: impl FnOnce(&Page)) {
    visit_folder(&dist(), path, scenario);
}

/// The same with any folder's page. The server goes on until the console has been read: the browser may still be keeping the site.
pub fn visit_folder(folder: &Path, path: &str, scenario: impl FnOnce(&Page)) {
    let (server, page) = serve(folder, path);
    page.scenario(|page| {
        page.open("");
        page.wait_started();
        scenario(page);
    });
    drop(server);
}

/// The same for a scenario that has to do with the server: that drops it, or changes what it serves.
pub fn visit_served(folder: &Path, path: &str, scenario: impl FnOnce(&Page, Server)) {
    let (server, page) = serve(folder, path);
    page.scenario(|page| {
        page.open("");
        page.wait_started();
        scenario(page, server);
    });
}

fn serve(folder: &Path, path: &str) -> (Server, Page) {
    let server = Server::start(server::listen(0).unwrap(), folder, path).unwrap();
    let page = Page::new(server.url());
    (server, page)
}

/// Opens the site's page as a file. It is not waited for: it cannot start.
pub fn visit_file(scenario: impl FnOnce(&Page)) {
    let page = Page::new(format!("file://{}/", dist().display()));
    page.scenario(|page| {
        page.open("index.html");
        scenario(page);
    });
}

/// The built site.
pub fn dist() -> PathBuf {
    let dist = std::env::var_os(DIST_VARIABLE);
    let dist = dist
        .unwrap_or_else(|| panic!("{DIST_VARIABLE} names no built site. Remedy: cargo xtask test browser"));
    let dist = PathBuf::from(dist);
    assert!(
        dist.join("index.html").is_file(),
        "no site in {}. Remedy: cargo xtask build --release",
        dist.display()
    );
    dist
}
