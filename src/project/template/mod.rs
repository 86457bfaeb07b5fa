//! Go's text/template, as far as configuration files use it, which is nearly all of it: there
//! is no data (dot is nil), and the functions give text.
//!
//! Why not a crate: gtmpl-ng, the best kept, unescapes raw strings, takes no closures as
//! functions and gives no positions. What is ours here knows the line and column of every
//! failure, goes on after a function that could not be answered (see [`Unknowns`]), and is
//! bounded in steps, depth and size.

mod eval;
mod format;
mod funcs;
mod lex;
mod parse;
mod rendered;

use super::error::{Error, ErrorKind, Source};

pub(crate) use eval::render;
pub(crate) use format::sprintf;
pub(crate) use funcs::{BUILTINS, json_escape, kind};
pub(crate) use parse::{Tree, parse};
pub(crate) use rendered::{Rendered, Unknowns};

/// A value in a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// No value.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// The answer of a function that could not be had; see [`Unknowns`].
    Unknown(usize),
}

/// The functions that a template may call besides Go's own.
pub(crate) trait Functions {
    /// Calls `name`. Unless the arguments are `tellable`, no message may hold what they are, nor
    /// anything made of it: they may be secrets. (To ask for it may take a look at a whole file.)
    fn call(&self, name: &str, arguments: &[Value], tellable: &dyn Fn() -> bool) -> Result<Value, Failed>;
}

/// Why a function gave no value.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There is no such function.
    NoSuchFunction,
    /// It was called wrongly, or what it was asked for is wrong: rendering ends.
    Wrong(String),
    /// The answer cannot be had. Rendering goes on; who needs what came of it fails.
    Unavailable { kind: ErrorKind, message: String, hints: Vec<String> },
}

/// What is wrong with a template, and where in its source, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    at: usize,
    width: usize,
    message: String,
    /// A word of the template that the message, or a hint, holds.
    quoted: Option<String>,
    hints: Vec<String>,
    kind: ErrorKind,
}

impl Fault {
    fn new(at: usize, width: usize, message: impl Into<String>) -> Self {
        let (quoted, hints, kind) = (None, Vec::new(), ErrorKind::Template);
        Self { at, width, message: message.into(), quoted, hints, kind }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says which word of the template the message holds.
    fn quoting(mut self, word: &str) -> Self {
        self.quoted = Some(word.to_owned());
        self
    }

    fn too_large(mut self) -> Self {
        self.kind = ErrorKind::TooLarge;
        self
    }

    /// What kind of error it is.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// As the error of a file.
    pub(crate) fn of(self, source: &Source) -> Error {
        let place = source.place(self.at, self.width);
        let is_told = match &self.quoted {
            Some(word) => source.may_quote(word),
            // What is said of a template is said in its own words.
            None => source.shown || self.kind != ErrorKind::Template,
        };
        if !is_told {
            return Error::at(self.kind, place, "this template is malformed");
        }
        let error = Error::at(self.kind, place, self.message);
        self.hints.into_iter().fold(error, Error::hint)
    }
}
