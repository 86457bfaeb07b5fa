//! The tree of a Go text/template.

use std::collections::HashMap;

use super::Fault;
use super::lex::{Lexeme, Piece, Token, lex};

/// A parsed template and the templates it defines.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(super) body: Vec<Node>,
    pub(super) defined: HashMap<String, Vec<Node>>,
    /// Every function named anywhere, with where.
    pub(crate) functions: Vec<Name>,
}

/// A function's name in the source, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) at: usize,
}

#[derive(Debug)]
pub(super) enum Node {
    /// Bytes of the source, as they are.
    Text(usize, usize),
    Print(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        name: String,
        at: usize,
        end: usize,
        argument: Option<Pipe>,
    },
    Break,
    Continue,
}

/// The first arm whose pipe is true, or what is otherwise. `else if` is an arm more, not an `if`
/// within the else: a chain is as long as one likes. A `range` has one arm.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) arms: Vec<Arm>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Arm {
    pub(super) pipe: Pipe,
    pub(super) then: Vec<Node>,
}

/// `[$a[, $b] := | =] command | command …`
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) variables: Vec<Variable>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
    pub(super) at: usize,
    pub(super) end: usize,
}

pub(super) type Command = Vec<Operand>;

/// The number of a variable's name: what is of one name has one number, in whatever scope.
pub(super) type Variable = usize;
/// That of `$`.
pub(super) const DOLLAR: Variable = 0;

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) term: Term,
    /// `.A.B` after it.
    pub(super) fields: Vec<String>,
    pub(super) at: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Variable(Variable),
    Function(String),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Pipe(Box<Pipe>),
}

/// How deep parentheses and blocks may stand in each other. (Real ones do by less than 20. An
/// unoptimised build takes 10 KB of stack for each, and Windows' stacks are of 1 MB.)
const DEEPEST: usize = 64;
/// The most variables in one scope: each use looks through them.
const MOST_VARIABLES: usize = 1000;

/// Parses `source`.
pub(crate) fn parse(source: &str) -> Result<Tree, Fault> {
    let mut parser = Parser {
        pieces: lex(source)?.into_iter(),
        tree: Tree::default(),
        names: HashMap::from([("$".to_owned(), DOLLAR)]),
        variables: vec![DOLLAR],
        depth: 0,
        ranges: 0,
    };
    let (body, end) = parser.list()?;
    if let Some(End { word, at, .. }) = end {
        return Err(Fault::new(at, 2, format!("unexpected {{{{ {word} }}}}")).hint("nothing is open here"));
    }
    parser.tree.body = body;
    Ok(parser.tree)
}

/// What closed a list of nodes: `end` or `else`, and the rest of that action.
struct End {
    word: &'static str,
    at: usize,
    rest: Vec<Lexeme>,
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    tree: Tree,
    names: HashMap<String, Variable>,
    /// Variables in scope; `$` always.
    variables: Vec<Variable>,
    depth: usize,
    ranges: usize,
}

