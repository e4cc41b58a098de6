//! Secret keys, and what they make of people: 16 bytes that say nothing to who lacks the key.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::types::{Id, Person, PersonKind};
use crate::{Error, Result};

/// Bytes of a key.
const BYTES: usize = 32;

/// A person as 16 bytes of HMAC-SHA256.
pub(super) type Tag = [u8; 16];

/// A key.
#[derive(Clone)]
pub(super) struct Secret {
    bytes: [u8; BYTES],
    key: hmac::Key,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A new one.
    pub(super) fn draw() -> Result<Self> {
        let mut bytes = [0; BYTES];
        let drawn = SystemRandom::new().fill(&mut bytes);
        drawn.map_err(|_| Error::invalid("erasure", "the system gave no random bytes"))?;
        Ok(Self::of(bytes))
    }

    fn of(bytes: [u8; BYTES]) -> Self {
        Self { bytes, key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) }
    }

    /// One that was written as [`Secret::hex`].
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * BYTES || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self::of(bytes))
    }

    pub(super) fn hex(&self) -> String {
        hex(&self.bytes)
    }

    /// The key in a file that only this user reads, made where there is none.
    pub(super) fn kept(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(text.trim()).ok_or_else(|| {
                let detail = "expected 64 hex digits; bring it back from a backup, or remove it and erase again who was erased";
                Error::invalid(path.display().to_string(), detail)
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Self::draw()?;
                let draft = path.with_extension("new");
                let write = || -> std::io::Result<()> {
                    let _ = std::fs::remove_file(&draft);
                    let mut file =
                        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
                    file.write_all(made.hex().as_bytes())?;
                    file.sync_all()?;
                    std::fs::rename(&draft, path)?;
                    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
                };
                write().map_err(Error::io(path))?;
                Ok(made)
            }
            Err(error) => Err(Error::io(path)(error)),
        }
    }

    /// What a person is under this key.
    pub(super) fn tag(&self, person: &Person) -> Tag {
        let mut signing = hmac::Context::with_key(&self.key);
        signing.update(&[match person.kind {
            PersonKind::User => 0,
            PersonKind::Anonymous => 1,
            PersonKind::Session => 2,
        }]);
        signing.update(person.id.as_str().as_bytes());
        let mut tag = Tag::default();
        let signed = signing.sign();
        tag.iter_mut().zip(signed.as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }

    /// The name that a person has in the log once the key is thrown away.
    ///
    /// # Errors
    /// None: it is an id.
    pub(super) fn pseudonym(&self, person: &Person) -> Result<Person> {
        let text = format!("~{}", hex(&self.tag(person)));
        let id = Id::new(&text).map_err(|error| Error::invalid("erasure", error.to_string()))?;
        Ok(Person { kind: person.kind, id })
    }
}

/// Bytes in hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
