//! Who needs what is in the log: whoever can't do without records from some sequence on says so, and retention leaves them.

/// Somebody who needs records of the event log, such as the newest snapshot of the live state.
pub trait Holds: std::fmt::Debug + Send + Sync {
    /// Who it is, for people.
    fn name(&self) -> &'static str;

    /// The smallest sequence that is still needed; what is before it may go. Asked often, answered at once.
    fn needs_from(&self) -> u64;

    /// The smallest sequence from which on every record is needed, those as well that say nothing which a later one does not say again.
    fn needs_all_from(&self) -> u64 {
        self.needs_from()
    }

    /// Lets go of what it made of records up to this one, because one of them asks for an erasure: replaces it by something newer, and
    /// removes it. `false` where that takes longer: it is asked again. Those who keep nothing have but to be past it.
    ///
    /// # Errors
    /// What keeps it from doing so; it is asked again.
    fn renew(&self, sequence: u64) -> crate::Result<bool> {
        Ok(self.needs_from() > sequence)
    }
}
