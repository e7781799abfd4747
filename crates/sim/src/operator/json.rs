//! JSON as iproute2 prints it: in one line, fields in the order in which they are written.

/// An object under construction.
#[derive(Debug, Default)]
pub(super) struct Object(Vec<String>);

impl Object {
    /// A field whose value is a text.
    pub(super) fn text(&mut self, name: &str, value: impl std::fmt::Display) {
        self.raw(name, format_args!("\"{value}\""));
    }

    /// A field whose value stands as it is: a number, a word, an array.
    pub(super) fn raw(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push(format!("\"{name}\":{value}"));
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str, values: &[&str]) {
        let values: Vec<String> = values.iter().map(|v| format!("\"{v}\"")).collect();
        self.raw(name, format_args!("[{}]", values.join(",")));
    }

    /// Its fields, to be put into another object.
    pub(super) fn fields(self) -> String {
        self.0.join(",")
    }

    /// The object.
    pub(super) fn done(self) -> String {
        format!("{{{}}}", self.0.join(","))
    }
}

/// An array of what stands for itself, which is all that a listing prints.
pub(super) fn array(all: &[String]) -> String {
    format!("[{}]", all.join(","))
}
