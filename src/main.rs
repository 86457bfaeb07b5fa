//! `ecsx`: finds the executable `ecsx-NAME` and becomes it.

mod dispatch;

fn main() -> std::process::ExitCode {
    dispatch::main()
}
