//! jsonnet, evaluated by rsjsonnet: external variables, imports of files, native functions.
//!
//! A program may run for ever or grow without end, and the evaluator has no say in that: it
//! runs on a thread of its own, under [bounds](crate::bounded).

mod depth;
mod failure;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::interner::InternedStr;
use rsjsonnet_lang::program::{
    Callbacks, EvalError, EvalErrorKind, EvalStackTraceItem, ImportError, NativeError, Program, Thunk, Value,
};
use rsjsonnet_lang::span::{SpanContextId, SpanId};

use super::error::{Error, ErrorKind, MADE, Place, Source};
use super::lookup::{Function, Lookups};
use super::template::Failed;
use crate::bounded;

/// External variables: name, value, and whether the value is code.
pub(crate) type External = Vec<(String, String, bool)>;

/// What the evaluations of one project have in common.
#[derive(Debug, Clone)]
pub(crate) struct Jsonnet {
    pub(crate) external: External,
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) current: PathBuf,
    /// The project's folder.
    pub(crate) folder: PathBuf,
}

impl Jsonnet {
    /// The file's value as JSON, with every field of it evaluated.
    pub(crate) fn file(&self, path: &Path) -> Result<Source, Error> {
        self.evaluate(path, "file")
    }

    /// The object `{plugins: …}` of a configuration: no other field of it is evaluated.
    pub(crate) fn plugins(&self, path: &Path) -> Result<Source, Error> {
        self.evaluate(path, "if std.isObject(file) then { plugins: field(file, 'plugins') } else file")
    }

    /// Family and container names of a task definition: nothing else of it is evaluated.
    pub(crate) fn definition(&self, path: &Path) -> Result<Source, Error> {
        let names = r"
            local named(container) =
              if std.isObject(container) then { name: field(container, 'name') } else container;
            local cut(definition) = if !std.isObject(definition) then definition else {
              family: field(definition, 'family'),
              local containers = field(definition, 'containerdefinitions'),
              containerDefinitions:
                if std.isArray(containers) then std.map(named, containers) else containers,
            };
            if std.isObject(file) && field(file, 'taskdefinition') != null
            then cut(field(file, 'taskdefinition')) else cut(file)";
        self.evaluate(path, names)
    }

    /// Evaluates `expression` with `file` being the value of the file, and `field` finding a
    /// field of an object by its name in lower case.
    fn evaluate(&self, path: &Path, expression: &str) -> Result<Source, Error> {
        let source = Source::read_in(&self.folder, path, &self.current)?;
        let (name, shown) = (source.name.clone(), source.shown);
        let program = format!(
            "local loaded = import {}; \
             local file = if std.isFunction(loaded) then loaded() else loaded; \
             local field(object, name) = \
               local keys = [key for key in std.objectFields(object) if std.asciiLower(key) == name]; \
               if std.length(keys) == 0 then null else object[keys[std.length(keys) - 1]]; {expression}",
            serde_json::Value::from(path.to_string_lossy()),
        );
        let (this, written) = (self.clone(), source.text.clone());
        let file = (path.to_path_buf(), source);
        let json =
            bounded::run(move || Evaluation::run(&this, &program, file)).unwrap_or_else(|stopped| {
                let message = format!("{}: this jsonnet program {stopped}", name.display());
                Err(Error::new(ErrorKind::Endless, message))
            })?;
        Ok(Source { name, text: json, written: Some(written), shown, ..Source::default() })
    }
}

/// One run of the evaluator.
struct Evaluation<'p, 'j> {
    jsonnet: &'j Jsonnet,
    /// Loaded files by path: a file that is imported twice is one.
    thunks: HashMap<PathBuf, Thunk<'p>>,
    sources: Vec<(SpanContextId, PathBuf, Source)>,
    /// A file that is read already.
    ready: Option<(PathBuf, Source)>,
    /// Why a native function or an import failed: the evaluator only knows that it did.
    failed: Option<Error>,
}

