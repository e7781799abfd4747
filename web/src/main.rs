//! Mounts the page on the document's body.

fn main() {
    web::show_panics();
    leptos::mount::mount_to_body(web::App);
}
