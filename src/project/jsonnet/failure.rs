//! The evaluator's errors in words.

use rsjsonnet_lang::lexer::LexError;
use rsjsonnet_lang::parser::{ActualToken, ParseError};
use rsjsonnet_lang::program::{
    AnalyzeError, EvalErrorKind, EvalErrorValueType, EvalStackTraceItem, LoadError,
};
use rsjsonnet_lang::span::SpanId;

/// Where an item of a stack trace is.
pub(super) fn span_of(item: &EvalStackTraceItem) -> Option<&SpanId> {
    match item {
        EvalStackTraceItem::Expr { span }
        | EvalStackTraceItem::Variable { span, .. }
        | EvalStackTraceItem::Import { span } => Some(span),
        EvalStackTraceItem::Call { span, .. }
        | EvalStackTraceItem::ArrayItem { span, .. }
        | EvalStackTraceItem::ObjectField { span, .. } => span.as_ref(),
        _ => None,
    }
}

/// Why a source is no program, and where.
pub(super) fn load(error: &LoadError) -> (SpanId, String) {
    match error {
        LoadError::Lex(error) => lex(error),
        LoadError::Parse(ParseError::Expected { span, instead, .. }) => {
            let what = match instead {
                ActualToken::EndOfFile => return (*span, "the program ends too early".to_owned()),
                ActualToken::Ident(name) => format!("{name} is unexpected here"),
                ActualToken::Number => "a number is unexpected here".to_owned(),
                ActualToken::String | ActualToken::TextBlock => "a string is unexpected here".to_owned(),
                ActualToken::Simple(_) | ActualToken::OtherOp(_) => "this is unexpected here".to_owned(),
            };
            (*span, format!("{what}; is a comma missing before it?"))
        }
        LoadError::Analyze(error) => analyze(error),
    }
}

fn lex(error: &LexError) -> (SpanId, String) {
    let (span, message) = match error {
        LexError::InvalidChar { span, chr } => return (*span, format!("{chr:?} has no meaning here")),
        LexError::InvalidUtf8 { span, .. } => (span, "this is not UTF-8"),
        LexError::UnfinishedMultilineComment { span } => (span, "this comment is not closed"),
        LexError::LeadingZeroInNumber { span } => (span, "a number may not start with 0"),
        LexError::MissingFracDigits { span }
        | LexError::MissingExpDigits { span }
        | LexError::MissingDigitAfterUnderscore { span } => (span, "digits are missing in this number"),
        LexError::ExpOverflow { span } => (span, "this number is too large"),
        LexError::InvalidEscapeInString { span, .. }
        | LexError::IncompleteUnicodeEscape { span }
        | LexError::InvalidUtf16EscapeSequence { span, .. } => (span, "this escape is not valid in a string"),
        LexError::UnfinishedString { span } => (span, "this string is not closed"),
        LexError::MissingLineBreakAfterTextBlockStart { span }
        | LexError::MissingWhitespaceTextBlockStart { span }
        | LexError::InvalidTextBlockTermination { span } => (span, "this text block is malformed"),
    };
    (*span, message.to_owned())
}

fn analyze(error: &AnalyzeError) -> (SpanId, String) {
    let (span, message) = match error {
        AnalyzeError::UnknownVariable { span, name } => (span, format!("variable {name} is not defined")),
        AnalyzeError::SelfOutsideObject { self_span } => {
            (self_span, "`self` outside of an object".to_owned())
        }
        AnalyzeError::SuperOutsideObject { super_span } => {
            (super_span, "`super` outside of an object".to_owned())
        }
        AnalyzeError::DollarOutsideObject { dollar_span } => {
            (dollar_span, "`$` outside of an object".to_owned())
        }
        AnalyzeError::RepeatedLocalName { repeated_span, name, .. }
        | AnalyzeError::RepeatedFieldName { repeated_span, name, .. }
        | AnalyzeError::RepeatedParamName { repeated_span, name, .. } => {
            (repeated_span, format!("{name} is here a second time"))
        }
        AnalyzeError::PositionalArgAfterNamed { arg_span } => {
            (arg_span, "an argument without a name stands behind one with a name".to_owned())
        }
        AnalyzeError::TextBlockAsImportPath { span } | AnalyzeError::ComputedImportPath { span } => {
            (span, "import takes a plain string".to_owned())
        }
    };
    (*span, message)
}

