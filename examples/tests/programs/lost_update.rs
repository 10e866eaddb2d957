//! What the raw exchange is known for: of two trades at one time one is lost. The test can tell, because a
//! trader alone loses nothing.

use crate::world::{Language, World};

on_both_backends!("exchange": one_trader_is_exact several_traders_lose_stock);

/// An eighth of a sixteenth: exact in binary, and small enough for a balance to last.
const AMOUNT: f64 = 1.0 / 128.0;
const TRADE_COUNT: u32 = 8960;
const OPENING_STOCK: f64 = 10000.0;
const ATTEMPTS: u32 = 100;

const TRADERS: [&[Language]; 3] =
    [&[Language::Rust; 3], &[Language::C; 3], &[Language::Rust, Language::C, Language::Rust]];

/// The stock of dollars after each of these has bought all it can at the same time.
fn stock_after(world: &World, traders: &[Language]) -> f64 {
    world.run(Language::Rust, &["init"]).ok();
    let orders = format!("buy DOLLAR {AMOUNT}\n").repeat(TRADE_COUNT as usize);
    let trading: Vec<_> = traders.iter().map(|&l| world.run_with_input(l, &["trade"], &orders)).collect();
    for trader in trading {
        let results = trader.ok();
        assert_eq!(results.matches(": 0\n").count(), TRADE_COUNT as usize, "every trade is said to be done");
    }
    let board = world.run(Language::Rust, &["show"]).ok();
    world.run(Language::Rust, &["close"]).ok();
    let dollars = board.lines().find(|line| line.starts_with("DOLLAR")).unwrap();
    dollars.split(' ').next_back().unwrap().parse().unwrap()
}

fn expected_stock(traders: &[Language]) -> f64 {
    OPENING_STOCK + f64::from(TRADE_COUNT) * AMOUNT * traders.len() as f64
}

fn one_trader_is_exact(world: &World) {
    for language in [Language::Rust, Language::C] {
        assert_eq!(stock_after(world, &[language]), expected_stock(&[language]), "{language:?}");
    }
}

fn several_traders_lose_stock(world: &World) {
    for traders in TRADERS {
        let expected = expected_stock(traders);
        let lost = (1..=ATTEMPTS).find_map(|attempt| {
            let lost = expected - stock_after(world, traders);
            assert!(lost >= 0.0, "nothing but a lost update changes the sum, and it takes away");
            (lost > 0.0).then_some((lost, attempt))
        });
        let (lost, attempt) = lost.expect("an update was lost in so many attempts");
        println!("{traders:?}: {lost} of {expected} dollars lost at attempt {attempt}");
    }
}
