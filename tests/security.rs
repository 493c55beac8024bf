//! What an attacker tries: requests that can be read in two ways, ones that never end or are too large, secrets
//! that leak, doors beside the door. Every test runs the real binary.

mod support;

#[path = "security/bounds.rs"]
mod bounds;
#[path = "security/fields.rs"]
mod fields;
#[path = "security/framing.rs"]
mod framing;
#[path = "security/secrets.rs"]
mod secrets;
