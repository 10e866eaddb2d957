//! The command line: one table of flags feeds the parser, the help, the man pages and the completions.

use std::ffi::OsString;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use coseg_sysv::BackendName;

use crate::commands;

const EXAMPLES: &str = "\
Examples:
  coseg create --key 0x4242 --size 4K     make a segment, print its id
  echo hello | coseg write 0x4242         put bytes in
  coseg read 0x4242 --length 6            get them out
  coseg hex 0x4242                        see them
  coseg dump 0x4242 FILE                  keep them, for coseg restore
  coseg open FILE show                    look into it
  coseg diff FILE 0x4242                  what has changed since
  coseg ls                                every segment, and who is attached
  coseg top                               all of them and what happens to them, live
  coseg who 0x4242                        its attachers: user, access, container, namespace
  coseg rm 0x4242                         remove it
  coseg gc                                what nobody uses any more, and why
  coseg doctor                            what is wrong, and what mends it
  coseg show name:market                  a typed region, with names and units
  coseg set name:market 'price=13.72'     change it under its lock
  coseg locks                             who holds what, and who waits
  coseg watch name:market                 what changes, as it changes
  coseg channel tail name:market prices   the messages of a channel, as JSON
  coseg map get name:book quotes EURUSD   a value of a map, by its key
  coseg serve                             all of it live, as a web page
  coseg run -- initdb -D data             run a program on the user-space backend
  coseg demo                              see it work, in fifteen seconds

Segments are named by
  5              an id                    0x162e, key:5678   a key
  id:5           an id, spelled out       ftok:PATH:PROJ     the key ftok makes of a file
  name:market    a region by its name     pid:1234           what process 1234 is attached to

Exit codes: 0 done, 1 nothing found or a check failed, 2 usage or error, 124 time-out, \
130 interrupted; run: the program's own, or 125, 126, 127 as env(1).";

/// See, make, read, write and remove System V shared memory
#[derive(Debug, Parser)]
#[command(name = "coseg", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where the segments live [default: kernel where it answers, else user]
    #[arg(long, global = true, env = "COSEG_BACKEND", hide_env_values = true, value_parser = backend_name())]
    pub(crate) backend: Option<BackendName>,

    /// Print JSON with a schema version
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Use colors: auto, always or never; NO_COLOR turns them off too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: Color,

    /// Print sizes as plain numbers of bytes
    #[arg(long, global = true)]
    pub(crate) bytes: bool,

    /// Columns of ls, in this order, or `all`
    #[arg(long, global = true, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
}

fn backend_name() -> impl TypedValueParser<Value = BackendName> {
    PossibleValuesParser::new(["kernel", "user"]).try_map(|name| BackendName::from_str(&name))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ls(commands::ls::Ls),
    Top(commands::top::Top),
    Create(commands::create::Create),
    Stat(commands::stat::StatArgs),
    Who(commands::who::WhoArgs),
    Chmod(commands::chmod::Chmod),
    Chown(commands::chown::Chown),
    Read(commands::read::Read),
    Hex(commands::hex::Hex),
    Dump(commands::dump::Dump),
    Restore(commands::restore::Restore),
    Open(commands::open::Open),
    Diff(commands::diff::Diff),
    Watch(commands::watch::Watch),
    Pages(commands::pages::Pages),
    Write(commands::write::Write),
    Show(commands::show::Show),
    Get(commands::get::Get),
    Set(commands::set::Set),
    Locks(commands::locks::Locks),
    Channel(commands::channel::Channel),
    Map(commands::map::Map),
    Rm(commands::rm::Rm),
    Gc(commands::gc::Gc),
    Doctor(commands::doctor::Doctor),
    Limits(commands::limits::LimitsArgs),
    Serve(commands::serve::Serve),
    Key(commands::key::KeyArgs),
    Run(commands::run::Run),
    Demo(commands::demo::Demo),
    Completions(commands::completions::Completions),
    Man(commands::man::ManArgs),
    Schema(commands::schema::SchemaArgs),
}

/// What `--color` says, before the parser runs: its own messages have colors too.
pub(crate) fn color_of(args: impl Iterator<Item = OsString>) -> Color {
    let mut words = args.map(|word| word.to_string_lossy().into_owned()).take_while(|word| word != "--");
    while let Some(word) = words.next() {
        let value = match word.as_str() {
            "--color" => words.next(),
            _ => word.strip_prefix("--color=").map(str::to_owned),
        };
        if let Some(color) = value.and_then(|value| Color::from_str(&value, true).ok()) {
            return color;
        }
    }
    Color::Auto
}

/// Which subcommand was meant, where the parser refused the line.
pub(crate) fn subcommand_of(args: impl Iterator<Item = OsString>) -> Option<String> {
    let mut words = args.skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "--backend" | "--color" | "--columns") {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split(' ').map(OsString::from)
    }

    #[test]
    fn the_table_of_flags_is_sound() {
        Cli::command().debug_assert();
    }

    /// Up to what the shell takes for itself, or a remark, which two blanks set apart.
    fn call(line: &str) -> Option<Vec<String>> {
        let line = line.trim_start().trim_start_matches("$ ");
        if !line.starts_with("coseg ") {
            return None;
        }
        let mut quote = None;
        let mut before = ' ';
        let end = line.find(|sign| {
            match quote {
                Some(open) if open == sign => quote = None,
                None if matches!(sign, '\'' | '"') => quote = Some(sign),
                _ => {}
            }
            let ends =
                quote.is_none() && (matches!(sign, '|' | '>' | '<' | '&') || (before, sign) == (' ', ' '));
            before = sign;
            ends
        });
        let mut line = line[..end.unwrap_or(line.len())].to_owned();
        // Files and people that every machine has.
        for (ours, theirs) in [("/etc/app.conf", "/etc/passwd"), ("postgres", "root"), ("dba", "root")] {
            line = line.replace(ours, theirs);
        }
        Some(shlex::split(&line).unwrap_or_else(|| panic!("a quote is open: {line}")))
    }

    fn calls(command: &clap::Command) -> Vec<Vec<String>> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut all: Vec<_> = help.lines().filter_map(call).collect();
        all.extend(command.get_subcommands().filter(|command| command.get_name() != "help").flat_map(calls));
        assert!(!all.is_empty() || command.is_hide_set(), "{} has no examples", command.get_name());
        all
    }

    #[test]
    fn every_example_is_accepted() {
        let mut command = Cli::command();
        command.build();
        let all = calls(&command);
        assert!(all.len() > 150, "{}", all.len());
        let errors =
            all.iter().filter_map(|words| Some((words, Cli::command().try_get_matches_from(words).err()?)));
        let refused: Vec<String> = errors.map(|(words, error)| format!("{words:?}: {error}")).collect();
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    }

    #[test]
    fn color_is_known_before_parsing() {
        assert_eq!(color_of(words("coseg --color never ls")), Color::Never);
        assert_eq!(color_of(words("coseg ls --color=always")), Color::Always);
        assert_eq!(color_of(words("coseg run -- x --color=always")), Color::Auto);
    }

    #[test]
    fn the_subcommand_is_found_behind_flags() {
        assert_eq!(
            subcommand_of(words("coseg --backend user --json run --nonsense")).as_deref(),
            Some("run")
        );
        assert_eq!(subcommand_of(words("coseg --json")), None);
    }
}
