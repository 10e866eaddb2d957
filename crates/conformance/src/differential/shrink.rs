//! Makes a sequence that shows a difference as short as it goes.

use super::step::Sequence;

/// Drops steps, in ever smaller groups, as long as `differs` still holds.
pub fn shrink(sequence: &Sequence, differs: &mut dyn FnMut(&Sequence) -> bool) -> Sequence {
    let mut best = sequence.clone();
    let mut group = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let mut dropped = false;
        while start < best.steps.len() {
            let mut shorter = best.clone();
            shorter.steps.drain(start..(start + group).min(best.steps.len()));
            if differs(&shorter) {
                best = shorter;
                dropped = true;
            } else {
                start += group;
            }
        }
        if group == 1 && !dropped {
            return fewer_actors(best, differs);
        }
        group = if dropped { group } else { (group / 2).max(1) };
    }
}

/// Lets the first actor do what another did, all of it, where the difference does not depend on who.
fn fewer_actors(best: Sequence, differs: &mut dyn FnMut(&Sequence) -> bool) -> Sequence {
    let last = best.steps.iter().map(|step| step.who).max().unwrap_or(0);
    for who in 1..=last {
        let mut simpler = best.clone();
        simpler.steps.iter_mut().filter(|step| step.who == who).for_each(|step| step.who = 0);
        if simpler != best && differs(&simpler) {
            return shrink(&simpler, differs);
        }
    }
    best
}
