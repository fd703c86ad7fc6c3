//! What a condition that parses may still get wrong.

use std::{collections::BTreeSet, ops::Range};

use cel::{
    IdedExpr, Program,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators},
};

use super::{
    Condition, functions,
    path::{Path, has_to_comparison, index_to_select, path},
};
use crate::{
    diagnostic::{Mistake, suggestion},
    schema::{Scope, Segment, Strictness},
};

/// Checks every name and call of `program`.
pub(super) fn check(program: &Program, source: &str, scope: &Scope<'_>) -> Result<Condition, Vec<Mistake>> {
    if depth(program.expression()) > MAX_DEPTH {
        let message = format!("operators nest deeper than {MAX_DEPTH}");
        return Err(vec![
            Mistake::new(0..source.len(), message).help("let the publisher decide, and compare its verdict"),
        ]);
    }
    let mut expression = program.expression().clone();
    let mut checker = Checker {
        source,
        info: program.source_info(),
        scope,
        locals: Vec::new(),
        claims: BTreeSet::new(),
        mistakes: Vec::new(),
    };
    checker.visit(&mut expression);
    if let Some(kind) = other_than_bool(&expression.expr) {
        let message = format!("a condition is true or false, this one is {kind}");
        checker.mistakes.push(Mistake::new(0..source.len(), message).help("compare it with something"));
    }
    if checker.mistakes.is_empty() {
        Ok(Condition { expression: Box::new(expression), claims: checker.claims })
    } else {
        Err(checker.mistakes)
    }
}

struct Checker<'a> {
    source: &'a str,
    info: &'a SourceInfo,
    scope: &'a Scope<'a>,
    /// Variables of the macros around the node.
    locals: Vec<String>,
    claims: BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

