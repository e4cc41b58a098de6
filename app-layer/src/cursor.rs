//! Cursors: the next page of an answer. Stateless: all that the server must remember travels with the client, signed
//! (HMAC-SHA256), so that it can be read back but not changed. Not a secret: a client may decode its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_layer::types::Millis;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::{Error, Refusal, Result};

/// Most items that a cursor looks back on; after them there is no next page.
pub const MAX_EARLIER: usize = 1_000;

/// Version of the form.
const VERSION: u8 = 1;
/// Bytes of the signature.
const TAG: usize = 16;
/// Name of the file that holds the secret.
const SECRET_FILE: &str = "cursor.key";

/// What the next page needs of those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Hash of the scene's name and of who asks: a cursor serves no other.
    pub owner: u64,
    /// Pinned seed.
    pub seed: u64,
    /// Pinned time.
    pub now_ms: Millis,
    /// Pinned buckets.
    pub buckets: BTreeMap<String, String>,
    /// Tie hashes of the items of earlier pages, in order.
    pub earlier: Vec<u64>,
}

/// Signs cursors and reads them back.
#[derive(Clone)]
pub struct Signer {
    secret: [u8; 32],
}

impl Signer {
    /// The signer of a server: its secret is drawn once and kept in `dir`, so that cursors outlive a restart.
    ///
    /// # Errors
    /// When the file can't be made or read, or is not a secret.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(SECRET_FILE);
        let told = |e: std::io::Error| Error::io(path.display())(e);
        fs::create_dir_all(dir).map_err(told)?;
        match fs::read(&path) {
            Ok(bytes) => {
                let found = bytes.len();
                let secret = bytes.try_into().map_err(|_| Error::Io {
                    place: path.display().to_string(),
                    detail: format!(
                        "expected a secret of 32 bytes, found {found}; remove the file to draw a new one"
                    ),
                })?;
                Ok(Self { secret })
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let made = Self::drawn();
                write_secret(&path, &made.secret).map_err(told)?;
                Ok(made)
            }
            Err(e) => Err(told(e)),
        }
    }

    /// A signer that is forgotten with the process.
    #[must_use]
    pub fn drawn() -> Self {
        Self { secret: rand::random() }
    }

    /// Writes a page as text.
    #[must_use]
    pub fn seal(&self, page: &Page) -> String {
        let mut bytes = Vec::with_capacity(64 + 8 * page.earlier.len());
        bytes.push(VERSION);
        for number in [page.owner, page.seed, page.now_ms.cast_unsigned()] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.push(page.buckets.len() as u8);
        for text in page.buckets.iter().flat_map(|(layer, bucket)| [layer, bucket]) {
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        }
        bytes.extend(page.earlier.iter().flat_map(|tie| tie.to_le_bytes()));
        let tag = self.mac(&bytes).finalize().into_bytes();
        bytes.extend(&tag[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a page back.
    ///
    /// # Errors
    /// 422 when the text is no cursor of this server.
    pub fn open_page(&self, text: &str) -> std::result::Result<Page, Refusal> {
        let wrong = || {
            Refusal::field(
                "/cursor",
                "not a cursor of this server; send it exactly as an answer gave it, or leave it out",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let (body, tag) = bytes.split_at_checked(bytes.len().saturating_sub(TAG)).ok_or_else(wrong)?;
        self.mac(body).verify_truncated_left(tag).map_err(|_| wrong())?;
        decode(body).ok_or_else(wrong)
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // SHA-256 takes keys of any length, so that the error can't happen; an empty key would only make cursors invalid.
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.secret);
        let mac = mac.unwrap_or_else(|_| <Hmac<Sha256> as Mac>::new(&Default::default()));
        mac.chain_update(bytes)
    }
}

fn decode(mut body: &[u8]) -> Option<Page> {
    let mut take = |count: usize| {
        let (head, tail) = body.split_at_checked(count)?;
        body = tail;
        Some(head)
    };
    if take(1)? != [VERSION] {
        return None;
    }
    let mut numbers = [0_u64; 3];
    for number in &mut numbers {
        *number = u64::from_le_bytes(take(8)?.try_into().ok()?);
    }
    let mut texts = Vec::new();
    for _ in 0..2 * usize::from(take(1)?[0]) {
        let length = usize::from(take(1)?[0]);
        texts.push(std::str::from_utf8(take(length)?).ok()?.to_owned());
    }
    let (ties, rest) = body.as_chunks::<8>();
    if !rest.is_empty() || ties.len() > MAX_EARLIER {
        return None;
    }
    let mut texts = texts.into_iter();
    let mut buckets = BTreeMap::new();
    while let (Some(layer), Some(bucket)) = (texts.next(), texts.next()) {
        buckets.insert(layer, bucket);
    }
    Some(Page {
        owner: numbers[0],
        seed: numbers[1],
        now_ms: numbers[2].cast_signed(),
        buckets,
        earlier: ties.iter().map(|tie| u64::from_le_bytes(*tie)).collect(),
    })
}

/// Written beside and renamed, readable by its owner only, so that a crash leaves no half secret.
fn write_secret(path: &Path, secret: &[u8; 32]) -> std::io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(ties: Vec<u64>) -> Page {
        let buckets =
            BTreeMap::from([("rank".to_owned(), "b".to_owned()), ("recall".to_owned(), "a".to_owned())]);
        Page { owner: 7, seed: u64::MAX, now_ms: -5, buckets, earlier: ties }
    }

    proptest! {
        #[test]
        fn what_is_sealed_reads_back_and_nothing_else_does(
            ties in proptest::collection::vec(any::<u64>(), 0..50), at in any::<usize>(), flip in 1_u8..
        ) {
            let signer = Signer::drawn();
            let sealed = signer.seal(&page(ties.clone()));
            prop_assert_eq!(signer.open_page(&sealed).unwrap(), page(ties));
            let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert_eq!(signer.open_page(&URL_SAFE_NO_PAD.encode(bytes)).unwrap_err().status, 422);
            prop_assert!(Signer::drawn().open_page(&sealed).is_err());
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in ".*") {
            prop_assert!(Signer::drawn().open_page(&text).is_err());
        }
    }

    #[test]
    fn the_secret_outlives_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = Signer::open(dir.path()).unwrap().seal(&page(vec![1]));
        assert!(Signer::open(dir.path()).unwrap().open_page(&sealed).is_ok());
        fs::write(dir.path().join(SECRET_FILE), b"short").unwrap();
        assert!(Signer::open(dir.path()).is_err());
    }
}
