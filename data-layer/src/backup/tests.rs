//! Laws of backups: what is put back is the state that was; nothing is overwritten unasked; damage changes nothing.

mod erased;
mod shared;

use std::path::Path;

use futures::executor::block_on;

use super::*;
use crate::ingest::{Form, Ingest};
use crate::live::{Items, Live};
use crate::types::time::DAY;

const NOW: Millis = 20_000 * DAY;

struct Site(tempfile::TempDir, Config);

impl Site {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        std::fs::write(&file, toml).unwrap();
        let config = Config::load_with(&file, []).unwrap();
        Self(folder, config)
    }

    fn backup(&self, to: &Path) -> Result<Backup> {
        backup(&self.1, &Address::Folder(to.to_owned()), &mut |_| ())
    }

    fn restore(&self, from: &Path, force: bool) -> Result<Restored> {
        restore(&self.1, &Address::Folder(from.to_owned()), force, &mut |_| ())
    }

    fn state(&self) -> (u64, u64, String) {
        let live = Ingest::read_only(&self.1).unwrap();
        (live.applied().producer, live.applied().sequence, shown(&live))
    }
}

fn shown(live: &Live) -> String {
    let items = live.items();
    let click = live.actions().id("click").unwrap();
    let all = (0..items.len() as u32).map(|item| {
        let person = live.person(&crate::types::Person::user(items.id(item).clone()));
        let did = person.map(|state| state.actions.len());
        format!(
            "{} {} {:?} {did:?}",
            items.id(item),
            items.counters(item).total(click),
            items.attributes(item)
        )
    });
    all.collect::<Vec<_>>().join("\n")
}

fn send(ingest: &Ingest, from: u32) {
    for n in from..from + 5 {
        let body = format!(
            r#"[{{"type":"interaction","id":"e{n}","user":"i{}","item":"i{}","action":"click","time":{NOW}}},
                {{"type":"item","id":"i{}","time":{NOW},"attributes":{{"price":{n}.5}}}}]"#,
            n % 3,
            n % 4,
            n % 4
        );
        assert_eq!(block_on(ingest.submit(body.as_bytes(), Form::Auto, NOW).unwrap()).unwrap().accepted, 2);
    }
}

#[test]
fn what_is_put_back_is_the_state_that_was() {
    let (site, place) = (Site::new(""), tempfile::tempdir().unwrap());
    let ingest = Ingest::open(&site.1).unwrap();
    send(&ingest, 0);
    ingest.renew_snapshots().unwrap();
    send(&ingest, 5);
    // Beside a server that goes on.
    let made = site.backup(place.path()).unwrap();
    assert!(made.snapshot > 0 && made.files.iter().any(|file| file.name == SNAPSHOT));
    let before = site.state();
    send(&ingest, 10);
    assert!(site.backup(place.path()).unwrap_err().to_string().contains("a place of its own"));
    assert!(matches!(site.restore(place.path(), true), Err(Error::Locked { .. })));
    ingest.close().unwrap();
    let after = site.state();
    assert_ne!(before, after);
    let other = Site::new("");
    let restored = other.restore(place.path(), false).unwrap();
    assert_eq!((restored.replaced, other.state()), (0, before.clone()));
    // It goes on as the log that it was, and knows what came before.
    let ingest = Ingest::open(&other.1).unwrap();
    let body =
        format!(r#"{{"type":"interaction","id":"e3","user":"u","item":"i1","action":"click","time":{NOW}}}"#);
    let receipt = block_on(ingest.submit(body.as_bytes(), Form::Auto, NOW).unwrap()).unwrap();
    assert_eq!((receipt.duplicates, receipt.position.producer), (1, before.0));
    ingest.close().unwrap();
    let said = site.restore(place.path(), false).unwrap_err().to_string();
    assert!(said.contains("--force"), "{said}");
    assert_eq!(site.state(), after);
    assert!(site.restore(place.path(), true).unwrap().replaced > 0);
    assert_eq!(site.state(), before);
}

#[test]
fn damage_and_other_namespaces_change_nothing() {
    let (site, place) = (Site::new(""), tempfile::tempdir().unwrap());
    assert!(matches!(site.backup(place.path()), Err(Error::NotFound { .. })));
    assert!(matches!(site.restore(place.path(), false), Err(Error::NotFound { .. })));
    let ingest = Ingest::open(&site.1).unwrap();
    send(&ingest, 0);
    ingest.close().unwrap();
    let before = site.state();
    let made = site.backup(place.path()).unwrap();
    for file in &made.files {
        let path = place.path().join(&file.name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let said = site.restore(place.path(), true).unwrap_err().to_string();
        assert!(said.contains(&file.name) && said.contains("sum"), "{said}");
        assert_eq!(site.state(), before);
        std::fs::write(&path, whole).unwrap();
    }
    let other = Site::new("namespace = \"other\"");
    std::fs::create_dir(place.path().join("ns=other")).unwrap();
    std::fs::copy(place.path().join(LIST), place.path().join("ns=other").join(LIST)).unwrap();
    let said = other.restore(place.path(), false).unwrap_err().to_string();
    assert!(said.contains("namespace \"other\", found one of \"main\""), "{said}");
    let list = std::fs::read_to_string(place.path().join(LIST)).unwrap();
    std::fs::write(place.path().join(LIST), list.replace("events/", "../events/")).unwrap();
    assert!(site.restore(place.path(), true).unwrap_err().to_string().contains("expected names of segments"));
}
