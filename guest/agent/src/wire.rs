//! Frames of guest/PROTOCOL.md section 2 and 3: bytes to frames and back. Knows nothing of what frames mean.

pub const MAX_PAYLOAD: usize = 65536;
const HEADER: usize = 12;
const SEAL: u8 = 0xA5;
const SYNC_HEADER: [u8; HEADER] = [SYNC, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0];

pub const SYNC: u8 = 1;
pub const SYNC_ACK: u8 = 2;
pub const CALL: u8 = 3;
pub const REPLY: u8 = 4;
pub const EVENT: u8 = 5;
pub const DATA: u8 = 6;
pub const CREDIT: u8 = 7;
pub const END: u8 = 8;
pub const CLOSE: u8 = 9;

pub struct Frame {
    pub kind: u8,
    pub part: u8,
    pub id: u32,
    pub payload: Vec<u8>,
}

pub fn encode(out: &mut Vec<u8>, kind: u8, part: u8, id: u32, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|piece| piece.len()).sum();
    debug_assert!(length <= MAX_PAYLOAD);
    out.extend_from_slice(&[kind, part, 0, 0]);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&(length as u32).to_le_bytes());
    for piece in payload {
        out.extend_from_slice(piece);
    }
    out.push(SEAL);
}

/// Takes bytes as they come and gives whole frames. Torn and impossible frames are skipped, as PROTOCOL.md section 3 says.
#[derive(Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
    hunting: bool,
}

impl Decoder {
    pub fn feed(&mut self, data: &[u8]) {
        if self.start > 0 && (self.start == self.bytes.len() || self.start > MAX_PAYLOAD) {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(data);
    }

    pub fn next(&mut self) -> Option<Frame> {
        loop {
            let rest = &self.bytes[self.start..];
            if self.hunting {
                match rest.windows(HEADER).position(|window| window == SYNC_HEADER) {
                    Some(at) => {
                        self.start += at;
                        self.hunting = false;
                    }
                    None => {
                        self.start += rest.len().saturating_sub(HEADER - 1);
                        return None;
                    }
                }
                continue;
            }
            let padding = rest.iter().take_while(|byte| **byte == 0).count();
            if padding > 0 {
                self.start += padding;
                continue;
            }
            if rest.len() < HEADER {
                return None;
            }
            let length = u32::from_le_bytes([rest[8], rest[9], rest[10], rest[11]]) as usize;
            if length > MAX_PAYLOAD || rest[0] > CLOSE || rest[2] != 0 || rest[3] != 0 {
                self.start += 1;
                self.hunting = true;
                continue;
            }
            let whole = HEADER + length + 1;
            if rest.len() < whole {
                return None;
            }
            let frame = Frame {
                kind: rest[0],
                part: rest[1],
                id: u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]),
                payload: rest[HEADER..HEADER + length].to_vec(),
            };
            let sealed = rest[whole - 1] == SEAL;
            self.start += whole;
            if sealed {
                return Some(frame);
            }
        }
    }

    /// Gives back the memory of a large message once it has been handled.
    pub fn trim(&mut self) {
        if self.start == self.bytes.len() && self.bytes.capacity() > 2 * MAX_PAYLOAD {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(nonce: u8) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, SYNC, 0, 0, &[&[nonce; 16]]);
        out
    }

    fn decode(data: &[u8]) -> Vec<Frame> {
        let mut decoder = Decoder::default();
        decoder.feed(data);
        std::iter::from_fn(|| decoder.next()).collect()
    }

    #[test]
    fn a_frame_survives_being_cut_anywhere() {
        let mut whole = Vec::new();
        encode(&mut whole, DATA, 1, 77, &[b"hel", b"lo"]);
        for cut in 0..whole.len() {
            let mut decoder = Decoder::default();
            decoder.feed(&whole[..cut]);
            assert!(decoder.next().is_none());
            decoder.feed(&whole[cut..]);
            let frame = decoder.next().expect("the whole frame");
            assert_eq!((frame.kind, frame.part, frame.id, frame.payload.as_slice()), (DATA, 1, 77, &b"hello"[..]));
        }
    }

    #[test]
    fn a_torn_frame_is_never_obeyed_and_the_next_sync_is_found() {
        let mut torn = Vec::new();
        encode(&mut torn, DATA, 0, 5, &[&[9; 300]]);
        for cut in 1..torn.len() {
            let mut stream = torn[..cut].to_vec();
            stream.resize(cut + MAX_PAYLOAD + HEADER + 1, 0);
            stream.extend_from_slice(&sync(3));
            let frames = decode(&stream);
            assert_eq!(frames.len(), 1, "torn after {} bytes", cut);
            assert_eq!((frames[0].kind, frames[0].payload.as_slice()), (SYNC, &[3; 16][..]));
        }
    }

    #[test]
    fn an_impossible_header_is_skipped_up_to_the_next_sync() {
        let mut stream = vec![0xFF; 1000];
        stream.extend_from_slice(&sync(4));
        let frames = decode(&stream);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].payload, vec![4; 16]);
    }
}
