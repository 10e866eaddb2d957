use super::super::app::Mode;
use super::scenes::{attached, busy, garbage, scene, segment};
use super::*;

fn selected_id(app: &App, scene: &Scene) -> Option<i32> {
    let rows = app.order.apply(&scene.segments);
    app.selected_row(&rows).map(|row| rows[row].record.id)
}

fn ids(app: &App, scene: &Scene) -> Vec<i32> {
    app.order.apply(&scene.segments).iter().map(|segment| segment.record.id).collect()
}

#[test]
fn the_selection_stays_with_its_segment() {
    let mut scene = busy();
    let mut app = app(Sort::Id, &scene);
    assert_eq!(ids(&app, &scene), [3, 5, 7, 9, 11]);
    assert_eq!(selected_id(&app, &scene), Some(3));
    press(&mut app, &scene, KeyCode::Down);
    type_in(&mut app, &scene, "j");
    assert_eq!(selected_id(&app, &scene), Some(7));
    type_in(&mut app, &scene, "r");
    assert_eq!((ids(&app, &scene)[0], selected_id(&app, &scene)), (11, Some(7)));
    type_in(&mut app, &scene, "r");
    // Those before it go: it stays selected. It goes: its row does.
    scene.segments.remove(0);
    frame(&mut app, &scene, 80, 20);
    assert_eq!(selected_id(&app, &scene), Some(7));
    scene.segments.remove(1);
    frame(&mut app, &scene, 80, 20);
    assert_eq!(selected_id(&app, &scene), Some(9));
    for (code, id) in [(KeyCode::End, 11), (KeyCode::Down, 11), (KeyCode::Home, 5), (KeyCode::PageDown, 11)] {
        press(&mut app, &scene, code);
        assert_eq!(selected_id(&app, &scene), Some(id), "{code:?}");
    }
    scene.segments.clear();
    press(&mut app, &scene, KeyCode::Up);
    type_in(&mut app, &scene, "d");
    assert_eq!((selected_id(&app, &scene), &app.mode), (None, &Mode::List));
}

#[test]
fn columns_sort_what_is_most_first() {
    let scene = busy();
    let mut app = app(Sort::Size, &scene);
    assert_eq!(ids(&app, &scene)[0], 5);
    type_in(&mut app, &scene, "s>");
    assert_eq!((app.order.sort, ids(&app, &scene)[0]), (Sort::Attached, 5));
    type_in(&mut app, &scene, "s");
    assert_eq!((app.order.sort, ids(&app, &scene)[0]), (Sort::Activity, 3));
    type_in(&mut app, &scene, "s");
    assert_eq!((app.order.sort, ids(&app, &scene)), (Sort::Status, vec![3, 7, 9, 11, 5]));
    type_in(&mut app, &scene, "s<<<<");
    assert_eq!(app.order.sort, Sort::Resident);
    for _ in 0..5 {
        type_in(&mut app, &scene, "<");
    }
    assert_eq!(app.order.sort, Sort::Age, "round and round");
}

#[test]
fn the_filter_looks_at_names_keys_owners_commands_and_types() {
    let scene = busy();
    let mut app = app(Sort::Id, &scene);
    for (text, found) in [
        ("MARKET", vec![3]),
        ("office", vec![3]),
        ("4242", vec![3]),
        ("psql", vec![5]),
        ("0x00000099", vec![11]),
        ("0x99", vec![11]),
        ("id:7", vec![7]),
        ("ann", vec![3, 5, 7, 9, 11]),
        ("nothing", vec![]),
    ] {
        type_in(&mut app, &scene, "/");
        type_in(&mut app, &scene, text);
        assert_eq!(ids(&app, &scene), found, "{text}");
        press(&mut app, &scene, KeyCode::Esc);
        assert_eq!((ids(&app, &scene).len(), &app.mode), (5, &Mode::List));
    }
    // Letters that are keys elsewhere are letters here.
    type_in(&mut app, &scene, "/qdx");
    press(&mut app, &scene, KeyCode::Backspace);
    press(&mut app, &scene, KeyCode::Enter);
    assert_eq!((app.order.filter.as_str(), &app.mode), ("qd", &Mode::List));
    assert_eq!(press(&mut app, &scene, KeyCode::Esc), Action::Nothing);
    assert_eq!(app.order.filter, "");
    type_in(&mut app, &scene, "g");
    assert_eq!(ids(&app, &scene), [7]);
}

