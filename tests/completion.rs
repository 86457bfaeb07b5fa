//! TAB: in the words of the wire, and in real shells on a terminal.
#![cfg(unix)]

mod support;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use support::shell::{PROMPT, Shell, plain};
use support::suite::{Suite, said};
use support::terminal::Terminal;

/// A plugin that describes itself and completes: `--planet`, its values, values with colons, values
/// that mean something to a shell, a part of a value, a note, and what is known only when asked again.
const STARS: &str = r#"#!/bin/sh
case $1 in
__ecsx)
    echo '{"schema":1,"name":"stars","version":"1.2","summary":"Look up","protocol":[1],"complete":true}'
    exit;;
__complete)
    echo "$ECSX_CLUSTER|$*" >> "$HOME/asked"
    shift
    for word; do before=$last last=$word; done
    directive=4
    [ "$before" = --part ] && directive=6
    case $before,$last in
    --planet,*|*,--planet=*) printf 'mars\tred\nmercury\tquick\nvenus\n';;
    --at,*) printf 'urn:a:one\nurn:a:two\n';;
    --odd,*) printf 'prod east\nx;touch PWNED\n$(touch PWNED)\nit'"'"'s "`touch PWNED`"\n'
        printf '%s\n' 'back\slash' 'c:\';;
    --part,*) printf 'host=\n';;
    --note,*) printf '_activeHelp_ Read 100%% of it\n';;
    --late,*) [ -e "$HOME/late" ] && printf 'venus\tfar away\nvenus\tfar away\n'; touch "$HOME/late";;
    *) printf -- '--planet\tWhich\n--at\tWhere\n';;
    esac | grep -e "^$(printf %s "${last#--planet=}" | sed 's/[$]/[$]/')"
    echo ":$directive"
    exit;;
esac
"#;

/// A plugin that never answers TAB, and starts a child that never ends either.
const HANGS: &str = r#"#!/bin/sh
case $1 in
__ecsx) echo '{"schema":1,"name":"hangs","version":"1","summary":"Hang","complete":true}'; exit;;
__complete) sleep 1000 & echo $$ $! > "$HOME/pids"; echo half; wait;;
esac
"#;

