//! What servers share, put together: the work on people's partitions. Not for the bytes on their way: that is `crate::shared`'s; not for what an
//! event does to a state: that is the consumers'.

pub mod carry;
mod desk;
mod follow;
mod keeping;
mod letter;
mod note;
mod people;
mod run;
mod standing;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;

pub use people::{PeopleWork, Task};
pub use run::Sharing;
pub use standing::Standing;
pub(crate) use sweep::Sweep;
