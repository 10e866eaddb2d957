//! Removing what was judged garbage, if it still is.

use schemars::JsonSchema;
use serde::Serialize;

use super::Candidate;
use super::facts::{self, Facts};
use super::judge::{Judgement, Rules, Verdict};
use crate::failure::Result;
use crate::view::{View, named};
use crate::who::Who;

/// What became of a segment.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct Outcome {
    pub(super) fate: Fate,
    pub(super) why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    Removed,
    /// It is not garbage any more, or turned out to be none.
    Kept,
    Failed,
}

/// An outcome for each that there was something to do about.
pub(super) fn all(candidates: &[Candidate], view: &View, rules: &Rules) -> Vec<Option<Outcome>> {
    let swept = |one: &Candidate| {
        one.is_wanted().then(|| match sweep(one, view, rules) {
            Ok(outcome) => outcome,
            Err(failure) => Outcome { fate: Fate::Failed, why: failure.to_string() },
        })
    };
    candidates.iter().map(swept).collect()
}

fn sweep(planned: &Candidate, view: &View, rules: &Rules) -> Result<Outcome> {
    let kept = |why: String| Ok(Outcome { fate: Fate::Kept, why });
    let before = &planned.facts.stat;
    let Some(now) = view.facility.backend.list()?.into_iter().find(|listed| listed.stat.id == before.id)
    else {
        return kept("gone already".to_owned());
    };
    let now = now.stat;
    if now.attachment_count > 0 {
        return kept(format!(
            "attached since: {}",
            Who::look(&*view.facility.backend, &view.people)?.sentence(&now)
        ));
    }
    // An id names another segment as soon as its number has come round.
    if now != *before {
        return kept("used since, or another's by now".to_owned());
    }
    let Judgement { verdict, why, policy, .. } = judged(planned, view, rules)?;
    if verdict != Verdict::Garbage {
        return kept(why);
    }
    // There is no remove-if-unattached: look as late as possible, also after our own attachment.
    if view.facility.backend.stat(now.id).is_ok_and(|now| now.attachment_count > 0) {
        return kept("attached since".to_owned());
    }
    view.segment(&now).remove().map_err(named(&now))?;
    let is_attached = view.facility.backend.stat(now.id).is_ok_and(|now| now.removed);
    let why = match (policy, is_attached) {
        (_, true) => {
            "attached in this very moment; its memory stays until its last attacher detaches".to_owned()
        }
        (Some(policy), false) => format!("garbage by policy {policy}"),
        (None, false) => "garbage".to_owned(),
    };
    Ok(Outcome { fate: Fate::Removed, why })
}

/// The verdict of now, with the contents seen where a key or a name makes them count.
fn judged(planned: &Candidate, view: &View, rules: &Rules) -> Result<Judgement> {
    let stat = &planned.facts.stat;
    let mut facts = Facts::of(stat, view);
    if !stat.key.is_private() && facts.contents == facts::Contents::Unseen {
        facts.contents = facts::look_inside(view, stat)?;
    }
    Ok(rules.judge(&facts))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coseg_sysv::{Key, Segment, User};

    use super::*;
    use crate::backend::Facility;

    /// A view of a directory's segments, of which one is as its dead creator left it.
    fn plan(user: &User) -> (View, Vec<Candidate>, Rules) {
        let facility =
            Facility { backend: std::sync::Arc::new(*user), user: Some(*user), is_fallback: false };
        let view = View::of(facility).unwrap();
        let rules = Rules::older_than(Duration::ZERO);
        let mut candidates: Vec<Candidate> =
            view.listed.iter().map(|listed| Candidate::of(&listed.stat, &view, &rules)).collect();
        for one in &mut candidates {
            // This process made it, and lives.
            assert_eq!(one.judgement.verdict, Verdict::Keep);
            one.judgement.verdict = Verdict::Garbage;
        }
        (view, candidates, rules)
    }

    #[test]
    fn what_changed_since_the_plan_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let user = User::at(directory.path()).unwrap();
        let make = || Segment::options(Key::PRIVATE).size(10).create(&user).unwrap();
        let segment = make();
        let (view, candidates, rules) = plan(&user);
        let fate = || all(&candidates, &view, &rules).remove(0).unwrap();

        let memory = segment.attach().unwrap();
        let attached = fate();
        assert!(attached.fate == Fate::Kept && attached.why.starts_with("attached since: "), "{attached:?}");
        memory.detach().unwrap();
        let used = fate();
        assert!(used.fate == Fate::Kept && used.why.contains("used since"), "{used:?}");
        segment.remove().unwrap();
        assert_eq!(fate().why, "gone already");
    }

    #[test]
    fn a_creator_who_lives_is_seen_at_the_last_look() {
        let directory = tempfile::tempdir().unwrap();
        let user = User::at(directory.path()).unwrap();
        let _segment = Segment::options(Key::PRIVATE).size(10).create(&user).unwrap();
        let (view, candidates, rules) = plan(&user);
        let outcome = all(&candidates, &view, &rules).remove(0).unwrap();
        assert!(outcome.fate == Fate::Kept && outcome.why.contains("its creator runs"), "{outcome:?}");
    }
}
