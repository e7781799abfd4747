//! Figures of the page in a real browser: `cargo xtask bench page`. No test: it asserts nothing, and is ignored by the others.

use crate::harness::{Page, dist, visit};
use serde_json::{Value, json};
use std::fs;
use xtask::sizes::{self, Sizes};

/// How often each start is measured.
const STARTS: usize = 5;

/// The figures of the page.
#[test]
#[ignore = "prints figures: cargo xtask bench page"]
fn page() {
    println!("\nPage, in Chromium; times in milliseconds\n");
    bytes();
    starts();
    switches();
    scene();
    rules();
}

/// The value below which that many hundredths lie.
fn percentile(values: &[f64], hundredths: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

fn print(what: &str, values: &[f64], note: &str) {
    let [median, high, most] = [50, 95, 100].map(|part| percentile(values, part));
    println!(
        "{what:<46} median {median:>7.1}  p95 {high:>7.1}  most {most:>7.1}  of {:>4}  {note}",
        values.len()
    );
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn slowed(page: &Page, times: u32) {
    page.devtools("Emulation.setCPUThrottlingRate", &json!({"rate": times}));
}

/// What a first visit loads, after gzip as web servers do it.
fn bytes() {
    let mut all = 0;
    let mut files: Vec<_> = fs::read_dir(dist()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        let bytes = fs::read(file).unwrap();
        let gzip = sizes::gzip(&bytes).unwrap();
        all += gzip;
        println!(
            "{:<46} {:>9} bytes, gzip {gzip:>9}",
            file.file_name().unwrap().to_string_lossy(),
            bytes.len()
        );
    }
    println!("{:<46} {:>26} gzip {all:>9}", "all files", "");
    Sizes::of(&dist()).unwrap().print();
    println!();
}

/// Until a key that somebody presses as soon as the page is there has moved the packet, on the screen.
const INTERACT: &str = r"
window.first = new Promise(done => {
  const look = () => {
    const at = document.getElementById('position');
    if (!at || document.getElementById('boot')) return requestAnimationFrame(look);
    const there = performance.now(), before = at.textContent;
    dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
    const moved = () => {
      if (document.getElementById('position').textContent === before) return requestAnimationFrame(moved);
      requestAnimationFrame(() => setTimeout(() => done([there, performance.now()])));
    };
    requestAnimationFrame(moved);
  };
  addEventListener('DOMContentLoaded', look);
});";

fn starts() {
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..STARTS {
        // A browser with an empty profile each time: nothing is loaded, nothing is compiled.
        let server = xtask::server::Server::start(xtask::server::listen(0).unwrap(), &dist(), "/").unwrap();
        let page = Page::new(server.url());
        page.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": INTERACT}));
        slowed(&page, 4);
        page.open("");
        let cold = numbers(&page.eval("return window.first"));
        slowed(&page, 1);
        page.wait_until("the service worker to be in charge", || {
            page.eval("const c = navigator.serviceWorker.controller; return !!c && c.state === 'activated'")
                == true
        });
        // The second visit lets the browser keep what it has compiled; the third is a warm one.
        page.reload();
        slowed(&page, 4);
        page.reload();
        let warm = numbers(&page.eval("return window.first"));
        for (figure, value) in figures.iter_mut().zip(cold.into_iter().chain(warm)) {
            figure.push(value);
        }
    }
    let slow = "CPU 4 times slower, files from this machine";
    print("cold: the page is there", &figures[0], slow);
    print("cold: a key has moved the packet", &figures[1], slow);
    print("warm: the page is there", &figures[2], slow);
    print("warm: a key has moved the packet", &figures[3], slow);
    println!();
}

/// From the click on a switch until what has become of it is drawn.
const SWITCH: &str = r"
const id = arguments[0];
return (async () => {
  const e = document.getElementById(id);
  const start = performance.now();
  e.click();
  // Where a run is long, the page is busy for a while.
  while (document.querySelector('[aria-busy=true]')) await new Promise(go => setTimeout(go, 4));
  await new Promise(go => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = go; c.port2.postMessage(0); }));
  return performance.now() - start;
})()";

