//! YAML as ecspresso reads it (goccy/go-yaml): the first document, YAML 1.2 types, duplicate
//! keys refused.
//!
//! Parsed by granit-parser rather than through serde: what a project means depends on whether
//! a scalar was quoted and where it stands, and serde tells neither.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind as Scan, Event, Parser, ScalarStyle, ScanError, Tag};

use super::document::{Data, Document, Id, MOST_NODES, Text};
use super::error::{Error, ErrorKind, MADE};

/// The deepest nesting that is taken (Go's own limit for JSON).
const DEEPEST: usize = 10_000;
/// The most values with every alias written out, where so many bytes of text are one more.
const MOST_EXPANDED: usize = 1_000_000;
const TEXT: usize = 64;
/// The most maps that are merged into one, those merged into them included.
const MOST_MERGES: usize = 500;
/// The most pairs that are merged in one file, counted wherever they are merged.
const MOST_MERGED: usize = 100_000;
/// The most text that is parsed in vain for its margins, in bytes: the whole file, each time.
const MOST_PARSED: usize = 4 << 20;
/// The longest key, in characters. YAML's own limit is 1024; goccy has none.
const LONGEST_KEY: usize = 100_000;

/// Parses the first document of `text`. An empty one is null.
pub(crate) fn parse<'t>(text: &'t Text<'t>) -> Result<Document<'t>, Error> {
    let rendered = text.rendered.text.as_str();
    if let Some(at) = rendered.find('\0') {
        let error = Error::at(ErrorKind::Syntax, text.place(at, 1), "a NUL byte has no place in YAML");
        return Err(error.hint("save the file as UTF-8"));
    }
    // goccy takes text in quotes that goes on at the margin, which YAML does not: the value of
    // a variable may well have several lines. Blanks there are no part of the text, so that
    // adding them changes nothing.
    let mut padded = Padded { text: Cow::Borrowed(rendered), pads: Vec::new() };
    let mut parsed = 0;
    loop {
        match compose(text, &padded) {
            Ok(document) => return Ok(document),
            Err(Wrong::Project(error)) => return Err(error),
            Err(Wrong::Yaml(error)) => {
                let margin = matches!(error.kind(), Scan::InvalidQuotedScalarIndent);
                parsed += padded.text.len();
                if !(margin && parsed <= MOST_PARSED && padded.pad(error.marker().byte_offset())) {
                    return Err(not_yaml(text, &padded, &error));
                }
            }
        }
    }
}

fn not_yaml(text: &Text<'_>, padded: &Padded<'_>, error: &ScanError) -> Error {
    let at = padded.original(error.marker().byte_offset().unwrap_or(0));
    let rendered = &text.rendered.text;
    let start = rendered[..at].rfind(['\n', '\r']).map_or(0, |i| i + 1);
    let tab = rendered[start..].trim_start_matches(' ').starts_with('\t');
    let message = if tab { "a tab cannot indent YAML".to_owned() } else { error.info() };
    let error = Error::at(ErrorKind::Syntax, text.place(at, 1), format!("this is not YAML: {message}"));
    match text.rendered.origin(at) {
        (_, Some(_)) => error.hint("what this action gives does not fit here; put it in quotes"),
        _ => error,
    }
}

/// A text with blanks added at some of its line starts.
struct Padded<'t> {
    text: Cow<'t, str>,
    /// Where in `text`, in growing order.
    pads: Vec<usize>,
}

const PAD: usize = 40;

impl Padded<'_> {
    /// Adds blanks at the start of the line of `at`; false if that would be no use.
    fn pad(&mut self, at: Option<usize>) -> bool {
        let Some(at) = at.filter(|at| self.text.is_char_boundary(*at)) else { return false };
        let start = self.text[..at].rfind(['\n', '\r']).map_or(0, |i| i + 1);
        let grows = self.pads.last().is_none_or(|last| *last < start);
        if !grows {
            return false;
        }
        self.text.to_mut().insert_str(start, &" ".repeat(PAD));
        self.pads.push(start);
        true
    }

    /// The offset in the text without the blanks.
    fn original(&self, at: usize) -> usize {
        // Each was put into a text that had those before it.
        match self.pads.partition_point(|pad| *pad < at) {
            0 => at,
            count => at.saturating_sub(PAD).max(self.pads[count - 1]) - (count - 1) * PAD,
        }
    }
}

enum Wrong {
    Yaml(ScanError),
    Project(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Project(error)
    }
}

