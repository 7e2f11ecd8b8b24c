//! How much memory a process takes.

/// What Linux says of a process under `which`, such as `VmRSS:` (now) or `VmHWM:` (at most), in MiB.
pub fn of(process: u32, which: &str) -> u64 {
    let status = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(which));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}
