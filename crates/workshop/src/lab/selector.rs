//! `-l`: the labels that objects are to have (apimachinery, pkg/labels).

/// What one label is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    /// Whether it is to be so, or not to be so.
    holds: bool,
    /// One of these; any if there are none.
    values: Option<Vec<String>>,
}

/// All of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

impl Selector {
    /// Reads `app=web,tier!=back,zone in (a, b),zone notin (c),canary,!old`.
    ///
    /// # Errors
    /// Names the part that is not read, and what was expected.
    pub fn read(text: &str) -> Result<Selector, String> {
        let mut within = false;
        let between = |c: char| {
            within = c == '(' || within && c != ')';
            c == ',' && !within
        };
        text.split(between).map(|part| requirement(part.trim())).collect::<Result<_, _>>().map(Selector)
    }

    /// What it asks for.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|r| r.key.as_str())
    }

    /// It asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels are as it asks for; `value` is the one of a key. What has no such label differs from every value.
    pub fn selects<'l>(&self, value: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|r| {
            let among = |own: &str| r.values.as_ref().is_none_or(|all| all.iter().any(|v| v == own));
            value(&r.key).is_some_and(among) == r.holds
        })
    }
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let wrong = || {
        format!(
            "{text:?}: expected KEY=VALUE, KEY!=VALUE, KEY in (VALUE, VALUE), KEY notin (VALUE, VALUE), KEY or !KEY"
        )
    };
    let own = |v: &str| v.trim().to_owned();
    let (key, holds, values) = if let Some(set) = text.strip_suffix(')') {
        let (head, list) = set.split_once('(').ok_or_else(wrong)?;
        let (key, word) = head.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
        let holds = match word.trim() {
            "in" => true,
            "notin" => false,
            _ => return Err(wrong()),
        };
        (key, holds, Some(list.split(',').map(own).collect()))
    } else {
        match (text.split_once("!="), text.split_once('='), text.strip_prefix('!')) {
            (Some((key, value)), _, _) => (key, false, Some(vec![own(value)])),
            (_, Some((key, value)), _) => (key, true, Some(vec![own(value.trim_start_matches('='))])),
            (_, _, Some(key)) => (key, false, None),
            _ => (text, true, None),
        }
    };
    let key = key.trim();
    let sign = |c: char| c.is_whitespace() || "(),=!".contains(c);
    let words = || values.iter().flatten().map(String::as_str).chain([key]);
    if key.is_empty() || words().any(|w| w.contains(sign)) {
        return Err(wrong());
    }
    Ok(Requirement { key: key.to_owned(), holds, values })
}

#[cfg(test)]
mod tests {
    use super::Selector;

    fn selects(selector: &str, labels: &[(&str, &'static str)]) -> bool {
        let value = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        Selector::read(selector).unwrap_or_else(|e| panic!("{e}")).selects(value)
    }

    #[test]
    fn labels_are_asked_for_as_the_api_server_does() {
        let web = [("app", "web"), ("zone", "b")];
        for (selector, expected) in [
            ("app=web", true),
            ("app==web", true),
            ("app = web", true),
            ("app=db", false),
            ("app!=web", false),
            ("app!=db", true),
            ("old!=web", true),
            ("app", true),
            ("old", false),
            ("!old", true),
            ("! app", false),
            ("zone in (a, b)", true),
            ("zone in (a,c)", false),
            ("zone in(b)", true),
            ("zone notin (a,c)", true),
            ("zone notin (a,b)", false),
            ("old notin (a,b)", true),
            ("old in (a,b)", false),
            ("app=web,zone in (a,b),!old", true),
            ("app=web,zone in (a,c),!old", false),
            ("old=", false),
        ] {
            assert_eq!(selects(selector, &web), expected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_named() {
        for text in
            ["", "=a", "app=a b", "zone in a,b", "zone in", "zone of (a)", "in (a)", "zone in (a", "a=b!"]
        {
            let why = Selector::read(text).unwrap_err();
            assert!(why.contains("expected KEY=VALUE, KEY!=VALUE, KEY in (VALUE, VALUE)"), "{text}: {why}");
        }
    }
}
