//! What the assistant knows, in memory: [`Store`].

use std::{sync::Arc, time::SystemTime};

use indexmap::IndexMap;
use parking_lot::Mutex;
use serde::Serialize;
use stentor::Principal;

/// Documents, and who owns a question or a conversation. A handle: clones share.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    /// By tenant and id, the oldest first.
    documents: IndexMap<(String, String), Document>,
    /// Subjects by the id of what they own, the oldest first.
    owners: IndexMap<String, String>,
}

/// A document of one tenant.
#[derive(Clone, Serialize)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) filename: String,
    pub(crate) status: Status,
    pub(crate) updated_at: String,
}

/// Where a document stands.
#[derive(Clone, Copy, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Uploaded,
    Indexing,
    Ready,
    Deleted,
}

impl Store {
    /// Adds a document.
    pub(crate) fn add_document(&self, tenant: &str, filename: String) -> Document {
        let document = Document { id: new_id(), filename, status: Status::Uploaded, updated_at: now() };
        let key = (tenant.to_owned(), document.id.clone());
        insert(&mut self.0.lock().documents, key, document.clone());
        document
    }

    /// Says where a document stands now; `None` when the tenant has no such document, or has deleted it.
    pub(crate) fn set_status(&self, tenant: &str, id: &str, status: Status) -> Option<Document> {
        let mut tables = self.0.lock();
        let document = tables.documents.get_mut(&(tenant.to_owned(), id.to_owned()))?;
        if document.status == Status::Deleted {
            return None;
        }
        document.status = status;
        document.updated_at = now();
        Some(document.clone())
    }

    /// One document of a tenant, also when it is deleted: whoever watches is to see that.
    pub(crate) fn document(&self, tenant: &str, id: &str) -> Option<Document> {
        self.0.lock().documents.get(&(tenant.to_owned(), id.to_owned())).cloned()
    }

    /// Every document of a tenant that is not deleted, the newest first.
    pub(crate) fn documents(&self, tenant: &str) -> Vec<Document> {
        let tables = self.0.lock();
        let own = tables.documents.iter().filter(|((owner, _), _)| owner == tenant);
        let there = own.map(|(_, document)| document).filter(|document| document.status != Status::Deleted);
        there.rev().cloned().collect()
    }

    /// The id of a new question or conversation, which belongs to whoever asks.
    pub(crate) fn open(&self, principal: Option<&Principal>) -> String {
        let id = new_id();
        insert(&mut self.0.lock().owners, id.clone(), subject(principal).to_owned());
        id
    }

    /// Whether a question or conversation belongs to whoever asks.
    pub(crate) fn owns(&self, principal: Option<&Principal>, id: &str) -> bool {
        self.0.lock().owners.get(id).is_some_and(|owner| owner == subject(principal))
    }
}

/// The moment, as events say it.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// An id that nobody can guess.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Adds a row; in a full table the oldest makes room.
fn insert<K: std::hash::Hash + Eq, V>(table: &mut IndexMap<K, V>, key: K, value: V) {
    if table.len() >= MAX_ROWS {
        table.shift_remove_index(0);
    }
    table.insert(key, value);
}

fn subject(principal: Option<&Principal>) -> &str {
    principal.and_then(Principal::subject).unwrap_or_default()
}

/// Rows of each table: an example must not grow for as long as it runs.
const MAX_ROWS: usize = 1_000;
