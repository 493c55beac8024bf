//! What the book promises: rule by rule, over random schedules against an independent model, and
//! with planted bugs that the schedules must find.

#[allow(dead_code, reason = "for the tests to come")]
mod fixture;
mod model;
mod model_funds;
mod schedule;
