//! Countries as policies name them: the two letters of ISO 3166-1, as a country database writes them.
//!
//! Which country an address is in is left to the enforcement point.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Every code that ISO 3166-1 assigns, and `XK`, which country databases use for Kosovo; sorted, without anything between.
const CODES: &str = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCM\
CNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISIT\
JEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOM\
PAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZ\
VAVCVEVGVIVNVUWFWSXKYEYTZAZMZW";

/// A country by its two letters, in upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

/// A text that is no country's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountryError(String);

impl CountryCode {
    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for CountryCode {
    type Err = CountryError;

    /// In either case of letters.
    fn from_str(text: &str) -> Result<Self, CountryError> {
        let wrong = || CountryError(text.to_owned());
        let letters: [u8; 2] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let letters = letters.map(|letter| letter.to_ascii_uppercase());
        let is_known = CODES.as_bytes().chunks_exact(2).any(|code| code == letters);
        if is_known { Ok(Self(letters)) } else { Err(wrong()) }
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for CountryError {}

impl fmt::Display for CountryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no country of ISO 3166-1, such as \"DE\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_that_are_assigned_in_either_case() {
        for text in ["DE", "de", "Us", "ZW", "AD", "xk"] {
            assert_eq!(text.parse::<CountryCode>().unwrap().as_str(), text.to_ascii_uppercase());
        }
        for text in ["", "D", "DEU", "UK", "ZZ", "EU", "Ü", "D ", "ED"] {
            assert!(text.parse::<CountryCode>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_codes_are_sorted_and_each_is_named_once() {
        let codes: Vec<&[u8]> = CODES.as_bytes().chunks(2).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(codes.len(), 250);
    }
}
