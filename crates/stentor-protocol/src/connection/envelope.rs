//! [`NextEnvelope`]: the bytes around a result.

/// The text around an execution result: `{"id":…,"type":"next","payload":` before it, [`TAIL`](Self::TAIL) after it.
///
/// Results are shared by all who receive them, and only this differs from one receiver to the next.
#[derive(Clone, Copy, Debug)]
pub struct NextEnvelope<'a> {
    escaped_id: &'a str,
}

impl<'a> NextEnvelope<'a> {
    /// What comes after the result.
    pub const TAIL: &'static str = "}";

    pub(super) fn new(escaped_id: &'a str) -> Self {
        Self { escaped_id }
    }

    /// What comes before the result, in three parts.
    pub fn head_parts(&self) -> [&'a str; 3] {
        [BEFORE_ID, self.escaped_id, AFTER_ID]
    }

    /// The length of what comes before the result, in bytes.
    pub fn head_len(&self) -> usize {
        BEFORE_ID.len() + self.escaped_id.len() + AFTER_ID.len()
    }

    /// Appends what comes before the result.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        for part in self.head_parts() {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

const BEFORE_ID: &str = r#"{"id":""#;
const AFTER_ID: &str = r#"","type":"next","payload":"#;
