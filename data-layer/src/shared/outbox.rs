//! The log of a server as an outbox: its records go to their partitions in Redis, in packets, and again until they are confirmed. Not for
//! what becomes of them there.
//!
//! **Invariant:** the position moves past a record only when every partition that it goes to has confirmed it. A packet says which sequence
//! it follows, so what Redis lost (a crash, an election) is met by the next packet, or by the look at all partitions after every error, when a
//! connection was made anew, whoever met the end of the last one, and every half minute; then the log is read again from there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::forwarded::Forwarded;
use super::outlook::Outlook;
use super::routes::route_of;
use super::{Appended, Lane, Packed, Packet, Partitions, Place, Sender};
use crate::log::Entry;
use crate::{Error, Result};

use tokio::task::JoinHandle;

/// Records read before they are sent.
const MOST_RECORDS: usize = 32 << 10;
/// Payload bytes read before they are sent.
const MOST_BYTES: usize = 8 << 20;
/// How often the position is written down.
const SAVE: Duration = Duration::from_secs(1);
/// How often partitions that nothing is sent to are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How often it is asked whether all are to stand still, and how long it rests then.
const ASK: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(20)];
/// Waits after an error, doubled up to the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// A log to forward: records that are on the disk for good.
pub trait Records: Send {
    /// Which log it is.
    fn producer(&self) -> u64;

    /// Goes to the record after a sequence. Where that one is no longer kept, to the oldest.
    ///
    /// # Errors
    /// What the disk said.
    fn seek(&mut self, after: u64) -> Result<()>;

    /// The next record; `None` where there is none yet.
    ///
    /// # Errors
    /// What the disk said. The same record may be asked for again.
    fn next(&mut self) -> Result<Option<Entry>>;

    /// Waits until there may be more, at most so long.
    fn wait(&mut self, at_most: Duration);
}

/// A log on its way to Redis. One batch is read while the one before is under way.
pub struct Outbox<R> {
    partitions: Partitions,
    records: R,
    folder: PathBuf,
    /// What is confirmed.
    done: Forwarded,
    /// Last sequence that was packed, by partition.
    packed: Vec<u64>,
    /// Sequence of the last record that was read.
    read: u64,
    /// The furthest that was ever read.
    furthest: u64,
    /// The last record of which a part of the partitions may have something.
    begun: u64,
    /// Under which name all are asked to stand still, and when that was asked for.
    still: (Option<String>, Option<Instant>),
    losses: u64,
    flight: Option<Flight>,
    /// Whether what is in Redis is what is believed to be.
    known: bool,
    /// How many connections had been made when that was found out.
    made: u64,
    looked: Instant,
    saved: Instant,
    outlook: Arc<Outlook>,
}

/// A batch under way.
struct Flight {
    /// Sequence of its last record.
    upto: u64,
    answers: JoinHandle<Vec<(Place, Result<Appended>)>>,
}