fn compose<'t>(text: &'t Text<'t>, padded: &Padded<'_>) -> Result<Document<'t>, Wrong> {
    let mut composer = Composer {
        document: Document { text, nodes: Vec::new(), root: 0 },
        open: Vec::new(),
        anchors: HashMap::new(),
        aliases: 0,
        sizes: Vec::new(),
        expanded: 0,
        merges: HashMap::new(),
        merged: 0,
    };
    let options = granit_parser::options! {
        simple_key_max_lookahead: LONGEST_KEY,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut parser = Parser::new_from_str_with_options(&padded.text, options);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(Wrong::Yaml)?;
        let at = padded.original(span.start.byte_offset().unwrap_or(0));
        let end = padded.original(span.end.byte_offset().unwrap_or(0));
        let width = end.saturating_sub(at).max(1);
        match event {
            Event::DocumentEnd => break,
            Event::Scalar(value, style, anchor, tag) => {
                let data = scalar(&value, style, tag.as_deref());
                let id = composer.add(data, at, width)?;
                composer.place_node(id, anchor)?;
            }
            Event::Alias(anchor) => {
                // Who is not known yet refers to itself: nothing, as goccy has it.
                let id = match composer.anchors.get(&anchor) {
                    Some(&id) => composer.again(id, at)?,
                    None => composer.add(Data::Null, at, width)?,
                };
                composer.place_node(id, 0)?;
            }
            Event::SequenceStart(_, anchor, _) => composer.begin(Data::List(Vec::new()), at, anchor)?,
            Event::MappingStart(_, anchor, _) => composer.begin(Data::Map(Vec::new()), at, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => composer.end()?,
            _ => {}
        }
    }
    if composer.document.nodes.is_empty() {
        composer.add(Data::Null, 0, 0)?;
    }
    Ok(composer.document)
}

/// A collection that is not complete.
struct Open {
    id: Id,
    anchor: usize,
    /// What was expanded before it.
    before: usize,
    key: Option<Id>,
    seen: HashMap<String, Id>,
}

struct Composer<'t> {
    document: Document<'t>,
    open: Vec<Open>,
    /// The nodes that aliases may mean: complete ones.
    anchors: HashMap<usize, Id>,
    aliases: usize,
    /// Of each node: how many values it would be without aliases.
    sizes: Vec<usize>,
    /// The same of all so far.
    expanded: usize,
    /// Of each map that merges others: how many, and how many pairs.
    merges: HashMap<Id, (usize, usize)>,
    /// How many pairs were merged so far, wherever.
    merged: usize,
}

