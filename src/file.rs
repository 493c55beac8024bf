//! Reading a file that the operator named. Only regular files are read, up to a bound: a pipe without a writer
//! would be waited for without end.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file was not read.
#[derive(Debug)]
pub enum ReadError {
    /// It is not there, not for this user, or reading it failed.
    Io(io::Error),
    /// It is a pipe, a device, a socket or a folder.
    Irregular,
    /// It has more bytes than this.
    TooLarge(usize),
}

/// The content of a regular file of at most `bytes_max` bytes, which is wiped from memory when it is dropped.
///
/// # Errors
/// If it cannot be read, is no regular file, or is larger.
pub fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    // So that opening a pipe does not wait for its writer; regular files do not know this flag.
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    // Of what was opened: the name may mean another file by now.
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(ReadError::Irregular);
    }
    let room = usize::try_from(facts.len()).map_or(bytes_max, |length| length.min(bytes_max));
    // One buffer from the start, since one that grows leaves copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    file.take((bytes_max as u64).saturating_add(1))
        .read_to_end(&mut bytes)?;
    match bytes.len() > bytes_max {
        true => Err(ReadError::TooLarge(bytes_max)),
        false => Ok(bytes),
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(error) => write!(f, "cannot be read: {error}"),
            ReadError::Irregular => {
                f.write_str("is no regular file (a pipe, a device or a folder)")
            }
            ReadError::TooLarge(bytes) if *bytes >= 1 << 20 => {
                write!(f, "is larger than {} MiB", bytes >> 20)
            }
            ReadError::TooLarge(bytes) => write!(f, "is larger than {} KiB", bytes >> 10),
        }
    }
}

impl std::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_file_is_read_up_to_its_bound() {
        let path = std::env::temp_dir().join(format!("tollgate-file-{}", std::process::id()));
        std::fs::write(&path, [b'x'; 4096]).expect("a file");
        assert_eq!(read(&path, 4096).map(|bytes| bytes.len()).ok(), Some(4096));
        let error = read(&path, 2048).expect_err("too large");
        assert_eq!(error.to_string(), "is larger than 2 KiB");
        std::fs::remove_file(&path).expect("it was there");
        let error = read(&path, 2048).expect_err("gone");
        assert!(error.to_string().contains("No such file"), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let pipe = std::env::temp_dir().join(format!("tollgate-pipe-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        for path in [&*pipe, Path::new("/dev/null"), &std::env::temp_dir()] {
            let error = read(path, 10).expect_err("no regular file");
            assert!(matches!(error, ReadError::Irregular), "{error}");
        }
        std::fs::remove_file(&pipe).expect("it was there");
    }
}
