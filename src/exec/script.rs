//! The text that runs in the container: POSIX sh, and in piped mode `stty`, `dd` and `base64`,
//! which BusyBox and coreutils have; `gzip` where there is one.

use super::marks::Nonce;
use super::quote::{line, quote};
use super::{Command, Mode};

/// Longest words given to ECS in the command line, bytes. ECS does not say what it takes;
/// longer ones go through the session.
const LONGEST_WORDS: usize = 2048;
/// Longest line sent while the terminal still edits lines, bytes. Linux cuts at 4095.
const LONGEST_INPUT: usize = 1000;
/// Bytes of output in one frame at most, before they are made smaller: what a pipe holds.
pub(super) const CHUNK: usize = 64 << 10;

/// A wrapper in its two parts.
#[derive(Debug)]
pub(super) struct Script {
    /// For ExecuteCommand: says hello, then runs what it reads up to an empty line; of a
    /// session that breaks off in between, nothing.
    pub(super) line: String,
    /// What it is to read: escaped, in lines that a terminal takes.
    pub(super) input: Vec<u8>,
}

impl Script {
    /// `hello` stands in the line, where everybody can read it; `secret` is what the script says
    /// after that, and no command can forge.
    pub(super) fn new(command: &Command, mode: Mode, hello: &Nonce, secret: &Nonce) -> Self {
        let nonce = secret.in_quotes();
        let words = words_in_line(command);
        let mut script = match (command, &words) {
            (Command::Shell, _) => {
                b"if command -v bash >/dev/null 2>&1;then set -- bash;else set -- sh;fi\n".to_vec()
            }
            (Command::Argv(words), None) => {
                let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
                [b"set -- ", &words.join(&b' ')[..], b"\n"].concat()
            }
            // A line may hold nothing but a comment, and `exec` nothing would succeed.
            _ => b"[ $# -gt 0 ]||set -- ''\n".to_vec(),
        };
        script.extend(check(&nonce).into_bytes());
        script.extend(match mode {
            Mode::Terminal => terminal(&nonce).into_bytes(),
            Mode::Piped => piped(&nonce).into_bytes(),
        });
        Self { line: boot(&hello.in_quotes(), words), input: lines(&script) }
    }
}

/// The words, where they can stand in the command line: there they show in CloudTrail and `ps`.
fn words_in_line(command: &Command) -> Option<String> {
    match command {
        Command::Shell => None,
        Command::Line(line) => Some(line.clone()),
        Command::Argv(words) => {
            line(words).filter(|line| !line.contains(char::is_control) && line.len() <= LONGEST_WORDS)
        }
    }
}

/// All variables begin with `ecsx_`: others may be the command's own, exported.
fn boot(nonce: &str, words: Option<String>) -> String {
    let boot = format!(
        r#"printf "\036{nonce}hello;";ecsx_s=;while IFS= read -r ecsx_l;do if [ "$ecsx_l" ];then ecsx_s=$ecsx_s$ecsx_l;else eval "$(printf %b "$ecsx_s")";exit;fi;done"#
    );
    let words = words.map(|words| format!(" {words}")).unwrap_or_default();
    format!("sh -c '{boot}' ecsx{words}")
}

/// Says, before anything begins, that there is no such program (127) or that it cannot be run (126),
/// which the shell would do with words of its own. What passes, a builtin say, `exec` may still refuse.
fn check(nonce: &str) -> String {
    format!(
        r#"{{ case $1 in */*)[ -x "$1" ]&&[ ! -d "$1" ];;*)command -v -- "$1";;esac;}} >/dev/null 2>&1||{{ ecsx_c=127;case $1 in */*)[ ! -e "$1" ]||ecsx_c=126;;esac;printf "\036{nonce}not$ecsx_c;";exit;}}
"#
    )
}

/// The command has the terminal. The shell stays for the exit code, deaf to the keys' signals
/// and silent about how the command died. Whoever stays in the background is not to stop it.
fn terminal(nonce: &str) -> String {
    format!(
        r#"exec 5>&2 2>/dev/null
trap : INT QUIT
printf "\036{nonce}start;"
(exec "$@" 2>&5 5>&-)
ecsx_c=$?
trap '' TTOU
printf "\036{nonce}$ecsx_c;"
"#
    )
}

