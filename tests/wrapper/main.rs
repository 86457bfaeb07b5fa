//! The wrapper with real shells on real terminals, without ECS in between.

#![cfg(target_os = "linux")]

mod pty;
mod shlex;

use ecsx::exec::{Command, Mode, Output, Wrapper};
use proptest::prelude::*;

use pty::{Outcome, Session};

/// Shells that containers have, those that are here.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [&["/bin/sh"][..], &["/bin/dash"], &["/bin/bash"], &["/bin/busybox", "sh"]];
    all.into_iter().filter(|shell| std::path::Path::new(shell[0]).exists()).map(<[_]>::to_vec).collect()
}

fn argv<W: AsRef<[u8]>>(words: &[W]) -> Command {
    Command::Argv(words.iter().map(|word| word.as_ref().to_vec()).collect())
}

fn wrapper(command: &Command, mode: Mode) -> Wrapper {
    Wrapper::new(command, mode, [[0xab, 1, 2, 3, 4, 5, 6, 7], [0xcd; 8]])
}

fn piped_in(shell: &[&str], command: &Command, stdin: &[u8]) -> Outcome {
    Session::start(wrapper(command, Mode::Piped), shell, None).run(stdin)
}

fn piped(words: &[&str], stdin: &[u8]) -> Outcome {
    piped_in(&["/bin/sh"], &argv(words), stdin)
}

