//! What a server answers while it catches up with its log: that it is alive, and how far it is. The socket is bound, so that whoever asks
//! early is told and not refused. Ends before the real server begins on the same socket.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::http::KeepAlive;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use data_layer::ingest::CatchUp;

use crate::api::ops;
use crate::api::problem::Problem;
use crate::error::{Error, FieldError, Refusal, Result};

/// The server of the time before.
pub struct Lobby {
    handle: ServerHandle,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Lobby {
    /// Answers on a socket, on a thread of its own.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(socket: TcpListener, told: Arc<CatchUp>) -> Result<Self> {
        let (to, from) = channel();
        let work = move || {
            actix_web::rt::System::new().block_on(async {
                let told = Data::from(told);
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(told.clone())
                        .route("/healthz", web::get().to(ops::healthz))
                        .default_service(web::to(wait))
                })
                .workers(1)
                .disable_signals()
                // Nobody stays on a connection that ends soon.
                .keep_alive(KeepAlive::Disabled)
                .shutdown_timeout(1)
                .listen(socket)?
                .run();
                let _ = to.send(server.handle());
                server.await
            })
        };
        let thread = std::thread::Builder::new().name("weir-lobby".to_owned());
        let thread = thread.spawn(work).map_err(Error::io("thread"))?;
        match from.recv() {
            Ok(handle) => Ok(Self { handle, thread }),
            Err(_) => Err(Error::io("server")(match thread.join() {
                Ok(Err(error)) => error,
                _ => std::io::Error::other("the thread that answers at start failed"),
            })),
        }
    }

    /// Answers what was asked, and ends.
    pub fn close(self) {
        // The thread of the server does the work of the future: dropping it is enough.
        drop(self.handle.stop(true));
        if !matches!(self.thread.join(), Ok(Ok(()))) {
            tracing::error!("the thread that answers at start failed");
        }
    }
}

async fn wait(told: Data<CatchUp>) -> HttpResponse {
    let (at, from, of) = told.standing();
    let percent = (at - from.min(at)) * 100 / of.saturating_sub(from).max(1);
    let detail = match at {
        0 => format!("reading the newest snapshot, then the log up to record {of}"),
        _ => format!("record {at} of {of} counts, {} % of what is to be replayed", percent.min(100)),
    };
    let errors = vec![FieldError { pointer: "/log".to_owned(), detail }];
    let detail = "not ready: catching up with the log; ask again soon".to_owned();
    Problem::from(&Refusal { status: 503, detail, errors }).answer()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn get(at: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(at).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: weir\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn who_asks_early_is_told_how_far_it_is_and_the_socket_stays() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let lobby = Lobby::open(socket.try_clone().unwrap(), Arc::default()).unwrap();
        assert!(get(at, "/healthz").starts_with("HTTP/1.1 200"));
        for path in ["/readyz", "/v1/recommend"] {
            let answer = get(at, path);
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.to_lowercase().contains("retry-after: 1"), "{answer}");
            assert!(answer.contains("/log") && answer.contains("up to record 0"), "{answer}");
        }
        lobby.close();
        // Who comes between the two servers waits for the second.
        let early = TcpStream::connect(at).unwrap();
        socket.set_nonblocking(false).unwrap();
        let (_, from) = socket.accept().unwrap();
        assert_eq!(from, early.local_addr().unwrap());
    }
}