impl Checker<'_> {
    fn visit(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        match &mut node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.visit_name(id, &name.clone()),
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.visit(element)),
            Expr::Map(map) => map.entries.iter_mut().for_each(|entry| self.visit_entry(&mut entry.expr)),
            Expr::Struct(message) => {
                let name = message.type_name.clone();
                let help = Some("compare the fields of the event one by one".to_owned());
                self.refuse(self.near(id, &name), format!("unknown type `{name}`"), help);
            }
            Expr::Comprehension(comprehension) => self.visit_comprehension(id, comprehension),
            Expr::Call(_) | Expr::Select(_) => self.visit_reading(node),
        }
    }

    /// A selection or a call: a path below `args` or `claims` is checked whole, anything else part by part.
    fn visit_reading(&mut self, node: &mut IdedExpr) {
        index_to_select(node);
        if let Some(path) = path(node) {
            let shadowed = self.locals.contains(&path.root);
            match path.root.as_str() {
                "args" if !shadowed => {
                    self.visit_argument(&path);
                    has_to_comparison(node);
                    return;
                }
                "claims" if !shadowed => return self.visit_claim(&path),
                _ => {}
            }
        }
        let id = node.id;
        match &mut node.expr {
            Expr::Select(select) => self.visit(&mut select.operand),
            Expr::Call(call) => self.visit_call(id, call),
            _ => {}
        }
    }

    fn visit_name(&mut self, id: u64, name: &str) {
        let name = name.trim_start_matches('.');
        let local = name.starts_with('@') || self.locals.iter().any(|local| local == name);
        if local || name == "event" || functions::TYPES.contains(&name) {
            return;
        }
        let range = self.near(id, name);
        if matches!(name, "args" | "claims") {
            let message = format!("`{name}` must be read by name");
            return self.refuse(range, message, Some(format!("write `{name}.` and the name of one")));
        }
        if self.scope.arguments.iter().any(|argument| argument.name == name) {
            let help = format!("arguments are below `args`: `args.{name}`");
            return self.refuse(range, format!("unknown name `{name}`"), Some(help));
        }
        let known = self
            .scope
            .roots()
            .into_iter()
            .chain(self.locals.iter().map(String::as_str).filter(|local| !local.starts_with('@')));
        let help = suggestion(name, known);
        self.refuse(range, format!("unknown name `{name}`"), help);
    }

    fn visit_argument(&mut self, path: &Path) {
        let segments = self.segments(path);
        if let Err(mistake) = self.scope.check_argument(&segments, Strictness::Any) {
            self.mistakes.push(mistake);
        }
    }

    fn visit_claim(&mut self, path: &Path) {
        let segments = self.segments(path);
        let start = segments.first().map_or(0, |first| first.range.start);
        if let Err(mistake) = self.scope.check_claims(self.root_before(start, "claims")) {
            self.mistakes.push(mistake);
        }
        self.claims.extend(segments.into_iter().next().map(|first| first.name));
    }

    fn visit_entry(&mut self, entry: &mut EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&mut field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&mut entry.key);
                self.visit(&mut entry.value);
            }
        }
    }

    fn visit_comprehension(&mut self, id: u64, comprehension: &mut ComprehensionExpr) {
        self.visit(&mut comprehension.iter_range);
        self.visit(&mut comprehension.accu_init);
        let outside = self.locals.len();
        self.locals.push(comprehension.iter_var.clone());
        self.locals.extend(comprehension.iter_var2.clone());
        self.locals.push(comprehension.accu_var.clone());
        if let Some(root) = self.locals[outside..].iter().find(|local| ROOTS.contains(&local.as_str())) {
            let (range, message) =
                (self.near(id, root), format!("the variable `{root}` hides the value of that name"));
            self.refuse(range, message, Some("choose another name".to_owned()));
        }
        self.visit(&mut comprehension.loop_cond);
        self.visit(&mut comprehension.loop_step);
        self.visit(&mut comprehension.result);
        self.locals.truncate(outside);
    }

    fn visit_call(&mut self, id: u64, call: &mut CallExpr) {
        let of_optional = calls_optional(call);
        if is_name(&call.func_name) && !of_optional {
            self.check_function(id, call);
        }
        if let Some(target) = call.target.as_mut().filter(|_| !of_optional) {
            self.visit(target);
        }
        call.args.iter_mut().for_each(|argument| self.visit(argument));
    }

    fn check_function(&mut self, id: u64, call: &CallExpr) {
        let name = call.func_name.as_str();
        let range = self.near(id, name);
        let Some(function) = functions::find(name) else {
            let message = if functions::MACROS.contains(&name) {
                format!("`{name}` is not called like this")
            } else {
                format!("unknown function `{name}`")
            };
            let help = functions::MACROS
                .contains(&name)
                .then(|| macro_help(name))
                .or_else(|| suggestion(name, functions::names()));
            return self.refuse(range, message, help);
        };
        let expected = if call.target.is_some() { function.member } else { function.global };
        if expected != Some(call.args.len()) {
            let message = format!("`{name}` is not called like this");
            return self.refuse(range, message, Some(call_help(function)));
        }
        if name == "matches" {
            self.check_pattern(call, range);
        }
    }

    /// A pattern is compiled for every event: one that a client chose would let it choose the cost.
    fn check_pattern(&mut self, call: &CallExpr, range: Range<usize>) {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|last| &last.expr)
        else {
            let help = "for a value, compare with `==`, `contains`, `startsWith` or `endsWith`";
            return self.refuse(
                range,
                "the pattern of `matches` must be written out".to_owned(),
                Some(help.to_owned()),
            );
        };
        if let Some(error) = super::pattern_error(pattern.inner()) {
            let help = Some("write it in the syntax of Rust's `regex`: `\\(` for a bracket, say".to_owned());
            self.refuse(range, format!("the pattern of `matches` cannot be read: {error}"), help);
        }
    }

    fn refuse(&mut self, range: Range<usize>, message: String, help: Option<String>) {
        self.mistakes.push(Mistake { range, message, help });
    }

    fn segments(&self, path: &Path) -> Vec<Segment> {
        let mut after = path.fields.first().map_or(0, |(id, _)| self.start(*id));
        let mut segments = Vec::with_capacity(path.fields.len());
        for (id, name) in &path.fields {
            let from = self.start(*id).max(after);
            let range = find(self.source, from, name).unwrap_or(0..self.source.len());
            after = range.end;
            segments.push(Segment { name: name.clone(), range });
        }
        segments
    }

    /// `root` with its path's first name, which begins at `start`.
    fn root_before(&self, start: usize, root: &str) -> Range<usize> {
        match self.source[..start].rfind(root) {
            Some(at) => at..at + root.len(),
            None => start..start + 1,
        }
    }

    /// Where `name` stands: at the node, before it (a call's place is its bracket), or after it (a macro's).
    fn near(&self, id: u64, name: &str) -> Range<usize> {
        let start = self.start(id);
        let before = self.source[..start].trim_end();
        if !self.source[start..].starts_with(name) && before.ends_with(name) {
            return before.len() - name.len()..before.len();
        }
        find(self.source, start, name).or_else(|| find(self.source, 0, name)).unwrap_or(start..start + 1)
    }

    fn start(&self, id: u64) -> usize {
        let offset = self.info.offset_for(id).map_or(0, |(start, _)| start as usize);
        self.source.char_indices().nth(offset).map_or(self.source.len(), |(at, _)| at)
    }
}