/// Bytes that no text holds, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn exit_codes_and_signals_come_back_from_every_shell() {
    for shell in shells() {
        for mode in [Mode::Piped, Mode::Terminal] {
            for (script, code) in [
                ("exit 0", 0),
                ("exit 1", 1),
                ("exit 7", 7),
                ("exit 255", 255),
                ("kill -INT $$", 130),
                ("kill -KILL $$", 137),
                ("kill -TERM $$", 143),
            ] {
                let outcome =
                    Session::start(wrapper(&argv(&["sh", "-c", script]), mode), &shell, None).run(b"");
                assert_eq!(
                    (outcome.code, outcome.stdout),
                    (Some(code), vec![]),
                    "{shell:?} {mode:?} {script}"
                );
                assert_eq!(outcome.stderr, b"", "{shell:?} {script}");
            }
        }
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_is_no_program_126() {
    for shell in shells() {
        let outcome = piped_in(&shell, &argv(&["no-such-program"]), b"");
        assert_eq!(outcome.trouble, Some(Output::Unrunnable(127)), "{shell:?}");
        // What it says of that are ecsx' words, not the shell's.
        assert!(outcome.stderr.is_empty() && outcome.stdout.is_empty(), "{outcome:?}");
        let outcome = piped_in(&shell, &argv(&["/etc/passwd"]), b"");
        assert_eq!(outcome.trouble, Some(Output::Unrunnable(126)), "{shell:?}");
        // Words that mean something to a shell are programs like all others.
        for word in ["exit", "set", ":", "fg"] {
            let code = piped_in(&shell, &argv(&[word, "0"]), b"").code;
            assert!(code == Some(127) || which(word), "{shell:?} {word} {code:?}");
        }
    }
}

fn which(word: &str) -> bool {
    ["/bin", "/usr/bin"].iter().any(|dir| std::path::Path::new(dir).join(word).exists())
}

#[test]
fn both_streams_arrive_apart_and_byte_for_byte() {
    for shell in shells() {
        let script = "printf 'out\\n\\r\\t\\000\\377'; printf 'err\\r\\n\\036' >&2; printf more";
        let outcome = piped_in(&shell, &argv(&["sh", "-c", script]), b"");
        assert_eq!(outcome.stdout, b"out\n\r\t\0\xffmore", "{shell:?}");
        assert_eq!(outcome.stderr, b"err\r\n\x1e", "{shell:?}");
    }
}

#[test]
fn stdin_of_any_size_and_bytes_passes_through_and_ends() {
    for shell in shells() {
        for stdin in [
            vec![],
            vec![0],
            b"end     bye     \x03\x04\x1a\x1c".to_vec(),
            "a\u{fffd}b\u{1f980}".as_bytes().to_vec(),
            "\u{1f980}".as_bytes()[..3].to_vec(),
            (0..=255).collect(),
            noise(1023),
            noise(1024),
            noise(1025),
            b"text ".repeat(100_000),
            noise(3_000_001),
        ] {
            let outcome = piped_in(&shell, &argv(&["cat"]), &stdin);
            assert!(outcome.stdout == stdin, "{shell:?} {} of {}", outcome.stdout.len(), stdin.len());
            assert_eq!((outcome.code, outcome.stderr), (Some(0), vec![]), "{shell:?}");
        }
    }
}

#[test]
fn a_command_need_not_read_its_stdin() {
    for shell in shells() {
        let stdin = noise(1_000_000);
        let outcome = piped_in(&shell, &argv(&["sh", "-c", "exit 3"]), &stdin);
        assert_eq!(outcome.code, Some(3), "{shell:?}");
        let outcome = piped_in(&shell, &argv(&["head", "-c", "5"]), &stdin);
        assert_eq!((outcome.code, &outcome.stdout[..]), (Some(0), &stdin[..5]), "{shell:?}");
        // It goes on long after it closed its stdin.
        let script = "exec </dev/null; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 4";
        let outcome = piped_in(&shell, &argv(&["sh", "-c", script]), &stdin);
        assert_eq!((outcome.code, outcome.stdout.len()), (Some(4), 18890), "{shell:?}");
    }
}

#[test]
fn stderr_alone_and_much_of_it() {
    let outcome = piped(&["sh", "-c", "seq 1 20000 >&2; exit 1"], b"");
    let expected: String = (1..=20000).map(|n| format!("{n}\n")).collect();
    assert!(outcome.stderr == expected.as_bytes() && outcome.stdout.is_empty());
    assert_eq!(outcome.code, Some(1));
}

#[test]
fn both_streams_at_full_speed_do_not_mix() {
    let script = "seq 1 30000 & seq 100001 110000 >&2; wait";
    let outcome = piped(&["sh", "-c", script], b"");
    let (out, err): (String, String) = (
        (1..=30000).map(|n| format!("{n}\n")).collect(),
        (100_001..=110_000).map(|n| format!("{n}\n")).collect(),
    );
    assert!(outcome.stdout == out.as_bytes() && outcome.stderr == err.as_bytes());
}

#[test]
fn small_pieces_of_both_streams_do_not_mix_in_any_shell() {
    for shell in shells() {
        let script =
            "i=0; while [ $i -lt 50 ]; do head -c 300 /dev/urandom | tee /dev/stderr; i=$((i+1)); done";
        let outcome = piped_in(&shell, &argv(&["sh", "-c", script]), b"");
        assert!(outcome.stdout.len() == 15_000 && outcome.stdout == outcome.stderr, "{shell:?} {outcome:?}");
    }
}

#[test]
fn a_process_left_in_the_background_holds_nothing_up_and_is_hung_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("hup");
    // dash says "Hangup" of its child to stderr, which nobody reads any more.
    let script = format!(
        "sh -c 'trap \"echo hup > {0}; exit\" HUP; echo ready > {0}; while :; do sleep 0.1; done' 2>/dev/null &
         until [ -s {0} ]; do sleep 0.05; done; exit 5",
        trace.display()
    );
    let outcome = piped(&["sh", "-c", &script], b"\n");
    assert_eq!(outcome.code, Some(5));
    let hup = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::read_to_string(&trace).is_ok_and(|text| text == "hup\n")
    });
    assert!(hup, "it was left behind");
}

