//! Removing what was judged garbage, if it still is.

use coseg_sysv::{ShmId, Stat};
use schemars::JsonSchema;
use serde::Serialize;

use super::Candidate;
use super::facts::{self, Facts, Pids};
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
    let kept = |why: &str| Ok(Outcome { fate: Fate::Kept, why: why.to_owned() });
    let before = &planned.facts.stat;
    let Some(now) = listed(view, before.id)? else { return kept("gone already") };
    if now.attachment_count > 0 {
        let who = Who::look(&*view.facility.backend, &view.people)?.sentence(&now);
        return kept(&format!("attached since: {who}"));
    }
    // An id names another segment as soon as its number has come round.
    if now != *before {
        return kept("used since, or another's by now");
    }
    let mut facts = Facts::of(&now, view, &Pids::of(rules));
    // The contents count where a key or a name does.
    let looks = !now.key.is_private() && facts.contents == facts::Contents::Unseen;
    if looks {
        facts.contents = facts::look_inside(view, &now)?;
    }
    let Judgement { verdict, why, policy, .. } = rules.judge(&facts);
    if verdict != Verdict::Garbage {
        return kept(&why);
    }
    // There is no remove-if-unattached: look as late as possible, also after our own attachment.
    let last = match view.facility.backend.stat(now.id) {
        Ok(last) => Some(last),
        // Its mode may hide from us what we may remove.
        Err(_) => listed(view, now.id)?,
    };
    let Some(last) = last else { return kept("gone already") };
    if last.attachment_count > 0 {
        return kept("attached since");
    }
    let expected = if looks { looked_into(&now, &last) } else { now };
    if last != expected {
        return kept("used since");
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

/// The segment as it is now, whatever its mode lets us ask of it.
fn listed(view: &View, id: ShmId) -> Result<Option<Stat>> {
    let all = view.facility.backend.list()?;
    Ok(all.into_iter().map(|listed| listed.stat).find(|stat| stat.id == id))
}

/// What a segment is after we attached and detached it, and nobody else did: a detach of ours was the last, and the
/// times are not before what they were.
fn looked_into(before: &Stat, after: &Stat) -> Stat {
    Stat {
        last_pid: std::process::id().cast_signed(),
        attach_time: after.attach_time.max(before.attach_time),
        // Ours was the last of both.
        detach_time: after.detach_time.max(after.attach_time),
        ..*before
    }
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
        let mut candidates = Candidate::all(&view.listed, &view, &rules);
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
    fn our_own_look_is_told_from_anothers_use() {
        let directory = tempfile::tempdir().unwrap();
        let user = User::at(directory.path()).unwrap();
        let segment = Segment::options(Key::PRIVATE).size(10).create(&user).unwrap();
        let before = segment.stat().unwrap();
        segment.attach_read_only().unwrap().detach().unwrap();
        let after = segment.stat().unwrap();
        assert!(before != after && looked_into(&before, &after) == after, "{before:?} {after:?}");
        for other in [
            // Who came and went after us, or only went.
            Stat { last_pid: after.last_pid + 1, ..after },
            Stat { attach_time: after.detach_time + 1, ..after },
            Stat { attachment_count: 1, ..after },
            Stat { mode: coseg_sysv::Mode::new(0o777), ..after },
            Stat { change_time: after.change_time + 1, ..after },
            Stat { removed: true, ..after },
        ] {
            assert_ne!(looked_into(&before, &other), other);
        }
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
