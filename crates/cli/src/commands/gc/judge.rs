//! From evidence to a verdict, without looking at anything.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::facts::{Contents, Facts, Past};
use super::policy::{Match, Policy};
use crate::output::{self, printable};
use crate::time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Garbage,
    Keep,
    Unsure,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
    /// The policy that its key needs.
    pub(crate) policy: Option<String>,
    /// It may be garbage: a policy asks for what only an attachment shows.
    pub(crate) wants_look: bool,
}

/// What the caller asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(super) older_than: Duration,
    pub(super) policies: Vec<Policy>,
    /// Nobody in a PID namespace that is not seen from here uses the same segments.
    pub(super) not_shared: bool,
}

impl Judgement {
    fn new(verdict: Verdict, why: impl Into<String>) -> Judgement {
        Judgement { verdict, why: why.into(), policy: None, wants_look: false }
    }

    fn keep(why: impl Into<String>) -> Judgement {
        Judgement::new(Verdict::Keep, why)
    }

    fn unsure(why: impl Into<String>) -> Judgement {
        Judgement::new(Verdict::Unsure, why)
    }
}

impl Rules {
    /// The rules of who asks for nothing but an age.
    pub(crate) fn older_than(older_than: Duration) -> Rules {
        Rules { older_than, ..Rules::default() }
    }

    /// The first policy that matches a segment; where none does, the first that may, once its name is known. Whoever
    /// may match hides nobody who does: the removal knows the name, and asks again.
    fn policy(&self, facts: &Facts) -> Option<(&Policy, Match)> {
        let matches = |policy: &Policy| policy.matches(&facts.stat, facts.region_name());
        let first = |wanted| self.policies.iter().find(|policy| matches(policy) == wanted);
        [Match::Yes, Match::Unknown].into_iter().find_map(|wanted| Some((first(wanted)?, wanted)))
    }

    pub(crate) fn judge(&self, facts: &Facts) -> Judgement {
        let stat = &facts.stat;
        if stat.attachment_count > 0 {
            let attached = output::count(stat.attachment_count, "attachment", "attachments");
            let removed = if stat.removed { "; removed, and gone with the last of them" } else { "" };
            return Judgement::keep(format!("{attached}{removed}"));
        }
        if stat.removed {
            return Judgement::keep("removed already, and on its way out");
        }
        if facts.creator == Past::Alive {
            return Judgement::keep(format!("its creator runs, pid {}", stat.creator_pid));
        }
        if facts.last_user == Past::Alive {
            return Judgement::keep(format!("who used it last runs, pid {}", stat.last_pid));
        }
        if [facts.creator, facts.last_user].contains(&Past::Unknown) {
            return Judgement::unsure(
                "who made or used it cannot be told here: in another PID namespace, or outside this one",
            );
        }
        let policy = if stat.key.is_private() { None } else { self.policy(facts) };
        if let Some(owner) = facts.known_owner()
            && !policy.is_some_and(|(policy, _)| policy.known_owners)
        {
            return Judgement::keep(owner);
        }
        self.judge_unused(facts, policy)
    }

    /// Nobody is attached, nobody who made or used it lives, and nobody known has it.
    fn judge_unused(&self, facts: &Facts, policy: Option<(&Policy, Match)>) -> Judgement {
        let stat = &facts.stat;
        let oldest = policy.map_or(self.older_than, |(policy, _)| policy.older_than.max(self.older_than));
        let oldest = i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX);
        if facts.age < oldest {
            return Judgement::keep(format!(
                "too young: last used {}, and {} are asked for",
                time::ago(facts.age),
                time::span(oldest)
            ));
        }
        let users = match (facts.creator, facts.last_user) {
            (_, Past::Nobody) => "its creator is gone and nobody ever used it",
            (Past::Reused, _) | (_, Past::Reused) => {
                "who made and used it are gone, a number of theirs is another's now"
            }
            _ => "who made and used it are gone",
        };
        let evidence = format!("nobody is attached, {users}{}", region(&facts.contents));
        match policy {
            _ if !facts.is_ours => {
                Judgement::unsure(format!("{evidence}; another user's: he or root may remove it"))
            }
            None if stat.key.is_private() => {
                Judgement::new(Verdict::Garbage, format!("no key leads to it, {evidence}"))
            }
            None => Judgement::unsure(format!(
                "{evidence}; but it has a key, by which a program may expect it: a policy may name it"
            )),
            Some((policy, matched)) => {
                let name = printable(&policy.name);
                let found = if matched == Match::Yes {
                    Judgement::new(Verdict::Garbage, format!("policy {name}: {evidence}"))
                } else {
                    let text = format!(
                        "{evidence}; policy {name} goes by its name, for which --apply attaches it a moment"
                    );
                    Judgement { wants_look: true, ..Judgement::unsure(text) }
                };
                Judgement { policy: Some(name), ..found }
            }
        }
    }
}

