//! SDL to checked schema, client document to plan, event to projected result.
//!
//! Start with [`Schema::parse`], then [`Schema::plan`]. Knows no network, no broker and no clock.

mod condition;
mod diagnostic;
mod error;
mod event;
mod field;
mod grants;
mod hash;
mod json;
mod operation;
mod schema;
mod template;

pub use condition::{Bindings, Condition, ConditionError};
pub use diagnostic::{Diagnostic, Diagnostics, suggestion};
pub use error::{ErrorCode, GraphQLError, PathSegment};
pub use event::{Event, Malformed};
pub use field::{
    Delivery, EventFeed, Feed, HandlerKind, Load, OnMissing, Overflow, RootField, ScopeGuard, TenantGuard,
    ValueSource,
};
pub use grants::Grants;
pub use hash::HashTypes;
pub use operation::{
    ExecutionResult, Forwarded, Operation, OperationLimits, Projected, Request, Resolved, RootCall, RootPlan,
    SubscriptionPlan,
};
pub use schema::{Schema, SchemaOptions};
pub use template::{RenderError, Template, TemplateScope};

/// A JSON object, as arguments, variables and claims are.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;
