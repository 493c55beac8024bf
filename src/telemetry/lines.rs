//! Lines on their way to stderr: whoever logs never waits for whoever reads.
//!
//! Lines gather in memory, and one thread writes what has gathered. Where nobody reads for so long that there is
//! no room left, lines are dropped and counted; so are those that cannot be written.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The most bytes that wait.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// After each write the thread rests: lines that come meanwhile go out as one, and wake nobody.
const REST: Duration = Duration::from_millis(2);
/// A pause before a pipe that is full, and that does not make writers wait, is tried again.
const FULL_REST: Duration = Duration::from_millis(10);

/// The lines of this process; the first use starts their thread.
pub(super) static STDERR: LazyLock<&'static Queue> = LazyLock::new(|| {
    let queue: &'static Queue = Box::leak(Box::default());
    let named = std::thread::Builder::new().name("logs".to_owned());
    let started = named.spawn(|| queue.write_to(&mut io::stderr()));
    // Without the thread, each line is written by whoever logs it.
    queue.state.lock().direct = started.is_err();
    queue
});

/// What waits to be written.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything was written.
    emptied: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    writing: bool,
    direct: bool,
}

/// Takes the lines of the log.
pub(super) struct Lines(&'static Queue);

impl Lines {
    /// The way to stderr.
    pub fn to_stderr() -> Self {
        Lines(*STDERR)
    }

    /// Takes a whole line; never blocks.
    pub fn take(&self, line: &[u8]) {
        self.0.push(line, WAITING_BYTES_MAX);
    }
}

impl Write for Lines {
    /// Takes a whole line; never blocks and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn push(&self, line: &[u8], room: usize) {
        let mut state = self.state.lock();
        if state.direct {
            if io::stderr().write_all(line).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        if state.waiting.len().saturating_add(line.len()) > room {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let wake = state.waiting.is_empty() && !state.writing;
        state.waiting.extend_from_slice(line);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Writes what comes, for ever.
    fn write_to(&self, out: &mut impl Write) {
        let mut batch = Vec::new();
        // Whether the last that was written is a piece of a line.
        let mut torn = false;
        loop {
            let mut state = self.state.lock();
            state.writing = false;
            while state.waiting.is_empty() {
                self.emptied.notify_all();
                self.filled.wait(&mut state);
            }
            std::mem::swap(&mut state.waiting, &mut batch);
            state.writing = true;
            drop(state);
            torn = torn && put(out, b"\n") == 0;
            let written = if torn { 0 } else { put(out, &batch) };
            torn |= batch[..written].last().is_some_and(|last| *last != b'\n');
            let lost = batch[written..].iter().filter(|byte| **byte == b'\n');
            self.dropped
                .fetch_add(lost.count() as u64, Ordering::Relaxed);
            batch.clear();
            std::thread::sleep(REST);
        }
    }

    /// Waits until nothing waits any more, or time is up.
    pub fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.state.lock();
        while (state.writing || !state.waiting.is_empty()) && !state.direct {
            if self.emptied.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }

    /// How many lines found no room, or could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes bytes, and waits where there is no room for them now; how many were taken before it failed.
fn put(out: &mut impl Write, bytes: &[u8]) -> usize {
    let mut taken = 0;
    while taken < bytes.len() {
        match out.write(&bytes[taken..]) {
            Ok(0) => break,
            Ok(more) => taken += more,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => std::thread::sleep(FULL_REST),
                _ => break,
            },
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A pipe that takes nothing until it is told to.
    struct Stuck {
        gate: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.gate.recv().map_err(io::Error::other)?;
            self.taken.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_stalls_nobody_and_lines_without_room_are_counted() {
        let queue: &'static Queue = Box::leak(Box::default());
        let (open, gate) = channel();
        let (taken, written) = channel();
        std::thread::spawn(move || queue.write_to(&mut Stuck { gate, taken }));
        queue.push(b"first\n", 100);
        // Until the first line is being written.
        while !queue.state.lock().writing {
            std::thread::yield_now();
        }
        queue.push(b"second\n", 10);
        queue.push(b"third\n", 10);
        assert_eq!(queue.dropped(), 1);
        for line in [&b"first\n"[..], b"second\n"] {
            open.send(()).expect("the writer waits");
            assert_eq!(written.recv().expect("a line"), line);
        }
        queue.flush(Duration::from_secs(30));
        assert!(queue.state.lock().waiting.is_empty());
    }

    /// A file that takes what it is told to, write by write.
    struct Moody {
        moods: Receiver<io::Result<usize>>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.moods.recv().map_err(io::Error::other)??;
            let taken = &bytes[..room.min(bytes.len())];
            self.taken.send(taken.to_vec()).map_err(io::Error::other)?;
            Ok(taken.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of lines that come one by one, and how many are lost.
    fn written(moods: Vec<io::Result<usize>>, lines: &[&str]) -> (String, u64) {
        let queue: &'static Queue = Box::leak(Box::default());
        let (send, moods_left) = channel();
        let (taken, written) = channel();
        for mood in moods {
            send.send(mood).expect("room");
        }
        std::thread::spawn(move || {
            queue.write_to(&mut Moody {
                moods: moods_left,
                taken,
            });
        });
        for line in lines {
            queue.push(line.as_bytes(), 1_000);
            queue.flush(Duration::from_secs(30));
        }
        let written: Vec<u8> = written.try_iter().flatten().collect();
        let written = String::from_utf8(written).expect("text");
        (written, queue.dropped())
    }

    #[test]
    fn a_full_pipe_is_tried_again_and_nothing_is_lost() {
        let busy = || Err(io::ErrorKind::WouldBlock.into());
        let interrupted = Err(io::ErrorKind::Interrupted.into());
        let moods = vec![busy(), Ok(3), interrupted, busy(), Ok(100), Ok(100)];
        let seen = written(moods, &["one line\n", "two\n"]);
        assert_eq!(seen, ("one line\ntwo\n".to_owned(), 0));
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_begins_anew() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        let moods = vec![Ok(3), full(), full(), full(), Ok(1), Ok(100), Ok(100)];
        let seen = written(moods, &["one\n", "two\n", "three\n", "four\n", "five\n"]);
        assert_eq!(seen, ("one\nfour\nfive\n".to_owned(), 3));
    }
}
