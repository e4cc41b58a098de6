//! Who needs what is in the log: whoever can't do without records from some sequence on says so, and retention leaves them.

/// Somebody who needs records of the event log, such as the newest snapshot of the live state.
pub trait Holds: std::fmt::Debug + Send + Sync {
    /// Who it is, for people.
    fn name(&self) -> &'static str;

    /// The smallest sequence that is still needed; what is before it may go. Asked often, answered at once.
    fn needs_from(&self) -> u64;
}
