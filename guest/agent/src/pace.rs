//! A stream that says little again and again is left alone for a moment, so that its pipe fills: waking up, framing and waking the host cost the same
//! for one line as for a thousand. Who waits for an answer to what it has just sent in is not kept waiting.

use crate::agent::Agent;
use crate::reactor::{Key, Source};
use crate::stdio::LARGEST_PIECE;
use crate::sys;

/// Reads this close to each other are a chatter.
const CLOSE_NANOS: u64 = 1_000_000;
const REST_NANOS: u64 = 2_000_000;
const SMALL: usize = LARGEST_PIECE / 4;

#[derive(Default)]
pub struct Pace {
    last_small: u64,
    pub resting: bool,
}

impl Pace {
    /// Told of each read; true when the stream is to rest now.
    fn chatters(&mut self, got: usize, now: u64) -> bool {
        if got >= SMALL {
            self.last_small = 0;
            return false;
        }
        let close = self.last_small > 0 && now < self.last_small + CLOSE_NANOS;
        self.last_small = now;
        close && !std::mem::replace(&mut self.resting, close)
    }

    /// Somebody has just asked: what comes next is an answer.
    pub fn expect_answer(&mut self) {
        self.last_small = 0;
    }
}

/// Streams that rest, the first to wake first.
#[derive(Default)]
pub struct Resting(std::collections::VecDeque<(u64, Source)>);

impl Resting {
    /// True when `source` begins to rest: it must not be watched until it is woken.
    pub fn after(&mut self, pace: &mut Pace, got: usize, source: Source) -> bool {
        let now = sys::monotonic_nanos();
        let rests = pace.chatters(got, now);
        if rests {
            self.0.push_back((now + REST_NANOS, source));
        }
        rests
    }

    /// Milliseconds until somebody has rested enough.
    pub fn patience(&self) -> Option<u64> {
        let (until, _) = self.0.front()?;
        Some(until.saturating_sub(sys::monotonic_nanos()) / 1_000_000)
    }

    fn awake(&mut self) -> Option<Source> {
        let now = sys::monotonic_nanos();
        match self.0.front() {
            Some((until, _)) if *until <= now => self.0.pop_front().map(|(_, source)| source),
            _ => None,
        }
    }
}

impl Agent {
    pub fn wake_rested(&mut self) {
        while let Some(source) = self.resting.awake() {
            match source {
                Source::Output(key, part) => self.wake_output(key, part),
                Source::SessionOutput(stream, part) => self.wake_session(stream, part),
                _ => {}
            }
        }
    }

    fn wake_output(&mut self, key: Key, part: u8) {
        if let Some(container) = self.containers.get_mut(&key) {
            container.paces[part as usize - 1].resting = false;
            self.resume_output(key);
        }
    }

    fn wake_session(&mut self, stream: Key, part: u8) {
        if let Some(session) = self.sessions.get_mut(&stream) {
            session.paces[part as usize - 1].resting = false;
            self.watch_session(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    #[test]
    fn only_who_says_little_again_and_again_rests() {
        let mut pace = Pace::default();
        assert!(!pace.chatters(100, 10 * MILLI));
        assert!(!pace.chatters(100, 12 * MILLI));
        assert!(pace.chatters(100, 12 * MILLI + 1000));
        assert!(!pace.chatters(100, 12 * MILLI + 2000), "it rests already");
        pace.resting = false;
        assert!(!pace.chatters(LARGEST_PIECE, 14 * MILLI));
        assert!(!pace.chatters(100, 14 * MILLI + 1000));
        pace.expect_answer();
        assert!(!pace.chatters(100, 14 * MILLI + 2000));
    }
}
