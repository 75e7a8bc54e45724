//! How callers hear of what went wrong: on stderr, and in the log file that conmon and containerd read back.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::failure::Failure;
use crate::options::{Global, LogFormat};

/// As runc does it: the message alone on stderr, a line of logrus's form in the log.
pub fn report(failure: &Failure, global: &Global) {
    eprintln!("{}", failure.message);
    let path = match &global.log {
        Some(path) => path,
        None => return,
    };
    let time = rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    let line = match global.log_format {
        LogFormat::Json => json!({ "level": "error", "msg": failure.message, "time": time }).to_string(),
        LogFormat::Text => format!("time={:?} level=error msg={:?}", time, failure.message),
    };
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
        let _ = writeln!(file, "{}", line);
    }
}

/// UTC, whole seconds. Days to date: the proleptic Gregorian calendar in years that begin in March.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", year, month, day, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn seconds_become_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_767_225_599), "2025-12-31T23:59:59Z");
    }
}
