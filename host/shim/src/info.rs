//! containerd.types.RuntimeInfo (api/types/introspection.proto), which containerd 2 asks for with -info: the name, and a RuntimeVersion.

pub fn runtime_info(handler: &str) -> Vec<u8> {
    let name = if handler == "namespace" { "io.containerd.sampan-namespace.v2" } else { "io.containerd.sampan.v2" };
    let version = field(1, env!("CARGO_PKG_VERSION").as_bytes());
    [field(1, name.as_bytes()), field(2, &version)].concat()
}

/// A field of bytes, shorter than 128 of them: number and length are one byte each.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    const LENGTH_DELIMITED: u8 = 2;
    assert!(number < 16 && bytes.len() < 128);
    [&[number << 3 | LENGTH_DELIMITED, bytes.len() as u8], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::runtime_info;

    #[test]
    fn it_is_a_name_and_a_version() {
        let info = runtime_info("vm");
        assert_eq!(&info[..25], b"\x0a\x17io.containerd.sampan.v2");
        assert_eq!(info[25..29], [0x12, info.len() as u8 - 27, 0x0a, info.len() as u8 - 29]);
        assert_eq!(&info[29..], env!("CARGO_PKG_VERSION").as_bytes());
    }
}
