//! A YAML or JSON document as a tree that remembers where each node was written.
//!
//! Nodes lie side by side and name each other by index: an alias is an index, not a copy, so
//! that neither aliases nor nesting cost more than the text that writes them.

use std::collections::HashMap;

use super::error::{Error, ErrorKind, Place, Source};
use super::template::{Rendered, Unknowns};

/// A file's source, what its template made of it, and which answers were not to be had.
#[derive(Debug)]
pub(crate) struct Text<'s> {
    pub(crate) source: &'s Source,
    pub(crate) rendered: Rendered,
    pub(crate) unknowns: Unknowns,
}

impl Text<'_> {
    /// The place in the file that byte `offset` of the rendered text comes from.
    pub(crate) fn place(&self, offset: usize, width: usize) -> Place {
        let (at, action) = self.rendered.origin(offset);
        self.source.place(at, action.unwrap_or(width))
    }
}

/// The most values that one file may hold. (Real ones hold hundreds.)
pub(crate) const MOST_NODES: usize = 250_000;

/// The key that was likely meant by one that is not known.
pub(crate) fn near<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    // Comparing costs the product of the lengths.
    let comparable = key.len() < 40;
    known.iter().find(|known| comparable && strsim::osa_distance(known, key) <= 2).copied()
}

/// Where a node is that nobody knows the place of: serde_json does not tell.
const NOWHERE: usize = usize::MAX;

/// Index of a node.
pub(crate) type Id = usize;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) data: Data,
    /// Where in the rendered text, in bytes.
    pub(crate) at: usize,
    pub(crate) width: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Id>),
    Map(Vec<(Id, Id)>),
}

#[derive(Debug)]
pub(crate) struct Document<'t> {
    pub(crate) text: &'t Text<'t>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Id,
}

