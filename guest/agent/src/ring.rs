//! A circle of bytes that grows as it must and is copied in large pieces: under an emulator each byte that is touched by itself costs as much as
//! a thousand of a block copy.

/// An empty circle keeps this much memory.
const KEPT: usize = 64 * 1024;
const SMALLEST: usize = 4096;

#[derive(Default)]
pub struct Ring {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Ring {
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn push(&mut self, data: &[u8]) {
        self.make_room(data.len());
        let end = (self.start + self.length) % self.bytes.len().max(1);
        let first = data.len().min(self.bytes.len() - end);
        self.bytes[end..end + first].copy_from_slice(&data[..first]);
        self.bytes[..data.len() - first].copy_from_slice(&data[first..]);
        self.length += data.len();
    }

    /// `length` bytes from the one at `from`, in one or two parts.
    pub fn slices(&self, from: usize, length: usize) -> [&[u8]; 2] {
        debug_assert!(from + length <= self.length);
        if length == 0 {
            return [&[], &[]];
        }
        let at = (self.start + from) % self.bytes.len();
        let first = length.min(self.bytes.len() - at);
        [&self.bytes[at..at + first], &self.bytes[..length - first]]
    }

    /// Forgets the first `count` bytes.
    pub fn drop_front(&mut self, count: usize) {
        debug_assert!(count <= self.length);
        self.length -= count;
        if self.length > 0 {
            self.start = (self.start + count) % self.bytes.len();
            return;
        }
        self.start = 0;
        if self.bytes.len() > KEPT {
            self.bytes = Vec::new();
        }
    }

    fn make_room(&mut self, more: usize) {
        let wanted = self.length + more;
        if wanted <= self.bytes.len() {
            return;
        }
        let mut larger = vec![0; wanted.next_power_of_two().max(SMALLEST)];
        let [first, second] = self.slices(0, self.length);
        larger[..first.len()].copy_from_slice(first);
        larger[first.len()..self.length].copy_from_slice(second);
        self.bytes = larger;
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_wherever_the_circle_closes() {
        let (mut ring, mut model, mut next) = (Ring::default(), Vec::new(), 0u8);
        for round in 0..2000usize {
            let data: Vec<u8> = (0..round * 37 % 997).map(|_| { next = next.wrapping_add(1); next }).collect();
            ring.push(&data);
            model.extend_from_slice(&data);
            let from = round * 13 % (model.len() + 1);
            let length = (model.len() - from).min(round * 7 % 500);
            assert_eq!(ring.slices(from, length).concat(), &model[from..from + length]);
            let gone = (round * 41 % 1021).min(model.len());
            ring.drop_front(gone);
            model.drain(..gone);
            assert_eq!(ring.len(), model.len());
        }
    }

    #[test]
    fn memory_of_a_flood_is_given_back() {
        let mut ring = Ring::default();
        ring.push(&vec![7; 300_000]);
        ring.drop_front(300_000);
        assert_eq!(ring.bytes.capacity(), 0);
    }
}
