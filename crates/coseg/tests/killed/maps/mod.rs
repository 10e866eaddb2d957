//! Every change of a map, killed at every instruction that changes shared bytes, and its recovery too.
//!
//! Each key has what it had or what it is to have, a transaction is whole or not at all, everybody goes on, and no
//! entry is lost.

mod acts;
mod heirs;
mod shop;

use coseg_crash::{Report, survive};

use self::shop::{Scene, shop};
use crate::trials::{LIMIT, check, is_long, told_by_survivor, trial};
use crate::world::{Ground, On, Setting, leave_machine};

const SURVIVE: &str = "survive a shop: it";
const RECOVER: &str = "recover a shop: it";

/// What a process of these trials does.
pub(crate) fn play(setting: &Setting, part: &str, what: &str) {
    match part {
        "operate" => acts::operate(setting, what),
        "recover" => acts::recover(setting),
        "survive" => heirs::survive(setting),
        part => panic!("{part}?"),
    }
}

fn killed_everywhere(on: On, operation: &str, scene: Scene) -> Report {
    let role = format!("operate a shop: {operation}");
    let expected = [false, true].map(|done| {
        let world = shop(on, scene).unwrap();
        if done {
            survive(world.setting().play(&role), LIMIT).unwrap();
        }
        told_by_survivor(&world, SURVIVE).unwrap().0
    });
    let is_neutral = matches!(operation, "recover" | "transaction rolled back");
    assert_eq!(expected[0] == expected[1], is_neutral, "`{operation}` changes what is to be seen, or not");
    let world = || shop(on, scene);
    let mut trial = trial(operation, &role, world, |world, death| check(world, SURVIVE, death, &expected));
    if is_long() {
        trial = trial.recovery(|world| world.setting().play(RECOVER));
    }
    let report = trial.run().unwrap();
    println!("{on:?}: {scene:?}: {report}");
    report
}

macro_rules! killed {
    ($($name:ident: $on:ident $operation:literal in $scene:ident;)*) => {
        $(
            #[test]
            fn $name() {
                if On::$on == On::Kernel && !leave_machine() {
                    return;
                }
                killed_everywhere(On::$on, $operation, Scene::$scene).assert_whole();
            }
        )*
    };
}

killed! {
    put_new: User "put new" in Few;
    put_new_on_the_kernel: Kernel "put new" in Few;
    put_new_waited_for: User "put new" in Sleepers;
    put_again: User "put again" in Few;
    put_on_a_chain: User "put new" in Crowded;
    put_for_a_time: User "put for a time" in Few;
    put_in_place_of_the_expired: User "put elsewhere" in Full;
    insert: User "insert" in Few;
    remove: User "remove" in Few;
    remove_beside_a_chain: User "remove" in Crowded;
    remove_the_first_of_a_chain: User "remove the first of a chain" in Crowded;
    remove_the_last_of_a_chain: User "remove the last of a chain" in Crowded;
    update: User "update" in Few;
    compare_and_swap: User "compare and swap" in Few;
    transaction: User "transaction" in Few;
    transaction_on_chains: User "transaction" in Crowded;
    transaction_that_moves: User "transaction that moves" in Crowded;
    transaction_rolled_back: User "transaction rolled back" in Crowded;
    commit: User "commit" in Crowded;
    recover: User "recover" in Committed;
    recover_on_the_kernel: Kernel "recover" in Committed;
    recover_in_transit: User "recover" in InTransit;
    put_beside_one_in_transit: User "put elsewhere" in InTransit;
    put_one_in_transit_again: User "put again" in InTransit;
}
