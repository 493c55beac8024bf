//! Prices that are allowed but look wrong.
