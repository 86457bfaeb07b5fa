//! The task definition's file: family and container names, and nothing else.
//!
//! What else is in it may well depend on look-ups that cannot be made here, or on variables
//! that only a deployment sets: that is no error, as long as the names do not.

use super::document::{Data, Document, Entries, Id};
use super::error::{Error, ErrorKind};

/// What a task definition's file says of its task.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) family: Option<String>,
    pub(crate) containers: Vec<String>,
}

/// Decodes a task definition, bare or within `taskDefinition`.
pub(crate) fn decode(document: &Document<'_>) -> Result<Definition, Error> {
    let root = entries(document, document.root, "a task definition")?;
    let inner = match root.get("taskdefinition") {
        Some(inner) => entries(document, inner.value, "taskDefinition")?,
        None => root,
    };
    let containers =
        match inner.get("containerdefinitions").map(|entry| (entry.value, &document.nodes[entry.value].data))
        {
            None | Some((_, Data::Null)) => Vec::new(),
            Some((_, Data::List(items))) => {
                items.iter().map(|item| name(document, *item)).collect::<Result<_, _>>()?
            }
            Some((id, data)) => {
                return Err(
                    document.wrong(id, format!("containerDefinitions must be a list, not {}", data.kind()))
                );
            }
        };
    Ok(Definition { family: document.optional(&inner, "family")?, containers })
}

fn entries<'d>(document: &'d Document<'_>, id: Id, what: &str) -> Result<Entries<'d>, Error> {
    document.entries(id).ok_or_else(|| {
        let kind = document.nodes[id].data.kind();
        Error::new(
            ErrorKind::Type,
            format!("{}: {what} must be a map, not {kind}", document.text.source.name.display()),
        )
    })
}

fn name(document: &Document<'_>, item: Id) -> Result<String, Error> {
    let entries = entries(document, item, "a container definition")?;
    let Some(entry) = entries.get("name") else { return Ok(String::new()) };
    match &document.nodes[entry.value].data {
        // A state may give a list where the template meant a name.
        Data::List(_) => Ok(document.json_text(entry.value)),
        _ => document.string("name", entry.value).map(str::to_owned),
    }
}
