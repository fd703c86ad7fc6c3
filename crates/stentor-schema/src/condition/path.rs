//! Names with dots in a condition: [`Path`], and the forms that are written as one.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators},
};

/// `root.field.field`, each field with the node that selects it.
pub(super) struct Path {
    pub(super) root: String,
    pub(super) fields: Vec<(u64, String)>,
}

pub(super) fn path(node: &IdedExpr) -> Option<Path> {
    let mut fields = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Expr::Ident(root) if !fields.is_empty() => {
                fields.reverse();
                return Some(Path { root: root.trim_start_matches('.').to_owned(), fields });
            }
            Expr::Select(select) => {
                fields.push((node.id, select.field.clone()));
                node = &select.operand;
            }
            Expr::Call(call) => {
                let (operand, field) = optional_select(call)?;
                fields.push((node.id, field.to_owned()));
                node = operand;
            }
            _ => return None,
        }
    }
}

/// `a.?b` as its operand and field.
fn optional_select(call: &CallExpr) -> Option<(&IdedExpr, &str)> {
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::OPT_SELECT, [operand, field]) => Some((operand, literal_text(field)?)),
        _ => None,
    }
}

/// Writes `a['b']` as `a.b`, so that both are checked and evaluated alike.
pub(super) fn index_to_select(node: &mut IdedExpr) {
    let Expr::Call(call) = &mut node.expr else { return };
    let [operand, index] = call.args.as_mut_slice() else { return };
    if call.func_name != operators::INDEX {
        return;
    }
    if let Some(field) = literal_text(index).map(str::to_owned) {
        let mut operand = std::mem::take(operand);
        index_to_select(&mut operand);
        node.expr = Expr::Select(SelectExpr { operand: Box::new(operand), field, test: false });
    }
}

/// Writes `has(args.x)` as `args.x != null`: what was not given reads as null.
pub(super) fn has_to_comparison(node: &mut IdedExpr) {
    let Expr::Select(select) = &mut node.expr else { return };
    if !select.test {
        return;
    }
    select.test = false;
    let id = node.id;
    let value = std::mem::take(node);
    let null = IdedExpr { id, expr: Expr::Literal(LiteralValue::Null) };
    let func_name = operators::NOT_EQUALS.to_owned();
    *node = IdedExpr { id, expr: Expr::Call(CallExpr { func_name, target: None, args: vec![value, null] }) };
}

fn literal_text(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