/// How long the page's main thread has worked so far, in milliseconds: its own time, however busy the machine is.
fn worked(page: &Page) -> f64 {
    let metrics = page.devtools("Performance.getMetrics", &json!({}));
    let mut metrics = metrics["metrics"].as_array().into_iter().flatten();
    let task = metrics.find(|metric| metric["name"] == "TaskDuration");
    task.and_then(|metric| metric["value"].as_f64()).unwrap_or(f64::NAN) * 1000.0
}

fn switches() {
    let (mut all, mut own) = (Vec::new(), Vec::new());
    visit(|page| {
        page.devtools("Performance.enable", &json!({"timeDomain": "threadTicks"}));
        page.set_size(1440, 900);
        let labs = page.eval("return [...document.querySelectorAll('.lab option')].map(o => o.value)");
        for lab in
            labs.as_array().unwrap().iter().filter_map(Value::as_str).filter(|lab| *lab != "conntrack-load")
        {
            page.open_fresh(&format!("#v1/{lab}"));
            let ids = page.eval(
                "return [...document.querySelectorAll('button[role=switch], .choice input:not(:checked)')].map(e => e.id)",
            );
            let mut figures = Vec::new();
            for id in ids.as_array().unwrap().iter().filter_map(Value::as_str) {
                page.open_fresh(&format!("#v1/{lab}"));
                // What the page does in the background at the start is not what is measured.
                page.eval("return new Promise(go => requestIdleCallback(() => setTimeout(go, 100)))");
                let there = page.eval(&format!("return !!document.getElementById('{id}')"));
                if there != true {
                    continue;
                }
                let before = worked(page);
                figures.extend(page.eval_with(SWITCH, &json!([id])).as_f64());
                own.push(worked(page) - before);
            }
            print(&format!("switch to redrawn, {lab}"), &figures, "");
            all.extend(figures);
        }
    });
    print("switch to redrawn, all labs", &all, "aim: p95 100");
    print("the same, the main thread's own time", &own, "");
    println!();
}

/// Frames while a thousand pods are on the map and packets move.
fn scene() {
    visit(|page| {
        page.set_size(1920, 1080);
        page.open_fresh("?bench=scene");
        if page.count(".benchstage") == 0 {
            return println!("there is no scene of 1,000 pods");
        }
        page.devtools("Performance.enable", &json!({"timeDomain": "threadTicks"}));
        let before = worked(page);
        let frames = page.eval(
            "return new Promise(done => {
               const frames = []; let last = 0;
               const frame = now => {
                 if (last) frames.push(now - last);
                 last = now;
                 if (frames.length < 300) requestAnimationFrame(frame); else done(frames);
               };
               setTimeout(() => requestAnimationFrame(frame), 500);
             })",
        );
        let frames = numbers(&frames);
        let (own, all) = (worked(page) - before, frames.iter().sum::<f64>());
        print("frame, 50 nodes, 1,000 pods, 200 packets", &frames, "aim: p95 16.7");
        println!(
            "the main thread's own part of that time: {:.0} %; the rest is drawing, by the processor",
            own / all * 100.0
        );
    });
}

/// Scrolling through a hundred thousand rules: the longest time in which the page does not answer.
fn rules() {
    visit(|page| {
        page.set_size(1440, 900);
        page.open_fresh("#v1/many-rules");
        page.click("#tab-Rules");
        page.wait("#table-list .vrow");
        let count = page.attribute("#table-list", "aria-rowcount").and_then(|n| n.parse::<u32>().ok());
        println!("{} lines", count.unwrap_or(0));
        let tasks = page.eval(
            "return new Promise(done => {
               const tasks = [], gaps = [];
               new PerformanceObserver(list => tasks.push(...list.getEntries().map(e => e.duration)))
                 .observe({type: 'longtask'});
               const list = document.getElementById('table-list');
               const end = list.scrollHeight - list.clientHeight;
               let at = 0, last = performance.now();
               const frame = () => {
                 const now = performance.now();
                 gaps.push(now - last); last = now;
                 if (at++ < 240) { list.scrollTop = end * at / 240; requestAnimationFrame(frame); }
                 else setTimeout(() => done([gaps, tasks]), 200);
               };
               requestAnimationFrame(frame);
             })",
        );
        print("frame, scrolling through 100,000 rules", &numbers(&tasks[0]), "");
        print("tasks over 50 ms meanwhile", &numbers(&tasks[1]), "aim: none");
    });
}
