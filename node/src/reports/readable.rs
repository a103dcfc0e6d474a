//! Numbers as people read them.

/// So much time, in the largest unit that has some of it.
pub(crate) fn time(ms: u64) -> String {
    match ms.div_ceil(1000) {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", seconds.div_ceil(60)),
        seconds if seconds < 48 * 3600 => format!("{} h", seconds.div_ceil(3600)),
        seconds => format!("{} d", seconds.div_ceil(24 * 3600)),
    }
}
