//! The engine of one namespace: stores, tables, models, scenes and the log, opened from a configuration and kept up to date.
//! What happens to a request is `flow.rs`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use compute_layer::{Deadline, Model, Monotonic};
use data_layer::access::{Access, Ahead, Readers, Snapshot, Tables};
use data_layer::config::{Keep, Residency};
use data_layer::ingest::{Admission, CatchUp, Ingest};
use data_layer::live::{ItemsGuard, Live};
use data_layer::publish::remote::Source;
use data_layer::publish::{Arrivals, Refused};
use data_layer::registry::Models;
use data_layer::types::{Decision, Millis};
use data_layer::{Actions, Config};
use parking_lot::Mutex;

use crate::cursor::Signer;
use crate::error::{Error, Refusal, Result};
use crate::feedback::Answers;
use crate::found::known;
use crate::metrics::Metrics;
use crate::scene::{Known, Scenes, load};

/// Everything that serves one namespace.
pub struct Engine {
    config: Config,
    live: Arc<Live>,
    ingest: Option<Ingest>,
    pub(crate) erasures: Option<Arc<data_layer::erase::Erasures>>,
    bodies: Arc<Admission>,
    tables: Tables,
    lazy: BTreeSet<String>,
    readers: Option<Readers>,
    arrivals: Option<Arrivals>,
    source: Option<Source>,
    models: Models,
    scenes: ArcSwap<Scenes>,
    reloading: Mutex<()>,
    unfit: Mutex<Option<Unfit>>,
    signer: Signer,
    clock: Monotonic,
    patient: bool,
    metrics: Metrics,
    answers: Answers,
}

/// Why what was found last does not fit the scenes: what ran before still runs.
struct Unfit {
    /// Version of the schema that was tried.
    schema: u32,
    /// Every fault.
    faults: String,
}

/// One picture of what a request is answered from.
pub struct World<'a> {
    /// The items, locked for reading.
    pub items: ItemsGuard<'a>,
    /// The tables.
    pub snapshot: Arc<Snapshot>,
    live: &'a Live,
}

impl World<'_> {
    /// The lists as of a time: tables merged with live ones.
    #[must_use]
    pub fn access(&self, now_ms: Millis) -> Access<'_> {
        Access { snapshot: &self.snapshot, live: self.live.lists(), now_ms }
    }

    /// The bounds of what is kept.
    #[must_use]
    pub fn keep(&self) -> &Keep {
        self.live.keep()
    }
}

impl Engine {
    /// Opens for serving: takes the log's lock, recovers, and applies what the log holds.
    ///
    /// # Errors
    /// What the data layer says, and every fault of every scene and experiment at once.
    pub fn open(config: Config) -> Result<Self> {
        Self::open_telling(config, &CatchUp::default())
    }

