//! Several processes at the same call at the same instant.

use coseg_conformance::lab::{Column, Lab, is_root};
use coseg_conformance::protocol::RaceKind;
use coseg_conformance::race::race;

const PARTIES: u32 = 8;

fn run(column: Column, kind: RaceKind, rounds: u32) {
    if !is_root() {
        eprintln!("skipped: needs root, for an IPC namespace of its own");
        return;
    }
    if let Err(wrong) = race(&Lab::new(column), kind, PARTIES, rounds) {
        panic!("{wrong}");
    }
}

macro_rules! races {
    ($($name:ident: $kind:ident $rounds:literal;)*) => {
        mod kernel {
            $(#[test] fn $name() { super::run(super::Column::Kernel, super::RaceKind::$kind, $rounds); })*
        }
        mod user {
            $(#[test] fn $name() { super::run(super::Column::User, super::RaceKind::$kind, $rounds); })*
        }
    };
}

races! {
    exclusive_creation_has_one_winner: CreateExclusive 10_000;
    plain_creation_gives_all_one_id: Create 10_000;
    attach_against_removal: AttachRemove 5_000;
}
