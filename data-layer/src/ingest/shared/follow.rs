//! The thread that finds out what counts: which of this server's records all partitions have taken, and what all servers say of items, for its
//! own item table and lists. Not for who takes them: that is `crate::shared::Owner`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::keeping::Keeping;
use super::standing::Standing;
use crate::live::Live;
use crate::shared::{Lane, Partitions, Place, Reached, Sender, Tail, Tailed};
use crate::{Error, Result};

/// How long nothing is asked while something is awaited, and while nothing is.
const REST: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(10)];
/// How long after an error.
const WAIT: Duration = Duration::from_millis(200);
/// How long until it is looked again for a snapshot where what comes next is nowhere.
const CUT_OFF: Duration = Duration::from_secs(5);
/// Reads of the item stream before something else has its turn.
const READS: usize = 64;
/// How often it is looked at how Redis is set up, and said again how far this server has come.
const LOOK: Duration = Duration::from_secs(60);

/// One server on the heels of all.
pub(super) struct Follow {
    partitions: Partitions,
    producer: u64,
    live: Arc<Live>,
    tail: Tail,
    /// Whether what comes next is not there.
    cut_off: bool,
    keeping: Keeping,
    standing: Arc<Standing>,
    stop: Arc<AtomicBool>,
    /// What is to be taken before it counts.
    target: Option<Arc<Reached>>,
    /// Last sequence of this server that was taken, by partition.
    taken: Vec<u64>,
    losses: u64,
    /// How many connections had been made when it found that out.
    made: u64,
    looked: Option<Instant>,
}

impl Follow {
    /// From where the store stands, or from the beginning.
    pub(super) fn new(
        partitions: Partitions,
        keeping: Keeping,
        live: Arc<Live>,
        standing: Arc<Standing>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let at = {
            let mut streams = live.streams.lock();
            if streams.is_empty() {
                *streams = Tail::beginning();
            }
            streams.clone()
        };
        Ok(Self {
            tail: Tail::new(partitions.clone(), at)?,
            cut_off: false,
            partitions,
            producer: live.applied().producer,
            live,
            keeping,
            standing,
            stop,
            target: None,
            taken: vec![0; (Lane::People.partitions() + Lane::Items.partitions()).into()],
            losses: 0,
            made: 0,
            looked: None,
        })
    }

    /// Works until it is stopped. Blocks its thread, which must not be one of the runtime.
    pub(super) fn run(mut self, runtime: &Handle) {
        let mut told = false;
        while !self.stop.load(Ordering::Acquire) {
            let rest = match self.turn(runtime) {
                Ok(()) => {
                    told = false;
                    REST[usize::from(self.target.is_none())]
                }
                Err(error) => {
                    if !told {
                        tracing::warn!(%error, "what servers share is not followed; trying again");
                    }
                    told = true;
                    if self.standing.stuck().is_some() { CUT_OFF } else { WAIT }
                }
            };
            std::thread::park_timeout(rest);
        }
    }

    /// Once all there is to do. What waits for disk and store is outside of the runtime.
    fn turn(&mut self, runtime: &Handle) -> Result<()> {
        self.keeping.renew(runtime, &mut self.tail)?;
        if self.cut_off {
            match self.keeping.recover(runtime, &self.tail) {
                Ok(tail) => {
                    (self.tail, self.cut_off) = (tail, false);
                    *self.standing.stuck.lock() = None;
                }
                Err(error) => {
                    let stuck = matches!(error, Error::NotFound { .. }).then(|| error.to_string());
                    *self.standing.stuck.lock() = stuck;
                    return Err(error);
                }
            }
        }
        runtime.block_on(self.step())
    }

    /// What was said to a Redis that is there no more is said again, and what it had taken is asked again.
    fn renew(&mut self) {
        let made = self.partitions.link().made();
        if made != self.made {
            self.made = made;
            self.taken.fill(0);
            self.looked = None;
            self.keeping.doubt();
        }
    }

    async fn step(&mut self) -> Result<()> {
        self.renew();
        let taken = self.taken().await?;
        self.standing.looks.begin();
        let mut drained = false;
        for _ in 0..READS {
            let deltas = match self.tail.read().await? {
                Tailed::Came(deltas) => deltas,
                Tailed::Lost | Tailed::Trimmed => {
                    self.cut_off = true;
                    return Ok(());
                }
            };
            if !deltas.is_empty() {
                self.live.apply_deltas_to(&deltas, self.tail.upto())?;
                self.tail.take();
                self.standing.deltas.fetch_add(deltas.len() as u64, Ordering::Relaxed);
            }
            drained = !self.tail.more();
            if drained {
                break;
            }
        }
        if drained {
            self.standing.looks.end();
        }
        if let Some(reached) = taken.filter(|_| drained) {
            self.live.applied.send_replace(reached.position);
            self.target = None;
            self.partitions.say_applied(self.producer, reached.position).await?;
        }
        let late = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if late {
            self.look().await?;
        }
        if late || self.keeping.moved() {
            self.keeping.say().await?;
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
