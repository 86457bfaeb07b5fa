//! Running a parsed template.

use std::borrow::Cow;

use super::super::error::{Error, Source};
use super::funcs::{self, Outcome};
use super::parse::{Arm, Branch, DOLLAR, Node, Operand, Pipe, Term, Tree, Variable};
use super::rendered::{Rendered, Unknowns, mark};
use super::{Failed, Fault, Functions, Value};

/// The most nodes, iterations, commands and operands one rendering may take.
const STEPS: usize = 200_000;
/// The longest text a rendering may make, in bytes: larger than the largest file.
const LONGEST: usize = 48 << 20;
/// The most text that all steps together may handle, in bytes.
const MOST_TEXT: usize = 64 << 20;
/// How much text could be made while a float is written with as many digits as can be asked for.
const FLOAT: usize = 16 << 10;
/// The deepest that blocks, parentheses and templates may stand in each other, each of which is
/// a call on the stack here: what parses, and as much again in templates that it calls.
const DEEPEST: usize = 128;
/// Of how many answers that could not be had is told what was asked for, where a look at the
/// whole file has to say whether that may be told.
const MOST_TOLD: usize = 100;
/// The most arguments that such a look is for.
const MOST_LOOKED_FOR: usize = 10;

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
        variables: vec![(DOLLAR, Value::Nil)],
        steps: 0,
        handled: 0,
        depth: 0,
    };
    match run.nodes(&tree.body, &Value::Nil, 0) {
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
    variables: Vec<(Variable, Value)>,
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

    /// Accounts for text that is worked with, `length` bytes of it.
    fn handle(&mut self, length: usize, at: usize, end: usize) -> Stop<()> {
        self.handled = self.handled.saturating_add(length);
        if self.handled > MOST_TEXT {
            return self.fail(Fault::new(at, end - at, "this makes too much text").too_large());
        }
        Ok(())
    }

    /// One level further down; whoever calls it comes up again, unless the rendering ends.
    fn enter(&mut self, at: usize) -> Stop<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let message = "blocks, parentheses or templates stand too deep in each other";
            return self.fail(Fault::new(at, 2, message).too_large());
        }
        Ok(())
    }

    /// The nodes of a block, or of a template, that is at `at`.
    fn nodes(&mut self, nodes: &[Node], dot: &Value, at: usize) -> Stop<Flow> {
        self.enter(at)?;
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
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
                self.handle(name.len(), *at, *end)?;
                let Some(body) = self.tree.defined.get(name) else {
                    return self.fail(
                        Fault::new(*at, end - at, format!("template {name:?} is not defined")).quoting(name),
                    );
                };
                let dot = match argument {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Nil,
                };
                let outer = std::mem::replace(&mut self.variables, vec![(DOLLAR, dot.clone())]);
                self.nodes(body, &dot, *at)?;
                self.variables = outer;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, branch: &Branch, dot: &Value, with: bool) -> Stop<Flow> {
        let scope = self.variables.len();
        let mut flow = None;
        for Arm { pipe, then } in &branch.arms {
            self.step(pipe.at)?;
            let value = self.pipe(pipe, dot)?;
            if self.truth(&value)? {
                flow = Some(self.nodes(then, if with { &value } else { dot }, pipe.at)?);
                break;
            }
        }
        let flow = match flow {
            Some(flow) => flow,
            None => self.nodes(&branch.otherwise, dot, branch.arms[0].pipe.at)?,
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    /// There are no lists here, but Go ranges over integers too.
    fn range(&mut self, branch: &Branch, dot: &Value) -> Stop<Flow> {
        let Arm { pipe, then } = &branch.arms[0];
        self.step(pipe.at)?;
        let scope = self.variables.len();
        let count = match self.pipe(pipe, dot)? {
            Value::Int(count) => count.max(0),
            Value::Nil => 0,
            Value::Unknown(index) => return self.fail(self.unknowns.reason(index)),
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
            for variable in &pipe.variables {
                self.set(*variable, item.clone());
            }
            let flow = self.nodes(then, &item, pipe.at)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        if count == 0 {
            self.nodes(&branch.otherwise, dot, pipe.at)?;
        }
        self.variables.truncate(scope);
        Ok(Flow::On)
    }

    fn set(&mut self, variable: Variable, value: Value) {
        if let Some(found) = self.variables.iter_mut().rev().find(|(known, _)| *known == variable) {
            found.1 = value;
        }
    }

    fn truth(&self, value: &Value) -> Stop<bool> {
        match value {
            Value::Unknown(index) => self.fail(self.unknowns.reason(*index)),
            value => Ok(funcs::truth(value)),
        }
    }

    fn write(&mut self, text: &str, at: usize, end: usize, literal: bool) -> Stop<()> {
        if self.rendered.text.len() + text.len() > LONGEST {
            return self.fail(Fault::new(at, 2, "the template makes too much text").too_large());
        }
        self.rendered.push(text, at, end, literal);
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Stop<Value> {
        self.enter(pipe.at)?;
        let mut last: Option<Piped> = None;
        for command in &pipe.commands {
            let value = self.command(command, last, dot)?;
            if let Value::Text(text) = &value {
                self.handle(text.len(), pipe.at, pipe.end)?;
            }
            last = Some(Piped { value, written: matches!(command.as_slice(), [only] if is_literal(only)) });
        }
        self.depth -= 1;
        let value = last.map_or(Value::Nil, |last| last.value);
        for variable in &pipe.variables {
            if pipe.assigns {
                self.set(*variable, value.clone());
            } else {
                self.variables.push((*variable, value.clone()));
            }
        }
        Ok(value)
    }

    /// One command; `last` is what came through the pipe.
    fn command(&mut self, command: &[Operand], last: Option<Piped>, dot: &Value) -> Stop<Value> {
        let (first, rest) = (&command[0], &command[1..]);
        self.step(first.at)?;
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
            return match last.map(|last| last.value).or(answer) {
                Some(value) => Ok(value),
                None => self.fail(Fault::new(first.at, whole, format!("{name} needs a value"))),
            };
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        let written = rest.iter().all(is_literal) && last.as_ref().is_none_or(|last| last.written);
        arguments.extend(last.map(|last| last.value));
        self.call(name, &arguments, written, first.at, whole)
    }

    /// Calls a function; `written` says that the arguments are literals.
    fn call(
        &mut self,
        name: &str,
        arguments: &[Value],
        written: bool,
        at: usize,
        width: usize,
    ) -> Stop<Value> {
        // What is made of an unknown is unknown.
        if let Some(unknown) = arguments.iter().find(|value| matches!(value, Value::Unknown(_))) {
            return Ok(unknown.clone());
        }
        let floats = arguments.iter().filter(|value| matches!(value, Value::Float(_))).count();
        self.handle(floats * FLOAT, at, at + width)?;
        match funcs::call(name, arguments) {
            Outcome::Value(value) => return Ok(value),
            Outcome::Wrong(message) => return self.fail(Fault::new(at, width, message)),
            Outcome::NotBuiltin => {}
        }
        match self.functions.call(name, arguments, &|| written && self.may_tell(arguments, at)) {
            Ok(value) => Ok(value),
            Err(Failed::Wrong(message)) => self.fail(Fault::new(at, width, message).quoting(name)),
            Err(Failed::NoSuchFunction) => self.fail(funcs::not_defined(name, at)),
            Err(Failed::Unavailable { kind, message, hints }) => {
                self.handle(message.len(), at, at + width)?;
                let reason = Fault { at, width, message, quoted: None, hints, kind };
                Ok(Value::Unknown(self.unknowns.push(reason)))
            }
        }
    }

    /// Whether an error may tell these literals of a call at `at`. Those of a text that a program
    /// made stand in the file only if a look at it says so; of a call that failed before, the
    /// first reason is kept, and looking would be in vain.
    fn may_tell(&self, arguments: &[Value], at: usize) -> bool {
        if self.source.written.is_none() {
            return arguments.iter().all(|argument| self.source.may_tell(&shown(argument)));
        }
        let is_cheap = arguments.len() <= MOST_LOOKED_FOR && self.unknowns.len() < MOST_TOLD;
        is_cheap
            && !self.unknowns.has(at)
            && arguments.iter().all(|argument| self.source.called(&shown(argument)).is_some())
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Stop<Value> {
        self.step(operand.at)?;
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Variable(variable) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == variable);
                found.map_or(Value::Nil, |(_, value)| value.clone())
            }
            Term::Function(name) => self.call(name, &[], true, operand.at, operand.end - operand.at)?,
            Term::Text(text) => Value::Text(text.clone()),
            Term::Int(value) => Value::Int(*value),
            Term::Float(value) => Value::Float(*value),
            Term::Bool(value) => Value::Bool(*value),
            Term::Nil => Value::Nil,
            Term::Pipe(pipe) => self.pipe(pipe, dot)?,
        };
        if let Value::Text(text) = &value {
            self.handle(text.len(), operand.at, operand.end)?;
        }
        match (operand.fields.first(), &value) {
            // A field of nothing is nothing; Go prints it as <no value>.
            (None, _) | (Some(_), Value::Nil | Value::Unknown(_)) => Ok(value),
            (Some(field), value) => {
                let message = format!("{} has no field {field}", funcs::kind(value));
                self.fail(Fault::new(operand.at, operand.end - operand.at, message).quoting(field))
            }
        }
    }
}

/// What comes through a pipe, and whether it is a literal.
struct Piped {
    value: Value,
    written: bool,
}

/// Whether the file says the value itself. What a function, a variable or a template's dot gives
/// may hold a secret, or a part of one.
fn is_literal(operand: &Operand) -> bool {
    matches!(operand.term, Term::Text(_) | Term::Int(_) | Term::Float(_) | Term::Bool(_) | Term::Nil)
}

/// A value as an action prints it.
fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Unknown(index) => Cow::Owned(mark(*index)),
        value => Cow::Owned(super::format::plain(value)),
    }
}