impl<R: Records> Outbox<R> {
    /// The outbox of a log; how far it came is kept in `folder`, which must exist.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(partitions: Partitions, records: R, folder: PathBuf) -> Result<Self> {
        let done = Forwarded::load(&folder, records.producer())?;
        let (packed, read, now) = (done.sent.clone(), done.position, Instant::now());
        let outlook = Arc::<Outlook>::default();
        outlook.start_at(read);
        let (flight, known, looked, saved) = (None, false, now, now);
        let (furthest, losses) = (read, 0);
        Ok(Self {
            partitions,
            records,
            folder,
            done,
            packed,
            read,
            furthest,
            begun: read,
            still: (None, None),
            losses,
            flight,
            known,
            made: 0,
            looked,
            saved,
            outlook,
        })
    }

    /// What others may know of it.
    #[must_use]
    pub fn outlook(&self) -> Arc<Outlook> {
        Arc::clone(&self.outlook)
    }

    /// Forwards until it is stopped. Blocks its thread, which must not be one of the runtime.
    pub fn run(mut self, runtime: &tokio::runtime::Handle) {
        let mut wait = WAITS[0];
        while !self.outlook.is_stopped() {
            match runtime.block_on(self.step()) {
                Ok(true) => wait = WAITS[0],
                Ok(false) => {
                    wait = WAITS[0];
                    self.records.wait(Duration::from_millis(50));
                }
                Err(error) => {
                    tracing::warn!(%error, position = self.done.position, "events wait in the log until Redis takes them");
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(WAITS[1]);
                }
            }
        }
        if let Err(error) = self.done.save(&self.folder) {
            tracing::warn!(%error, "how far events were forwarded could not be written down; it is found out at the next start");
        }
    }

    /// Reads a batch and sends it; whether there was anything to read or to wait for. An error leaves all of it for the next call.
    ///
    /// # Errors
    /// What Redis or the disk said.
    pub async fn step(&mut self) -> Result<bool> {
        let result = self.try_step().await;
        self.outlook.set_away(result.is_err());
        if result.is_err() {
            self.known = false;
        }
        result
    }

    async fn try_step(&mut self) -> Result<bool> {
        let made = self.partitions.link().made();
        self.known &= made == self.made;
        if !self.known || (self.flight.is_none() && self.looked.elapsed() >= LOOK) {
            self.look().await?;
            self.made = made;
        }
        let still = self.is_to_stand_still().await?;
        let packets = self.pack(still)?;
        let upto = self.read;
        let waited = self.land().await?;
        if !packets.is_empty() && self.known {
            let partitions = self.partitions.clone();
            let answers = self.partitions.link().spawn(async move {
                let answers = partitions.append(&packets).await;
                packets.into_iter().map(|(_, place, _)| place).zip(answers).collect()
            });
            self.flight = Some(Flight { upto, answers });
            return Ok(true);
        }
        if self.known {
            self.reach(upto)?;
        }
        if still && !waited {
            self.say_still().await?;
        }
        Ok(waited)
    }

    /// Whether no record is to be sent that was not begun with; asked now and then.
    async fn is_to_stand_still(&mut self) -> Result<bool> {
        let (token, asked) = &mut self.still;
        if asked.is_none_or(|asked| asked.elapsed() >= ASK[0]) {
            *token = self.partitions.paused().await?;
            *asked = Some(Instant::now());
        }
        Ok(token.is_some())
    }

    /// Says that all partitions have the log up to a record, and none anything behind it.
    async fn say_still(&mut self) -> Result<()> {
        if let (Some(token), true) = (&self.still.0, self.known && self.read >= self.begun) {
            self.partitions.say_still(token, self.done.producer, self.done.position).await?;
        }
        tokio::time::sleep(ASK[1]).await;
        Ok(())
    }

    /// Everything up to a sequence is confirmed.
    fn reach(&mut self, position: u64) -> Result<()> {
        self.done.position = position;
        self.outlook.reach(&self.done, self.losses);
        if self.saved.elapsed() >= SAVE {
            self.done.save(&self.folder)?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    /// Finds out what every partition has, and goes back in the log where that is less than was confirmed, or where nobody knows what
    /// became of a batch.
    async fn look(&mut self) -> Result<()> {
        if let Some(flight) = self.flight.take() {
            let _ = flight.answers.await;
        }
        let places: Vec<Place> = places().collect();
        let sender = Sender::Log(self.done.producer);
        let (mut from, mut lost) = (self.done.position, 0_usize);
        let found = self.partitions.sent(sender, &places).await;
        let found = found.into_iter().collect::<Result<Vec<u64>>>()?;
        for (sent, found) in self.done.sent.iter_mut().zip(found) {
            if found < *sent {
                (from, lost) = (from.min(found), lost + 1);
            }
            *sent = found;
        }
        if lost > 0 {
            self.losses += 1;
            tracing::warn!(
                partitions = lost,
                from,
                to = self.read,
                "Redis lost events that it had confirmed; they are sent again"
            );
        }
        self.packed.clone_from(&self.done.sent);
        self.begun = self.done.sent.iter().copied().fold(self.begun, u64::max);
        if from < self.read || !self.known {
            self.records.seek(from)?;
            self.read = from;
        }
        self.done.position = self.done.position.min(from);
        (self.known, self.looked) = (true, Instant::now());
        Ok(())
    }

    /// Reads records and packs them by partition; with `still` no new ones.
    fn pack(&mut self, still: bool) -> Result<Vec<(Sender, Place, Packet)>> {
        let (mut records, mut bytes) = (0, 0);
        let mut packets: Vec<Vec<Packet>> = self.packed.iter().map(|_| Vec::new()).collect();
        let most = if still { self.begun } else { u64::MAX };
        while records < MOST_RECORDS && bytes < MOST_BYTES && self.read < most {
            let Some(record) = self.records.next()? else { break };
            let Entry { version, kind, partition, sequence, received_ms, payload, .. } = &record;
            let route = route_of(*version, *kind, *partition, payload).map_err(|detail| {
                Error::invalid(format!("record {sequence} of log {:016x}", self.done.producer), detail)
            })?;
            let (version, kind, sequence, received_ms) = (*version, *kind, *sequence, *received_ms);
            let packed = Packed { version, kind, sequence, received_ms, payload };
            for place in route.places() {
                let at = index(place);
                if sequence <= self.packed[at] {
                    continue;
                }
                if packets[at].last().is_none_or(Packet::is_full) {
                    packets[at].push(Packet::after(self.packed[at]));
                }
                if let Some(packet) = packets[at].last_mut() {
                    packet.push(&packed);
                }
                self.packed[at] = sequence;
            }
            if sequence <= self.furthest {
                self.outlook.sent_again();
            }
            (self.furthest, self.begun) = (self.furthest.max(sequence), self.begun.max(sequence));
            (self.read, records, bytes) = (sequence, records + 1, bytes + payload.len());
        }
        let sender = Sender::Log(self.done.producer);
        let of = |(place, packets): (Place, Vec<Packet>)| {
            packets.into_iter().map(move |packet| (sender, place, packet))
        };
        Ok(places().zip(packets).flat_map(of).collect())
    }

    /// Waits for what is under way; whether there was anything.
    async fn land(&mut self) -> Result<bool> {
        let Some(flight) = self.flight.take() else { return Ok(false) };
        let place = || self.partitions.link().place().to_owned();
        let ended =
            |_| Error::Store { place: place(), detail: "the connection's runtime has ended".to_owned() };
        let answers = flight.answers.await.map_err(ended)?;
        let (mut failed, mut full) = (None, false);
        for (place, answer) in answers {
            match answer {
                // Behind a packet that was not taken, none of its partition was.
                Ok(Appended::In(sent)) => {
                    let done = &mut self.done.sent[index(place)];
                    *done = sent.max(*done);
                }
                Ok(Appended::Gap(_)) => self.known = false,
                Ok(Appended::Full) => full = true,
                Err(error) => failed = Some(error),
            }
        }
        if full {
            let detail =
                "partitions are full: no server takes what waits in them, or not as fast as it comes";
            failed = failed.or_else(|| Some(Error::Store { place: place(), detail: detail.to_owned() }));
        }
        match failed {
            Some(error) => Err(error),
            None if self.known => self.reach(flight.upto).map(|()| true),
            None => Ok(true),
        }
    }
}

fn places() -> impl Iterator<Item = Place> {
    Lane::People.places().chain(Lane::Items.places())
}

fn index(place: Place) -> usize {
    match place.lane {
        Lane::People => place.partition.into(),
        Lane::Items => usize::from(Lane::People.partitions()) + usize::from(place.partition),
    }
}
