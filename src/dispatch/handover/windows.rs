//! Windows: no exec. The plugin is a child in the same console and in a job that ends with this
//! process; Ctrl-C is the child's business; its exit code becomes ours.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;
use std::process::{Child, Command};
use std::{io, mem, ptr};

use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::core::BOOL;

/// Runs `program` and ends with its exit code.
pub(crate) fn run(
    program: &Path,
    arguments: &[OsString],
    environment: &[(&str, OsString)],
) -> io::Result<u8> {
    let environment = environment.iter().map(|(name, value)| (name, value));
    let mut child = Command::new(program).args(arguments).envs(environment).spawn()?;
    tie(&child);
    // SAFETY: the handler is a function without state that may run on any thread at any time.
    unsafe { SetConsoleCtrlHandler(Some(leave_it_to_the_child), 1) };
    let status = child.wait()?;
    // All 32 bits are passed on, though ours hold eight: a crash is 0xC000_0005 and the like.
    std::process::exit(status.code().unwrap_or(1))
}

/// Ends `child` when this process ends, however it ends. Best effort: within a job that forbids
/// it the plugin still runs.
fn tie(child: &Child) {
    // SAFETY: plain calls with a handle that `child` owns and a structure of the size that is
    // given. The job's handle is left open on purpose: Windows closes it with this process, and
    // that is what ends the child.
    unsafe {
        let job = CreateJobObjectW(ptr::null(), ptr::null());
        if job.is_null() {
            return;
        }
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = mem::zeroed();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        SetInformationJobObject(
            job,
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            mem::size_of_val(&limits) as u32,
        );
        AssignProcessToJobObject(job, child.as_raw_handle());
    }
}

/// Says that Ctrl-C was dealt with, so that this process outlives it and can pass the code on.
extern "system" fn leave_it_to_the_child(_: u32) -> BOOL {
    1
}
