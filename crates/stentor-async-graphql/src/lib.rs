//! Queries and mutations of a Stentor server, answered by an [async-graphql](async_graphql) schema.
//!
//! Start with [`AsyncGraphql`]. The schema file needs no more than the subscriptions; all other types, the queries and the
//! mutations are the program's own:
//!
//! ```
//! use async_graphql::{EmptyMutation, EmptySubscription, ID, Object, Schema, SimpleObject};
//! use stentor::Stentor;
//! use stentor_async_graphql::AsyncGraphql;
//!
//! #[derive(SimpleObject)]
//! struct Bot {
//!     id: ID,
//!     status: String,
//! }
//!
//! struct Query;
//!
//! #[Object]
//! impl Query {
//!     async fn bot(&self, id: ID) -> Option<Bot> {
//!         Some(Bot { id, status: "running".to_owned() })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let schema = Schema::build(Query, EmptyMutation, EmptySubscription).finish();
//! let subscriptions = r#"
//!     type Subscription {
//!         botChanged(id: ID!): Bot! @subscribe(topic: "bot:{{ args.id }}")
//!     }
//! "#;
//! let stentor = Stentor::builder().async_graphql(subscriptions, schema)?.build().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Directives on fields of the async-graphql schema
//!
//! A field that stands in the schema file too is one field: what is written there beside its name and its type is added.
//! The type and the arguments must be the same.
//!
//! ```graphql
//! type Subscription {
//!   botChanged(id: ID!): Bot! @subscribe(topic: "bot:{{ args.id }}")
//! }
//!
//! extend type Query {
//!   bot(id: ID!): Bot @hasScope(scope: "view", resource: "bot:{{ args.id }}")
//! }
//!
//! extend type Bot {
//!   id: ID! @from(keys: ["id", "bot_id"])
//!   profit: Float @hasScope(scope: "view", resource: "bot:{{ parent.id }}")
//! }
//! ```
//!
//! `@from` finds values in events; what async-graphql answers is found under its own names.
//!
//! # What the resolvers see
//!
//! The principal is in the context: `ctx.data_opt::<Arc<stentor::Principal>>()`, `None` for an anonymous client. Each root
//! field is a request of its own, with what the client selected of it. Its errors come back with their extensions. A field
//! that failed is null, and a null that a type does not allow takes the parent along, as GraphQL has it; async-graphql by
//! itself leaves the key out. Introspection is answered by Stentor. Uploads and headers of the response have no way through.

mod error;
mod merge;

use std::sync::Arc;

use async_graphql::{ObjectType, Request, Schema, SubscriptionType, Variables};
use serde_json::Value;
use stentor::{Builder, Call, ErrorCode, Forwarded, Projected, ResolverError};

pub use crate::error::{MergeError, Mistake};
use crate::merge::merge;

/// What a [`Builder`] learns by this crate.
pub trait AsyncGraphql: Sized {
    /// Lets `schema` answer the fields of Query and Mutation. `sdl` is the schema file, with the subscriptions; it takes the
    /// place of [`Builder::schema`]. A subscription type of `schema` is left out.
    ///
    /// # Errors
    ///
    /// Both define the same thing in two ways. Other mistakes in `sdl` are told when the server is built.
    fn async_graphql<Q, M, S>(self, sdl: &str, schema: Schema<Q, M, S>) -> Result<Self, MergeError>
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static;
}

impl<T: Clone + Send + Sync + 'static> AsyncGraphql for Builder<T> {
    fn async_graphql<Q, M, S>(self, sdl: &str, schema: Schema<Q, M, S>) -> Result<Self, MergeError>
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let merged = merge(sdl, &schema.sdl())?;
        let mut builder = self.schema(merged.sdl);
        for coordinate in &merged.coordinates {
            let schema = schema.clone();
            builder =
                builder.forward(coordinate, move |forwarded, call| answer(schema.clone(), forwarded, call));
        }
        Ok(builder)
    }
}

async fn answer<T, Q, M, S>(
    schema: Schema<Q, M, S>,
    forwarded: Forwarded,
    call: Call<T>,
) -> Result<Projected, ResolverError>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    let variables = Variables::from_json(Value::Object(forwarded.variables));
    let mut request = Request::new(forwarded.query).variables(variables);
    if let Some(principal) = call.shared_principal() {
        request = request.data(Arc::clone(principal));
    }
    let response = schema.execute(request).await;
    match serde_json::to_value(response) {
        Ok(Value::Object(response)) => Ok(Projected::from_response(response)),
        _ => Err(ResolverError::new(ErrorCode::InternalServerError, "the field could not be resolved")),
    }
}
