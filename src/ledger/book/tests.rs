//! What the book promises: rule by rule, over random schedules against an independent model, and
//! with planted bugs that the schedules must find.

mod counters;
mod credits;
mod endings;
mod fixture;
mod funds;
mod idempotency;
mod keys;
mod model;
mod model_bill;
mod model_counters;
mod model_funds;
mod model_holds;
mod schedule;
mod schedule_accounts;
mod schedule_audit;
mod schedule_dice;
mod schedule_holds;