/// The command has three pipes; loops carry them over the terminal, raw. `exec` in a subshell:
/// a word such as `exit` is a program to look for, not the shell's own.
///
/// stdin comes as frames: eight bytes (a size, `end`, `int` or `bye`), then so many bytes. A
/// frame is read whole before any of it is written, so that a command which does not read its
/// stdin leaves no half of one behind. `dd` reads frames, as `read` is not exact on a raw
/// terminal (bash takes 128 bytes at once). `int` is Ctrl-C, which everything but the command
/// ignores. `bye` kills the shell, the session's leader: the kernel then hangs up on whatever is
/// left.
///
/// Output is made small where there is a `gzip`, piece by piece: the agent sends 1 KiB per
/// millisecond at most. `ecsx_e` is what nothing becomes that way: the end. Each piece is one
/// write(2): a long one by `dd`, as shells write long ones in parts (bash: of 1008 bytes, and line
/// by line).
///
/// The exit code goes through stdout's own pipe, behind all that the command wrote; a
/// background process that keeps the pipe open holds nothing up.
///
/// The start's mark tells what was found: `f`, frames may be long; `z`, output is made small.
fn piped(nonce: &str) -> String {
    format!(
        r#"exec 3<&0 4>&1 2>/dev/null
for ecsx_t in stty dd base64;do command -v $ecsx_t||{{ printf "\036{nonce}no$ecsx_t;" >&4;exit;}};done >/dev/null
trap '' INT
stty raw -echo
if dd bs=1 count=0 iflag=fullblock </dev/null;then ecsx_f=f;ecsx_d(){{ dd bs=$1 count=1 iflag=fullblock;}}
else ecsx_f=;ecsx_d(){{ dd bs=1 count=$1|{{ cat||cat >/dev/null;}};}};fi
ecsx_e=$(gzip -1n </dev/null|base64)
if [ "$ecsx_e" ];then ecsx_f=${{ecsx_f}}z;ecsx_p(){{ dd bs={CHUNK} count=1|gzip -1n|base64;}}
else ecsx_p(){{ dd bs={CHUNK} count=1|base64;}};fi
ecsx_o(){{ while ecsx_x=$(ecsx_p);[ "$ecsx_x" ]&&[ "$ecsx_x" != "$ecsx_e" ];do
if [ ${{#ecsx_x}} -lt 900 ];then echo "$ecsx_h$1" $ecsx_x;else echo "$ecsx_h$1" $ecsx_x|dd ibs=4096 obs=1048576;fi
done >&4;}}
ecsx_h=$(printf "\036{nonce}")
printf "\036{nonce}start$ecsx_f;"
{{ {{ while ecsx_n=$(ecsx_d 8);do case $ecsx_n in [1-9]*)ecsx_d $ecsx_n;echo "${{ecsx_h}}t" >&4;;end*)exec >/dev/null;;int*)kill -2 0;echo "${{ecsx_h}}t" >&4;;*)kill -9 $$;exit;;esac;done <&3 6>&-;}}|
{{ (trap - INT;exec "$@" 2>&6 3<&- 4>&- 6>&-);printf "\036{nonce}$?;";printf "\036{nonce}end;" >&6;}}|
ecsx_o o 6>&-;}} 6>&1 >&4|
ecsx_o e
"#
    )
}

/// `script` as `printf %b` takes it, cut into lines, and the empty line.
fn lines(script: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(script.len() + script.len() / 4);
    for &byte in script {
        match byte {
            b' '..=b'[' | b']'..=b'~' => escaped.push(byte),
            byte => escaped.extend_from_slice(format!("\\0{byte:03o}").as_bytes()),
        }
    }
    let mut lines = Vec::with_capacity(escaped.len() + escaped.len() / LONGEST_INPUT + 2);
    for line in escaped.chunks(LONGEST_INPUT) {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    lines.push(b'\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(command: Command) -> Script {
        Script::new(&command, Mode::Piped, &Nonce::new([7; 8]), &Nonce::new([8; 8]))
    }

    fn argv(words: &[&[u8]]) -> Command {
        Command::Argv(words.iter().map(|word| word.to_vec()).collect())
    }

    #[test]
    fn the_words_show_in_the_command_line() {
        assert!(script(argv(&[b"rake", b"db:migrate"])).line.ends_with("' ecsx rake db:migrate"));
        assert!(script(Command::Line("sh -c \"ls | wc\"".into())).line.ends_with(" ecsx sh -c \"ls | wc\""));
    }

    #[test]
    fn words_that_cannot_stand_there_go_through_the_session() {
        for word in [&b"\xff"[..], b"a\nb", &[b'x'; LONGEST_WORDS + 1]] {
            let script = script(argv(&[b"echo", word]));
            assert!(script.line.ends_with("' ecsx"), "{}", script.line);
            assert!(script.input.starts_with(b"set -- 'echo' "));
        }
    }

    #[test]
    fn what_is_sent_is_safe_on_a_terminal_that_edits_lines() {
        let everything: Vec<u8> = (1..=255).collect();
        let input = script(argv(&[&everything.repeat(20)])).input;
        assert!(input.iter().all(|b| matches!(b, b' '..=b'~' | b'\n')));
        assert!(input.split(|b| *b == b'\n').all(|line| line.len() <= LONGEST_INPUT));
        assert!(input.ends_with(b"\n\n") && !input[..input.len() - 2].windows(2).any(|two| two == b"\n\n"));
    }

    #[test]
    fn nobody_finds_the_secret_in_the_line() {
        let script = script(Command::Shell);
        assert!(script.line.contains("07070707") && !script.line.contains("08080808"));
        assert!(script.input.windows(8).any(|bytes| bytes == b"08080808"));
    }

    #[test]
    fn the_boot_line_needs_no_escaping_in_single_quotes() {
        assert_eq!(script(Command::Shell).line.matches('\'').count(), 2);
    }
}
