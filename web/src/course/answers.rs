//! Answers to an exercise's questions, kept as long as the tab is: a reload or a look at another exercise loses none.

use leptos::prelude::window;
use workshop::exercise::Given;

/// What the keys begin with; the exercise's name follows.
const KEY: &str = "netfilter-lab-answers ";

/// Inside an article nothing is kept.
fn storage() -> Option<web_sys::Storage> {
    if crate::embed::is_on() { None } else { window().session_storage().ok().flatten() }
}

/// Keeps the answers to an exercise's questions: a line for each, with the number that was chosen, or `=` and what was written.
pub fn keep(exercise: &str, answers: &[Option<Given>]) {
    let lines: Vec<String> = answers.iter().map(print).collect();
    if let Some(storage) = storage() {
        // What cannot be kept is asked again.
        let _ = storage.set_item(&format!("{KEY}{exercise}"), &lines.join("\n"));
    }
}

/// What was answered to so many questions.
pub fn kept(exercise: &str, questions: usize) -> Vec<Option<Given>> {
    let text = storage().and_then(|s| s.get_item(&format!("{KEY}{exercise}")).ok().flatten());
    let text = text.unwrap_or_default();
    let read = text.lines().map(read).chain(std::iter::repeat(None));
    read.take(questions).collect()
}

/// Forgets all.
pub fn forget() {
    let Some(storage) = storage() else { return };
    let keys = (0..storage.length().unwrap_or(0)).filter_map(|n| storage.key(n).ok().flatten());
    let keys: Vec<String> = keys.filter(|key| key.starts_with(KEY)).collect();
    for key in keys {
        let _ = storage.remove_item(&key);
    }
}

fn print(given: &Option<Given>) -> String {
    match given {
        None => String::new(),
        Some(Given::Chosen(n)) => n.to_string(),
        Some(Given::Written(text)) => format!("={}", text.replace('\n', " ")),
    }
}

fn read(line: &str) -> Option<Given> {
    match line.strip_prefix('=') {
        Some(text) => Some(Given::Written(text.to_owned())),
        None => line.parse().ok().map(Given::Chosen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn answers_come_back_as_they_were() {
        let answers = [None, Some(Given::Chosen(2)), Some(Given::Written("10.0.0.1 = x".to_owned()))];
        keep("an-exercise", &answers);
        assert_eq!(kept("an-exercise", 3), answers);
        assert_eq!(kept("an-exercise", 5)[3..], [None, None]);
        forget();
        assert_eq!(kept("an-exercise", 3), [None, None, None]);
    }
}