impl<'p> Evaluation<'p, '_> {
    fn run(jsonnet: &Jsonnet, program_text: &str, ready: (PathBuf, Source)) -> Result<String, Error> {
        let arena = Arena::new();
        let program = &mut Program::new(&arena);
        let mut evaluation = Evaluation {
            jsonnet,
            thunks: HashMap::new(),
            sources: Vec::new(),
            ready: Some(ready),
            failed: None,
        };
        for (name, parameters) in natives(&jsonnet.lookups) {
            let parameters: Vec<_> = parameters.iter().map(|name| program.intern_str(name)).collect();
            program.register_native_func(program.intern_str(&name), &parameters);
        }
        for (name, value, is_code) in &jsonnet.external {
            let thunk = match is_code {
                false => program.value_to_thunk(&Value::string(value)),
                true => {
                    let text = value.clone();
                    let name = PathBuf::from(format!("--ext-code {name}"));
                    // It is no file's, and may hold what the environment keeps to itself.
                    let source = Source { name, text, ..Source::default() };
                    evaluation.load(program, PathBuf::from(&source.name), source)?
                }
            };
            let name = program.intern_str(name);
            program.add_ext_var(name, &thunk);
        }
        let own = Source {
            name: PathBuf::from("(ecsx)"),
            text: program_text.to_owned(),
            shown: true,
            ..Source::default()
        };
        let thunk = evaluation.load(program, PathBuf::new(), own)?;
        let value = program.eval_value(&thunk, &mut evaluation);
        let value = value.map_err(|error| evaluation.error(program, &error))?;
        program.manifest_json(&value, false).map_err(|error| evaluation.error(program, &error))
    }

    fn load(&mut self, program: &mut Program<'p>, path: PathBuf, source: Source) -> Result<Thunk<'p>, Error> {
        depth::check(&source)?;
        let (context, _) = program.span_manager_mut().insert_source_context(source.text.len());
        let shown = source.name.display().to_string();
        let thunk = program.load_source(context, source.text.as_bytes(), true, &shown);
        self.sources.push((context, path.clone(), source));
        let thunk = thunk.map_err(|error| {
            let (span, message) = failure::load(&error);
            let shown = self.sources.last().is_some_and(|(.., source)| source.shown);
            // A malformed file that is none of the project's: not even a word of it.
            let message = if shown { message } else { "this is no program".to_owned() };
            Error::at(
                ErrorKind::Jsonnet,
                self.place(program, span),
                format!("this is not jsonnet: {message}"),
            )
        })?;
        self.thunks.insert(path, thunk.clone());
        Ok(thunk)
    }

    fn place(&self, program: &Program<'p>, span: SpanId) -> Place {
        let (context, start, end) = program.span_manager().get_span(span);
        let source = self.sources.iter().find(|(known, ..)| *known == context);
        source.map_or_else(
            || Place::somewhere(Path::new("(jsonnet)")),
            |(_, _, source)| source.place(start, end - start),
        )
    }

    /// The innermost place of a stack that is in a file of the project.
    fn innermost(&self, program: &Program<'p>, stack: &[EvalStackTraceItem]) -> Option<Place> {
        let written = |span: &&SpanId| {
            let (context, ..) = program.span_manager().get_span(**span);
            self.sources.iter().any(|(known, path, _)| *known == context && *path != PathBuf::new())
        };
        let spans = stack.iter().filter_map(failure::span_of);
        spans.filter(written).map(|span| self.place(program, *span)).next()
    }

    /// A text as an error may tell it: see [`Source::called`].
    fn called<'t>(&self, text: &'t str) -> Option<&'t str> {
        let files = self.sources.iter().filter(|(_, path, _)| *path != PathBuf::new());
        files.filter_map(|(.., source)| source.called(text)).next()
    }

    /// Calls a native function. No message holds an argument that no file says.
    fn native(
        &self,
        program: &mut Program<'p>,
        name: &str,
        arguments: &[Value<'p>],
    ) -> Result<Value<'p>, Failed> {
        let lookups = &self.jsonnet.lookups;
        let text = arguments.first().and_then(Value::to_string);
        let text = text.ok_or_else(|| Failed::Wrong(format!("{name} takes a string")));
        let told = |text| self.called(text).unwrap_or(MADE);
        match name {
            "env" => {
                let value = lookups.env([text?.as_str()], told)?.map(Value::string);
                Ok(value.or_else(|| arguments.get(1).cloned()).unwrap_or_else(Value::null))
            }
            "must_env" => {
                let variable = text?;
                lookups.must_env(&variable, told).map(Value::string)
            }
            name => match lookups.function(name) {
                Some(&Function::Tfstate(index)) => {
                    let address = text?;
                    let value = lookups.tfstate(name, index, &address, told)?;
                    Ok(value_of(program, &value))
                }
                Some(function) => Err(Lookups::unavailable(name, function)),
                None => Err(Failed::NoSuchFunction),
            },
        }
    }

    fn error(&mut self, program: &Program<'p>, error: &EvalError) -> Error {
        let called = |text: &str| self.called(text).unwrap_or(MADE).to_owned();
        let (span, message) = failure::evaluation(&error.kind, &called);
        let own = |span: SpanId| {
            let (context, ..) = program.span_manager().get_span(span);
            self.sources.iter().find(|(known, path, _)| *known == context && *path != PathBuf::new())?;
            Some(self.place(program, span))
        };
        let place = span.and_then(own).or_else(|| self.innermost(program, &error.stack_trace));
        if let EvalErrorKind::NativeCallFailed | EvalErrorKind::ImportFailed { .. } = error.kind
            && let Some(failed) = self.failed.take()
        {
            return failed.or_at(place);
        }
        let failed = match place {
            Some(place) => Error::at(ErrorKind::Jsonnet, place, message),
            None => Error::new(ErrorKind::Jsonnet, message),
        };
        match &error.kind {
            EvalErrorKind::UnknownExtVar { name } => {
                let name = self.called(name).unwrap_or(MADE);
                failed.hint(format!("give it with --ext-str {name}=VALUE"))
            }
            EvalErrorKind::StackOverflow => failed.hint("a function may call itself without end"),
            EvalErrorKind::CalleeIsNotFunction { .. } => {
                failed.hint("std.native gives null for a function that no plugin brings")
            }
            _ => failed,
        }
    }

    /// Reads the file that `path`, written in the file of `from`, means.
    fn import(
        &mut self,
        program: &Program<'p>,
        from: SpanId,
        path: &str,
    ) -> Result<(PathBuf, Source), ImportError> {
        let (context, ..) = program.span_manager().get_span(from);
        let importer = self.sources.iter().find(|(known, ..)| *known == context);
        let folder = importer.and_then(|(_, path, _)| path.parent()).unwrap_or(&self.jsonnet.current);
        let path = super::find::clean(&folder.join(path));
        if let Some(ready) = self.ready.take_if(|(ready, _)| *ready == path) {
            return Ok(ready);
        }
        match Source::read_in(&self.jsonnet.folder, &path, &self.jsonnet.current) {
            Ok(source) => Ok((path, source)),
            Err(error) => {
                self.failed = Some(error);
                Err(ImportError)
            }
        }
    }
}

