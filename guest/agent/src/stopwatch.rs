//! How long the parts of a call took, told with its answer for whoever measures.

use serde_json::{json, Map, Value};

use crate::sys;

pub struct Stopwatch {
    last: u64,
    parts: Map<String, Value>,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { last: sys::monotonic_nanos(), parts: Map::new() }
    }

    /// Ends a part, in microseconds; the next begins.
    pub fn lap(&mut self, part: &str) {
        let now = sys::monotonic_nanos();
        self.parts.insert(part.to_string(), json!((now - self.last) / 1000));
        self.last = now;
    }

    pub fn parts(self) -> Value {
        Value::Object(self.parts)
    }
}