#[test]
fn escape_closes_one_thing_after_the_other() {
    let scene = busy();
    let mut app = app(Sort::Id, &scene);
    press(&mut app, &scene, KeyCode::Enter);
    type_in(&mut app, &scene, "g?");
    assert_eq!(app.mode, Mode::Help);
    press(&mut app, &scene, KeyCode::Esc);
    assert!(app.mode == Mode::List && app.details && app.order.garbage_only);
    press(&mut app, &scene, KeyCode::Esc);
    assert!(!app.details && app.order.garbage_only);
    press(&mut app, &scene, KeyCode::Esc);
    assert!(app.order.is_everything());
    assert_eq!(press(&mut app, &scene, KeyCode::Esc), Action::Quit);
    assert_eq!(press(&mut app, &scene, KeyCode::Char('q')), Action::Quit);
    let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    type_in(&mut app, &scene, "/");
    assert_eq!(app.on_key(control('c'), &scene), Action::Quit);
    assert_eq!(app.on_key(control('z'), &scene), Action::Suspend);
}

#[test]
fn a_pause_ends_with_a_look_and_intervals_have_steps() {
    let scene = busy();
    let mut app = app(Sort::Id, &scene);
    type_in(&mut app, &scene, "p");
    assert!(app.paused);
    assert_eq!(press(&mut app, &scene, KeyCode::Char('p')), Action::Look);
    type_in(&mut app, &scene, "++");
    assert_eq!(app.every, Duration::from_secs(5));
    type_in(&mut app, &scene, "----------");
    assert_eq!(app.every, Duration::from_millis(100));
    app.every = Duration::from_millis(1500);
    type_in(&mut app, &scene, "-");
    assert_eq!(app.every, Duration::from_secs(1));
}

#[test]
fn what_is_looked_at_closely_stays_the_same() {
    let scene = scenes::scene(vec![scenes::segment(1, 1), scenes::segment(2, 2)]);
    let mut app = app(Sort::Id, &scene);
    press(&mut app, &scene, KeyCode::Enter);
    app.order.reverse = true;
    assert_eq!(selected_id(&app, &scene), Some(1));
}

#[test]
fn a_question_that_cannot_be_read_is_not_asked() {
    let scene = scenes::scene(vec![scenes::segment(1, 1)]);
    for (width, height) in [(20, 3), (40, 8), (39, 30)] {
        let mut app = app(Sort::Id, &scene);
        press(&mut app, &scene, KeyCode::Char('d'));
        let frame = frame(&mut app, &scene, width, height);
        assert!(!frame.contains("remove this"), "{frame}");
        assert!(matches!(press(&mut app, &scene, KeyCode::Char('y')), Action::Nothing));
    }
}

#[test]
fn a_removal_needs_a_yes_to_what_was_shown() {
    let mut scene = scene(vec![garbage(7), attached(segment(8, 1), 5, "cat")]);
    let mut app = app(Sort::Id, &scene);
    let asked = scene.segments[0].stat;
    type_in(&mut app, &scene, "d");
    assert_eq!(app.mode, Mode::Confirm(asked));
    type_in(&mut app, &scene, "jsx");
    press(&mut app, &scene, KeyCode::Enter);
    assert_eq!(app.mode, Mode::Confirm(asked), "no other key answers");
    type_in(&mut app, &scene, "n");
    assert_eq!(app.mode, Mode::List);
    press(&mut app, &scene, KeyCode::Delete);
    assert_eq!(press(&mut app, &scene, KeyCode::Char('y')), Action::Remove(asked));

    // A look that finds another than was asked about takes the question back.
    type_in(&mut app, &scene, "d");
    app.see(&scene);
    assert_eq!(app.mode, Mode::Confirm(asked));
    scene.segments[0].stat.attachment_count = 1;
    app.see(&scene);
    assert_eq!(app.mode, Mode::List);
    assert!(app.note.as_ref().is_some_and(|(note, is_refusal)| *is_refusal && note.contains("meanwhile")));

    scene.segments[0].stat.removed = true;
    type_in(&mut app, &scene, "d");
    assert_eq!(app.mode, Mode::List);
    assert!(app.note.as_ref().is_some_and(|(note, _)| note.contains("removed already")));
}

#[test]
fn what_has_happened_and_how_much_changed_is_remembered() {
    let mut scene = busy();
    let mut app = app(Sort::Id, &scene);
    for _ in 0..300 {
        app.see(&scene);
    }
    assert_eq!((app.events.len(), app.history[&3].len()), (200, 8));
    scene.segments.remove(0);
    app.see(&scene);
    assert!(!app.history.contains_key(&3));
}
