//! Stand-ins for the document, query and chat services: they take their time, and publish what the real ones publish.

use std::time::Duration;

use serde::Serialize;
use stentor::{Call, PublishError, Stentor};
use tokio::time::{interval, sleep};

use crate::store::{Status, Store, new_id, now};

/// Says that something became of a document: its bare id is all that goes out.
pub(crate) async fn announce(call: &Call<Store>, tenant: &str, id: &str) -> Result<(), PublishError> {
    call.publish(&format!("documents:{tenant}"), id).await
}

/// Takes a document from `uploaded` to `ready`, and announces each step.
pub(crate) async fn index(call: Call<Store>, tenant: String, id: String) {
    for status in [Status::Indexing, Status::Ready] {
        sleep(STEP).await;
        if call.state().set_status(&tenant, &id, status).is_none() {
            return;
        }
        told(announce(&call, &tenant, &id).await);
    }
}

/// Takes a question through its stages, as the query service writes them into `progress:{queryId}`.
pub(crate) async fn answer(call: Call<Store>, id: String, question: String) {
    let key = format!("progress:{id}");
    for (stage, progress, message) in STAGES {
        let message = format!("{message}: {question}");
        if let Err(error) = call.set_hash(&key, &Progress { stage, progress, message }).await {
            tracing::warn!(%error, stage, "a stage was not written");
        }
        sleep(STEP).await;
    }
}

/// Answers in a conversation.
pub(crate) async fn converse(call: Call<Store>, session: String, content: String) {
    sleep(STEP).await;
    let answer = format!("You asked: \"{content}\". A real assistant would know the answer.");
    told(call.publish(&format!("chat:{session}"), &message(&session, "assistant", &answer)).await);
}

/// One message, as `chat:{session}` carries it.
pub(crate) fn message(session: &str, role: &'static str, content: &str) -> Message {
    Message {
        message_id: new_id(),
        session_id: session.to_owned(),
        role,
        content: content.to_owned(),
        timestamp: now(),
    }
}

/// Uploads a document for the demo every now and then, so that a page that has just opened sees something.
pub(crate) async fn keep_uploading(stentor: Stentor, store: Store, tenant: &str) {
    let topic = format!("documents:{tenant}");
    let mut ticks = interval(3 * STEP);
    for number in 1_u64.. {
        let document = store.add_document(tenant, format!("report-{number}.pdf"));
        for status in [Status::Uploaded, Status::Indexing, Status::Ready] {
            ticks.tick().await;
            store.set_status(tenant, &document.id, status);
            told(stentor.publish(&topic, &document.id).await);
        }
    }
}

/// A message of a conversation.
#[derive(Clone, Serialize)]
pub(crate) struct Message {
    message_id: String,
    session_id: String,
    role: &'static str,
    content: String,
    timestamp: String,
}

/// What `progress:{queryId}` holds.
#[derive(Serialize)]
struct Progress {
    stage: &'static str,
    progress: f64,
    message: String,
}

/// Nobody waits for these events: all there is to do is to say that one was not published.
fn told(outcome: Result<(), PublishError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "an event was not published");
    }
}

const STAGES: [(&str, f64, &str); 5] = [
    ("received", 0.0, "Query accepted"),
    ("retrieving", 0.25, "Fetching documents"),
    ("reranking", 0.5, "Reordering results"),
    ("generating", 0.75, "Generating answer"),
    ("completed", 1.0, "Answer ready"),
];

/// How long a stand-in takes over one step.
const STEP: Duration = Duration::from_millis(700);
