//! Why a file that looks like a program could not be started: exec(2) has one errno for a
//! missing interpreter, a missing loader and a missing file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What is wrong with `program`, which failed to start with `error`.
pub(crate) fn why_it_cannot_run(program: &Path, error: &io::Error) -> String {
    let head = head(program);
    if let Some(line) = head.strip_prefix(b"#!") {
        return interpreter(line, error);
    }
    match (foreign(&head), error.kind()) {
        (Some(why), _) => why,
        (None, io::ErrorKind::NotFound) if head.starts_with(ELF) => {
            "the dynamic loader it asks for is not there".to_owned()
        }
        (None, io::ErrorKind::PermissionDenied) => format!("{error}; is its file system mounted noexec?"),
        (None, _) => error.to_string(),
    }
}

/// Why `program` must not even be tried: libc has the shell read, as a script, whatever the
/// kernel does not know, another machine's programs included.
pub(crate) fn built_for_others(program: &Path) -> Option<String> {
    foreign(&head(program))
}

const ELF: &[u8] = b"\x7fELF";

/// The first bytes; none where they cannot be read.
fn head(program: &Path) -> Vec<u8> {
    let mut head = vec![0; 512];
    let read = File::open(program).and_then(|mut file| file.read(&mut head));
    head.truncate(read.unwrap_or_default());
    head
}

fn foreign(head: &[u8]) -> Option<String> {
    let system = match head {
        [0x7f, b'E', b'L', b'F', ..] if cfg!(target_os = "linux") => return other_machine(head),
        [0x7f, b'E', b'L', b'F', ..] if cfg!(any(target_os = "macos", windows)) => "Linux or BSD",
        [b'M', b'Z', ..] if !cfg!(windows) => "Windows",
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] if !cfg!(target_os = "macos") => "macOS",
        _ => return None,
    };
    Some(format!("it is a program for {system}; this machine runs {}", std::env::consts::OS))
}

fn interpreter(line: &[u8], error: &io::Error) -> String {
    let line = line.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let named = line.split([' ', '\t']).find(|word| !word.is_empty()).unwrap_or_default();
    if named.ends_with('\r') {
        return "its first line ends in a carriage return: save it with Unix line endings".to_owned();
    }
    if !Path::new(named).exists() {
        return format!("its first line asks for the interpreter {named:?}, which is not there");
    }
    format!("{error} (its interpreter is {named:?})")
}

/// The machine an ELF file is built for, from its header (`e_machine`, System V ABI), where it is
/// not this one.
fn other_machine(head: &[u8]) -> Option<String> {
    let &[a, b] = head.get(18..20)?.first_chunk()?;
    let machine = if head[5] == 2 { u16::from_be_bytes([a, b]) } else { u16::from_le_bytes([a, b]) };
    let built_for = match machine {
        3 => "x86",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        _ => return None,
    };
    // A kernel for 64 bits may well run programs for 32.
    let here = std::env::consts::ARCH;
    let kin = matches!((here, built_for), ("x86_64", "x86") | ("aarch64", "arm"));
    (built_for != here && !kin).then(|| format!("it is built for {built_for}; this machine is {here}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(content: &[u8], kind: io::ErrorKind) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("ecsx-x");
        std::fs::write(&program, content).expect("written");
        why_it_cannot_run(&program, &kind.into())
    }

    #[test]
    fn a_missing_interpreter_is_named() {
        let said = why(b"#! /no/such/python -u\nprint()\n", io::ErrorKind::NotFound);
        assert!(said.contains("/no/such/python"), "{said}");
    }

    #[test]
    fn windows_line_endings_are_told_from_a_missing_interpreter() {
        let said = why(b"#!/bin/sh\r\nexit 0\r\n", io::ErrorKind::NotFound);
        assert!(said.contains("line endings"), "{said}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn another_architecture_is_named() {
        let mut header = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0";
        assert!(why(&header, io::ErrorKind::Other).contains("riscv64"));
        header[18] = 2; // SPARC: no name for it here
        assert!(!why(&header, io::ErrorKind::Other).is_empty());
    }

    #[test]
    fn nothing_and_half_a_header_are_no_panic() {
        for content in [&b""[..], b"#!", b"\x7fELF", b"\x7fELF\x02\x01\x01"] {
            assert!(!why(content, io::ErrorKind::NotFound).is_empty());
        }
    }
}
