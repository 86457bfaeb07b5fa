//! A model of github.com/google/shlex, with which the agent splits a command line.

/// The words of `line`.
pub(crate) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut chars = line.chars().peekable();
    let mut words = Vec::new();
    'words: loop {
        while chars.next_if(|c| " \t\r\n".contains(*c)).is_some() {}
        match chars.peek() {
            None => return Ok(words),
            Some('#') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (quote, c) {
                (None, ' ' | '\t' | '\r' | '\n') => {
                    words.push(word);
                    continue 'words;
                }
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (None | Some('"'), '\\') => {
                    word.push(chars.next().ok_or("EOF found after escape character")?)
                }
                (_, c) => word.push(c),
            }
        }
        if quote.is_some() {
            return Err("EOF found when expecting closing quote");
        }
        words.push(word);
    }
}

#[test]
fn splits_as_measured() {
    let split = |line| split(line).unwrap();
    assert_eq!(split(r#"sh -c "a\b \"c\" $x" # no more"#), ["sh", "-c", r#"ab "c" $x"#]);
    assert_eq!(split(r"a'b c'd\ e '\' ''"), ["ab cd e", r"\", ""]);
    assert_eq!(split("a#b\nc"), ["a#b", "c"]);
}
