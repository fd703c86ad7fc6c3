//! Why a subscription ends without having been completed: [`Error`]; and what may be mended by waiting: [`Loss`].

use serde_json::Value;
use stentor_protocol::{CloseCode, client::is_retryable};

/// Why a subscription has ended for good.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was given as the server's address is none.
    #[error("{0}")]
    Address(String),
    /// The server closed the connection, and would do so again.
    #[error("{}", closed(*code, reason))]
    Closed {
        /// The close code.
        code: u16,
        /// The server's words.
        reason: String,
    },
    /// No connection can be made; trying again would not help.
    #[error("{0}")]
    Connect(String),
    /// The server refuses the operation, or could not go on with it; at least one GraphQL error.
    #[error("{}", messages(.0))]
    Operation(Vec<Value>),
    /// The connection was lost, and the attempts to make it anew are used up.
    #[error("{reason}{}", given_up(*attempts))]
    RetriesUsedUp {
        /// Why the last attempt failed.
        reason: String,
        /// How many there were.
        attempts: u32,
    },
}

/// Why a connection is gone.
#[derive(Debug)]
pub(super) enum Loss {
    /// It would be lost again.
    Final(Error),
    /// It may be made anew; says what happened.
    Passing(String),
}

impl Loss {
    /// By a close frame; 1005 stands for one without a code.
    pub(super) fn by_close(code: u16, reason: &str) -> Self {
        // The reference client tries a new token after 4403. This one has but the token that was refused.
        let is_final = !is_retryable(code) || code == CloseCode::Forbidden.code();
        if is_final {
            return Self::Final(Error::Closed { code, reason: reason.to_owned() });
        }
        Self::Passing(closed(code, reason))
    }
}

fn given_up(attempts: u32) -> String {
    if attempts == 0 { String::new() } else { format!("; gave up after attempt {attempts} to connect again") }
}

fn closed(code: u16, reason: &str) -> String {
    let meaning = match code {
        1000 => "the server has nothing more to say",
        1002 | 1007 | 4004 => "server and client do not understand each other",
        1003 | 1008 => "the server does not take what was sent",
        1009 => "the request is longer than the server takes",
        1011 | 4500 => "something broke in the server",
        1012 => "the server restarts",
        1013 => "the server is overloaded",
        4400 => "the server cannot read the request",
        4401 | 4403 => "the server does not let this client in",
        4406 => "the server does not speak graphql-transport-ws",
        4408 => "the server waited too long for this client",
        4409 | 4429 => "the server says that this client repeats itself",
        4504 => "the server did not answer in time",
        _ => "the server closed the connection",
    };
    if reason.is_empty() { format!("{meaning} ({code})") } else { format!("{meaning} ({code}: {reason})") }
}

/// The messages of GraphQL errors, each on a line, with codes where there are any.
fn messages(errors: &[Value]) -> String {
    let lines: Vec<_> = errors.iter().map(message).collect();
    lines.join("\n")
}

fn message(error: &Value) -> String {
    let text = error["message"].as_str().unwrap_or("the server gives no reason");
    match error["extensions"]["code"].as_str() {
        Some(code) => format!("{text} ({code})"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_would_come_again_are_final() {
        for code in [1002, 1009, 1011, 4004, 4400, 4401, 4403, 4406, 4409, 4429, 4500] {
            assert!(matches!(Loss::by_close(code, ""), Loss::Final(_)), "{code}");
        }
        for code in [1000, 1001, 1005, 1006, 1012, 1013, 4408, 4504, 4999] {
            assert!(matches!(Loss::by_close(code, ""), Loss::Passing(_)), "{code}");
        }
    }

    #[test]
    fn a_close_is_told_in_words_with_its_code_and_the_servers_reason() {
        assert_eq!(closed(4500, ""), "something broke in the server (4500)");
        assert_eq!(closed(4999, "bye"), "the server closed the connection (4999: bye)");
    }

    #[test]
    fn graphql_errors_are_told_with_their_codes() {
        let errors = [serde_json::json!({"message": "no", "extensions": {"code": "FORBIDDEN"}}), Value::Null];
        assert_eq!(messages(&errors), "no (FORBIDDEN)\nthe server gives no reason");
    }
}
