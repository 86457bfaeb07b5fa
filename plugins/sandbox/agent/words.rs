//! A command line cut into words as the agent does it in a container: quotes and backslashes as
//! in a shell, and nothing else of a shell (protocol.md 6.1).
//!
//! Unlike a shell's, a backslash in double quotes takes the next character, whichever it is.

/// The words of a line, or what is wrong with it.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => drop(rest.by_ref().find(|character| *character == '\n')),
            '\\' => {
                let escaped = rest.next().ok_or("EOF found after escape character")?;
                word.get_or_insert_default().push(escaped);
            }
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or("EOF found when expecting closing quote")? {
                        quote if quote == character => break,
                        '\\' if character == '"' => {
                            word.push(rest.next().ok_or("EOF found after escape character")?);
                        }
                        quoted => word.push(quoted),
                    }
                }
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_as_the_agent_cuts_them() {
        let cases: [(&str, &[&str]); 9] = [
            ("ls  -l\t/tmp\n", &["ls", "-l", "/tmp"]),
            ("sh -c 'a && b $X'", &["sh", "-c", "a && b $X"]),
            (r#"a "b \"c\" \n $d""#, &["a", r#"b "c" n $d"#]),
            (r"a\ b \'", &["a b", "'"]),
            (r"'a\b'", &[r"a\b"]),
            ("'' \"\" x''y", &["", "", "xy"]),
            ("a && b", &["a", "&&", "b"]),
            ("a#b # comment\nc", &["a#b", "c"]),
            ("", &[]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert!(split("a 'b").is_err() && split("a \"b").is_err() && split("a \\").is_err());
    }
}
