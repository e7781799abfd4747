//! The test runs in a worker, so that the page stays awake. The worker is the same app (`web/assets/worker.js` starts it).
//!
//! It does nothing by itself: the page asks for a piece of the test, and when that has been done, for the next. So the page is never
//! told more than it can show, and a test that nobody asks about stands still.

use super::wire;
use crate::dom::{Listener, listen};
use js_sys::Array;
use kernel::Instant;
use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, Event, MessageEvent, Worker};
use workshop::load::{LoadError, Test};

/// What the page asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Begin a test with this setting.
    Run(String),
    /// Go on to this second.
    Go(u64),
    /// Tell what there is so far.
    Tell,
}

/// What the worker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has started.
    Ready,
    /// How far the test is: seconds, packets, over or not.
    At(u64, u64, bool),
    /// A report, as [`wire::print`] writes it.
    Report(String),
    /// The test cannot be run.
    Refused(String),
    /// The worker has stopped.
    Failed(String),
}

impl Ask {
    fn print(&self) -> String {
        match self {
            Ask::Run(setting) => format!("run {setting}"),
            Ask::Go(second) => format!("go {second}"),
            Ask::Tell => "tell".to_owned(),
        }
    }

    fn read(text: &str) -> Option<Ask> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word {
            "run" => Ask::Run(rest.to_owned()),
            "go" => Ask::Go(rest.parse().ok()?),
            "tell" => Ask::Tell,
            _ => return None,
        })
    }
}

impl Answer {
    fn print(&self) -> String {
        match self {
            Answer::Ready => "ready".to_owned(),
            Answer::At(second, packets, done) => format!("at {second} {packets} {done}"),
            Answer::Report(text) => format!("report {text}"),
            Answer::Refused(why) => format!("refused {why}"),
            Answer::Failed(why) => format!("failed {why}"),
        }
    }

    fn read(text: &str) -> Option<Answer> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word {
            "ready" => Answer::Ready,
            "at" => {
                let mut words = rest.split(' ');
                let mut next = || words.next();
                Answer::At(next()?.parse().ok()?, next()?.parse().ok()?, next()? == "true")
            }
            "report" => Answer::Report(rest.to_owned()),
            "refused" => Answer::Refused(rest.to_owned()),
            "failed" => Answer::Failed(rest.to_owned()),
            _ => return None,
        })
    }
}

// ---------------------------------------------------------------------- in the worker

/// Answers until the page ends the worker.
pub fn work() {
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else { return };
    let (mut test, to) = (None, scope.clone());
    let heard: Box<dyn FnMut(MessageEvent)> = Box::new(move |e| {
        let Some(ask) = e.data().as_string().and_then(|text| Ask::read(&text)) else { return };
        let _ = to.post_message(&JsValue::from(answer(&mut test, ask).print()));
    });
    let heard = Closure::wrap(heard);
    scope.set_onmessage(Some(heard.as_ref().unchecked_ref()));
    heard.forget();
}

/// Says to the page that the app has made a mistake.
pub fn failed(why: &str) {
    if let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() {
        let _ = scope.post_message(&JsValue::from(Answer::Failed(why.to_owned()).print()));
    }
}

fn answer(test: &mut Option<Test>, ask: Ask) -> Answer {
    let at = |test: &Test| {
        let p = test.progress();
        Answer::At(p.now.0 / 1_000_000, p.packets, p.done)
    };
    match (ask, test) {
        (Ask::Run(text), test) => {
            // One at a time: the one before goes first.
            *test = None;
            let made = wire::read_setting(&text).and_then(|s| {
                Test::new(&s).map_err(|e| match e {
                    LoadError::Forbidden(why) => format!("no pod runs: {why}"),
                    LoadError::Build(why) => why,
                })
            });
            match made {
                Ok(made) => at(test.insert(made)),
                Err(why) => Answer::Refused(why),
            }
        }
        (Ask::Go(second), Some(test)) => {
            test.advance(Instant(second.saturating_mul(1_000_000)));
            at(test)
        }
        (Ask::Tell, Some(test)) => Answer::Report(wire::print(&test.report())),
        (_, None) => Answer::Failed("there is no test".to_owned()),
    }
}

