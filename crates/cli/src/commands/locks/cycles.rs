//! Who waits for whom, across regions; and circles of that.

use std::collections::{HashMap, VecDeque};

use super::RegionLocks;
use super::state::{LockState, Party, State};

/// A process: its PID namespace and its pid in there.
type Process = (u64, u32);

/// Somebody waits for somebody's lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) region_id: i32,
    pub(super) lock: String,
    pub(super) waiter: Party,
    pub(super) holder: Party,
    /// Null for a writer who has the lock and waits for its readers: nobody notes since when.
    pub(super) since_unix_ns: Option<u64>,
    /// A lock that was taken again meanwhile is another wait.
    acquisition_count: u64,
}

/// Processes that wait for one another, each for the next, the last for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cycle(pub(super) Vec<Wait>);

/// All waits for somebody who lives.
pub(super) fn waits(regions: &[RegionLocks]) -> Vec<Wait> {
    let mut waits = Vec::new();
    for region in regions {
        for lock in &region.locks {
            waits.extend(waits_for(region.id, lock));
        }
    }
    waits
}

fn waits_for(region_id: i32, lock: &LockState) -> Vec<Wait> {
    let is_there = |party: &&Party| party.alive != Some(false) && process(party).is_some();
    let wait = |waiter: &Party, holder: &Party, since_unix_ns| Wait {
        region_id,
        lock: lock.name.clone(),
        waiter: waiter.clone(),
        holder: holder.clone(),
        since_unix_ns,
        acquisition_count: lock.acquisition_count,
    };
    let Some(holder) = lock.holder.as_ref().filter(|_| lock.state == State::Held).filter(is_there) else {
        return Vec::new();
    };
    let waiters = lock.waiters.iter().filter(|waiter| is_there(&&waiter.party));
    let mut waits: Vec<Wait> =
        waiters.map(|waiter| wait(&waiter.party, holder, Some(waiter.since_unix_ns))).collect();
    // A writer has the exclusive lock first, and then waits for the readers to leave.
    waits.extend(lock.readers.iter().filter(is_there).map(|reader| wait(holder, reader, None)));
    waits
}

fn process(party: &Party) -> Option<Process> {
    Some((party.pid_namespace?, party.pid?))
}

/// Waits that were seen twice, and so went on all the time between: each of two looks takes its time, and what it saw
/// first may be over by its end.
pub(super) fn lasting(first: &[Wait], second: &[Wait]) -> Vec<Wait> {
    first.iter().filter(|wait| second.contains(wait)).cloned().collect()
}

/// Circles of waits, one of the shortest through each process that is in any. A process that waits for itself is a
/// circle only if it has a single thread, which `is_single` tells: otherwise one of its threads waits for another.
pub(super) fn cycles(waits: &[Wait], is_single: impl Fn(&Party) -> bool) -> Vec<Cycle> {
    let mut from: HashMap<Process, Vec<&Wait>> = HashMap::new();
    let mut found: Vec<Cycle> = Vec::new();
    let mut starts = Vec::new();
    for wait in waits {
        let (Some(waiter), Some(holder)) = (process(&wait.waiter), process(&wait.holder)) else { continue };
        if waiter != holder {
            from.entry(waiter).or_default().push(wait);
            starts.push(waiter);
        } else if is_single(&wait.waiter) {
            found.push(Cycle(vec![wait.clone()]));
        }
    }
    for start in starts {
        let is_in = |cycle: &Cycle| cycle.0.iter().any(|wait| process(&wait.waiter) == Some(start));
        if !found.iter().any(is_in)
            && let Some(cycle) = shortest(start, &from)
        {
            found.push(cycle);
        }
    }
    found
}

/// The shortest way from a process back to itself.
fn shortest(start: Process, from: &HashMap<Process, Vec<&Wait>>) -> Option<Cycle> {
    let mut came_by: HashMap<Process, &Wait> = HashMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(at) = next.pop_front() {
        for wait in from.get(&at).into_iter().flatten() {
            let Some(to) = process(&wait.holder) else { continue };
            if came_by.contains_key(&to) {
                continue;
            }
            came_by.insert(to, wait);
            if to == start {
                return Some(way_back(start, &came_by));
            }
            next.push_back(to);
        }
    }
    None
}

fn way_back(start: Process, came_by: &HashMap<Process, &Wait>) -> Cycle {
    let mut waits = Vec::new();
    let mut at = start;
    while let Some(wait) = came_by.get(&at) {
        waits.push((*wait).clone());
        match process(&wait.waiter) {
            Some(before) if before != start => at = before,
            _ => break,
        }
    }
    waits.reverse();
    Cycle(waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(pid: u32) -> Party {
        Party {
            slot: Some(0),
            generation: Some(1),
            pid: Some(pid),
            pid_namespace: Some(1),
            name: Some(format!("p{pid}")),
            alive: Some(true),
        }
    }

    fn wait(waiter: u32, holder: u32) -> Wait {
        Wait {
            region_id: 1,
            lock: "x".into(),
            waiter: party(waiter),
            holder: party(holder),
            since_unix_ns: Some(5),
            acquisition_count: 7,
        }
    }

    fn pids(cycle: &Cycle) -> Vec<u32> {
        cycle.0.iter().filter_map(|wait| wait.waiter.pid).collect()
    }

    #[test]
    fn circles_are_found_and_chains_are_not() {
        let single = |_: &Party| true;
        assert_eq!(cycles(&[wait(1, 2), wait(2, 3), wait(4, 3)], single), []);
        let two = cycles(&[wait(1, 2), wait(2, 1), wait(3, 1)], single);
        assert_eq!(two.iter().map(pids).collect::<Vec<_>>(), [vec![1, 2]]);
        let three = cycles(&[wait(9, 1), wait(1, 2), wait(2, 3), wait(3, 1), wait(5, 6), wait(6, 5)], single);
        assert_eq!(three.iter().map(pids).collect::<Vec<_>>(), [vec![1, 2, 3], vec![5, 6]]);
    }

    #[test]
    fn a_process_waits_for_itself_only_if_it_has_one_thread() {
        assert_eq!(cycles(&[wait(1, 1)], |_| true).len(), 1);
        assert_eq!(cycles(&[wait(1, 1)], |_| false), []);
    }

    #[test]
    fn the_same_pid_in_another_namespace_is_another_process() {
        let mut elsewhere = wait(2, 1);
        elsewhere.holder.pid_namespace = Some(2);
        assert_eq!(cycles(&[wait(1, 2), elsewhere], |_| true), []);
    }

    #[test]
    fn what_was_seen_once_may_be_over() {
        let again = Wait { acquisition_count: 8, ..wait(2, 1) };
        assert_eq!(lasting(&[wait(1, 2), wait(2, 1)], &[wait(1, 2), again]), [wait(1, 2)]);
    }
}
