//! Regions that are being made when their maker dies.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use coseg::{ErrorKind, Inspection, Region, RegionOptions, Value};
use coseg_crash::{Changes, Death, Trial, mark, survive};
use coseg_sysv::Backend;

use crate::clock;
use crate::marking::Marking;
use crate::trials::{LIMIT, is_long};
use crate::world::{KEY, On, Place, Setting, leave_machine, mask};

type Small = [u64; 2];

const FIRST: Small = [1, 2];
const SECOND: Small = [3, 4];

fn small(setting: &Setting) -> RegionOptions<Small> {
    Region::<Small>::at(KEY).backend(&setting.backend).participants(1).participant("maker").name("small")
}

pub(crate) fn play(setting: &Setting, what: &str) {
    match what {
        "first" => {
            // The namespace itself is made elsewhere.
            setting.backend.limits().unwrap();
            clock::set();
            if !is_long() {
                let backend: Arc<dyn Backend> = Arc::new(Marking(Arc::clone(&setting.backend)));
                return drop(small(setting).backend(&backend).open_or_create(|| FIRST).unwrap());
            }
            mark::begin();
            small(setting).open_or_create(|| FIRST).unwrap();
            mark::end();
        }
        "second" => {
            setting.backend.limits().unwrap();
            clock::set();
            mark::begin();
            small(setting).open_or_create(|| SECOND).unwrap();
            mark::end();
        }
        "look" => look(setting),
        what => panic!("{what}?"),
    }
}

/// Nobody sees a region that is half made, and the next makes it whole.
fn look(setting: &Setting) {
    let seen = setting.segment().ok().map(|segment| Inspection::of(&segment));
    let before = match seen {
        None => None,
        Some(Ok(look)) => Some([0, 1].map(|index| look.get(&format!("[{index}]")).unwrap())),
        Some(Err(error)) => {
            let kind = error.kind();
            let expected = [ErrorKind::NotARegion, ErrorKind::Unfinished, ErrorKind::Segment];
            assert!(expected.contains(kind), "{error}");
            None
        }
    };
    let region = small(setting).open_or_create(|| [5, 6]).unwrap();
    let value = region.read();
    assert!([FIRST, SECOND, [5, 6]].contains(&value), "{value:?}");
    if let Some(before) = before {
        assert_eq!(before, value.map(|number| Value::Unsigned(number.into())));
    }
    print!("<{value:?}>");
    for step in 1..=5 {
        region.update(|value| value[1] += 1).unwrap();
        assert_eq!(region.read(), [value[0], value[1] + step]);
    }
    assert_eq!(region.participants().len(), 1);
    assert_eq!(Inspection::of(region.segment()).unwrap().name(), "small");
}

fn check(place: &Place, death: &Death) -> Result<(), String> {
    let output = survive(place.setting.play("make look"), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).ok_or("nothing was told")?.0;
    if death.operation_completed() && told != format!("{FIRST:?}") {
        return Err(format!("it had been made, and yet {told} is there"));
    }
    Ok(())
}

/// The first segment of the user backend has the same file in every namespace.
fn data_file(place: &Place) -> io::Result<Option<PathBuf>> {
    static NAME: OnceLock<PathBuf> = OnceLock::new();
    let directory = place.directory().ok_or(io::ErrorKind::Unsupported)?;
    if let Some(name) = NAME.get() {
        return Ok(Some(directory.join(name)));
    }
    for entry in std::fs::read_dir(&directory)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("seg-") {
            return Ok(Some(directory.join(NAME.get_or_init(|| name.into()))));
        }
    }
    Ok(None)
}

fn killed_while_making(on: On) {
    let prepared = || {
        let place = Place::new(on)?;
        // Makes the namespace.
        place.setting.backend.limits().map_err(io::Error::other)?;
        Ok(place)
    };
    let changes = if on == On::User { Changes::Anywhere } else { Changes::OnSyscall };
    let mut trial = Trial::new("make", prepared, |place: &Place| place.setting.play("make first"))
        .observe(changes, |place, seen| {
            if on == On::Kernel {
                return Ok(());
            }
            let Some(file) = data_file(place)? else { return Ok(()) };
            let Ok(mut bytes) = std::fs::read(file) else { return Ok(()) };
            seen.volatile(&bytes);
            if bytes.len() >= 512 {
                mask(&mut bytes, 1);
            }
            seen.stable(&bytes);
            Ok(())
        })
        .check(check)
        .random_kills(if is_long() { 100 } else { 10 }, 3);
    if is_long() {
        trial = trial.recovery(|place| place.setting.play("make second"));
    }
    let report = trial.run().unwrap();
    println!("{on:?}: {report}");
    report.assert_whole();
}

#[test]
fn make() {
    killed_while_making(On::User);
}

#[test]
fn make_on_the_kernel() {
    if leave_machine() {
        killed_while_making(On::Kernel);
    }
}