/// A suite with `stars` and `hangs`, inspected.
fn suite() -> Suite {
    let suite = Suite::new();
    suite.program("bin/ecsx-stars", STARS);
    suite.program("bin/ecsx-hangs", HANGS);
    for name in ["stars", "hangs"] {
        let said = suite.run(&["plugin", "inspect", name]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    }
    suite
}

#[test]
fn plugins_are_offered_with_their_summaries() {
    let suite = suite();
    suite.plugin("bin/ecsx-unknown");
    suite.plugin("suite/ecsx-exec");
    let tab = suite.tab(&[""]);
    assert!(
        tab.contains("stars\tLook up\n") && tab.contains("unknown\n") && tab.contains("exec\tRun"),
        "{tab}"
    );
    assert!(!tab.contains("portforward"), "not there, not offered: {tab}");
    assert_eq!(suite.tab(&["st"]), "stars\tLook up\n:36\n");
    assert_eq!(suite.tab(&["plugin", "inspect", "st"]), "stars\n:36\n");
    assert_eq!(suite.tab(&["help", "st"]), "stars\n:36\n");
    assert_eq!(suite.tab(&["help", "ver"]), "version\n:36\n");
    assert_eq!(suite.tab(&["plugin", "remove", "st"]), ":36\n", "only what is installed");
    suite.plugin(".local/share/ecsx/plugins/ecsx-stones");
    assert_eq!(suite.tab(&["plugin", "remove", ""]), "stones\n:36\n");
}

#[test]
fn a_plugin_answers_for_its_own_words() {
    let suite = suite();
    assert_eq!(suite.tab(&["stars", "--planet", "m"]), "mars\tred\nmercury\tquick\n:4\n");
    assert_eq!(suite.tab(&["--cluster", "c", "stars", "x", "--planet=v"]), "venus\n:4\n");
    let asked = fs::read_to_string(suite.path("asked")).unwrap();
    assert_eq!(asked, "|__complete --planet m\nc|__complete x --planet=v\n");
}

#[test]
fn an_option_s_value_that_is_a_plugin_s_name_is_no_plugin() {
    let suite = suite();
    assert_eq!(suite.tab(&["--profile", "stars", "st"]), "stars\tLook up\n:36\n");
    assert_eq!(suite.tab(&["--profile", "hangs", "stars", "--pl"]), "--planet\tWhich\n:4\n");
}

#[test]
fn words_of_a_longer_name_are_offered_one_by_one() {
    let suite = suite();
    suite.plugin("bin/ecsx-db-dump");
    assert!(suite.tab(&["db"]).starts_with("db-dump"));
    assert!(suite.tab(&["db", "d"]).starts_with("dump\n"));
}

#[test]
fn who_was_never_inspected_is_never_asked() {
    let suite = suite();
    suite.program("bin/ecsx-x", "#!/bin/sh\ntouch \"$HOME/ran\"\n");
    assert_eq!(suite.tab(&["x", "-"]), ":0\n");
    assert!(!suite.path("ran").exists());
    // Another file of an inspected name is a stranger too.
    suite.program("dev/ecsx-stars", "#!/bin/sh\ntouch \"$HOME/ran\"\n");
    let mut command = suite.ecsx(&["__complete", "stars", "-"]);
    assert_eq!(said(command.env("ECSX_PLUGINS", suite.path("dev"))).stdout, ":0\n");
    assert!(!suite.path("ran").exists());
}

#[test]
fn who_was_inspected_and_is_another_program_now_is_not_asked() {
    let suite = suite();
    suite.program("bin/ecsx-stars", "#!/bin/sh\ntouch \"$HOME/ran\"\n");
    assert_eq!(suite.tab(&["stars", "-"]), ":0\n");
    assert!(!suite.path("ran").exists());
}

#[test]
fn an_answer_counts_though_something_of_the_plugin_goes_on() {
    let suite = suite();
    let answer = "#!/bin/sh\ncase $1 in\n__ecsx) echo \
                  '{\"schema\":1,\"name\":\"b\",\"version\":\"1\",\"summary\":\"s\",\"complete\":true}';;\n\
                  __complete) sleep 60 & echo $! > \"$HOME/pids\"; printf 'a\\nb\\n:4\\n';;\nesac\n";
    suite.program("bin/ecsx-b", answer);
    assert_eq!(suite.run(&["plugin", "inspect", "b"]).code, Some(0));
    assert_eq!(suite.tab(&["b", ""]), "a\nb\n:4\n");
    gone(&suite);
}

#[test]
#[ignore = "needs setsid"]
fn who_is_asked_has_no_terminal_to_answer_on() {
    let suite = suite();
    let answer = "#!/bin/sh\ncase $1 in\n__ecsx) echo \
                  '{\"schema\":1,\"name\":\"b\",\"version\":\"1\",\"summary\":\"s\",\"complete\":true}';;\n\
                  __complete) (: </dev/tty) 2>/dev/null && echo rude || echo polite; echo :4;;\nesac\n";
    suite.program("bin/ecsx-b", answer);
    assert_eq!(suite.run(&["plugin", "inspect", "b"]).code, Some(0));
    let mut terminal = Terminal::start(&suite.ecsx(&["__complete", "b", ""]));
    terminal.wait_for("polite\r\n:4");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_note_reaches_only_a_shell_that_can_show_it() {
    let suite = suite();
    assert_eq!(suite.tab(&["stars", "--note", ""]), ":4\n");
    let mut command = suite.ecsx(&["__complete", "stars", "--note", ""]);
    let said = said(command.env("ECSX_COMPLETE_NOTES", "1"));
    assert_eq!(said.stdout, "_activeHelp_ Read 100% of it\n:4\n");
}

#[test]
fn what_cobra_means_otherwise_is_offered_as_no_word() {
    let suite = suite();
    for (said, offered) in [("json\\nyaml\\n:8", ":0\n"), ("x\\n:1", ":4\n"), ("sub\\n:16", ":16\n")] {
        let describe = r#"[ "$1" = __ecsx ] && echo '{"schema":1,"name":"b","version":"1","summary":"s","complete":true}' && exit"#;
        suite.program("bin/ecsx-b", format!("#!/bin/sh\n{describe}\nprintf '{said}\\n'\n"));
        assert_eq!(suite.run(&["plugin", "inspect", "b"]).code, Some(0));
        assert_eq!(suite.tab(&["b", ""]), offered, "{said}");
    }
}

#[test]
fn a_plugin_that_hangs_is_killed_with_its_children_and_offers_nothing() {
    let suite = suite();
    let mut command = suite.ecsx(&["__complete", "hangs", ""]);
    assert_eq!(said(command.env_remove("ECSX_COMPLETE_MS")).stdout, ":4\n");
    gone(&suite);
}

/// The processes that the plugin has named end.
fn gone(suite: &Suite) {
    let pids = fs::read_to_string(suite.path("pids")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    for pid in pids.split_whitespace() {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        while rustix::process::test_kill_process(pid).is_ok() && !zombie(pid.as_raw_nonzero().get()) {
            assert!(Instant::now() < deadline, "{pid:?} still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Killed, and waiting for whoever adopts it to notice.
fn zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn what_a_plugin_complains_of_never_reaches_the_terminal() {
    let suite = suite();
    for broken in ["echo loud >&2; exit 9", "printf 'a\\n\\033[2Jb\\nc\\n:4\\n'; echo loud >&2", "kill -9 $$"]
    {
        let describe = r#"[ "$1" = __ecsx ] && echo '{"schema":1,"name":"b","version":"1","summary":"s","complete":true}' && exit"#;
        suite.program("bin/ecsx-b", format!("#!/bin/sh\n{describe}\n{broken}\n"));
        assert_eq!(suite.run(&["plugin", "inspect", "b"]).code, Some(0));
        let said = suite.run(&["__complete", "b", ""]);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{broken}");
        assert!(!said.stdout.contains('\x1b'), "{:?}", said.stdout);
    }
}

#[test]
fn nonsense_before_the_cursor_offers_nothing_and_ends_well() {
    let suite = suite();
    for words in
        [&[][..], &["--no-such", ""], &["--color", "mauve", ""], &["-C", "/no/such", ""], &["\u{fffd}", "-"]]
    {
        let said = suite.run(&[&["__complete"], words].concat());
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{words:?}");
        assert!(said.stdout.lines().last().unwrap().starts_with(':'), "{:?}", said.stdout);
    }
}

#[test]
fn the_shims_are_printed_as_they_are_shipped_and_installed_where_shells_look() {
    let suite = suite();
    for (shell, shim, place) in [
        ("bash", "ecsx.bash", ".local/share/bash-completion/completions/ecsx"),
        ("zsh", "_ecsx", ".local/share/zsh/site-functions/_ecsx"),
        ("fish", "ecsx.fish", ".config/fish/completions/ecsx.fish"),
        ("powershell", "ecsx.ps1", ".config/powershell/ecsx.ps1"),
        ("elvish", "ecsx.elv", ".config/elvish/lib/ecsx.elv"),
        ("nushell", "ecsx.nu", ".config/nushell/autoload/ecsx.nu"),
    ] {
        let shipped =
            fs::read_to_string(format!("{}/completions/{shim}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(suite.run(&["completion", shell]).stdout, shipped);
        assert_eq!(suite.run(&["completion", "install", shell]).code, Some(0));
        assert_eq!(fs::read_to_string(suite.path(place)).unwrap(), shipped);
    }
    let mut command = suite.ecsx(&["completion", "install"]);
    assert!(said(command.env("SHELL", "/usr/bin/fish")).stdout.contains("ecsx.fish"));
    let said = suite.run(&["completion", "install"]);
    assert!(said.code == Some(1) && said.stderr.contains("ecsx completion install zsh"), "{}", said.stderr);
}

/// Starts a shell in the suite's empty directory, with the suite on PATH.
fn shell(suite: &Suite, program: &str, load: &str) -> Shell {
    let (arguments, setup) = plain(program, load);
    let mut command = Command::new(program);
    command.args(arguments).current_dir(suite.path("empty"));
    for (name, value) in suite.ecsx(&[]).get_envs() {
        command.env(name, value.unwrap());
    }
    let path = format!("{}:{}:/usr/bin:/bin", suite.path("suite").display(), suite.path("bin").display());
    command.env("PATH", path).env("PS1", PROMPT).env("HISTFILE", "/dev/null");
    // Enough for scripts, and the one that hangs is not waited for long.
    command.env("ECSX_COMPLETE_MS", "3000");
    Shell::start(&command, &setup)
}

/// What every shell has to do, whatever it is.
fn does_it_all(suite: &Suite, mut shell: Shell) {
    shell.complete("ecsx sta\t--pl\tven\t", "<ecsx><stars><--planet><venus>");
    shell.complete("ecsx stars --planet=ven\t", "<ecsx><stars><--planet=venus>");
    shell.complete("ecsx stars --at urn:a:t\t", "<ecsx><stars><--at><urn:a:two>");
    shell.complete("ecsx --cluster a sta\t--planet v\t", "<ecsx><--cluster><a><stars><--planet><venus>");
    shell.complete("ecsx --clus\ta plug\tinsp\tst\t", "<ecsx><--cluster><a><plugin><inspect><stars>");
    // A value is one word, whatever it says, and what was quoted is asked for without the quotes.
    shell.complete("ecsx stars --odd pr\t--planet v\t", "<ecsx><stars><--odd><prod east><--planet><venus>");
    shell.complete("ecsx stars --odd x\t", "<ecsx><stars><--odd><x;touch PWNED>");
    shell.complete("ecsx stars --odd \\$\t", "<ecsx><stars><--odd><$(touch PWNED)>");
    shell.complete("ecsx stars --odd it\t", "<ecsx><stars><--odd><it's \"`touch PWNED`\">");
    shell.complete("ecsx stars --odd 'pro\t", "<ecsx><stars><--odd><prod east>");
    shell.complete("ecsx stars --odd ba\t--planet v\t", "<ecsx><stars><--odd><back\\slash><--planet><venus>");
    shell.complete("ecsx stars --odd c\t--planet v\t", "<ecsx><stars><--odd><c:\\><--planet><venus>");
    // Of a part, the rest is typed right behind it.
    shell.complete("ecsx stars --part h\tx\t", "<ecsx><stars><--part><host=x>");
    // What helps to read is no word.
    shell.complete("ecsx stars --note \t\t", "<ecsx><stars><--note>");
    shell.complete("ecsx stars --late \t\t", "<ecsx><stars><--late><venus>");
    shell.complete(
        "ecsx --cluster 'a b' stars --planet v\t",
        "<ecsx><--cluster><a b><stars><--planet><venus>",
    );
    assert!(fs::read_to_string(suite.path("asked")).unwrap().contains("a b|__complete --planet v\n"));
    assert!(!suite.path("empty/PWNED").exists());
    shell.complete("ecsx hangs \t", "<ecsx><hangs>");
    gone(suite);
    shell.terminal.type_keys("ecsx stars --planet m\t\t");
    shell.terminal.wait_for("mercury");
}

/// A suite whose shells start in an empty directory.
fn with_empty_directory() -> Suite {
    let suite = suite();
    fs::create_dir(suite.path("empty")).unwrap();
    suite
}

#[test]
#[ignore = "needs bash and setsid"]
fn bash_completes() {
    let suite = with_empty_directory();
    suite.run(&["completion", "install", "bash"]);
    let shim = suite.path(".local/share/bash-completion/completions/ecsx");
    does_it_all(&suite, shell(&suite, "bash", &format!("source {}", shim.display())));
}

#[test]
#[ignore = "needs bash, setsid and bash-completion"]
fn bash_completion_loads_what_was_installed() {
    let suite = with_empty_directory();
    suite.run(&["completion", "install", "bash"]);
    does_it_all(&suite, shell(&suite, "bash", "source /usr/share/bash-completion/bash_completion"));
}

#[test]
#[ignore = "needs zsh and setsid"]
fn zsh_completes() {
    let suite = with_empty_directory();
    suite.run(&["completion", "install", "zsh"]);
    let load = "fpath=(~/.local/share/zsh/site-functions $fpath)";
    does_it_all(&suite, shell(&suite, "zsh", load));
    let mut shell = shell(&suite, "zsh", load);
    shell.terminal.type_keys("ecsx stars --note \t");
    shell.terminal.wait_for("Read 100% of it");
}

#[test]
#[ignore = "needs fish and setsid"]
fn fish_completes() {
    let suite = with_empty_directory();
    suite.run(&["completion", "install", "fish"]);
    // It finds what was installed by itself.
    does_it_all(&suite, shell(&suite, "fish", "true"));
}
