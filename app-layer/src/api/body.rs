//! Request bodies: read up to a limit, unpacked up to the same limit, in room that is taken before it is filled. No form is assumed.

use std::io::Read;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::{self, Payload};
use data_layer::ingest::{Lane, Reservation};
use futures::StreamExt;

use crate::Engine;
use crate::error::{Error, Refusal, Result};

/// Room that a body has to begin with; more is taken as it comes.
const FIRST: usize = 16 << 10;
/// Bytes that are unpacked at a time.
const PIECE: usize = 64 << 10;
/// Largest window of a zstd frame, as a power of 2: 8 MiB, which is what the ordinary levels use.
const MOST_WINDOW: u32 = 23;

/// A body's bytes and the room that they have.
type Held = (Vec<u8>, Reservation);
/// Unpacks a body, up to so many bytes.
type Unpack = fn(&[u8], usize, Reservation) -> Result<Held>;

/// The body, unpacked; `body_limit` bytes at most, before and after unpacking.
///
/// # Errors
/// As [`read_into`], and 429 where there is no room.
pub async fn read(engine: &Engine, request: &HttpRequest, payload: Payload) -> Result<Vec<u8>> {
    let room = engine.bodies().enter(Lane::Live, 0)?;
    Ok(read_into(engine, request, payload, room).await?.0)
}

/// The body, unpacked, in room of the caller's.
///
/// # Errors
/// 413 beyond the limit, 415 for another encoding than gzip and zstd, 400 for a body that breaks off or does not unpack, 429 where there is
/// no room.
pub async fn read_into(
    engine: &Engine,
    request: &HttpRequest,
    mut payload: Payload,
    mut room: Reservation,
) -> Result<Held> {
    let limit = engine.config().server.body_limit;
    let encoding =
        request.headers().get(CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?").to_ascii_lowercase());
    let unpack: Option<Unpack> = match encoding.as_deref() {
        None | Some("" | "identity") => None,
        Some("gzip" | "x-gzip") => Some(gunzip),
        Some("zstd") => Some(unzstd),
        Some(other) => {
            let detail = format!("expected gzip or zstd as Content-Encoding, found {other:?}");
            return Err(Refusal::new(415, detail).into());
        }
    };
    let said = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|said| said > limit) {
        return Err(too_large(limit));
    }
    let mut raw = Vec::new();
    make_room(&mut raw, said.unwrap_or(FIRST).min(FIRST), &mut room)?;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| Refusal::new(400, format!("the body breaks off: {e}")))?;
        if raw.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        make_room(&mut raw, chunk.len(), &mut room)?;
        raw.extend_from_slice(&chunk);
    }
    let Some(unpack) = unpack else { return Ok((raw, room)) };
    // Unpacking takes its time, and memory of its own: a few do it at once, on threads that serve nobody else.
    let turn = room.of().unpack().await;
    let unpacked = web::block(move || {
        let _turn = turn;
        let packed = raw.capacity();
        let (body, mut room) = unpack(&raw, limit, room)?;
        drop(raw);
        room.give_back(packed);
        Ok((body, room))
    });
    unpacked.await.map_err(|_| Refusal::new(503, "the server is stopping"))?
}

/// Lets a list take so many bytes more, with room for them, and for the move to where it can grow, before it does.
fn make_room(list: &mut Vec<u8>, more: usize, room: &mut Reservation) -> Result<()> {
    if list.capacity() - list.len() < more {
        let (old, wanted) = (list.capacity(), (list.len() + more).max(2 * list.capacity()));
        room.grow(wanted)?;
        list.reserve_exact(wanted - list.len());
        room.give_back(old);
    }
    Ok(())
}

fn gunzip(packed: &[u8], limit: usize, room: Reservation) -> Result<Held> {
    unpack(flate2::read::MultiGzDecoder::new(packed), limit, room)
}

fn unzstd(packed: &[u8], limit: usize, room: Reservation) -> Result<Held> {
    let mut decoder = zstd::Decoder::new(packed).map_err(|e| broken(&e))?;
    decoder.window_log_max(MOST_WINDOW).map_err(|e| broken(&e))?;
    unpack(decoder, limit, room)
}

fn unpack(mut packed: impl Read, limit: usize, mut room: Reservation) -> Result<Held> {
    let (mut body, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let read = packed.read(&mut piece).map_err(|e| broken(&e))?;
        if read == 0 {
            return Ok((body, room));
        }
        if body.len() + read > limit {
            return Err(too_large(limit));
        }
        make_room(&mut body, read, &mut room)?;
        body.extend_from_slice(&piece[..read]);
    }
}

fn broken(error: &std::io::Error) -> Refusal {
    Refusal::new(400, format!("the body does not unpack: {error}"))
}

fn too_large(limit: usize) -> Error {
    Refusal::new(413, format!("expected a body of at most {limit} bytes, unpacked; send it in parts")).into()
}

/// The body as JSON, of a bounded number of values.
///
/// # Errors
/// 400 when it is none.
pub fn json(body: &[u8]) -> Result<serde_json::Value> {
    data_layer::ingest::read_json(body)
        .map_err(|e| Refusal::new(400, format!("the body is not JSON: {e}")).into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use data_layer::ingest::Admission;

    use super::*;

    fn bomb(bytes: usize) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![b' '; bytes]).unwrap();
        packed.finish().unwrap()
    }

    fn status(outcome: Result<Held>) -> std::result::Result<usize, u16> {
        outcome.map(|(body, _)| body.len()).map_err(|e| e.refusal().status)
    }

    #[test]
    fn the_limit_holds_after_unpacking_and_room_is_asked_for() {
        let zstd = zstd::encode_all(&vec![b' '; 1 << 20][..], 3).unwrap();
        let all = Admission::new(3 << 20);
        let room = || all.admit(Lane::Live, 0).unwrap();
        let forms: [(Vec<u8>, Unpack); 2] = [(bomb(1 << 20), gunzip), (zstd, unzstd)];
        for (packed, unpack) in forms {
            assert_eq!(status(unpack(&packed, 1 << 20, room())), Ok(1 << 20));
            assert_eq!(status(unpack(&packed, (1 << 20) - 1, room())), Err(413));
            assert_eq!(status(unpack(&packed[..packed.len() / 2], 1 << 20, room())), Err(400));
            let others = all.admit(Lane::Live, 5 << 19).unwrap();
            assert_eq!(status(unpack(&packed, 1 << 20, room())), Err(429));
            drop(others);
            assert_eq!(all.used(), 0);
        }
        assert!(all.peak() <= 3 << 20);
    }

    #[test]
    fn a_frame_that_asks_for_a_large_window_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&[b'x'; 1000]).unwrap();
        let packed = encoder.finish().unwrap();
        let room = Admission::new(1 << 20).admit(Lane::Live, 0).unwrap();
        assert_eq!(status(unzstd(&packed, 1 << 20, room)), Err(400));
    }
}
