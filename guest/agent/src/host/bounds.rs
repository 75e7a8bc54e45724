//! What a container usually has and a confined host (inside a container of its own) may not let us give: many open files, a low OOM score.

use std::fs;

use serde_json::{json, Value};

use super::capabilities;

const KIND: &str = "RLIMIT_NOFILE";

/// Raises our own bound as far as the container's; where the host forbids that, the container gets ours.
pub fn fit(process: &mut Value) {
    fit_open_files(process);
    let score = fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let wanted = process.get("oomScoreAdj").and_then(Value::as_i64);
    if let (Ok(own), Some(wanted)) = (score.trim().parse::<i64>(), wanted) {
        // Everyone may make himself a likelier victim, not a less likely one.
        if wanted < own && !capabilities::have("SYS_RESOURCE") {
            process["oomScoreAdj"] = json!(own);
        }
    }
}

fn fit_open_files(process: &mut Value) {
    let limits = match process.get_mut("rlimits").and_then(Value::as_array_mut) {
        Some(limits) => limits,
        None => return,
    };
    for limit in limits.iter_mut().filter(|limit| limit.get("type") == Some(&json!(KIND))) {
        let wanted = limit.get("hard").and_then(Value::as_u64).unwrap_or(0);
        let bound = raise_to(wanted);
        if wanted > bound {
            let soft = limit.get("soft").and_then(Value::as_u64).unwrap_or(bound).min(bound);
            *limit = json!({ "type": KIND, "soft": soft, "hard": bound });
        }
    }
}

/// The hard limit that we have afterwards.
fn raise_to(wanted: u64) -> u64 {
    let mut own = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut own) } != 0 || own.rlim_max >= wanted {
        return own.rlim_max.max(wanted);
    }
    let more = libc::rlimit { rlim_cur: own.rlim_cur, rlim_max: wanted };
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &more) } == 0 {
        return wanted;
    }
    own.rlim_max
}

#[cfg(test)]
mod tests {
    use super::fit;
    use serde_json::json;

    #[test]
    fn a_bound_within_ours_stays_and_others_are_left_alone() {
        let mut process = json!({ "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 16, "hard": 32 }, { "type": "RLIMIT_CORE", "soft": 1, "hard": 1 }] });
        let before = process.clone();
        fit(&mut process);
        assert_eq!(process, before);
    }

    #[test]
    fn a_bound_that_nobody_can_have_becomes_ours() {
        let mut process = json!({ "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": u64::MAX, "hard": u64::MAX }] });
        fit(&mut process);
        let limit = &process["rlimits"][0];
        assert!(limit["hard"].as_u64().unwrap() < u64::MAX && limit["soft"].as_u64() <= limit["hard"].as_u64());
    }
}
