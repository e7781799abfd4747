//! The cluster's objects as YAML, clients on the LAN, and a host's rules as text.

use crate::dom::{El, NONE, View, before_paint, el, part};
use crate::state::State;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::KeyboardEvent;
use workshop::session::objects::{Contents, ObjectText};
use workshop::{At, Typed};

const YAML: &str = "yaml-text";
const RULES: &str = "rules-text";

/// What new objects begin with.
const NEW: [(&str, &str); 3] = [
    (
        "Pod",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: new\n  labels: {app: new}\nspec:\n  nodeName: NODE\n",
    ),
    (
        "Service",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: new\nspec:\n  type: ClusterIP\n  selector: {app: new}\n  ports:\n    - {port: 80}\n",
    ),
    (
        "Deployment",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: new\nspec:\n  replicas: 2\n  selector:\n    matchLabels: {app: new}\n  \
         template:\n    metadata:\n      labels: {app: new}\n    spec:\n      nodeName: NODE\n",
    ),
];

fn setup(line: impl Into<String>, on: Option<String>, stdin: String) -> Typed {
    Typed { at: At::Setup, on, line: line.into(), stdin }
}

/// Types a command whose text stands in a field; what is wrong with it is shown underlined, with the field in sight.
fn apply(state: State, field: &'static str, typed: Typed) {
    let text = typed.stdin.clone();
    // What fails has changed nothing: it is not kept.
    state.try_typed(typed, true, move |done| {
        let wrong = match done {
            Ok(wrong) => wrong.map(|wrong| underlined(&text, &wrong)),
            Err(refused) => Some(match refused.place {
                Some(place) => place.show("YAML", &text),
                None => refused.message,
            }),
        };
        state.desk.yaml_wrong.set(wrong);
        before_paint(move || crate::focus_on(field));
    });
}

/// A message of a tool with the line that it names; in it the word that it quotes is underlined, or all of it.
fn underlined(text: &str, message: &str) -> String {
    let words: Vec<&str> =
        message.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let number = words.windows(2).find_map(|w| match w {
        ["line", n] => n.parse::<usize>().ok(),
        _ => None,
    });
    match number.and_then(|n| Some((n, text.lines().nth(n.checked_sub(1)?)?))) {
        Some((n, line)) => {
            let margin = " ".repeat(n.to_string().len());
            let (before, word) = quoted(message, line).unwrap_or((0, line.chars().count()));
            let marks = " ".repeat(before) + &"^".repeat(word.max(1));
            format!("{message}\n{margin} |\n{n} | {line}\n{margin} | {marks}")
        }
        None => message.to_owned(),
    }
}

/// The first word of a message in quotes, as in `x', that stands in a line: how many letters are before it there, and how many it has.
fn quoted(message: &str, line: &str) -> Option<(usize, usize)> {
    let mut words = message.split(['"', '`', '\'']).skip(1).filter(|w| !w.is_empty());
    // What is wrong often stands behind what is right.
    let (word, at) = words.find_map(|w| Some((w, line.rfind(w)?)))?;
    Some((line.get(..at)?.chars().count(), word.chars().count()))
}

/// The drawer.
pub fn drawer(state: State) -> View {
    let objects = part(move || {
        let session = state.loaded.with(|l| l.session.clone());
        match session.contents() {
            Ok(now) => list(state, now.objects),
            Err(e) => el("p").class("wrong").add(e.to_string()).into(),
        }
    });
    let yaml = field(
        state,
        YAML,
        "YAML of objects",
        move || state.desk.yaml.get(),
        move |text| {
            state.desk.yaml_wrong.set(None);
            state.desk.yaml.set(text);
        },
    )
    .attr("placeholder", "An object from the list, a new one, or YAML of your own")
    .on("keydown", move |e| {
        let key = e.dyn_ref::<KeyboardEvent>();
        if key.is_some_and(|k| k.key() == "Enter" && (k.ctrl_key() || k.meta_key())) {
            e.prevent_default();
            apply_yaml(state);
        }
    });
    let button = |id: &'static str, name: &'static str| el("button").class("btn").id(id).add(name);
    let wrong = part(move || match state.desk.yaml_wrong.get() {
        Some(text) => el("pre").class("wrong mono").attr("role", "alert").add(text).into(),
        None => NONE,
    });
    let editor = el("div").class("editor").add(yaml).add(
        el("div")
            .class("row")
            .add(
                button("yaml-apply", "Apply")
                    .attr("title", "kubectl apply -f - (Ctrl+Enter)")
                    .click(move || apply_yaml(state)),
            )
            .add(button("yaml-delete", "Delete").attr("title", "kubectl delete -f -").click(move || {
                let text = state.desk.yaml.get_untracked();
                apply(state, YAML, setup("kubectl delete -f -", None, text));
            })),
    );
    let objects = el("div").class("objects").add(new(state)).add(objects);
    let top = el("div").class("cluster").add(objects).add(editor);
    View::All(vec![top.into(), super::pods::form(state), client(state).into(), rules(state).into(), wrong])
}

fn apply_yaml(state: State) {
    let text = state.desk.yaml.get_untracked();
    apply(state, YAML, setup("kubectl apply -f -", None, text));
}

