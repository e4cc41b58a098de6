//! Keeps streams short: what its owner took is dropped, save what somebody else still needs, such as the newest snapshot.

use redis::Value;

use super::script::{self, Call};
use super::{Partitions, Place, StreamId, Which};
use crate::Result;
use crate::types::Millis;

impl Partitions {
    /// Says that a stream's entries from one on are needed for `life` milliseconds, under a name that stands for whoever needs them.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub async fn hold(
        &self,
        which: Which,
        place: Place,
        name: &str,
        from: StreamId,
        life: Millis,
    ) -> Result<()> {
        let call = Call::new(&script::HOLD, vec![self.keys().holds(place)])
            .arg(format!("{}:{name}", which.name()))
            .arg(from.to_string())
            .arg(life.to_string());
        self.link().call(call).await.map(drop)
    }

    /// Drops a stream's entries before one that its owner needs no more, save what is held; gives how many.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub async fn trim(&self, which: Which, place: Place, first: StreamId) -> Result<u64> {
        let call = Call::new(&script::TRIM, vec![self.stream(which, place), self.keys().holds(place)])
            .arg(format!("{}:", which.name()))
            .arg(first.ms.to_string())
            .arg(first.number.to_string());
        let answer = self.link().call(call).await?;
        match answer {
            Value::Int(dropped) => Ok(dropped as u64),
            other => Err(self.strange(place, &other)),
        }
    }
}