// ---------------------------------------------------------------------- in the page

/// A worker. It ends when this is dropped, whatever it was doing.
pub struct Link {
    worker: Worker,
    _heard: [Listener; 2],
}

impl Link {
    /// Starts a worker; `f` gets what it answers.
    ///
    /// # Errors
    /// The page names no script for it, or the browser does not start one.
    pub fn new(f: impl Fn(Answer) + Clone + 'static) -> Result<Link, String> {
        let named = |css: &str, attribute: &str| {
            let element = document().query_selector(css).ok().flatten();
            element.and_then(|e| e.get_attribute(attribute)).ok_or(format!("the page has no {css}"))
        };
        let script = named("script[type='text/worker']", "src")?;
        let app = named("meta[name=app]", "content")?;
        let words = |e: JsValue| e.as_string().unwrap_or(format!("{e:?}"));
        let worker = Worker::new(&script).map_err(words)?;
        let told = f.clone();
        let heard = listen(&worker, "message", move |e: &Event| {
            let data = e.dyn_ref::<MessageEvent>().and_then(|e| e.data().as_string());
            if let Some(answer) = data.and_then(|text| Answer::read(&text)) {
                told(answer);
            }
        });
        let broken = listen(&worker, "error", move |_: &Event| {
            f(Answer::Failed(
                "the worker has stopped; a part of the site may be missing on the server".to_owned(),
            ));
        });
        worker.post_message(&Array::of2(&app.into(), &wasm_bindgen::module())).map_err(words)?;
        Ok(Link { worker, _heard: [heard, broken] })
    }

    /// Asks for something.
    pub fn ask(&self, ask: &Ask) {
        let _ = self.worker.post_message(&JsValue::from(ask.print()));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_test_goes_on_as_it_is_asked() {
        let mut test = None;
        assert!(matches!(answer(&mut test, Ask::Tell), Answer::Failed(_)));
        let begun = answer(&mut test, Ask::Run("iteration=8,scale=100,seconds=4".to_owned()));
        assert_eq!(begun, Answer::At(0, 0, false));
        let Answer::At(second, packets, done) = answer(&mut test, Ask::Go(2)) else { unreachable!() };
        assert!((1..=2).contains(&second) && packets > 0 && !done, "{second} {packets} {done}");
        let Answer::At(second, more, done) = answer(&mut test, Ask::Go(100)) else { unreachable!() };
        assert!(second == 4 && more > packets && done, "{second} {more} {done}");
        let Answer::Report(text) = answer(&mut test, Ask::Tell) else { unreachable!() };
        let report = wire::read(&text).unwrap();
        assert_eq!((report.seconds, report.packets), (4, more));
        assert_eq!(report.article.map(|a| a.iteration), Some(8));
    }

    #[test]
    fn what_the_kubelet_refuses_is_refused() {
        let ask = Ask::Run("pod.nf_conntrack_udp_timeout=10".to_owned());
        let Answer::Refused(why) = answer(&mut None, ask) else { unreachable!() };
        assert!(why.contains("SysctlForbidden"), "{why}");
        let ask = Ask::Run("replicas=7".to_owned());
        assert!(matches!(answer(&mut None, ask), Answer::Refused(_)));
    }

    #[test]
    fn words_come_back_as_they_were() {
        for ask in [Ask::Run("scale=1".to_owned()), Ask::Go(7), Ask::Tell] {
            assert_eq!(Ask::read(&ask.print()), Some(ask));
        }
        for answer in [
            Answer::Ready,
            Answer::At(1, 2, true),
            Answer::Report("a b\nc d\n".to_owned()),
            Answer::Refused("no way".to_owned()),
            Answer::Failed(String::new()),
        ] {
            assert_eq!(Answer::read(&answer.print()), Some(answer));
        }
        assert_eq!(Ask::read("what"), None);
        assert_eq!(Answer::read("at 1"), None);
    }
}
