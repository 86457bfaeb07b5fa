//! The contract between the dispatcher and any plugin, first-party or not.

/// Exit codes that every ecsx program keeps to (`docs/plugins.md`).
pub mod exit {
    /// Something failed: project, AWS, session.
    pub const FAILED: u8 = 1;
    /// The command line could not be understood.
    pub const USAGE: u8 = 2;
    /// A command was to be run and ecsx or AWS failed before it could report a code of its own.
    pub const ECSX_FAILED: u8 = 125;
    /// The command was found and could not be run.
    pub const CANNOT_RUN: u8 = 126;
    /// The command was not found.
    pub const NOT_FOUND: u8 = 127;
}
