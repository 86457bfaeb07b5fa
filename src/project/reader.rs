//! Reads the files of one project, one after the other, with what they have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::definition::{self, Definition};
use super::document::{Document, Text};
use super::ecspresso::{self, Config, Given};
use super::error::{Error, ErrorKind, Place, Source};
use super::jsonnet::{External, Jsonnet};
use super::lookup::{self, Lookups};
use super::template::{self, Unknowns};
use super::variables::Variables;
use super::{find, presets, yaml};

/// Variables, external variables, and the functions of the plugins met so far.
pub(crate) struct Reader<'e> {
    lookups: Lookups,
    external: External,
    current: &'e Path,
}

fn is_jsonnet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonnet")
}

impl<'e> Reader<'e> {
    pub(crate) fn new(variables: Variables, external: External, current: &'e Path) -> Self {
        Self { lookups: Lookups::new(variables, current), external, current }
    }

    fn jsonnet(&self, folder: &Path) -> Jsonnet {
        Jsonnet {
            external: self.external.clone(),
            lookups: Arc::new(self.lookups.clone()),
            current: self.current.to_path_buf(),
            folder: folder.to_path_buf(),
        }
    }

    /// Reads an ecspresso configuration, and makes the functions of its plugins known.
    pub(crate) fn config(&mut self, path: &Path, given: Given) -> Result<Config, Error> {
        let folder = path.parent().unwrap_or(self.current);
        // A configuration in JSON is jsonnet, too.
        let jsonnet = is_jsonnet(path) || path.extension().is_some_and(|extension| extension == "json");
        // The plugins first: what needs them is unknown as yet, or not even evaluated.
        let source = if jsonnet {
            self.jsonnet(folder).plugins(path)?
        } else {
            Source::read_in(folder, path, self.current)?
        };
        let (text, uses_plugins) = self.rendered(&source)?;
        let document = if jsonnet { Document::json(&text)? } else { yaml::parse(&text)? };
        ecspresso::plugins(&document, folder, self.current, &mut self.lookups)?;
        if !jsonnet && !uses_plugins {
            return ecspresso::decode(&document, folder, given);
        }
        let source = if jsonnet { self.jsonnet(folder).file(path)? } else { source.clone() };
        let (text, _) = self.rendered(&source)?;
        let document = if jsonnet { Document::json(&text)? } else { yaml::parse(&text)? };
        ecspresso::decode(&document, folder, given)
    }

    /// The ecspresso configuration that the `ecsx.yml` at `path` names. It has to be there.
    pub(crate) fn config_of_presets(&self, source: &Source, path: &Path) -> Result<Option<PathBuf>, Error> {
        let text = self.leniently(source)?;
        let document = yaml::parse(&text)?;
        let Some((named, at)) = presets::config(&document)? else { return Ok(None) };
        let config = find::named_config(path.parent().unwrap_or(self.current), Path::new(&named));
        match config {
            Ok(config) if config.is_file() => Ok(Some(config)),
            Ok(_) => {
                let message = "there is no such file for config";
                Err(Error::at(ErrorKind::NotFound, document.place(at), message))
            }
            Err(error) => {
                let message = match document.called(at, &named) {
                    Some(_) => error.to_string(),
                    None => "config must name a .yml, .yaml, .json or .jsonnet file".to_owned(),
                };
                Err(Error::at(error.kind(), document.place(at), message))
            }
        }
    }

    /// Reads an `ecsx.yml`, with the plugins of the configuration and its own. What it cannot
    /// know, a variable among it, is missed only where it is needed.
    pub(crate) fn presets(&mut self, source: &Source, path: &Path) -> Result<presets::File, Error> {
        let folder = path.parent().unwrap_or(self.current);
        self.lookups.defer();
        let text = self.leniently(source)?;
        ecspresso::plugins(&yaml::parse(&text)?, folder, self.current, &mut self.lookups)?;
        presets::decode(&yaml::parse(&self.leniently(source)?)?)
    }

    /// Reads the names of a task definition of the project in `folder`. Where `named` says, the
    /// configuration names it, if an error must not tell that name.
    pub(crate) fn definition(
        &self,
        path: &Path,
        folder: &Path,
        named: Option<Place>,
    ) -> Result<Definition, Error> {
        if let Some(place) = named
            && !path.is_file()
        {
            return Err(Error::at(ErrorKind::NotFound, place, "there is no such file"));
        }
        let jsonnet = is_jsonnet(path);
        let source = if jsonnet {
            self.jsonnet(folder).definition(path)?
        } else {
            Source::read_in(folder, path, self.current)?
        };
        definition::decode(&Document::json(&self.leniently(&source)?)?)
    }

    /// Renders a file of which not everything is needed.
    fn leniently<'s>(&self, source: &'s Source) -> Result<Text<'s>, Error> {
        let tree = self.parsed(source)?;
        let mut unknowns = Unknowns::default();
        let rendered = template::render(source, &tree, &self.lookups, &mut unknowns)?;
        Ok(Text { source, rendered, unknowns })
    }

    /// Renders a configuration, and says whether it calls functions of plugins. Every variable
    /// that it must have has to be there; all that are not are named at once.
    fn rendered<'s>(&self, source: &'s Source) -> Result<(Text<'s>, bool), Error> {
        let tree = self.parsed(source)?;
        let mut unknowns = Unknowns::default();
        let result = template::render(source, &tree, &self.lookups, &mut unknowns);
        let missing = unknowns.reasons().iter().filter(|reason| reason.kind() == ErrorKind::Variable);
        let missing = missing.map(|reason| reason.clone().of(source));
        if let Some(missing) = Error::all(missing) {
            return Err(missing);
        }
        let uses_plugins = tree.functions.iter().any(|function| !Lookups::is_plain(&function.name));
        Ok((Text { source, rendered: result?, unknowns }, uses_plugins))
    }

    /// Parses a template. Go knows its functions when it parses: one that does not exist is an
    /// error even where it is not called.
    fn parsed(&self, source: &Source) -> Result<template::Tree, Error> {
        let tree = template::parse(&source.text).map_err(|fault| fault.of(source))?;
        let unknown = tree.functions.iter().filter(|function| !self.lookups.knows(&function.name));
        let errors = unknown.map(|function| {
            let place = source.place(function.at, function.name.len());
            match source.may_quote(&function.name) {
                true => lookup::not_defined(&self.lookups, &function.name, place),
                false => Error::at(ErrorKind::Template, place, "this function is not defined"),
            }
        });
        Error::all(errors).map_or(Ok(tree), Err)
    }
}
