//! Lines on their way to stderr: whoever logs never waits for whoever reads.
//!
//! Lines gather in memory, and one thread writes what has gathered. Where nobody reads for so long that there is
//! no room left, lines are dropped and counted.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The most bytes that wait.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// After each write the thread rests: lines that come meanwhile go out as one, and wake nobody.
const REST: Duration = Duration::from_millis(2);

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
}

impl Write for Lines {
    /// Takes a whole line; never blocks and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line, WAITING_BYTES_MAX);
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
            // Nobody could be told that this failed.
            return io::stderr().write_all(line).unwrap_or_default();
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
            // A stderr that is closed is the operator's wish.
            out.write_all(&batch).unwrap_or_default();
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

    /// How many lines found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
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
}
