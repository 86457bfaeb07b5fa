//! Running a parsed template.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::error::{Error, Source};
use super::funcs::{self, Outcome};
use super::parse::{Branch, Node, Operand, Pipe, Term, Tree};
use super::{Failed, Fault, Functions, Value};

/// The most nodes and iterations one rendering may take.
const STEPS: usize = 200_000;
/// The longest text a rendering may make, in bytes: larger than the largest file.
const LONGEST: usize = 48 << 20;
/// The most text that all steps together may handle, in bytes.
const MOST_TEXT: usize = 256 << 20;
/// The deepest `template` may call itself.
const DEEPEST: usize = 50;

/// What a template became.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    /// Which bytes of the source made which bytes of the text, in order of the text.
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    out: usize,
    at: usize,
    end: usize,
    literal: bool,
}

impl Rendered {
    /// Where in the source the byte at `offset` of the text comes from, and how wide that is
    /// if an action made it.
    pub(crate) fn origin(&self, offset: usize) -> (usize, Option<usize>) {
        let index = self.spans.partition_point(|span| span.out <= offset);
        match index.checked_sub(1).map(|index| &self.spans[index]) {
            None => (0, None),
            Some(span) if span.literal => ((span.at + offset - span.out).min(span.end), None),
            Some(span) => (span.at, Some(span.end - span.at)),
        }
    }
}

/// Answers that could not be had while rendering.
///
/// In their place the text holds a long number: it may stand inside a string as well as
/// outside one. Only who needs a value that holds it fails, with the reason kept here.
#[derive(Debug, Default)]
pub(crate) struct Unknowns {
    reasons: Vec<Fault>,
    /// The last reason of each call, by where it stands.
    calls: HashMap<usize, usize>,
}

/// 17 digits that nobody writes, before the 8 of the index.
const MARK: &str = "70414159265358979";

impl Unknowns {
    /// Keeps a reason; once, however often a loop calls.
    fn push(&mut self, reason: Fault) -> usize {
        if let Some(&last) = self.calls.get(&reason.at).filter(|last| self.reasons[**last] == reason) {
            return last;
        }
        self.calls.insert(reason.at, self.reasons.len());
        self.reasons.push(reason);
        self.reasons.len() - 1
    }

    /// Every reason, in order.
    pub(crate) fn reasons(&self) -> &[Fault] {
        &self.reasons
    }

    /// Why `text` is not what it should be, if an unknown answer is in it.
    pub(crate) fn within(&self, text: &str) -> Option<&Fault> {
        let digits = text.split(MARK).nth(1)?.get(..8)?;
        self.reasons.get(digits.parse::<usize>().ok()?)
    }
}

fn mark(index: usize) -> String {
    format!("{MARK}{index:08}")
}

/// Renders a parsed `source`. What functions cannot answer is kept in `unknowns`.
pub(crate) fn render(
    source: &Source,
    tree: &Tree,
    functions: &dyn Functions,
    unknowns: &mut Unknowns,
) -> Result<Rendered, Error> {
    let mut run = Run {
        source,
        tree,
        functions,
        unknowns,
        rendered: Rendered::default(),
        variables: vec![("$".to_owned(), Value::Nil)],
        steps: 0,
        handled: 0,
        depth: 0,
    };
    match run.nodes(&tree.body, &Value::Nil) {
        Ok(_) => Ok(run.rendered),
        Err(stop) => Err(*stop),
    }
}

/// Where control goes after a node.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Stop<T> = Result<T, Box<Error>>;

struct Run<'r> {
    source: &'r Source,
    tree: &'r Tree,
    functions: &'r dyn Functions,
    unknowns: &'r mut Unknowns,
    rendered: Rendered,
    variables: Vec<(String, Value)>,
    steps: usize,
    /// Bytes of text in all values so far.
    handled: usize,
    depth: usize,
}

