//! From text to [`Condition`], with every mistake at its place.

use cel::ParseErrors;

use super::{Condition, ENVIRONMENT, check};
use crate::{diagnostic::Mistake, schema::Scope};

impl Condition {
    /// Compiles `source` and checks every name in it; ranges of mistakes are within `source`.
    pub(crate) fn compile(source: &str, scope: &Scope<'_>) -> Result<Self, Vec<Mistake>> {
        check_size(source).map_err(|mistake| vec![mistake])?;
        // The compiler needs up to 100 KiB of stack for each bracket, and its caller may have little left.
        std::thread::scope(|threads| {
            let compiler = std::thread::Builder::new().stack_size(COMPILER_STACK);
            match compiler
                .spawn_scoped(threads, || compile_and_check(source, scope))
                .map(|thread| thread.join())
            {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => {
                    Err(vec![Mistake::new(0..source.len(), "the condition makes its compiler fail")])
                }
                Err(error) => {
                    let message = format!("the condition cannot be compiled here: {error}");
                    Err(vec![Mistake::new(0..source.len(), message)])
                }
            }
        })
    }
}

fn compile_and_check(source: &str, scope: &Scope<'_>) -> Result<Condition, Vec<Mistake>> {
    match ENVIRONMENT.compile(source) {
        Ok(program) => check::check(&program, source, scope),
        Err(errors) => Err(vec![syntax_mistake(source, &errors)]),
    }
}

/// What must be refused before the compiler sees it: it recurses once per bracket, and has no limit of its own.
fn check_size(source: &str) -> Result<(), Mistake> {
    if source.trim().is_empty() {
        return Err(Mistake::new(0..source.len(), "a condition must not be empty")
            .help("compare something, `event.status == 'done'` say, or leave it out"));
    }
    if let Some(at) = source.find("{{") {
        return Err(Mistake::new(at..at + 2, "a condition names values without braces")
            .help("write `args.id`, not `{{ args.id }}`"));
    }
    if source.len() > MAX_BYTES {
        let message = format!("a condition of {} bytes: at most {MAX_BYTES} are allowed", source.len());
        return Err(Mistake::new(0..1, message).help("let the publisher decide, and compare its verdict"));
    }
    let tokens = tokens(source);
    let deepest = deepest_bracket(&tokens);
    if let Some(at) = deepest {
        let message = format!("brackets nest deeper than {MAX_NESTING}");
        return Err(Mistake::new(at..at + 1, message).help("write it with fewer brackets"));
    }
    match tokens.get(MAX_TOKENS) {
        Some(&(at, _)) => {
            Err(Mistake::new(at..at + 1, format!("more than {MAX_TOKENS} operators and brackets"))
                .help("let the publisher decide, and compare its verdict"))
        }
        None => Ok(()),
    }
}

/// Where the first bracket stands that is nested too deep.
fn deepest_bracket(tokens: &[(usize, char)]) -> Option<usize> {
    let mut depth = 0_usize;
    for &(at, character) in tokens {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Some(at);
        }
    }
    None
}

/// Every character that can make the compiler recurse, outside string literals.
fn tokens(source: &str) -> Vec<(usize, char)> {
    let mut tokens = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in source.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if "()[]{}.?:!-+*/%<>=&|".contains(character) => tokens.push((at, character)),
            None => {}
        }
    }
    tokens
}

fn syntax_mistake(source: &str, errors: &ParseErrors) -> Mistake {
    let Some(first) = errors.errors.first() else {
        return Mistake::new(0..1, "the condition cannot be read");
    };
    let at = offset(source, first.pos);
    let rest = &source[at..];
    let word = rest.find(|character: char| !character.is_alphanumeric()).unwrap_or(rest.len());
    let width = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    let message = if rest.is_empty() {
        "the condition ends too early".to_owned()
    } else {
        format!("the condition cannot be read: unexpected `{}`", &rest[..width])
    };
    let help =
        syntax_help(source).unwrap_or("a condition reads `event.status == 'done' && event.id == args.id`");
    Mistake::new(at..at + width, message).help(help)
}

/// The byte at line and column, both from 1.
fn offset(source: &str, (line, column): (isize, isize)) -> usize {
    let (line, column) = (usize::try_from(line).unwrap_or(1), usize::try_from(column).unwrap_or(1));
    let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &source[start.min(source.len())..];
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    start + within
}

/// What people write who think in another language.
fn syntax_help(source: &str) -> Option<&'static str> {
    let spaced = format!(" {source} ");
    let rows = [
        ("===", "CEL compares with `==`"),
        (" and ", "CEL writes `&&` for and"),
        (" or ", "CEL writes `||` for or"),
        (" not ", "CEL writes `!` for not"),
        ("<>", "CEL writes `!=`"),
    ];
    if let Some((_, help)) = rows.iter().find(|(pattern, _)| spaced.contains(pattern)) {
        return Some(help);
    }
    lone(source, '=', "=!<>")
        .then_some("CEL compares with `==`")
        .or_else(|| lone(source, '&', "&").then_some("CEL writes `&&` for and"))
        .or_else(|| lone(source, '|', "|").then_some("CEL writes `||` for or"))
}

/// Whether `character` stands somewhere without one of `companions` beside it.
fn lone(source: &str, character: char, companions: &str) -> bool {
    let characters: Vec<char> = source.chars().collect();
    characters.iter().enumerate().any(|(index, found)| {
        let beside = |at: usize| characters.get(at).is_some_and(|other| companions.contains(*other));
        *found == character && !(index > 0 && beside(index - 1)) && !beside(index + 1)
    })
}

/// Enough for [`MAX_NESTING`] brackets in a build without optimisation.
const COMPILER_STACK: usize = 64 << 20;
const MAX_BYTES: usize = 4096;
const MAX_NESTING: usize = 32;
const MAX_TOKENS: usize = 512;