impl Parser {
    fn list(&mut self) -> Result<(Vec<Node>, Option<End>), Fault> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text(start, end) => nodes.push(Node::Text(start, end)),
                Piece::Action(lexemes, at) => {
                    let keyword = match lexemes.first().map(|lexeme| &lexeme.token) {
                        None => return Err(Fault::new(at, 2, "this action is empty")),
                        Some(Token::Word(word)) => word.clone(),
                        Some(_) => String::new(),
                    };
                    let rest = || lexemes[1..].to_vec();
                    let end = |word| Ok((word, at, rest()));
                    let closing: Result<(&'static str, usize, Vec<Lexeme>), ()> = match keyword.as_str() {
                        "end" => end("end"),
                        "else" => end("else"),
                        _ => Err(()),
                    };
                    if let Ok((word, at, rest)) = closing {
                        if word == "end" && !rest.is_empty() {
                            return Err(Fault::new(rest[0].at, 1, "nothing may follow `end`"));
                        }
                        return Ok((nodes, Some(End { word, at, rest })));
                    }
                    self.depth += 1;
                    if self.depth > DEEPEST {
                        return Err(Fault::new(at, 2, "blocks stand too deep in each other").too_large());
                    }
                    self.action(&keyword, lexemes, at, &mut nodes)?;
                    self.depth -= 1;
                }
            }
        }
        Ok((nodes, None))
    }

    fn action(
        &mut self,
        keyword: &str,
        lexemes: Vec<Lexeme>,
        at: usize,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Fault> {
        match keyword {
            "if" => nodes.push(Node::If(self.branch("if", lexemes, at)?)),
            "with" => nodes.push(Node::With(self.branch("with", lexemes, at)?)),
            "range" => nodes.push(Node::Range(self.branch("range", lexemes, at)?)),
            "define" | "block" => {
                let (name, name_at, end) = template_name(&lexemes, keyword, at)?;
                if keyword == "block" {
                    let argument = Some(self.pipe(&lexemes[2..], end)?);
                    nodes.push(Node::Template { name: name.clone(), at: name_at, end, argument });
                } else if let Some(extra) = lexemes.get(2) {
                    return Err(Fault::new(extra.at, 1, "nothing may follow the name"));
                }
                let outer = std::mem::replace(&mut self.variables, vec![DOLLAR]);
                let outer_ranges = std::mem::take(&mut self.ranges);
                let body = self.body(keyword, at)?;
                self.variables = outer;
                self.ranges = outer_ranges;
                self.tree.defined.insert(name, body);
            }
            "template" => {
                let (name, name_at, end) = template_name(&lexemes, keyword, at)?;
                let argument = match &lexemes[2..] {
                    [] => None,
                    rest => Some(self.pipe(rest, end)?),
                };
                nodes.push(Node::Template { name, at: name_at, end, argument });
            }
            "break" | "continue" if lexemes.len() == 1 => {
                if self.ranges == 0 {
                    return Err(Fault::new(at, 2, format!("`{keyword}` outside of range")));
                }
                nodes.push(if keyword == "break" { Node::Break } else { Node::Continue });
            }
            _ => nodes.push(Node::Print(self.pipe(&lexemes, at)?)),
        }
        Ok(())
    }

    /// A list that `end` must close.
    fn body(&mut self, keyword: &str, at: usize) -> Result<Vec<Node>, Fault> {
        match self.list()? {
            (nodes, Some(End { word: "end", .. })) => Ok(nodes),
            (_, Some(End { at, .. })) => Err(Fault::new(at, 2, format!("`else` inside {keyword}"))),
            (_, None) => Err(unclosed(keyword, at)),
        }
    }

    fn branch(&mut self, keyword: &'static str, lexemes: Vec<Lexeme>, at: usize) -> Result<Branch, Fault> {
        let scope = self.variables.len();
        let ranges = usize::from(keyword == "range");
        let mut arms = Vec::new();
        let (mut head, mut head_at) = (lexemes, at);
        let otherwise = loop {
            let pipe = self.pipe(&head[1..], head_at)?;
            self.ranges += ranges;
            let (then, end) = self.list()?;
            self.ranges -= ranges;
            arms.push(Arm { pipe, then });
            let Some(end) = end else { return Err(unclosed(keyword, at)) };
            match end.rest.first() {
                None if end.word == "end" => break Vec::new(),
                None => break self.body(keyword, at)?,
                Some(Lexeme { token: Token::Word(word), .. }) if word == keyword && ranges == 0 => {
                    (head, head_at) = (end.rest, end.at);
                }
                Some(extra) => {
                    let message = format!("unexpected word after `else` of {keyword}");
                    return Err(Fault::new(extra.at, 1, message));
                }
            }
        };
        self.variables.truncate(scope);
        Ok(Branch { arms, otherwise })
    }

    fn deeper<T>(&mut self, at: usize, then: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::new(at, 2, "blocks or parentheses stand too deep in each other").too_large());
        }
        let result = then(self);
        self.depth -= 1;
        result
    }

    /// A whole pipeline with its declarations; `at` is told when it is empty.
    fn pipe(&mut self, lexemes: &[Lexeme], at: usize) -> Result<Pipe, Fault> {
        let mut variables = Vec::new();
        let mut rest = lexemes;
        let mut assigns = false;
        // `$a :=`, `$a =` or `$a, $b :=`; anything else is an expression.
        let name = |lexeme: &Lexeme| match &lexeme.token {
            Token::Variable(name) if name.len() > 1 => Some(name.clone()),
            _ => None,
        };
        let kind = |token: &Token| matches!(token, Token::Declare | Token::Assign);
        match lexemes {
            [first, sign, ..] if kind(&sign.token) => {
                variables.extend(name(first));
                (assigns, rest) = (sign.token == Token::Assign, &lexemes[2..]);
            }
            [first, comma, second, sign, ..] if comma.token == Token::Comma && kind(&sign.token) => {
                variables.extend(name(first));
                variables.extend(name(second));
                (assigns, rest) = (sign.token == Token::Assign, &lexemes[4..]);
            }
            _ => {}
        }
        if rest.len() < lexemes.len() && variables.len() * 2 != lexemes.len() - rest.len() {
            return Err(Fault::new(lexemes[0].at, 1, "only a variable such as $name can be set"));
        }
        let unknown = variables.iter().find(|name| assigns && self.declared(name).is_none());
        if let Some(name) = unknown {
            return Err(undefined(name, lexemes[0].at));
        }
        let mut words = Words { parser: self, rest };
        let commands = words.commands(at)?;
        if let Some(extra) = words.rest.first() {
            return Err(Fault::new(extra.at, extra.end - extra.at, "unexpected here"));
        }
        let variables: Vec<_> = variables.into_iter().map(|name| self.number(name)).collect();
        if !assigns {
            self.variables.extend(&variables);
            if self.variables.len() > MOST_VARIABLES {
                let message = format!("more than {MOST_VARIABLES} variables at a time");
                return Err(Fault::new(at, 2, message).too_large());
            }
        }
        let (at, end) = (rest[0].at, rest[rest.len() - 1].end);
        Ok(Pipe { variables, assigns, commands, at, end })
    }

    fn number(&mut self, name: String) -> Variable {
        let next = self.names.len();
        *self.names.entry(name).or_insert(next)
    }

    /// The variable of that name, if it is in scope.
    fn declared(&self, name: &str) -> Option<Variable> {
        self.names.get(name).copied().filter(|variable| self.variables.contains(variable))
    }
}

