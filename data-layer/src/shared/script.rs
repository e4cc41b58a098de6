//! The functions that run inside Redis, and how they are called: by their hash, and whole where a server does not know them yet. They are
//! scripts and not a library of functions, so that servers of two versions can work side by side.

use std::sync::LazyLock;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use super::Link;
use super::link::Ask;
use crate::Result;

/// One function.
pub(super) struct Script {
    code: &'static str,
    hash: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: Script = Script {
            code: include_str!($file),
            hash: LazyLock::new(|| redis::Script::new(include_str!($file)).get_hash().to_owned()),
        };)*
    };
}

scripts! {
    APPEND = "append.lua";
    BEAT = "beat.lua";
    COMMIT = "commit.lua";
    HOLD = "hold.lua";
    LAST = "last.lua";
    REACH = "reach.lua";
    SWAP = "swap.lua";
    TRIM = "trim.lua";
    UNPAUSE = "unpause.lua";
}

/// A function with what it is called on. All keys are of one slot.
pub(super) struct Call {
    script: &'static Script,
    /// One of the keys, for its slot.
    key: String,
    /// Number of keys, the keys, then the arguments.
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: &'static Script, keys: Vec<String>) -> Self {
        let key = keys.first().cloned().unwrap_or_default();
        let mut arguments = vec![keys.len().to_string().into_bytes()];
        arguments.extend(keys.into_iter().map(String::into_bytes));
        Self { script, key, arguments }
    }

    pub(super) fn arg(mut self, argument: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(super) fn push(&mut self, argument: impl Into<Vec<u8>>) {
        self.arguments.push(argument.into());
    }

    fn ask(&self, whole: bool) -> Ask {
        let (name, text) =
            if whole { ("EVAL", self.script.code) } else { ("EVALSHA", self.script.hash.as_str()) };
        let mut command = redis::cmd(name);
        command.arg(text);
        for argument in &self.arguments {
            command.arg(argument.as_slice());
        }
        Ask { key: self.key.clone(), command }
    }
}

impl Link {
    /// Calls functions together; answers in order.
    pub(super) async fn call_all(&self, calls: &[Call]) -> Vec<Result<Value>> {
        let mut answers = self.ask_all(calls.iter().map(|call| call.ask(false)).collect()).await;
        let unknown: Vec<usize> =
            (0..answers.len()).filter(|at| answers[*at].as_ref().is_err_and(is_unknown)).collect();
        let again = self.ask_all(unknown.iter().map(|at| calls[*at].ask(true)).collect()).await;
        for (at, answer) in unknown.into_iter().zip(again) {
            answers[at] = answer;
        }
        answers.into_iter().map(|answer| answer.map_err(|error| self.said(&error))).collect()
    }

    /// Calls one function.
    pub(super) async fn call(&self, call: Call) -> Result<Value> {
        self.call_all(&[call]).await.pop().unwrap_or_else(|| Ok(Value::Nil))
    }
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