impl<'t> Document<'t> {
    /// Parses the text as one JSON value; nothing may follow it.
    pub(crate) fn json(text: &'t Text<'t>) -> Result<Self, Error> {
        // Each value but the first stands behind one of these.
        if text.rendered.text.bytes().filter(|byte| matches!(byte, b',' | b':' | b'[')).count() > MOST_NODES {
            let message =
                format!("{}: more than {MOST_NODES} values in one file", text.source.name.display());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let value: serde_json::Value = serde_json::from_str(&text.rendered.text).map_err(|error| {
            let rendered = &text.rendered.text;
            let start = match error.line() {
                0 | 1 => 0,
                line => rendered.match_indices('\n').nth(line - 2).map_or(rendered.len(), |(i, _)| i + 1),
            };
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            let place = text.place(start + error.column().saturating_sub(1), 1);
            Error::at(ErrorKind::Syntax, place, format!("this is not JSON: {message}"))
        })?;
        let mut document = Self { text, nodes: Vec::new(), root: 0 };
        document.root = document.add_json(value);
        Ok(document)
    }

    /// (serde_json stops at a depth of 128, so that this recursion is bounded.)
    fn add_json(&mut self, value: serde_json::Value) -> Id {
        let data = match value {
            serde_json::Value::Null => Data::Null,
            serde_json::Value::Bool(value) => Data::Bool(value),
            serde_json::Value::Number(value) => Data::Number(value.to_string()),
            serde_json::Value::String(text) => Data::Text(text),
            serde_json::Value::Array(items) => {
                Data::List(items.into_iter().map(|item| self.add_json(item)).collect())
            }
            serde_json::Value::Object(fields) => {
                let pair = |(key, value)| (self.add(Data::Text(key), NOWHERE, 0), self.add_json(value));
                Data::Map(fields.into_iter().map(pair).collect())
            }
        };
        self.add(data, NOWHERE, 0)
    }

    /// Adds a node.
    pub(crate) fn add(&mut self, data: Data, at: usize, width: usize) -> Id {
        self.nodes.push(Node { data, at, width });
        self.nodes.len() - 1
    }

    /// The place of a node.
    pub(crate) fn place(&self, id: Id) -> Place {
        let node = &self.nodes[id];
        if node.at == NOWHERE {
            return Place::somewhere(&self.text.source.name);
        }
        self.text.place(node.at, node.width)
    }

    /// What an error may call the text of a node: itself, unless a template made it, maybe of a
    /// variable that holds a secret.
    pub(crate) fn called<'v>(&self, id: Id, text: &'v str) -> Option<&'v str> {
        let node = &self.nodes[id];
        let is_written = node.at == NOWHERE || self.text.rendered.is_written(node.at, node.width);
        self.text.source.called(text).filter(|_| is_written)
    }

    /// The entries of a map as Go decodes them: keys in lower case, a later one of the same
    /// name over an earlier one. What is merged (`<<`) counts where it stands, as goccy has it:
    /// over what comes before it, under what comes after. `None` if it is no map.
    pub(crate) fn entries(&self, id: Id) -> Option<Entries<'_>> {
        let mut entries = Entries::new();
        for (key, value) in self.pairs(id)? {
            if let Data::Text(name) = &self.nodes[key].data {
                entries.insert(name.to_ascii_lowercase(), Entry { name, key, value });
            }
        }
        Some(entries)
    }

    /// The pairs of a map in the file's order, with what is merged where it stands; of the same
    /// key, the last one counts. `None` if it is no map.
    pub(crate) fn pairs(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        let Data::Map(own) = &self.nodes[id].data else { return None };
        let mut pairs = Vec::with_capacity(own.len());
        self.expand(&mut pairs, own);
        Some(pairs)
    }

    /// Whether a key merges: a plain `<<` of YAML.
    pub(crate) fn is_merge(&self, key: Id) -> bool {
        let node = &self.nodes[key];
        node.width == 2 && node.data == Data::Text("<<".to_owned())
    }

    /// What the value of `<<` merges: a map, or a list of them.
    pub(crate) fn merged<'d>(&'d self, value: &'d Id) -> &'d [Id] {
        match &self.nodes[*value].data {
            Data::List(items) => items,
            _ => std::slice::from_ref(value),
        }
    }

    /// (The parser bounds how many maps one merges, and so how deep.)
    fn expand(&self, pairs: &mut Vec<(Id, Id)>, own: &[(Id, Id)]) {
        for &(key, value) in own {
            if !self.is_merge(key) {
                pairs.push((key, value));
                continue;
            }
            for map in self.merged(&value) {
                if let Data::Map(merged) = &self.nodes[*map].data {
                    self.expand(pairs, merged);
                }
            }
        }
    }

    /// An error of a node's type.
    pub(crate) fn wrong(&self, id: Id, message: impl Into<String>) -> Error {
        Error::at(ErrorKind::Type, self.place(id), message)
    }

    /// The text of `key`'s value as Go decodes a string: null is empty, nothing else becomes
    /// text.
    pub(crate) fn string(&self, key: &str, id: Id) -> Result<&str, Error> {
        match &self.nodes[id].data {
            Data::Null => Ok(""),
            Data::Text(text) => match self.text.unknowns.within(text) {
                Some(reason) => Err(reason.clone().of(self.text.source)),
                None => Ok(text),
            },
            data => {
                let error = self.wrong(id, format!("{key} must be text, not {}", data.kind()));
                Err(match data {
                    Data::Number(_) | Data::Bool(_) => error.hint("put it in quotes"),
                    _ => error,
                })
            }
        }
    }

    /// A JSON document's node as JSON again.
    pub(crate) fn json_text(&self, id: Id) -> String {
        match &self.nodes[id].data {
            Data::Null => "null".to_owned(),
            Data::Bool(value) => value.to_string(),
            Data::Number(text) => text.clone(),
            Data::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Data::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.json_text(*item)).collect();
                format!("[{}]", items.join(","))
            }
            Data::Map(pairs) => {
                let pair =
                    |(key, value): &(Id, Id)| format!("{}:{}", self.json_text(*key), self.json_text(*value));
                format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// A text that is there and not empty.
    pub(crate) fn optional(&self, entries: &Entries<'_>, key: &str) -> Result<Option<String>, Error> {
        let Some(entry) = entries.get(key) else { return Ok(None) };
        let text = self.string(key, entry.value)?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

/// The entries of a map, by lower-case key.
pub(crate) type Entries<'d> = HashMap<String, Entry<'d>>;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'d> {
    /// The key as written.
    pub(crate) name: &'d str,
    pub(crate) key: Id,
    pub(crate) value: Id,
}

impl Data {
    /// A word for the type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}