fn undefined(name: &str, at: usize) -> Fault {
    Fault::new(at, name.len(), format!("undefined variable {name}")).quoting(name)
}

fn unclosed(keyword: &str, at: usize) -> Fault {
    Fault::new(at, 2, format!("this {{{{ {keyword} }}}} is not closed")).hint("end it with {{ end }}")
}

fn template_name(lexemes: &[Lexeme], keyword: &str, at: usize) -> Result<(String, usize, usize), Fault> {
    match lexemes.get(1) {
        Some(Lexeme { token: Token::Text(name), at, end, .. }) => Ok((name.clone(), *at, *end)),
        _ => Err(Fault::new(at, 2, format!("{keyword} needs a name in quotes"))),
    }
}

/// The words of one pipeline.
struct Words<'p, 'l> {
    parser: &'p mut Parser,
    rest: &'l [Lexeme],
}

impl Words<'_, '_> {
    /// Commands up to a closing parenthesis or the end.
    fn commands(&mut self, at: usize) -> Result<Vec<Command>, Fault> {
        let mut commands = Vec::new();
        loop {
            let command = self.command()?;
            let here = self.rest.first().map_or(at, |lexeme| lexeme.at);
            let Some(first) = command.first() else {
                let what =
                    if commands.is_empty() { "a value is missing here" } else { "nothing follows this `|`" };
                return Err(Fault::new(here, 1, what));
            };
            // A literal cannot take what comes through a pipe.
            let callable =
                matches!(first.term, Term::Function(_) | Term::Variable(_) | Term::Dot | Term::Pipe(_));
            if !commands.is_empty() && !callable {
                return Err(Fault::new(first.at, first.end - first.at, "only a function can follow `|`"));
            }
            if matches!(first.term, Term::Nil) && command.len() == 1 {
                return Err(Fault::new(first.at, 3, "nil is no value to print"));
            }
            commands.push(command);
            match self.rest.first().map(|lexeme| &lexeme.token) {
                Some(Token::Pipe) => self.rest = &self.rest[1..],
                _ => return Ok(commands),
            }
        }
    }

