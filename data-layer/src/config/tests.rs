//! What a file says is what comes out, and what makes no sense is refused with its place.

use super::*;
use crate::types::{Unknown, ValueType};

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.toml");
    std::fs::write(&path, text).unwrap();
    Config::load_with(&path, environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
}

fn refused(text: &str, environment: &[(&str, &str)]) -> String {
    load(text, environment).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    let config = load("", &[]).unwrap();
    let folder = config.file.parent().unwrap().to_owned();
    assert_eq!(config.namespace, "main");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.log.retention, Some(30 * crate::types::time::DAY));
    assert_eq!(config.table_folder("item_cf"), folder.join("tables/item_cf"));
    assert_eq!(config.events_folder(), folder.join("log/main/events"));
    assert_eq!(config.actions, Actions::default());
    assert_eq!(config.schema, Schema::reserved());
    assert_eq!(config.tables.keep, 5);
}

#[test]
fn another_namespace_has_folders_of_its_own() {
    let config = load("namespace = \"shop\"\n[models]\ndir = \"/m\"\n", &[]).unwrap();
    assert_eq!(config.models_root(), Path::new("/m/ns=shop"));
    assert!(config.table_folder("x").ends_with("tables/ns=shop/x"));
    assert!(refused("namespace = \"a/b\"", &[]).contains("namespace"));
}

#[test]
fn a_typo_has_its_line_and_a_suggestion() {
    let said = refused("[server]\nlisen = \"x\"\n", &[]);
    assert!(said.ends_with("weir.toml:2:1: unknown key `lisen`; did you mean `listen`?"), "{said}");
    let said = refused("[tabels]\n", &[]);
    assert!(said.contains("weir.toml:1:2") && said.contains("did you mean `tables`"), "{said}");
    let said = refused("[schema]\nstars = \"int\"\nprice = \"flaot\"\n", &[]);
    assert!(said.ends_with("weir.toml:3:9: unknown value `flaot`; did you mean `float`?"), "{said}");
    let said = refused("[schema.user]\nage = \"number\"\n", &[]);
    assert!(said.contains("weir.toml:2:7: unknown value `number`; expected one of bool, int"), "{said}");
    let said = refused("[server]\nlisten = \"x\n", &[]);
    assert!(said.contains("weir.toml:2:"), "{said}");
}

#[test]
fn the_environment_lies_over_the_file() {
    let variables = [("WEIR__SERVER__LISTEN", "127.0.0.1:99"), ("WEIR__TABLES__KEEP", "2"), ("PATH", "/bin")];
    let config = load("[server]\nlisten = \"127.0.0.1:1\"\n", &variables).unwrap();
    assert_eq!(config.server.listen.port(), 99);
    assert_eq!(config.tables.keep, 2);
    let config = load("", &[("WEIR__ACTIONS__CLICK", "2"), ("WEIR__NAMESPACE", "7")]).unwrap();
    assert_eq!(config.namespace, "7");
    assert_eq!(config.actions.weight(config.actions.id("click").unwrap(), 1.0), 2.0);
    let said = refused("", &[("WEIR__TABLES__KEPE", "2")]);
    assert_eq!(said, "WEIR__TABLES__KEPE: unknown key `kepe`; did you mean `keep`?");
    assert!(refused("", &[("WEIR__TABLES__KEEP", "many")]).starts_with("WEIR__TABLES__KEEP: "));
    assert!(refused("", &[("WEIR__NAMESPACE__X", "1")]).starts_with("WEIR__NAMESPACE__X: "));
}

#[test]
fn keys_are_checked_and_hidden() {
    let key = "[server]\nlisten = \"0.0.0.0:80\"\n[[server.keys]]\nname = \"a\"\n";
    let open = "[server]\nlisten = \"0.0.0.0:80\"\n";
    assert!(refused(open, &[]).contains("loopback"));
    let config =
        load(&format!("{key}secret_env = \"S\"\nrights = [\"read\"]"), &[("S", "long enough")]).unwrap();
    assert_eq!(config.server.keys[0].secret.expose(), "long enough");
    assert!(!format!("{config:?}").contains("long enough"));
    assert!(refused(&format!("{key}secret_env = \"S\"\nrights = [\"read\"]"), &[]).contains("\"S\""));
    assert!(refused(&format!("{key}rights = [\"read\"]"), &[]).contains("secret"));
    assert!(refused(&format!("{key}secret = \"12345678\"\nrights = [\"fly\"]"), &[]).contains("fly"));
}

