//! Documents that were parsed and validated before: [`DocumentCache`].

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use apollo_compiler::{Name, Schema, collections::HashMap, schema::Implementers};
use lru::LruCache;
use parking_lot::Mutex;

use super::document::Document;

/// What planning keeps between requests: the valid documents of late, by their text.
///
/// A thousand subscribers that send the same text cost one parse. It holds at most [`CACHED_DOCUMENTS`] documents and
/// [`CACHED_BYTES`] of source; the one unused for longest gives way. A document over [`CACHEABLE_BYTES`] is not kept.
pub(crate) struct DocumentCache {
    kept: Mutex<Kept>,
    implementers: OnceLock<HashMap<Name, Implementers>>,
}

struct Kept {
    documents: LruCache<Arc<str>, Arc<Document>>,
    bytes: usize,
}

impl DocumentCache {
    /// The document of exactly this text, if it is kept.
    pub(super) fn get(&self, text: &str) -> Option<Arc<Document>> {
        if text.len() > CACHEABLE_BYTES {
            return None;
        }
        self.kept.lock().documents.get(text).cloned()
    }

    /// Keeps a valid document.
    pub(super) fn insert(&self, text: &str, document: &Arc<Document>) {
        if text.len() > CACHEABLE_BYTES {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.documents.put(text.into(), Arc::clone(document)).is_none() {
            kept.bytes += text.len();
        }
        while kept.bytes > CACHED_BYTES || kept.documents.len() > CACHED_DOCUMENTS {
            let Some((oldest, _)) = kept.documents.pop_lru() else { break };
            kept.bytes -= oldest.len();
        }
    }

    /// Which objects implement which interface; computed once, since the schema never changes.
    pub(super) fn implementers(&self, schema: &Schema) -> &HashMap<Name, Implementers> {
        self.implementers.get_or_init(|| schema.implementers_map())
    }
}

impl Default for DocumentCache {
    fn default() -> Self {
        let kept = Kept { documents: LruCache::unbounded(), bytes: 0 };
        Self { kept: Mutex::new(kept), implementers: OnceLock::new() }
    }
}

impl fmt::Debug for DocumentCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept.lock();
        formatter
            .debug_struct("DocumentCache")
            .field("documents", &kept.documents.len())
            .field("bytes", &kept.bytes)
            .finish_non_exhaustive()
    }
}

/// Documents that are kept at most.
const CACHED_DOCUMENTS: usize = 1_000;

/// Bytes of source that are kept at most; a parsed document weighs some ten times its source.
const CACHED_BYTES: usize = 2 << 20;

/// Bytes of source of the largest document that is kept.
const CACHEABLE_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use apollo_compiler::validation::Valid;

    use super::*;
    use crate::{OperationLimits, operation::document::Document};

    fn document() -> Arc<Document> {
        let schema: Valid<Schema> =
            Schema::parse_and_validate("type Query { a: Int }", "schema.graphql").unwrap();
        Arc::new(Document::parse("{ a }", &schema, &OperationLimits::default()).unwrap())
    }

    /// A text of so many bytes that no other number has.
    fn text(number: usize, bytes: usize) -> String {
        format!("{number:0bytes$}")
    }

    #[test]
    fn the_document_unused_for_longest_gives_way() {
        let (cache, document) = (DocumentCache::default(), document());
        for number in 0..CACHED_DOCUMENTS {
            cache.insert(&text(number, 8), &document);
        }
        assert!(cache.get(&text(0, 8)).is_some());
        cache.insert("one more", &document);
        let kept = [text(0, 8), text(2, 8), "one more".to_owned()];
        assert!(kept.iter().all(|text| cache.get(text).is_some()));
        assert!(cache.get(&text(1, 8)).is_none());
    }

    #[test]
    fn the_bytes_of_source_are_bounded() {
        let (cache, document) = (DocumentCache::default(), document());
        let fit = CACHED_BYTES / CACHEABLE_BYTES;
        for number in 0..=fit {
            cache.insert(&text(number, CACHEABLE_BYTES), &document);
            cache.insert(&text(number, CACHEABLE_BYTES), &document);
        }
        assert_eq!(cache.kept.lock().bytes, CACHED_BYTES);
        assert!(cache.get(&text(0, CACHEABLE_BYTES)).is_none());
        assert!(cache.get(&text(1, CACHEABLE_BYTES)).is_some());
    }

    #[test]
    fn a_large_document_is_not_kept() {
        let (cache, document) = (DocumentCache::default(), document());
        let large = text(0, CACHEABLE_BYTES + 1);
        cache.insert(&large, &document);
        assert!(cache.get(&large).is_none());
        assert_eq!(cache.kept.lock().bytes, 0);
    }
}
