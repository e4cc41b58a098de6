//! The same three rows, by whichever writer, read the same; what can't be read says where.

use super::*;
use crate::types::Value;

const WANTED: [&str; 7] = ["user", "item", "score", "liked", "tags", "vector", "time"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tabular").join(name)
}

fn read(path: &Path, wanted: &[&str]) -> Result<Vec<Row>> {
    Reader::open(path)?.rows(wanted)?.collect()
}

fn strings(texts: &[&str]) -> Option<Value> {
    Some(Value::Strings(texts.iter().map(|t| (*t).into()).collect()))
}

fn check_rows(path: &Path) {
    let rows = read(path, &WANTED).unwrap();
    assert_eq!(rows.len(), 3, "{path:?}");
    let users: Vec<_> = rows.iter().map(|r| r.id(0).unwrap()).collect();
    assert_eq!(users, ["u1", "用户", "u3"], "{path:?}");
    assert_eq!(rows.iter().map(|r| r.int(1).unwrap().unwrap()).collect::<Vec<_>>(), [7, 8, 9], "{path:?}");
    assert_eq!(rows[0].id(1).unwrap(), "7", "{path:?}");
    let scores: Vec<_> = rows.iter().map(|r| r.attribute(2).unwrap()).collect();
    assert_eq!(scores, [Some(Value::Float(0.5)), None, Some(Value::Float(-1.25))], "{path:?}");
    let liked: Vec<_> = rows.iter().map(|r| r.attribute(3).unwrap()).collect();
    assert_eq!(liked, [Some(Value::Bool(true)), Some(Value::Bool(false)), None], "{path:?}");
    let tags: Vec<_> = rows.iter().map(|r| r.attribute(4).unwrap()).collect();
    assert_eq!(tags, [strings(&["a", "b"]), strings(&[]), None], "{path:?}");
    assert_eq!(rows[1].cell(5), Some(&Value::Vector(vec![2.0, 3.0])), "{path:?}");
    let times: Vec<_> = rows.iter().map(|r| r.time(6).unwrap()).collect();
    assert_eq!(times, [Some(1_795_144_500_123), Some(-1), None], "{path:?}");
}

#[test]
fn every_writer_and_codec_reads_the_same() {
    let mut seen = 0;
    for entry in std::fs::read_dir(golden("")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("pyarrow-kinds.parquet") {
            check_rows(&path);
            seen += 1;
        }
    }
    assert_eq!(seen, 9);
}

#[test]
fn kinds_that_fit_are_read_and_others_are_refused_by_column() {
    let path = golden("pyarrow-kinds.parquet");
    let rows = read(&path, &["user", "money", "day", "place", "big", "cat"]).unwrap();
    assert_eq!(rows[0].float(1).unwrap(), Some(12.5));
    assert_eq!(rows[0].time(2).unwrap(), Some(1_795_132_800_000));
    assert_eq!(rows[0].cell(3), Some(&Value::Geo { lat: 31.2, lon: 121.5 }));
    assert_eq!(rows[0].id(4).unwrap(), u64::MAX.to_string());
    assert_eq!(rows[0].id(5).unwrap(), "x");
    for column in ["clock", "bag"] {
        let said = read(&path, &[column]).unwrap_err().to_string();
        assert!(said.contains("row 1") && said.contains(column), "{said}");
    }
}

