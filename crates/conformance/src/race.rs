//! Several actors at the same call, many times over.

use crate::lab::Lab;
use crate::names::{MAP_SHARED, PAGE, PROT_READ, PROT_WRITE};
use crate::protocol::{Cmd, Race, RaceKind};

/// What a round came to for each party: an id or 0, or the negative of `errno`.
type Round = Vec<i32>;

/// Races `parties` actors for `rounds` rounds.
///
/// # Errors
/// A round ended as no order of the calls explains; the text says which and how.
pub fn race(lab: &Lab, kind: RaceKind, parties: u32, rounds: u32) -> Result<(), String> {
    let first = lab.actor();
    let barrier = first.mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED).map_err(|e| e.to_string())?;
    let others: Vec<_> = (1..parties).map(|_| first.fork()).collect();
    let runners: Vec<_> = std::iter::once(&first).chain(&others).collect();
    let commands: Vec<_> =
        (0..parties).map(|me| Cmd::Race(Race { barrier, parties, me, rounds, kind })).collect();
    for (runner, cmd) in runners.iter().zip(&commands) {
        runner.begin(cmd);
    }
    let codes: Vec<Vec<i32>> = runners
        .iter()
        .zip(&commands)
        .map(|(runner, cmd)| {
            let data = runner.finish(cmd).data;
            data.chunks_exact(4).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect()
        })
        .collect();
    for n in 0..rounds as usize {
        let round: Round = codes.iter().map(|party| party[n]).collect();
        if !is_right(kind, &round) {
            return Err(format!("{kind:?}, round {n}: {round:?}"));
        }
    }
    Ok(())
}

fn is_right(kind: RaceKind, round: &Round) -> bool {
    match kind {
        RaceKind::CreateExclusive => {
            let winners = round.iter().filter(|&&code| code >= 0).count();
            winners == 1 && round.iter().all(|&code| code >= 0 || code == -libc::EEXIST)
        }
        RaceKind::Create => round[0] >= 0 && round.iter().all(|&code| code == round[0]),
        RaceKind::AttachRemove => {
            round[0] == 0
                && round[1..].iter().all(|&code| code == 0 || code == -libc::EINVAL || code == -libc::EIDRM)
        }
    }
}
