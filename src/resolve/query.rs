//! ecsta's `task_format_query`: a jq program that says what the picker and the filter show of a
//! task.
//!
//! As in ecsta (`MarshalJSONForAPI` of its format.go): in goes the task as DescribeTasks tells it;
//! the first value that comes out is shown, text as it is and anything else as JSON. The program
//! is the user's own, as the filter command is; the bounds here are for mistakes.

use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, Error, File, Loader};
use jaq_core::{Compiler, Ctx, Native, Vars, compile, data, unwrap_valr};
use jaq_json::{Val, read};

use crate::bounded;
use crate::ecs::Task;

type Data = data::JustLut<Val>;
type Program = compile::Filter<Native<Data>>;

/// Bytes of a query: parsing nests as deep as it does.
const LONGEST_QUERY: usize = 8 << 10;
/// Characters of a line; no terminal is as wide.
const LONGEST_LINE: usize = 1000;

/// What jq has and jaq's libraries have not.
const ROWS: &str = r#"
def row(text): [.[] | if isstring then text elif . == null then "" elif . < "" then tojson
    else error("an array or object cannot be in a row") end];
def @tsv: row(. / "\\" | join("\\\\") | . / "\t" | join("\\t") | . / "\n" | join("\\n") | . / "\r" | join("\\r"))
    | join("\t");
def @csv: row("\"" + (. / "\"" | join("\"\"")) + "\"") | join(",");
"#;

/// What `query` shows of each task, in a line each; where it fails on a task, why. `Err`: it is
/// no query, or does not end.
pub(super) async fn describe(query: &str, tasks: &[Task]) -> Result<Vec<String>, String> {
    if query.len() > LONGEST_QUERY {
        return Err(format!("it is longer than {LONGEST_QUERY} bytes"));
    }
    let query = query.to_owned();
    let tasks: Vec<String> = tasks.iter().map(|task| task.described.clone()).collect();
    let run = move || {
        let program = program(&query)?;
        Ok(tasks.iter().map(|task| line(&program, task)).collect())
    };
    let lines = tokio::task::spawn_blocking(|| bounded::run(run)).await;
    lines.map_err(|error| error.to_string())?.unwrap_or_else(|stopped| Err(format!("it {stopped}")))
}

/// Without what reaches beyond the task: environment, clock, logging, exit. And without regular
/// expressions, dates and floating-point functions: they would double what jq adds to each program.
fn program(query: &str) -> Result<Program, String> {
    let rows = load::parse(ROWS, |parser| parser.defs()).unwrap_or_default();
    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .chain(rows)
        .filter(|def| !is_left_out(def));
    let funs = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(defs).load(&arena, File { code: query, path: () });
    let modules =
        modules.map_err(|errors| errors.into_iter().map(|(_, error)| unread(error)).collect::<String>())?;
    let compiled = Compiler::default().with_funs(funs.filter(|(name, ..)| *name != "halt")).compile(modules);
    compiled.map_err(|errors| {
        let unknown = errors.into_iter().flat_map(|(_, errors)| errors);
        let unknown: Vec<_> = unknown.map(|(name, what)| format!("{} `{name}`", what.as_str())).collect();
        format!("not known here: {}", unknown.join(", "))
    })
}

/// Definitions of jaq's libraries by means of what is left out: they would not compile.
fn is_left_out(def: &Def) -> bool {
    match def.name {
        "stderr" | "debug" | "halt" | "halt_error" => true,
        "logb" | "significand" | "pow10" | "drem" | "nexttoward" | "scalb" | "gamma" => true,
        "test" | "scan_" | "scan" | "match" | "capture" | "splits" | "sub" | "gsub" => true,
        "split" => def.args.len() == 2,
        "todate" | "fromdate" => true,
        "@html" | "@htmld" | "@uri" | "@urid" | "@base64" | "@base64d" => true,
        _ => false,
    }
}

fn unread(error: Error<&str>) -> String {
    let wrong = |expected: &str, found: &str| match found {
        "" => format!("{expected} expected at its end"),
        _ => format!("{expected} expected at `{}`", found.chars().take(40).collect::<String>()),
    };
    match error {
        Error::Lex(errors) => errors.first().map(|(expected, found)| wrong(expected.as_str(), found)),
        Error::Parse(errors) => errors.first().map(|(expected, found)| wrong(expected.as_str(), found)),
        Error::Io(_) => Some("it cannot import anything".to_owned()),
    }
    .unwrap_or_default()
}

