//! `coseg schema`: what the tool's JSON documents have in them, for programs.

use std::process::ExitCode;

use clap::Args;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    channel, create, demo, diff, doctor, dump, gc, get, hex, key, limits, locks, ls, map, open, pages, read,
    restore, rm, serve, set, show, stat, watch, who, write,
};
use crate::failure::{Failure, Result};
use crate::live::{Details, Scene};
use crate::output::{self, SCHEMA, Versioned};

const EXAMPLES: &str = "\
Examples:
  coseg schema                      the commands whose --json documents have one
  coseg schema ls                   that of `coseg ls --json`
  coseg schema watch | jq .properties      the fields of each line of `coseg watch --json`
Schemas are JSON Schema, draft 2020-12. The number in a document's field `schema` grows when a field changes or goes, not \
when one comes: read those you know, and ignore the rest. Lines that a command prints one by one (top, watch, `map ls` of \
one map) have a schema for each line, and `coseg serve` one for each kind of event. Messages of `channel tail` are as the region's own schema has them.";

/// Print the JSON Schema of a command's --json
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SchemaArgs {
    /// The command, such as `ls` or `channel stat`
    #[arg(value_name = "COMMAND", allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Of a document, and of lines that are documents of their own.
type Make = fn(&mut SchemaGenerator) -> Schema;

fn document<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Versioned::<T>::json_schema(generator);
    if let Some(version) = schema.pointer_mut("/properties/schema") {
        *version = serde_json::json!({ "const": SCHEMA });
    }
    schema
}

/// Null where there is nothing of which to tell.
fn document_or_null<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [document::<T>(generator), { "type": "null" }] })
}

fn lines<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// By the words of the command.
const DOCUMENTS: &[(&str, Make)] = &[
    ("channel close", document::<channel::switch::Document<'_>>),
    ("channel ls", document::<channel::ls::Document<'_>>),
    ("channel reopen", document::<channel::switch::Document<'_>>),
    ("channel send", document::<channel::send::Summary<'_>>),
    ("channel stat", document::<channel::stat::Document<'_>>),
    ("create", document::<create::Document>),
    ("demo", document::<demo::Document>),
    ("diff", document::<diff::Document<'_>>),
    ("doctor", document::<doctor::Document<'_>>),
    ("dump", document::<dump::Document<'_>>),
    ("gc", document::<gc::Document<'_>>),
    ("get", document::<get::Document<'_>>),
    ("hex", document::<hex::Document>),
    ("key", document::<key::Document>),
    ("limits", document::<limits::Document>),
    ("locks", document::<locks::Document<'_>>),
    ("ls", document::<ls::Document>),
    ("ls --all-namespaces", document::<ls::everywhere::Document>),
    ("map get", document::<map::get::Document<'_>>),
    ("map ls", document::<map::ls::Document<'_>>),
    ("map ls MAP", lines::<map::EntryJson<'_>>),
    ("map put", document::<map::put::Summary<'_>>),
    ("map put KEY", document::<map::Document<'_>>),
    ("map rm KEY", document::<map::Document<'_>>),
    ("map rm --expired", document::<map::rm::Summary<'_>>),
    ("open", document::<open::Document<'_>>),
    ("pages", document::<pages::Document>),
    ("read", document::<read::Document>),
    ("restore", document::<restore::Document>),
    ("rm", document::<rm::Document>),
    ("serve", document::<serve::Document<'_>>),
    ("serve /api/remove", document::<serve::removal::Removal>),
    ("serve /api/scene", document::<Scene>),
    ("serve /api/segment", document::<Details>),
    ("serve /events hello", document::<serve::stream::Hello>),
    ("serve /events scene", document::<Scene>),
    ("serve /events events", document::<serve::stream::Events<'_>>),
    ("serve /events details", document_or_null::<Details>),
    ("serve /events trouble", document::<serve::stream::Trouble<'_>>),
    ("set", document::<set::Document<'_>>),
    ("show", document::<show::document::Document<'_>>),
    ("show --as", document::<show::foreign::Document<'_>>),
    ("stat", document::<stat::Document>),
    ("top", lines::<crate::live::Scene>),
    ("watch", lines::<watch::Line<'_, diff::Difference>>),
    ("who", document::<who::Document>),
    ("write", document::<write::Document>),
];

pub(crate) fn run(args: &SchemaArgs) -> Result<ExitCode> {
    let wanted = args.command.join(" ");
    if wanted.is_empty() {
        let names: Vec<&str> = DOCUMENTS.iter().map(|(name, _)| *name).collect();
        output::print(&format!("{}\n", names.join("\n")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some((name, make)) = DOCUMENTS.iter().find(|(name, _)| *name == wanted) else {
        let text = format!("schema: `{}` is no command with documents", output::printable(&wanted));
        return Err(Failure::error(text).hint("coseg schema, which lists them"));
    };
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = make(&mut generator);
    let definitions = generator.take_definitions(true);
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), format!("coseg {name} --json").into());
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), definitions.into());
    }
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Failure::error(error.to_string()))?;
    output::print_raw(&text)?;
    Ok(ExitCode::SUCCESS)
}
