//! Processor time, as the kernel counts it.

/// User and system time of a process so far, in clock ticks; `None` for this process.
pub fn ticks(pid: Option<u32>) -> u64 {
    let path = match pid {
        Some(pid) => format!("/proc/{pid}/stat"),
        None => "/proc/self/stat".to_owned(),
    };
    let stat = std::fs::read_to_string(path).expect("/proc tells of a process that runs");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let mut fields = fields.split(' ').skip(11);
    let mut number = || {
        let field = fields.next().expect("user and system time");
        field.parse::<u64>().expect("a number")
    };
    number() + number()
}

/// Ticks as microseconds: Linux counts hundredths of a second for whoever asks.
pub fn micros(ticks: u64) -> u64 {
    ticks * 10_000
}
