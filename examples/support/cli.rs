//! The programs' command lines and exit codes: 0 done, 1 no such segment, 2 anything else, with a line on
//! standard error.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use coseg_sysv::{Backend, Errno, Op, choose};

/// How a program ends.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

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

fn text(word: OsString) -> Outcome<String> {
    word.into_string().map_err(|word| format!("{}: not UTF-8", word.display()).into())
}

/// Runs a program that takes `--backend` and the options of these names.
pub fn run(usage: &'static str, options: &[&'static str], program: fn(&Args) -> Outcome) -> ExitCode {
    match Args::parse(usage, options).and_then(|args| program(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if is_absence(&*error) { 1 } else { 2 })
        }
    }
}

fn is_absence(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<coseg_sysv::Error>();
    error.is_some_and(|error| error.op() == Op::Get && error.errno() == Errno::ENOENT)
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
