//! What a failure tells the person at the keyboard.

use std::error::Error;

/// An error that knows what to do about it. `Display` says what failed, on what and why, in
/// lower case and without a full stop; it may hold several lines (a source snippet).
pub trait Explain: Error {
    /// Next things to try, each a line.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// The exit code of a program that ends with this error (`plugin::exit`).
    fn exit_code(&self) -> u8 {
        1
    }
}

/// What a program's `run` returns: any [`Explain`] through `?`, or words of its own. (No
/// `Error` itself, so that it can be made from every one.)
#[derive(Debug)]
pub struct Failure {
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    exit_code: u8,
}

/// Words, and perhaps what brought it about.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Message {
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure in these words, exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        let error = Box::new(Message { text: message.into(), source: None });
        Self { error, hints: Vec::new(), exit_code: 1 }
    }

    /// A failure in these words that `cause` brought about, exit code 1.
    pub fn because(message: impl Into<String>, cause: impl Error + Send + Sync + 'static) -> Self {
        let error = Box::new(Message { text: message.into(), source: Some(Box::new(cause)) });
        Self { error, hints: Vec::new(), exit_code: 1 }
    }

    /// One more thing to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Another exit code.
    pub fn code(mut self, code: u8) -> Self {
        self.exit_code = code;
        self
    }

    /// The exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// What failed, with its causes behind it.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// Next things to try.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl<E: Explain + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let (hints, exit_code) = (error.hints(), error.exit_code());
        Self { error: Box::new(error), hints, exit_code }
    }
}
