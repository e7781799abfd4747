//! Whether a lab does what its text says, in every position of its switches.

use crate::{Lab, LabRun, Setting, Span, spans};

/// No more settings than this are tried.
const MOST: usize = 256;

/// All settings of a lab.
pub fn settings(lab: &Lab) -> Vec<Setting> {
    let mut all = vec![Setting::new()];
    for switch in &lab.switches {
        let with = |value: &str| -> Vec<Setting> {
            let mut out = all.clone();
            out.iter_mut().for_each(|s| {
                s.insert(switch.name.clone(), value.to_owned());
            });
            out
        };
        all = switch.values().flat_map(with).collect();
    }
    all
}

/// Tries a lab in every position of its switches: claims, links, goals. Each finding is a sentence about what is wrong.
///
/// # Errors
/// The lab cannot be run, or has too many positions to try.
pub fn check_lab(lab: &Lab) -> Result<Vec<String>, String> {
    let settings = settings(lab);
    if settings.len() > MOST {
        return Err(format!(
            "the switches have {} positions together, expected {MOST} at most",
            settings.len()
        ));
    }
    let mut findings = Vec::new();
    let mut reached = vec![false; lab.goals.len()];
    let default = lab.default_setting();
    for setting in settings {
        let run = lab.run(&setting).map_err(|e| e.to_string())?;
        let words: Vec<String> = setting.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let words = words.join(",");
        for claim in run.claims.iter().filter(|c| !c.holds) {
            findings.push(format!("{words}: the claim {:?} does not hold", claim.text));
        }
        findings.extend(
            dead_links(lab, &setting, &run).map(|key| format!("{words}: the link {key:?} leads nowhere")),
        );
        for (n, goal) in run.goals.iter().enumerate().filter(|(_, g)| g.reached) {
            if setting == default {
                findings.push(format!("the goal {:?} is reached before anything is done", goal.text));
            }
            if let Some(is) = reached.get_mut(n) {
                *is = true;
            }
        }
    }
    for (goal, _) in lab.goals.iter().zip(reached).filter(|(_, is)| !is) {
        findings.push(format!("no position of the switches reaches the goal {:?}", goal.text));
    }
    Ok(findings)
}

fn dead_links<'a>(lab: &'a Lab, setting: &'a Setting, run: &'a LabRun) -> impl Iterator<Item = &'a str> {
    lab.beats_for(setting).flat_map(|b| spans(&b.text)).filter_map(|s| match s {
        Span::Link(_, key) if !run.moments.iter().any(|(k, _)| k == key) => Some(key),
        _ => None,
    })
}
