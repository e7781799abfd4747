//! `nflab lab run conntrack-load`: one setting, or with none the article's nine iterations.

use crate::typed::exchange;
use kernel::Instant;
use workshop::load::{
    self, Judged, LoadError, Report, SWITCHES, Setting, Test, claims, json, sweep_claims, sweep_json,
    sweep_text, text,
};
use workshop::session::{At, Typed};

/// What `lab list` says of it.
pub fn listing() -> String {
    let mut out = format!("{:<24} {}\n", load::NAME, load::SUMMARY);
    for s in SWITCHES {
        out += &format!("{:<24} --set {}={}   ({})\n", "", s.name, s.values, s.title);
    }
    out
}

/// The size of the machine: `1`, `1/10` or `10`, which says the same.
fn scale(text: &str) -> &str {
    text.strip_prefix("1/").unwrap_or(text)
}

/// The setting that `--set` and `--scale` ask for.
fn setting(set: &[String], size: Option<&str>) -> Result<Setting, String> {
    let mut setting = Setting::default();
    let mut put = |switch: &str, value: &str| setting.set(switch, value).map_err(|e| e.to_string());
    if let Some(size) = size {
        put("scale", scale(size)).map_err(|_| format!("--scale {size}: expected 1, or 1/2 to 1/100"))?;
    }
    // An iteration sets everything else, so it comes first.
    let of_iteration = |word: &&String| word.starts_with("iteration=");
    for word in set.iter().filter(of_iteration).chain(set.iter().filter(|w| !of_iteration(w))) {
        let (switch, value) =
            word.split_once('=').ok_or_else(|| format!("--set {word:?}: expected SWITCH=VALUE"))?;
        put(switch, value)?;
    }
    Ok(setting)
}

/// The iteration that `--set` names, and its setting.
fn asked_iteration(set: &[String]) -> Option<(u32, Setting)> {
    let n = set.iter().rev().find_map(|word| word.strip_prefix("iteration=")?.parse().ok())?;
    Some((n, Setting::iteration(n)?))
}

fn hold(judged: &[Judged]) -> bool {
    judged.iter().all(|j| j.holds)
}

/// Runs it, with what somebody types at its beginning or its end. The text, and whether every claim holds and nothing was refused.
///
/// # Errors
/// A switch has no such value.
pub fn run(
    set: &[String],
    size: Option<&str>,
    as_json: bool,
    typed: &[Typed],
) -> Result<(String, bool), String> {
    let one = setting(set, size)?;
    let only_length = |word: &String| word.starts_with("seconds=");
    if set.iter().all(only_length) && typed.is_empty() {
        let mut reports: Vec<Report> = Vec::new();
        for n in 1..=9 {
            let setting = Setting::iteration(n).unwrap_or_default();
            // Iteration 4 is a second look at iteration 2.
            let again = reports.iter().find(|r| {
                Setting { scale: 1, seconds: 1, ..r.setting.clone() }
                    == Setting { scale: 1, seconds: 1, ..setting.clone() }
            });
            let report = match again {
                Some(report) => report.clone(),
                None => load::run(&Setting { scale: one.scale, seconds: one.seconds, ..setting })
                    .map_err(|e| e.to_string())?,
            };
            reports.push(report.as_iteration(n));
        }
        let each = reports.iter().all(|r| hold(&claims(r)));
        let all = sweep_claims(&reports).is_some_and(|c| hold(&c));
        return Ok((if as_json { sweep_json(&reports) } else { sweep_text(&reports) }, each && all));
    }
    match one_test(&one, typed) {
        Ok((report, exchanges, well)) => {
            let report = match asked_iteration(set) {
                // Iterations 2 and 4 have one setting: the one that was asked for is told.
                Some((n, same)) if same.which() == one.which() => report.as_iteration(n),
                _ => report,
            };
            let printed = if as_json { json(&report) } else { text(&report) + &exchanges };
            Ok((printed, well && hold(&claims(&report))))
        }
        // That is what the lab is to show, too.
        Err(LoadError::Forbidden(why)) => Ok((format!("no pod runs: {why}\n"), true)),
        Err(e) => Err(e.to_string()),
    }
}

/// A test with what is typed before and after it: the report, what was printed, and whether all of it was run.
fn one_test(setting: &Setting, typed: &[Typed]) -> Result<(Report, String, bool), LoadError> {
    let mut test = Test::new(setting)?;
    let (mut out, mut well) = (String::new(), true);
    let mut typing = |test: &mut Test, first: bool| {
        for t in typed.iter().filter(|t| (t.at != At::End) == first) {
            let done = test.command(t.on.as_deref(), &t.line);
            well &= done.is_ok();
            out += &exchange(t, done.as_ref().err().map(String::as_str), done.as_ref().ok());
        }
    };
    typing(&mut test, true);
    test.advance(Instant(u64::MAX));
    let report = test.report();
    typing(&mut test, false);
    if !out.is_empty() {
        out.insert(0, '\n');
    }
    Ok((report, out, well))
}
