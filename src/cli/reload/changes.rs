//! When to read the config again: on SIGHUP, and when one of its files was replaced or written.
//!
//! Files are looked at once a second. Notifications of the file system would be quicker, but miss
//! what mounted volumes and network shares do, where a file is often a link that is moved. A
//! changed file is read only once it has stayed the same from one look to the next: an editor may
//! be in the middle of writing it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is told of a file without reading it; `None` where it cannot be seen.
type Stamp = Option<(SystemTime, u64, u64)>;

/// The files of a config, and the signal to read them again.
#[derive(Debug)]
pub struct Changes {
    hangup: Signal,
    look_every: Duration,
    /// As they were when they were read.
    read: BTreeMap<PathBuf, Stamp>,
}

/// Why the config is to be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it.
    Asked,
    /// This file changed.
    Changed(PathBuf),
}

impl Changes {
    /// Watches one file from now on, and keeps SIGHUP from ending the process.
    ///
    /// # Errors
    /// If the signal cannot be waited for.
    pub fn of(file: &Path) -> io::Result<Changes> {
        let mut changes = Changes {
            hangup: signal(SignalKind::hangup())?,
            look_every: LOOK_EVERY,
            read: BTreeMap::new(),
        };
        changes.follow([file.to_owned()]);
        Ok(changes)
    }

    /// Watches exactly these files. Those that were watched before are compared with what they were.
    /// Answers whether there are others among them: they may have changed since they were read.
    pub fn follow(&mut self, files: impl IntoIterator<Item = PathBuf>) -> bool {
        let old = std::mem::take(&mut self.read);
        self.watch(old.clone(), files)
    }

    /// Watches these files beside the others, and answers the same.
    pub fn follow_also(&mut self, files: impl IntoIterator<Item = PathBuf>) -> bool {
        let old = self.read.clone();
        self.watch(old, files)
    }

    fn watch(
        &mut self,
        old: BTreeMap<PathBuf, Stamp>,
        files: impl IntoIterator<Item = PathBuf>,
    ) -> bool {
        let mut others = false;
        for file in files {
            let known = old.get(&file).copied();
            others |= known.is_none();
            let stamp = known.unwrap_or_else(|| look(&file));
            self.read.insert(file, stamp);
        }
        others
    }

    /// Waits for the next reason to read the config. The files count as read from then on.
    ///
    /// **Cancellation**: safe; a change that was seen but not answered is seen again.
    pub async fn next(&mut self) -> Cause {
        let mut look_again = interval(self.look_every);
        look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = self.read.clone();
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    self.read = self.look().await;
                    return Cause::Asked;
                }
                _ = look_again.tick() => {}
            }
            let now = self.look().await;
            if now == before
                && let Some(file) = now.keys().find(|file| now[*file] != self.read[*file])
            {
                let cause = Cause::Changed(file.clone());
                self.read = now;
                return cause;
            }
            before = now;
        }
    }

    /// The files as they are now. A file system that hangs stops the watch, and nothing else.
    async fn look(&self) -> BTreeMap<PathBuf, Stamp> {
        let files: Vec<PathBuf> = self.read.keys().cloned().collect();
        let looking = tokio::task::spawn_blocking(move || {
            let stamps = files.iter().map(|file| look(file)).collect::<Vec<_>>();
            files.into_iter().zip(stamps).collect()
        });
        // It fails only where the process ends: nothing changed then.
        looking.await.unwrap_or_else(|_| self.read.clone())
    }
}

fn look(file: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let facts = std::fs::metadata(file).ok()?;
    Some((facts.modified().ok()?, facts.len(), facts.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a folder");
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap_or_default();
        }
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_was_replaced_and_not_before_it_is_still() {
        let folder = Folder::new("changes");
        let (file, other) = (folder.0.join("config.yaml"), folder.0.join("secret"));
        std::fs::write(&file, "a").expect("written");
        let mut changes = Changes::of(&file).expect("a signal");
        changes.look_every = Duration::from_millis(5);
        changes.follow([file.clone(), other.clone()]);
        let quiet = tokio::time::timeout(Duration::from_millis(100), changes.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");

        std::fs::write(folder.0.join("new"), "b").expect("written");
        std::fs::rename(folder.0.join("new"), &file).expect("moved");
        assert_eq!(changes.next().await, Cause::Changed(file.clone()));

        std::fs::write(&other, "now it is there").expect("written");
        assert_eq!(changes.next().await, Cause::Changed(other.clone()));
        std::fs::remove_file(&other).expect("removed");
        assert_eq!(changes.next().await, Cause::Changed(other));
    }
}
