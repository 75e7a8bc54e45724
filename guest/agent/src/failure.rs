//! The agent's one error: a reason of the host's closed list (api/src/errors.ts) and words for a person.

use std::fmt;
use std::io;

#[derive(Debug, Clone)]
pub struct Failure {
    pub reason: &'static str,
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Failure {
        Failure { reason, message: message.into() }
    }

    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new("InternalError", message)
    }

    pub fn bad(message: impl Into<String>) -> Failure {
        Failure::new("BadRequest", message)
    }

    pub fn not_found(message: impl Into<String>) -> Failure {
        Failure::new("NotFound", message)
    }

    pub fn precondition(message: impl Into<String>) -> Failure {
        Failure::new("FailedPrecondition", message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

/// Adds what was being done to what the system said.
pub trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| {
            let reason = match error.raw_os_error() {
                Some(libc::ENOSPC) | Some(libc::ENOMEM) | Some(libc::EDQUOT) => "ResourceExhausted",
                _ => "InternalError",
            };
            Failure::new(reason, format!("{}: {}", what(), error))
        })
    }
}