#[test]
fn redis_is_reached_as_is_said_and_what_is_wrong_is_named() {
    let redis = |rest: &str| format!("[live]\nbackend = \"redis\"\n{rest}");
    let shared = |rest: &str| match load(&redis(rest), &[]).unwrap().live.backend {
        Backend::Redis(shared) => shared,
        Backend::Embedded => unreachable!(),
    };
    let one = shared("url = \"redis://u:secret@x:7\"");
    assert_eq!((one.redis.urls.len(), one.redis.cluster, one.read_timeout.as_millis()), (1, false, 25));
    assert!(!format!("{one:?}").contains("secret"));
    let many = shared(
        "url = [\"rediss://a\", \"rediss://b\"]\ncluster = true\nca = \"ca.pem\"\nforget_after = \"30d\"",
    );
    assert_eq!((many.redis.urls.len(), many.forget_after), (2, 30 * 86_400_000));
    assert!(many.redis.authorities.unwrap().is_absolute());
    for (text, key, part) in [
        (redis(""), "live.url", "redis://"),
        (redis("url = \"http://x\""), "live.url", "rediss://"),
        (redis("url = [\"redis://a\", \"redis://b\"]"), "live.url", "cluster = true"),
        (redis("url = \"redis://a\"\nca = \"ca.pem\""), "live.ca", "rediss://"),
        (redis("url = \"redis://a\"\ntimeout = \"0s\""), "live.timeout", "found 0 ms"),
        (redis("url = \"redis://a\"\nretractable_for = \"1s\""), "live.retractable_for", "found 1000 ms"),
        ("[live]\nurl = \"redis://a\"".to_owned(), "live.url", "backend = \"redis\""),
        ("[live]\ncluster = true".to_owned(), "live.cluster", "backend = \"redis\""),
        ("[live]\nbackend = \"memory\"".to_owned(), "live.backend", "\"memory\""),
    ] {
        let error = refused(&text, &[]);
        assert!(error.contains(key) && error.contains(part), "{text}: {error}");
    }
}

#[test]
fn schemas_are_read_and_reserved_types_hold() {
    let text = "[schema]\nprice = \"float\"\nunknown = \"reject\"\n[schema.user]\ncity = \"string\"\n";
    let config = load(text, &[]).unwrap();
    assert_eq!(config.schema.items["price"], ValueType::Float);
    assert_eq!(config.schema.items["hidden"], ValueType::Bool);
    assert_eq!(config.schema.users["city"], ValueType::String);
    assert_eq!(config.schema.unknown, Unknown::Reject);
    assert!(refused("[schema]\nhidden = \"int\"\n", &[]).contains("reserved"));
    assert!(refused("[schema]\nprice = \"money\"\n", &[]).contains("money"));
}

#[test]
fn nonsense_is_refused_with_its_key() {
    for (text, names) in [
        ("[tables]\nkeep = 0", "tables.keep"),
        ("[log]\nretention = \"soon\"", "log.retention"),
        ("[log]\ncompact_after = \"forever\"", "log.compact_after"),
        ("[log]\nsync = \"never\"", "never"),
        ("[server]\nlisten = \"nowhere\"", "server.listen"),
        ("[actions]\nclick = \"much\"", "much"),
        ("timezone = \"\"", "timezone"),
    ] {
        let said = refused(text, &[]);
        assert!(said.contains(names), "{said}");
    }
}

#[test]
fn a_retention_that_removes_nothing_is_said() {
    for (text, idle) in [
        ("", false),
        ("[log]\nretention = \"7d\"", true),
        ("[log]\nretention = \"forever\"", false),
        ("[log]\nretention = \"7d\"\narchive = \"old\"", false),
    ] {
        let notes = load(text, &[]).unwrap().log.notes();
        assert_eq!(notes.iter().any(|note| note.starts_with("log.retention: ")), idle, "{text}: {notes:?}");
    }
    assert_eq!(load("", &[("WEIR__LOG__RETENTION", "7d")]).unwrap().log.notes().len(), 1);
}

