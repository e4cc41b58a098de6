//! Import, by small files of each form and by what is wrong with them.

use super::*;

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn import(dir: &Path) -> Result<Data> {
    run(&find(dir)?, &dir.join("out"), Options::default())?;
    Data::open(&dir.join("out"))
}

#[test]
fn recbole_files_come_in_typed_and_in_time_order() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "x.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n2\ta\t7\t20\n1\tb\t8\t10\n",
    );
    write(
        dir.path(),
        "x.item",
        "item_id:token\ttitle:token_seq\tyear:float\tgenre:token_seq\na\tA \"B\" c\t1999\tx y\n",
    );
    let data = import(dir.path()).unwrap();
    assert_eq!(data.interactions.time, [10_000, 20_000]);
    assert_eq!(data.interactions.value, [8.0, 7.0]);
    assert_eq!(data.interactions.actions.text(0), "rate");
    assert_eq!(
        data.items.columns[0],
        ("title".into(), crate::data::Cells::Text(vec![Some("A \"B\" c".into())]))
    );
    assert_eq!(data.items.columns[2].1, crate::data::Cells::Texts(vec![Some(vec!["x".into(), "y".into()])]));
    assert!(data.report.times);
    assert_eq!((data.report.users, data.report.items), (2, 2));
}

#[test]
fn movielens_and_parquet_come_in() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("ml-latest");
    std::fs::create_dir(&inner).unwrap();
    write(&inner, "ratings.csv", "userId,movieId,rating,timestamp\n1,10,4.5,1000000000\n");
    write(&inner, "movies.csv", "movieId,title,genres\n10,\"One, two (1999)\",Drama|War\n");
    let data = import(dir.path()).unwrap();
    assert_eq!(data.interactions.time, [1_000_000_000_000]);
    assert_eq!(data.items.ids, ["10"]);
    let again = tempfile::tempdir().unwrap();
    run(&find(&dir.path().join("out")).unwrap(), again.path(), Options::default()).unwrap();
    let back = Data::open(again.path()).unwrap();
    assert_eq!((back.interactions.value, back.items), (data.interactions.value, data.items));
}

#[test]
fn a_given_split_without_times_is_two_folders_and_a_note() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train.inter", "user_id:token\titem_id:token\n0\t1\n0\t2\n");
    write(dir.path(), "test.inter", "user_id:token\titem_id:token\n0\t3\n");
    run(&find(dir.path()).unwrap(), &dir.path().join("out"), Options::default()).unwrap();
    let train = Data::open(&dir.path().join("out/train")).unwrap();
    let test = Data::open(&dir.path().join("out/test")).unwrap();
    assert!(!train.report.times && train.report.notes[0].contains("no times"));
    assert_eq!(train.interactions.actions.text(0), "click");
    assert!(train.report.last_ms < test.report.first_ms);
    assert!(Data::open(&dir.path().join("out")).unwrap_err().to_string().contains("split"));
}

#[test]
fn events_come_in_and_retractions_count() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "e.ndjson",
        r#"{"type":"item","id":"i1","time":1,"attributes":{"price":2,"tags":["a"]}}
{"type":"item","id":"i1","time":0,"attributes":{"price":9.5}}
{"type":"interaction","id":"e1","user":"u","item":"i1","action":"click","time":5}
{"type":"interaction","id":"e2","user":"u","item":"i2","action":"buy","value":3.5,"time":"1970-01-01T00:00:00.004Z"}
{"type":"interaction","id":"e1","retracted":true,"time":6}
{"type":"impression","user":"u","items":[],"time":1}
"#,
    );
    let data = import(dir.path()).unwrap();
    assert_eq!((data.interactions.len(), data.interactions.value[0], data.interactions.time[0]), (1, 3.5, 4));
    assert_eq!(data.items.columns[0].1, crate::data::Cells::Int(vec![Some(2)]));
    assert_eq!(data.report.files[0].skipped["retracted"], 1);
}

#[test]
fn malformed_lines_name_file_line_and_field() {
    let head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";
    let cases = [
        ("1\ta\t5\t10\n1\ta\tx\t10\n", "line 3: rating: expected a number, found \"x\""),
        ("1\ta\t5\n", "line 2: expected 4 fields as in the header, found 3"),
        ("\ta\t5\t1\n", "line 2: user_id: an id must have 1 to 256 bytes"),
        ("1\ta\t5\tnoon\n", "line 2: timestamp: expected a time"),
        ("1\ta\tNaN\t1\n", "line 2: rating: expected a number"),
    ];
    for (body, wanted) in cases {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "x.inter", &format!("{head}{body}"));
        let said = import(dir.path()).unwrap_err().to_string();
        assert!(said.contains(wanted) && said.contains("x.inter"), "{said}");
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "x.inter", "who:token\twhat:token\n");
    assert!(import(dir.path()).unwrap_err().to_string().contains("expected a column user_id"));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "e.ndjson", "{\"type\":\"interaction\",\"user\":5}\n");
    assert!(
        import(dir.path())
            .unwrap_err()
            .to_string()
            .contains("line 1: user: expected text, found the number 5")
    );
}

#[test]
fn some_bad_lines_may_be_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.csv", "user,item,rating\n1,a,5\n1,b,x\n1,c,y\n");
    let inputs = Inputs { parts: vec![(String::new(), vec![path])], ..Inputs::default() };
    assert!(run(&inputs, dir.path(), Options { skip_bad: 1 }).is_err());
    let done = run(&inputs, dir.path(), Options { skip_bad: 2 }).unwrap();
    assert_eq!((done[0].1.interactions, done[0].1.files[0].skipped["malformed rating"]), (1, 2));
}
