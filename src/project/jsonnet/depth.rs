//! How deep a program's expressions stand in each other. The evaluator's parser calls itself
//! for each, and a stack that overflows cannot be caught.

use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::interner::StrInterner;
use rsjsonnet_lang::lexer::Lexer;
use rsjsonnet_lang::span::SpanManager;
use rsjsonnet_lang::token::{STokenKind as Kind, TokenKind};

use super::super::error::{Error, ErrorKind, Source};

/// The deepest that brackets may stand in each other. (An evaluation stops at 500 calls.)
const DEEPEST: usize = 1000;
/// How many words there may be behind which an expression follows, each within the last; and
/// how many calls and the like directly behind one another.
const MOST_WORDS: usize = 2000;
/// How many fields of fields there may be.
const MOST_DOTS: usize = 8000;

/// Refuses a program that is too deep. One that is malformed is left to the parser.
pub(super) fn check(source: &Source) -> Result<(), Error> {
    let (arena, words_arena, mut spans) = (Arena::new(), Arena::new(), SpanManager::new());
    let interner = StrInterner::new();
    let (context, _) = spans.insert_source_context(source.text.len());
    let lexer = Lexer::new(&arena, &words_arena, &interner, &mut spans, context, source.text.as_bytes());
    let Ok(tokens) = lexer.lex_to_eof(false) else { return Ok(()) };
    let (mut depth, mut words, mut dots, mut closed) = (0_usize, 0, 0, false);
    for token in tokens {
        let after_bracket = std::mem::take(&mut closed);
        match token.kind {
            TokenKind::Simple(Kind::LeftBrace | Kind::LeftBracket | Kind::LeftParen) => {
                depth += 1;
                words += usize::from(after_bracket);
            }
            TokenKind::Simple(Kind::RightBrace | Kind::RightBracket | Kind::RightParen) => {
                depth = depth.saturating_sub(1);
                closed = true;
            }
            TokenKind::Simple(
                Kind::Assert | Kind::Error | Kind::For | Kind::Function | Kind::If | Kind::Local,
            ) => words += 1,
            TokenKind::Simple(Kind::Dot) => dots += 1,
            _ => {}
        }
        if depth > DEEPEST || words > MOST_WORDS || dots > MOST_DOTS {
            let (_, start, end) = spans.get_span(token.span);
            let place = source.place(start, end - start);
            return Err(Error::at(ErrorKind::TooLarge, place, "expressions stand too deep in each other"));
        }
    }
    Ok(())
}