impl Run<'_> {
    fn fail<T>(&self, fault: Fault) -> Stop<T> {
        Err(Box::new(fault.of(self.source)))
    }

    fn step(&mut self, at: usize) -> Stop<()> {
        self.steps += 1;
        if self.steps > STEPS {
            return self.fail(
                Fault::new(at, 2, format!("the template runs for more than {STEPS} steps")).too_large(),
            );
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Stop<Flow> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Stop<Flow> {
        match node {
            Node::Text(start, end) => {
                self.step(*start)?;
                let source = self.source;
                self.write(&source.text[*start..*end], *start, *end, true)?;
            }
            Node::Print(pipe) => {
                self.step(pipe.at)?;
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    let text = shown(&value);
                    self.write(&text, pipe.at, pipe.end, false)?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template { name, at, end, argument } => {
                self.step(*at)?;
                let Some(body) = self.tree.defined.get(name) else {
                    return self.fail(Fault::new(*at, end - at, format!("template {name:?} is not defined")));
                };
                let dot = match argument {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Nil,
                };
                self.depth += 1;
                if self.depth > DEEPEST {
                    return self
                        .fail(Fault::new(*at, end - at, "templates call each other too deep").too_large());
                }
                let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
                self.nodes(body, &dot)?;
                self.variables = outer;
                self.depth -= 1;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, branch: &Branch, dot: &Value, with: bool) -> Stop<Flow> {
        self.step(branch.pipe.at)?;
        let scope = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if self.truth(&value)? {
            self.nodes(&branch.then, if with { &value } else { dot })?
        } else {
            self.nodes(&branch.otherwise, dot)?
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    /// There are no lists here, but Go ranges over integers too.
    fn range(&mut self, branch: &Branch, dot: &Value) -> Stop<Flow> {
        self.step(branch.pipe.at)?;
        let scope = self.variables.len();
        let pipe = &branch.pipe;
        let count = match self.pipe(pipe, dot)? {
            Value::Int(count) => count.max(0),
            Value::Nil => 0,
            Value::Unknown(index) => return self.fail(self.unknowns.reasons[index].clone()),
            other => {
                let message = format!("range cannot go over {}", funcs::kind(&other));
                return self.fail(Fault::new(pipe.at, pipe.end - pipe.at, message));
            }
        };
        for index in 0..count {
            self.step(pipe.at)?;
            let item = Value::Int(index);
            let inner = self.variables.len();
            // The pipeline has declared them; index and item are the same for an integer.
            for name in &pipe.variables {
                self.set(name, item.clone());
            }
            let flow = self.nodes(&branch.then, &item)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        if count == 0 {
            self.nodes(&branch.otherwise, dot)?;
        }
        self.variables.truncate(scope);
        Ok(Flow::On)
    }

    fn set(&mut self, name: &str, value: Value) {
        if let Some(variable) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            variable.1 = value;
        }
    }

    fn truth(&self, value: &Value) -> Stop<bool> {
        match value {
            Value::Unknown(index) => self.fail(self.unknowns.reasons[*index].clone()),
            value => Ok(funcs::truth(value)),
        }
    }

    fn write(&mut self, text: &str, at: usize, end: usize, literal: bool) -> Stop<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.rendered.text.len() + text.len() > LONGEST {
            return self.fail(Fault::new(at, 2, "the template makes too much text").too_large());
        }
        self.rendered.spans.push(Span { out: self.rendered.text.len(), at, end, literal });
        self.rendered.text.push_str(text);
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Stop<Value> {
        let mut value: Option<Value> = None;
        for command in &pipe.commands {
            let made = self.command(command, value, dot)?;
            if let Value::Text(text) = &made {
                self.handled += text.len();
            }
            if self.handled > MOST_TEXT {
                let width = pipe.end - pipe.at;
                return self.fail(Fault::new(pipe.at, width, "this makes too much text").too_large());
            }
            value = Some(made);
        }
        let value = value.unwrap_or(Value::Nil);
        for name in &pipe.variables {
            if pipe.assigns {
                self.set(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    /// One command; `last` is what came through the pipe.
    fn command(&mut self, command: &[Operand], last: Option<Value>, dot: &Value) -> Stop<Value> {
        let (first, rest) = (&command[0], &command[1..]);
        let Term::Function(name) = &first.term else {
            if let Some(extra) = rest.first() {
                let message = "a value takes no arguments";
                return self.fail(Fault::new(extra.at, extra.end - extra.at, message));
            }
            if last.is_some() {
                return self.fail(Fault::new(
                    first.at,
                    first.end - first.at,
                    "only a function can follow `|`",
                ));
            }
            return self.operand(first, dot);
        };
        let whole = rest.last().map_or(first.end, |operand| operand.end) - first.at;
        // `and` and `or` stop at the first answer; what comes after is not even evaluated.
        if let "and" | "or" = name.as_str() {
            let mut answer: Option<Value> = None;
            for operand in rest {
                let value = self.operand(operand, dot)?;
                // Whether to go on is unknown, and so is the answer.
                if matches!(value, Value::Unknown(_)) {
                    return Ok(value);
                }
                let stop = self.truth(&value)? == (name == "or");
                answer = Some(value);
                if stop {
                    return Ok(answer.unwrap_or(Value::Nil));
                }
            }
            return match last.or(answer) {
                Some(value) => Ok(value),
                None => self.fail(Fault::new(first.at, whole, format!("{name} needs a value"))),
            };
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        self.call(name, &arguments, first.at, whole)
    }

    fn call(&mut self, name: &str, arguments: &[Value], at: usize, width: usize) -> Stop<Value> {
        // What is made of an unknown is unknown.
        if let Some(unknown) = arguments.iter().find(|value| matches!(value, Value::Unknown(_))) {
            return Ok(unknown.clone());
        }
        match funcs::call(name, arguments) {
            Outcome::Value(value) => Ok(value),
            Outcome::Wrong(message) => self.fail(Fault::new(at, width, message)),
            Outcome::NotBuiltin => match self.functions.call(name, arguments) {
                Ok(value) => Ok(value),
                Err(Failed::Wrong(message)) => {
                    let message = self.source.without_made(message, texts(arguments));
                    self.fail(Fault::new(at, width, message))
                }
                Err(Failed::NoSuchFunction) => self.fail(funcs::not_defined(name, at)),
                Err(Failed::Unavailable { kind, message, hints }) => {
                    let message = self.source.without_made(message, texts(arguments));
                    let reason = Fault { at, width, message, hints, kind };
                    Ok(Value::Unknown(self.unknowns.push(reason)))
                }
            },
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Stop<Value> {
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map_or(Value::Nil, |(_, value)| value.clone())
            }
            Term::Function(name) => self.call(name, &[], operand.at, operand.end - operand.at)?,
            Term::Text(text) => Value::Text(text.clone()),
            Term::Int(value) => Value::Int(*value),
            Term::Float(value) => Value::Float(*value),
            Term::Bool(value) => Value::Bool(*value),
            Term::Nil => Value::Nil,
            Term::Pipe(pipe) => self.pipe(pipe, dot)?,
        };
        if let Value::Text(text) = &value {
            self.handled += text.len();
            let width = operand.end - operand.at;
            if text.len() > LONGEST || self.handled > MOST_TEXT {
                return self.fail(Fault::new(operand.at, width, "this makes too much text").too_large());
            }
        }
        match (operand.fields.first(), &value) {
            // A field of nothing is nothing; Go prints it as <no value>.
            (None, _) | (Some(_), Value::Nil | Value::Unknown(_)) => Ok(value),
            (Some(field), value) => {
                let message = format!("{} has no field {field}", funcs::kind(value));
                self.fail(Fault::new(operand.at, operand.end - operand.at, message))
            }
        }
    }
}

fn texts(values: &[Value]) -> impl Iterator<Item = Cow<'_, str>> {
    values.iter().filter(|value| matches!(value, Value::Text(_))).map(shown)
}

/// A value as an action prints it.
fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Unknown(index) => Cow::Owned(mark(*index)),
        value => Cow::Owned(super::format::plain(value)),
    }
}
