//! The programs' command lines and exit codes: 0 done, 1 no such segment or a check failed, 2 anything else, with a
//! line on standard error.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use coseg_sysv::{Backend, Errno, Op, choose};

/// How a program ends.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A region's error, with what to do if there is no such region, or one already.
#[derive(Debug)]
pub struct Advised {
    error: coseg::Error,
    advice: &'static str,
}

impl Advised {
    /// Turns an error into one with this advice.
    pub fn of(advice: &'static str) -> impl Fn(coseg::Error) -> Advised {
        move |error| Advised { error, advice }
    }
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        let cause = self.error.segment_error().filter(|cause| cause.op() == Op::Get);
        let advises = cause.is_some_and(|cause| matches!(cause.errno(), Errno::ENOENT | Errno::EEXIST));
        if advises { write!(f, ": {}", self.advice) } else { Ok(()) }
    }
}

impl Error for Advised {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// A check that failed, as opposed to one that could not be made.
#[derive(Debug)]
pub struct CheckFailed(pub String);

impl fmt::Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CheckFailed {}

/// A command line: words, and options that have a value each.
#[derive(Debug)]
pub struct Args {
    words: Vec<String>,
    options: HashMap<&'static str, String>,
    usage: &'static str,
}

impl Args {
    /// The words, in order.
    pub fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The duration that an option says: `50ms`, `2s`, or a number of seconds.
    ///
    /// # Errors
    /// It says none, or one that is no use.
    pub fn duration(&self, name: &str, default: Duration) -> Outcome<Duration> {
        let Some(text) = self.option(name) else { return Ok(default) };
        let (number, unit_seconds) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => (number, 0.001),
            (None, Some(number)) => (number, 1.0),
            (None, None) => (text, 1.0),
        };
        let seconds = number.parse().map(|number: f64| number * unit_seconds).unwrap_or(-1.0);
        if !(0.001..=86_400.0).contains(&seconds) {
            return Err(format!("--{name} {text}: write 50ms, 2s, or seconds, from 1ms to a day").into());
        }
        Ok(Duration::from_secs_f64(seconds))
    }

    /// The number that an option says, of this range.
    ///
    /// # Errors
    /// It says none.
    pub fn number(
        &self,
        name: &str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Outcome<usize> {
        let Some(text) = self.option(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let fact = || format!("--{name} {text}: write a number from {} to {}", range.start(), range.end());
        Ok(number.ok_or_else(fact)?)
    }

    /// The key of `--key`.
    ///
    /// # Errors
    /// It is no key.
    pub fn key(&self, default: coseg::Key) -> Outcome<coseg::Key> {
        let Some(text) = self.option("key") else { return Ok(default) };
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok().map(u32::cast_signed),
            None => text.parse().ok(),
        };
        // 0 is IPC_PRIVATE, which nobody finds.
        let number = number.filter(|&number| number != 0);
        Ok(coseg::Key::new(number.ok_or_else(|| format!("--key {text}: write 0x4558 or a number but 0"))?))
    }

    /// The backend of `--backend` or `COSEG_BACKEND`; without either, the kernel's where it answers.
    ///
    /// # Errors
    /// No backend has that name, or it cannot be opened.
    pub fn backend(&self) -> Outcome<Arc<dyn Backend>> {
        let environment = std::env::var("COSEG_BACKEND").ok();
        let name = self.option("backend").or(environment.as_deref());
        let name = name.map(str::parse).transpose()?;
        Ok(choose(name)?)
    }

    /// How the program is meant to be called, as an error.
    ///
    /// # Errors
    /// Always.
    pub fn misused<T>(&self) -> Outcome<T> {
        Err(self.usage.into())
    }

    fn parse(usage: &'static str, names: &[&'static str]) -> Outcome<Args> {
        let mut args = Args { words: Vec::new(), options: HashMap::new(), usage };
        let mut given = std::env::args_os().skip(1);
        while let Some(word) = given.next() {
            let word = text(word)?;
            if word == "--help" || word == "-h" {
                return Err(Box::new(Help));
            }
            match word.strip_prefix("--") {
                None => args.words.push(word),
                Some("") => args.words.extend(given.by_ref().map(text).collect::<Outcome<Vec<String>>>()?),
                Some(long) => {
                    let known = ["backend"].iter().chain(names).find(|&&name| name == long);
                    let (Some(name), Some(value)) = (known, given.next()) else { return args.misused() };
                    args.options.insert(name, text(value)?);
                }
            }
        }
        Ok(args)
    }
}

/// The usage was asked for.
#[derive(Debug)]
struct Help;

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the usage was asked for")
    }
}

impl Error for Help {}

fn text(word: OsString) -> Outcome<String> {
    word.into_string().map_err(|word| format!("{}: not UTF-8", word.display()).into())
}

/// Runs a program that takes `--backend` and the options of these names.
pub fn run(usage: &'static str, options: &[&'static str], program: fn(&Args) -> Outcome) -> ExitCode {
    match Args::parse(usage, options).and_then(|args| program(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Help>() => {
            // A closed pipe has read enough.
            let _ = writeln!(io::stdout(), "{usage}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if is_absence(&*error) || error.is::<CheckFailed>() { 1 } else { 2 })
        }
    }
}

fn is_absence(error: &(dyn Error + 'static)) -> bool {
    let is_it = |error: &coseg_sysv::Error| error.op() == Op::Get && error.errno() == Errno::ENOENT;
    let mut sources = std::iter::successors(Some(error), |&error| error.source());
    sources.any(|error| error.downcast_ref().is_some_and(is_it))
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
