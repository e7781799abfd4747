//! The page in its browser, as a test uses it.

use super::driver::{Driver, Refusal};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use xtask::test::SCREENSHOTS_VARIABLE;
use xtask::workspace::Workspace;

/// How long anything is waited for: far longer than it takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How WebDriver marks an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// For [`Page::emulate`].
pub const DARK: (&str, &str) = ("prefers-color-scheme", "dark");
/// For [`Page::emulate`].
pub const REDUCED_MOTION: (&str, &str) = ("prefers-reduced-motion", "reduce");

/// A page in a browser of its own.
pub struct Page {
    driver: Driver,
    /// The site's address, with a slash at the end.
    site: String,
    console: RefCell<Vec<Line>>,
    requests: RefCell<Vec<String>>,
}

/// A line of the browser's console.
#[derive(Clone, Debug)]
struct Line {
    error: bool,
    text: String,
}

impl Page {
    /// A new browser for a site.
    pub fn new(site: String) -> Self {
        let page =
            Self { driver: Driver::start(), site, console: RefCell::default(), requests: RefCell::default() };
        page.set_size(1280, 900);
        page
    }

    /// Runs a scenario; afterwards checks console and requests, or shows the page it failed on.
    pub fn scenario(&self, scenario: impl FnOnce(&Self)) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            scenario(self);
            let errors = self.console_errors();
            assert!(errors.is_empty(), "errors on the console:\n{}", errors.join("\n"));
            let strangers = self.strangers();
            assert!(strangers.is_empty(), "requests that leave {}:\n{}", self.site, strangers.join("\n"));
        }));
        if let Err(panic) = result {
            // What can still be found out: the browser may be gone.
            let _ = catch_unwind(AssertUnwindSafe(|| self.show()));
            resume_unwind(panic);
        }
    }

    /// Prints where the page stands.
    fn show(&self) {
        let name = thread::current().name().unwrap_or("test").replace("::", "-");
        let text: String = self
            .eval("return document.body.innerText")
            .as_str()
            .unwrap_or_default()
            .chars()
            .take(2000)
            .collect();
        self.read_logs();
        let console: Vec<String> = self.console.borrow().iter().map(|line| line.text.clone()).collect();
        eprintln!("--- {} shows:\n{text}\n--- console:\n{}", self.url(), console.join("\n"));
        eprintln!("--- screenshot: {}", self.screenshot(&format!("failed-{name}")).display());
    }

    // ---- Where

    /// Opens an address relative to the site: `""`, `"?x=1"`, `"#y"`.
    #[track_caller]
    pub fn open(&self, path: &str) {
        self.post("/url", &json!({"url": format!("{}{path}", self.site)}));
    }

    /// Opens a link as somebody does to whom it was sent: in a fresh document, whatever stood there before.
    ///
    /// A browser does not wait for a change of the fragment alone, and a reload right after it cancels it.
    #[track_caller]
    pub fn open_fresh(&self, path: &str) {
        self.post("/url", &json!({"url": "about:blank"}));
        self.open(path);
        self.wait_started();
        // Who leaves while the service worker is being fetched breaks that off, and the browser says so, a while later.
        self.ignore_console_errors("An unknown error occurred when fetching the script");
    }

    /// Waits until the app has taken the place of the start text, and its first run is over.
    #[track_caller]
    pub fn wait_started(&self) {
        self.wait_until("the app to start", || {
            assert_eq!(
                self.eval("return !!document.querySelector('#boot-failed:not([hidden])')"),
                false,
                "the app did not start"
            );
            self.eval("return document.readyState === 'complete' && !document.querySelector('#boot, .going')")
                == true
        });
    }

    /// Reloads the page and waits until it has started.
    #[track_caller]
    pub fn reload(&self) {
        self.post("/refresh", &json!({}));
        self.wait_started();
    }

    /// The page's address.
    pub fn url(&self) -> String {
        self.eval("return location.href").as_str().unwrap_or_default().to_owned()
    }

    /// All windows of the browser.
    pub fn windows(&self) -> Vec<String> {
        let all = self.driver.get("/window/handles").map(|all| all.as_array().cloned().unwrap_or_default());
        let all = all.unwrap_or_default();
        all.iter().filter_map(|w| w.as_str().map(str::to_owned)).collect()
    }

    /// From here on the page is the one in this window.
    #[track_caller]
    pub fn switch_to(&self, window: &str) {
        self.post("/window", &json!({"handle": window}));
    }

    /// From here on the page is what a frame shows.
    #[track_caller]
    pub fn enter_frame(&self, css: &str) {
        self.on(css, |element| self.driver.post("/frame", &json!({"id": {ELEMENT: element}})));
    }

    /// From here on the page is the whole one again.
    #[track_caller]
    pub fn leave_frame(&self) {
        self.post("/frame", &json!({"id": null}));
    }

    // ---- What is there

    /// The visible text of the first element that fits the selector. Waits for the element.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        let text = self.on(css, |element| self.driver.get(&format!("/element/{element}/text")));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// An attribute of the first element that fits. Waits for the element.
    #[track_caller]
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let value = self.on(css, |element| self.driver.get(&format!("/element/{element}/attribute/{name}")));
        value.as_str().map(str::to_owned)
    }

    /// How many elements fit, now.
    #[track_caller]
    pub fn count(&self, css: &str) -> usize {
        let found = self.post("/elements", &json!({"using": "css selector", "value": css}));
        found.as_array().map_or(0, Vec::len)
    }

    /// Waits for an element.
    #[track_caller]
    pub fn wait(&self, css: &str) {
        self.wait_until(&format!("an element {css}"), || self.count(css) > 0);
    }

    /// Waits until no element fits any more.
    #[track_caller]
    pub fn wait_gone(&self, css: &str) {
        self.wait_until(&format!("no element {css}"), || self.count(css) == 0);
    }

    /// Waits until the first element that fits shows a text.
    #[track_caller]
    pub fn wait_text(&self, css: &str, part: &str) {
        let mut last = String::new();
        let found = poll(|| {
            // Fresh every time: the element may be replaced while we wait.
            let text =
                self.find(css).and_then(|element| self.driver.get(&format!("/element/{element}/text")));
            last = text
                .map_or_else(|refusal| refusal.message, |text| text.as_str().unwrap_or_default().to_owned());
            last.contains(part).then_some(())
        });
        assert!(found.is_some(), "waited for {part:?} in {css}; last it was:\n{last}");
    }

    /// Waits until something is true; `what` is for the message: "waited for {what}".
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut is: impl FnMut() -> bool) {
        assert!(poll(|| is().then_some(())).is_some(), "waited for {what}");
    }

    // ---- What a visitor does

    /// Clicks on the first element that fits, once it is there and can be clicked.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.on(css, |element| self.driver.post(&format!("/element/{element}/click"), &json!({})));
    }

    /// Moves the mouse over the first element that fits.
    #[track_caller]
    pub fn hover(&self, css: &str) {
        self.on(css, |element| {
            let to = json!({"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {ELEMENT: element}});
            let mouse = json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [to]});
            self.driver.post("/actions", &json!({"actions": [mouse]}))
        });
    }

    /// Replaces the text of an input.
    #[track_caller]
    pub fn enter(&self, css: &str, text: &str) {
        self.on(css, |element| self.driver.post(&format!("/element/{element}/clear"), &json!({})));
        self.on(css, |element| {
            self.driver.post(&format!("/element/{element}/value"), &json!({"text": text}))
        });
    }

    /// Presses a key, on whatever has the focus: a character or a name such as `Enter`, `Escape`, `Tab`, `ArrowLeft`;
    /// modifiers go before it: `Shift+Tab`, `Control+z`.
    #[track_caller]
    pub fn press(&self, key: &str) {
        // A lone plus is a key, not a separator.
        let keys: Vec<char> = if key == "+" { vec!['+'] } else { key.split('+').map(code).collect() };
        let action = |kind: &str, key: &char| json!({"type": kind, "value": key.to_string()});
        let down = keys.iter().map(|key| action("keyDown", key));
        let up = keys.iter().rev().map(|key| action("keyUp", key));
        let actions: Vec<Value> = down.chain(up).collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// Makes the page's area that big.
    pub fn set_size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the visitor's system asks for: [`DARK`], [`REDUCED_MOTION`], or any other media feature. Replaces what was.
    pub fn emulate(&self, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    // ---- Looking inside

    /// Runs JavaScript in the page; what it returns.
    #[track_caller]
    pub fn eval(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The same with arguments, a list.
    #[track_caller]
    pub fn eval_with(&self, script: &str, args: &Value) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": args}))
    }

    /// Sends a command of the DevTools protocol.
    #[track_caller]
    pub fn devtools(&self, command: &str, params: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    /// Writes what the page looks like to `<target>/screenshots/NAME.png`; the path.
    pub fn screenshot(&self, name: &str) -> PathBuf {
        let folder = env::var_os(SCREENSHOTS_VARIABLE).map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| Workspace::load().unwrap().target.join("screenshots"));
        let picture = self
            .driver
            .get("/screenshot")
            .unwrap_or_else(|refusal| panic!("screenshot: {}", refusal.message));
        let picture = BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap();
        let file = folder.join(format!("{name}.png"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, picture).unwrap();
        file
    }

    /// The errors on the console so far: uncaught exceptions, panics, failed requests, refusals by the page's policy.
    pub fn console_errors(&self) -> Vec<String> {
        self.read_logs();
        self.console.borrow().iter().filter(|line| line.error).map(|line| line.text.clone()).collect()
    }

    /// Says that errors with this text belong to the scenario. There must be one.
    #[track_caller]
    pub fn expect_console_error(&self, part: &str) {
        self.wait_until(&format!("an error on the console with {part:?}"), || {
            self.console_errors().iter().any(|text| text.contains(part))
        });
        self.console.borrow_mut().retain(|line| !line.text.contains(part));
    }

    /// Says that errors with this text may be there, and do not matter.
    pub fn ignore_console_errors(&self, part: &str) {
        self.read_logs();
        self.console.borrow_mut().retain(|line| !line.text.contains(part));
    }

    /// Every address that the page asked for so far.
    pub fn requests(&self) -> Vec<String> {
        self.read_logs();
        self.requests.borrow().clone()
    }

    /// Those of them that are not of the page's own origin.
    fn strangers(&self) -> Vec<String> {
        let end = self.site.match_indices('/').nth(2).map_or(self.site.len(), |(at, _)| at + 1);
        let own = [&self.site[..end], "data:", "blob:", "about:"];
        self.requests().into_iter().filter(|url| !own.iter().any(|start| url.starts_with(start))).collect()
    }

    /// Takes over what the browser has logged since last time.
    fn read_logs(&self) {
        for entry in self.log("browser") {
            let text = entry["message"].as_str().unwrap_or_default().to_owned();
            self.console.borrow_mut().push(Line { error: entry["level"] == "SEVERE", text });
        }
        for entry in self.log("performance") {
            let event: Value =
                serde_json::from_str(entry["message"].as_str().unwrap_or_default()).unwrap_or_default();
            let (method, params) = (&event["message"]["method"], &event["message"]["params"]);
            let url = match method.as_str() {
                Some("Network.requestWillBeSent") => &params["request"]["url"],
                Some("Network.webSocketCreated") => &params["url"],
                _ => continue,
            };
            self.requests.borrow_mut().push(url.as_str().unwrap_or_default().to_owned());
        }
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({"type": kind})).as_array().cloned().unwrap_or_default()
    }

    // ---- The protocol

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        match self.driver.post(path, body) {
            Ok(value) => value,
            Err(refusal) => panic!("{path} {body}: {}", refusal.message),
        }
    }

    fn find(&self, css: &str) -> Result<String, Refusal> {
        let found = self.driver.post("/element", &json!({"using": "css selector", "value": css}))?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    /// Does something with the first element that fits, again and again until the browser lets it.
    #[track_caller]
    fn on(&self, css: &str, action: impl Fn(&str) -> Result<Value, Refusal>) -> Value {
        let mut last = String::new();
        let done = poll(|| match self.find(css).and_then(|element| action(&element)) {
            Err(refusal) if refusal.may_pass() => {
                last = refusal.message;
                None
            }
            result => Some(result),
        });
        match done {
            Some(Ok(value)) => value,
            Some(Err(refusal)) => panic!("{css}: {}", refusal.message),
            None => panic!("waited for {css}; last: {last}"),
        }
    }
}

/// Asks until there is an answer, or patience runs out.
fn poll<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || started.elapsed() > PATIENCE {
            return answer;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// WebDriver's code for a key's name.
fn code(key: &str) -> char {
    match key {
        "Enter" => '\u{E007}',
        "Escape" => '\u{E00C}',
        "Tab" => '\u{E004}',
        "Space" => ' ',
        "Backspace" => '\u{E003}',
        "Delete" => '\u{E017}',
        "Home" => '\u{E011}',
        "End" => '\u{E010}',
        "PageUp" => '\u{E00E}',
        "PageDown" => '\u{E00F}',
        "ArrowLeft" => '\u{E012}',
        "ArrowUp" => '\u{E013}',
        "ArrowRight" => '\u{E014}',
        "ArrowDown" => '\u{E015}',
        "F1" => '\u{E031}',
        "Shift" => '\u{E008}',
        "Control" => '\u{E009}',
        "Alt" => '\u{E00A}',
        "Meta" => '\u{E03D}',
        _ => {
            let mut characters = key.chars();
            match (characters.next(), characters.next()) {
                (Some(character), None) => character,
                _ => panic!("no key is called {key:?}; add it in tests/browser/harness/page.rs"),
            }
        }
    }
}
