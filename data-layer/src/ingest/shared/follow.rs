//! The thread that finds out what counts: which of this server's records all partitions have taken, and what all servers say of items, for its
//! own item table and lists. Not for who takes them: that is `crate::shared::Owner`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::standing::Standing;
use crate::Result;
use crate::live::Live;
use crate::shared::{Lane, Partitions, Place, Reached, Sender, Tail, Tailed};

/// How long nothing is asked while something is awaited, and while nothing is.
const REST: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(10)];
/// How long after an error.
const WAIT: Duration = Duration::from_millis(200);
/// Reads of the item stream before something else has its turn.
const READS: usize = 64;
/// How often it is looked at how Redis is set up, and said again how far this server has come.
const LOOK: Duration = Duration::from_secs(60);

/// One server on the heels of all.
pub(super) struct Follow {
    pub partitions: Partitions,
    pub producer: u64,
    pub live: Arc<Live>,
    pub tail: Tail,
    pub standing: Arc<Standing>,
    pub stop: Arc<AtomicBool>,
    /// What is to be taken before it counts.
    pub target: Option<Arc<Reached>>,
    /// Last sequence of this server that was taken, by partition.
    pub taken: Vec<u64>,
    pub losses: u64,
    pub looked: Option<Instant>,
}

impl Follow {
    /// Works until it is stopped. Blocks its thread, which must not be one of the runtime.
    pub(super) fn run(mut self, runtime: &Handle) {
        let mut told = false;
        while !self.stop.load(Ordering::Acquire) {
            let rest = match runtime.block_on(self.step()) {
                Ok(()) => {
                    told = false;
                    REST[usize::from(self.target.is_none())]
                }
                Err(error) => {
                    if !told {
                        tracing::warn!(%error, "what servers share is not followed; trying again");
                    }
                    told = true;
                    WAIT
                }
            };
            std::thread::park_timeout(rest);
        }
    }

    async fn step(&mut self) -> Result<()> {
        let taken = self.taken().await?;
        self.standing.looks.begin();
        let mut drained = false;
        for _ in 0..READS {
            let deltas = match self.tail.read().await? {
                Tailed::Came(deltas) => deltas,
                Tailed::Lost => {
                    tracing::error!(
                        "redis has lost what it said of items; it is read again from the beginning"
                    );
                    self.tail = Tail::new(self.partitions.clone(), Tail::beginning())?;
                    self.live.forget_items();
                    continue;
                }
            };
            if deltas.is_empty() {
                drained = true;
                break;
            }
            self.live.apply_deltas(&deltas)?;
            self.tail.take();
            self.standing.deltas.fetch_add(deltas.len() as u64, Ordering::Relaxed);
        }
        if drained {
            self.standing.looks.end();
        }
        if let Some(reached) = taken.filter(|_| drained) {
            self.live.applied.send_replace(reached.position);
            self.target = None;
            self.partitions.say_applied(self.producer, reached.position).await?;
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look().await?;
        }
        Ok(())
    }

    /// What is awaited, where all partitions have taken it.
    async fn taken(&mut self) -> Result<Option<Arc<Reached>>> {
        if self.target.is_none() {
            let reached = self.standing.outlook.reached();
            let known = self.live.applied().sequence;
            let new = reached.position > known || reached.losses != self.losses;
            self.target = Some(reached).filter(|reached| new && !reached.sent.is_empty());
        }
        let Some(target) = self.target.clone() else { return Ok(None) };
        if target.losses != self.losses {
            self.taken.fill(0);
            self.losses = target.losses;
        }
        let places: Vec<(usize, Place)> =
            Lane::People.places().chain(Lane::Items.places()).enumerate().collect();
        let open = |taken: &[u64]| -> Vec<(usize, Place)> {
            places.iter().copied().filter(|(at, _)| target.sent[*at] > taken[*at]).collect()
        };
        let asked = open(&self.taken);
        let which: Vec<Place> = asked.iter().map(|(_, place)| *place).collect();
        let marks = if which.is_empty() { Vec::new() } else { self.partitions.marks(&which).await };
        for ((at, _), mark) in asked.iter().zip(marks) {
            self.taken[*at] = mark?.taken_of(Sender::Log(self.producer));
        }
        Ok(open(&self.taken).is_empty().then_some(target))
    }

    /// Says once what is wrong with how Redis is set up.
    fn note(&self, unfit: Option<String>) {
        let mut known = self.standing.unfit.lock();
        if let Some(detail) = unfit.as_ref().filter(|_| *known != unfit) {
            tracing::warn!(redis = self.partitions.link().place(), "{detail}");
        }
        *known = unfit;
    }

    async fn look(&mut self) -> Result<()> {
        let unfit = self.partitions.link().unfit().await?;
        self.note(unfit);
        let applied = self.live.applied().sequence;
        if applied > 0 {
            self.partitions.say_applied(self.producer, applied).await?;
        }
        self.looked = Some(Instant::now());
        Ok(())
    }
}
