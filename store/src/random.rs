//! Random bytes and ids made of them.

use crate::error::StoreError;
use aws_lc_rs::rand;
use std::fmt::Write;

/// Random bytes from the system's generator.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(bytes)
}

/// A version 4 UUID (RFC 9562, section 5.4) in its text form.
pub(crate) fn uuid() -> Result<String, StoreError> {
    let mut number = u128::from_be_bytes(bytes::<16>()?);
    number = number & !(0xf << 76) | 0x4 << 76;
    number = number & !(0x3 << 62) | 0x2 << 62;
    let mut text = format!("{number:032x}");
    for dash in [20, 16, 12, 8] {
        text.insert(dash, '-');
    }
    Ok(text)
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{hex, uuid};

    #[test]
    fn a_uuid_has_the_form_of_version_4() {
        let first = uuid().unwrap();
        assert_eq!(first.len(), 36);
        assert_eq!(first.match_indices('-').map(|(at, _)| at).collect::<Vec<_>>(), [8, 13, 18, 23]);
        assert_eq!(first.chars().nth(14), Some('4'));
        assert!(matches!(first.chars().nth(19), Some('8' | '9' | 'a' | 'b')));
        assert_ne!(first, uuid().unwrap());
    }

    #[test]
    fn hex_keeps_leading_zeros() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
