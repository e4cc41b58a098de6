//! Files of rows as they come from the world, good and bad: each becomes the table that it says, or an error that names file, row and
//! column and says what is right. What well-formed files become is tested in `src/publish/input/tests.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_layer::keylist::{KeyKind, Table, TableSpec, Verify};
use data_layer::publish::input::{Input, explain, read};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

type Change = fn(Input) -> Input;

/// What a file becomes: a table, or what is said.
fn built(path: &Path, keys: KeyKind, change: impl Fn(Input) -> Input) -> Result<Table, String> {
    let input = change(Input::new(path, "key", "item"));
    let out = path.with_extension("out");
    let spec = TableSpec { keys, scratch: out.clone(), ..TableSpec::new("t", 0) };
    let built = read(&input, spec).and_then(|writer| writer.finish(&out).map_err(|e| explain(&input, e)));
    let built = built.map_err(|error| error.to_string())?;
    Ok(Table::open(built.path, Verify::Full).unwrap())
}

fn file(root: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = root.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn list(table: &Table, key: &str) -> Vec<(String, f32)> {
    let list = table.get(key).unwrap().unwrap_or_else(|| panic!("no list of {key:?}"));
    list.iter().map(|(item, score)| (table.dictionary(item).to_owned(), score)).collect()
}

fn plain(input: Input) -> Input {
    input
}

fn split(input: Input) -> Input {
    Input { separator: Some('|'), ..input }
}

#[test]
fn odd_texts_that_are_right_become_tables() {
    let root = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], Change); 10] = [
        ("bom.csv", b"\xef\xbb\xbfkey,item,score\na,b,1\n", plain),
        ("quoted-bom.csv", b"\xef\xbb\xbf\"key\",\"item\",\"score\"\r\n\"a\",\"b\",\"1\"\r\n", plain),
        ("bom.ndjson", b"\xef\xbb\xbf{\"key\":\"a\",\"item\":\"b\",\"score\":1}\n", plain),
        ("crlf.ndjson", b"{\"key\":\"a\",\"item\":\"b\",\"score\":1}\r\n\r\n", plain),
        ("spaces.csv", b"key,item,score\na,b, 1 \n", plain),
        ("no-end.tsv", b"key\titem\tscore\na\tb\t1", plain),
        ("ORDER.CSV", b"score,more,item,key\n1,\"x\ny\",b,a\n", plain),
        ("first-empty.csv", b"key,item,score\nz,,\na,b,1\n", split),
        (
            "first-null.ndjson",
            b"{\"key\":\"z\",\"item\":null,\"score\":null}\n{\"key\":\"a\",\"item\":[\"b\"],\"score\":[1]}\n",
            plain,
        ),
        (
            "first-none.ndjson",
            b"{\"key\":\"z\",\"item\":[],\"score\":[]}\n{\"key\":\"a\",\"item\":[\"b\"],\"score\":[1.0]}\n",
            plain,
        ),
    ];
    for (name, bytes, change) in cases {
        let table = built(&file(root.path(), name, bytes), KeyKind::String, change);
        let table = table.unwrap_or_else(|said| panic!("{name}: {said}"));
        assert_eq!(list(&table, "a"), [("b".to_owned(), 1.0)], "{name}");
        if name.starts_with("first-") {
            assert!(list(&table, "z").is_empty(), "{name}: known to have nothing");
        }
    }
}

