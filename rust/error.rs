//! The one error type of the crate.

use std::fmt;

/// Reasons why a call is refused or fails; every message carries the numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// A slice does not have the number of elements its shape asks for.
    Length {
        /// Name of the argument.
        what: &'static str,
        /// Elements the shape asks for.
        expected: usize,
        /// Elements that came.
        found: usize,
    },
    /// A value is outside what the operation is defined for.
    Value(String),
    /// A file cannot be made, written or read.
    File(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, found } => {
                write!(f, "`{what}` must have {expected} elements, got {found}")
            }
            Self::Value(message) | Self::File(message) => f.write_str(message),
        }
    }
}

impl Error {
    /// Says what failed as the operating system does.
    pub(crate) fn from_io(error: std::io::Error) -> Self {
        Self::File(error.to_string())
    }
}

impl std::error::Error for Error {}

/// Refuses a slice that does not have the number of elements its shape asks for.
///
/// # Errors
/// If `found` is not `expected`.
pub(crate) fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}
