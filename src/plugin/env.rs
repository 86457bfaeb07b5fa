//! The environment that the dispatcher promises to a plugin: few names, kept for ever, never a
//! secret among them.

/// Absolute path of the `ecsx` that ran the plugin.
pub const BIN: &str = "ECSX_BIN";
/// Version of that `ecsx`.
pub const VERSION: &str = "ECSX_VERSION";
/// Version of the contract in `docs/plugins.md`: [`PROTOCOL_VERSION`](crate::plugin::PROTOCOL_VERSION).
pub const PROTOCOL: &str = "ECSX_PLUGIN_PROTOCOL";
/// The name the plugin was called by: `db-dump` for `ecsx-db-dump`.
pub const NAME: &str = "ECSX_PLUGIN_NAME";
/// `--config`: absolute path of the project's file.
pub const CONFIG: &str = "ECSX_CONFIG";
/// `--cluster`: name or ARN.
pub const CLUSTER: &str = "ECSX_CLUSTER";
/// `--service`: name.
pub const SERVICE: &str = "ECSX_SERVICE";
/// `--profile`: the AWS profile that was asked for, over the project's and over keys in the
/// environment.
pub const PROFILE: &str = "ECSX_PROFILE";
/// `--region`: the AWS region that was asked for, over the project's.
pub const REGION: &str = "ECSX_REGION";
/// `--profile` once more, for every AWS tool that a plugin starts. What the person has set up
/// rather than asked for: no option of ours reads it.
pub const AWS_PROFILE: &str = "AWS_PROFILE";
/// `--region` once more, likewise.
pub const AWS_REGION: &str = "AWS_REGION";
/// `--region` once more, for tools that know no [`AWS_REGION`] (boto3).
pub const AWS_DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
/// `-v`: how many times it was given.
pub const VERBOSE: &str = "ECSX_VERBOSE";
/// `-q`: `1`.
pub const QUIET: &str = "ECSX_QUIET";
/// `--color`: `auto`, `always` or `never`.
pub const COLOR: &str = "ECSX_COLOR";

/// Every promised name and what it means: the table of `docs/plugins.md`.
pub const TABLE: [(&str, &str); 15] = [
    (BIN, "absolute path of the `ecsx` that ran the plugin"),
    (VERSION, "version of that `ecsx`"),
    (PROTOCOL, "version of this contract: `1`"),
    (NAME, "the name the plugin was called by: `db-dump` for `ecsx-db-dump`"),
    (CONFIG, "`--config`: absolute path of the project's file"),
    (CLUSTER, "`--cluster`: name or ARN"),
    (SERVICE, "`--service`: name"),
    (PROFILE, "`--profile`: it was asked for, so it beats the project and keys in the environment"),
    (REGION, "`--region`: it was asked for, so it beats the project"),
    (AWS_PROFILE, "`--profile` once more, for every AWS tool a plugin starts"),
    (AWS_REGION, "`--region` once more, likewise"),
    (AWS_DEFAULT_REGION, "`--region` once more, for tools that know no `AWS_REGION` (boto3)"),
    (VERBOSE, "`-v`: how many times it was given"),
    (QUIET, "`-q`: `1`"),
    (COLOR, "`--color`: `auto`, `always` or `never`"),
];

/// Where plugins under development are looked for: absolute directories, separated as in PATH.
/// Read by the dispatcher.
pub const PLUGINS: &str = "ECSX_PLUGINS";
/// How long TAB waits for a plugin, in milliseconds, where 800 are too few. Read by the dispatcher.
pub const COMPLETE_MS: &str = "ECSX_COMPLETE_MS";
/// Set by a shell's shim that shows notes beside the candidates. Read by the dispatcher.
pub const NOTES: &str = "ECSX_COMPLETE_NOTES";
