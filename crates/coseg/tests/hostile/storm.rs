//! A victim does everything there is to do while this process scribbles.

use std::time::{Duration, Instant};

use coseg::{Inspection, Region};
use coseg_sysv::{Attachment, Segment};

use crate::scribble::{STYLES, Scribbler, Style};
use crate::victim::{BEATS, BEATS_SIZE, inspect};
use crate::world::{Actor, Numbers, Office, World, at, initial, long, on_each};

/// Where the end of a stream that sends has its owner; and one whose slot nobody has ever taken.
const SENDER_OF_CHANNEL: usize = 512;
const OWNER_OF_NO_SLOT: u32 = 6 | 1 << 12;

/// How long a stalled victim may take to go on once nobody holds it up.
const RELIEF: Duration = Duration::from_secs(20);

#[test]
fn whatever_a_peer_writes_nobody_falls_or_waits_for_ever() {
    on_each(|world| {
        let seed = Numbers::seed();
        let span = if long() { Duration::from_secs(120) } else { Duration::from_millis(2500) };
        eprintln!("{} backend, COSEG_SEED={seed}", world.name());
        storm(world, seed, span);
    });
}

fn storm(world: &World, seed: u64, span: Duration) {
    let office = world.office();
    let beats = Segment::options(BEATS).size(BEATS_SIZE).create(&world.backend).unwrap();
    let board = beats.attach().unwrap();
    let mut victim = world.actor("suffers", seed);
    victim.hear("joined");
    let memory = office.segment().attach().unwrap();
    let look = Inspection::of(office.segment()).unwrap();
    // Who waits for a parcel without a time limit is told that its sender has died, whenever all is well.
    let parcels = look.schema().parts.last().unwrap().offset;
    memory.write(parcels + SENDER_OF_CHANNEL, &OWNER_OF_NO_SLOT.to_ne_bytes()).unwrap();
    let mut numbers = Numbers::new(seed);
    let mut scribbler = Scribbler::new(&memory, &look, numbers.next());
    victim.tell("go");

    let since = Instant::now();
    let mut round = 0;
    while since.elapsed() < span {
        // Each style at least once, then any.
        let style = STYLES.get(round).copied().unwrap_or_else(|| numbers.one_of(&STYLES));
        scribble(&mut scribbler, &mut numbers, style);
        // What stands there now stays for a while.
        std::thread::sleep(Duration::from_millis(numbers.next() % 40));
        scribbler.heal();
        goes_on(&mut victim, &board, &format!("round {round}, {style:?}, seed {seed}"));
        round += 1;
    }
    eprintln!("  {round} rounds");
    board.write(8, &[1; 8]).unwrap();
    victim.hear("enough");
    victim.end();
    drop(memory);
    office.remove().unwrap();
    beats.remove().unwrap();
    drop(office);
    works_again(world);
}

/// Strokes for a while: a storm of them, or one now and then.
fn scribble(scribbler: &mut Scribbler<'_>, numbers: &mut Numbers, style: Style) {
    let pause = numbers.one_of(&[0, 0, 20, 200]);
    let span = Duration::from_millis(20 + numbers.next() % 80);
    let since = Instant::now();
    while since.elapsed() < span {
        scribbler.stroke(style);
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
    }
}

/// Waits until the victim has finished what it was in.
fn goes_on(victim: &mut Actor, board: &Attachment, when: &str) {
    let before = beat(board);
    let since = Instant::now();
    while beat(board) < before + 2 {
        assert!(victim.runs(), "the victim has fallen: {when}");
        assert!(since.elapsed() < RELIEF, "the victim does not go on: {when}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn beat(board: &Attachment) -> u64 {
    let mut word = [0; 8];
    board.read(0, &mut word).unwrap();
    u64::from_ne_bytes(word)
}

/// A new region is as good as any.
fn works_again(world: &World) {
    let office: Region<Office> = at(&world.backend).create(initial).unwrap();
    office.board.update(|board| board[0].stock += 1).unwrap();
    let both = office.snapshot(|at| {
        let row = office.ledger.row(0)?;
        Ok::<_, coseg::Error>((at.get(&office.board)?, at.get(&row)?))
    });
    assert_eq!(both.unwrap().0[0].stock, 1001);
    drop(office.files.write().unwrap());
    assert!(office.take_recoveries().is_empty());
    inspect(office.segment()).unwrap();
    office.remove().unwrap();
}