/// How deep an evaluation recurses.
fn depth(node: &IdedExpr) -> usize {
    let deepest = |nodes: &[IdedExpr]| nodes.iter().map(depth).max().unwrap_or(0);
    1 + match &node.expr {
        Expr::Call(call) => deepest(&call.args).max(call.target.as_deref().map_or(0, depth)),
        Expr::Comprehension(macros) => {
            [&macros.iter_range, &macros.accu_init, &macros.loop_cond, &macros.loop_step, &macros.result]
                .map(depth)
                .into_iter()
                .max()
                .unwrap_or(0)
        }
        Expr::List(list) => deepest(&list.elements),
        Expr::Map(map) => map.entries.iter().map(|entry| entry_depth(&entry.expr)).max().unwrap_or(0),
        Expr::Select(select) => depth(&select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => 0,
    }
}

fn entry_depth(entry: &EntryExpr) -> usize {
    match entry {
        EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
        EntryExpr::StructField(field) => depth(&field.value),
    }
}

fn calls_optional(call: &CallExpr) -> bool {
    let target = call.target.as_ref().map(|target| &target.expr);
    matches!(target, Some(Expr::Ident(name)) if name == "optional")
        && functions::OPTIONAL.contains(&call.func_name.as_str())
}

/// What the whole expression certainly is, if that is no `bool`.
fn other_than_bool(expression: &Expr) -> Option<&'static str> {
    match expression {
        Expr::List(_) => Some("a list"),
        Expr::Map(_) => Some("a map"),
        Expr::Literal(LiteralValue::Boolean(_)) => None,
        Expr::Literal(LiteralValue::String(_)) => Some("a string"),
        Expr::Literal(LiteralValue::Null) => Some("null"),
        Expr::Literal(_) => Some("a number"),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE => Some("a sum"),
            operators::MODULO | operators::NEGATE => Some("a number"),
            "size" | "int" | "uint" | "double" => Some("a number"),
            "string" => Some("a string"),
            _ => None,
        },
        _ => None,
    }
}

fn macro_help(name: &str) -> String {
    match name {
        "has" => "write `has(event.key)`".to_owned(),
        _ => format!("write `event.items.{name}(item, item == 'x')`"),
    }
}

fn call_help(function: &functions::Function) -> String {
    let arguments = |count: usize| ["", "x", "x, y"][count.min(2)];
    let member = function.member.map(|count| format!("`value.{}({})`", function.name, arguments(count)));
    let global = function.global.map(|count| format!("`{}({})`", function.name, arguments(count)));
    let forms: Vec<String> = member.into_iter().chain(global).collect();
    format!("write {}", forms.join(" or "))
}

fn find(source: &str, from: usize, name: &str) -> Option<Range<usize>> {
    let at = source.get(from..)?.find(name)? + from;
    Some(at..at + name.len())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Each level of an evaluation costs up to 40 KiB of stack without optimisation, and a worker thread has 2 MiB.
pub(super) const MAX_DEPTH: usize = 24;

const ROOTS: [&str; 3] = ["args", "claims", "event"];
