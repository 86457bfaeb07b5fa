//! `ecsx`: finds the executable `ecsx-NAME` and becomes it.
#![cfg_attr(all(unix, not(test)), no_main)]

mod dispatch;

// Unix: `dispatch::start`.
#[cfg(any(not(unix), test))]
fn main() -> std::process::ExitCode {
    dispatch::main(&std::env::args_os().skip(1).collect::<Vec<_>>()).into()
}
