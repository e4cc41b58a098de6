//! Where a store is, and how it is spoken to. Keys are no part of it: they come from the environment, as everywhere with S3.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A folder, or a bucket and what stands before every name in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Address {
    /// A folder of this machine, or one that is mounted.
    Folder(PathBuf),
    /// `s3://bucket/prefix`.
    S3 {
        /// The bucket.
        bucket: String,
        /// Parts of the prefix, none of them empty; none at all for the bucket itself.
        prefix: Vec<String>,
    },
}

/// `[tables.store]`: how an S3-compatible store is spoken to. What is not given is taken from `AWS_…` variables.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Address of a store that is not Amazon's, such as `https://minio.example:9000`.
    pub endpoint: Option<String>,
    /// Region of the bucket, such as `eu-central-1`.
    pub region: Option<String>,
    /// Whether an endpoint without TLS may be spoken to.
    pub allow_http: bool,
    /// Whether the bucket is part of the host name rather than of the path.
    pub virtual_hosted: bool,
}

impl Address {
    /// Reads `s3://bucket/prefix`, `file:///folder`, or a path, which is relative to `folder`.
    ///
    /// # Errors
    /// A sentence with what was expected and found. What could hold a secret is not repeated in it.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let wanted = "expected s3://bucket/prefix, file:///folder, or a path";
        if let Some(rest) = text.strip_prefix("s3://") {
            return s3(rest);
        }
        let path = match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => path,
            Some(_) => return Err(format!("{wanted}; `file://` is followed by an absolute path")),
            None => text,
        };
        match text.split_once("://") {
            Some((scheme, _)) if scheme != "file" => Err(format!("{wanted}; found {scheme}://…")),
            _ if path.is_empty() => Err(format!("{wanted}; found nothing")),
            _ => Ok(Self::Folder(folder.join(path))),
        }
    }
}

fn s3(rest: &str) -> Result<Address, String> {
    if rest.contains('@') {
        return Err("expected s3://bucket/prefix without keys; those come from AWS_ACCESS_KEY_ID and \
                    AWS_SECRET_ACCESS_KEY in the environment"
            .to_owned());
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let letter = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(letter) {
        return Err(format!(
            "expected s3://bucket/prefix with a bucket of 3 to 63 letters, found {bucket:?}"
        ));
    }
    let prefix: Vec<String> = prefix.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    let plain =
        |part: &String| ![".", ".."].contains(&part.as_str()) && !part.contains(['?', '#', '\\', '%']);
    match prefix.iter().find(|part| !plain(part)) {
        Some(part) => Err(format!("expected plain names between slashes, found {part:?}")),
        None => Ok(Address::S3 { bucket: bucket.to_owned(), prefix }),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) if path.is_absolute() => write!(f, "file://{}", path.display()),
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } => {
                write!(f, "s3://{bucket}")?;
                prefix.iter().try_for_each(|part| write!(f, "/{part}"))
            }
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl Options {
    /// Checks what can be checked without asking the store.
    ///
    /// # Errors
    /// The key, and a sentence. What could hold a secret is not repeated in it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        if endpoint.contains('@') {
            let detail = "expected an address without keys; those come from AWS_ACCESS_KEY_ID and \
                          AWS_SECRET_ACCESS_KEY in the environment";
            return Err(("endpoint", detail.to_owned()));
        }
        match endpoint.split_once("://") {
            Some(("https", host)) if !host.is_empty() => Ok(()),
            Some(("http", host)) if !host.is_empty() && self.allow_http => Ok(()),
            Some(("http", host)) if !host.is_empty() => {
                Err(("endpoint", format!("{endpoint:?} has no TLS; expected https://…, or allow_http")))
            }
            _ => Err(("endpoint", format!("expected https://host:port, found {endpoint:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, String> {
        Address::parse(text, Path::new("/etc/weir"))
    }

    #[test]
    fn addresses_read_as_they_are_written() {
        for (text, shown) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("s3://my-bucket/a//b/", "s3://my-bucket/a/b"),
            ("file:///srv/tables", "file:///srv/tables"),
            ("/srv/tables", "file:///srv/tables"),
            ("store", "file:///etc/weir/store"),
        ] {
            assert_eq!(read(text).map(|a| a.to_string()), Ok(shown.to_owned()));
        }
        for (text, part) in [
            ("", "found nothing"),
            ("gs://bucket/x", "found gs://…"),
            ("file://srv", "absolute path"),
            ("s3://x", "3 to 63"),
            ("s3://bucket/../x", "plain names"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn keys_in_addresses_are_refused_and_not_repeated() {
        let said = read("s3://AKIAX:hunter2@bucket/x").unwrap_err();
        assert!(said.contains("environment") && !said.contains("hunter2") && !said.contains("AKIAX"));
        let options = |endpoint: &str, allow_http| Options {
            endpoint: Some(endpoint.to_owned()),
            allow_http,
            ..Options::default()
        };
        let (_, said) = options("http://u:hunter2@host", true).check().unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
        assert!(options("http://host:9000", false).check().unwrap_err().1.contains("allow_http"));
        assert!(options("host:9000", true).check().is_err());
        assert!(options("http://host:9000", true).check().is_ok());
        assert!(options("https://host:9000", false).check().is_ok());
    }
}
