//! A program on a terminal that nobody sees, and what is on its screen.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::common::{Running, World};

/// After this, what is waited for does not come.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Terminal {
    child: Running,
    keyboard: File,
    screen: Arc<(Mutex<vt100::Parser>, Condvar)>,
    before: Termios,
    reader: JoinHandle<()>,
}

impl Terminal {
    pub(crate) fn start(world: &World, line: &str, rows: u16, columns: u16) -> Terminal {
        let (keyboard, slave) = open(rows, columns);
        let before = tcgetattr(&slave).unwrap();
        let mut command = world.command(line);
        command.env("TERM", "xterm-256color");
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = Running(command.spawn().unwrap());
        drop(command);
        let mut output = keyboard.try_clone().unwrap();
        let screen =
            Arc::new((Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)), Condvar::new()));
        let shown = Arc::clone(&screen);
        // Ends with the program, whose end of the terminal is the last.
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = output.read(&mut bytes) {
                // A test that has failed looks no more.
                let Ok(mut parser) = shown.0.lock() else { return };
                parser.process(&bytes[..length]);
                drop(parser);
                shown.1.notify_all();
            }
        });
        Terminal { child, keyboard, screen, before, reader }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.pid().try_into().unwrap()), signal).unwrap();
    }

    /// Another size, as whoever drags a window's corner has it.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        self.screen.0.lock().unwrap().screen_mut().set_size(cells(rows), cells(columns));
        tcsetwinsize(&self.keyboard, size).unwrap();
        self.signal(Signal::SIGWINCH);
    }

    /// Waits until the screen is as it should be, and tells what is on it.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        let mut parser = self.screen.0.lock().unwrap();
        while !is_so(&parser.screen().contents()) {
            let left = LIMIT.checked_sub(start.elapsed());
            let left =
                left.unwrap_or_else(|| panic!("{what} does not come:\n{}", parser.screen().contents()));
            parser = self.screen.1.wait_timeout(parser, left).unwrap().0;
        }
        parser.screen().contents()
    }

    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// The same for the table of segments alone.
    pub(crate) fn lists(&self, text: &str) -> String {
        self.until(text, |screen| table(screen).contains(text))
    }

    pub(crate) fn lists_no(&self, text: &str) -> String {
        self.until(&format!("a table without {text}"), |screen| !table(screen).contains(text))
    }

    /// Waits for its end. The terminal is then as it was: its main screen, its cursor, and its modes.
    pub(crate) fn end(mut self) -> (i32, String) {
        let code = ended(&mut self.child.0).expect("an exit code");
        self.reader.join().unwrap();
        let parser = self.screen.0.lock().unwrap();
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor());
        assert_eq!(tcgetattr(&self.keyboard).unwrap(), self.before);
        (code, screen.contents())
    }
}

/// A terminal's two sides. No program that is started meanwhile keeps either open.
pub(crate) fn open(rows: u16, columns: u16) -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (master.into(), slave)
}

/// The exit code of a program that ends by itself.
pub(crate) fn ended(child: &mut Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it does not end");
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// What stands above the events.
fn table(screen: &str) -> &str {
    screen.split("── events").next().unwrap_or_default()
}