/// Why an evaluation failed, and where if it knows that itself. What the program made itself is
/// told by `called`, for a variable may be in it.
pub(super) fn evaluation(kind: &EvalErrorKind, called: &dyn Fn(&str) -> String) -> (Option<SpanId>, String) {
    use EvalErrorKind as Kind;
    let (span, message) = match kind {
        Kind::StackOverflow => (None, "calls stand too deep in each other".to_owned()),
        Kind::InfiniteRecursion => (None, "a value depends on itself".to_owned()),
        Kind::UnknownExtVar { name } => (None, format!("the external variable {} is not set", called(name))),
        Kind::ExplicitError { span, message } => (Some(*span), called(message)),
        Kind::AssertFailed { span, message } => {
            let message =
                message.as_deref().map(|message| format!(": {}", called(message))).unwrap_or_default();
            (Some(*span), format!("an assertion failed{message}"))
        }
        Kind::UnknownObjectField { span, field_name } => {
            (Some(*span), format!("there is no field {}", called(field_name)))
        }
        Kind::RepeatedFieldName { span, name } => {
            (Some(*span), format!("field {} is here a second time", called(name)))
        }
        Kind::CalleeIsNotFunction { span, got_type } => {
            (*span, format!("{} cannot be called", word(*got_type)))
        }
        Kind::TooManyCallArgs { span, num_params } => {
            (*span, format!("too many arguments: it takes {num_params}"))
        }
        Kind::UnknownCallParam { span, param_name } => (*span, format!("there is no parameter {param_name}")),
        Kind::RepeatedCallParam { span, param_name } => (*span, format!("{param_name} is given twice")),
        Kind::CallParamNotBound { span, param_name } => {
            (*span, format!("the argument {param_name} is missing"))
        }
        Kind::ImportFailed { span, path } => (Some(*span), format!("cannot import {path}")),
        Kind::InvalidIndexedType { span, got_type } => {
            (Some(*span), format!("{} has no parts", word(*got_type)))
        }
        Kind::CondIsNotBool { span, got_type } => {
            (Some(*span), format!("a condition must be a boolean, not {}", word(*got_type)))
        }
        Kind::FieldNameIsNotString { span, got_type } => {
            (Some(*span), format!("a field's name must be a string, not {}", word(*got_type)))
        }
        Kind::NumericIndexOutOfRange { span, index, length } => {
            (Some(*span), format!("index {index} is out of range: there are {length}"))
        }
        Kind::InvalidBinaryOpTypes { span, lhs_type, rhs_type, .. } => {
            (*span, format!("{} and {} do not go together here", word(*lhs_type), word(*rhs_type)))
        }
        Kind::InvalidStdFuncArgType { func_name, got_type, .. } => {
            (None, format!("std.{func_name} does not take {}", word(*got_type)))
        }
        Kind::DivByZero { span } => (*span, "division by zero".to_owned()),
        Kind::ManifestFunction => (None, "a function is no value to write down".to_owned()),
        Kind::Other { span, message } => (*span, message.clone()),
        Kind::InvalidSlicedType { span, .. }
        | Kind::SliceIndexOrStepIsNotNumber { span, .. }
        | Kind::StringIndexIsNotNumber { span, .. }
        | Kind::ArrayIndexIsNotNumber { span, .. }
        | Kind::NumericIndexIsNotValid { span, .. }
        | Kind::ObjectIndexIsNotString { span, .. }
        | Kind::FieldOfNonObject { span }
        | Kind::SuperWithoutSuperObject { span }
        | Kind::ForSpecValueIsNotArray { span, .. }
        | Kind::InvalidUnaryOpType { span, .. } => {
            (Some(*span), "a value of this type does not fit here".to_owned())
        }
        _ => (None, "a value does not fit where it is used".to_owned()),
    };
    (span, message)
}

fn word(kind: EvalErrorValueType) -> &'static str {
    match kind {
        EvalErrorValueType::Null => "null",
        EvalErrorValueType::Bool => "a boolean",
        EvalErrorValueType::Number => "a number",
        EvalErrorValueType::String => "a string",
        EvalErrorValueType::Array => "a list",
        EvalErrorValueType::Object => "an object",
        EvalErrorValueType::Function => "a function",
    }
}