#[test]
fn tables_are_configured_one_by_one_and_typos_are_refused() {
    let text = "[tables]\nkeep = 2\n[tables.big]\nresidency = \"lazy\"\nverify = \"background\"\ncache = \"64MiB\"\n\
                [tables.named.keep]\nresidency = \"locked\"\n";
    let tables = load(text, &[]).unwrap().tables;
    assert_eq!((tables.keep, tables.scrub, tables.readers), (2, Some(crate::types::time::DAY), 8));
    let big = TableOptions { residency: Residency::Lazy, verify: VerifyWhen::Background, cache: 64 << 20 };
    assert_eq!(tables.options("big"), big);
    assert_eq!(tables.options("keep").residency, Residency::Locked);
    assert_eq!(tables.options("other"), TableOptions::default());
    assert_eq!(load("[tables]\nscrub = \"off\"\n", &[]).unwrap().tables.scrub, None);
    let source =
        load("[tables]\nsource = \"store\"\n", &[("WEIR__TABLES__STORE__REGION", "x")]).unwrap().tables;
    assert!(source.source.unwrap().to_string().ends_with("/store") && source.store.region.unwrap() == "x");
    let by_variable = load("", &[("WEIR__TABLES__BIG__RESIDENCY", "lazy")]).unwrap();
    assert_eq!(by_variable.tables.options("big").residency, Residency::Lazy);
    for (text, wanted) in [
        ("[tables]\nkepe = 2\n", "weir.toml:2:8: unknown key `kepe`; did you mean `keep`?"),
        ("[tables]\ncache = 2\n", "weir.toml:2:9: unknown key `cache`; expected one of dir, keep"),
        (
            "[tables.big]\nresidence = \"lazy\"\n",
            "weir.toml:2:1: unknown key `residence`; did you mean `residency`?",
        ),
        (
            "[tables.big]\nresidency = \"lasy\"\n",
            "weir.toml:2:13: unknown value `lasy`; did you mean `lazy`?",
        ),
        (
            "[tables.named.big]\nverify = \"loud\"\n",
            "weir.toml:2:10: unknown value `loud`; did you mean `load`?",
        ),
        ("[tables.cache]\nresidency = \"lazy\"\n", "unknown key `cache`"),
        ("[tables.\"a b\"]\n", "weir.toml: tables.a b: expected a name of 1 to 64 letters"),
        ("[tables.x]\n[tables.named.x]\n", "keep one of them"),
        ("[tables]\nscrub = \"1s\"\n", "tables.scrub: expected at least \"1m\""),
        ("[tables]\nscrub = \"daily\"\n", "such as \"24h\", or \"off\""),
        ("[tables]\npoll = \"1ms\"\n", "tables.poll: "),
        ("[tables]\nsource = \"gs://b/x\"\n", "tables.source: expected s3://bucket/prefix"),
        ("[tables.store]\nendpoint = \"http://h\"\n", "tables.store.endpoint: \"http://h\" has no TLS"),
        ("[tables.store]\nregio = \"x\"\n", "weir.toml:2:1: unknown key `regio`; did you mean `region`?"),
        ("[tables]\nreaders = 0\n", "tables.readers: expected 1 to 256 threads, found 0"),
    ] {
        let said = refused(text, &[]);
        assert!(said.contains(wanted), "{said}\nshould say: {wanted}");
    }
}

/// The fenced TOML block of the documentation.
fn documented() -> String {
    block(0)
}

fn block(number: usize) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = std::fs::read_to_string(page).unwrap();
    text.split("```toml\n").nth(1 + number).unwrap().split("```").next().unwrap().to_owned()
}

#[test]
fn the_documented_configuration_loads_and_holds_the_defaults_it_states() {
    let config = load(&documented(), &[("SHOP_KEY", "a long secret")]).unwrap();
    let default = load("", &[]).unwrap();
    assert_eq!(config.server.keys[0].secret.expose(), "a long secret");
    assert_eq!(config.server.listen, default.server.listen);
    assert_eq!(
        (config.server.workers, config.server.body_limit),
        (default.server.workers, default.server.body_limit)
    );
    assert_eq!((config.namespace, config.timezone), (default.namespace, default.timezone));
    assert_eq!((config.log.retention, config.log.sync), (default.log.retention, default.log.sync));
    assert_eq!(config.live.backend, default.live.backend);
    let bounds =
        |keep: &Keep| (keep.actions, keep.seen, keep.met, keep.ties, keep.deeds, keep.together.clone());
    assert_eq!(bounds(&config.live.keep), bounds(&default.live.keep));
    let view = config.actions.id("view").unwrap();
    assert_eq!((config.live.keep.actions_of, config.live.keep.levels.len()), (vec![(view, 100)], 1));
    assert_eq!(config.models.dir.file_name(), default.models.dir.file_name());
    assert_eq!(config.models.keep, default.models.keep);
    let (stated, default_tables) = (&config.tables, &default.tables);
    assert_eq!(
        (stated.dir.file_name(), stated.keep, stated.scrub, stated.readers),
        (default_tables.dir.file_name(), default_tables.keep, default_tables.scrub, default_tables.readers)
    );
    assert_eq!((stated.watch, stated.gate), (default_tables.watch, default_tables.gate));
    assert_eq!(stated.options("item_cf"), TableOptions::default());
    assert_eq!(stated.options("cache").residency, Residency::Lazy);
    for (_, name, weight) in default.actions.iter() {
        let id = config.actions.id(name).unwrap();
        assert_eq!(config.actions.iter().nth(usize::from(id.0)).unwrap().2, weight, "{name}");
    }
}

