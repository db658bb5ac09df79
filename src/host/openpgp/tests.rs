//! Keys as other tools made them: the fingerprints are gpg's.

use super::*;

/// `gpg --armor --export` of a key made for these tests, which signs nothing.
const KEY: &str = include_str!("test-key.asc");
const FINGERPRINT: &str = "BB77 3FB4 26F5 AC90 1F93  ABA3 1742 CAE7 7F70 986A";
const OTHER: &str = "385E7C3CADDF0CF838445DEF26383B0C292530FC";

fn pin(fingerprint: &str) -> Pin {
    Pin { fingerprint: Some(fingerprint.parse().unwrap()), sha256: None }
}

fn binary() -> Vec<u8> {
    PublicKeys::published(KEY.as_bytes()).unwrap().packets
}

#[test]
fn the_fingerprint_is_gpgs_armored_or_not() {
    for published in [KEY.as_bytes().to_vec(), KEY.replace('\n', "\r\n").into_bytes(), binary()] {
        let keys = PublicKeys::published(&published).unwrap();
        keys.require(&pin(FINGERPRINT)).unwrap();
        keys.require(&Pin { sha256: Some(Sha256::of(&published)), fingerprint: None }).unwrap();
        let error = keys.require(&pin(OTHER)).unwrap_err().to_string();
        assert!(error.contains("BB773FB426F5AC901F93ABA31742CAE77F70986A") && error.contains(OTHER), "{error}");
        assert!(keys.require(&Pin { sha256: Some(Sha256::of(b"other")), fingerprint: None }).is_err());
    }
}

#[test]
fn what_is_stored_is_known_again_with_the_digest_it_was_published_with() {
    let published = binary();
    let keys = PublicKeys::published(&published).unwrap();
    let text = keys.text();
    assert_eq!(PublicKeys::stored(text.as_bytes()), Some(keys));
    for other in
        [KEY.to_owned(), text.replace("with sha256 ", "with sha256 0"), format!("{text}\n"), text.replacen("mDME", "mDMF", 1)]
    {
        assert_eq!(PublicKeys::stored(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn a_second_key_in_the_file_is_not_trusted_by_the_way() {
    let key = binary();
    let mut another = key[..53].to_vec();
    another[40] ^= 1;
    let keys = PublicKeys::published(&[key, another].concat()).unwrap();
    let error = keys.require(&pin(FINGERPRINT)).unwrap_err();
    assert!(error.to_string().contains("there are other keys in it"), "{error}");
    assert!(error.advice().unwrap().contains("sha256"));
}

#[test]
fn what_is_no_public_key_is_refused() {
    let key = binary();
    let mut secret = key.clone();
    // An old header with type 5.
    secret[0] = 0x94;
    let cut = key[..key.len() - 3].to_vec();
    let error = |bytes: &[u8]| PublicKeys::published(bytes).unwrap_err().to_string();
    assert!(error(&secret).contains("secret key"));
    for wrong in [&b"<html>not found</html>"[..], &cut, &key[53..]] {
        assert!(error(wrong).contains("not an OpenPGP public key"));
    }
    assert!(error(b"").contains("there is no key in it"));
    let mut ancient = key.clone();
    ancient[2] = 3;
    assert!(error(&ancient).contains("version"));
}

#[test]
fn lengths_are_read_in_all_their_forms() {
    let body: Vec<u8> = binary()[2..53].to_vec();
    let size = u8::try_from(body.len()).unwrap();
    for head in [vec![0xc6, size], vec![0xc6, 255, 0, 0, 0, size], vec![0x99, 0, size], vec![0x9a, 0, 0, 0, size]] {
        PublicKeys::published(&[head, body.clone()].concat()).unwrap().require(&pin(FINGERPRINT)).unwrap();
    }
    // 192 bytes and more: a user id of that length after the key.
    let long = [&[0xc6, size][..], &body, &[0xcd, 192, 8], &[b'x'; 200]].concat();
    PublicKeys::published(&long).unwrap().require(&pin(FINGERPRINT)).unwrap();
}

#[test]
fn a_fingerprint_is_whole() {
    for wrong in ["", "7F70986A", "0x1742CAE77F70986A", &"g".repeat(40), &format!("{OTHER}0")] {
        assert!(wrong.parse::<KeyFingerprint>().is_err(), "{wrong}");
    }
    assert_eq!(format!("0x{}", OTHER.to_lowercase()).parse::<KeyFingerprint>().unwrap().to_string(), OTHER);
}
