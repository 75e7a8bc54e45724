//! What a container has said on one stream and the host has not yet acknowledged. Bounded: a full log stops reading, and the container
//! then blocks as on any full pipe.

use std::collections::VecDeque;

use crate::ring::Ring;

/// Bytes kept at most.
pub const CAPACITY: usize = 512 * 1024;
const LEAST_ROOM: usize = 64 * 1024;
/// Chunks kept at most; further pieces join the last chunk.
const MOST_CHUNKS: usize = 2048;
/// Pieces that come within this time of a chunk join it.
const SAME_MOMENT_NANOS: u64 = 1_000_000;

struct Chunk {
    offset: u64,
    length: usize,
    time: u64,
}

#[derive(Default)]
pub struct OutputLog {
    kept: Ring,
    /// Offset of the first kept byte.
    base: u64,
    chunks: VecDeque<Chunk>,
    /// Offset of the next byte to send to the reader.
    next: u64,
    pub ended: bool,
}

pub struct Piece<'a> {
    pub offset: u64,
    pub time: u64,
    /// In one or two parts.
    pub data: [&'a [u8]; 2],
}

impl OutputLog {
    /// None until there is some worth reading for: a reader who is a little behind would otherwise be sent crumbs.
    pub fn room(&self) -> usize {
        let room = CAPACITY - self.kept.len();
        if room < LEAST_ROOM {
            0
        } else {
            room
        }
    }

    fn end(&self) -> u64 {
        self.base + self.kept.len() as u64
    }

    /// Adds what was read at `time`; the caller has checked that there is room.
    pub fn push(&mut self, data: &[u8], time: u64) {
        let (offset, full) = (self.end(), self.chunks.len() >= MOST_CHUNKS);
        self.kept.push(data);
        match self.chunks.back_mut() {
            Some(last) if full || (time < last.time + SAME_MOMENT_NANOS && last.offset >= self.next) => last.length += data.len(),
            _ => self.chunks.push_back(Chunk { offset, length: data.len(), time }),
        }
    }

    /// Starts sending from `offset`, or from the first byte still kept.
    pub fn rewind(&mut self, offset: u64) {
        self.acknowledge(offset);
        self.next = offset.clamp(self.base, self.end());
    }

    /// Forgets what the host has safely got.
    pub fn acknowledge(&mut self, up_to: u64) {
        let gone = up_to.clamp(self.base, self.end()) - self.base;
        self.kept.drop_front(gone as usize);
        self.base += gone;
        self.next = self.next.max(self.base);
        while self.chunks.front().map_or(false, |first| first.offset + first.length as u64 <= self.base) {
            self.chunks.pop_front();
        }
    }

    /// When the next unsent piece was read.
    pub fn next_time(&self) -> Option<u64> {
        self.unsent_chunk().map(|chunk| chunk.time)
    }

    fn unsent_chunk(&self) -> Option<&Chunk> {
        if self.next >= self.end() {
            return None;
        }
        let at = self.chunks.partition_point(|chunk| chunk.offset + chunk.length as u64 <= self.next);
        self.chunks.get(at)
    }

    /// The next piece to send, at most `most` bytes.
    pub fn take(&mut self, most: usize) -> Option<Piece<'_>> {
        let chunk = self.unsent_chunk()?;
        let (offset, time) = (self.next, chunk.time);
        let length = ((chunk.offset + chunk.length as u64 - offset) as usize).min(most);
        let start = (offset - self.base) as usize;
        self.next += length as u64;
        Some(Piece { offset, time, data: self.kept.slices(start, length) })
    }

    /// True when the stream has ended and all of it was sent.
    pub fn is_told(&self) -> bool {
        self.ended && self.next >= self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    #[test]
    fn an_unacknowledged_byte_can_be_read_again() {
        let mut log = OutputLog::default();
        log.push(b"one\n", MILLI);
        log.push(b"two\n", 9 * MILLI);
        assert_eq!(log.take(100).unwrap().data.concat(), b"one\n");
        let second = log.take(100).unwrap();
        assert_eq!((second.offset, second.time, second.data.concat()), (4, 9 * MILLI, b"two\n".to_vec()));
        log.rewind(2);
        assert_eq!(log.take(100).unwrap().data.concat(), b"e\n");
        log.rewind(0);
        assert_eq!(log.take(100).unwrap().offset, 2, "acknowledged bytes are gone");
    }

    #[test]
    fn room_comes_back_with_acknowledgement() {
        let mut log = OutputLog::default();
        log.push(&vec![7; CAPACITY], 0);
        assert_eq!(log.room(), 0);
        log.acknowledge(1000);
        assert_eq!(log.room(), 0, "crumbs");
        log.acknowledge(100_000);
        assert_eq!(log.room(), 100_000);
        assert_eq!(log.take(CAPACITY).unwrap().data.concat().len(), CAPACITY - 100_000);
    }

    #[test]
    fn single_bytes_do_not_make_endless_chunks() {
        let mut log = OutputLog::default();
        for at in 0..CAPACITY as u64 {
            log.push(b"x", at * 10 * MILLI);
        }
        assert!(log.chunks.len() <= MOST_CHUNKS);
        let mut got = 0;
        while let Some(piece) = log.take(5000) {
            assert_eq!(piece.offset, got);
            got += piece.data.concat().len() as u64;
        }
        assert_eq!(got, CAPACITY as u64);
        log.ended = true;
        assert!(log.is_told());
    }
}
