//! What answers, loads and guards the fields of the schema: [`mount`].

use serde::{Deserialize, Serialize};
use stentor::{Builder, Call, ErrorCode, Load, ResolverError};

use crate::{
    services::{announce, answer, converse, index, message},
    store::{Document, Status, Store},
};

/// Gives a server every function that the schema asks for.
pub(crate) fn mount(builder: Builder, store: Store) -> Builder<Store> {
    builder
        .state(store)
        .resolver("Query.documents", documents)
        .resolver("Mutation.uploadDocument", upload_document)
        .resolver("Mutation.deleteDocument", delete_document)
        .resolver("Mutation.ask", ask)
        .resolver("Mutation.startChat", start_chat)
        .resolver("Mutation.say", say)
        .load("Subscription.documentUpdates", document)
        .guard("Mutation.say", own_session)
        .guard("Subscription.chatUpdates", own_session)
        .guard("Subscription.queryProgress", own_query)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTenant {
    tenant_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upload {
    tenant_id: String,
    filename: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InDocument {
    tenant_id: String,
    document_id: String,
}

#[derive(Deserialize)]
struct Question {
    question: String,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InSession {
    session_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Say {
    session_id: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InQuery {
    query_id: String,
}

async fn documents(arguments: InTenant, call: Call<Store>) -> Result<Vec<Document>, ResolverError> {
    Ok(call.state().documents(&arguments.tenant_id))
}

async fn upload_document(arguments: Upload, call: Call<Store>) -> Result<Document, ResolverError> {
    let document = call.state().add_document(&arguments.tenant_id, arguments.filename);
    announce(&call, &arguments.tenant_id, &document.id).await?;
    tokio::spawn(index(call, arguments.tenant_id, document.id.clone()));
    Ok(document)
}

async fn delete_document(
    arguments: InDocument,
    call: Call<Store>,
) -> Result<Option<Document>, ResolverError> {
    let InDocument { tenant_id, document_id } = arguments;
    // Marked before its id goes out: whoever watches loads it, and must find what became of it.
    let deleted = call.state().set_status(&tenant_id, &document_id, Status::Deleted);
    if deleted.is_some() {
        announce(&call, &tenant_id, &document_id).await?;
    }
    Ok(deleted)
}

async fn ask(arguments: Question, call: Call<Store>) -> Result<String, ResolverError> {
    // The owner is known before the id is: whoever has the id may watch at once.
    let id = call.state().open(call.principal());
    tokio::spawn(answer(call, id.clone(), arguments.question));
    Ok(id)
}

async fn start_chat(_: Nothing, call: Call<Store>) -> Result<String, ResolverError> {
    Ok(call.state().open(call.principal()))
}

async fn say(arguments: Say, call: Call<Store>) -> Result<impl Serialize, ResolverError> {
    let said = message(&arguments.session_id, "user", &arguments.content);
    call.publish(&format!("chat:{}", arguments.session_id), &said).await?;
    tokio::spawn(converse(call, arguments.session_id, arguments.content));
    Ok(said)
}

/// What the bare id on `documents:{tenant}` stands for. It is looked up in that tenant alone: an id of another finds nothing.
async fn document(arguments: InTenant, load: Load<Store>) -> Result<Option<Document>, ResolverError> {
    let id: String = load.event()?;
    Ok(load.state().document(&arguments.tenant_id, &id))
}

async fn own_session(arguments: InSession, call: Call<Store>) -> Result<(), ResolverError> {
    own(&call, &arguments.session_id)
}

async fn own_query(arguments: InQuery, call: Call<Store>) -> Result<(), ResolverError> {
    own(&call, &arguments.query_id)
}

/// The answer is the same whether the id is somebody else's or nobody's.
fn own(call: &Call<Store>, id: &str) -> Result<(), ResolverError> {
    if call.state().owns(call.principal(), id) {
        return Ok(());
    }
    Err(ResolverError::new(ErrorCode::Forbidden, format!("\"{id}\" is not yours")))
}
