//! How a process ended that somebody else has waited for. Linux tells it, from 6.15 on, to whoever
//! has a descriptor of the process.

#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;

use super::Ended;

/// The head of `struct pidfd_info`, as its first version had it.
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`, and `PIDFD_GET_INFO` with the size of that structure.
#[cfg(target_os = "linux")]
const EXIT: u64 = 1 << 3;
#[cfg(target_os = "linux")]
const GET_INFO: libc::c_ulong = 0xc000_ff0b | (size_of::<Info>() as libc::c_ulong) << 16;

#[cfg(target_os = "linux")]
pub fn ended(process: &OwnedFd) -> Ended {
    let mut info = Info { mask: EXIT, ..Info::default() };
    // SAFETY: the kernel writes as many bytes as the number of the request says, which are there.
    let failed = unsafe { libc::ioctl(process.as_raw_fd(), GET_INFO as _, &mut info) };
    if failed != 0 || info.mask & EXIT == 0 {
        return Ended::Unknown;
    }
    match info.exit_code & 0x7f {
        0 => Ended::Exited(info.exit_code >> 8 & 0xff),
        signal => Ended::Killed(signal),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn ended(_: &OwnedFd) -> Ended {
    Ended::Unknown
}
