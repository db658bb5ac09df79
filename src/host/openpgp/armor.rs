//! ASCII armor around `OpenPGP` packets (RFC 9580, section 6): read as people publish it, written as every package manager reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// Characters of a line.
const WIDTH: usize = 64;

/// What was in the armor.
pub(super) struct Decoded {
    /// The packets of all blocks.
    pub(super) packets: Vec<u8>,
    /// The last `Comment:`.
    pub(super) comment: Option<String>,
}

/// The blocks of public keys in this text; `None` when there are none.
pub(super) fn blocks(bytes: &[u8]) -> Option<Result<Decoded, String>> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.lines().any(|line| line.trim_end() == BEGIN))?;
    Some(decode(text))
}

fn decode(text: &str) -> Result<Decoded, String> {
    let mut decoded = Decoded { packets: Vec::new(), comment: None };
    let mut lines = text.lines().map(str::trim_end);
    while lines.by_ref().any(|line| line == BEGIN) {
        let (mut body, mut sum, mut ended) = (String::new(), None, false);
        let mut in_headers = true;
        for line in lines.by_ref() {
            match line.split_once(": ") {
                _ if line == END => {
                    ended = true;
                    break;
                }
                Some((name, value)) if in_headers => {
                    decoded.comment = if name == "Comment" { Some(value.to_owned()) } else { decoded.comment };
                }
                _ if line.is_empty() => in_headers = false,
                _ => match line.strip_prefix('=') {
                    Some(told) => sum = Some(told.to_owned()),
                    None => body.push_str(line),
                },
            }
        }
        if !ended {
            return Err("the armored key has no end: it was cut off".into());
        }
        let packets = STANDARD.decode(&body).map_err(|_| "the armored key is not base64".to_owned())?;
        if sum.is_some_and(|sum| sum != STANDARD.encode(checksum(&packets))) {
            return Err("the armored key does not have its own checksum: it was damaged".into());
        }
        decoded.packets.extend(packets);
    }
    Ok(decoded)
}

/// One block around these packets.
pub(super) fn block(packets: &[u8], comment: &str) -> String {
    let encoded = STANDARD.encode(packets);
    let mut text = format!("{BEGIN}\nComment: {comment}\n\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(WIDTH.min(rest.len()));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    format!("{text}={}\n{END}\n", STANDARD.encode(checksum(packets)))
}

/// CRC-24 as the standard defines it.
fn checksum(bytes: &[u8]) -> [u8; 3] {
    let sum = bytes.iter().fold(0x00b7_04ce_u32, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 16), |sum, _| {
            let doubled = sum << 1;
            if doubled & 0x0100_0000 == 0 { doubled } else { doubled ^ 0x0186_4cfb }
        })
    });
    let [_, high, middle, low] = sum.to_be_bytes();
    [high, middle, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standards() {
        assert_eq!(checksum(b"123456789"), [0x21, 0xcf, 0x02]);
    }

    #[test]
    fn what_is_armored_is_read_back() {
        let packets: Vec<u8> = (0..=255).collect();
        let text = block(&packets, "a comment");
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        let read = blocks(text.as_bytes()).unwrap().unwrap();
        assert_eq!((read.packets, read.comment.as_deref()), (packets.clone(), Some("a comment")));
        // As other tools write it: carriage returns, no headers, no checksum, several blocks, text around.
        let foreign = format!("hello\r\n{BEGIN}\r\n\r\n{}\r\n{END}\r\n", STANDARD.encode(&packets));
        let twice = blocks(format!("{foreign}{foreign}").as_bytes()).unwrap().unwrap();
        assert_eq!(twice.packets, [packets.clone(), packets].concat());
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let text = block(b"some packets", "c");
        assert!(blocks(b"no armor").is_none());
        assert!(blocks(text.replace(END, "").as_bytes()).unwrap().is_err_and(|why| why.contains("cut off")));
        assert!(blocks(text.replace("c29t", "c29u").as_bytes()).unwrap().is_err_and(|why| why.contains("checksum")));
        assert!(blocks(text.replace("c29t", "c2!t").as_bytes()).unwrap().is_err_and(|why| why.contains("base64")));
    }
}
