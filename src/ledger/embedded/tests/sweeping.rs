//! What has ended leaves the file by itself.

use rusqlite::Connection;

use super::support::{START, TempDir, furnish, object, open, wallet_id};
use crate::clock::Clock;
use crate::ledger::Ledger;

#[tokio::test]
async fn objects_that_have_ended_leave_the_file_by_themselves() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let store = open(&dir.store(), &clock);
    furnish(&store, 1).await;
    for n in 0..5 {
        let object = object(&format!("file-{n}"), 0);
        store.put_object(object, 9).await.unwrap();
    }
    // Something has to be done for anything to be swept, a few seconds at a time.
    for _ in 0..60 {
        clock.advance(5_000);
        store.wallet(wallet_id(0)).await.unwrap();
    }
    store.close().await.unwrap();
    let file = Connection::open(dir.store()).unwrap();
    let count = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(count("SELECT count(*) FROM objects").unwrap(), 0);
    assert_eq!(count("SELECT sum(count) FROM object_counts").unwrap(), 0);
}
