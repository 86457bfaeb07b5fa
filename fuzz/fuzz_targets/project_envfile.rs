#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| ecsx::project::fuzzing::envfile(text));
