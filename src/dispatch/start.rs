//! Unix: the start of the process, which is libc's `main` and not Rust's.
//!
//! Rust's own start looks for the stack's end in `/proc/self/maps`, sets up a second stack,
//! ignores SIGPIPE and opens what is closed of stdin, stdout and stderr: a fifth of a millisecond,
//! and nothing of it is for a plugin, which is to start as if it had been run directly. So that is
//! left out until this process has something to say itself ([`settle`]).
#![allow(unsafe_code)]

use std::os::fd::IntoRawFd as _;
use std::sync::OnceLock;
use std::{mem, ptr};

/// # Safety
///
/// As libc calls it: `count` words, each ending with a NUL, that stay for as long as the process.
#[cfg(not(test))]
#[unsafe(no_mangle)]
unsafe extern "C" fn main(count: libc::c_int, words: *const *const libc::c_char) -> libc::c_int {
    use std::ffi::{CStr, OsStr, OsString};
    use std::os::unix::ffi::OsStrExt as _;

    let word = |index| {
        // SAFETY: `index` is below `count`.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        OsStr::from_bytes(word.to_bytes()).to_owned()
    };
    let words: Vec<OsString> = (1..usize::try_from(count).unwrap_or(0)).map(word).collect();
    // Not returned: this is what empties stdout's buffer.
    std::process::exit(super::main(&words).into())
}

/// What SIGPIPE did before [`settle`].
static PIPE: OnceLock<libc::sighandler_t> = OnceLock::new();

/// Does what Rust's start does before a program's own work: a reader that has gone is an error of
/// writing and no death, and no file that is opened becomes stdin, stdout or stderr.
pub(crate) fn settle() {
    // SAFETY: a plain call.
    PIPE.get_or_init(|| unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) });
    for standard in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if rustix::io::fcntl_getfd(standard).is_err()
            && let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null")
        {
            // The lowest number is free, and is this one.
            let _ = null.into_raw_fd();
        }
    }
}

/// What SIGPIPE did when the process began: whoever started it may ignore it, as service managers do.
pub(crate) fn inherited_pipe() -> libc::sighandler_t {
    *PIPE.get().unwrap_or(&{
        // SAFETY: reads the disposition into a structure of ours that may be all zeros.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            libc::sigaction(libc::SIGPIPE, ptr::null(), &raw mut action);
            action.sa_sigaction
        }
    })
}