    fn command(&mut self) -> Result<Command, Fault> {
        let mut operands: Command = Vec::new();
        while let Some(next) = self.rest.first() {
            if matches!(next.token, Token::Pipe | Token::Close) {
                break;
            }
            if !operands.is_empty() && !next.spaced && !matches!(next.token, Token::Open) {
                return Err(Fault::new(next.at, next.end - next.at, "a blank is missing before this"));
            }
            let operand = self.operand()?;
            operands.push(operand);
        }
        Ok(operands)
    }

    fn operand(&mut self) -> Result<Operand, Fault> {
        let Lexeme { token, at, mut end, .. } = self.rest[0].clone();
        let mut fields = Vec::new();
        self.rest = &self.rest[1..];
        let term = match token {
            Token::Dot => Term::Dot,
            Token::Field(name) => {
                fields.push(name);
                Term::Dot
            }
            Token::Variable(name) => {
                let Some(variable) = self.parser.declared(&name) else {
                    return Err(undefined(&name, at).hint(format!("set it first: {{{{ {name} := … }}}}")));
                };
                Term::Variable(variable)
            }
            Token::Word(word) => match word.as_str() {
                "true" => Term::Bool(true),
                "false" => Term::Bool(false),
                "nil" => Term::Nil,
                _ => {
                    self.parser.tree.functions.push(Name { name: word.clone(), at });
                    Term::Function(word)
                }
            },
            Token::Text(text) => Term::Text(text),
            Token::Int(value) => Term::Int(value),
            Token::Float(value) => Term::Float(value),
            Token::Open => {
                let start = at;
                let rest = self.rest;
                let (commands, after) = self.parser.deeper(at, |parser| {
                    let mut inner = Words { parser, rest };
                    Ok((inner.commands(start)?, inner.rest))
                })?;
                // The lexer has seen to it that the parenthesis is closed.
                let close =
                    after.first().ok_or_else(|| Fault::new(at, 1, "this parenthesis is not closed"))?;
                let inside = rest.first().map_or(at, |lexeme| lexeme.at);
                let pipe =
                    Pipe { variables: Vec::new(), assigns: false, commands, at: inside, end: close.at };
                end = close.end;
                self.rest = &after[1..];
                Term::Pipe(Box::new(pipe))
            }
            Token::Close | Token::Pipe | Token::Comma | Token::Declare | Token::Assign => {
                return Err(Fault::new(at, end - at, "unexpected here"));
            }
        };
        while let Some(Lexeme { token: Token::Field(name), spaced: false, end: field_end, .. }) =
            self.rest.first()
        {
            if matches!(
                term,
                Term::Text(_) | Term::Int(_) | Term::Float(_) | Term::Bool(_) | Term::Nil | Term::Function(_)
            ) {
                return Err(Fault::new(at, end - at, format!("this has no field {name}")).quoting(name));
            }
            fields.push(name.clone());
            end = *field_end;
            self.rest = &self.rest[1..];
        }
        Ok(Operand { term, fields, at, end })
    }
}
