//! What a plugin says of itself: the answer to `ecsx-NAME __ecsx describe`, a line of JSON.

use serde::{Deserialize, Serialize};

/// What a plugin says of itself. Fields that a later contract adds are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Layout of this description: 1.
    pub schema: u32,
    /// The plugin's name: `db-dump` for `ecsx-db-dump`.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it does, in one line.
    pub summary: String,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Versions of the plugin contract it was written for.
    #[serde(default)]
    pub protocol: Vec<u32>,
    /// Whether it answers `__complete`. TAB asks nobody who did not say so.
    #[serde(default)]
    pub complete: bool,
    /// Whether it answers `__ecsx man` with a page of roff.
    #[serde(default)]
    pub manual: bool,
}

impl Description {
    /// Layout of the description that this crate writes and reads.
    pub const SCHEMA: u32 = 1;
}