#[test]
fn a_damaged_parquet_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(golden("polars-zstd.parquet")).unwrap();
    let path = folder.path().join("x.parquet");
    for cut in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(read(&path, &WANTED).is_err(), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        // Parquet has no sums here: other values are possible, a crash is not.
        let _ = read(&path, &WANTED);
    }
    std::fs::write(&path, b"PAR1 nonsense").unwrap();
    assert!(read(&path, &["a"]).unwrap_err().to_string().contains("not a Parquet file"));
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recs.parquet");
    let columns = [
        ("user", ColumnType::Text),
        ("score", ColumnType::Float),
        ("small", ColumnType::Float32),
        ("rank", ColumnType::Int),
    ];
    let mut writer = Writer::create(&path, &columns).unwrap();
    for part in 0..3 {
        let users = ["a", "用户", "c"];
        let base = f64::from(part);
        writer
            .write(&[
                Cells::Text(&users),
                Cells::Float(&[base, 0.1, -2.0]),
                Cells::Float32(&[1.0, 2.0, 3.0]),
                Cells::Int(&[1, 2, i64::MIN]),
            ])
            .unwrap();
    }
    assert!(writer.write(&[Cells::Text(&["a"])]).is_err());
    assert!(!path.exists(), "not there before it is finished");
    writer.finish().unwrap();
    let rows = read(&path, &["rank", "user", "score", "small"]).unwrap();
    assert_eq!(rows.len(), 9);
    assert_eq!(rows[4].id(1).unwrap(), "用户");
    assert_eq!(rows[6].float(2).unwrap(), Some(2.0));
    assert_eq!(rows[8].int(0).unwrap(), Some(i64::MIN));
    drop(Writer::create(&path, &columns).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

fn text_file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn text_files_are_read_with_their_lines() {
    let (_folder, path) =
        text_file("x.csv", "\u{feff}user,score,note\nu1,0.5,\"a,b\"\nu2,,\"c\nd\"\nu3,1,\n".as_bytes());
    let rows = read(&path, &["score", "user", "note"]).unwrap();
    assert_eq!(rows.iter().map(Row::number).collect::<Vec<_>>(), [2, 3, 5]);
    assert_eq!(rows[0].float(0).unwrap(), Some(0.5));
    assert_eq!(rows[1].float(0).unwrap(), None);
    assert_eq!(rows[1].text(2).unwrap().unwrap(), "c\nd");
    let (_folder, path) = text_file("x.tsv", b"user\tnote\nu1\ta \"b\" c\n");
    assert_eq!(read(&path, &["note"]).unwrap()[0].text(0).unwrap().unwrap(), "a \"b\" c");
    let (_folder, path) = text_file(
        "x.ndjson",
        b"{\"user\":\"u1\",\"score\":1,\"t\":\"1970-01-01T00:00:01Z\"}\n\n{\"user\":\"u2\",\"x\":[1.5]}\n",
    );
    let rows = read(&path, &["user", "score", "t"]).unwrap();
    assert_eq!(rows[0].float(1).unwrap(), Some(1.0));
    assert_eq!(rows[0].time(2).unwrap(), Some(1000));
    assert_eq!((rows[1].number(), rows[1].float(1).unwrap()), (3, None));
}

fn says(text: String, part: &str) {
    assert!(text.contains(part), "{text} should say {part}");
}

#[test]
fn errors_name_file_line_and_column() {
    let said = |name: &str, text: &[u8], wanted: &[&str]| {
        let (_folder, path) = text_file(name, text);
        read(&path, wanted).map(|rows| rows[0].float(0).map(drop)).and_then(|r| r).unwrap_err().to_string()
    };
    let text = said("x.csv", b"user,score\nu1,many\n", &["score"]);
    assert!(text.ends_with("x.csv:2, column \"score\": expected a number, found \"many\""), "{text}");
    let text = said("x.csv", b"user,score\nu1,inf\n", &["score"]);
    assert!(text.ends_with("expected a finite number, found inf"), "{text}");
    says(said("x.csv", b"user,score\nu1\n", &["score"]), "x.csv:2: expected 2 fields");
    says(said("x.csv", b"user,score\nu1,\xff\n", &["score"]), "x.csv:2, column \"score\": is not UTF-8");
    says(said("x.csv", b"user,score\n", &["scor"]), "did you mean \"score\"?");
    says(said("x.csv", b"", &["a"]), "x.csv:1: expected a header line");
    says(said("x.ndjson", b"{\"a\":1}\n{\"a\":\n", &["a"]), "x.ndjson:2:");
    says(said("x.ndjson", b"[1]\n", &["a"]), "x.ndjson:1:");
    says(said("x.ndjson", b"{\"a\":{\"b\":1}}\n", &["a"]), "x.ndjson:1, column \"a\"");
    says(said("x.txt", b"", &["a"]), ".ndjson");
}
