//! One ChromeDriver with one browser, and the WebDriver protocol: JSON over HTTP.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Method;
use xtask::browser::{Browser, FLAGS};

/// A browser under control; it closes when dropped.
pub struct Driver {
    process: Child,
    agent: Agent,
    /// The address of the session.
    session: String,
}

/// A command that the browser refused.
#[derive(Debug)]
pub struct Refusal {
    /// WebDriver's name for the reason, such as `no such element`.
    pub error: String,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// Whether the same may work a moment later: the page is still on its way to what the test waits for.
    pub fn may_pass(&self) -> bool {
        let passing = [
            "no such element",
            "stale element reference",
            "element not interactable",
            "element click intercepted",
        ];
        passing.contains(&self.error.as_str())
    }
}

impl Driver {
    /// Starts both on free ports, the browser with a new, empty profile.
    pub fn start() -> Self {
        let browser = Browser::find().expect("no browser. Remedy: cargo xtask setup");
        // A port that is free may be taken by the time it is bound, as several tests look for one: then again.
        let (process, port, lines) =
            (0..5).find_map(|_| launch(&browser.driver)).expect("ChromeDriver finds no port");
        thread::spawn(move || lines.for_each(drop));

        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(300)))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut driver = Self { process, agent, session: format!("http://127.0.0.1:{port}/session") };
        // ChromeDriver makes the profile's folder and removes it at the end.
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": browser.chrome, "args": FLAGS},
            // A page that hangs is a failure, not a reason to wait for minutes.
            "timeouts": {"pageLoad": 60_000, "script": 60_000},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = driver.command(Method::POST, "", &capabilities).expect("the browser does not start");
        driver.session =
            format!("{}/{}", driver.session, session["sessionId"].as_str().expect("a session without an id"));
        driver
    }

    /// Sends a command without a body.
    pub fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.command(Method::GET, path, &Value::Null)
    }

    /// Sends a command with a body.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        self.command(Method::POST, path, body)
    }

    fn command(&self, method: Method, path: &str, body: &Value) -> Result<Value, Refusal> {
        let address = format!("{}{path}", self.session);
        let what = format!("{method} {path} {body}");
        let response = match method {
            Method::POST => self.agent.post(address).content_type("application/json").send(body.to_string()),
            Method::DELETE => self.agent.delete(address).call(),
            _ => self.agent.get(address).call(),
        };
        let mut response =
            response.unwrap_or_else(|error| panic!("ChromeDriver does not answer {what}: {error}"));
        // A log can be long.
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
        let text = text.unwrap_or_else(|error| panic!("ChromeDriver's answer to {what}: {error}"));
        let mut answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("ChromeDriver answers {what} with {text}"));
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) if !response.status().is_success() => {
                let message = value["message"].as_str().unwrap_or_default();
                Err(Refusal {
                    error: error.to_owned(),
                    message: message.lines().next().unwrap_or_default().to_owned(),
                })
            }
            _ => Ok(value),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Ends the browser; not answered if it crashed.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts ChromeDriver; the process, its port, and what else it prints. None if it ended before it named a port.
fn launch(driver: &Path) -> Option<(Child, u16, impl Iterator<Item = String> + Send + use<>)> {
    let mut process = Command::new(driver)
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("cannot start ChromeDriver");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    match lines.find_map(|line| port(&line)) {
        Some(port) => Some((process, port, lines)),
        None => {
            let _ = process.wait();
            None
        }
    }
}

/// The port in `ChromeDriver was started successfully on port 41231.`
fn port(line: &str) -> Option<u16> {
    let (_, port) = line.split_once("started successfully on port ")?;
    port.trim_end_matches('.').trim().parse().ok()
}