    /// As [`Engine::open`], telling how far it is.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_telling(config: Config, told: &CatchUp) -> Result<Self> {
        let ingest = Ingest::open_telling(&config, told)?;
        let live = Arc::clone(ingest.live());
        let signer = Signer::open(&config.live.dir)?;
        let source = Source::open(&config)?;
        // Scenes may name a table as soon as it has a folder. Where the store is away, what is here must do.
        if let Some(Err(error)) = source.as_ref().map(Source::folders) {
            tracing::warn!(%error, "the source of tables can't be read; what is here is served");
        }
        let engine = Self::assemble(config, live, Some(ingest), signer, false)?;
        Ok(Self { source, ..engine })
    }

    /// Opens beside a running server or without one: nothing is written, deadlines never pass, so that the same input gives the same
    /// output.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn read_only(config: Config) -> Result<Self> {
        let live = Ingest::read_only(&config)?;
        Self::assemble(config, live, None, Signer::drawn(), true)
    }

    fn assemble(
        config: Config,
        live: Arc<Live>,
        ingest: Option<Ingest>,
        signer: Signer,
        patient: bool,
    ) -> Result<Self> {
        let tables = Tables::open(&config, Arc::clone(&live))?;
        let lazy = lazy(&config);
        // Who has all the time there is reads on the spot.
        let readers =
            if patient || lazy.is_empty() { None } else { Some(Readers::start(config.tables.readers)?) };
        let models = Models::open(&config)?;
        let files = load::files(&config)?;
        let scenes = Scenes::compile(files, known(&config, &live, &models)).map_err(Error::Files)?;
        let bodies = ingest.as_ref().map(|ingest| Arc::clone(ingest.admission()));
        let bodies = bodies.unwrap_or_else(|| Admission::new(config.server.event_memory));
        // Who only reads publishes nothing.
        let arrivals = (ingest.is_some() && config.tables.watch).then(|| Arrivals::new(&config));
        Ok(Self {
            metrics: Metrics::new(),
            answers: Answers::default(),
            erasures: crate::erased::open(&config, ingest.as_ref())?,
            config,
            live,
            ingest,
            bodies,
            tables,
            lazy,
            readers,
            arrivals,
            source: None,
            models,
            scenes: ArcSwap::from_pointee(scenes),
            reloading: Mutex::default(),
            unfit: Mutex::default(),
            signer,
            clock: Monotonic::start(),
            patient,
        })
    }

    /// Looks for moved tables and models and for new attributes, and swaps them in. Reads the disk: never on a request's thread.
    pub fn refresh(&self) {
        // From looking to swapping in, so that whoever returns from here has seen every change that was found before.
        let _one_at_a_time = self.reloading.lock();
        for swap in self.tables.poll() {
            tracing::info!(table = swap.table, from = ?swap.from, to = swap.to, "table swapped in");
        }
        let swapped = self.models.poll();
        for swap in &swapped {
            tracing::info!(model = swap.model, from = ?swap.from, to = swap.to, "model swapped in");
        }
        self.recompile(!swapped.is_empty());
    }

    /// Publishes what was copied into the folders of tables, then does what [`Engine::refresh`] does. Gives back whether something may
    /// still be on its way, so that another look soon is worth while.
    pub fn look(&self) -> bool {
        let arrived = self.arrivals.as_ref().map(Arrivals::look).unwrap_or_default();
        self.refresh();
        arrived.unsettled
    }

    /// What was copied into the folders of tables and is not published, and why.
    #[must_use]
    pub fn refused(&self) -> Vec<Refused> {
        self.arrivals.as_ref().map(Arrivals::refused).unwrap_or_default()
    }

    /// Looks at the store that tables are pulled from, and swaps in what is new. Takes as long as the network does: for a thread of its
    /// own.
    pub fn pull(&self) {
        let Some(source) = &self.source else { return };
        let broken: Vec<String> = self.tables.errors().into_iter().map(|error| error.table).collect();
        if !source.look(&broken).moved.is_empty() {
            self.refresh();
        }
    }

    /// The store that tables are pulled from; `None` where there is none, or when opened read-only.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// Compiles all scenes against what is known now, where that has changed. One at a time.
    fn recompile(&self, models_changed: bool) {
        let scenes = self.scenes.load_full();
        let schema = self.live.schema().version;
        let tried = self.unfit.lock().as_ref().map(|unfit| unfit.schema);
        let tried = tried.unwrap_or(scenes.known().schema.version);
        if !models_changed && tried == schema {
            return;
        }
        let unfit =
            match Scenes::compile(scenes.files().clone(), known(&self.config, &self.live, &self.models)) {
                Ok(fresh) => {
                    self.scenes.store(Arc::new(fresh));
                    None
                }
                Err(faults) => {
                    let faults = Error::Files(faults).to_string();
                    tracing::error!(faults, "scenes no longer check; what runs stays");
                    Some(Unfit { schema, faults })
                }
            };
        *self.unfit.lock() = unfit;
    }

    /// Why what was found last is not what scenes run, where it is not.
    #[must_use]
    pub fn unfit(&self) -> Option<String> {
        self.unfit.lock().as_ref().map(|unfit| unfit.faults.clone())
    }

    /// Checks that every scene would run with a version of a model. Reads the disk.
    ///
    /// # Errors
    /// 422 for a model that can't be computed, or that lacks what a scene does not give; what the registry says.
    pub fn would_run(&self, name: &str, version: u32) -> Result<()> {
        let (version, file) = self.models.registry().load(name, Some(version))?;
        let label = format!("{name}@{version}");
        let model = Model::load(&file).map_err(|e| Refusal::new(422, format!("{label}: {e}")))?;
        let scenes = self.scenes.load_full();
        let mut known = Known { schema: self.live.schema(), ..scenes.known().clone() };
        known.models.insert(name.to_owned(), Some((label, Arc::new(model))));
        match Scenes::compile(scenes.files().clone(), known) {
            Ok(_) => Ok(()),
            Err(faults) => Err(Refusal::new(422, Error::Files(faults).to_string()).into()),
        }
    }

    /// One picture of items, tables and lists. Hold it for one request's computing, never across an await.
    #[must_use]
    pub fn world(&self) -> World<'_> {
        self.world_over(&Ahead::none())
    }

    /// As [`Engine::world`], with the tables from which lists were read ahead.
    #[must_use]
    pub fn world_over(&self, ahead: &Ahead) -> World<'_> {
        // The snapshot first: its items exist by the time the item table is read.
        let snapshot = ahead.snapshot().cloned().unwrap_or_else(|| self.tables.snapshot());
        World { snapshot, items: self.live.items(), live: &self.live }
    }

    /// Tables that stay on disk, so that no request reads them on its own thread.
    #[must_use]
    pub fn lazy(&self) -> &BTreeSet<String> {
        &self.lazy
    }

    /// The threads that read lazy tables; `None` where there are none of those, or no hurry.
    #[must_use]
    pub fn readers(&self) -> Option<&Readers> {
        self.readers.as_ref()
    }

    /// The end of a request's budget.
    #[must_use]
    pub fn deadline(&self, budget_ms: u64) -> Deadline<'_> {
        if self.patient {
            Deadline::never()
        } else {
            Deadline::after(&self.clock, budget_ms.saturating_mul(1_000))
        }
    }

    /// The scenes as compiled now.
    #[must_use]
    pub fn scenes(&self) -> Arc<Scenes> {
        self.scenes.load_full()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Weights of actions.
    #[must_use]
    pub fn actions(&self) -> &Actions {
        &self.config.actions
    }

    /// The live side.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The room for bodies of requests.
    #[must_use]
    pub fn bodies(&self) -> &Arc<Admission> {
        &self.bodies
    }

    /// Where events go in; `None` when opened read-only.
    #[must_use]
    pub fn ingest(&self) -> Option<&Ingest> {
        self.ingest.as_ref()
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The models.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Signs cursors.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The newest answers, for counting feedback.
    #[must_use]
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Hands a decision to the log; never waits.
    pub fn decide(&self, decision: Decision) {
        if let Some(ingest) = &self.ingest {
            ingest.decide(decision);
        }
    }

    /// Writes what is left and lets go of the log.
    ///
    /// # Errors
    /// What the log says.
    pub fn close(self) -> Result<()> {
        self.ingest.map_or(Ok(()), |ingest| Ok(ingest.close()?))
    }
}

/// Tables that the configuration leaves on disk.
fn lazy(config: &Config) -> BTreeSet<String> {
    let named = config.tables.named.iter().filter(|(_, options)| options.residency == Residency::Lazy);
    named.map(|(name, _)| name.clone()).collect()
}
