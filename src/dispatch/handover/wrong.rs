//! Why a file that looks like a program could not be started: exec(2) has one errno for a
//! missing interpreter, a missing loader and a missing file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What is wrong with `program`, which failed to start with `error`.
pub(crate) fn why_it_cannot_run(program: &Path, error: &io::Error) -> String {
    let mut head = Vec::new();
    let read = File::open(program).and_then(|file| file.take(512).read_to_end(&mut head));
    if read.is_err() {
        return error.to_string();
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        return interpreter(line, error);
    }
    let format = match &head[..] {
        [0x7f, b'E', b'L', b'F', ..] if !cfg!(target_os = "linux") => "a program for Linux or BSD",
        [0x7f, b'E', b'L', b'F', ..] => return elf(&head, error),
        [b'M', b'Z', ..] if !cfg!(windows) => "a program for Windows",
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] if !cfg!(target_os = "macos") => {
            "a program for macOS"
        }
        _ if error.kind() == io::ErrorKind::PermissionDenied => {
            return format!("{error}; is its file system mounted noexec?");
        }
        _ => return error.to_string(),
    };
    format!("it is {format}; this machine runs {}", std::env::consts::OS)
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

/// The machine an ELF file is built for, from its header (`e_machine`, System V ABI).
fn elf(head: &[u8], error: &io::Error) -> String {
    let little = head.get(5) != Some(&2);
    let machine = match head.get(18..20) {
        Some(&[a, b]) if little => u16::from_le_bytes([a, b]),
        Some(&[a, b]) => u16::from_be_bytes([a, b]),
        _ => return error.to_string(),
    };
    let built_for = match machine {
        3 => "x86",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        _ => return error.to_string(),
    };
    if built_for != std::env::consts::ARCH {
        return format!("it is built for {built_for}; this machine is {}", std::env::consts::ARCH);
    }
    match error.kind() {
        io::ErrorKind::NotFound => "the dynamic loader it asks for is not there".to_owned(),
        _ => error.to_string(),
    }
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
