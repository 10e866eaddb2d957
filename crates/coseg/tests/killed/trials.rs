//! One trial for each operation.

use std::env;
use std::io;
use std::time::Duration;

use coseg::Contents;
use coseg_crash::{Changes, Death, Report, Trial, survive};

use crate::clock;
use crate::world::{Ground, On, World, leave_machine};

/// More than any part takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn is_long() -> bool {
    env::var_os("COSEG_LONG").is_some_and(|value| value == "1")
}

/// What an operation finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Nobody else was ever here.
    Quiet,
    /// Bells say that somebody sleeps.
    Sleepers,
    /// A living participant, who is us, holds the lock.
    Held,
    /// The only slot is a dead participant's, who holds the lock.
    Orphaned,
    /// A transaction over all values is committed and not yet applied, and its process is dead.
    Committed,
}

impl Scene {
    fn world(self, on: On) -> io::Result<World> {
        let mut world = World::new(on, if self == Scene::Orphaned { 1 } else { 4 })?;
        match self {
            Scene::Quiet => world.leave(),
            Scene::Sleepers => {
                world.leave_sleepers();
                world.leave();
            }
            Scene::Held => world.hold("door"),
            Scene::Committed => world.die_committed(),
            Scene::Orphaned => world.die_holding("door"),
        }
        Ok(world)
    }
}

/// The contents as a survivor sees them, and whom it inherited locks from.
pub(crate) fn told_by_survivor<C: Contents>(
    world: &World<C>,
    role: &str,
) -> Result<(String, Vec<(String, u32)>), String> {
    let output = survive(world.place.setting.play(role), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, told) = text.split_once('<').ok_or("nothing was told")?;
    let (contents, rest) = told.split_once('>').ok_or("half was told")?;
    let mut inherited = Vec::new();
    for one in rest.split('[').skip(1) {
        let one = one.split(']').next().unwrap_or_default();
        let (lock, pid) = one.split_once(' ').ok_or("half was told")?;
        inherited.push((lock.to_owned(), pid.parse().map_err(|_| format!("{pid}?"))?));
    }
    Ok((contents.to_owned(), inherited))
}

/// What may be seen: before the operation, and after it.
fn expected(on: On, scene: Scene, operation: &str) -> [String; 2] {
    [false, true].map(|done| {
        let world = scene.world(on).unwrap();
        if done {
            survive(world.place.setting.play(&format!("operate {operation}")), LIMIT).unwrap();
        }
        release(&world);
        told_by_survivor(&world, "survive").unwrap().0
    })
}

/// A living owner gives the lock back, whatever became of those who wanted it.
fn release(world: &World) {
    if world.kept.is_some() {
        world.poke(world.lock_at("door"), 0);
    }
}

/// What a survivor in this role tells is as before or after, and it inherits what the dead held.
pub(crate) fn check<C: Contents>(
    world: &World<C>,
    survivor: &str,
    death: &Death,
    [before, after]: &[String; 2],
) -> Result<(), String> {
    let inheritances = world.inheritances();
    let (now, mut inherited) = told_by_survivor(world, survivor)?;
    if now != *before && now != *after {
        return Err(format!("neither before nor after, but {now}"));
    }
    if death.operation_completed() && now != *after {
        return Err(format!("it had returned, and yet: {now}"));
    }
    // Whose slot the survivor itself had to take is forgotten.
    inherited.iter_mut().filter(|_| world.is_crowded()).for_each(|one| one.1 = 0);
    let mut due = inheritances;
    due.iter_mut().filter(|_| world.is_crowded()).for_each(|one| one.1 = 0);
    if inherited != due {
        return Err(format!("the dead held {due:?}, the survivor inherited {inherited:?}"));
    }
    Ok(())
}

/// The lock that an operation may leave to its recovery.
fn lock_of(operation: &str) -> &'static str {
    match operation {
        "lock" | "lock in vain" | "join and leave" => "door",
        "read" | "write" => "files",
        _ => "region",
    }
}

/// A trial of what a process does in a role, in memory that it shares.
pub(crate) fn trial<'a, W: Ground>(
    name: &str,
    role: &'a str,
    world: impl Fn() -> io::Result<W> + 'a,
    check: impl Fn(&W, &Death) -> Result<(), String> + 'a,
) -> Trial<'a, W> {
    let world = move || clock::set_for(&world);
    Trial::new(name, world, move |world: &W| world.setting().play(role))
        .observe(Changes::Anywhere, |world, seen| {
            world.observe(seen);
            Ok(())
        })
        .check(check)
        .random_kills(if is_long() { 100 } else { 4 }, 7)
}

struct Plan {
    scene: Scene,
    waiters: bool,
}

fn killed_everywhere(on: On, operation: &str, plan: &Plan) -> Report {
    let expected = expected(on, plan.scene, operation);
    let recover = format!("recover {}", lock_of(operation));
    let role = format!("operate {operation}");
    let world = || plan.scene.world(on);
    let mut trial = trial(operation, &role, world, |world, death| {
        release(world);
        check(world, "survive", death, &expected)
    });
    // Where a living owner holds the lock, a recovery would wait for him.
    if is_long() && plan.scene != Scene::Held {
        trial = trial.recovery(|world| world.place.setting.play(&recover));
    }
    if plan.waiters || is_long() && !matches!(plan.scene, Scene::Held | Scene::Orphaned | Scene::Committed) {
        trial = trial.waiters(2, LIMIT, |world| world.place.setting.play("wait"));
    }
    let report = trial.run().unwrap();
    println!("{on:?}: {:?}: {report}", plan.scene);
    report
}

macro_rules! killed {
    ($($name:ident: $on:ident $operation:literal in $scene:ident $(, $more:ident)*;)*) => {
        $(
            #[test]
            fn $name() {
                if On::$on == On::Kernel && !leave_machine() {
                    return;
                }
                let mut plan = Plan { scene: Scene::$scene, waiters: false };
                $(plan.$more = true;)*
                let _ = &mut plan;
                killed_everywhere(On::$on, $operation, &plan).assert_whole();
            }
        )*
    };
}

killed! {
    update_a_cell: User "update" in Quiet;
    update_a_cell_waited_for: User "update" in Sleepers;
    update_a_row: User "update a row" in Quiet;
    transaction_of_three: User "transaction" in Quiet, waiters;
    transaction_of_three_waited_for: User "transaction" in Sleepers;
    transaction_of_one: User "transaction of one" in Quiet;
    transaction_rolled_back: User "transaction rolled back" in Quiet;
    transaction_on_the_kernel: Kernel "transaction" in Quiet;
    commit: User "commit" in Quiet;
    recover: User "recover" in Committed;
    recover_on_the_kernel: Kernel "recover" in Committed;
    update_on_the_kernel: Kernel "update" in Quiet;
    lock: User "lock" in Quiet, waiters;
    lock_on_the_kernel: Kernel "lock" in Sleepers, waiters;
    lock_waited_for: User "lock" in Sleepers;
    lock_in_vain: User "lock in vain" in Held;
    lock_of_the_dead: User "lock" in Orphaned;
    read: User "read" in Quiet;
    write: User "write" in Quiet, waiters;
    write_waited_for: User "write" in Sleepers;
    add_to_a_counter: User "add" in Quiet;
    notify: User "notify" in Sleepers;
    wait_for_a_value: User "wait for a value" in Quiet;
    wait_for_an_event: User "wait for an event" in Quiet;
    snapshot: User "snapshot" in Quiet;
    join_and_leave: User "join and leave" in Quiet;
    join_in_place_of_the_dead: User "join and leave" in Orphaned;
}
