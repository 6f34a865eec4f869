//! Reading and writing at a position of a file that several threads share: each system has its own calls for that.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};

/// Fills `bytes` from a position on.
///
/// # Errors
/// If the file cannot be read, or ends before.
pub fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        match read_at(file, bytes, offset) {
            Ok(0) => {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the file is shorter than it was written"));
            }
            Ok(count) => {
                bytes = &mut bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

/// Writes some first part of `bytes` at a position, and returns how much.
///
/// # Errors
/// If the file cannot be written.
#[cfg(unix)]
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

// On Windows the calls move the file's own position, too. Nobody here relies on that.
#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

/// Writes some first part of `bytes` at a position, and returns how much.
///
/// # Errors
/// If the file cannot be written.
#[cfg(windows)]
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_at_a_position_is_read_there() -> Result<()> {
        let file = tempfile::tempfile()?;
        assert_eq!(write_at(&file, b"later", 5)?, 5);
        assert_eq!(write_at(&file, b"first", 0)?, 5);
        let mut bytes = [0; 8];
        read_exact_at(&file, &mut bytes, 2)?;
        assert_eq!(&bytes, b"rstlater");
        Ok(())
    }

    #[test]
    fn a_file_that_ends_before_is_an_error() -> Result<()> {
        let file = tempfile::tempfile()?;
        write_at(&file, b"short", 0)?;
        let found = read_exact_at(&file, &mut [0; 3], 3).map_err(|error| error.kind());
        assert_eq!(found, Err(ErrorKind::UnexpectedEof));
        Ok(())
    }
}
