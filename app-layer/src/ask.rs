//! What a request asks of its scene: checked against schema and cursor, its ids turned into ordinals. Its JSON is `request.rs`'s.

use std::collections::BTreeMap;

use data_layer::live::Items;
use data_layer::rule::Rule;
use data_layer::types::{Id, Millis, Ordinal, Value, time};
use rustc_hash::FxHashSet;
use ulid::Ulid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::cursor::Page;
use crate::engine::Engine;
use crate::error::{FieldError, Refusal, Result};
use crate::filter::rule::Passes;
use crate::hint::did_you_mean;
use crate::read::Reader;
use crate::request::Request;
use crate::scene::{Scene, Scenes, Work};
use crate::trip::Trip;

/// What is pinned for one answer, and stays so over its pages.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The server's own id of this answer.
    pub request_id: String,
    /// Who a cursor belongs to.
    pub owner: u64,
    /// Seed of all chance.
    pub seed: u64,
    /// The time it is computed for.
    pub now_ms: Millis,
    /// Layer to bucket.
    pub buckets: BTreeMap<String, String>,
    /// Tie hashes of the items of earlier pages.
    pub earlier: Vec<u64>,
}

impl Turn {
    /// The first page, or the next one by its cursor.
    ///
    /// # Errors
    /// 422 for a cursor that is not this server's, or belongs to another request.
    pub fn of(engine: &Engine, scenes: &Scenes, scene: &Scene, request: &Request) -> Result<Self> {
        let request_id = Ulid::generate().to_string();
        let owner = owner(&scene.name, request);
        let Some(cursor) = &request.cursor else {
            // Below 2^53, so that a seed read from an explanation survives every JSON reader.
            let drawn = xxh3_64(request_id.as_bytes()) >> 11;
            let now_ms = request.now_ms.unwrap_or_else(time::now);
            return Ok(Self {
                owner,
                seed: request.seed.unwrap_or(drawn),
                now_ms,
                buckets: scenes.buckets(scene, request, now_ms),
                earlier: Vec::new(),
                request_id,
            });
        };
        let page = engine.signer().open_page(cursor)?;
        if page.owner != owner {
            return Err(Refusal::field(
                "/cursor",
                "belongs to another scene or person; send it with the request it came from",
            )
            .into());
        }
        for (name, pinned) in [
            ("/seed", request.seed.is_none_or(|seed| seed == page.seed)),
            ("/now_ms", request.now_ms.is_none_or(|now| now == page.now_ms)),
        ] {
            if !pinned {
                return Err(Refusal::field(name, "the cursor pins another value; leave the field out").into());
            }
        }
        let Page { seed, now_ms, buckets, earlier, .. } = page;
        Ok(Self { request_id, owner, seed, now_ms, buckets, earlier })
    }
}

/// Hash of a scene and of who asks.
fn owner(scene: &str, request: &Request) -> u64 {
    let mut hash = xxh3_64(scene.as_bytes());
    for id in [&request.user, &request.anonymous, &request.session_id] {
        let text = id.as_ref().map_or("", Id::as_str);
        hash = xxh3_64_with_seed(text.as_bytes(), hash.wrapping_add(u64::from(id.is_some())));
    }
    hash
}

/// A request that fits its scene.
#[derive(Debug)]
pub struct Asked<'a> {
    request: &'a Request,
    /// How many items.
    pub size: usize,
    /// The request's own rule.
    pub filter: Option<Passes>,
    /// Attributes to return.
    pub fields: &'a [String],
    /// Scalars of the moment; comes with a later version of the contract.
    pub context: BTreeMap<String, Value>,
}

impl<'a> Asked<'a> {
    /// Checks what depends on the scene and the schema.
    ///
    /// # Errors
    /// 422 with every field that is wrong.
    pub fn check(engine: &Engine, request: &'a Request, work: &Work) -> Result<Self> {
        let schema = engine.live().schema();
        let mut errors = Vec::new();
        let filter = request.filter.as_ref().and_then(|text| match Rule::parse(text, &schema) {
            Ok(rule) => Some(Passes(rule)),
            Err(error) => {
                errors.push(FieldError { pointer: "/filter".into(), detail: error.to_string() });
                None
            }
        });
        for (at, name) in
            request.fields.iter().enumerate().filter(|(_, name)| !schema.items.contains_key(*name))
        {
            let hint = did_you_mean(name, schema.items.keys().map(String::as_str));
            let detail = format!("unknown item attribute {name:?}{hint}");
            errors.push(FieldError { pointer: format!("/fields/{at}"), detail });
        }
        if !errors.is_empty() {
            return Err(Refusal::fields(errors).into());
        }
        let size = request.size.unwrap_or(work.size);
        Ok(Self { request, size, filter, fields: &request.fields, context: BTreeMap::new() })
    }

    /// Looks up the ids of the request. What a person did is left out where nothing personal may be read.
    #[must_use]
    pub fn resolve(&self, engine: &Engine, reader: &Reader, trip: &mut Trip) -> Named {
        let items = engine.live().items();
        let of = |ids: &[Id]| ids.iter().filter_map(|id| items.ordinal(id.as_str())).collect::<Vec<_>>();
        let candidates = self.request.candidates.as_ref().map(|ids| {
            let found = of(ids);
            if found.len() < ids.len() {
                let detail =
                    format!("{} of {} candidates are unknown items", ids.len() - found.len(), ids.len());
                trip.left_out("candidates", "missing", detail);
            }
            found
        });
        let anchors = of(&self.request.items);
        let excluded = anchors.iter().copied().chain(of(&self.request.exclude)).collect();
        let session = if reader.personal { of(&self.request.session) } else { Vec::new() };
        Named { personal: reader.personal, session, anchors, candidates, excluded }
    }
}

/// The items that a request names.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// `false` where who asks is not to be personalised.
    pub personal: bool,
    /// Items of the session, newest first.
    pub session: Vec<Ordinal>,
    /// The page being read, the cart.
    pub anchors: Vec<Ordinal>,
    /// Rank only these.
    pub candidates: Option<Vec<Ordinal>>,
    /// Never return these: the anchors and what the request excludes.
    pub excluded: FxHashSet<Ordinal>,
}