/// Files, how they are read, and what is said.
const WRONG_TEXTS: [(&str, &[u8], Change, &[&str]); 37] = [
    ("empty.csv", b"", plain, &["empty.csv:1: expected a header line"]),
    ("empty.ndjson", b"\n\n", plain, &["empty.ndjson:1: expected a JSON object"]),
    ("header.csv", b"key,item,score\n", plain, &["header.csv", "has no rows"]),
    ("semicolons.csv", b"key;item;score\na;b;1\n", plain, &["has no column \"key\"; it has key;item;score"]),
    ("name.csv", b"keys,item,score\na,b,1\n", plain, &["no column \"key\"", "did you mean \"keys\"?"]),
    ("names.csv", b"key,item,score,score\na,b,1,2\n", plain, &["has two columns \"score\""]),
    ("order.csv", b"key,item\na,b\n", plain, &["no column of scores or ranks; it has key, item"]),
    ("newline.csv", b"key,item,score\na,b,1\n\"c\nd\",b,1\n", plain, &["newline.csv:3, column \"key\""]),
    ("quote.csv", b"key,item,score\na,b,1\nc,\"d,1\ne,f,1\n", plain, &["quote.csv:3: expected 3 fields"]),
    (
        "wide.csv",
        b"key,item,score\na,b,1,2\n",
        plain,
        &["wide.csv:2: expected 3 fields as in the header, found 4"],
    ),
    ("utf16.csv", b"\xff\xfek\0e\0y\0\n\0", plain, &["utf16.csv:1", "UTF-8"]),
    ("latin.csv", b"key,item,score\n\xe9,b,1\n", plain, &["latin.csv:2, column \"key\": is not UTF-8"]),
    (
        "null.csv",
        b"key,item,score\na,b,1\n,b,1\n",
        plain,
        &["null.csv:3, column \"key\": expected an id, found nothing"],
    ),
    ("nothing.csv", b"key,item,score\na,,1\n", plain, &["nothing.csv:2, column \"item\": expected an id"]),
    (
        "nan.csv",
        b"key,item,score\na,b,NaN\n",
        plain,
        &["nan.csv:2, column \"score\": expected a finite number"],
    ),
    (
        "inf.csv",
        b"key,item,score\na,b,-inf\n",
        plain,
        &["inf.csv:2, column \"score\": expected a finite number"],
    ),
    (
        "large.csv",
        b"key,item,score\na,b,1e300\n",
        plain,
        &["large.csv:2, column \"score\": expected a score within"],
    ),
    (
        "comma.csv",
        b"key,item,score\na,b,\"1,5\"\n",
        plain,
        &["comma.csv:2, column \"score\": expected a number, found \"1,5\""],
    ),
    (
        "twice.csv",
        b"key,item,score\na,b,1\na,b,2\n",
        plain,
        &["twice.csv", "line 3: item \"b\" stands twice under key \"a\"; first in 2"],
    ),
    (
        "rank.csv",
        b"key,item,rank\na,b,first\n",
        plain,
        &["rank.csv:2, column \"rank\": expected a whole number, found \"first\""],
    ),
    (
        "far.csv",
        b"key,item,score\na,b,3e38\na,c,-3e38\nz,b,1\n",
        plain,
        &["far.csv:2, column \"key\": key \"a\": scores are too far apart", "--exact"],
    ),
    (
        "keys.csv",
        b"key,item,score\na,b,1\nc,d,1\na,e,1\n",
        split,
        &["keys.csv:4, column \"key\": key \"a\" stands twice, first in row or line 2"],
    ),
    ("items.csv", b"key,item,score\na,b|c|b,1|2|3\n", split, &["items.csv:2", "item \"b\" stands twice"]),
    (
        "fewer.csv",
        b"key,item,score\na,b|c,1\n",
        split,
        &["fewer.csv:2, column \"score\": expected as many scores as items, 2, found 1"],
    ),
    (
        "listnan.csv",
        b"key,item,score\na,b|c,1|nan\n",
        split,
        &["listnan.csv:2, column \"score\": expected finite numbers"],
    ),
    ("gap.csv", b"key,item,score\na,b||c,1|2|3\n", split, &["gap.csv:2, column \"item\": item \"\""]),
    (
        "ranks.csv",
        b"key,item,rank\na,b|c,1|2\n",
        |i| Input { rank: Some("rank".into()), ..split(i) },
        &["leave out column \"rank\""],
    ),
    (
        "same.csv",
        b"key,item,score\na,b,1\n",
        |i| Input { item: "key".into(), ..i },
        &["column \"key\" is named for two things"],
    ),
    (
        "cut.ndjson",
        b"{\"key\":\"a\",\"item\":\"b\",\"score\":1}\n{\"key\":\"a\",\n",
        plain,
        &["cut.ndjson:2:"],
    ),
    (
        "nan.ndjson",
        b"{\"key\":\"a\",\"item\":\"b\",\"score\":NaN}\n",
        plain,
        &["nan.ndjson:1:", "expected one JSON object"],
    ),
    (
        "array.ndjson",
        b"[{\"key\":\"a\"}]\n",
        plain,
        &["array.ndjson:1:", "expected one JSON object per line"],
    ),
    (
        "key.ndjson",
        b"{\"key\":null,\"item\":\"b\",\"score\":1}\n",
        plain,
        &["key.ndjson:1, column \"key\": expected an id, found nothing"],
    ),
    (
        "half.ndjson",
        b"{\"key\":1.5,\"item\":\"b\",\"score\":1}\n",
        plain,
        &["half.ndjson:1, column \"key\": expected text, found float"],
    ),
    (
        "mixed.ndjson",
        b"{\"key\":\"a\",\"item\":[\"b\"]}\n{\"key\":\"c\",\"item\":\"b\"}\n",
        plain,
        &["mixed.ndjson:2, column \"item\": expected a list of ids, found string"],
    ),
    ("x.csv.gz", b"\x1f\x8b", plain, &["x.csv.gz", "unpack it first"]),
    ("x.xlsx", b"PK", plain, &["x.xlsx", "expected a file named .parquet, .csv, .tsv or .ndjson"]),
    ("x.parquet", b"PAR1 or so", plain, &["x.parquet", "not a Parquet file"]),
];

