//! Request bodies: read up to a limit, unpacked up to the same limit. No form is assumed.

use std::io::Read;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::Payload;
use futures::StreamExt;

use crate::Engine;
use crate::error::{Error, Refusal, Result};

/// The body, unpacked; `limit` bytes at most, before and after unpacking.
///
/// # Errors
/// 413 beyond the limit, 415 for another encoding than gzip and zstd, 400 for a body that breaks off or does not unpack.
pub async fn read(engine: &Engine, request: &HttpRequest, mut payload: Payload) -> Result<Vec<u8>> {
    let limit = engine.config().server.body_limit;
    let mut raw = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| Refusal::new(400, format!("the body breaks off: {e}")))?;
        if raw.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        raw.extend_from_slice(&chunk);
    }
    let encoding =
        request.headers().get(CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?").to_ascii_lowercase());
    match encoding.as_deref().unwrap_or("identity") {
        "" | "identity" => Ok(raw),
        "gzip" | "x-gzip" => unpack(flate2::read::MultiGzDecoder::new(&*raw), limit),
        "zstd" => unpack(zstd::Decoder::new(&*raw).map_err(|e| broken(&e))?, limit),
        other => {
            Err(Refusal::new(415, format!("expected gzip or zstd as Content-Encoding, found {other:?}"))
                .into())
        }
    }
}

fn unpack(packed: impl Read, limit: usize) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    packed.take(limit as u64 + 1).read_to_end(&mut body).map_err(|e| broken(&e))?;
    if body.len() > limit { Err(too_large(limit)) } else { Ok(body) }
}

fn broken(error: &std::io::Error) -> Refusal {
    Refusal::new(400, format!("the body does not unpack: {error}"))
}

fn too_large(limit: usize) -> Error {
    Refusal::new(413, format!("expected a body of at most {limit} bytes, unpacked; send it in parts")).into()
}

/// The body as JSON.
///
/// # Errors
/// 400 when it is none.
pub fn json(body: &[u8]) -> Result<serde_json::Value> {
    serde_json::from_slice(body).map_err(|e| Refusal::new(400, format!("the body is not JSON: {e}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_limit_holds_after_unpacking() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![b' '; 1 << 20]).unwrap();
        let packed = packed.finish().unwrap();
        let status = |limit| {
            unpack(flate2::read::MultiGzDecoder::new(&*packed), limit).map_err(|e| e.refusal().status)
        };
        assert_eq!(status(1 << 20).map(|b| b.len()), Ok(1 << 20));
        assert_eq!(status((1 << 20) - 1), Err(413));
        let short = unpack(flate2::read::MultiGzDecoder::new(&packed[..20]), 100);
        assert_eq!(short.unwrap_err().refusal().status, 400);
    }
}
