//! The page in a real browser. Run by `cargo xtask test wasm`.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{HtmlElement, KeyboardEvent, KeyboardEventInit};

wasm_bindgen_test_configure!(run_in_browser);

/// The page on the document's body, taken away at the end.
async fn mounted() -> impl Drop {
    let _ = window().location().set_hash("");
    let handle = mount_to_body_handle();
    leptos::task::tick().await;
    handle
}

fn mount_to_body_handle() -> impl Drop {
    leptos::mount::mount_to(document().body().unwrap(), web::App)
}

fn element(css: &str) -> HtmlElement {
    document().query_selector(css).unwrap().unwrap_or_else(|| unreachable!("no {css}")).dyn_into().unwrap()
}

fn text(css: &str) -> String {
    element(css).text_content().unwrap_or_default()
}

fn position() -> usize {
    text("#position").split(' ').next().unwrap().parse().unwrap()
}

async fn press(key: &str) {
    let init = KeyboardEventInit::new();
    init.set_key(key);
    init.set_bubbles(true);
    init.set_cancelable(true);
    let event = KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &init).unwrap();
    element("#lab").dispatch_event(&event).unwrap();
    leptos::task::tick().await;
}

async fn click(css: &str) {
    element(css).click();
    leptos::task::tick().await;
}

#[wasm_bindgen_test]
async fn the_page_mounts() {
    let page = mounted().await;
    assert_eq!(text("main h1"), "Netfilter Lab");
    assert!(text(".st.sel").contains("KUBE-SERVICES"), "{}", text(".st.sel"));
    assert!(text(".term").contains("curl"));
    drop(page);
}

#[wasm_bindgen_test]
async fn keys_step_forward_and_back() {
    let page = mounted().await;
    let start = position();
    press("ArrowRight").await;
    assert_eq!(position(), start + 1);
    assert!(!text("#spoken").is_empty());
    press("ArrowLeft").await;
    assert_eq!(position(), start);
    press("Home").await;
    assert_eq!(position(), 1);
    press("]").await;
    assert_eq!(text(".chip[aria-pressed=true]"), "SYN-ACK");
    drop(page);
}

#[wasm_bindgen_test]
async fn play_moves_and_pause_stops() {
    let page = mounted().await;
    let start = position();
    click("#play").await;
    assert_eq!(text("#play"), "Pause");
    assert_eq!(position(), start + 1);
    click("#play").await;
    assert_eq!(text("#play"), "Play");
    drop(page);
}

#[wasm_bindgen_test]
async fn the_end_shows_the_reset_and_the_time_out() {
    let page = mounted().await;
    press("End").await;
    assert!(text(".callout").contains("tmp2 sends a RST to 10.200.2.65:80"), "{}", text(".callout"));
    assert!(text(".term").contains("Connection timed out"));
    drop(page);
}

#[wasm_bindgen_test]
async fn the_switch_runs_the_lab_again() {
    let page = mounted().await;
    click("[role=switch]").await;
    assert_eq!(element("[role=switch]").get_attribute("aria-checked").as_deref(), Some("true"));
    press("End").await;
    assert!(document().query_selector(".callout").unwrap().is_none());
    assert!(!text(".term").contains("timed out"));
    assert!(document().query_selector(".goal .done").unwrap().is_some());
    drop(page);
}

#[wasm_bindgen_test]
async fn tabs_follow_the_arrows() {
    let page = mounted().await;
    click("#tab-Packet").await;
    assert!(text(".layers").contains("10.32.0.102"));
    click("#tab-Rules").await;
    assert!(text(".tabrow").contains("iptables-save"));
    drop(page);
}
