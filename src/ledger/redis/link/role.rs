//! What a server says that it is: master or replica.

use super::super::error::LinkError;
use super::dial::Line;
use super::text::{integer, list, text};

/// Refuses a server that is no master.
pub(super) async fn must_be_master(line: &Line) -> Result<(), LinkError> {
    let role = list(line.ask(&redis::cmd("ROLE")).await?);
    match role.first().and_then(text).as_deref() {
        Some("master") => Ok(()),
        Some("slave") => {
            let host = role.get(1).and_then(text).unwrap_or_default();
            let port = role.get(2).and_then(integer).unwrap_or_default();
            Err(LinkError::refused(format_args!(
                "Redis at {} is a replica of {host}:{port}, and takes no writes; name its master, or use \
                 `sentinels` or `nodes`, which follow it",
                line.address
            )))
        }
        other => Err(LinkError::refused(format_args!(
            "{} is neither a master nor a replica but `{}`; for Sentinels write `sentinels` and `master_name`",
            line.address,
            other.unwrap_or("?")
        ))),
    }
}
