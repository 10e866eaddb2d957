//! Maps in a crowd.

use super::find::Overtaken;
use super::models::{World, key, world};
use crate::crowds::{LAST, living, mortal_crowd, mortals};
use crate::layout::at;
use crate::lock::{Deadline, LockWords, Taken};
use crate::mortal::Deaths;
use crate::participants::Owner;
use crate::snapshot::Moment;
use crate::sync::Ordering;
use crate::sync::checker::thread;

/// Takes the lock, and finishes what the dead had committed.
fn lock<'w>(world: &'w World, me: Owner, deaths: &Deaths) -> LockWords<'w> {
    let lock = LockWords::new(&world.memory, at::LOCK);
    if let Taken::From(_) = lock.take(me, Deadline::Never, deaths).expect("there is no deadline") {
        world.log().settle(&world.layout);
    }
    lock
}

/// One change of every kind, in turn: numbers only rise, and of two keys that are changed together the numbers are equal. The
/// number.
fn change(world: &World, me: Owner, turn: u32, deaths: &Deaths) -> u64 {
    let lock = lock(world, me, deaths);
    let [alone, first, second] = keys();
    let number = (world.memory.word(at::LOG).load(Ordering::Relaxed) >> 16) + 1;
    match turn % 4 {
        0 => world.change().put(first, number).put(second, number).commit(),
        1 if world.get(alone) != Ok(None) => world.replace(alone, number),
        2 if world.get(alone) != Ok(None) => world.change().remove(alone).commit(),
        _ => world.change().put(alone, number).commit(),
    }
    lock.give_back();
    number
}

/// One of its own, and two that are changed together.
fn keys() -> [u64; 3] {
    [key(0, 0), key(0, 1), key(1, 0)]
}

/// Looks again and again, at each key by itself and at two at one moment.
fn look(world: &World) {
    let keys @ [_, first, second] = keys();
    let mut last = [0; 3];
    for round in 0..4 {
        for (index, key) in keys.into_iter().enumerate() {
            let seen = world.get(key);
            if let Ok(Some(number)) = seen {
                assert!(number >= last[index], "{number} after {last:?}");
                last[index] = number;
            }
            assert!(index == 0 || seen != Ok(None), "nobody removes it");
        }
        if round % 2 == 0 {
            world.log().help(&world.layout);
        }
        let seen = Moment::now(world.log())
            .map_or([Err(Overtaken); 2], |moment| [first, second].map(|key| world.get_in(&moment, key)));
        if let [Ok(first), Ok(second)] = seen {
            assert!(first.is_some() && first == second, "half of a transaction: {first:?}, {second:?}");
        }
    }
}

#[test]
fn a_map_of_mortals_is_whole() {
    mortal_crowd(|| {
        let world = world();
        let deaths = Deaths::default();
        change(&world, LAST, 0, &deaths);
        let writers = mortals(3, 400, &deaths, {
            let (world, deaths) = (world.clone(), deaths.clone());
            move |me| (0..4).map(|turn| change(&world, me, turn + me.0, &deaths)).max()
        });
        let readers = [(); 2].map(|()| {
            let world = world.clone();
            thread::spawn(move || look(&world))
        });
        let done = living(writers).into_iter().flatten().max().unwrap_or(0);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        lock(&world, LAST, &deaths).give_back();
        let [_, first, second] = keys().map(|key| world.get(key));
        assert!(matches!(first, Ok(Some(_))) && first == second, "{first:?}, {second:?}");
        let last = (0..4).map(|turn| change(&world, LAST, turn, &deaths)).max();
        assert!(last > Some(done), "{last:?} after {done}");
        look(&world);
    });
}