#[test]
fn the_documented_redis_loads_and_holds_the_defaults_it_states() {
    let stated = load(&block(1), &[]).unwrap().live.backend;
    let least = "[live]\nbackend = \"redis\"\nurl = \"redis://127.0.0.1:6379\"";
    assert_eq!(stated, load(least, &[]).unwrap().live.backend);
}

#[test]
fn the_documentation_shows_every_key() {
    let text = documented();
    let table: toml::Table = toml::from_str(&text).unwrap();
    let key = table["server"]["keys"].as_array().unwrap();
    let sections = [
        ("", Some(&table)),
        ("server", table["server"].as_table()),
        ("log", table["log"].as_table()),
        ("live", table["live"].as_table()),
        ("tables", table["tables"].as_table()),
        ("tables.gate", table["tables"]["gate"].as_table()),
        ("models", table["models"].as_table()),
        ("scenes", table["scenes"].as_table()),
        ("experiments", table["experiments"].as_table()),
    ];
    // What is refused names what is known; what the redis backend has besides stands in a block of its own.
    let shared: toml::Table = toml::from_str(&block(1)).unwrap();
    let shared = shared["live"].as_table().unwrap();
    for (name, shown) in sections {
        let head = if name.is_empty() { String::new() } else { format!("[{name}]\n") };
        let said = refused(&format!("{head}zzzzzzzzzzzz = 1\n"), &[]);
        let (_, known) = said.split_once("; expected one of ").unwrap_or_else(|| panic!("{said}"));
        let is_shown = |known: &str| {
            shown.unwrap().contains_key(known)
                || name == "live" && shared.contains_key(known)
                || known == "ca"
        };
        for known in known.split(", ") {
            assert!(is_shown(known), "docs/configuration.md does not show {name}.{known}");
        }
    }
    for known in ["name", "secret", "secret_env", "rights"] {
        assert!(key.iter().any(|key| key.get(known).is_some()), "server.keys.{known}");
    }
}

#[test]
fn the_gate_has_limits_within_their_ranges() {
    let config = load("[tables.gate]\nleast_coverage = 0.9\nmost_drift = inf\n", &[]).unwrap();
    assert_eq!((config.tables.gate.least_coverage, config.tables.gate.most_drift), (0.9, f64::INFINITY));
    assert_eq!(config.tables.gate.most_length, 2.0, "what is not said stays as it is by default");
    let said = refused("[tables.gate]\nleast_coverage = 1.5\n", &[]);
    assert!(said.contains("tables.gate.least_coverage: expected a number from 0 to 1, found 1.5"), "{said}");
    let environment = [("WEIR__TABLES__GATE__MOST_LENGTH", "4"), ("WEIR__TABLES__WATCH", "false")];
    let config = load("", &environment).unwrap();
    assert_eq!((config.tables.gate.most_length, config.tables.watch), (4.0, false));
}

#[test]
#[cfg(unix)]
fn a_variable_that_is_no_text_is_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.toml");
    std::fs::write(&path, "").unwrap();
    if std::env::var_os("LANGUAGE_OF_NOBODY").is_some() {
        return Config::load(std::env::var_os("WEIR_TOML").unwrap()).map(drop).unwrap();
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "config::tests::a_variable_that_is_no_text_is_no_panic"])
        .env("LANGUAGE_OF_NOBODY", std::ffi::OsStr::from_bytes(b"\xff"))
        .env("WEIR_TOML", &path)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}
