//! ecsta's own settings: the user's, not the project's, so that its command may be run.

use super::Environment;
use super::error::Source;

/// What the user has told ecsta, which ecsx obeys too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ecsta {
    /// The command to choose with, for `sh -c` if it holds a blank. It is given lines and
    /// answers one of them; a task's id is what stands before the first TAB.
    pub filter_command: Option<String>,
    /// `table`, `tsv` or `json`; whatever is written there.
    pub output: Option<String>,
    /// A jq program that describes a task, behind its id and a TAB.
    pub task_format_query: Option<String>,
}

/// Reads `ecsta/config.json` of the user's configuration folder; variables are over it. A file
/// that cannot be read is as none, and the second value says so.
pub(crate) fn read(environment: &Environment) -> (Ecsta, Option<String>) {
    let variable = |name: &str| environment.variables.get(name).filter(|value| !value.is_empty()).cloned();
    let folder = variable("XDG_CONFIG_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| environment.home.as_ref().map(|home| home.join(".config")));
    let (settings, warning) = match folder.map(|folder| folder.join("ecsta/config.json")) {
        Some(path) if path.exists() => match Source::read(&path, &environment.current_dir) {
            Ok(source) => match decode(&source.text) {
                Ok(settings) => (settings, None),
                Err(why) => (Ecsta::default(), Some(format!("{} is not used: {why}", path.display()))),
            },
            Err(error) => (Ecsta::default(), Some(error.to_string())),
        },
        _ => (Ecsta::default(), None),
    };
    let ecsta = Ecsta {
        filter_command: variable("ECSPRESSO_FILTER_COMMAND").or(settings.filter_command),
        output: variable("ECSTA_OUTPUT").or(settings.output),
        task_format_query: variable("ECSTA_TASK_FORMAT_QUERY").or(settings.task_format_query),
    };
    (ecsta, warning)
}

/// By Go's rules: keys in any case, null is nothing, other types are refused.
fn decode(text: &str) -> Result<Ecsta, String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON (line {})", error.line()))?;
    let fields = match value {
        serde_json::Value::Object(fields) => fields,
        serde_json::Value::Null => return Ok(Ecsta::default()),
        _ => return Err("it holds no object".to_owned()),
    };
    let mut ecsta = Ecsta::default();
    for (key, value) in fields {
        let slot = match key.to_ascii_lowercase().as_str() {
            "filter_command" => &mut ecsta.filter_command,
            "output" => &mut ecsta.output,
            "task_format_query" => &mut ecsta.task_format_query,
            _ => continue,
        };
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => *slot = Some(text).filter(|text| !text.is_empty()),
            _ => return Err(format!("{key} must be text")),
        }
    }
    Ok(ecsta)
}
