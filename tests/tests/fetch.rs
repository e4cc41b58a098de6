//! `scripts/fetch-data` against a server that the test itself starts: right sum, no sum, wrong sum, no file.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use tests::tree::root;

/// Serves the archive to whoever asks for `/data.zip`, and 404 otherwise, for as long as the test runs.
fn serve(archive: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0u8; 2048];
            let n = stream.read(&mut head).unwrap_or(0);
            let found = head[..n].starts_with(b"GET /data.zip ");
            let (status, body): (_, &[u8]) =
                if found { ("200 OK", &archive) } else { ("404 Not Found", b"") };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(body);
        }
    });
    format!("http://{address}")
}

/// A zip of stored (not compressed) files.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let mut fields = Vec::new();
        fields.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        fields.extend(crc.sum().to_le_bytes());
        fields.extend((text.len() as u32).to_le_bytes());
        fields.extend((text.len() as u32).to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&fields);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
    }
    let (start, size, count) = (out.len() as u32, directory.len() as u32, files.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn fetch(url: &str, sum: &str, dir: &Path) -> Output {
    let script = root().join("scripts/fetch-data");
    Command::new(script).args([url, sum]).arg(dir).output().expect("bash runs")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_zip_is_fetched_checked_and_unpacked() {
    let inter = "user_id:token\titem_id:token\nu1\ti1\n";
    let url = serve(zip(&[("small/a.inter", inter), ("small/a.item", "item_id:token\ni1\n")]));
    let folder = tempfile::tempdir().expect("a folder");

    // Without a sum: taken, and the sum is told.
    let first = fetch(&format!("{url}/data.zip"), "", folder.path());
    let (inside, note) = said(&first);
    assert!(first.status.success(), "{note}");
    assert_eq!(std::fs::read_to_string(Path::new(&inside).join("a.inter")).expect("the file"), inter);
    let sum = note.rsplit("SHA256=").next().expect("a sum").to_owned();
    assert_eq!(sum.len(), 64, "{note}");

    // With that sum, in either case of letters: taken, silently.
    let again = fetch(&format!("{url}/data.zip"), &sum.to_uppercase(), folder.path());
    assert!(again.status.success(), "{:?}", said(&again));
    assert!(!said(&again).1.contains("not checked"));
}

#[test]
fn a_wrong_sum_or_a_missing_file_fails_and_leaves_nothing() {
    let url = serve(zip(&[("a.inter", "user_id:token\titem_id:token\n")]));
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = "0".repeat(64);
    for (address, sum, expected) in [
        (format!("{url}/data.zip"), wrong.as_str(), "expected 0000"),
        (format!("{url}/none.zip"), "", "could not be fetched"),
        (format!("{url}/data.zip"), "abc", "64 hexadecimal digits"),
        ("ftp://127.0.0.1/data.zip".to_owned(), "", "http://"),
    ] {
        let output = fetch(&address, sum, folder.path());
        let (_, note) = said(&output);
        assert!(!output.status.success(), "{address} {sum}");
        assert!(note.contains(expected), "{note}");
        assert!(!folder.path().join("fetched").exists() && !folder.path().join("fetched.zip").exists());
    }
}