/// A field of several lines.
fn field(
    state: State,
    id: &'static str,
    label: &'static str,
    get: impl FnMut() -> String + 'static,
    mut set: impl FnMut(String) + 'static,
) -> El {
    el("textarea")
        .id(id)
        .class("mono")
        .attr("aria-label", label)
        .attr("spellcheck", "false")
        .attr("rows", "10")
        .maybe("aria-invalid", "true", move || state.desk.yaml_wrong.get().is_some())
        .input(get)
        .on("input", move |e| set(event_target_value(e)))
}

fn show(state: State, yaml: String) {
    state.desk.yaml_wrong.set(None);
    state.desk.yaml.set(yaml);
    before_paint(|| crate::focus_on(YAML));
}

/// Buttons that begin a new object.
fn new(state: State) -> El {
    let mut row = el("div")
        .class("row")
        .attr("role", "group")
        .attr("aria-label", "New object")
        .add(el("span").class("dim").add("New"));
    for (kind, text) in NEW {
        let begin = move || {
            let node = contents(state).objects.into_iter().find(|o| o.kind == "Node");
            show(state, text.replace("NODE", &node.map_or("node-1".to_owned(), |o| o.name)));
        };
        row = row.add(el("button").class("btn quiet").click(begin).add(kind));
    }
    let node = move || show(state, contents(state).node.unwrap_or_default());
    row.add(el("button").class("btn quiet").click(node).add("Node"))
}

/// What the cluster is made of; nothing where it cannot be made.
fn contents(state: State) -> Contents {
    state.loaded.with_untracked(|l| l.session.contents()).unwrap_or_default()
}

fn list(state: State, objects: Vec<ObjectText>) -> View {
    let all: Vec<String> = objects.iter().take(200).map(|o| o.yaml.clone()).collect();
    let all = all.join("---\n");
    let everything = el("button").class("linklike").click(move || show(state, all.clone())).add("all");
    let mut out = el("ul").add(el("li").add(everything));
    for o in objects.into_iter().take(200) {
        let (name, yaml) = (format!("{} {}", o.kind, o.name), o.yaml);
        let title = format!("{}/{}", o.namespace, o.name);
        let id = format!("edit-{}-{}", o.kind, o.name);
        out = out.add(
            el("li").add(
                el("button")
                    .class("linklike")
                    .attr("id", id)
                    .attr("title", title)
                    .click(move || show(state, yaml.clone()))
                    .add(name),
            ),
        );
    }
    out.into()
}

/// Adds a computer to the LAN: composes the command, which is then typed in the line.
fn client(state: State) -> El {
    let begin = move || compose(state, contents(state).client.unwrap_or_default());
    let add = el("button").class("btn").id("client-add").click(begin).add("Add a client");
    let mut row = el("div").class("row").attr("role", "group").attr("aria-label", "Clients").add(add);
    row = row.add(part(move || {
        state.loaded.track();
        let delete = |name: String| {
            let line = format!("lab machine delete {name}");
            el("button")
                .class("btn quiet")
                .click(move || compose(state, line.clone()))
                .add(format!("Delete {name}"))
                .into()
        };
        View::All(contents(state).machines.into_iter().map(delete).collect())
    }));
    row
}

/// Puts a command for setup into the line, where it can be changed before it is run.
fn compose(state: State, line: String) {
    state.desk.draft.set(setup(line, None, String::new()));
    super::focus_input(state);
}

/// A host's rules as iptables-save prints them.
fn rules(state: State) -> El {
    let text = field(
        state,
        RULES,
        "Rules, as iptables-save prints them",
        move || state.desk.rules.get(),
        move |t| {
            state.desk.yaml_wrong.set(None);
            state.desk.rules.set(t);
        },
    )
    .attr("placeholder", "*filter\n:INPUT ACCEPT [0:0]\n…\nCOMMIT");
    let on = part(move || {
        let loaded = state.loaded.get();
        let mut select = el("select").attr("id", "rules-on").attr("aria-label", "Host of the rules");
        for host in loaded.world().hosts() {
            select = select.add(el("option").attr("value", host.name.clone()).add(host.name.clone()));
        }
        let value = state.table_host_name();
        select.input(move || value.clone()).into()
    });
    let restore = move || {
        let chosen = document()
            .get_element_by_id("rules-on")
            .and_then(|e| js_sys::Reflect::get(&e, &"value".into()).ok());
        let on = chosen.and_then(|v| v.as_string());
        apply(state, RULES, setup("iptables-restore", on, state.desk.rules.get_untracked()));
    };
    let button = el("button")
        .class("btn")
        .id("rules-apply")
        .attr("title", "iptables-restore")
        .click(restore)
        .add("Restore");
    el("details")
        .class("facts")
        .add(el("summary").add("Rules of a host as text"))
        .add(el("div").class("editor").add(text).add(el("div").class("row").add(on).add(button)))
}

#[cfg(test)]
mod tests {
    use super::{quoted, underlined};
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_word_that_a_message_quotes_is_underlined() {
        let message = "unknown option \"--dprt\"\nError occurred at line: 1";
        let shown = underlined("-A INPUT --dprt 80", message);
        assert!(shown.ends_with("1 | -A INPUT --dprt 80\n  |          ^^^^^^"), "{shown}");
    }

    #[test]
    fn a_part_of_a_word_is_found_and_a_letter_of_another_is_not() {
        assert_eq!(quoted("Couldn't load target `NO':No such file", "-A NOT -j NO"), Some((10, 2)));
        assert_eq!(quoted("invalid port/service `99' specified", "--dports 1,99"), Some((11, 2)));
        assert_eq!(quoted("line 1 failed", "-A INPUT"), None);
    }
}