fn region(contents: &Contents) -> String {
    match contents {
        Contents::Region(label) => {
            let name = if label.name.is_empty() { &label.of } else { &label.name };
            format!(", no participant of the region {} lives", printable(name))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use coseg_sysv::{Key, Mode, ShmId, Stat};

    use super::super::policy::tests::policies;
    use super::*;

    fn facts(key: i32) -> Facts {
        let stat = Stat {
            key: Key::new(key),
            id: ShmId::new(3),
            sequence: 0,
            uid: 1000,
            gid: 1000,
            creator_uid: 1000,
            creator_gid: 1000,
            mode: Mode::new(0o600),
            removed: false,
            locked: false,
            size_bytes: 4096,
            attachment_count: 0,
            attach_time: 5,
            detach_time: 6,
            change_time: 5,
            creator_pid: 10,
            last_pid: 11,
        };
        let (creator, last_user, contents) = (Past::Gone, Past::Gone, Contents::Unseen);
        Facts { stat, creator, last_user, age: 7200, contents, is_ours: true }
    }

    fn judge(facts: &Facts, text: &str) -> Judgement {
        Rules { older_than: Duration::from_secs(60), policies: policies(text), ..Rules::default() }
            .judge(facts)
    }

    fn verdict(facts: &Facts, text: &str) -> Verdict {
        judge(facts, text).verdict
    }

    fn label(name: &str) -> Contents {
        Contents::Region(coseg::Label { name: name.to_owned(), of: "T".to_owned() })
    }

    const BY_KEY: &str = "[[policy]]\nname = \"p\"\nkeys = [\"7\"]\nolder_than = \"1h\"\n";
    const BY_NAME: &str = "[[policy]]\nname = \"p\"\nnames = [\"mark*\"]\nolder_than = \"1h\"\n";

    #[test]
    fn what_no_key_leads_to_and_nobody_uses_is_garbage() {
        let all = facts(0);
        assert_eq!(verdict(&all, ""), Verdict::Garbage);
        for past in [Past::Reused, Past::Gone] {
            assert_eq!(verdict(&Facts { creator: past, ..all.clone() }, ""), Verdict::Garbage);
            assert_eq!(verdict(&Facts { last_user: past, ..all.clone() }, ""), Verdict::Garbage);
        }
        assert_eq!(verdict(&Facts { last_user: Past::Nobody, ..all.clone() }, ""), Verdict::Garbage);
        assert!(judge(&Facts { creator: Past::Reused, ..all }, "").why.contains("another's now"));
    }

    #[test]
    fn each_fact_against_it_spares_a_segment() {
        let all = facts(0);
        let stat = all.stat;
        for (spared, own) in [
            (Facts { creator: Past::Alive, ..all.clone() }, Verdict::Keep),
            (Facts { last_user: Past::Alive, ..all.clone() }, Verdict::Keep),
            (Facts { creator: Past::Unknown, ..all.clone() }, Verdict::Unsure),
            (Facts { last_user: Past::Unknown, ..all.clone() }, Verdict::Unsure),
            (Facts { age: 59, ..all.clone() }, Verdict::Keep),
            // A clock that was set back.
            (Facts { age: -1, ..all.clone() }, Verdict::Keep),
            (Facts { is_ours: false, ..all.clone() }, Verdict::Unsure),
            (Facts { contents: Contents::PostgreSql, ..all.clone() }, Verdict::Keep),
            (Facts { stat: Stat { attachment_count: 1, ..stat }, ..all.clone() }, Verdict::Keep),
            (Facts { stat: Stat { removed: true, ..stat }, ..all.clone() }, Verdict::Keep),
        ] {
            assert_eq!(verdict(&spared, ""), own, "{spared:?}");
        }
    }

    #[test]
    fn a_key_needs_a_policy_that_names_it() {
        assert_eq!(verdict(&facts(7), ""), Verdict::Unsure);
        assert_eq!(verdict(&facts(8), BY_KEY), Verdict::Unsure);
        let found = judge(&facts(7), BY_KEY);
        assert_eq!((found.verdict, found.policy.as_deref()), (Verdict::Garbage, Some("p")));
        assert_eq!(verdict(&Facts { age: 3599, ..facts(7) }, BY_KEY), Verdict::Keep);
        assert_eq!(verdict(&Facts { creator: Past::Alive, ..facts(7) }, BY_KEY), Verdict::Keep);
        let of_root = format!("{BY_KEY}users = [\"0\"]\n");
        assert_eq!(verdict(&facts(7), &of_root), Verdict::Unsure);
    }

    #[test]
    fn a_name_is_looked_for_only_where_a_policy_goes_by_it() {
        let unseen = judge(&facts(7), BY_NAME);
        assert!(unseen.wants_look && unseen.verdict == Verdict::Unsure, "{unseen:?}");
        assert!(!judge(&facts(7), BY_KEY).wants_look);
        assert!(!judge(&facts(0), BY_NAME).wants_look);
        assert_eq!(verdict(&Facts { contents: label("market"), ..facts(7) }, BY_NAME), Verdict::Garbage);
        for other in [label("shop"), label(""), Contents::Plain] {
            let found = judge(&Facts { contents: other, ..facts(7) }, BY_NAME);
            assert!(!found.wants_look && found.verdict == Verdict::Unsure, "{found:?}");
        }
    }

    #[test]
    fn a_policy_that_may_match_hides_none_that_does() {
        let unseen = judge(&facts(7), &format!("{BY_NAME}{}", BY_KEY.replace("\"p\"", "\"by key\"")));
        assert_eq!((unseen.verdict, unseen.policy.as_deref()), (Verdict::Garbage, Some("by key")));
        // The name known, the first that matches counts.
        let both = format!("{}{BY_KEY}", BY_NAME.replace("1h", "9h"));
        let named = judge(&Facts { contents: label("market"), ..facts(7) }, &both);
        assert!(named.verdict == Verdict::Keep && named.why.contains("too young"), "{named:?}");
        assert_eq!(verdict(&Facts { contents: label("shop"), ..facts(7) }, &both), Verdict::Garbage);
    }

    #[test]
    fn known_owners_are_spared_until_a_policy_says_otherwise() {
        let ntp = facts(0x4e54_5032);
        assert!(judge(&ntp, "").why.contains("NTP time source 2"));
        let by_key = "[[policy]]\nname = \"p\"\nkeys = [\"0x4e545030-0x4e545033\"]\nolder_than = \"1h\"\n";
        assert_eq!(verdict(&ntp, by_key), Verdict::Keep);
        assert_eq!(verdict(&ntp, &format!("{by_key}known_owners = true\n")), Verdict::Garbage);
        let database = Facts { contents: Contents::PostgreSql, ..facts(7) };
        assert_eq!(verdict(&database, BY_KEY), Verdict::Keep);
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let found = judge(&Facts { contents: label("\x1b[2J"), ..facts(0) }, "");
        assert!(!found.why.contains('\x1b'), "{}", found.why);
        let policy = "[[policy]]\nname = \"\\u001b[2J\"\nkeys = [\"7\"]\nolder_than = \"1h\"\n";
        assert!(!judge(&facts(7), policy).why.contains('\x1b'));
    }
}
