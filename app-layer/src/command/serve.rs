//! `weir serve`: the HTTP server. Ends on SIGINT or SIGTERM: no new connections, what runs is answered, the log is closed.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use data_layer::Config;
use data_layer::access::Scrubber;
use data_layer::ingest::CatchUp;
use data_layer::ingest::stream::Streams;
use data_layer::publish::{SETTLE, Watch};

use super::ConfigFile;
use super::lobby::Lobby;
use crate::error::{Error, Result};
use crate::{Engine, api};

/// Serves recommendations and takes events, until Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// How often moved tables and models are looked for, where the system does not tell of changes before.
const POLL: Duration = Duration::from_secs(1);
/// Changes come in bursts: what follows the first so soon is seen by the same look.
const BURST: Duration = Duration::from_millis(5);

/// Serves.
///
/// # Errors
/// What can't be opened, and every fault of every scene at once.
pub fn run(args: &Args) -> Result<()> {
    let config = args.config.load()?;
    super::log_to_stderr();
    config.log.notes().iter().for_each(|note| tracing::warn!("{note}"));
    allowed(&config)?;
    let socket = listen(&config)?;
    let told = Arc::new(CatchUp::default());
    let lobby = Lobby::open(socket.try_clone().map_err(Error::io("server.listen"))?, Arc::clone(&told))?;
    let engine = Engine::open_telling(config, &told);
    lobby.close();
    let engine = Arc::new(engine?);
    let stop = Arc::new(AtomicBool::new(false));
    let poller = poll(Arc::clone(&engine), Arc::clone(&stop))?;
    let scrubber = scrub(Arc::clone(&engine), Arc::clone(&stop))?;
    let puller = pull(&engine, &stop)?;
    let streams = engine.ingest().map(|ingest| Streams::start(engine.config(), ingest)).transpose()?;
    let served = actix_web::rt::System::new().block_on(async {
        let (server, addresses) = serve_on(socket, Arc::clone(&engine))?;
        for address in addresses {
            println!("weir serves on http://{address}");
        }
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            asked_to_stop().await;
            tracing::info!("stopping: what runs is answered first");
            handle.stop(true).await;
        });
        server.await.map_err(Error::io("server"))
    });
    stop.store(true, Ordering::Release);
    drop(streams);
    if let Some(source) = engine.source() {
        source.stop();
    }
    for thread in puller.into_iter().chain([poller, scrubber]) {
        thread.thread().unpark();
        if thread.join().is_err() {
            tracing::error!("a thread that looks after tables failed");
        }
    }
    match Arc::into_inner(engine) {
        Some(engine) => engine.close()?,
        None => tracing::warn!("the engine is still in use; the log closes with the process"),
    }
    served
}

/// Without keys only this machine may ask.
fn allowed(config: &Config) -> Result<()> {
    let listen = config.server.listen;
    if config.server.keys.is_empty() && !listen.ip().is_loopback() {
        return Err(Error::Data(data_layer::Error::invalid(
            "server.listen",
            format!(
                "{listen} is open to others and there are no keys; add [[server.keys]], or listen on 127.0.0.1"
            ),
        )));
    }
    Ok(())
}

/// The socket that the configuration names.
fn listen(config: &Config) -> Result<TcpListener> {
    let listen = config.server.listen;
    TcpListener::bind(listen).map_err(Error::io(format!("server.listen {listen}")))
}

/// The server, bound; and where.
///
/// # Errors
/// When the address can't be had.
pub fn bind(engine: Arc<Engine>) -> Result<(Server, Vec<std::net::SocketAddr>)> {
    serve_on(listen(engine.config())?, engine)
}

/// The server on a socket; and where that is.
fn serve_on(socket: TcpListener, engine: Arc<Engine>) -> Result<(Server, Vec<std::net::SocketAddr>)> {
    let (listen, workers) = (engine.config().server.listen, engine.config().server.workers);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if workers == 0 { cores } else { workers };
    let data = Data::from(engine);
    let server = HttpServer::new(move || {
        App::new().app_data(data.clone()).wrap(from_fn(api::around)).configure(api::routes)
    })
    .workers(workers)
    .disable_signals()
    .shutdown_timeout(10)
    .listen(socket)
    .map_err(Error::io(format!("server.listen {listen}")))?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

/// Waits for SIGINT or SIGTERM; both mean the same.
async fn asked_to_stop() {
    use actix_web::rt::signal;
    #[cfg(unix)]
    if let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) {
        futures::future::select(Box::pin(signal::ctrl_c()), Box::pin(terminate.recv())).await;
        return;
    }
    // Without a handler for it the system ends the process, and the log recovers at the next start.
    let _ = signal::ctrl_c().await;
}

/// Looks for what moved or was copied in, away from every request's thread: when the system tells of a change, and each second.
fn poll(engine: Arc<Engine>, stop: Arc<AtomicBool>) -> Result<std::thread::JoinHandle<()>> {
    let work = move || {
        let me = std::thread::current();
        let mut watch = Watch::new(engine.config().tables_root(), move || me.unpark());
        let mut wait = SETTLE;
        while !stop.load(Ordering::Acquire) {
            if engine.config().tables.watch {
                watch.keep();
            }
            std::thread::park_timeout(wait);
            std::thread::sleep(BURST);
            wait = if engine.look() { SETTLE } else { POLL };
            engine.metrics().fold();
        }
    };
    std::thread::Builder::new().name("weir-poll".to_owned()).spawn(work).map_err(Error::io("thread"))
}

/// Checks what is served, byte by byte, at a low rate and on a thread of its own: neither requests nor swaps wait for it.
fn scrub(engine: Arc<Engine>, stop: Arc<AtomicBool>) -> Result<std::thread::JoinHandle<()>> {
    let work = move || {
        let mut scrubber = Scrubber::new(engine.config().tables.scrub);
        while !stop.load(Ordering::Acquire) {
            scrubber.round(engine.tables(), &|| !stop.load(Ordering::Acquire));
            std::thread::park_timeout(POLL);
        }
    };
    std::thread::Builder::new().name("weir-scrub".to_owned()).spawn(work).map_err(Error::io("thread"))
}

/// Follows the store that tables are pulled from, where there is one. It has a thread of its own: a store may take minutes to answer.
fn pull(engine: &Arc<Engine>, stop: &Arc<AtomicBool>) -> Result<Option<std::thread::JoinHandle<()>>> {
    let Some(source) = engine.source() else { return Ok(None) };
    tracing::info!(source = %source.address(), "following a source of tables");
    let (engine, stop) = (Arc::clone(engine), Arc::clone(stop));
    let work = move || {
        while !stop.load(Ordering::Acquire) {
            engine.pull();
            std::thread::park_timeout(engine.config().tables.poll);
        }
    };
    let thread = std::thread::Builder::new().name("weir-pull".to_owned()).spawn(work);
    thread.map(Some).map_err(Error::io("thread"))
}
