//! Names of topics and facets, and the titles of items: words of the topic mixed with words that say nothing.

use rand::Rng;

use super::draw::below;

/// Topic name, its four facets (also used as tags), and words its titles are made of.
pub const TOPICS: [(&str, [&str; 4], [&str; 8]); 16] = [
    (
        "cooking",
        ["baking", "grilling", "vegan", "noodles"],
        ["oven", "dough", "pepper", "broth", "kitchen", "garlic", "slow", "roast"],
    ),
    (
        "travel",
        ["mountains", "islands", "trains", "cities"],
        ["road", "harbour", "ticket", "map", "sunrise", "border", "hostel", "coast"],
    ),
    (
        "music",
        ["jazz", "choir", "synth", "folk"],
        ["chord", "record", "stage", "rhythm", "melody", "strings", "encore", "studio"],
    ),
    (
        "football",
        ["league", "tactics", "transfers", "youth"],
        ["goal", "keeper", "derby", "penalty", "coach", "stadium", "press", "cup"],
    ),
    (
        "science",
        ["space", "genes", "oceans", "physics"],
        ["orbit", "cell", "signal", "theory", "sample", "lens", "current", "proof"],
    ),
    (
        "gardens",
        ["roses", "herbs", "ponds", "orchards"],
        ["soil", "seed", "prune", "bloom", "shade", "compost", "frost", "hedge"],
    ),
    (
        "films",
        ["thriller", "comedy", "animation", "noir"],
        ["scene", "director", "script", "camera", "sequel", "frame", "cut", "actor"],
    ),
    (
        "games",
        ["chess", "puzzles", "strategy", "arcade"],
        ["board", "level", "opening", "score", "quest", "turn", "boss", "draw"],
    ),
    (
        "books",
        ["poetry", "crime", "history", "fantasy"],
        ["chapter", "letter", "dragon", "archive", "verse", "clue", "page", "legend"],
    ),
    (
        "health",
        ["running", "sleep", "yoga", "nutrition"],
        ["breath", "pulse", "stretch", "rest", "protein", "pace", "habit", "balance"],
    ),
    (
        "money",
        ["saving", "markets", "housing", "taxes"],
        ["rate", "budget", "rent", "share", "loan", "index", "ledger", "price"],
    ),
    (
        "craft",
        ["wood", "wool", "clay", "paper"],
        ["chisel", "loom", "glaze", "fold", "joint", "needle", "kiln", "knot"],
    ),
    (
        "code",
        ["compilers", "databases", "networks", "graphics"],
        ["cache", "thread", "query", "pixel", "packet", "parser", "branch", "shader"],
    ),
    (
        "animals",
        ["birds", "dogs", "whales", "insects"],
        ["nest", "trail", "wing", "herd", "song", "den", "tide", "swarm"],
    ),
    (
        "fashion",
        ["shoes", "vintage", "denim", "jewels"],
        ["seam", "silk", "collar", "fit", "thread", "print", "button", "lace"],
    ),
    (
        "news",
        ["elections", "climate", "courts", "local"],
        ["vote", "storm", "witness", "council", "report", "treaty", "bridge", "strike"],
    ),
];

/// Words that belong to no topic.
const PLAIN: [&str; 16] = [
    "the", "new", "little", "great", "quiet", "guide", "best", "first", "story", "how", "why", "ten", "lost",
    "old", "open", "days",
];

/// A title of four to six words: mostly of the topic, one names the facet half of the time.
pub fn title(rng: &mut impl Rng, topic: usize, facet: usize) -> String {
    let (_, facets, words) = &TOPICS[topic];
    let mut parts = vec![PLAIN[below(rng, PLAIN.len())]];
    for _ in 0..3 + below(rng, 2) {
        parts.push(if rng.random::<f64>() < 0.75 {
            words[below(rng, 8)]
        } else {
            PLAIN[below(rng, PLAIN.len())]
        });
    }
    if rng.random::<f64>() < 0.5 {
        parts.push(facets[facet]);
    }
    parts.join(" ")
}

/// Two or three tags: the facet nine times in ten, another facet of the topic, and now and then one from elsewhere.
pub fn tags(rng: &mut impl Rng, topic: usize, facet: usize) -> Vec<&'static str> {
    let facets = TOPICS[topic].1;
    let mut tags = vec![if rng.random::<f64>() < 0.9 { facets[facet] } else { facets[below(rng, 4)] }];
    tags.push(facets[below(rng, 4)]);
    if rng.random::<f64>() < 0.3 {
        tags.push(TOPICS[below(rng, TOPICS.len())].1[below(rng, 4)]);
    }
    tags.sort_unstable();
    tags.dedup();
    tags
}
