//! The whole life of a request, top to bottom. Start here: every stage is one call, and its folder holds its components.

use compute_layer::recall::ahead::Over;
use compute_layer::{Query, Stores};

use crate::ask::{Asked, Turn};
use crate::engine::Engine;
use crate::present::Answer;
use crate::request::Request;
use crate::trip::Trip;
use crate::{Result, decide, filter, present, rank, read, recall, strategy};

/// Answers one request.
///
/// # Errors
/// 404 for an unknown scene, 422 for a field that does not fit it. What is merely late, missing or broken is named in `degraded`.
pub async fn recommend(engine: &Engine, request: &Request) -> Result<Answer> {
    // Which surface asks, which variant of it this person gets, and so what runs.
    let scenes = engine.scenes();
    let scene = scenes.scene(&request.scene)?;
    let turn = Turn::of(engine, &scenes, scene, request)?;
    let work = scenes.work(scene, &turn.buckets)?;
    let asked = Asked::check(engine, request, &work)?;
    let mut trip = Trip::start(decide::is_whole(engine, request, &turn, work.record_share));

    // The first wait: what is known of who asks.
    let reader = read::person(engine, request, &mut trip).await;
    let named = asked.resolve(engine, &reader, &mut trip);
    let until = engine.deadline(work.deadline_ms);
    let query = Query {
        now_ms: turn.now_ms,
        seed: turn.seed,
        person: reader.person.as_ref(),
        state: reader.state.as_deref(),
        session: &named.session,
        anchors: &named.anchors,
        history: reader.history(engine.live().keep(), work.history, turn.now_ms),
        actions: engine.actions(),
        size: asked.size,
        context: &asked.context,
    };

    // The second, where there are any: lists of tables that are not in memory.
    let ahead = read::lists(engine, &work, &named, &query, &until, &mut trip).await;

    // From here on there is one picture of items, lists and tables, and no more waiting.
    let world = engine.world_over(&ahead);
    let erased = reader.person.as_ref().and_then(|person| engine.erased(person));
    let lists = Over::new(world.access(turn.now_ms), &ahead, engine.lazy()).without(erased);
    let stores = Stores { items: &*world.items, access: &lists };

    let mut candidates = recall::run(&work, &named, &query, &stores, &until, &mut trip)?;
    let always = filter::always::Always::of(&named, &turn);
    let filters = filter::in_order(&always, &asked, &work);
    filter::run(&filters, &query, &stores, &mut candidates, &mut trip);
    recall::fall_back(&work, &named, &filters, &query, &stores, &until, &mut candidates, &mut trip)?;

    let features = rank::features(&work, &query, &stores, &candidates, &mut trip);
    rank::score(&work, &features, &mut candidates, &mut trip);
    let arranged = strategy::arrange(&work.strategies, &query, &stores, &mut candidates, &mut trip);

    let decided = decide::Decided {
        request,
        scenes: &scenes,
        scene,
        turn,
        work,
        reader,
        candidates,
        features,
        arranged,
    };
    let answer = present::answer(engine, &world, &asked, &decided, &mut trip);
    decide::record(engine, &world, &decided, &answer, &trip);
    Ok(answer)
}