#[test]
fn the_terminals_size_and_modes_are_the_commands() {
    let session = Session::start(wrapper(&argv(&["stty", "-a"]), Mode::Terminal), &["/bin/sh"], None);
    let size = rustix::termios::Winsize { ws_col: 101, ws_row: 37, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(session.terminal(), size).unwrap();
    let outcome = session.run(b"");
    let shown = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(shown.contains("rows 37; columns 101"), "{shown}");
    assert!(shown.contains(" icanon") && shown.contains(" echo ") && shown.contains("\nopost"), "{shown}");
}

#[test]
fn the_keys_signals_reach_the_command_and_not_the_wrapper() {
    for shell in shells() {
        for (key, code) in [(b"\x03", 130), (b"\x1c", 131)] {
            let command = argv(&["sh", "-c", "ulimit -c 0; echo ready; exec cat"]);
            let outcome =
                Session::start(wrapper(&command, Mode::Terminal), &shell, None).run_after("ready", key);
            assert_eq!(outcome.code, Some(code), "{shell:?}");
        }
    }
}

#[test]
fn an_interrupt_reaches_the_command_behind_pipes() {
    for shell in shells() {
        let interrupted = |script: &str| {
            let wrapper = wrapper(&argv(&["sh", "-c", script]), Mode::Piped);
            Session::start(wrapper, &shell, None).interrupt_after("ready")
        };
        assert_eq!(interrupted("echo ready; exec sleep 60").code, Some(130), "{shell:?}");
        // All of a pipeline, as at a terminal; and who wants can go on.
        assert_eq!(interrupted("echo ready; sleep 60 | sleep 60").code, Some(130), "{shell:?}");
        let outcome = interrupted("trap 'echo cleaning up; exit 3' INT; echo ready; sleep 60 & wait");
        assert_eq!((outcome.code, &outcome.stdout[..]), (Some(3), &b"ready\ncleaning up\n"[..]), "{shell:?}");
    }
}

#[test]
fn what_is_written_to_the_terminal_itself_is_kept_apart() {
    for shell in shells() {
        let script =
            "printf '[sudo] password for <you>, please; (yes/no/[fingerprint])? ' >/dev/tty; echo hi";
        let outcome = piped_in(&shell, &argv(&["sh", "-c", script]), b"");
        assert_eq!((outcome.code, &outcome.stdout[..]), (Some(0), &b"hi\n"[..]), "{shell:?}");
        let said = b"[sudo] password for <you>, please; (yes/no/[fingerprint])? ";
        assert_eq!(outcome.stderr, said, "{shell:?}");
    }
    // In between frames of any length.
    let script =
        "seq 1 200000 & for i in 1 2 3 4 5 6 7 8 9; do printf '[%s],' $i >/dev/tty; sleep 0.01; done; wait";
    let outcome = piped(&["sh", "-c", script], b"");
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(outcome.stdout == expected.as_bytes() && outcome.code == Some(0), "{:?}", outcome.trouble);
    assert_eq!(outcome.stderr, b"[1],[2],[3],[4],[5],[6],[7],[8],[9],");
}

#[test]
fn the_exit_code_is_found_wherever_the_frames_are_cut() {
    for missing in [1, 2, 9, 10, 17, 18, 20, 21] {
        let length = (64 << 10) - missing;
        let command = format!("head -c {length} /dev/zero | dd obs={length}; exit 5");
        let outcome = piped(&["sh", "-c", &command], b"");
        assert_eq!((outcome.code, outcome.stdout.len()), (Some(5), length));
    }
}

#[test]
fn the_containers_own_variables_are_the_commands_alone() {
    for shell in shells() {
        for mode in [Mode::Piped, Mode::Terminal] {
            let names = ["s", "l", "t", "f", "e", "x", "n", "d", "p", "o", "c"];
            let values: Vec<_> = names.iter().map(|name| format!("{name}=own-{name}")).collect();
            let mut words = vec!["env"];
            words.extend(values.iter().map(String::as_str));
            words.extend(&shell);
            let session = Session::start(wrapper(&argv(&["env"]), mode), &words, None);
            let outcome = session.run(b"");
            assert_eq!(outcome.code, Some(0), "{shell:?} {mode:?}");
            let shown = String::from_utf8_lossy(&outcome.stdout).into_owned();
            for value in &values {
                assert!(shown.lines().any(|line| line == value), "{shell:?} {value} in {shown}");
            }
            assert!(!shown.contains("ecsx_"), "{shown}");
        }
    }
}

#[test]
fn a_line_without_words_is_no_success() {
    for shell in shells() {
        for mode in [Mode::Piped, Mode::Terminal] {
            let line = Command::Line("# nothing".into());
            let trouble = Session::start(wrapper(&line, mode), &shell, None).run(b"").trouble;
            assert_eq!(trouble, Some(Output::Unrunnable(127)), "{shell:?}");
        }
    }
}

#[test]
fn stdin_on_a_terminal_ends_within_a_line_too() {
    for stdin in [&b"abc"[..], b"abc\n", b""] {
        let command = argv(&["sh", "-c", "stty -echo; echo ready; cat; exit 3"]);
        let outcome =
            Session::start(wrapper(&command, Mode::Terminal), &["/bin/sh"], None).run_after("ready", stdin);
        assert_eq!(outcome.code, Some(3), "{stdin:?}");
    }
}

#[test]
fn a_shell_is_interactive_and_its_exit_code_ours() {
    let outcome = Session::start(wrapper(&Command::Shell, Mode::Terminal), &["/bin/sh"], None)
        .run(b"echo $((6*7))\nexit 9\n");
    assert_eq!(outcome.code, Some(9));
    assert!(String::from_utf8_lossy(&outcome.stdout).contains("42"), "{outcome:?}");
}

#[test]
fn a_line_is_split_by_the_agent() {
    let line = Command::Line(r#"sh -c "echo 'a  b' \"\$0\" | cat" "c  d" # words"#.into());
    assert_eq!(piped_in(&["/bin/sh"], &line, b"").stdout, b"a  b c  d\n");
}

#[test]
fn busybox_alone_will_do() {
    let Some(busybox) =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|p| std::path::Path::new(p).exists())
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut stdin = noise(300_000);
    stdin.resize(600_000, b'x');
    for tools in [&["sh", "stty", "dd", "base64", "cat", "printf"][..], &["gzip"]] {
        for tool in tools {
            std::os::unix::fs::symlink(busybox, folder.path().join(tool)).unwrap();
        }
        let wrapper = wrapper(&argv(&["cat"]), Mode::Piped);
        let outcome = Session::start(wrapper, &[busybox, "sh"], folder.path().to_str()).run(&stdin);
        assert!(outcome.stdout == stdin && outcome.code == Some(0));
    }
}

#[test]
fn an_old_dd_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let dd = folder.path().join("dd");
    let script = "#!/bin/sh\ncase \"$*\" in *iflag=*) exit 1;; *) exec /bin/dd \"$@\";; esac\n";
    std::fs::write(&dd, script).unwrap();
    std::fs::set_permissions(&dd, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let stdin = noise(50_000);
    let run = |words: &[&str]| {
        Session::start(wrapper(&argv(words), Mode::Piped), &["/bin/sh"], Some(&path)).run(&stdin)
    };
    let outcome = run(&["cat"]);
    assert!(outcome.stdout == stdin && outcome.code == Some(0));
    assert_eq!(run(&["sh", "-c", "exit 6"]).code, Some(6));
}

#[test]
fn a_tool_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for tool in ["stty", "dd", "cat"] {
        std::os::unix::fs::symlink(format!("/bin/{tool}"), folder.path().join(tool)).unwrap();
    }
    let session = Session::start(wrapper(&argv(&["cat"]), Mode::Piped), &["/bin/sh"], folder.path().to_str());
    assert_eq!(session.run(b"").trouble, Some(Output::Missing("base64".into())));
}

#[test]
fn long_words_and_many_of_them_arrive() {
    let long = "x y'".repeat(25_000);
    let outcome = piped(&["printf", "%s", &long], b"");
    assert!(outcome.stdout == long.as_bytes(), "{:?}", outcome.stdout.len());
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~\\n\\t]{0,40}".prop_map(String::into_bytes),
        "\\PC{0,20}".prop_map(String::into_bytes),
        proptest::collection::vec(1..=255u8, 0..60),
        Just(br#"'"\$HOME `id` $(id) * ~ # ! \\ -n --"#.to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_argv_arrives_equal(words in proptest::collection::vec(word(), 0..8), shell in 0..8usize) {
        let shells = shells();
        let mut command = vec![b"printf".to_vec(), br"%s\0".to_vec()];
        command.extend(words.iter().cloned());
        let outcome = piped_in(&shells[shell % shells.len()], &argv(&command), b"");
        let mut expected: Vec<u8> = words.iter().flat_map(|word| word.iter().copied().chain([0])).collect();
        if words.is_empty() {
            expected.push(0);
        }
        prop_assert_eq!(outcome.stdout, expected);
    }
}
