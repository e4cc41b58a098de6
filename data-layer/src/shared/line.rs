//! The connection to one server of Redis: made when something is first asked over it, and anew by the next question after it broke. Each one
//! that is made is counted, so that nobody tells a Redis that came back with less what the one before it had said. Not for what is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, Value};

/// What was answered to one command.
pub(super) type Answer = Result<Value, RedisError>;

/// A connection, and how many had been made when it was.
type Made = (u64, MultiplexedConnection);
type Opening = Shared<BoxFuture<'static, Result<Made, RedisError>>>;

/// The way to one server. Cloning is cheap, and all clones share the connection.
#[derive(Clone)]
pub(super) struct Line {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    config: AsyncConnectionConfig,
    /// Connections made, of all lines that count together.
    made: Arc<AtomicU64>,
    /// The connection, or the attempt at it; `None` before the first and after it broke.
    current: Mutex<Option<Opening>>,
}

impl Line {
    /// To a server that answers within `timeout`; asks it nothing yet. Connections are counted in `made`.
    pub(super) fn new(client: Client, timeout: Duration, made: Arc<AtomicU64>) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout * 5 / 4))
            .set_response_timeout(Some(timeout))
            .set_pipeline_buffer_size(1024);
        Self { inner: Arc::new(Inner { client, config, made, current: Mutex::default() }) }
    }

    /// Connects, unless it is connected. To be called on a runtime.
    pub(super) async fn open(&self) -> Result<(), RedisError> {
        self.made(&self.opening()).await.map(drop)
    }

    /// Gives commands together; answers in order. With `since`, none goes over a connection that was made after so many others. After an error
    /// nobody knows what was taken. To be called on a runtime.
    pub(super) async fn ask(&self, commands: Vec<Cmd>, since: Option<u64>) -> Vec<Answer> {
        let count = commands.len();
        let mut pipeline = Pipeline::with_capacity(count);
        for command in commands {
            pipeline.add_command(command);
        }
        match self.send(&pipeline, count, since).await {
            Ok(answers) => answers.into_iter().map(Value::extract_error).collect(),
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }

    async fn send(
        &self,
        pipeline: &Pipeline,
        count: usize,
        since: Option<u64>,
    ) -> Result<Vec<Value>, RedisError> {
        let opening = self.opening();
        let (number, mut connection) = self.made(&opening).await?;
        if since.is_some_and(|since| number > since) {
            return Err((ErrorKind::Client, "the connection was made anew meanwhile").into());
        }
        let answers = connection.send_packed_commands(pipeline, 0, count).await;
        if answers.as_ref().is_err_and(RedisError::is_unrecoverable_error) {
            self.drop(&opening);
        }
        answers
    }

    /// What an attempt came to. One that failed is the last one's, not the next one's.
    async fn made(&self, opening: &Opening) -> Result<Made, RedisError> {
        let made = opening.clone().await;
        if made.is_err() {
            self.drop(opening);
        }
        made
    }

    /// The connection that there is, or an attempt at one, which goes on whoever waits for it.
    fn opening(&self) -> Opening {
        let mut current = self.inner.current.lock();
        if let Some(opening) = &*current {
            return opening.clone();
        }
        let (client, config) = (self.inner.client.clone(), self.inner.config.clone());
        let count = Arc::clone(&self.inner.made);
        let connect = async move {
            let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            Ok((count.fetch_add(1, Ordering::AcqRel) + 1, connection))
        };
        let opening = connect.boxed().shared();
        tokio::spawn(opening.clone().map(drop));
        *current = Some(opening.clone());
        opening
    }

    /// Has the next question connect anew, unless somebody has since.
    fn drop(&self, opening: &Opening) {
        self.inner.current.lock().take_if(|current| current.ptr_eq(opening));
    }
}
