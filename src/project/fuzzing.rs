//! What the fuzz targets call: the parsers of files that other people write, on text alone.

use std::path::{Path, PathBuf};

use super::document::{Document, Text};
use super::ecspresso::{self, Given};
use super::error::{Error, Source};
use super::lookup::Lookups;
use super::template::{self, Unknowns};
use super::{definition, envfile, presets, yaml};

fn source(text: &str) -> Source {
    Source { name: PathBuf::from("fuzzed"), text: text.to_owned(), shown: true, ..Source::default() }
}

fn lookups() -> Lookups {
    let variables = [("SET".to_owned(), "value\nof: two lines".to_owned())];
    Lookups::new(variables.into_iter().collect(), Path::new("/nowhere"))
}

fn rendered(source: &Source) -> Result<Text<'_>, Error> {
    let tree = template::parse(&source.text).map_err(|fault| fault.of(source))?;
    let mut unknowns = Unknowns::default();
    let rendered = template::render(source, &tree, &lookups(), &mut unknowns)?;
    Ok(Text { source, rendered, unknowns })
}

/// Renders a template. Every byte it makes comes from somewhere in it, and every error can be
/// shown.
pub fn template(text: &str) {
    let source = source(text);
    match rendered(&source) {
        Err(error) => drop(error.to_string()),
        Ok(text) => {
            let made = text.rendered.text.len();
            for offset in [0, made / 2, made] {
                let (at, _) = text.rendered.origin(offset);
                assert!(at <= source.text.len(), "byte {offset} comes from beyond the template");
            }
        }
    }
}

/// Reads a configuration: template, YAML, decoding; and the same text as a task definition.
pub fn config(text: &str) {
    let source = source(text);
    let folder = Path::new("/nowhere");
    let read = |text: &Text<'_>| {
        let document = yaml::parse(text)?;
        ecspresso::plugins(&document, folder, folder, &mut lookups())?;
        ecspresso::decode(&document, folder, Given::default())
    };
    if let Err(error) = rendered(&source).and_then(|text| read(&text)) {
        drop(error.to_string());
    }
    let forwards = rendered(&source).and_then(|text| presets::decode(&yaml::parse(&text)?).map(drop));
    if let Err(error) = forwards {
        drop(error.to_string());
    }
    let decoded = rendered(&source).and_then(|text| definition::decode(&Document::json(&text)?));
    if let Err(error) = decoded {
        drop(error.to_string());
    }
}

/// Reads an envfile. No error shows a value: no line of the file is in it.
pub fn envfile(text: &str) {
    if let Err(error) = envfile::parse(&source(text)) {
        let shown = error.to_string();
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
}
