//! Planted bugs: proof that the tests of the ledger can fail.
//!
//! `planted!(right, Bug => wrong)` is `right`, and nothing else outside of tests. In a test, a thread
//! may switch one bug on; the random schedules must then find it.

#[cfg(not(test))]
macro_rules! planted {
    ($right:expr, $bug:ident => $wrong:expr) => {
        $right
    };
}

#[cfg(test)]
macro_rules! planted {
    ($right:expr, $bug:ident => $wrong:expr) => {
        if $crate::ledger::book::planted::Planted::$bug.is_on() {
            $wrong
        } else {
            $right
        }
    };
}

pub(super) use planted;

/// A bug that a test can switch on.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    /// A hold is checked against the balance, not against what other holds leave of it.
    HoldIgnoresHeld,
    /// The floor lies one nano too low.
    FloorOffByOne,
    /// The credit line is not counted.
    CreditLineForgotten,
    /// A settle charges what was priced, however little was held.
    SettleBeyondHeld,
    /// A second settle of a request charges again.
    DoubleSettle,
    /// A settle does not record what it could not charge.
    ShortfallForgotten,
    /// A settle burns every unit that the hold took, used or not.
    UnusedUnitsBurned,
    /// A settle gives the units of a grant back twice.
    GrantReleasedTwice,
    /// A grant is used after its expiry.
    ExpiredGrantUsed,
    /// A segment without a price burns units all the same.
    FreeSegmentBurns,
    /// Clamping lowers a count by one too many.
    ClampTooLow,
    /// A void keeps the money held.
    VoidLeaksMoney,
    /// A void keeps what its counters held.
    VoidLeaksCounter,
    /// Voiding an unknown request leaves no tombstone.
    NoTombstone,
    /// A lapse charges what was held.
    LapseCharges,
    /// A late settle charges past the floor.
    LateBeyondFunds,
    /// A late settle burns more of a grant than is left.
    LateBeyondGrant,
    /// A counter's cap is checked without what live holds occupy.
    CapIgnoresHeld,
    /// A bucket refills past its cap.
    BucketOverflows,
    /// An idempotency claim is forgotten once it is charged.
    ChargedClaimForgotten,
}

#[cfg(test)]
thread_local! {
    static ON: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
impl Planted {
    /// Every bug there is.
    pub(super) const ALL: [Planted; 20] = [
        Planted::HoldIgnoresHeld,
        Planted::FloorOffByOne,
        Planted::CreditLineForgotten,
        Planted::SettleBeyondHeld,
        Planted::DoubleSettle,
        Planted::ShortfallForgotten,
        Planted::UnusedUnitsBurned,
        Planted::GrantReleasedTwice,
        Planted::ExpiredGrantUsed,
        Planted::FreeSegmentBurns,
        Planted::ClampTooLow,
        Planted::VoidLeaksMoney,
        Planted::VoidLeaksCounter,
        Planted::NoTombstone,
        Planted::LapseCharges,
        Planted::LateBeyondFunds,
        Planted::LateBeyondGrant,
        Planted::CapIgnoresHeld,
        Planted::BucketOverflows,
        Planted::ChargedClaimForgotten,
    ];

    pub(super) fn is_on(self) -> bool {
        ON.get() == Some(self)
    }

    /// Runs `test` in this thread with the bug switched on.
    pub(super) fn run<T>(self, test: impl FnOnce() -> T) -> T {
        ON.set(Some(self));
        let outcome = test();
        ON.set(None);
        outcome
    }
}