impl<'p> Callbacks<'p> for Evaluation<'p, '_> {
    fn import(
        &mut self,
        program: &mut Program<'p>,
        from: SpanId,
        path: &str,
    ) -> Result<Thunk<'p>, ImportError> {
        let (path, source) = Self::import(self, program, from, path)?;
        if let Some(thunk) = self.thunks.get(&path) {
            return Ok(thunk.clone());
        }
        self.load(program, path, source).map_err(|error| {
            self.failed = Some(error);
            ImportError
        })
    }

    fn import_str(
        &mut self,
        program: &mut Program<'p>,
        from: SpanId,
        path: &str,
    ) -> Result<String, ImportError> {
        Self::import(self, program, from, path).map(|(_, source)| source.text)
    }

    fn import_bin(
        &mut self,
        program: &mut Program<'p>,
        from: SpanId,
        path: &str,
    ) -> Result<Vec<u8>, ImportError> {
        Self::import(self, program, from, path).map(|(_, source)| source.text.into_bytes())
    }

    /// What a program traces may hold a secret, and nobody asked for it.
    fn trace(&mut self, _: &mut Program<'p>, _: &str, _: &[EvalStackTraceItem]) {}

    fn native_call(
        &mut self,
        program: &mut Program<'p>,
        name: InternedStr<'p>,
        arguments: &[Value<'p>],
    ) -> Result<Value<'p>, NativeError> {
        self.native(program, name.value(), arguments).map_err(|failed| {
            self.failed = Some(match failed {
                Failed::Wrong(message) => Error::new(ErrorKind::Jsonnet, message),
                Failed::NoSuchFunction => Error::new(ErrorKind::Jsonnet, "there is no such function"),
                Failed::Unavailable { kind, message, hints } => {
                    let error = Error::new(kind, message);
                    hints.into_iter().fold(error, Error::hint)
                }
            });
            NativeError
        })
    }
}

/// The native functions and their parameters.
fn natives(lookups: &Lookups) -> Vec<(String, Vec<&'static str>)> {
    let mut natives =
        vec![("env".to_owned(), vec!["name", "default"]), ("must_env".to_owned(), vec!["name"])];
    for (name, function) in lookups.functions() {
        match function {
            Function::Tfstate(_) => natives.push((name.to_owned(), vec!["address"])),
            Function::Remote { parameters, .. } => natives.push((name.to_owned(), parameters.to_vec())),
            // A format is jsonnet's own business.
            Function::Tfstatef(_) => {}
            Function::Command { arguments } => {
                const NAMES: [&str; 8] = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"];
                natives.push((name.to_owned(), NAMES[..(*arguments).min(8)].to_vec()));
            }
        }
    }
    natives
}

/// JSON as a jsonnet value. (A state's depth is bounded by serde_json.)
fn value_of<'p>(program: &mut Program<'p>, value: &serde_json::Value) -> Value<'p> {
    match value {
        serde_json::Value::Null => Value::null(),
        serde_json::Value::Bool(value) => Value::bool(*value),
        serde_json::Value::Number(number) => Value::number(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Value::string(text),
        serde_json::Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| value_of(program, item)).collect();
            program.make_array(&items)
        }
        serde_json::Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (program.intern_str(name), value_of(program, value)))
                .collect();
            program.make_object(&fields)
        }
    }
}
