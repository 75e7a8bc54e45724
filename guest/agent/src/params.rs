//! Reading the parameters of a call out of its JSON: every field is named in the complaint when it is missing or of the wrong kind.

use serde_json::Value;

use crate::failure::{Failure, Outcome};

fn wrong(name: &str, wanted: &str) -> Failure {
    Failure::bad(format!("parameter {} must be {}", name, wanted))
}

pub fn text<'a>(params: &'a Value, name: &str) -> Outcome<&'a str> {
    params.get(name).and_then(Value::as_str).ok_or_else(|| wrong(name, "a string"))
}

pub fn optional_text<'a>(params: &'a Value, name: &str) -> Option<&'a str> {
    params.get(name).and_then(Value::as_str)
}

pub fn number(params: &Value, name: &str) -> Outcome<u64> {
    optional_number(params, name)?.ok_or_else(|| wrong(name, "a whole number"))
}

/// A number, or a decimal string where 53 bits do not suffice.
pub fn optional_number(params: &Value, name: &str) -> Outcome<Option<u64>> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(digits)) => digits.parse().map(Some).map_err(|_| wrong(name, "decimal digits")),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(name, "a whole number")),
    }
}

pub fn flag(params: &Value, name: &str) -> bool {
    params.get(name).and_then(Value::as_bool).unwrap_or(false)
}

pub fn list<'a>(params: &'a Value, name: &str) -> &'a [Value] {
    params.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn texts(params: &Value, name: &str) -> Outcome<Vec<String>> {
    let item = |value: &Value| value.as_str().map(str::to_string).ok_or_else(|| wrong(name, "a list of strings"));
    list(params, name).iter().map(item).collect()
}

/// An id that becomes a file's or cgroup's name.
pub fn id(params: &Value, name: &str) -> Outcome<String> {
    let id = text(params, name)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.is_empty() || id.len() > 200 || id.starts_with('.') || !id.chars().all(plain) {
        return Err(wrong(name, "1-200 letters, digits, '.', '_' or '-'"));
    }
    Ok(id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_cannot_leave_its_directory() {
        for bad in ["", ".", "..", "a/b", "../x", "a\0b"] {
            assert!(id(&json!({ "id": bad }), "id").is_err(), "{:?}", bad);
        }
        assert_eq!(id(&json!({ "id": "web-0.x_Y" }), "id").unwrap(), "web-0.x_Y");
    }

    #[test]
    fn large_numbers_come_as_decimal_strings() {
        assert_eq!(number(&json!({ "n": "18446744073709551615" }), "n").unwrap(), u64::MAX);
        assert_eq!(number(&json!({ "n": 5 }), "n").unwrap(), 5);
        assert!(number(&json!({ "n": -5 }), "n").is_err());
        assert!(number(&json!({}), "n").is_err());
    }
}