#[test]
fn texts_that_are_wrong_are_named() {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes, change, parts) in WRONG_TEXTS {
        let path = file(root.path(), name, bytes);
        let said = built(&path, KeyKind::String, change).map(drop).expect_err(name);
        assert!(said.contains(name), "{said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{name}: {said:?} should say {part:?}"));
    }
    let folder = root.path().join("folder.csv");
    std::fs::create_dir(&folder).unwrap();
    let said = built(&folder, KeyKind::String, plain).map(drop).unwrap_err();
    assert!(said.contains("folder.csv") && said.contains("is a folder; expected one file"), "{said}");
    let said = built(&root.path().join("none.csv"), KeyKind::String, plain).map(drop).unwrap_err();
    assert!(said.contains("none.csv") && said.contains("No such file"), "{said}");
}

#[test]
fn number_keys_are_numbers_or_named() {
    let root = tempfile::tempdir().unwrap();
    for key in ["-1", "007", "1.0", "18446744073709551616", "x", "+7"] {
        let path = file(root.path(), "n.csv", format!("key,item,score\n1,b,1\n{key},b,1\n").as_bytes());
        let said = built(&path, KeyKind::U64, plain).map(drop).unwrap_err();
        assert!(said.contains("n.csv:3, column \"key\": expected a whole number from 0 to 2^64-1"), "{said}");
    }
}

#[test]
fn a_quote_that_never_ends_does_not_take_all_memory() {
    let root = tempfile::tempdir().unwrap();
    let mut bytes = b"key,item,score\na,b,1\n\"c".to_vec();
    bytes.resize(70 << 20, b'x');
    let said = built(&file(root.path(), "q.csv", &bytes), KeyKind::String, plain).map(drop).unwrap_err();
    assert!(said.contains("q.csv:3") && said.contains("is a quote missing?"), "{said}");
}

/// Writes one row group of a schema.
fn parquet(path: &Path, schema: &str, fill: impl Fn(&mut SerializedRowGroupWriter<'_, std::fs::File>)) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(true).build());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    fill(&mut group);
    group.close().unwrap();
    writer.close().unwrap();
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, std::fs::File>,
    values: &[T::T],
    defined: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, defined, None).unwrap();
    column.close().unwrap();
}

fn texts(texts: &[&str]) -> Vec<ByteArray> {
    texts.iter().map(|text| ByteArray::from(*text)).collect()
}

