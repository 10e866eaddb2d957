//! What a browser is shown by `cargo xtask browser`: a market in which something happens, a lock whose holder has died,
//! a segment that nobody uses, and a program whose names and words are markup. `cargo xtask recording` records the same
//! without the last of them. Ends with its standard input.
#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coseg::{
    Broadcast, Cell, Channel, Counter, DropOldest, Key, Lock, Queue, Region, RegionOptions, Rows, RwLock,
    Shared, Table, Text,
};
use coseg_sysv::Segment;

/// Markup, wherever another program has the word.
const EVIL: &str = "<img src=x onerror=alert(1)>";

#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Quote {
    currency: Text<8>,
    #[shared(unit = "EUR")]
    price: f64,
    stock: i64,
}

#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Order {
    trader: u32,
    #[shared(unit = "EUR")]
    amount: i64,
}

#[derive(Region)]
struct Market {
    /// What is bought and sold.
    board: Cell<[Quote; 3]>,
    ledger: Table<Order, 32>,
    trades: Counter,
    door: Lock,
    till: Lock,
    shelf: RwLock,
    orders: Channel<Order, Queue<64>>,
    quotes: Channel<Quote, Broadcast<64, DropOldest>>,
}

#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Words {
    text: Text<64>,
    #[shared(unit = "<b>p</b>")]
    number: u64,
}

#[derive(Region)]
struct Hostile {
    words: Cell<Words>,
    door: Lock,
}

fn main() {
    let role = std::env::args().nth(1).unwrap_or_else(|| "market".to_owned());
    match role.as_str() {
        "market" => market(true),
        "fair" => market(false),
        "desk" => desk(),
        "slow" => slow(),
        "holder" => hold(|market| &market.door),
        "victim" => hold(|market| &market.till),
        "waiter" => wait_for_door(),
        "hostile" => hostile(),
        other => panic!("no role {other}"),
    }
}

fn options(name: &str) -> RegionOptions<Market> {
    let backend = coseg_sysv::choose(None).unwrap();
    Region::<Market>::at(Key::new(0x4d41)).backend(&backend).name("market").participant(name)
}

fn quote(currency: &str, price: f64, stock: i64) -> Quote {
    Quote { currency: currency.into(), price, stock }
}

/// Ends this process with its parent.
fn end_with_input() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

fn say_ready() {
    println!("ready");
}

fn market(has_intruder: bool) {
    let market = options("broker")
        .create(|| MarketInitial {
            board: [quote("EURO", 1.0, 20_000), quote("POUND", 0.84, 4_000), quote("YEN", 169.2, 900_000)],
            ledger: Rows(vec![Order { trader: 1, amount: 500 }, Order { trader: 2, amount: -20 }]),
            ..MarketInitial::default()
        })
        .unwrap();
    let backend = coseg_sysv::choose(None).unwrap();
    let _orders = ["holder", "desk", "slow", "waiter"].map(start);
    drop(start("victim"));
    let _intruder = has_intruder.then(|| start("hostile"));
    let plain = Segment::options(Key::new(0x4242)).size(1 << 20).create(&backend).unwrap().attach().unwrap();
    plain
        .write(0, if has_intruder { &b"<script>alert(2)</script> milk, bread"[..] } else { b"milk, bread" })
        .unwrap();
    let mut sender = market.orders.sender().unwrap();
    let mut quotes = market.quotes.sender().unwrap();
    end_with_input();
    say_ready();
    for round in 0_u32.. {
        let amount = i64::from(round % 7) - 3;
        let _ = sender.send_timeout(&Order { trader: round % 5, amount }, Duration::from_millis(20));
        market.trades.add(1).unwrap();
        market.board.update(|board| board[0].price = 1.0 + f64::from(round % 40) / 100.0).unwrap();
        quotes.send(&quote("EURO", 1.0, amount)).unwrap();
        plain.write(8192 + (round as usize % 64) * 4096, &round.to_ne_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Another process of this program, once it is ready.
fn start(role: &str) -> Player {
    let mut command = match role {
        "hostile" => Command::new(renamed()),
        _ => Command::new(std::env::current_exe().unwrap()),
    };
    let mut child = command.arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "{role}");
    Player(child)
}

/// This program under a name that is markup.
fn renamed() -> PathBuf {
    let path = std::env::temp_dir().join("<b onclick=x>");
    std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    path
}

/// Killed with SIGKILL when it is dropped.
struct Player(Child);

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hold(lock: fn(&Market) -> &Lock) {
    let market = options("holder").open().unwrap();
    let _guard = lock(&market).lock().unwrap();
    say_ready();
    wait_for_end();
}

fn wait_for_end() {
    let _ = std::io::stdin().read(&mut [0]);
}

fn wait_for_door() {
    let market = options("waiter").open().unwrap();
    end_with_input();
    say_ready();
    let _guard = market.door.lock().unwrap();
}

fn desk() {
    let market = options("desk").open().unwrap();
    let mut orders = market.orders.receiver().unwrap();
    end_with_input();
    say_ready();
    loop {
        let order = orders.receive().unwrap();
        let row = order.trader as usize;
        market.ledger.update(row, |line| line.amount += order.amount).unwrap();
        std::thread::sleep(Duration::from_millis(if order.amount == 3 { 40 } else { 5 }));
    }
}

/// Falls behind.
fn slow() {
    let market = options("slow").open().unwrap();
    let mut quotes = market.quotes.receiver().unwrap();
    end_with_input();
    say_ready();
    loop {
        let _ = quotes.receive().unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn hostile() {
    let backend = coseg_sysv::choose(None).unwrap();
    let words = Words { text: "\"><svg onload=alert(3)>{{7*7}}</td><!--".into(), number: 1 };
    let region = Region::<Hostile>::at(Key::new(0x666))
        .backend(&backend)
        .name(EVIL)
        .participant("<script>alert(4)</script>")
        .create(|| HostileInitial { words, ..HostileInitial::default() })
        .unwrap();
    let _door = region.door.lock().unwrap();
    end_with_input();
    say_ready();
    for number in 0.. {
        region.words.update(|words| words.number = number).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
}
