//! The terminal: taken over, and given back whatever happens.

use std::io::{self, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEvent};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::SIGCONT;

use crate::failure::{Failure, Result};
use crate::stop::Stop;

/// A signal that comes between two looks at its flag is seen after this at the latest.
const STEP: Duration = Duration::from_millis(250);

/// Without any time, crossterm does not look at all; of a time below a millisecond it waits none, and looks on.
const GLANCE: Duration = Duration::from_micros(100);

#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Set when somebody who had stopped us lets us go on.
    continued: Arc<AtomicBool>,
}

/// Why waiting ended.
#[derive(Debug)]
pub(super) enum Wake {
    Key(KeyEvent),
    /// Something else needs a new drawing.
    Drawing,
    Time,
}

impl Screen {
    pub(super) fn take() -> Result<Screen> {
        give_back_on_panic();
        let continued = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGCONT, Arc::clone(&continued)).map_err(failed)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed)?;
        let screen = Screen { terminal, continued };
        enter().map_err(failed)?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        self.terminal.draw(draw).map_err(failed)?;
        Ok(())
    }

    /// Waits for a key, or until a moment.
    pub(super) fn wait(&mut self, until: Instant, stop: &Stop) -> Result<Wake> {
        loop {
            stop.check()?;
            if self.continued.swap(false, Ordering::Relaxed) {
                self.again()?;
                return Ok(Wake::Drawing);
            }
            if event::poll(GLANCE).map_err(failed)? {
                return Ok(match event::read().map_err(failed)? {
                    Event::Key(key) => Wake::Key(key),
                    _ => Wake::Drawing,
                });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Wake::Time);
            }
            // Crossterm's own waiting goes on after a signal; this ends with one.
            if is_gone_within(left.min(STEP), PollFlags::IN).map_err(failed)? {
                return Err(Failure::interrupted());
            }
        }
    }

    /// Stops this process and those it was started with, as Ctrl-Z does where it is no key.
    pub(super) fn suspend(&mut self) -> Result<()> {
        leave();
        let stopped = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
        stopped.map_err(|errno| failed(errno.into()))?;
        // Whoever has no shell to come back to goes on at once, and gets no SIGCONT.
        self.continued.store(false, Ordering::Relaxed);
        self.again()
    }

    /// Takes the terminal over once more: what it was set to meanwhile, nobody knows.
    pub(super) fn again(&mut self) -> Result<()> {
        leave();
        enter().and_then(|()| self.terminal.clear()).map_err(failed)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Of a terminal that is gone many things are said, and nobody reads them.
fn failed(error: io::Error) -> Failure {
    if is_gone_within(Duration::ZERO, PollFlags::empty()).unwrap_or(false) {
        return Failure::interrupted();
    }
    Failure::io("top: the terminal", &error)
}

/// Waits until something of `what` is so, or the terminal is gone.
fn is_gone_within(time: Duration, what: PollFlags) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, what)];
    let time = Timespec::try_from(time).map_err(io::Error::other)?;
    match rustix::event::poll(&mut fds, Some(&time)) {
        Ok(_) => Ok(fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
}

/// As much of it as works: there is nobody to tell of the rest.
fn leave() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    let _ = io::stdout().flush();
}

/// A panic's message belongs on the screen that stays.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        leave();
        before(panic);
    }));
}
