//! The threads that the bindings compute on, which follow into forked processes.

use std::mem::forget;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads, and the process that they live in.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Calls `work` without the GIL, on threads of this process; as many as `RAYON_NUM_THREADS` says.
///
/// A fork copies the memory of Rayon's own pool, but not its threads: who gives it work there waits for ever.
///
/// # Errors
/// If the system starts no more threads.
pub fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> PyResult<R> {
    let pool = pool()?;
    Ok(py.detach(|| pool.install(work)))
}

/// Returns the pool of this process. Whoever calls holds the GIL, as whoever forks does: no fork finds it locked.
fn pool() -> PyResult<Arc<ThreadPool>> {
    let mut held = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let process = process::id();
    if let Some((owner, pool)) = &*held
        && *owner == process
    {
        return Ok(Arc::clone(pool));
    }
    let started = ThreadPoolBuilder::new().build();
    let pool =
        Arc::new(started.map_err(|error| PyOSError::new_err(format!("no thread can be started: {error}")))?);
    // That of a process that we are a fork of stays in memory: who drops it waits for its threads, too.
    forget(held.replace((process, Arc::clone(&pool))));
    Ok(pool)
}
