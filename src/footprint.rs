//! What a program that stays keeps in memory.

/// Says that the start is over, and that what comes now is a small part of the program.
///
/// On the way to a session megabytes of code run once, the AWS SDK's most of all, and stay
/// resident for as long as the process. They are let go of; what is called again comes back from
/// the file, which the system keeps in its cache as it sees fit. On other systems than Linux this
/// does nothing.
pub fn start_is_over() {
    #[cfg(target_os = "linux")]
    linux::forget_code();
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux {
    use std::ops::Range;

    use rustix::mm::{Advice, madvise};

    pub(super) fn forget_code() {
        let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
        for Range { start, end } in maps.lines().filter_map(code) {
            let start = std::ptr::without_provenance_mut(start);
            // SAFETY: code that came from a file and that nobody can write to: it comes from there
            // again. Where the system does not want to, nothing is lost.
            let _ = unsafe { madvise(start, end.saturating_sub(start.addr()), Advice::LinuxDontNeed) };
        }
    }

    /// The addresses that a line of `/proc/self/maps` maps, if they are code of a file: no heap, no
    /// data, no page of the kernel's.
    pub(super) fn code(line: &str) -> Option<Range<usize>> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let path = words.nth(3)?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        (rights == "r-xp" && path.starts_with('/')).then_some(address(start)?..address(end)?)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_let_go_of() {
        let code = "5599d0000000-5599d0700000 r-xp 002c1000 fe:00 123 /opt/my tools/ecsx-portforward";
        assert_eq!(linux::code(code), Some(0x5599_d000_0000..0x5599_d070_0000));
        for other in [
            "5599d0000000-5599d0700000 r--p 00000000 fe:00 123 /opt/ecsx-portforward",
            "5599d0000000-5599d0700000 rw-p 00000000 fe:00 123 /opt/ecsx-portforward",
            "7ffd0000000-7ffd0001000 r-xp 00000000 00:00 0 [vdso]",
            "7f0000000000-7f0000001000 r-xp 00000000 00:00 0",
            "nonsense",
            "",
        ] {
            assert_eq!(linux::code(other), None, "{other}");
        }
    }

    #[test]
    fn the_program_runs_on() {
        start_is_over();
        assert_eq!("ecsx".to_uppercase(), "ECSX");
        start_is_over();
    }
}
