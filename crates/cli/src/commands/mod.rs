//! One file per command.

pub(crate) mod channel;
pub(crate) mod chmod;
pub(crate) mod chown;
pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod dump;
pub(crate) mod gc;
pub(crate) mod get;
pub(crate) mod hex;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod locks;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod map;
pub(crate) mod open;
pub(crate) mod pages;
pub(crate) mod read;
pub(crate) mod restore;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod stat;
pub(crate) mod top;
pub(crate) mod watch;
pub(crate) mod who;
pub(crate) mod write;

use std::process::ExitCode;

use coseg_sysv::Listed;

use crate::args::{Command, Global};
use crate::failure::{Failure, Result};
use crate::output;
use crate::selector::Selector;
use crate::view::View;

pub(crate) fn run(command: &Command, global: &Global) -> Result<ExitCode> {
    if !global.columns.is_empty() && !matches!(command, Command::Ls(_)) {
        return Err(Failure::error("--columns belongs to coseg ls; this command has no columns to choose"));
    }
    match command {
        Command::Ls(args) => ls::run(args, global),
        Command::Top(args) => top::run(args, global),
        Command::Create(args) => create::run(args, global),
        Command::Stat(args) => stat::run(args, global),
        Command::Who(args) => who::run(args, global),
        Command::Chmod(args) => chmod::run(args, global),
        Command::Chown(args) => chown::run(args, global),
        Command::Read(args) => read::run(args, global),
        Command::Hex(args) => hex::run(args, global),
        Command::Dump(args) => dump::run(args, global),
        Command::Restore(args) => restore::run(args, global),
        Command::Open(args) => open::run(args, global),
        Command::Diff(args) => diff::run(args, global),
        Command::Watch(args) => watch::run(args, global),
        Command::Pages(args) => pages::run(args, global),
        Command::Write(args) => write::run(args, global),
        Command::Show(args) => show::run(args, global),
        Command::Get(args) => get::run(args, global),
        Command::Set(args) => set::run(args, global),
        Command::Locks(args) => locks::run(args, global),
        Command::Channel(args) => channel::run(args, global),
        Command::Map(args) => map::run(args, global),
        Command::Rm(args) => rm::run(args, global),
        Command::Gc(args) => gc::run(args, global),
        Command::Doctor(args) => doctor::run(args, global),
        Command::Limits(args) => limits::run(args, global),
        Command::Serve(args) => serve::run(args, global),
        Command::Key(args) => key::run(args, global),
        Command::Run(args) => run::run(args, global),
        Command::Demo(args) => demo::run(args, global),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::Schema(args) => schema::run(args),
    }
}

/// The segments meant, each once, in the order they were named; without a selector all. And what the absence of one
/// ends with.
fn each_once<'a>(selectors: &[Selector], view: &'a View) -> Result<(Vec<&'a Listed>, ExitCode)> {
    let mut found: Vec<&Listed> = Vec::new();
    if selectors.is_empty() {
        return Ok((view.listed.iter().collect(), ExitCode::SUCCESS));
    }
    let code = for_each(selectors, |selector| {
        for listed in selector.all(view)? {
            if !found.iter().any(|other| other.stat.id == listed.stat.id) {
                found.push(listed);
            }
        }
        Ok(())
    })?;
    Ok((found, code))
}

/// Does the same to each selector, reports each failure, and ends with the gravest one's code.
fn for_each(selectors: &[Selector], mut action: impl FnMut(&Selector) -> Result<()>) -> Result<ExitCode> {
    let mut code = 0;
    for selector in selectors {
        match action(selector) {
            Ok(()) => {}
            Err(failure) if failure.is_silent() => return Err(failure),
            Err(failure) => {
                output::complain(&failure.to_string());
                code = code.max(failure.code());
            }
        }
    }
    Ok(ExitCode::from(code))
}
