//! Who was erased, when a backup is put back: those whom it knows of stay so, by the journal that it brings; those who were erased since are erased
//! again in what it brings, by records behind its log. Not for the rewriting: that is `crate::erase`'s, as of any erasure.

use std::collections::BTreeSet;
use std::path::Path;

use super::Backup;
use crate::config::Config;
use crate::erase::{End, Erasures, FILES, Since, nobody};
use crate::ingest::snapshots;
use crate::live::snapshot;
use crate::log::{self, Entries, Stream, Writer, decision, format, record};
use crate::types::event::Erase;
use crate::types::{Event, Millis, Person, PersonKind, Record, time};
use crate::{Error, Result};

/// What of a log says who was erased, and who else is named.
struct Found {
    end: End,
    /// Records that ask for erasures.
    asked: Vec<Record>,
}

/// Erases again, in what was fetched into `drafts`, whom the journal beside the log that is there says to be erased since, and `named`, who are
/// being erased from what servers share; how many people that were. What is fetched has a journal then, of all erasures that its log asks for.
///
/// # Errors
/// Those of reading logs, snapshots and journals, and of writing the log that was fetched.
pub(super) fn again(config: &Config, drafts: &Config, backup: &Backup, named: Vec<Person>) -> Result<usize> {
    let [there, fetched] = [config, drafts].map(|config| config.log.dir.join(&config.namespace));
    let producer = backup.producer()?;
    keep_key(&there, &fetched)?;
    let Found { mut end, asked } = read(&drafts.events_folder())?;
    end.is_same = log::producer(&config.events_folder())? == Some(producer);
    let erasures = Erasures::open(&fetched, producer)?;
    erasures.note(&asked)?;
    let since = Since::of(&there, end)?;
    let mut gone: BTreeSet<Person> = named.into_iter().collect();
    if !since.is_empty() {
        each_person(drafts, &mut |person| {
            if since.has(person) && !gone.contains(person) {
                gone.insert(person.clone());
            }
        })?;
    }
    let gone: Vec<Person> = gone.into_iter().collect();
    let rest = since.without(&gone, &erasures);
    if gone.is_empty() && rest.is_empty() {
        return Ok(0);
    }
    let mut writer = Writer::open(&drafts.events_folder(), Stream::Events, &drafts.namespace, producer)?;
    let now = time::now();
    // Behind what stands for nobody, so that the journal has them before their records are read.
    let stood = rest.into_iter().map(|(hash, time)| {
        let sequence = append(&mut writer, nobody()?, format::PAST, now)?.sequence;
        Ok((sequence, hash, time))
    });
    let stood = stood.collect::<Result<Vec<_>>>()?;
    let records = gone.into_iter().map(|person| append(&mut writer, person, 0, now));
    let records = records.collect::<Result<Vec<Record>>>()?;
    writer.flush().and_then(|()| writer.sync())?;
    erasures.take_over(stood)?;
    erasures.note(&records)?;
    Ok(records.len())
}

/// The key under which people are hashed here stays, where a backup brings none.
fn keep_key(there: &Path, fetched: &Path) -> Result<()> {
    let [from, to] = [there, fetched].map(|folder| folder.join(FILES[0]));
    if from.exists() && !to.exists() {
        std::fs::copy(&from, &to).map_err(Error::io(&to))?;
    }
    Ok(())
}

fn append(writer: &mut Writer, person: Person, flags: u8, now: Millis) -> Result<Record> {
    let partition = person.partition();
    let event = Event::Erase(Erase { person, time: now });
    let payload = format::encode_event(&event).map_err(|detail| Error::invalid("erasure", detail))?;
    let sequence = writer.append(format::kind_of(&event) | flags, partition, now, &payload);
    Ok(Record { sequence, received_ms: now, partition, past: flags != 0, event })
}

/// Where a log ends, and its erasures.
fn read(folder: &Path) -> Result<Found> {
    let mut asked = Vec::new();
    let (mut sequence, mut time) = (0, Millis::MIN);
    let mut entries = Entries::open(folder, Stream::Events, 0)?;
    while let Some(entry) = entries.next_ref()? {
        (sequence, time) = (entry.sequence, time.max(entry.received_ms));
        if entry.kind & !format::PAST == format::ERASE {
            asked.push(record(entry, folder)?);
        }
    }
    Ok(Found { end: End { is_same: false, sequence, time }, asked })
}

/// Everybody whom a log, its decisions or its newest snapshot name, many more than once.
fn each_person(drafts: &Config, each: &mut dyn FnMut(&Person)) -> Result<()> {
    let folder = drafts.events_folder();
    let mut entries = Entries::open(&folder, Stream::Events, 0)?;
    while let Some(entry) = entries.next_ref()? {
        if entry.kind == format::VOID {
            continue;
        }
        let event = record(entry, &folder)?.event;
        event.person().iter().for_each(&mut *each);
        match event {
            Event::Identify(event) => each(&Person::anonymous(event.anonymous)),
            Event::Edge(event) => each(&Person::user(event.to)),
            _ => {}
        }
    }
    let folder = drafts.decisions_folder();
    let mut entries = Entries::open(&folder, Stream::Decisions, 0)?;
    while let Some(entry) = entries.next_ref()? {
        if entry.kind == format::VOID {
            continue;
        }
        let made = decision(entry, &folder)?;
        for (kind, id) in [
            (PersonKind::User, made.user),
            (PersonKind::Anonymous, made.anonymous),
            (PersonKind::Session, made.session_id),
        ] {
            id.into_iter().for_each(|id| each(&Person { kind, id }));
        }
    }
    if let Some((_, path)) = snapshots::list(&snapshots::folder(drafts), None)?.into_iter().next() {
        let live = snapshot::load(&path, &drafts.actions, &drafts.live.keep)?.live;
        live.people.change_all(|person, _| each(person));
    }
    Ok(())
}