impl Composer<'_> {
    fn add(&mut self, data: Data, at: usize, width: usize) -> Result<Id, Error> {
        self.check_count(at)?;
        let size = match &data {
            Data::Text(text) | Data::Number(text) => 1 + text.len() / TEXT,
            _ => 1,
        };
        self.sizes.push(size);
        self.expanded += size;
        Ok(self.document.add(data, at, width))
    }

    /// A node once more, by an alias: no new one, but as much work to look at.
    fn again(&mut self, id: Id, at: usize) -> Result<Id, Error> {
        self.check_count(at)?;
        self.aliases += 1;
        self.expanded += self.sizes[id];
        if self.expanded > MOST_EXPANDED {
            let text = MOST_EXPANDED * TEXT / 1_000_000;
            let message = format!("aliases stand for more than {MOST_EXPANDED} values or {text} MB of text");
            return Err(Error::at(ErrorKind::TooLarge, self.document.text.place(at, 1), message));
        }
        Ok(id)
    }

    fn check_count(&self, at: usize) -> Result<(), Error> {
        if self.document.nodes.len() + self.aliases < MOST_NODES {
            return Ok(());
        }
        let message = format!("more than {MOST_NODES} values in one file");
        Err(Error::at(ErrorKind::TooLarge, self.document.text.place(at, 1), message))
    }

    fn begin(&mut self, data: Data, at: usize, anchor: usize) -> Result<(), Error> {
        let before = self.expanded;
        let id = self.add(data, at, 1)?;
        if self.open.len() >= DEEPEST {
            let message = format!("nested deeper than {DEEPEST} levels");
            return Err(Error::at(ErrorKind::TooLarge, self.document.place(id), message));
        }
        self.open.push(Open { id, anchor, before, key: None, seen: HashMap::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(Open { id, anchor, before, .. }) = self.open.pop() else { return Ok(()) };
        self.sizes[id] = self.expanded - before;
        self.place_node(id, anchor)
    }

    /// Puts a complete node where it belongs.
    fn place_node(&mut self, id: Id, anchor: usize) -> Result<(), Error> {
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(open) = self.open.last_mut() else {
            self.document.root = id;
            return Ok(());
        };
        let in_map = matches!(self.document.nodes[open.id].data, Data::Map(_));
        if in_map && open.key.is_none() {
            open.key = Some(id);
            if let Data::Text(name) = &self.document.nodes[id].data
                && let Some(first) = open.seen.insert(name.clone(), id)
            {
                let name = self.document.called(id, name).unwrap_or(MADE);
                let again = format!("key {name} is here a second time");
                let first = Error::at(ErrorKind::Type, self.document.place(first), "the first one is here");
                let error = Error::at(ErrorKind::Type, self.document.place(id), again);
                return Err(Error::all([error, first])
                    .unwrap_or_else(|| Error::new(ErrorKind::Type, "duplicate key")));
            }
            return Ok(());
        }
        let (key, map) = (open.key.take(), open.id);
        if let Some(key) = key.filter(|key| self.document.is_merge(*key)) {
            self.merge(map, key, id)?;
        }
        let Some(open) = self.open.last() else { return Ok(()) };
        match (&mut self.document.nodes[open.id].data, key) {
            (Data::List(items), _) => items.push(id),
            (Data::Map(pairs), Some(key)) => pairs.push((key, id)),
            _ => {}
        }
        Ok(())
    }
}

impl Composer<'_> {
    /// Checks what `<<` merges into `map`.
    fn merge(&mut self, map: Id, key: Id, value: Id) -> Result<(), Error> {
        let merged = self.document.merged(&value);
        let no_map = merged.iter().find(|id| !matches!(self.document.nodes[**id].data, Data::Map(_)));
        if let Some(no_map) = no_map {
            let kind = self.document.nodes[*no_map].data.kind();
            return Err(self
                .document
                .wrong(*no_map, format!("<< merges a map or a list of maps, not {kind}")));
        }
        let (mut maps, mut pairs) = (merged.len(), 0);
        for id in merged {
            let (more_maps, more_pairs) = self.merges.get(id).copied().unwrap_or_default();
            let Data::Map(own) = &self.document.nodes[*id].data else { continue };
            (maps, pairs) = (maps + more_maps, pairs + 1 + own.len() + more_pairs);
        }
        self.merges.insert(map, (maps, pairs));
        self.merged += pairs;
        let message = match (maps > MOST_MERGES, self.merged > MOST_MERGED) {
            (false, false) => return Ok(()),
            (true, _) => format!("more than {MOST_MERGES} maps merged into one"),
            (false, true) => format!("more than {MOST_MERGED} keys merged in one file"),
        };
        Err(Error::at(ErrorKind::TooLarge, self.document.place(key), message))
    }
}

/// What a scalar is: by its tag, else text if it was quoted, else by how it looks.
fn scalar(value: &str, style: ScalarStyle, tag: Option<&Tag>) -> Data {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
    let is_tagged = tag.is_some_and(Tag::is_yaml_core_schema);
    if is_text || (style != ScalarStyle::Plain && !is_tagged) {
        return Data::Text(value.to_owned());
    }
    match value {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        ".inf" | ".Inf" | ".INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN" | ".NAN" => {
            Data::Number(value.to_owned())
        }
        value if is_number(value) => Data::Number(value.to_owned()),
        value => Data::Text(value.to_owned()),
    }
}

/// Whether goccy/go-yaml takes a plain scalar as a number: also `010`, `0x1f`, `1_000`. One with
/// an exponent needs a dot, and one that is too large is text.
fn is_number(value: &str) -> bool {
    let plain = value.replace('_', "");
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let first = |c: char| c.is_ascii_digit() || c == '.';
    if value.starts_with('_') || !digits.starts_with(first) {
        return false;
    }
    let is_whole = |digits: &str, radix| match u64::from_str_radix(digits, radix) {
        // A signed one is read as Go's int64.
        Ok(number) => !digits.starts_with('+') && (!plain.starts_with('-') || number <= 1 << 63),
        Err(_) => false,
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = digits.strip_prefix(prefix) {
            return is_whole(rest, radix);
        }
    }
    match digits.matches('.').count() {
        0 if digits.starts_with('0') && digits.len() > 1 => is_whole(digits, 8),
        0 => is_whole(digits, 10),
        1 => digits.parse::<f64>().is_ok_and(f64::is_finite),
        _ => false,
    }
}