#[test]
fn parquet_of_many_types_becomes_a_table() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("p.parquet");
    // Whole numbers of 32 bits as keys, of 8 as items, plain bytes would do as well; scores of 32 bits.
    parquet(
        &path,
        "message m { required int32 key; required int32 item (INTEGER(8,false)); required float score; }",
        |group| {
            column::<Int32Type>(group, &[7, 7, -8], None);
            column::<Int32Type>(group, &[1, 2, 255], None);
            column::<FloatType>(group, &[0.5, 1.0, 2.0], None);
        },
    );
    let table = built(&path, KeyKind::String, plain).unwrap();
    assert_eq!(list(&table, "7"), [("2".to_owned(), 1.0), ("1".to_owned(), 0.5)]);
    assert_eq!(list(&table, "-8"), [("255".to_owned(), 2.0)]);
    let said = built(&path, KeyKind::U64, plain).map(drop).unwrap_err();
    assert!(said.contains("p.parquet row 3, column \"key\": expected a whole number from 0"), "{said}");
    // Text in a dictionary, with and without the annotation; ranks of 64 bits; a score of ten decimals.
    parquet(
        &path,
        "message m { required binary key (UTF8); required binary item; required int64 rank; }",
        |group| {
            column::<ByteArrayType>(group, &texts(&["a", "a", "b"]), None);
            column::<ByteArrayType>(group, &texts(&["y", "x", "x"]), None);
            column::<Int64Type>(group, &[2, 1, 1], None);
        },
    );
    let table = built(&path, KeyKind::String, plain).unwrap();
    assert_eq!(list(&table, "a"), [("x".to_owned(), 1.0), ("y".to_owned(), 0.5)]);
}

type Fill = fn(&mut SerializedRowGroupWriter<'_, std::fs::File>);

/// Columns, what is in them, and what is said.
const WRONG_COLUMNS: [(&str, Fill, &str); 6] = [
    (
        "required double key; required binary item; required double score;",
        |group| {
            column::<DoubleType>(group, &[1.0], None);
            column::<ByteArrayType>(group, &texts(&["b"]), None);
            column::<DoubleType>(group, &[1.0], None);
        },
        "row 1, column \"key\": expected text, found float",
    ),
    (
        "optional binary key (UTF8); required binary item; required double score;",
        |group| {
            column::<ByteArrayType>(group, &texts(&["a"]), Some(&[1, 0]));
            column::<ByteArrayType>(group, &texts(&["b", "c"]), None);
            column::<DoubleType>(group, &[1.0, 2.0], None);
        },
        "row 2, column \"key\": expected an id, found nothing",
    ),
    (
        "required binary key; required binary item; required double score;",
        |group| {
            column::<ByteArrayType>(group, &texts(&["a"]), None);
            column::<ByteArrayType>(group, &texts(&["b"]), None);
            column::<DoubleType>(group, &[f64::NAN], None);
        },
        "row 1, column \"score\": expected a finite number, found NaN",
    ),
    (
        "required binary key; required boolean item; required double score;",
        |group| {
            column::<ByteArrayType>(group, &texts(&["a"]), None);
            column::<BoolType>(group, &[true], None);
            column::<DoubleType>(group, &[1.0], None);
        },
        "row 1, column \"item\": expected text, found bool",
    ),
    (
        "required binary key; required binary item; optional double score;",
        |group| {
            column::<ByteArrayType>(group, &texts(&["a"]), None);
            column::<ByteArrayType>(group, &texts(&["b"]), None);
            column::<DoubleType>(group, &[], Some(&[0]));
        },
        "row 1, column \"score\": expected a score, found nothing",
    ),
    (
        "required binary key; required binary item; required double score;",
        |group| {
            column::<ByteArrayType>(group, &[], None);
            column::<ByteArrayType>(group, &[], None);
            column::<DoubleType>(group, &[], None);
        },
        "has no rows",
    ),
];

#[test]
fn parquet_that_is_wrong_or_cut_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("p.parquet");
    for (schema, fill, part) in WRONG_COLUMNS {
        parquet(&path, &format!("message m {{ {schema} }}"), fill);
        let said = built(&path, KeyKind::String, plain).map(drop).unwrap_err();
        assert!(said.contains("p.parquet") && said.contains(part), "{said} should say {part}");
    }
    // Cut anywhere, it is an error.
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 3, 8, bytes.len() / 2, bytes.len() - 1] {
        let cut = file(root.path(), "cut.parquet", &bytes[..length]);
        let said = built(&cut, KeyKind::String, plain).map(drop).unwrap_err();
        assert!(said.contains("cut.parquet: not a Parquet file"), "{said}");
    }
}
