//! A served engine, asked over a socket, so that a test sees what waits for what.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use app_layer::Engine;
use app_layer::command::serve;
use serde_json::Value as Json;

/// Sends a request and does not wait for its answer.
pub fn ask(at: SocketAddr, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

pub fn answer(mut stream: TcpStream) -> Json {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{text}");
    // One chunk or none: what is between the first brace and the last.
    let (from, to) = (body.find('{').unwrap(), body.rfind('}').unwrap());
    serde_json::from_str(&body[from..=to]).unwrap()
}

pub fn recommend(at: SocketAddr, request: Json) -> TcpStream {
    ask(at, "POST /v1/recommend", &request.to_string())
}

pub fn ids(answer: &Json) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect()
}

/// Serves with one worker, and lets a test ask.
pub fn served(engine: &Arc<Engine>, test: impl FnOnce(SocketAddr)) {
    let (tell, told) = std::sync::mpsc::channel();
    let engine = Arc::clone(engine);
    let server = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let (server, addresses) = serve::bind(engine).unwrap();
            tell.send((server.handle(), addresses[0])).unwrap();
            server.await.unwrap();
        });
    });
    let (handle, at) = told.recv().unwrap();
    test(at);
    actix_web::rt::System::new().block_on(handle.stop(true));
    server.join().unwrap();
}
