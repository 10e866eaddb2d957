use ratatui::style::Color;

use super::scenes::{busy, garbage, market, scene, segment};
use super::*;

/// A frame as a file has it; with COSEG_BLESS set, the file gets it.
fn is_as_before(name: &str, frame: &str) {
    let path = format!("{}/src/commands/top/tests/frames/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("COSEG_BLESS").is_some() {
        std::fs::write(&path, frame).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(frame, before, "{path}; COSEG_BLESS=1 makes the file what the frame is now:\n{frame}");
}

#[test]
fn segments_events_and_worries_are_shown() {
    let scene = busy();
    let mut app = app(Sort::Status, &scene);
    is_as_before("wide", &frame(&mut app, &scene, 120, 24));
    is_as_before("usual", &frame(&mut app, &scene, 80, 24));
    is_as_before("narrow", &frame(&mut app, &scene, 60, 15));
    is_as_before("tiny", &frame(&mut app, &scene, 24, 5));
}

#[test]
fn details_tell_who_holds_and_awaits_what() {
    let scene = busy();
    let mut app = app(Sort::Status, &scene);
    press(&mut app, &scene, KeyCode::Enter);
    is_as_before("details", &frame(&mut app, &scene, 120, 36));
    type_in(&mut app, &scene, "JJJJJ");
    is_as_before("details-scrolled", &frame(&mut app, &scene, 80, 24));
}

#[test]
fn questions_and_keys_lie_over_the_rest() {
    let scene = busy();
    let mut app = app(Sort::Status, &scene);
    type_in(&mut app, &scene, "d");
    is_as_before("question", &frame(&mut app, &scene, 80, 24));
    type_in(&mut app, &scene, "njd");
    is_as_before("question-garbage", &frame(&mut app, &scene, 80, 24));
    type_in(&mut app, &scene, "n?");
    is_as_before("keys", &frame(&mut app, &scene, 80, 24));
}

#[test]
fn the_last_line_says_what_is_going_on() {
    let scene = busy();
    let mut app = app(Sort::Status, &scene);
    let last = |app: &mut App| frame(app, &scene, 80, 24).lines().last().unwrap().to_owned();
    assert!(last(&mut app).starts_with("q quit  ? help"));
    type_in(&mut app, &scene, "/mark");
    assert!(last(&mut app).starts_with("filter: mark"));
    press(&mut app, &scene, KeyCode::Enter);
    app.refuse("remove id 7: EPERM: owner uid 0".to_owned());
    assert_eq!(last(&mut app), "remove id 7: EPERM: owner uid 0");
    type_in(&mut app, &scene, "p");
    assert!(frame(&mut app, &scene, 80, 24).lines().next().unwrap().ends_with("paused at 07:33:10"));
}

#[test]
fn no_terminal_is_too_small() {
    let scene = busy();
    for details in [false, true] {
        for keys in ["", "?", "d", "/"] {
            for width in (0..30).chain([60, 61, 300]) {
                for height in (0..30).chain([100]) {
                    let mut app = app(Sort::Status, &scene);
                    app.details = details;
                    type_in(&mut app, &scene, keys);
                    buffer(&mut app, &scene, width, height);
                }
            }
        }
    }
}

#[test]
fn the_selected_row_is_in_sight() {
    let scene = scene((0..50).map(|id| segment(id, id)).collect());
    let mut app = app(Sort::Id, &scene);
    let is_in_sight = |app: &mut App, key: &str| frame(app, &scene, 80, 20).contains(key);
    for (code, key) in [
        (KeyCode::End, "0x00000031"),
        (KeyCode::PageUp, "0x00000026"),
        (KeyCode::Home, "id:0"),
        (KeyCode::PageDown, "0x0000000b"),
    ] {
        press(&mut app, &scene, code);
        assert!(is_in_sight(&mut app, key), "{code:?}: {}", frame(&mut app, &scene, 80, 20));
    }
}

#[test]
fn names_of_others_do_not_steer() {
    let mut hostile = market();
    let evil = "\x1b[2J\u{202e}";
    hostile.title = evil.to_owned();
    let inside = hostile.inside.as_mut().unwrap();
    inside.locks[0].lock.name = evil.to_owned();
    inside.channels[0].channel.name = evil.to_owned();
    inside.participants[0].party.name = Some(evil.to_owned());
    let mut scene = scene(vec![hostile]);
    scene.place = evil.to_owned();
    let mut app = app(Sort::Id, &scene);
    app.details = true;
    let text = frame(&mut app, &scene, 120, 40);
    assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    assert!(text.matches("\\u{1b}[2J\\u{202e}").count() >= 5, "{text}");
}

#[test]
fn without_colors_there_are_none() {
    let scene = scene(vec![garbage(1), market()]);
    for has_colors in [false, true] {
        let mut app = app(Sort::Status, &scene);
        app.palette.has_colors = has_colors;
        app.details = true;
        let buffer = buffer(&mut app, &scene, 120, 40);
        assert_eq!(buffer.content().iter().any(|cell| cell.fg != Color::Reset), has_colors);
    }
}
