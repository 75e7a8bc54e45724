//! System call filters as crun compiles them from a container's `linux.seccomp`, and leaves with its state. Compiling one takes as long as all else that crun
//! does: a host that knows the program already gives it along.

use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::Answer;
use crate::container::State;
use crate::crun;
use crate::failure::{Failure, Outcome};

/// Of a program: the kernel takes 4,096 instructions of eight bytes (BPF_MAXINSNS).
const LARGEST: usize = 4096 * 8;
/// With it crun takes the program as it is, in base64; the flags stay those of `linux.seccomp`.
const ANNOTATION: &str = "run.oci.seccomp_bpf_data";

/// A program that the host knows, in base64. Nobody else can say one: the annotation is ours where there is a filter at all.
pub fn give(spec: &mut Value, program: Option<&str>) -> Outcome<()> {
    if let Some(annotations) = spec.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let program = match program {
        Some(program) => program,
        None => return Ok(()),
    };
    if spec["linux"]["seccomp"].is_null() {
        return Err(Failure::bad("parameter filter belongs to a spec with linux.seccomp"));
    }
    if program.is_empty() || program.len() > LARGEST * 4 / 3 + 4 {
        return Err(Failure::bad("parameter filter must be base64 of at most 32 KiB"));
    }
    if !spec["annotations"].is_object() {
        spec["annotations"] = json!({});
    }
    spec["annotations"][ANNOTATION] = json!(program);
    Ok(())
}

/// The program of a container that crun has made.
pub fn saved(id: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(Path::new(crun::STATE).join(id).join("seccomp.bpf")).ok()?;
    (!bytes.is_empty() && bytes.len() % 8 == 0 && bytes.len() <= LARGEST).then_some(bytes)
}

impl Agent {
    /// Only while the container's process waits for its start: afterwards it might not be crun's any more.
    pub fn read_filter(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let container = &self.containers[&key];
        match container.state {
            State::Held { failure: None } => Ok(Answer::Blob(saved(&container.called).unwrap_or_default())),
            _ => Err(Failure::precondition(format!("container {} is not one that waits for its start", container.id))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_the_hosts_to_give_and_nobody_elses() {
        let mut spec = json!({ "annotations": { ANNOTATION: "evil", "other": "stays" }, "linux": { "seccomp": {} } });
        give(&mut spec, None).unwrap();
        assert_eq!(spec["annotations"], json!({ "other": "stays" }));
        give(&mut spec, Some("AAAA")).unwrap();
        assert_eq!(spec["annotations"][ANNOTATION], "AAAA");
        let mut bare = json!({ "linux": { "seccomp": {} } });
        give(&mut bare, Some("AAAA")).unwrap();
        assert_eq!(bare["annotations"][ANNOTATION], "AAAA");
    }

    #[test]
    fn a_program_without_a_filter_or_out_of_size_is_refused() {
        assert!(give(&mut json!({ "linux": {} }), Some("AAAA")).is_err());
        let seccomp = json!({ "linux": { "seccomp": {} } });
        assert!(give(&mut seccomp.clone(), Some("")).is_err());
        assert!(give(&mut seccomp.clone(), Some(&"A".repeat(100_000))).is_err());
    }
}
