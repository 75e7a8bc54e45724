//! The rate of the host's time stamp counter. An emulated guest sees this counter; calibrating it against the emulated PIT fails when the
//! host is busy, and then the guest's kernel waits for ever for a timer that is not wired. So the guest is told.

#[cfg(target_arch = "x86_64")]
pub fn khz() -> Result<u64, String> {
    let (first, start) = sample();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let (second, end) = sample();
    let ticks = u128::from(second.wrapping_sub(first));
    let nanos = u128::from(end.saturating_sub(start).max(1));
    Ok((ticks * 1_000_000 / nanos) as u64)
}

#[cfg(not(target_arch = "x86_64"))]
pub fn khz() -> Result<u64, String> {
    Err("this processor has no time stamp counter".into())
}

/// The counter and the raw clock at the same moment: of several tries, the one that took least time.
#[cfg(target_arch = "x86_64")]
fn sample() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..32 {
        let before = unsafe { core::arch::x86_64::_rdtsc() };
        let nanos = raw_clock();
        let after = unsafe { core::arch::x86_64::_rdtsc() };
        let took = after.wrapping_sub(before);
        if took < best.0 {
            best = (took, before.wrapping_add(took / 2), nanos);
        }
    }
    (best.1, best.2)
}

#[cfg(target_arch = "x86_64")]
fn raw_clock() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