fn line(program: &Program, task: &str) -> String {
    let text = match first(program, task) {
        Ok(Some(Val::TStr(text) | Val::BStr(text))) => String::from_utf8_lossy(&text).into_owned(),
        // Keys in order, as Go writes them.
        Ok(Some(value)) => match serde_json::from_str::<serde_json::Value>(&value.to_string()) {
            Ok(sorted) => sorted.to_string(),
            Err(_) => value.to_string(),
        },
        Ok(None) => String::new(),
        Err(why) => format!("({why})"),
    };
    // A line is one line, and drives no terminal; TABs make columns.
    let sound = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    text.chars().take(LONGEST_LINE).map(sound).collect()
}

fn first(program: &Program, task: &str) -> Result<Option<Val>, String> {
    let task = read::parse_single(task.as_bytes()).map_err(|error| error.to_string())?;
    let context = Ctx::<Data>::new(&program.lut, Vars::new([]));
    program.id.run((context, task)).map(unwrap_valr).next().transpose().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = r#"{"taskArn": "arn:aws:ecs:r:1:task/c/045a", "launchType": "EC2", "cpu": null,
        "tags": [{"key": "Name", "value": "a\tb\n"}, {"key": "Env", "value": "prod"}],
        "containers": [{"name": "web"}, {"name": "db"}]}"#;

    fn shown(query: &str) -> Result<String, String> {
        let task = Task { described: TASK.to_owned(), ..Task::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(describe(query, &[task])).map(|mut lines| lines.remove(0))
    }

    #[test]
    fn what_ecsta_shows_is_shown() {
        for (query, line) in [
            // The example of ecsta's README.
            (r#"[(.tags[]|select(.key=="Env")|.value), .launchType] | @tsv"#, "prod\tEC2"),
            (".launchType", "EC2"),
            (".containers[].name", "web"),
            (".containers | map(.name)", r#"["web","db"]"#),
            (r#"{b: 1, a: {d: .cpu, c: "x"}}"#, r#"{"a":{"c":"x","d":null},"b":1}"#),
            (r#"[.tags[] | "\(.key)=\(.value)"] | length"#, "2"),
            (r#".taskArn | split("/")[-1] | ascii_upcase"#, "045A"),
            (r#"[.tags[0].value, .cpu, 1, true] | @tsv"#, "a\\tb\\n\t\t1\ttrue"),
            (r#"["a\"b", null, 1.5] | @csv"#, r#""a""b",,1.5"#),
            ("empty", ""),
        ] {
            assert_eq!(shown(query).as_deref(), Ok(line), "{query}");
        }
    }

    #[test]
    fn a_task_it_fails_on_shows_why_and_can_still_be_chosen() {
        assert!(shown(".cpu[]").unwrap().contains("null"));
        assert_eq!(shown(r#"error("no")"#).unwrap(), r#"("no")"#);
        assert!(!shown(r#""a\u001b[2Jb\n" "#).unwrap().contains(char::is_control));
    }

    #[test]
    fn what_is_no_query_is_refused_with_the_place() {
        for (query, why) in [
            (".x |||", "`|||`"),
            ("[.x", "closing bracket"),
            (".x | nope(1)", "filter `nope`"),
            ("$x", "variable `$x`"),
            (r#"import "a" as a; ."#, "import"),
            (r#".x | test("a")"#, "filter `test`"),
        ] {
            let said = shown(query).unwrap_err();
            assert!(said.contains(why), "{query}: {said}");
        }
    }

    #[test]
    fn it_reaches_nothing_but_the_task() {
        for query in
            ["env", "$ENV.HOME", "input", "now", "halt", "halt_error", "debug", "stderr", "$__prog_args"]
        {
            assert!(shown(query).is_err(), "{query}");
        }
    }

    #[test]
    fn it_ends() {
        for query in ["last(repeat(1))", "def f: f; f"] {
            assert_eq!(shown(query).unwrap_err(), "it does not come to an end", "{query}");
        }
        assert!(shown(&"(".repeat(LONGEST_QUERY)).is_err());
        assert!(shown(&format!("{}1{}", "[".repeat(4000), "]".repeat(4000))).is_ok());
        assert!(shown(&" ".repeat(LONGEST_QUERY + 1)).is_err());
        assert_eq!(shown(r#""x" * 100000"#).unwrap().len(), LONGEST_LINE);
    }
}
